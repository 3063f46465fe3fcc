/* SPDX-License-Identifier: Apache-2.0 */
/* The provider vault: its state on the disk, the daemon's link to the key service, its key ids. */
#include <string.h>

#include "base/clock.h"
#include "doctor/verdict.h"

JUDGE(vault_state)
{
    const struct fact_vault *x = &f->vault;
    const struct fact_file *state = &x->files[0];
    gid_t gid = 0;
    uid_t uid = facts_daemon_uid(f, &gid);
    if (state->look == LOOK_FAILED || (x->state_code == KERR_DENIED && !f->is_root)) {
        verdict_unknown(v, "%s", *x->state_error == 0 ? state->why : x->state_error);
        return;
    }
    for (size_t i = 0; i < FACTS_VAULT_FILES; i++) {
        const struct fact_file *file = &x->files[i];
        bool is_there = file->look == LOOK_DONE;
        if (is_there && (file->st.st_uid != uid || (file->st.st_mode & 07177) != 0)) {
            verdict_found(v, file->path,
                          verdict_text(v, "chown %u:%u %s && chmod 0600 %s", uid, gid, file->path,
                                       file->path),
                          "%s belongs to %u and has mode %04o, expected %u and 0600", file->path,
                          file->st.st_uid, file->st.st_mode & 07777, uid);
        }
    }
    if (v->row->result == DOCTOR_FOUND) {
        return;
    }
    if (x->state_code != KERR_OK) {
        verdict_found(v, state->path, "docs/vault.md: A server that was restored", "%s",
                      x->state_error);
    } else if (x->state.mark.number == 0 && f->daemon.service.version != 0) {
        verdict_found(v, state->path,
                      "systemctl restart etcdseald.service, while the server is as it was",
                      "%s is gone: this node no longer knows which versions of the key it has used",
                      state->path);
    } else if (x->state.mark.number == 0) {
        verdict_ok(v, "nothing was used yet");
    } else {
        verdict_ok(v, "version %u was used", x->state.mark.number);
    }
}

JUDGE(vault_key_changed)
{
    const struct fact_vault *x = &f->vault;
    const struct vault_wire_version *mark = &x->state.mark;
    if (x->described.look != LOOK_DONE) {
        verdict_skip(v, "the key was not read");
    } else if (x->choice.cause == VAULT_KEY_CHANGED) {
        const struct vault_version *same = vault_key_version(&x->key, mark->number);
        verdict_found(v, x->files[0].path, vault_cause_cure(VAULT_KEY_CHANGED),
                      "this node has used version %u of the key, and the server has %s",
                      mark->number,
                      same == NULL ? verdict_text(v, "none above %u", x->key.latest)
                                   : "another one of that number");
    }
}

/* ---- the running daemon ---- */

JUDGE(vault_service)
{
    const struct fact_service *s = &f->daemon.service;
    if (*s->state == 0) {
        verdict_skip(v, "the daemon tells of no key service");
    } else if (strcmp(s->state, "starting") == 0 || strcmp(s->state, "stopped") == 0) {
        verdict_found(v, f->q->status_socket,
                      *s->cure == 0 ? "journalctl -u etcdseald.service" : s->cure,
                      "the daemon is %s and has no keys: %s", s->state,
                      strcmp(s->cause, "none") == 0 ? f->daemon.reload_message : s->meaning);
    } else {
        verdict_ok(v, "%s, version %llu", s->state, (unsigned long long)s->version);
    }
}

JUDGE(vault_grace)
{
    const struct fact_service *s = &f->daemon.service;
    char until[CLOCK_TEXT_BYTES];
    clock_format_s(s->grace_ends_s, until);
    if (strcmp(s->state, "grace") == 0) {
        verdict_found(v, f->q->status_socket, s->cure,
                      "the daemon cannot use the key service: %s; what is in memory serves until "
                      "%s",
                      s->meaning, until);
    } else if (*s->login_cause != 0 && strcmp(s->login_cause, "none") != 0) {
        verdict_found(v, f->q->status_socket,
                      *f->daemon.warning == 0 ? "journalctl -u etcdseald.service"
                                              : f->daemon.warning,
                      "the daemon's last login or renewal failed (%s), its token still serves",
                      s->login_cause);
    }
}

/* As every node computes it from what the server shows. */
JUDGE(vault_key_id)
{
    const struct fact_vault *x = &f->vault;
    const struct fact_daemon *d = &f->daemon;
    const struct vault_version *version =
        x->described.look != LOOK_DONE || d->service.version > UINT32_MAX
            ? NULL
            : vault_key_version(&x->key, (uint32_t)d->service.version);
    char id[VAULT_WIRE_ID_BYTES];
    if (f->q->config->provider != CONFIG_PROVIDER_VAULT) {
        verdict_skip(v, "another provider wraps");
        return;
    }
    if (version == NULL) {
        verdict_skip(v, "the key was not read, or has lost the version");
        return;
    }
    unsigned epoch =
        x->state.mark.epoch > x->config->epoch ? x->state.mark.epoch : x->config->epoch;
    const struct vault_wire_version wire = {
        .epoch = (uint8_t)epoch, .number = version->number, .created_at_s = version->created_at_s};
    vault_wire_key_id(x->config, &wire, id);
    if (strcmp(id, d->key_id) != 0) {
        verdict_found(v, f->q->status_socket,
                      "make vault.mount, key, cluster_id and epoch equal on all nodes; then: "
                      "systemctl restart etcdseald.service",
                      "the daemon gives key id %s, by the configuration and the server it is %s",
                      d->key_id, id);
    } else {
        verdict_ok(v, "%s", id);
    }
}

JUDGE(vault_key_pending)
{
    const struct fact_vault *x = &f->vault;
    char at[CLOCK_TEXT_BYTES];
    clock_format_s(x->choice.pending_at_s, at);
    if (x->described.look == LOOK_DONE && x->choice.pending != 0) {
        verdict_found(v, x->config->key, "wait, and look again: each node goes over by itself",
                      "version %u of the key is not used before %s", x->choice.pending, at);
    }
}

JUDGE(vault_min_decryption)
{
    const struct fact_service *s = &f->daemon.service;
    const struct config_vault *c = f->vault.config;
    if (s->old_decrypts > 0) {
        verdict_found(
            v, verdict_text(v, "%s/keys/%s", c->mount, c->key),
            verdict_text(v,
                         "bao write %s/keys/%s/config min_decryption_version=N, with an N "
                         "that etcdseal vault plan shows as needed; rewrite; then raise it "
                         "again",
                         c->mount, c->key),
            "min_decryption_version is %llu, and since it started the daemon has "
            "decrypted %llu values under versions below it (%s)",
            (unsigned long long)s->min_version, (unsigned long long)s->old_decrypts, s->old_key);
    }
}
