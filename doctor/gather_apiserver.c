/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the API server is started, its EncryptionConfiguration, and what it answers. Files of others
 * may be reached through links, so their paths are resolved first.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "doctor/facts.h"
#include "http/http.h"

#define CMDLINE_MAX ((size_t)256 * 1024)
#define TOKEN_MAX   ((size_t)65536)

/* Bad content keeps its code; that we may not read it means that we could not look (exit 3). */
static enum kerr named_error(enum kerr k, const struct kerrinfo *why, struct kerrinfo *e)
{
    bool is_io = k == KERR_DENIED || k == KERR_NOTFOUND;
    return kerr_set(e, is_io ? KERR_IO : k, "%s", why->text);
}

static const char *resolved(struct facts *f, const char *path)
{
    char *real = realpath(path, NULL);
    const char *kept = texts_keep(&f->texts, bytes_of_text(real == NULL ? path : real));
    free(real);
    return kept;
}

static enum kerr read_spec(struct facts *f, const char *path, enum apiserver_source source,
                           struct kerrinfo *e)
{
    struct apiserver_spec **to = &f->apiserver.file;
    return source == APISERVER_MANIFEST ? apiserver_read_manifest(resolved(f, path), to, e)
                                        : apiserver_read_rancher(path, source, to, e);
}

/* The configuration of k3s or RKE2 is known by its folder; all else is a manifest. */
static enum apiserver_source source_of(const char *path)
{
    if (strstr(path, "/k3s/") != NULL) {
        return APISERVER_K3S;
    }
    return strstr(path, "/rke2/config") != NULL ? APISERVER_RKE2 : APISERVER_MANIFEST;
}

static enum kerr gather_file_spec(struct facts *f, struct kerrinfo *e)
{
    struct fact_apiserver *a = &f->apiserver;
    if (f->q->manifest != NULL) {
        struct kerrinfo why = {0};
        enum kerr k = read_spec(f, f->q->manifest, source_of(f->q->manifest), &why);
        return k == KERR_OK ? k : named_error(k, &why, e);
    }
    for (size_t i = 0; i < APISERVER_PLACE_COUNT && a->file == NULL && *a->file_error == 0; i++) {
        struct kerrinfo why = {0};
        enum kerr k = read_spec(f, apiserver_places[i].path, apiserver_places[i].source, &why);
        if (k != KERR_OK && k != KERR_NOTFOUND) {
            a->file_tried = apiserver_places[i].path;
            a->file_error = texts_keep(&f->texts, bytes_of_text(why.text));
            a->is_file_forbidden = k == KERR_DENIED && !f->is_root;
        }
    }
    return KERR_OK;
}

/* ---- a running one ---- */

static void take_process(struct facts *f, const char *pid)
{
    struct fact_apiserver *a = &f->apiserver;
    char path[300];
    struct stat st;
    AUTO_BUF words;
    buf_init(&words, CMDLINE_MAX);
    (void)snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    FILE *file = fopen(path, "re");
    uint8_t piece[4096];
    size_t n = 0;
    while (file != NULL && (n = fread(piece, 1, sizeof piece, file)) > 0) {
        if (buf_put(&words, bytes_of(piece, n), NULL) != KERR_OK) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    const char *name = texts_printf(&f->texts, "process %s", pid);
    if (words.len == 0 ||
        apiserver_read_words(buf_view(&words), name, &a->process, NULL) != KERR_OK) {
        return;
    }
    (void)snprintf(path, sizeof path, "/proc/%s", pid);
    if (stat(path, &st) == 0) {
        a->uid = st.st_uid;
    }
}

/* The first one that is found; a host has one. */
static void gather_process(struct facts *f)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    while (proc != NULL && f->apiserver.process == NULL && (entry = readdir(proc)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) &&
            gather_is_process(entry->d_name, "kube-apiserver\n")) {
            take_process(f, entry->d_name);
        }
    }
    if (proc != NULL) {
        (void)closedir(proc);
    }
}

/* ---- its EncryptionConfiguration ---- */

/* "registry.k8s.io/kube-apiserver:v1.36.4" and RKE2's "…/hardened-kubernetes:v1.30.1-rke2r1". */
static unsigned minor_of(const struct apiserver_spec *s)
{
    const char *tag = s == NULL || s->image.text == NULL ? NULL : strstr(s->image.text, ":v1.");
    return tag == NULL ? 0 : (unsigned)strtoul(tag + 4, NULL, 10);
}

