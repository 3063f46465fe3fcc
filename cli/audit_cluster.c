/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/audit_source.h"
#include "cli/escape.h"
#include "cli/out.h"

#define ETCD_URL  "https://127.0.0.1:2379" /* of an etcd that k3s and RKE2 run themselves */
#define TOLD_MAX  65536
#define AUTO_WORD "auto"

typedef enum kerr take_fn(struct audit_cluster *c, struct kerrinfo *e);

/* ---- texts that live as long as the options ---- */

static enum kerr keep(struct audit_cluster *c, char *text, const char **ret, struct kerrinfo *e)
{
    if (text == NULL || c->text_count == AUDIT_CLUSTER_TEXTS) {
        free(text);
        return kerr_set(e, KERR_NOMEM, "no memory for a path");
    }
    c->texts[c->text_count++] = text;
    *ret = text;
    return KERR_OK;
}

static enum kerr join(struct audit_cluster *c, const char *folder, const char *name,
                      const char **ret, struct kerrinfo *e)
{
    char *text = NULL;
    int len = asprintf(&text, "%s%s", folder, name);
    return keep(c, len < 0 ? NULL : text, ret, e);
}

/* Through links: a folder or manifest of others may be one. */
static enum kerr resolve(struct audit_cluster *c, const char *path, const char **ret,
                         struct kerrinfo *e)
{
    char *real = realpath(path, NULL);
    return keep(c, real != NULL ? real : strdup(path), ret, e);
}

static void set(const char **option, const char *value)
{
    *option = *option == NULL ? value : *option;
}

static bool is_there(const char *path)
{
    bool exists = false;
    return file_exists(NULL, path, &exists, NULL) == KERR_OK && exists;
}

/* ---- kubeadm ---- */

static enum kerr host_path(struct audit_cluster *c, const char *name, const char **ret,
                           struct kerrinfo *e)
{
    const struct apiserver_flag *flag = apiserver_flag(c->spec, name);
    struct apiserver_path path;
    char *text = NULL;
    if (flag == NULL) {
        return KERR_OK;
    }
    if (!apiserver_host_path(c->spec, flag->value.text, &path)) {
        return kerr_set(e, KERR_CONFIG,
                        "%s:%u: no hostPath is mounted where --%s=%s lies; name the file with an "
                        "option of audit",
                        flag->value.file, flag->value.line, name, flag->value.text);
    }
    int len = asprintf(&text, "%.*s%s", path.head_len, path.head, path.tail);
    return keep(c, len < 0 ? NULL : text, ret, e);
}

static enum kerr take_flag_path(struct audit_cluster *c, const char *name, const char **option,
                                struct kerrinfo *e)
{
    return *option == NULL ? host_path(c, name, option, e) : KERR_OK;
}

static enum kerr take_prefix(struct audit_cluster *c, struct kerrinfo *e)
{
    const struct apiserver_flag *flag = apiserver_flag(c->spec, "etcd-prefix");
    struct opt_list *prefixes = &c->options.prefixes;
    if (flag == NULL || prefixes->count > 0) {
        return KERR_OK;
    }
    /* As kube-apiserver takes it: below the root, one '/' between two words and at the end. */
    const char *text = flag->value.text + strspn(flag->value.text, "/");
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/') {
        len--;
    }
    char *made = NULL;
    prefixes->count = 1;
    int made_len = asprintf(&made, "/%.*s/", (int)len, text);
    enum kerr k = keep(c, made_len < 0 ? NULL : made, &prefixes->items[0], e);
    if (k == KERR_OK && (strstr(made, "//") != NULL || strstr(made, "./") != NULL)) {
        return kerr_set(e, KERR_USAGE,
                        "%s:%u: etcd-prefix %s is not a plain one; name with --prefix what keys "
                        "begin with",
                        flag->value.file, flag->value.line, flag->value.text);
    }
    return k;
}

static bool is_asking_etcd(const struct options *o)
{
    return o->snapshot == NULL && o->data_dir == NULL && o->kine == NULL;
}

