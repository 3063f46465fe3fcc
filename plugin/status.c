/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/status.h"

#include <string.h>
#include <unistd.h>

#include "kms/kms.h"
#include "json/json.h"

static void put_hash(struct json_writer *w, const char *key, const char *key_id)
{
    char hash[KMS_KEY_ID_HASH_BYTES];
    kms_key_id_hash(bytes_of_text(key_id), hash);
    json_put_text(w, key, *hash == 0 ? NULL : hash);
}

static const char *or_null(const char *text)
{
    return *text == 0 ? NULL : text;
}

static void put_keys(struct json_writer *w, const struct provider_info *p, struct metrics *m)
{
    json_put_array(w, "keys");
    for (size_t i = 0; i < p->key_count && i < PROVIDER_INFO_KEYS; i++) {
        struct metrics_key_use use = metrics_key_use(m, p->keys[i].id);
        json_put_object(w, NULL);
        json_put_text(w, "id", p->keys[i].id);
        put_hash(w, "id_hash", p->keys[i].id);
        json_put_text(w, "state", p->keys[i].state);
        json_put_u64(w, "version", p->keys[i].version);
        json_put_time(w, "created_at", p->keys[i].created_at_s);
        json_put_time(w, "promoted_at", p->keys[i].promoted_at_s);
        json_put_u64(w, "decrypts", use.decrypts);
        json_put_time(w, "last_decrypt_at", use.last_s);
        json_put_close(w);
    }
    json_put_close(w);
}

/* null while sealed or without a keystore; with no backup known, its generation is 0. */
static void put_backup(struct json_writer *w, const struct provider_info *p)
{
    if (!p->keeps_backup) {
        json_put_text(w, "backup", NULL);
        return;
    }
    json_put_object(w, "backup");
    json_put_u64(w, "generation", p->backup.generation);
    json_put_time(w, "at", p->backup.at_s);
    json_put_text(w, "sha256", or_null(p->backup.sha256));
    json_put_u64(w, "keys_missing", p->backup.keys_missing);
    json_put_close(w);
}

/* null when the keys are kept here. */
static void put_key_service(struct json_writer *w, const struct provider_remote *r)
{
    if (!r->is_there) {
        json_put_null(w, "key_service");
        return;
    }
    json_put_object(w, "key_service");
    json_put_text(w, "mode", r->mode);
    json_put_text(w, "state", r->state);
    json_put_text(w, "cause", r->cause);
    json_put_text(w, "meaning", r->meaning);
    json_put_text(w, "cure", or_null(r->cure));
    json_put_text(w, "address", or_null(r->address));
    json_put_time(w, "last_good_at", r->last_answer_s);
    json_put_time(w, "grace_ends_at", r->grace_ends_s);
    json_put_u64(w, "key_version", r->version);
    json_put_u64(w, "pending_version", r->pending_version);
    json_put_time(w, "pending_at", r->pending_at_s);
    json_put_u64(w, "min_decryption_version", r->min_version);
    json_put_time(w, "token_ends_at", r->token_ends_at_s);
    json_put_text(w, "login_cause", r->login_cause);
    json_put_u64(w, "requests", r->calls);
    json_put_u64(w, "failures", r->failures);
    json_put_u64(w, "logins", r->logins);
    json_put_u64(w, "renewals", r->renewals);
    json_put_u64(w, "keks_cached", r->keks_cached);
    json_put_time(w, "kek_created_at", r->kek_made_at_s);
    json_put_u64(w, "kek_uses", r->kek_uses);
    json_put_u64(w, "annotations_refused", r->unknown_refused);
    json_put_close(w);
}

static void put_provider(struct json_writer *w, const struct provider_info *p, struct metrics *m)
{
    json_put_object(w, "provider");
    json_put_text(w, "name", p->name);
    json_put_text(w, "store_id", or_null(p->store_id));
    json_put_u64(w, "generation", p->generation);
    json_put_time(w, "loaded_at", p->loaded_at_s);
    json_put_text(w, "current_key_id", or_null(p->current_key_id));
    put_hash(w, "current_key_id_hash", p->current_key_id);
    json_put_text(w, "opened_by", or_null(p->opened_by));
    json_put_text(w, "warning", or_null(p->warning));
    put_backup(w, p);
    put_key_service(w, &p->remote);
    json_put_u64(w, "slots_opened", p->slots_opened);
    json_put_u64(w, "key_count", p->key_count);
    put_keys(w, p, m);
    json_put_close(w);
}

static const char *const method_words[] = {"status", "encrypt", "decrypt"};

