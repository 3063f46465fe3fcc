/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vault as this node reaches it: the files of its login, each server's health, and with a token of
 * the doctor's own what it may do and what the key is like. Nothing is wrapped or unwrapped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "doctor/facts.h"

#define HEALTH_MS 3000 /* of all servers together */
#define ALL_MS    5000

#define CREDENTIAL "credential:"
#define DIRECTORY  "CREDENTIALS_DIRECTORY"
/* Where systemd puts what it hands to the running service; root may read it. */
#define SERVICE_CREDENTIALS "/run/credentials/etcdseald.service"

/* ---- which Vault ---- */

static const char vault_seal[] = "vault:";

/* The section that a seal of this node names: the default file's, or that of a file of its own. */
static void find_of_seal(struct facts *f)
{
    struct kerrinfo why = {0}; /* keystore-opens tells it */
    for (size_t i = 0; i < f->keystore.seal_count && f->vault.owned == NULL; i++) {
        const char *spec = f->keystore.seals[i].spec;
        const char *path = spec + strlen(vault_seal);
        if (strncmp(spec, vault_seal, strlen(vault_seal)) == 0 &&
            config_read(*path == 0 ? CONFIG_FILE_DEFAULT : path, &f->vault.owned, &why) ==
                KERR_OK &&
            f->vault.owned->vault.key != NULL) {
            f->vault.config = &f->vault.owned->vault;
        }
    }
}

static void find_vault(struct facts *f)
{
    const struct config *c = f->q->config;
    f->vault.is_provider = c->provider == CONFIG_PROVIDER_VAULT ||
                           (c->also_unwrap & (1U << CONFIG_PROVIDER_VAULT)) != 0;
    if (f->vault.is_provider && c->vault.key != NULL) {
        f->vault.config = &c->vault;
    } else if (!f->vault.is_provider && facts_has_keystore(f)) {
        find_of_seal(f);
    }
}

/* ---- files ---- */

static void gather_login_file(struct facts *f, const char *name, const char *spec, bool is_secret)
{
    struct fact_login_file *to = &f->vault.login_files[f->vault.login_file_count++];
    size_t prefix = strlen(CREDENTIAL);
    bool is_credential = strncmp(spec, CREDENTIAL, prefix) == 0;
    *to = (struct fact_login_file){.name = name,
                                   .is_secret = is_secret,
                                   .credential = is_credential ? spec + prefix : "",
                                   .file = is_credential ? (struct fact_file){.path = "", .why = ""}
                                                         : gather_file(f, spec)};
}

