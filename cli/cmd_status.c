/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal status: what the running daemon says. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/out.h"
#include "cli/setup.h"

#define WATCH_MS 1000
/* What a change is told by, in --watch. */
#define SUMMARY_BYTES 1024

static const char *state_word(const struct daemon_view *v)
{
    return v->is_ready       ? "serving"
           : v->needs_person ? "SEALED: a person must act"
                             : "SEALED: unsealing is still being tried";
}

/* A line of the page: a name and a value that came from outside. */
static enum kerr put_line(struct buf *to, const char *name, const char *value, struct kerrinfo *e)
{
    char shown[KERRINFO_TEXT_MAX];
    if (*value == 0) {
        return KERR_OK;
    }
    text_escape(bytes_of_text(value), shown, sizeof shown);
    return buf_printf(to, e, "%-12s %s\n", name, shown);
}

static enum kerr put_time(struct buf *to, const char *name, uint64_t at_s, const char *behind,
                          struct kerrinfo *e)
{
    char text[CLOCK_TEXT_BYTES];
    char line[KERRINFO_TEXT_MAX];
    clock_format_s(at_s, text);
    (void)snprintf(line, sizeof line, "%s%s", at_s == 0 ? "never" : text, behind);
    return put_line(to, name, line, e);
}

static enum kerr put_keystore(struct buf *to, const struct daemon_view *v, struct kerrinfo *e)
{
    char generation[32];
    (void)snprintf(generation, sizeof generation, "%llu", (unsigned long long)v->generation);
    enum kerr k = put_line(to, "keystore", v->store_id, e);
    k = k == KERR_OK && v->generation != 0 ? put_line(to, "generation", generation, e) : k;
    k = k == KERR_OK && v->loaded_at_s != 0 ? put_time(to, "loaded", v->loaded_at_s, "", e) : k;
    k = k == KERR_OK ? put_line(to, "opened by", v->opened_by, e) : k;
    k = k == KERR_OK ? put_line(to, "primary key", v->current_key_id, e) : k;
    return k == KERR_OK ? put_line(to, "  its hash", v->current_key_id_hash, e) : k;
}

/* "version 3, version 4 from 2026-…" */
static void describe_version(const struct daemon_service *s, char to[static KERRINFO_TEXT_MAX])
{
    char at[CLOCK_TEXT_BYTES];
    clock_format_s(s->pending_at_s, at);
    int len = snprintf(to, KERRINFO_TEXT_MAX, "%llu", (unsigned long long)s->key_version);
    if (s->pending_version != 0) {
        (void)snprintf(to + len, KERRINFO_TEXT_MAX - (size_t)len, ", version %llu from %s on",
                       (unsigned long long)s->pending_version, at);
    }
}

static enum kerr put_service(struct buf *to, const struct daemon_view *v, struct kerrinfo *e)
{
    struct daemon_service s;
    char line[KERRINFO_TEXT_MAX];
    if (!daemon_service_read(v, &s)) {
        return KERR_OK;
    }
    (void)snprintf(line, sizeof line, "%.20s, mode %.20s, cause %.40s, %.300s", s.state, s.mode,
                   s.cause, *s.address == 0 ? "nobody has answered yet" : s.address);
    enum kerr k = put_line(to, "key service", line, e);
    k = k == KERR_OK ? put_time(to, "  last good", s.last_good_s, "", e) : k;
    describe_version(&s, line);
    k = k == KERR_OK && s.key_version != 0 ? put_line(to, "  version", line, e) : k;
    return k == KERR_OK && s.token_ends_s != 0
               ? put_time(to, "  token until", s.token_ends_s, "", e)
               : k;
}

static enum kerr put_backup(struct buf *to, const struct daemon_view *v, struct kerrinfo *e)
{
    char missing[64] = "";
    char line[128];
    char at[CLOCK_TEXT_BYTES];
    if (!v->is_backup_told) {
        return KERR_OK;
    }
    if (v->keys_without_backup > 0) {
        (void)snprintf(missing, sizeof missing, "; NOT IN IT: %llu of the keys",
                       (unsigned long long)v->keys_without_backup);
    }
    clock_format_s(v->backup_at_s, at);
    (void)snprintf(line, sizeof line, "generation %llu, %s%s",
                   (unsigned long long)v->backup_generation, at, missing);
    return put_line(to, "last backup",
                    v->backup_generation == 0 ? "NONE is known on this node" : line, e);
}

static enum kerr put_reload(struct buf *to, const struct daemon_view *v, struct kerrinfo *e)
{
    char line[KERRINFO_TEXT_MAX];
    (void)snprintf(line, sizeof line, ", %s%s%.400s", v->is_reload_ok ? "ok" : "FAILED",
                   *v->reload_message == 0 ? "" : ": ", v->reload_message);
    enum kerr k = put_time(to, "last reload", v->reload_at_s, line, e);
    for (size_t i = 0; i < json_count(v->restart_needed) && k == KERR_OK; i++) {
        const char *name = "";
        (void)json_as_text(json_at(v->restart_needed, i, NULL), &name); /* checked on reading */
        k = put_line(to, i == 0 ? "restart for" : "", name, e);
    }
    return k;
}

static enum kerr put_keys(struct buf *to, const struct daemon_view *v, struct kerrinfo *e)
{
    static const char *const titles[] = {"KEY", "STATE", "DECRYPTS", "LAST DECRYPT"};
    AUTO_TABLE t;
    table_init(&t, titles, ARRAY_LEN(titles), e);
    struct daemon_key key;
    for (size_t i = 0; daemon_key_at(v, i, &key); i++) {
        table_cell(&t, key.id);
        table_cell(&t, key.state);
        table_u64(&t, key.decrypts);
        table_time(&t, key.last_decrypt_s);
    }
    enum kerr k = buf_put_text(to, "\n", e);
    return k == KERR_OK ? table_print(&t, to) : k;
}