/* A certificate and its key go together. */
static enum kerr take_flag_certs(struct audit_cluster *c, struct kerrinfo *e)
{
    struct options *o = &c->options;
    bool is_own = o->cert != NULL || o->key != NULL;
    enum kerr k = take_flag_path(c, "etcd-cafile", &o->cacert, e);
    k = k == KERR_OK && !is_own ? take_flag_path(c, "etcd-certfile", &o->cert, e) : k;
    return k == KERR_OK && !is_own ? take_flag_path(c, "etcd-keyfile", &o->key, e) : k;
}

static enum kerr take_kubeadm(struct audit_cluster *c, struct kerrinfo *e)
{
    struct options *o = &c->options;
    const struct apiserver_flag *servers = apiserver_flag(c->spec, "etcd-servers");
    const struct apiserver_flag *others = apiserver_flag(c->spec, "etcd-servers-overrides");
    bool is_named = audit_source_is_named(o);
    if (!is_named && servers == NULL) {
        return kerr_set(e, KERR_CONFIG, "%s: no --etcd-servers; name what to audit with an option",
                        c->spec->file);
    }
    if (!is_named) {
        o->endpoints = (struct opt_list){.items = {servers->value.text}, .count = 1};
    }
    if (others != NULL) {
        out_warn("%s:%u: --etcd-servers-overrides keeps some resources in another etcd, which is "
                 "not in this audit",
                 others->value.file, others->value.line);
    }
    enum kerr k = is_asking_etcd(o) ? take_flag_certs(c, e) : KERR_OK;
    k = k == KERR_OK ? take_prefix(c, e) : k;
    return k == KERR_OK ? take_flag_path(c, "encryption-provider-config", &o->encryption_config, e)
                        : k;
}

/* ---- k3s and RKE2 ---- */

/* What kube-apiserver itself uses, else what etcd's own documentation names. */
static enum kerr take_rancher_certs(struct audit_cluster *c, const char *dir, struct kerrinfo *e)
{
    static const char *const certs[][2] = {
        {"/server/tls/etcd/client.crt", "/server/tls/etcd/client.key"},
        {"/server/tls/etcd/server-client.crt", "/server/tls/etcd/server-client.key"},
    };
    struct options *o = &c->options;
    bool is_own = o->cert != NULL || o->key != NULL;
    const char *ca = NULL;
    enum kerr k = join(c, dir, "/server/tls/etcd/server-ca.crt", &ca, e);
    for (size_t i = 0; i < ARRAY_LEN(certs) && k == KERR_OK && !is_own; i++) {
        const char *cert = NULL;
        k = join(c, dir, certs[i][0], &cert, e);
        if (k == KERR_OK && (i + 1 == ARRAY_LEN(certs) || is_there(cert))) {
            is_own = true;
            o->cert = cert;
            k = join(c, dir, certs[i][1], &o->key, e);
        }
    }
    if (k == KERR_OK) {
        set(&o->cacert, ca);
    }
    return k;
}

static enum kerr check_datastore(const struct audit_cluster *c, struct kerrinfo *e)
{
    const struct apiserver_value *v = c->spec == NULL ? NULL : &c->spec->datastore;
    /* With a path behind it SQLite is not where it usually is. */
    bool is_usual = v == NULL || v->text == NULL || *v->text == 0 ||
                    strcmp(v->text, "sqlite") == 0 || strcmp(v->text, "sqlite://") == 0;
    return is_usual
               ? KERR_OK
               : kerr_set(e, KERR_USAGE,
                          "%s:%u: datastore-endpoint keeps the keys elsewhere; when that is an "
                          "etcd, name it with --endpoints, and a file of SQLite with --kine",
                          v->file, v->line);
}

