/* SPDX-License-Identifier: Apache-2.0 */
/* Clock and units. */
#include <string.h>

#include "base/clock.h"
#include "doctor/verdict.h"

JUDGE(clock_synchronised)
{
    if (!f->is_clock_known) {
        verdict_unknown(v, "the kernel does not tell");
    } else if (!f->is_clock_synchronised) {
        verdict_found(v, "", "timedatectl set-ntp true",
                      "the kernel says that the system clock is not synchronised");
    }
}

static void judge_time(const struct facts *f, struct verdict *v, const char *what, const char *name,
                       uint64_t at_s)
{
    char when[CLOCK_TEXT_BYTES];
    char now[CLOCK_TEXT_BYTES];
    if (at_s > f->now_s + FACTS_CLOCK_SLACK_S) {
        clock_format_s(at_s, when);
        clock_format_s(f->now_s, now);
        verdict_found(v, f->keystore.path, "timedatectl; is the clock right on each node?",
                      "%s %s is from %s, and now it is %s", what, name, when, now);
    }
}

JUDGE(clock_future)
{
    const struct fact_keystore *k = &f->keystore;
    judge_time(f, v, "generation", "of the keystore", k->written_at_s);
    judge_time(f, v, "key", k->newest_key, k->newest_key_s);
}

static bool has_systemd(const struct facts *f, struct verdict *v)
{
    if (f->units.look == LOOK_FAILED) {
        verdict_unknown(v, "%s", f->units.why);
    } else if (f->units.look == LOOK_NO) {
        verdict_skip(v, "systemd is not the first process");
    } else if (!f->units.ours[UNIT_SERVICE].is_loaded) {
        verdict_skip(v, "systemd knows no etcdseald.service");
    }
    return f->units.look == LOOK_DONE && f->units.ours[UNIT_SERVICE].is_loaded;
}

JUDGE(unit_enabled)
{
    if (!has_systemd(f, v)) {
        return;
    }
    for (size_t i = 0; i < UNIT_OURS_COUNT; i++) {
        const struct fact_unit *unit = &f->units.ours[i];
        bool is_enabled =
            strncmp(unit->enabled, "enabled", 7) == 0 || strcmp(unit->enabled, "alias") == 0;
        if (unit->is_loaded && !is_enabled) {
            verdict_found(v, unit->name, "systemctl enable etcdseald.service", "%s is %s",
                          unit->name, *unit->enabled == 0 ? "not enabled" : unit->enabled);
        }
    }
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = strstr(list, word); p != NULL; p = strstr(p + 1, word)) {
        if ((p == list || p[-1] == ' ') && (p[len] == 0 || p[len] == ' ')) {
            return true;
        }
    }
    return false;
}

JUDGE(unit_order)
{
    if (!has_systemd(f, v)) {
        return;
    }
    for (size_t i = 0; i < UNIT_CALLERS_COUNT; i++) {
        const char *caller = f->units.callers[i].name;
        const struct fact_unit *service = &f->units.ours[UNIT_SERVICE];
        if (f->units.callers[i].is_loaded && !has_word(service->before, caller)) {
            verdict_found(v, service->name,
                          verdict_text(v, "systemctl edit %s, add [Unit] and Before=%s",
                                       service->name, caller),
                          "%s is not ordered before %s", service->name, caller);
        }
    }
}