static enum kerr print_page(const struct daemon_view *v, struct buf *to, struct kerrinfo *e)
{
    enum kerr k = put_line(to, "state", state_word(v), e);
    k = k == KERR_OK ? put_time(to, "started", v->started_at_s, "", e) : k;
    k = k == KERR_OK ? put_line(to, "version", v->version, e) : k;
    k = k == KERR_OK ? put_keystore(to, v, e) : k;
    k = k == KERR_OK ? put_service(to, v, e) : k;
    k = k == KERR_OK ? put_backup(to, v, e) : k;
    k = k == KERR_OK ? put_reload(to, v, e) : k;
    k = k == KERR_OK ? put_line(to, "WARNING", v->warning, e) : k;
    return k == KERR_OK && json_count(v->keys) > 0 ? put_keys(to, v, e) : k;
}

static enum kerr print_view(const struct options *o, const struct daemon_view *v,
                            struct kerrinfo *e)
{
    AUTO_BUF text;
    enum kerr k;
    buf_init(&text, DOC_MAX);
    if (out_is_doc(o)) {
        struct doc d = out_doc(o, &text, e);
        doc_value(&d, NULL, json_root(v->doc));
        k = doc_end(&d);
    } else {
        k = print_page(v, &text, e);
    }
    return k == KERR_OK ? out_print(&text, e) : k;
}

/* The state as an exit code's cause. */
static enum kerr verdict(const struct daemon_view *v, struct kerrinfo *e)
{
    char message[KERRINFO_TEXT_MAX / 2];
    text_escape(bytes_of_text(v->reload_message), message, sizeof message);
    if (!v->is_ready) {
        return kerr_set(e, KERR_STATE, "the daemon is sealed%s%s", *message == 0 ? "" : ": ",
                        message);
    }
    /* Before the first reload there is none that could have failed. */
    if (!v->is_reload_ok && v->reload_at_s != 0) {
        return kerr_set(e, KERR_STATE, "the daemon serves, but its last reload failed: %s",
                        message);
    }
    return KERR_OK;
}

static enum kerr ask_once(const struct setup *s, struct kerrinfo *e)
{
    AUTO_DAEMON v = {.doc = NULL};
    enum kerr k = daemon_ask(s->status_socket, &v, e);
    k = k == KERR_OK ? print_view(s->options, &v, e) : k;
    return k == KERR_OK ? verdict(&v, e) : k;
}

static void summarise(const struct daemon_view *v, char to[static SUMMARY_BYTES])
{
    (void)snprintf(to, SUMMARY_BYTES, "%s %.64s %llu %.64s %llu %d %.300s %.300s", state_word(v),
                   v->store_id, (unsigned long long)v->generation, v->current_key_id,
                   (unsigned long long)v->started_at_s, v->is_reload_ok, v->reload_message,
                   v->warning);
}

/* One line, for a person who watches a change of keys. */
static enum kerr print_change(const struct daemon_view *v, struct kerrinfo *e)
{
    char now[CLOCK_TEXT_BYTES];
    char key[80];
    char message[KERRINFO_TEXT_MAX / 2];
    clock_format_s(clock_wall_s(), now);
    text_escape(bytes_of_text(*v->current_key_id == 0 ? "-" : v->current_key_id), key, sizeof key);
    text_escape(bytes_of_text(v->reload_message), message, sizeof message);
    return out_line(e, "%s  %s  generation %llu  key %s%s%s", now, state_word(v),
                    (unsigned long long)v->generation, key,
                    v->is_reload_ok || *message == 0 ? "" : "  last reload failed: ", message);
}

static enum kerr watch_turn(const struct setup *s, char last[static SUMMARY_BYTES],
                            struct kerrinfo *e)
{
    AUTO_DAEMON v = {.doc = NULL};
    struct kerrinfo why = {0};
    char summary[SUMMARY_BYTES];
    enum kerr k = daemon_ask(s->status_socket, &v, &why);
    if (k == KERR_OK) {
        summarise(&v, summary);
    } else {
        (void)snprintf(summary, sizeof summary, "%.500s", why.text);
    }
    if (strcmp(summary, last) == 0) {
        return KERR_OK;
    }
    memcpy(last, summary, SUMMARY_BYTES);
    if (k == KERR_OK) {
        return out_is_doc(s->options) ? print_view(s->options, &v, e) : print_change(&v, e);
    }
    char now[CLOCK_TEXT_BYTES];
    clock_format_s(clock_wall_s(), now);
    out_warn("%s  no answer: %s", now, why.text);
    return KERR_OK;
}

static enum kerr watch(const struct setup *s, struct kerrinfo *e)
{
    char last[SUMMARY_BYTES] = "";
    enum kerr k = KERR_OK;
    while (k == KERR_OK) {
        k = watch_turn(s, last, e);
        struct timespec pause = {.tv_sec = WATCH_MS / 1000,
                                 .tv_nsec = (long)(WATCH_MS % 1000) * 1000000};
        (void)nanosleep(&pause, NULL);
    }
    return k;
}

enum kerr cmd_status(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    const struct options *o = ctx;
    AUTO_SETUP s = {0};
    enum kerr k = setup_open(o, &s, e);
    if (k != KERR_OK) {
        return k;
    }
    return o->watch ? watch(&s, e) : ask_once(&s, e);
}