static enum kerr take_rancher_source(struct audit_cluster *c, const char *dir, struct kerrinfo *e)
{
    struct options *o = &c->options;
    const char *etcd = NULL;
    const char *kine = NULL;
    enum kerr k = check_datastore(c, e);
    k = k == KERR_OK ? join(c, dir, "/server/db/etcd", &etcd, e) : k;
    k = k == KERR_OK ? join(c, dir, "/server/db/state.db", &kine, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    if (is_there(etcd)) {
        o->endpoints = (struct opt_list){.items = {ETCD_URL}, .count = 1};
        return KERR_OK;
    }
    if (!is_there(kine)) {
        return kerr_set(e, KERR_NOTFOUND,
                        "neither %s nor %s is there (or may be seen by this user); name what to "
                        "audit with an option",
                        etcd, kine);
    }
    o->kine = kine;
    return KERR_OK;
}

/* Theirs, unless a flag of kube-apiserver names another one. */
static enum kerr take_rancher_config(struct audit_cluster *c, const char *dir, struct kerrinfo *e)
{
    struct options *o = &c->options;
    const struct apiserver_flag *flag =
        c->spec == NULL ? NULL : apiserver_flag(c->spec, "encryption-provider-config");
    const char *own = NULL;
    enum kerr k = join(c, dir, "/server/cred/encryption-config.json", &own, e);
    if (k == KERR_OK && (flag != NULL || is_there(own))) {
        set(&o->encryption_config, flag != NULL ? flag->value.text : own);
    }
    return k;
}

static enum kerr take_rancher(struct audit_cluster *c, enum apiserver_source source,
                              struct kerrinfo *e)
{
    const char *dir = NULL;
    enum kerr k = resolve(c, apiserver_data_dir(c->spec, source), &dir, e);
    if (k == KERR_OK && !audit_source_is_named(&c->options)) {
        k = take_rancher_source(c, dir, e);
    }
    if (k == KERR_OK && is_asking_etcd(&c->options)) {
        k = take_rancher_certs(c, dir, e);
    }
    return k == KERR_OK ? take_rancher_config(c, dir, e) : k;
}

static enum kerr take_k3s(struct audit_cluster *c, struct kerrinfo *e)
{
    return take_rancher(c, APISERVER_K3S, e);
}

static enum kerr take_rke2(struct audit_cluster *c, struct kerrinfo *e)
{
    return take_rancher(c, APISERVER_RKE2, e);
}

/* ---- which one ---- */

static const struct layout {
    const char *name; /* of --cluster */
    enum apiserver_source source;
    take_fn *take;
} layouts[] = {
    {"kubeadm", APISERVER_MANIFEST, take_kubeadm},
    {"k3s", APISERVER_K3S, take_k3s},
    {"rke2", APISERVER_RKE2, take_rke2},
};

static const struct apiserver_place *place_of(const struct layout *l)
{
    const struct apiserver_place *p = apiserver_places;
    while (p->source != l->source) {
        p++;
    }
    return p;
}

static enum kerr read_spec(const struct layout *l, struct audit_cluster *c,
                           struct apiserver_spec **ret, struct kerrinfo *e)
{
    const struct apiserver_place *place = place_of(l);
    const char *path = NULL;
    if (place->data_dir != NULL) {
        return apiserver_read_rancher(place->path, l->source, ret, e);
    }
    enum kerr k = resolve(c, place->path, &path, e);
    return k == KERR_OK ? apiserver_read_manifest(path, ret, e) : k;
}

/* A manifest is there, or a data folder with a server's part: an agent has none. Its file of
 * options need not be. */
static enum kerr look(const struct layout *l, struct audit_cluster *c, struct apiserver_spec **ret,
                      bool *ret_is_here, struct kerrinfo *e)
{
    AUTO_APISERVER spec = NULL;
    const char *server = NULL;
    struct kerrinfo why = {0};
    bool is_rancher = place_of(l)->data_dir != NULL;
    enum kerr k = read_spec(l, c, &spec, &why);
    if (k != KERR_OK && k != KERR_NOTFOUND) {
        return kerr_set(e, k == KERR_DENIED ? KERR_IO : k, "%s", why.text);
    }
    *ret_is_here = k == KERR_OK;
    if (is_rancher) {
        k = join(c, apiserver_data_dir(spec, l->source), "/server", &server, e);
        *ret_is_here = k == KERR_OK && is_there(server);
    }
    *ret = spec;
    spec = NULL;
    return is_rancher ? k : KERR_OK;
}

static enum kerr find(const char *name, struct audit_cluster *c, const struct layout **ret,
                      struct kerrinfo *e)
{
    bool is_auto = strcmp(name, AUTO_WORD) == 0;
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(layouts) && k == KERR_OK; i++) {
        AUTO_APISERVER spec = NULL;
        bool is_here = false;
        if (!is_auto && strcmp(layouts[i].name, name) != 0) {
            continue;
        }
        k = look(&layouts[i], c, &spec, &is_here, e);
        if (k == KERR_OK && is_here && *ret != NULL) {
            return kerr_set(e, KERR_USAGE,
                            "both %s and %s have left files on this node: name one with --cluster",
                            (*ret)->name, layouts[i].name);
        }
        if (k == KERR_OK && is_here) {
            *ret = &layouts[i];
            c->spec = spec;
            spec = NULL;
        }
    }
    return k;
}