static void gather_paths(struct facts *f)
{
    struct fact_apiserver *a = &f->apiserver;
    const struct apiserver_spec *s = facts_spec(f);
    const struct apiserver_mount *mount = NULL;
    const char *host = "";
    a->config_inside = a->config_path = "";
    a->socket_inside = f->socket.path;
    if (s != NULL) {
        const struct apiserver_flag *flag = apiserver_flag(s, "encryption-provider-config");
        a->config_inside = flag == NULL ? "" : flag->value.text;
        /* RKE2 mounts the file that the flag names at the same path. */
        host = s->source == APISERVER_RKE2
                   ? a->config_inside
                   : facts_host_path(&f->texts, s, a->config_inside, &mount);
        a->socket_inside = facts_inside_path(&f->texts, s, f->socket.path, &mount);
    }
    a->config_path = *host == '/' ? host : "";
    if (*a->config_path == 0 && f->q->encryption_config != NULL && *a->config_inside == 0) {
        a->config_path = f->q->encryption_config;
    }
}

/* The same file or folder by whatever links. */
static bool is_same_path(struct facts *f, const char *a, const char *b)
{
    return strcmp(a, b) == 0 || strcmp(resolved(f, a), resolved(f, b)) == 0;
}

/* The path of "unix:///run/x.sock" and "unix:/run/x.sock", or NULL. */
static const char *endpoint_path(const struct encryption_provider *p)
{
    const char *text = p->endpoint.text;
    const char *version = p->api_version.text;
    if (p->kind != ENCRYPTION_KMS || version == NULL || strcmp(version, "v2") != 0 ||
        text == NULL || strncmp(text, "unix:", 5) != 0) {
        return NULL;
    }
    return strncmp(text + 5, "//", 2) == 0 ? text + 7 : text + 5;
}

static void find_ours(struct facts *f)
{
    struct fact_apiserver *a = &f->apiserver;
    const struct apiserver_spec *s = facts_spec(f);
    const struct apiserver_mount *mount = NULL;
    for (size_t i = 0; i < a->config->entry_count; i++) {
        const struct encryption_entry *entry = &a->config->entries[i];
        for (size_t j = 0; j < entry->provider_count && a->ours == NULL; j++) {
            const char *path = endpoint_path(&entry->providers[j]);
            const char *host = path == NULL ? ""
                               : s == NULL  ? path
                                            : facts_host_path(&f->texts, s, path, &mount);
            if (*host != 0 && is_same_path(f, host, f->socket.path)) {
                a->ours = &entry->providers[j];
            }
        }
    }
}

static void gather_hash(struct facts *f, struct bytes text)
{
    uint8_t hash[HASH_BYTES];
    char hex[2 * HASH_BYTES + 1];
    hash_sha256(text, hash);
    text_hex(BYTES_OF(hash), hex);
    f->apiserver.config_hash = texts_printf(&f->texts, "sha256:%s", hex);
}

static enum kerr gather_config(struct facts *f, struct kerrinfo *e)
{
    struct fact_apiserver *a = &f->apiserver;
    AUTO_SECRET text = NULL;
    bool is_named = f->q->encryption_config != NULL;
    const char *path = is_named ? f->q->encryption_config : a->config_path;
    const struct lint_facts lint = {.socket_path = NULL};
    struct kerrinfo why = {0};
    a->config_file = path;
    if (*path == 0) {
        return KERR_OK;
    }
    enum kerr k = file_read_secret(NULL, resolved(f, path), ENCRYPTION_CONFIG_FILE_MAX,
                                   FILE_READ_ANY, &text, &why);
    k = k == KERR_OK ? encryption_config_parse(secret_view(text), path, &a->config, &why) : k;
    if (k != KERR_OK && is_named) {
        return named_error(k, &why, e);
    }
    a->config_look = k == KERR_OK ? LOOK_DONE : LOOK_FAILED;
    a->config_error = texts_keep(&f->texts, bytes_of_text(why.text));
    a->is_config_forbidden = k == KERR_DENIED && !f->is_root;
    if (k != KERR_OK) {
        return KERR_OK;
    }
    gather_hash(f, secret_view(text));
    find_ours(f);
    return lint_encryption_config(a->config, &lint, &a->lint, e);
}

