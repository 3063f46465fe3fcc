/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "vault/wire.h"

#define UNIX "unix:"

static enum kerr make_address(const struct config_vault *c, const struct token_files *files,
                              const char *address, struct wire_address *ret, struct kerrinfo *e)
{
    size_t prefix = strlen(UNIX);
    bool is_unix = strncmp(address, UNIX, prefix) == 0;
    struct http_setup setup = {
        .unix_path = is_unix ? address + prefix : NULL,
        .ca_file = c->ca_file,
        .cert_file = files->path[TOKEN_CERT],
        .key_file = files->path[TOKEN_KEY],
        .allow_plain_secret = true, /* config has refused http where it must not be */
    };
    AUTO_BUF base = {0};
    size_t len = strlen(address);
    while (!is_unix && len > 0 && address[len - 1] == '/') {
        len--;
    }
    buf_init(&base, len + 64);
    enum kerr k = is_unix ? buf_put_text(&base, "http://localhost/v1/", e)
                          : buf_printf(&base, e, "%.*s/v1/", (int)len, address);
    k = k != KERR_OK ? k : text_dup(buf_view(&base), &ret->base, e);
    return k != KERR_OK ? k : http_client_new(&setup, &ret->http, e);
}

static enum kerr make_login_path(struct vault *v, struct kerrinfo *e)
{
    AUTO_TEXT mount = NULL;
    AUTO_BUF path = {0};
    enum kerr k = wire_encode(v->config->auth.mount, true, &mount, e);
    if (k != KERR_OK) {
        return k;
    }
    buf_init(&path, strlen(mount) + 16);
    k = buf_printf(&path, e, "auth/%s/login", mount);
    return k == KERR_OK ? text_dup(buf_view(&path), &v->login_path, e) : k;
}

static enum kerr fill(struct vault *v, struct kerrinfo *e)
{
    const struct config_vault *c = v->config;
    enum kerr k = login_files(&c->auth, &v->files, e);
    k = k != KERR_OK ? k : wire_encode(c->mount, true, &v->mount, e);
    k = k != KERR_OK ? k : wire_encode(c->key, false, &v->key, e);
    if (c->auth.mount != NULL) {
        k = k != KERR_OK ? k : make_login_path(v, e);
    }
    for (size_t i = 0; i < c->address_count && k == KERR_OK; i++) {
        v->address_count = i + 1;
        k = make_address(c, &v->files, c->addresses[i], &v->addresses[i], e);
    }
    return k;
}

enum kerr vault_open(const struct config_vault *config, struct vault **ret, struct kerrinfo *e)
{
    pthread_condattr_t attr;
    AUTO_VAULT v = calloc(1, sizeof *v);
    if (v == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a client of Vault");
    }
    v->config = config;
    v->owner = geteuid();
    (void)pthread_mutex_init(&v->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&v->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    enum kerr k = fill(v, e);
    if (k != KERR_OK) {
        return k == KERR_NOMEM ? k : KERR_CONFIG;
    }
    *ret = v;
    v = NULL;
    return KERR_OK;
}

void vault_trust_owner(struct vault *v, uid_t owner)
{
    v->owner = owner;
}

void vault_close(struct vault *v)
{
    if (v == NULL) {
        return;
    }
    token_end(v);
    for (size_t i = 0; i < v->address_count; i++) {
        free(v->addresses[i].base);
        http_client_free(v->addresses[i].http);
    }
    for (size_t i = 0; i < TOKEN_FILE_COUNT; i++) {
        free(v->files.path[i]);
    }
    secret_free(v->wrapped.secret_id);
    free(v->mount);
    free(v->key);
    free(v->login_path);
    (void)pthread_cond_destroy(&v->changed);
    (void)pthread_mutex_destroy(&v->lock);
    free(v);
}

void vault_close_at(struct vault **v)
{
    vault_close(*v);
    *v = NULL;
}

enum kerr vault_tend(struct vault *v, struct vault_try *t, uint64_t *ret_due_ms, struct kerrinfo *e)
{
    return token_tend(v, t, ret_due_ms, e);
}

void vault_info(struct vault *v, struct vault_info *ret)
{
    *ret = (struct vault_info){.calls = 0};
    (void)pthread_mutex_lock(&v->lock);
    const struct token_life *l = &v->life;
    uint64_t now = clock_mono_ms();
    if (v->has_answered) {
        (void)snprintf(ret->address, sizeof ret->address, "%s", v->config->addresses[v->preferred]);
    }
    bool is_live = l->token != NULL && (l->ends_ms == 0 || now < l->ends_ms);
    ret->has_token = is_live || v->config->auth.kind == CONFIG_LOGIN_NONE;
    ret->is_renewable = is_live && l->is_renewable;
    ret->token_ends_at_s =
        is_live && l->ends_ms != 0 ? clock_wall_s() + (l->ends_ms - now) / 1000 : 0;
    ret->login_cause = l->cause;
    (void)snprintf(ret->login_text, sizeof ret->login_text, "%s", l->text);
    ret->calls = v->calls;
    ret->failures = v->failures;
    ret->logins = l->logins;
    ret->renewals = l->renewals;
    (void)pthread_mutex_unlock(&v->lock);
}