static enum kerr say_absent(const char *name, struct kerrinfo *e)
{
    char looked[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(layouts) && len < sizeof looked; i++) {
        const struct apiserver_place *place = place_of(&layouts[i]);
        bool is_rancher = place->data_dir != NULL;
        if (strcmp(name, AUTO_WORD) == 0 || strcmp(name, layouts[i].name) == 0) {
            len +=
                (size_t)snprintf(looked + len, sizeof looked - len, "%s%s%s (%s)",
                                 len == 0 ? "" : ", ", is_rancher ? place->data_dir : place->path,
                                 is_rancher ? "/server" : "", layouts[i].name);
        }
    }
    return kerr_set(e, KERR_NOTFOUND,
                    "--cluster %s: this node has no %s; is it a control-plane node, and may this "
                    "user see it? Else name what to audit with an option",
                    name, looked);
}

/* ---- telling ---- */

static void put_option(struct appender *to, const char *name, const char *value, const char *given)
{
    if (value != NULL && value != given) {
        append_printf(to, " --%s ", name);
        escape_shell(to, bytes_of_text(value));
    }
}

/* As one would have typed it. */
static enum kerr tell(const struct options *given, const struct options *o, const char *name,
                      struct kerrinfo *e)
{
    AUTO_BUF text;
    const char *shown = "";
    buf_init(&text, TOLD_MAX);
    struct appender to = appender_on(&text, e);
    put_option(&to, "endpoints", given->endpoints.count == 0 ? o->endpoints.items[0] : NULL, NULL);
    put_option(&to, "kine", o->kine, given->kine);
    put_option(&to, "cacert", o->cacert, given->cacert);
    put_option(&to, "cert", o->cert, given->cert);
    put_option(&to, "key", o->key, given->key);
    put_option(&to, "prefix", given->prefixes.count == 0 ? o->prefixes.items[0] : NULL, NULL);
    put_option(&to, "encryption-config", o->encryption_config, given->encryption_config);
    enum kerr k = to.k == KERR_OK ? buf_text(&text, &shown, e) : to.k;
    if (k == KERR_OK) {
        out_remark(given, "cluster %s:%s", name, *shown == 0 ? " nothing is taken" : shown);
    }
    return k;
}

enum kerr audit_cluster_open(const struct options *o, struct audit_cluster *ret, struct kerrinfo *e)
{
    const struct layout *found = NULL;
    ret->options = *o;
    if (o->cluster == NULL) {
        return KERR_OK;
    }
    enum kerr k = find(o->cluster, ret, &found, e);
    if (k == KERR_OK && found == NULL) {
        return say_absent(o->cluster, e);
    }
    k = k == KERR_OK ? found->take(ret, e) : k;
    return k == KERR_OK ? tell(o, &ret->options, found->name, e) : k;
}

void audit_cluster_done(struct audit_cluster *c)
{
    apiserver_free(c->spec);
    for (size_t i = 0; i < c->text_count; i++) {
        free(c->texts[i]);
    }
    c->spec = NULL;
    c->text_count = 0;
}
