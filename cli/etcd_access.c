/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/etcd_access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/prompt.h"

#define PEM_MAX      ((size_t)1 << 20)
#define KEY_MAX      65536 /* a key on RSA 16384 has 13 KiB */
#define PASSWORD_MAX 1024

/* ---- who, and with what ---- */

static const char *given(const char *option, const char *variable)
{
    const char *value = option != NULL ? option : getenv(variable);
    return value != NULL && *value != 0 ? value : NULL;
}

static enum kerr read_pem(const char *path, struct buf *to, const char **ret, struct kerrinfo *e)
{
    enum kerr k = path == NULL ? KERR_OK : file_read(NULL, path, PEM_MAX, FILE_READ_ANY, to, e);
    if (k == KERR_OK && path != NULL && memmem(to->ptr, to->len, "-----BEGIN", 10) == NULL) {
        k = kerr_set(e, KERR_INPUT, "%s holds no PEM", path);
    }
    return k == KERR_OK && path != NULL ? buf_text(to, ret, e) : k;
}

static enum kerr read_tls(const struct options *o, struct etcd_access *a, struct kerrinfo *e)
{
    struct etcd_tls *tls = &a->config.tls;
    const char *ca = given(o->cacert, "ETCDCTL_CACERT");
    const char *cert = given(o->cert, "ETCDCTL_CERT");
    const char *key = given(o->key, "ETCDCTL_KEY");
    if ((cert == NULL) != (key == NULL)) {
        return kerr_set(e, KERR_USAGE, "a client certificate needs --cert and --key together");
    }
    if (cert != NULL && ca == NULL) {
        return kerr_set(e, KERR_USAGE, "--cert and --key need --cacert too, the CA of etcd");
    }
    enum kerr k = read_pem(ca, &a->ca, &tls->ca, e);
    k = k == KERR_OK ? read_pem(cert, &a->cert, &tls->cert, e) : k;
    k = k == KERR_OK && key != NULL ? file_read_key(key, geteuid(), KEY_MAX, &a->key, e) : k;
    tls->key = a->key;
    return k;
}

/* A file that ends with a newline, as editors make it, means the line without it. */
static enum kerr read_password_file(const char *path, struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET whole = NULL;
    enum kerr k = file_read_key(path, geteuid(), PASSWORD_MAX, &whole, e);
    if (k != KERR_OK) {
        return k;
    }
    struct bytes view = secret_view(whole);
    size_t len = view.len - (view.ptr[view.len - 1] == '\n');
    return len > 0 ? secret_from_bytes(bytes_of(view.ptr, len), ret, e)
                   : kerr_set(e, KERR_INPUT, "%s: expected a password", path);
}

static enum kerr ask_password(const struct etcd_access *a, struct secret **ret, struct kerrinfo *e)
{
    char prompt[128];
    struct kerrinfo cause = {0};
    (void)snprintf(prompt, sizeof prompt, "Password of etcd's user %s", a->user);
    enum kerr k = prompt_ask(NULL, prompt, false, ret, &cause);
    return k == KERR_OK
               ? k
               : kerr_set(e, KERR_USAGE,
                          "user %s: no password: name a file of it with --password-file, or run on "
                          "a terminal; passwords in the environment (ETCDCTL_PASSWORD, "
                          "ETCDCTL_USER) are not used, because it can be read by other processes",
                          a->user);
}

static enum kerr read_user(const struct options *o, struct etcd_access *a, struct kerrinfo *e)
{
    const char *user = given(o->user, "ETCDCTL_USER");
    if (user == NULL) {
        return o->password_file == NULL
                   ? KERR_OK
                   : kerr_set(e, KERR_USAGE, "--password-file needs --user, whose password it is");
    }
    size_t len = strcspn(user, ":");
    if (o->user != NULL && user[len] != 0) {
        return kerr_set(e, KERR_USAGE,
                        "--user takes a name alone: every process can read a command line; name a "
                        "file of the password with --password-file, or be asked for it");
    }
    enum kerr k = text_dup(bytes_of(user, len), &a->user, e);
    a->config.user = a->user;
    if (k == KERR_OK) {
        k = o->password_file != NULL ? read_password_file(o->password_file, &a->password, e)
                                     : ask_password(a, &a->password, e);
    }
    a->config.password = a->password;
    return k;
}

/* ---- the client ---- */

const char *etcd_access_named(const struct options *o)
{
    return o->endpoints.count > 0 ? o->endpoints.items[0] : NULL;
}

const char *etcd_access_presumed(void)
{
    return given(NULL, "ETCDCTL_ENDPOINTS");
}

enum kerr etcd_access_open(const struct options *o, const char *name, size_t answer_max,
                           struct etcd_access *ret, struct kerrinfo *e)
{
    ret->endpoint = name;
    ret->config.endpoints = o->endpoints.count > 0 ? o->endpoints.items : &ret->endpoint;
    ret->config.endpoint_count = o->endpoints.count > 0 ? o->endpoints.count : 1;
    ret->config.answer_max = answer_max;
    ret->config.is_linearizable = o->linearizable;
    enum kerr k = read_tls(o, ret, e);
    k = k == KERR_OK ? read_user(o, ret, e) : k;
    return k == KERR_OK ? etcd_open(&ret->config, &ret->client, e) : k;
}

void etcd_access_done(struct etcd_access *a)
{
    etcd_close(a->client);
    buf_done(&a->ca);
    buf_done(&a->cert);
    secret_free(a->key);
    secret_free(a->password);
    free(a->user);
    *a = (struct etcd_access){.client = NULL};
}
