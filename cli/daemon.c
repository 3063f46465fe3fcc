/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/daemon.h"

#include <string.h>
#include <time.h>

#include "http/http.h"

/* "2026-11-24T02:31:40Z"; 0 for null. */
static bool to_time(const struct json_value *v, uint64_t *ret)
{
    const char *text = NULL;
    struct tm tm = {0};
    if (json_kind(v) == JSON_IS_NULL) {
        *ret = 0;
        return true;
    }
    if (!json_as_text(v, &text)) {
        return false;
    }
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    time_t at = timegm(&tm);
    if (end == NULL || *end != 0 || at < 0) {
        return false;
    }
    *ret = (uint64_t)at;
    return true;
}

static bool to_text(const struct json_value *v, const char **ret)
{
    if (json_kind(v) == JSON_IS_NULL) {
        *ret = "";
        return true;
    }
    return json_as_text(v, ret);
}

/* Each row, so that none is overlooked later because it cannot be read. */
static bool check_lists(const struct daemon_view *v)
{
    struct daemon_key key;
    const char *name = NULL;
    bool is_good =
        json_kind(v->keys) == JSON_IS_ARRAY && json_kind(v->restart_needed) == JSON_IS_ARRAY;
    size_t keys = json_count(v->keys);
    for (size_t i = 0; i < keys && is_good; i++) {
        is_good = daemon_key_at(v, i, &key);
    }
    size_t names = json_count(v->restart_needed);
    for (size_t i = 0; i < names && is_good; i++) {
        is_good = json_as_text(json_at(v->restart_needed, i, NULL), &name);
    }
    return is_good;
}

/* null while the daemon is sealed. */
static bool read_backup(const struct json_value *backup, struct daemon_view *v)
{
    v->is_backup_told = json_kind(backup) != JSON_IS_NULL;
    return !v->is_backup_told ||
           (json_as_u64(json_member(backup, "generation"), &v->backup_generation) &&
            to_time(json_member(backup, "at"), &v->backup_at_s) &&
            json_as_u64(json_member(backup, "keys_missing"), &v->keys_without_backup));
}

static bool read_service(const struct json_value *s, struct daemon_service *ret)
{
    return json_as_text(json_member(s, "mode"), &ret->mode) &&
           json_as_text(json_member(s, "state"), &ret->state) &&
           json_as_text(json_member(s, "cause"), &ret->cause) &&
           to_text(json_member(s, "address"), &ret->address) &&
           to_time(json_member(s, "last_good_at"), &ret->last_good_s) &&
           json_as_u64(json_member(s, "key_version"), &ret->key_version) &&
           json_as_u64(json_member(s, "pending_version"), &ret->pending_version) &&
           to_time(json_member(s, "pending_at"), &ret->pending_at_s) &&
           json_as_u64(json_member(s, "min_decryption_version"), &ret->min_version) &&
           to_time(json_member(s, "token_ends_at"), &ret->token_ends_s) &&
           json_as_u64(json_member(s, "keks_cached"), &ret->keks_cached);
}

/* null, or good. */
static bool check_service(const struct json_value *s)
{
    struct daemon_service service;
    return json_kind(s) == JSON_IS_NULL || read_service(s, &service);
}

static bool read_view(const struct json_value *root, struct daemon_view *v)
{
    const struct json_value *p = json_member(root, "provider");
    const struct json_value *reload = json_member(root, "last_reload");
    v->keys = json_member(p, "keys");
    v->restart_needed = json_member(root, "restart_needed");
    v->key_service = json_member(p, "key_service");
    return to_text(json_member(root, "version"), &v->version) &&
           to_time(json_member(root, "started_at"), &v->started_at_s) &&
           json_as_bool(json_member(root, "ready"), &v->is_ready) &&
           json_as_bool(json_member(root, "needs_a_person"), &v->needs_person) &&
           to_text(json_member(p, "store_id"), &v->store_id) &&
           json_as_u64(json_member(p, "generation"), &v->generation) &&
           to_time(json_member(p, "loaded_at"), &v->loaded_at_s) &&
           to_text(json_member(p, "current_key_id"), &v->current_key_id) &&
           to_text(json_member(p, "current_key_id_hash"), &v->current_key_id_hash) &&
           to_text(json_member(p, "opened_by"), &v->opened_by) &&
           to_text(json_member(p, "warning"), &v->warning) &&
           read_backup(json_member(p, "backup"), v) &&
           json_as_bool(json_member(reload, "ok"), &v->is_reload_ok) &&
           to_time(json_member(reload, "at"), &v->reload_at_s) &&
           to_text(json_member(reload, "message"), &v->reload_message) && check_lists(v) &&
           check_service(v->key_service);
}

enum kerr daemon_parse(struct bytes answer, const char *socket, struct daemon_view *ret,
                       struct kerrinfo *e)
{
    AUTO_DAEMON v = {.doc = NULL};
    struct kerrinfo why = {0};
    enum kerr k = json_read(answer, &v.doc, &why);
    if (k == KERR_NOMEM) {
        return kerr_set(e, k, "%s", why.text);
    }
    if (k != KERR_OK || !read_view(json_root(v.doc), &v)) {
        return kerr_set(e, KERR_DOWN,
                        "%.200s does not answer as etcdseald of this version does%s%s", socket,
                        k == KERR_OK ? "" : ": ", why.text);
    }
    *ret = v;
    v = (struct daemon_view){.doc = NULL};
    return KERR_OK;
}

enum kerr daemon_ask(const char *socket, struct daemon_view *ret, struct kerrinfo *e)
{
    AUTO_ANSWER answer = {.status = 0};
    struct http_get get = {
        .url = "http://localhost/status",
        .unix_path = socket,
        .timeout_ms = DAEMON_TIMEOUT_MS,
        .body_max = DAEMON_ANSWER_MAX,
    };
    struct kerrinfo why = {0};
    enum kerr k = http_get(&get, &answer, &why);
    if (k != KERR_OK) {
        return kerr_set(e, k == KERR_NOMEM ? k : KERR_DOWN, "%s", why.text);
    }
    if (answer.status != 200) {
        return kerr_set(e, KERR_DOWN, "%.200s answers /status with HTTP %u", socket, answer.status);
    }
    return daemon_parse(buf_view(&answer.body), socket, ret, e);
}

void daemon_done(struct daemon_view *v)
{
    json_doc_free(v->doc);
    v->doc = NULL;
}

bool daemon_service_read(const struct daemon_view *v, struct daemon_service *ret)
{
    return read_service(v->key_service, ret);
}

bool daemon_key_at(const struct daemon_view *v, size_t i, struct daemon_key *ret)
{
    const struct json_value *row = json_at(v->keys, i, NULL);
    struct daemon_key key = {.id = NULL};
    bool is_good = json_as_text(json_member(row, "id"), &key.id) &&
                   json_as_text(json_member(row, "state"), &key.state) &&
                   json_as_u64(json_member(row, "version"), &key.version) &&
                   to_time(json_member(row, "created_at"), &key.created_at_s) &&
                   json_as_u64(json_member(row, "decrypts"), &key.decrypts) &&
                   to_time(json_member(row, "last_decrypt_at"), &key.last_decrypt_s);
    if (is_good) {
        *ret = key;
    }
    return is_good;
}

bool daemon_key_find(const struct daemon_view *v, const char *id, struct daemon_key *ret)
{
    size_t count = json_count(v->keys);
    for (size_t i = 0; i < count; i++) {
        struct daemon_key key;
        if (daemon_key_at(v, i, &key) && strcmp(key.id, id) == 0) {
            *ret = key;
            return true;
        }
    }
    return false;
}
