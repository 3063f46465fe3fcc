/* SPDX-License-Identifier: Apache-2.0 */
/* The running daemon: memory, state, versions. */
#include <string.h>

#include "doctor/verdict.h"

static const char restart_cure[] = "systemctl restart etcdseald.service";

JUDGE(memory_lock)
{
    const struct fact_daemon *d = &f->daemon;
    if (d->unlocked_secrets > 0) {
        verdict_found(v, f->q->status_socket,
                      "raise LimitMEMLOCK= of etcdseald.service, set memory_lock: strict, restart",
                      "%llu secrets of the running daemon were put into memory that is not locked",
                      (unsigned long long)d->unlocked_secrets);
    } else if (strcmp(d->memory_policy, "strict") != 0 ||
               f->q->config->memory_lock != SECRET_LOCK_STRICT) {
        verdict_found(
            v, f->q->config_file == NULL ? f->q->status_socket : f->q->config_file,
            verdict_text(v, "memory_lock: strict in the configuration, then: %s", restart_cure),
            "the daemon goes on when memory cannot be locked (memory_lock: best-effort)");
    }
}

JUDGE(memory_limit)
{
    const struct fact_daemon *d = &f->daemon;
    if (!d->has_memlock) {
        verdict_skip(v, "the daemon's process is not known");
    } else if (d->memlock < FACTS_MEMLOCK_MIN) {
        verdict_found(v, verdict_text(v, "process %llu", (unsigned long long)d->pid),
                      "LimitMEMLOCK=64M in etcdseald.service, then restart it",
                      "the daemon may lock %llu bytes of memory, expected at least %llu",
                      (unsigned long long)d->memlock, (unsigned long long)FACTS_MEMLOCK_MIN);
    }
}

JUDGE(daemon_answers)
{
    const struct fact_daemon *d = &f->daemon;
    if (d->look == LOOK_DONE) {
        verdict_ok(v, "etcdseald %s", d->version);
    } else {
        verdict_found(v, f->q->status_socket,
                      "systemctl enable --now etcdseald.service; journalctl -u etcdseald.service",
                      "%s", d->why);
    }
}

JUDGE(daemon_unsealed)
{
    const struct fact_daemon *d = &f->daemon;
    if (!d->is_ready) {
        verdict_found(v, f->q->status_socket,
                      d->needs_person ? "docs/keystore.md: what the refusals mean; then: systemctl "
                                        "reload etcdseald.service"
                                      : "wait, and look again: it is tried again by itself",
                      "the daemon is sealed%s%s", *d->reload_message == 0 ? "" : ": ",
                      d->reload_message);
    }
}

JUDGE(daemon_reload)
{
    const struct fact_daemon *d = &f->daemon;
    /* Before the first reload there is none that could have failed. */
    if (!d->is_reload_ok && d->reload_at_s != 0) {
        verdict_found(v, f->q->status_socket,
                      "cure what the message names, then: systemctl reload etcdseald.service",
                      "the daemon's last reload failed: %s", d->reload_message);
    }
}

static const char *wire_version(const struct config *c)
{
    return c->version == CONFIG_VERSION_V2BETA1 ? "v2beta1" : "v2";
}

JUDGE(kms_version)
{
    const struct fact_daemon *d = &f->daemon;
    const char *configured = wire_version(f->q->config);
    if (strcmp(d->kms_version, configured) != 0) {
        verdict_found(
            v, f->q->config_file == NULL ? "" : f->q->config_file,
            verdict_text(v,
                         "kms_version: %s, as it was; to change it for good, restart each "
                         "API server right after the daemon",
                         d->kms_version),
            "the running daemon reports version %s, the configuration says %s", d->kms_version,
            configured);
    } else {
        verdict_ok(v, "%s", configured);
    }
}

JUDGE(daemon_warning)
{
    if (*f->daemon.warning != 0) {
        verdict_found(v, f->q->status_socket,
                      "cure what the message names, then: systemctl reload etcdseald.service", "%s",
                      f->daemon.warning);
    }
}

JUDGE(daemon_restart)
{
    if (*f->daemon.restart_needed != 0) {
        verdict_found(v, f->daemon.config_file, restart_cure,
                      "these keys were changed and need a restart: %s", f->daemon.restart_needed);
    }
}

JUDGE(daemon_version)
{
    if (strcmp(f->daemon.version, f->q->version) != 0) {
        verdict_found(v, f->q->status_socket, restart_cure,
                      "the daemon is etcdseald %s, this tool is etcdseal %s", f->daemon.version,
                      f->q->version);
    } else {
        verdict_ok(v, "%s", f->q->version);
    }
}

JUDGE(daemon_keystore)
{
    const struct fact_daemon *d = &f->daemon;
    const struct fact_keystore *k = &f->keystore;
    if (strcmp(d->store_id, k->store_id) != 0) {
        verdict_found(
            v, k->path, "is keystore.path right? then: systemctl restart etcdseald.service",
            "the daemon serves keystore %s, %s is keystore %s", d->store_id, k->path, k->store_id);
    } else if (d->generation != k->generation) {
        verdict_found(v, k->path, "systemctl reload etcdseald.service; journalctl -u etcdseald",
                      "the daemon serves generation %llu, %s has generation %llu",
                      (unsigned long long)d->generation, k->path,
                      (unsigned long long)k->generation);
    } else {
        verdict_ok(v, "generation %llu", (unsigned long long)d->generation);
    }
}
