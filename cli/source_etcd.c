/* SPDX-License-Identifier: Apache-2.0 */
/* A running etcd, asked over its API as etcdctl does: with the same options, and where none is
 * given the same variables of the environment but for passwords. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/live.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/audit_source.h"
#include "cli/out.h"
#include "cli/prompt.h"

#define PEM_MAX      ((size_t)1 << 20)
#define KEY_MAX      65536 /* a key on RSA 16384 has 13 KiB */
#define PASSWORD_MAX 1024

struct own {
    struct etcd_config config;
    const char *endpoint; /* of the environment, which is one text */
    struct buf ca;
    struct buf cert;
    struct secret *key;
    char *user;
    struct secret *password;
    struct etcd *client;
    struct audit_etcd found;
};

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

static enum kerr read_tls(const struct options *o, struct own *own, struct kerrinfo *e)
{
    struct etcd_tls *tls = &own->config.tls;
    const char *ca = given(o->cacert, "ETCDCTL_CACERT");
    const char *cert = given(o->cert, "ETCDCTL_CERT");
    const char *key = given(o->key, "ETCDCTL_KEY");
    if ((cert == NULL) != (key == NULL)) {
        return kerr_set(e, KERR_USAGE, "a client certificate needs --cert and --key together");
    }
    if (cert != NULL && ca == NULL) {
        return kerr_set(e, KERR_USAGE, "--cert and --key need --cacert too, the CA of etcd");
    }
    enum kerr k = read_pem(ca, &own->ca, &tls->ca, e);
    k = k == KERR_OK ? read_pem(cert, &own->cert, &tls->cert, e) : k;
    k = k == KERR_OK && key != NULL ? file_read_key(key, geteuid(), KEY_MAX, &own->key, e) : k;
    tls->key = own->key;
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

static enum kerr ask_password(const struct own *own, struct secret **ret, struct kerrinfo *e)
{
    char prompt[128];
    struct kerrinfo cause = {0};
    (void)snprintf(prompt, sizeof prompt, "Password of etcd's user %s", own->user);
    enum kerr k = prompt_ask(NULL, prompt, false, ret, &cause);
    return k == KERR_OK
               ? k
               : kerr_set(e, KERR_USAGE,
                          "user %s: no password: name a file of it with --password-file, or run on "
                          "a terminal; passwords in the environment (ETCDCTL_PASSWORD, "
                          "ETCDCTL_USER) are not used, because it can be read by other processes",
                          own->user);
}

static enum kerr read_user(const struct options *o, struct own *own, struct kerrinfo *e)
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
    enum kerr k = text_dup(bytes_of(user, len), &own->user, e);
    own->config.user = own->user;
    if (k == KERR_OK) {
        k = o->password_file != NULL ? read_password_file(o->password_file, &own->password, e)
                                     : ask_password(own, &own->password, e);
    }
    own->config.password = own->password;
    return k;
}

/* ---- the source ---- */

static const char *endpoints(const struct options *o)
{
    return o->endpoints.count > 0 ? o->endpoints.items[0] : NULL;
}

static const char *presumed(void)
{
    return given(NULL, "ETCDCTL_ENDPOINTS");
}

static enum kerr open_etcd(const struct options *o, struct audit_source *ret, struct kerrinfo *e)
{
    struct own *own = calloc(1, sizeof *own);
    if (own == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a source");
    }
    ret->own = own;
    ret->kind_name = "etcd";
    own->endpoint = ret->name;
    own->config.endpoints = o->endpoints.count > 0 ? o->endpoints.items : &own->endpoint;
    own->config.endpoint_count = o->endpoints.count > 0 ? o->endpoints.count : 1;
    own->config.is_linearizable = o->linearizable;
    enum kerr k = read_tls(o, own, e);
    k = k == KERR_OK ? read_user(o, own, e) : k;
    return k == KERR_OK ? etcd_open(&own->config, &own->client, e) : k;
}

static void say_found(const struct options *o, const struct own *own)
{
    const struct audit_etcd *f = &own->found;
    if (f->status.has_no_space) {
        out_warn("this etcd has raised the alarm NOSPACE and takes no writes: a rewrite of objects "
                 "would fail");
    }
    if (f->revision_count > 1) {
        out_remark(o,
                   "etcd compacted the revision that was read, %zu times: the report is of several "
                   "revisions, and a key that changed meanwhile may be counted never or twice",
                   f->revision_count - 1);
    }
}

static enum kerr read_etcd(struct audit_source *s, const struct options *o, struct audit *a,
                           const struct audit_told *told, struct kerrinfo *e)
{
    struct own *own = s->own;
    const struct audit_etcd_wanted wanted = {
        .requests_per_s = o->qps, .progress = told->fn, .progress_ctx = told->ctx};
    enum kerr k = audit_etcd(a, own->client, &wanted, &own->found, e);
    if (k == KERR_OK) {
        say_found(o, own);
        s->live = &own->found;
        s->etcd = own->client;
        s->size = own->found.status.db_size;
        s->found.revision = own->found.revisions[own->found.revision_count - 1];
        s->is_partial = own->found.is_partial;
    }
    return k;
}

static void close_etcd(struct audit_source *s)
{
    struct own *own = s->own;
    if (own != NULL) {
        etcd_close(own->client);
        buf_done(&own->ca);
        buf_done(&own->cert);
        secret_free(own->key);
        secret_free(own->password);
        free(own->user);
    }
    free(own);
}

const struct audit_source_kind audit_source_etcd = {
    .option = "--endpoints URL",
    .unit = "keys",
    .is_passing = true,
    .named = endpoints,
    .presumed = presumed,
    .open = open_etcd,
    .read = read_etcd,
    .done = close_etcd,
};