enum kerr gather_apiserver(struct facts *f, struct kerrinfo *e)
{
    struct fact_apiserver *a = &f->apiserver;
    a->file_error = a->file_tried = a->config_file = a->config_error = a->config_hash = a->why =
        a->url = "";
    a->health_text = "";
    enum kerr k = gather_file_spec(f, e);
    if (k != KERR_OK) {
        return k;
    }
    gather_process(f);
    if (a->file != NULL && a->file->has_user) {
        a->uid = a->file->user;
    }
    a->minor = minor_of(a->file);
    gather_paths(f);
    return gather_config(f, e);
}

/* ---- what it answers ---- */

/* Where it listens and who vouches for its certificate. */
struct way_in {
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
};

static const char *flag_of(const struct apiserver_spec *s, const char *name, const char *preset)
{
    const struct apiserver_flag *flag = s == NULL ? NULL : apiserver_flag(s, name);
    return flag == NULL ? preset : flag->value.text;
}

/* A certificate is for the address that is advertised; the loopback is in it with k3s and RKE2. */
static const char *url_of(struct facts *f)
{
    const struct apiserver_spec *s = facts_spec(f);
    if (s == NULL) {
        return "";
    }
    if (s->source == APISERVER_K3S || s->source == APISERVER_RKE2) {
        return texts_printf(&f->texts, "https://127.0.0.1:%s",
                            s->listen_port.text == NULL ? "6443" : s->listen_port.text);
    }
    const char *host = flag_of(s, "advertise-address", "127.0.0.1");
    bool is_v6 = strchr(host, ':') != NULL;
    return texts_printf(&f->texts, "https://%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
                        flag_of(s, "secure-port", "6443"));
}

/* What the distribution leaves on the node for its own use. */
static void fill_access(struct facts *f, struct way_in *to)
{
    const struct apiserver_spec *s = facts_spec(f);
    bool is_rancher = s != NULL && (s->source == APISERVER_K3S || s->source == APISERVER_RKE2);
    const struct apiserver_mount *mount = NULL;
    if (s == NULL) {
        return;
    }
    const char *dir = apiserver_data_dir(s, s->source);
    const char *ca = is_rancher
                         ? texts_printf(&f->texts, "%s/server/tls/server-ca.crt", dir)
                         : facts_host_path(&f->texts, s, flag_of(s, "client-ca-file", ""), &mount);
    const char *cert =
        is_rancher
            ? texts_printf(&f->texts, "%s/server/tls/client-admin.crt", dir)
            : facts_host_path(&f->texts, s, flag_of(s, "kubelet-client-certificate", ""), &mount);
    const char *key =
        is_rancher ? texts_printf(&f->texts, "%s/server/tls/client-admin.key", dir)
                   : facts_host_path(&f->texts, s, flag_of(s, "kubelet-client-key", ""), &mount);
    to->ca_file = to->ca_file == NULL && access(ca, R_OK) == 0 ? ca : to->ca_file;
    bool has_identity = f->q->token_file != NULL || f->q->cert_file != NULL;
    if (!has_identity && access(cert, R_OK) == 0 && access(key, R_OK) == 0) {
        to->cert_file = cert;
        to->key_file = key;
    }
}

/* A token is the file's first line. */
static enum kerr read_token(const char *path, struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET text = NULL;
    struct kerrinfo why = {0};
    if (path == NULL) {
        return KERR_OK;
    }
    enum kerr k = file_read_secret(NULL, path, TOKEN_MAX, FILE_READ_ANY, &text, &why);
    if (k != KERR_OK) {
        return named_error(k, &why, e);
    }
    struct bytes view = secret_view(text);
    const uint8_t *end = memchr(view.ptr, '\n', view.len);
    size_t len = end == NULL ? view.len : (size_t)(end - view.ptr);
    if (len == 0) {
        return kerr_set(e, KERR_INPUT, "%.200s: the first line is empty, expected a token", path);
    }
    return secret_from_bytes(bytes_of(view.ptr, len), ret, e);
}