static void put_peers(struct json_writer *w, const struct config *c)
{
    json_put_array(w, "peers");
    for (size_t i = 0; i < c->peer_count; i++) {
        const struct config_peer *row = &c->peers[i];
        json_put_object(w, NULL);
        json_put_u64(w, row->kind == CONFIG_PEER_UID ? "uid" : "gid", row->id);
        json_put_array(w, "methods");
        for (size_t m = 0; m < ARRAY_LEN(method_words); m++) {
            if ((row->methods >> m & 1U) != 0) {
                json_put_text(w, NULL, method_words[m]);
            }
        }
        json_put_close(w);
        json_put_u64(w, "decrypt_rate", row->decrypt_rate);
        json_put_text(w, "note", row->note);
        json_put_close(w);
    }
    json_put_close(w);
}

static void put_socket(struct json_writer *w, const struct status_view *v)
{
    json_put_object(w, "socket");
    json_put_text(w, "path", v->socket_path);
    json_put_text(w, "status_path", v->status_path);
    json_put_bool(w, "activated", v->is_activated);
    json_put_close(w);
    json_put_object(w, "connections");
    json_put_u64(w, "open", v->connections_open);
    json_put_u64(w, "waiting", v->connections_waiting);
    json_put_u64(w, "max", v->first->socket_connections_max);
    json_put_close(w);
    json_put_u64(w, "calls_in_flight", v->calls_in_flight);
}

static void put_reload(struct json_writer *w, const struct status_view *v)
{
    const struct status_reload *r = &v->last_reload;
    json_put_object(w, "last_reload");
    json_put_time(w, "at", r->at_s);
    json_put_bool(w, "ok", r->is_ok);
    json_put_text(w, "code", kerr_name(r->code));
    json_put_text(w, "message", or_null(r->message));
    json_put_close(w);
}

/* "a,b" as an array. */
static void put_restart_needed(struct json_writer *w, const char *names)
{
    json_put_array(w, "restart_needed");
    while (*names != 0) {
        char one[64];
        size_t len = strcspn(names, ",");
        size_t kept = len < sizeof one ? len : sizeof one - 1;
        memcpy(one, names, kept);
        one[kept] = 0;
        json_put_text(w, NULL, one);
        names += len + (names[len] == ',');
        names += strspn(names, " ");
    }
    json_put_close(w);
}

static void put_memory(struct json_writer *w, const struct status_view *v)
{
    json_put_object(w, "memory_lock");
    json_put_text(w, "policy",
                  v->first->memory_lock == SECRET_LOCK_STRICT ? "strict" : "best-effort");
    json_put_u64(w, "unlocked_secrets", v->unlocked_secrets);
    json_put_close(w);
}

enum kerr status_json(const struct status_view *v, struct metrics *m, struct buf *ret,
                      struct kerrinfo *e)
{
    struct json_writer w = json_on(ret, e);
    json_put_object(&w, NULL);
    json_put_text(&w, "version", ETCDSEAL_VERSION);
    json_put_text(&w, "kms_version", v->version_wire);
    json_put_u64(&w, "pid", (uint64_t)getpid());
    json_put_time(&w, "started_at", v->started_at_s);
    json_put_bool(&w, "ready", v->provider.is_serving);
    json_put_bool(&w, "sealed", !v->provider.is_serving);
    json_put_bool(&w, "needs_a_person", v->provider.is_sealed_final);
    put_provider(&w, &v->provider, m);
    put_socket(&w, v);
    put_peers(&w, v->config);
    put_reload(&w, v);
    put_restart_needed(&w, v->restart_needed);
    put_memory(&w, v);
    json_put_text(&w, "config_file", v->config->file);
    json_put_close(&w);
    return json_end(&w);
}

static void put_line(struct buf *line, const char *text)
{
    /* A line that does not fit is left out: the HTTP status says the same. */
    enum kerr k = buf_put_text(line, text, NULL);
    (void)k;
}

bool status_livez(const struct status_view *v, struct buf *line)
{
    bool is_live = v->rpc_turn_age_ms < STATUS_LOOP_MAX_MS;
    put_line(line, is_live ? "ok\n" : "the rpc loop hangs\n");
    return is_live;
}

bool status_readyz(const struct status_view *v, struct buf *line)
{
    if (v->provider.is_serving && v->rpc_turn_age_ms < STATUS_LOOP_MAX_MS) {
        put_line(line, "ok\n");
        return true;
    }
    if (v->provider.is_serving) {
        put_line(line, "the rpc loop hangs\n");
    } else if (!v->has_tried_unseal) {
        put_line(line, "sealed: unsealing for the first time\n");
    } else {
        put_line(line, v->provider.is_sealed_final ? "sealed: a person must act: "
                                                   : "sealed: unsealing is tried again: ");
        put_line(line, *v->last_reload.message == 0 ? "see /status" : v->last_reload.message);
        put_line(line, "\n");
    }
    return false;
}