static void gather_login_files(struct facts *f)
{
    const struct config_auth *a = &f->vault.config->auth;
    const struct {
        const char *name;
        const char *spec;
        bool is_secret;
    } files[] = {
        {"vault.auth.approle.role_id_file", a->role_id_file, false},
        {"vault.auth.approle.secret_id_file", a->secret_id_file, true},
        {"vault.auth.cert.cert_file", a->cert_file, false},
        {"vault.auth.cert.key_file", a->key_file, true},
        {"vault.auth.jwt.file", a->kind == CONFIG_LOGIN_JWT ? a->file : NULL, false},
        {"vault.auth.token.file", a->kind == CONFIG_LOGIN_TOKEN ? a->file : NULL, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (files[i].spec != NULL && f->vault.login_file_count < ARRAY_LEN(f->vault.login_files)) {
            gather_login_file(f, files[i].name, files[i].spec, files[i].is_secret);
        }
    }
}

static void gather_state(struct facts *f)
{
    static const char *const ends[FACTS_VAULT_FILES] = {"", ".prev", ".lock"};
    struct fact_vault *v = &f->vault;
    struct kerrinfo why = {0};
    for (size_t i = 0; i < FACTS_VAULT_FILES; i++) {
        v->files[i] =
            gather_file(f, texts_printf(&f->texts, "%s%s", v->config->state_path, ends[i]));
    }
    v->state_code = vault_state_read(v->config, &v->state, &why);
    v->state_error = texts_keep(&f->texts, bytes_of_text(why.text));
}

/* ---- servers ---- */

/* Each gets its share of what time is left. */
static void gather_servers(struct facts *f, struct vault *client)
{
    struct fact_vault *v = &f->vault;
    uint64_t end_ms = clock_mono_ms() + HEALTH_MS;
    v->server_count = v->config->address_count;
    for (size_t i = 0; i < v->server_count; i++) {
        struct fact_server *s = &v->servers[i];
        uint64_t now_ms = clock_mono_ms();
        uint64_t left_ms = end_ms > now_ms ? end_ms - now_ms : 0;
        struct vault_try t = {.until_ms = now_ms + left_ms / (v->server_count - i)};
        struct kerrinfo why = {0};
        enum kerr k = vault_health(client, &t, i, &s->health, &why);
        s->look = k == KERR_OK ? LOOK_DONE : LOOK_FAILED;
        s->address = v->config->addresses[i];
        s->why = texts_keep(&f->texts, bytes_of_text(why.text));
        s->cure = vault_cause_cure(t.cause);
        s->answered_at_s = clock_wall_s();
    }
}

static bool is_served(const struct fact_vault *v)
{
    for (size_t i = 0; i < v->server_count; i++) {
        const struct fact_server *s = &v->servers[i];
        if (s->look == LOOK_DONE && s->health.is_initialised && !s->health.is_sealed) {
            return true;
        }
    }
    return false;
}

static struct fact_question answered(struct facts *f, enum kerr k, const struct vault_try *t,
                                     const struct kerrinfo *why)
{
    return (struct fact_question){.look = k == KERR_OK ? LOOK_DONE : LOOK_FAILED,
                                  .cause = t->cause,
                                  .why = texts_keep(&f->texts, bytes_of_text(why->text)),
                                  .cure = vault_cause_cure(t->cause)};
}

static bool ask_login(struct facts *f, struct vault *client, uint64_t until_ms)
{
    struct vault_try t = {.until_ms = until_ms};
    struct kerrinfo why = {0};
    uint64_t due_ms = 0;
    enum kerr k = vault_tend(client, &t, &due_ms, &why);
    f->vault.login = answered(f, k, &t, &why);
    return k == KERR_OK;
}

static void ask_rights(struct facts *f, struct vault *client, uint64_t until_ms)
{
    struct fact_path rows[VAULT_PATHS_MAX];
    const char *paths[VAULT_PATHS_MAX];
    struct vault_try t = {.until_ms = until_ms};
    struct kerrinfo why = {0};
    size_t count = 0;
    while (count < VAULT_PATHS_MAX && facts_vault_path(f->vault.config, count, &rows[count])) {
        paths[count] = rows[count].path;
        count++;
    }
    enum kerr k = vault_capabilities(client, &t, paths, count, f->vault.rights, &why);
    f->vault.capabilities = answered(f, k, &t, &why);
}

static void ask_key(struct facts *f, struct vault *client, uint64_t until_ms)
{
    struct fact_vault *v = &f->vault;
    struct vault_try t = {.until_ms = until_ms};
    struct kerrinfo why = {0};
    enum kerr k = vault_read_key(client, &t, &v->key, &why);
    v->described = answered(f, k, &t, &why);
    if (k == KERR_OK) {
        const struct vault_choice_input in = {.config = v->config,
                                              .key = &v->key,
                                              .mark = v->state.mark,
                                              .now_ms = clock_mono_ms(),
                                              .now_s = f->now_s};
        vault_choose(&in, &v->choice);
    }
}

/* ---- the client ---- */

/* A wrapped secret id opens once, and the daemon must be the one who does it. */
static const char *no_login(const struct fact_vault *v, bool has_credentials)
{
    return v->config->auth.secret_id_wrapped
               ? "a response-wrapped secret id is for the daemon alone"
           : has_credentials ? ""
                             : "the credential is handed to the running service alone";
}

/* For the time of vault_open the service's own credentials are ours, unless we have some. False:
 * there are none. */
static bool borrow_credentials(const struct fact_vault *v, bool *ret_set)
{
    bool needs = false;
    for (size_t i = 0; i < v->login_file_count; i++) {
        needs = needs || *v->login_files[i].credential != 0;
    }
    if (!needs || getenv(DIRECTORY) != NULL) {
        return true;
    }
    *ret_set = access(SERVICE_CREDENTIALS, R_OK | X_OK) == 0 &&
               setenv(DIRECTORY, SERVICE_CREDENTIALS, 1) == 0;
    return *ret_set;
}

static void ask_all(struct facts *f, const struct config_vault *config)
{
    AUTO_VAULT client = NULL;
    struct fact_vault *v = &f->vault;
    struct vault_try t = {.cause = VAULT_CREDENTIAL_FILE};
    struct kerrinfo why = {0};
    gid_t gid = 0;
    uint64_t until_ms = clock_mono_ms() + ALL_MS;
    enum kerr k = vault_open(config, &client, &why);
    if (k != KERR_OK) {
        v->login = answered(f, k, &t, &why);
        return;
    }
    vault_trust_owner(client, facts_daemon_uid(f, &gid));
    gather_servers(f, client);
    if (is_served(v) && *v->no_login == 0 && ask_login(f, client, until_ms)) {
        ask_rights(f, client, until_ms);
        ask_key(f, client, until_ms);
    }
}

void gather_vault(struct facts *f)
{
    struct fact_vault *v = &f->vault;
    v->no_login = v->state_error = "";
    find_vault(f);
    if (v->config == NULL) {
        return;
    }
    gather_login_files(f);
    if (v->is_provider) {
        gather_state(f);
    }
    bool is_set = false;
    struct config_vault config = *v->config;
    v->no_login = no_login(v, borrow_credentials(v, &is_set));
    if (*v->no_login != 0) {
        config.auth = (struct config_auth){.kind = CONFIG_LOGIN_NONE};
    }
    ask_all(f, &config);
    if (is_set) {
        (void)unsetenv(DIRECTORY);
    }
}