static enum kerr take_metrics(void *ctx, struct bytes piece, struct kerrinfo *e)
{
    (void)e;
    metrics_take(ctx, piece);
    return KERR_OK;
}

static void ask_health(struct facts *f, const struct http_get *like)
{
    struct fact_apiserver *a = &f->apiserver;
    AUTO_ANSWER answer = {.status = 0};
    struct kerrinfo why = {0};
    struct http_get get = *like;
    char shown[512];
    get.url = texts_printf(&f->texts, "%s/readyz/kms-providers", a->url);
    get.body_max = FACTS_BODY_MAX;
    enum kerr k = http_get(&get, &answer, &why);
    a->look = k == KERR_OK ? LOOK_DONE : LOOK_FAILED;
    a->why = texts_keep(&f->texts, bytes_of_text(why.text));
    a->health = answer.status;
    text_escape(buf_view(&answer.body), shown, sizeof shown);
    a->health_text = texts_keep(&f->texts, bytes_of_text(shown));
}

static enum kerr get_metrics(struct facts *f, const char *url, const struct http_get *like,
                             struct metrics *to, unsigned *ret_status, struct kerrinfo *e)
{
    AUTO_ANSWER answer = {.status = 0};
    struct http_get get = *like;
    get.url = texts_printf(&f->texts, "%s/metrics", url);
    get.body_max = HTTP_STREAM_MAX;
    get.on_body = take_metrics;
    get.body_ctx = to;
    enum kerr k = http_get(&get, &answer, e);
    *ret_status = answer.status;
    return k;
}

static void ask_metrics(struct facts *f, const struct http_get *like)
{
    struct fact_apiserver *a = &f->apiserver;
    struct kerrinfo why = {0};
    if (get_metrics(f, a->url, like, &a->metrics, &a->metrics_status, &why) != KERR_OK) {
        a->look = LOOK_FAILED;
        a->why = texts_keep(&f->texts, bytes_of_text(why.text));
    }
}

static const char *without_slash(struct facts *f, const char *url)
{
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    return texts_keep(&f->texts, bytes_of(url, len));
}

static enum kerr ask_other(struct facts *f, const char *url, const struct http_get *like,
                           struct kerrinfo *e)
{
    struct fact_apiserver *a = &f->apiserver;
    struct fact_other *to = &a->others[a->other_count++];
    const char *name = a->ours == NULL ? NULL : a->ours->name.text;
    struct metrics *metrics = calloc(1, sizeof *metrics);
    struct kerrinfo why = {0};
    unsigned status = 0;
    *to = (struct fact_other){.url = without_slash(f, url), .why = "", .hash = ""};
    if (metrics == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for an API server's metrics");
    }
    if (get_metrics(f, to->url, like, metrics, &status, &why) != KERR_OK) {
        to->why = texts_keep(&f->texts, bytes_of_text(why.text));
    } else if (status != 200) {
        to->why = texts_printf(&f->texts, "/metrics answers with status %u", status);
    } else if (name != NULL && metrics_provider(metrics, name) != NULL) {
        to->hash = texts_keep(&f->texts, bytes_of_text(metrics_provider(metrics, name)->hash));
    }
    free(metrics);
    return KERR_OK;
}

enum kerr gather_answers(struct facts *f, struct kerrinfo *e)
{
    const struct doctor_question *q = f->q;
    struct fact_apiserver *a = &f->apiserver;
    AUTO_SECRET token = NULL;
    struct way_in way = {.ca_file = q->ca_file, .cert_file = q->cert_file, .key_file = q->key_file};
    enum kerr k = read_token(q->token_file, &token, e);
    if (k != KERR_OK) {
        return k;
    }
    a->url = q->url != NULL ? without_slash(f, q->url) : url_of(f);
    if (*a->url == 0) {
        return KERR_OK;
    }
    fill_access(f, &way);
    struct http_get get = {
        .timeout_ms = DOCTOR_TIMEOUT_MS,
        .ca_file = way.ca_file,
        .cert_file = way.cert_file,
        .key_file = way.key_file,
        .token = token,
    };
    ask_health(f, &get);
    if (a->look == LOOK_DONE) {
        ask_metrics(f, &get);
    }
    for (size_t i = 0; i < q->other_count && k == KERR_OK; i++) {
        k = ask_other(f, q->others[i], &get, e);
    }
    return k;
}
