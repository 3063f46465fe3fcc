/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's own words: /status on its status socket. Read leniently, because it may be a daemon
 * of another version, which is one of the things to be told: what is not there counts as empty.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/text.h"
#include "doctor/facts.h"
#include "http/http.h"
#include "json/json_read.h"

#define ANSWER_MAX ((size_t)256 * 1024)
#define LIMITS_MAX 8192
#define TIMEOUT_MS 3000

static const char *text_of(struct facts *f, const struct json_value *v)
{
    const char *text = "";
    (void)json_as_text(v, &text);
    return texts_keep(&f->texts, bytes_of_text(text));
}

static uint64_t number_of(const struct json_value *v)
{
    uint64_t number = 0;
    (void)json_as_u64(v, &number);
    return number;
}

static bool bool_of(const struct json_value *v)
{
    bool is = false;
    (void)json_as_bool(v, &is);
    return is;
}

/* "2026-11-24T02:31:40Z"; 0 for anything else. */
static uint64_t time_of(const struct json_value *v)
{
    const char *text = "";
    struct tm tm = {0};
    (void)json_as_text(v, &text);
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    time_t at = end != NULL && *end == 0 ? timegm(&tm) : 0;
    return at < 0 ? 0 : (uint64_t)at;
}

static const char *names_of(struct facts *f, const struct json_value *list)
{
    const char *names = "";
    for (size_t i = 0; i < json_count(list); i++) {
        const char *name = "";
        (void)json_as_text(json_at(list, i, NULL), &name);
        names = texts_printf(&f->texts, "%s%s%s", names, i == 0 ? "" : ", ", name);
    }
    return names;
}

/* Values that were read with a version which the server no longer decrypts. */
static void read_old_keys(struct facts *f, const struct json_value *keys)
{
    struct fact_service *s = &f->daemon.service;
    for (size_t i = 0; i < json_count(keys); i++) {
        const struct json_value *key = json_at(keys, i, NULL);
        const char *state = "";
        const char *id = "";
        uint64_t decrypts = number_of(json_member(key, "decrypts"));
        (void)json_as_text(json_member(key, "state"), &state);
        (void)json_as_text(json_member(key, "id"), &id);
        if (decrypts > 0 && strcmp(state, "disabled") == 0 &&
            strncmp(id, VAULT_WIRE_PREFIX, strlen(VAULT_WIRE_PREFIX)) == 0) {
            s->old_decrypts += decrypts;
            s->old_key = texts_keep(&f->texts, bytes_of_text(id));
        }
    }
}

static void read_service(struct facts *f, const struct json_value *provider)
{
    const struct json_value *from = json_member(provider, "key_service");
    struct fact_service *s = &f->daemon.service;
    *s = (struct fact_service){
        .state = text_of(f, json_member(from, "state")),
        .cause = text_of(f, json_member(from, "cause")),
        .meaning = text_of(f, json_member(from, "meaning")),
        .cure = text_of(f, json_member(from, "cure")),
        .login_cause = text_of(f, json_member(from, "login_cause")),
        .grace_ends_s = time_of(json_member(from, "grace_ends_at")),
        .version = number_of(json_member(from, "key_version")),
        .min_version = number_of(json_member(from, "min_decryption_version")),
        .old_key = "",
    };
    if (*s->state != 0) {
        read_old_keys(f, json_member(provider, "keys"));
    }
}

static void read_status(struct facts *f, const struct json_value *root)
{
    struct fact_daemon *d = &f->daemon;
    const struct json_value *provider = json_member(root, "provider");
    const struct json_value *reload = json_member(root, "last_reload");
    const struct json_value *memory = json_member(root, "memory_lock");
    d->version = text_of(f, json_member(root, "version"));
    d->kms_version = text_of(f, json_member(root, "kms_version"));
    d->pid = number_of(json_member(root, "pid"));
    d->is_ready = bool_of(json_member(root, "ready"));
    d->needs_person = bool_of(json_member(root, "needs_a_person"));
    d->store_id = text_of(f, json_member(provider, "store_id"));
    d->generation = number_of(json_member(provider, "generation"));
    d->loaded_at_s = time_of(json_member(provider, "loaded_at"));
    d->key_id_hash = text_of(f, json_member(provider, "current_key_id_hash"));
    d->is_reload_ok = bool_of(json_member(reload, "ok"));
    d->reload_at_s = time_of(json_member(reload, "at"));
    d->reload_message = text_of(f, json_member(reload, "message"));
    d->key_id = text_of(f, json_member(provider, "current_key_id"));
    read_service(f, provider);
    d->warning = text_of(f, json_member(provider, "warning"));
    d->restart_needed = names_of(f, json_member(root, "restart_needed"));
    d->memory_policy = text_of(f, json_member(memory, "policy"));
    d->unlocked_secrets = number_of(json_member(memory, "unlocked_secrets"));
    d->config_file = text_of(f, json_member(root, "config_file"));
}

/* "Max locked memory         8388608              8388608              bytes" */
static void gather_memlock(struct facts *f)
{
    static const char name[] = "Max locked memory";
    struct fact_daemon *d = &f->daemon;
    char path[64];
    char line[256];
    (void)snprintf(path, sizeof path, "/proc/%llu/limits", (unsigned long long)d->pid);
    FILE *file = d->pid == 0 ? NULL : fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            const char *value = line + strlen(name) + strspn(line + strlen(name), " ");
            d->has_memlock = true;
            d->memlock =
                strncmp(value, "unlimited", 9) == 0 ? UINT64_MAX : strtoull(value, NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* The process that answers must be the one that says its number: in a container it is not. */
static bool is_named_etcdseald(uint64_t pid)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)pid);
    return gather_is_process(text, "etcdseald\n");
}

void gather_daemon(struct facts *f)
{
    struct fact_daemon *d = &f->daemon;
    AUTO_ANSWER answer = {.status = 0};
    AUTO_JSON doc = NULL;
    struct kerrinfo why = {0};
    struct http_get get = {
        .url = "http://localhost/status",
        .unix_path = f->q->status_socket,
        .timeout_ms = TIMEOUT_MS,
        .body_max = ANSWER_MAX,
    };
    read_status(f, NULL);
    d->look = LOOK_FAILED;
    d->why = "";
    enum kerr k = http_get(&get, &answer, &why);
    if (k == KERR_OK && answer.status != 200) {
        k = kerr_set(&why, KERR_DOWN, "%.200s answers /status with HTTP %u", f->q->status_socket,
                     answer.status);
    }
    k = k == KERR_OK ? json_read(buf_view(&answer.body), &doc, &why) : k;
    if (k != KERR_OK) {
        d->why = texts_keep(&f->texts, bytes_of_text(why.text));
        return;
    }
    d->look = LOOK_DONE;
    read_status(f, json_root(doc));
    if (is_named_etcdseald(d->pid)) {
        gather_memlock(f);
    }
}
