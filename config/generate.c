/* SPDX-License-Identifier: Apache-2.0 */
#include "config/generate.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/lint.h"

/* What stands where a user must fill something in. kube-apiserver refuses each: no base64, no
 * scheme, a colon in a name. */
#define OLD_SECRET   "PASTE-THE-OLD-SECRET"
#define OLD_ENDPOINT "PASTE-THE-OLD-ENDPOINT"
#define OLD_NAME     "PASTE:THE:OLD:NAME"

enum old { OLD_IDENTITY, OLD_AESCBC, OLD_AESGCM, OLD_SECRETBOX, OLD_KMS, OLD_COUNT };

/* The provider that is left, or gone back to. */
static const char *const old_providers[OLD_COUNT] = {
    [OLD_IDENTITY] = "      - identity: {} # reads plaintext: who can write to etcd can plant it\n",
#define LOCAL(kind)                                                                                \
    "      - " kind                                                                                \
    ":\n          keys: # as they stand in the old file, all of them, in its order\n"              \
    "            - name: key1\n              secret: " OLD_SECRET "\n"
    [OLD_AESCBC] = LOCAL("aescbc"),
    [OLD_AESGCM] = LOCAL("aesgcm"),
    [OLD_SECRETBOX] = LOCAL("secretbox"),
    [OLD_KMS] = "      - kms: # as it stands in the old file\n          apiVersion: v2\n"
                "          name: " OLD_NAME "\n          endpoint: " OLD_ENDPOINT "\n",
};

static const char *const secrets[] = {"secrets", NULL};
static const char *const secrets_configmaps[] = {"secrets", "configmaps", NULL};
static const char *const everything[] = {"*.*", NULL};

#define REWRITE                                                                                    \
    "# Rewrite all that this file covers; for Secrets:\n"                                          \
    "#   kubectl get secrets --all-namespaces -o json | kubectl replace -f -\n"                    \
    "# and likewise whatever `kubectl api-resources --verbs=list,update -o name` names besides.\n"
#define LOADED                                                                                     \
    "# An API server has loaded this file when its metric\n"                                       \
    "# apiserver_encryption_config_controller_automatic_reloads_total{status=\"success\"} has\n"   \
    "# risen (Kubernetes 1.30 and newer), or after its restart, and\n"                             \
    "# /readyz/kms-providers is ok.\n"
#define SHOWS "etcdctl get /registry/secrets/NAMESPACE/NAME"

static const char first_learn[] =
    "# First encryption of an existing cluster, stage 1 of 3, for several API servers only: every\n"
    "# one learns to read what the plugin encrypts, and still writes plaintext. With a single API\n"
    "# server begin with stage 2. `etcdseal encryption-config check` calls this stage an error,\n"
    "# because Secrets are still stored in plaintext.\n"
    "#\n" LOADED "# Go on to stage 2 when all API servers have.\n";
static const char first_write[] =
    "# First encryption of an existing cluster, stage 2 of 3: what is new or changed is stored\n"
    "# encrypted, what is still plaintext can be read.\n"
    "#\n" LOADED "# When all API servers have, rewrite.\n" REWRITE
    "# Go on to stage 3 when every value in etcd begins with k8s:enc:kms:v2:\n"
    "# (" SHOWS " | head -c 64).\n";
static const char first_only[] =
    "# The end state: nothing but what the plugin can decrypt is accepted, so plaintext that "
    "somebody\n"
    "# put into etcd is refused. Only for a new cluster, or when all that it covers has been\n"
    "# rewritten in stage 2: the API server can't read what is still plaintext.\n";
static const char everything_why[] =
    "#\n"
    "# Everything is the recommended end state. With Secrets alone encrypted, whoever can write "
    "to\n"
    "# etcd still writes himself a ClusterRoleBinding, which is plaintext, and reads Secrets "
    "through\n"
    "# the API. '*.*' covers custom resources that come later too.\n";

static const char from_learn[] =
    "# From another provider, stage 1 of 3, for several API servers only: every one learns to "
    "read\n"
    "# what the plugin encrypts, and still writes as before. With a single API server begin with\n"
    "# stage 2.\n"
    "#\n"
    "# Fill in the old provider; kube-apiserver refuses the file until that is done. Take over "
    "the\n"
    "# old file's resources, and its identity provider at the end if it has one.\n"
    "#\n" LOADED "# Go on to stage 2 when all API servers have.\n";
static const char from_write[] =
    "# From another provider, stage 2 of 3: the plugin encrypts what is new or changed, the old\n"
    "# provider is there for reading.\n"
    "#\n"
    "# Fill in the old provider; kube-apiserver refuses the file until that is done. Take over "
    "the\n"
    "# old file's resources, and its identity provider at the end if it has one.\n"
    "#\n" LOADED "# When all API servers have, rewrite.\n" REWRITE
    "# Go on to stage 3 when every value in etcd begins with k8s:enc:kms:v2: and the name below\n"
    "# (" SHOWS " | head -c 64).\n";
static const char from_only[] = "# From another provider, stage 3 of 3: the old one is gone, and "
                                "what it encrypted can no longer\n"
                                "# be read. Only when all has been rewritten in stage 2. Keep the "
                                "old keys as long as backups of\n"
                                "# etcd need them.\n";

#define LEAVE_ALL                                                                                  \
    "# All resources of the file that this one replaces must stand below (--resource): what is\n"  \
    "# stored encrypted and not named here can't be read.\n"
static const char leave_learn[] =
    "# Leaving encryption, stage 1 of 2, for several API servers only: every one learns to read\n"
    "# plaintext. With a single API server begin with stage 2.\n"
    "#\n" LEAVE_ALL "#\n" LOADED "# Go on to stage 2 when all API servers have.\n";
static const char leave_write[] =
    "# Leaving encryption, stage 2 of 2: what is new or changed is stored in plaintext, what is "
    "still\n"
    "# encrypted can be read. `etcdseal encryption-config check` calls this an error, because it "
    "is\n"
    "# one in every other case.\n"
    "#\n" LEAVE_ALL "#\n" LOADED "# When all API servers have, rewrite.\n" REWRITE
    "# When no value in etcd begins with k8s:enc: any more (" SHOWS " |\n"
    "# head -c 64), take --encryption-provider-config out of kube-apiserver's flags, restart it, "
    "and\n"
    "# stop the plugin last. Keep the keystore as long as backups of etcd need it.\n";

/* `order`: providers of each stage, 'k' for the plugin's, 'o' for the old one. */
struct row {
    struct generate_kind kind;
    enum old old;
    const char *const *resources;
    const char *comments[3];
    const char *order[3];
    const char *why; /* behind the comment, or "" */
};

#define FIRST(name, resources, why)                                                                \
    {                                                                                              \
        {name, 3}, OLD_IDENTITY, resources, {first_learn, first_write, first_only},                \
            {"ok", "ko", "k"}, why                                                                 \
    }
#define FROM(name, old)                                                                            \
    {                                                                                              \
        {name, 3}, old, secrets, {from_learn, from_write, from_only}, {"ok", "ko", "k"}, ""        \
    }

static const struct row rows[] = {
    FIRST("secrets", secrets, ""),
    FIRST("secrets-configmaps", secrets_configmaps, ""),
    FIRST("everything", everything, everything_why),
    FROM("from-aescbc", OLD_AESCBC),
    FROM("from-aesgcm", OLD_AESGCM),
    FROM("from-secretbox", OLD_SECRETBOX),
    FROM("from-kms", OLD_KMS),
    {{"leave", 2}, OLD_IDENTITY, secrets, {leave_learn, leave_write, NULL}, {"ko", "ok", NULL}, ""},
};

const struct generate_kind *generate_kind_at(size_t i)
{
    return i < ARRAY_LEN(rows) ? &rows[i].kind : NULL;
}

static enum kerr find_row(const char *kind, const struct row **ret, struct kerrinfo *e)
{
    char list[KERRINFO_TEXT_MAX / 2] = "";
    char shown[64];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].kind.name, kind) == 0) {
            *ret = &rows[i];
            return KERR_OK;
        }
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ",
                       rows[i].kind.name);
    }
    text_escape(bytes_of_text(kind), shown, sizeof shown);
    return kerr_set(e, KERR_USAGE, "unknown kind '%s'; expected one of: %s", shown, list);
}

/* ---- values ---- */

static bool is_made_of(const char *text, const char *characters)
{
    return *text != 0 && text[strspn(text, characters)] == 0;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789-"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static enum kerr check_values(const struct row *row, const struct generate_values *v,
                              struct kerrinfo *e)
{
    if (v->stage == 0 || v->stage > row->kind.stages) {
        return kerr_set(e, KERR_USAGE, "'%s' has stages 1 to %u", row->kind.name, row->kind.stages);
    }
    if (!is_made_of(v->provider_name, LOWER UPPER "._")) {
        return kerr_set(e, KERR_USAGE,
                        "name of the provider: expected letters, digits, '-', '.' "
                        "and '_'");
    }
    if (*v->socket_path != '/' || !is_made_of(v->socket_path, LOWER UPPER "._/+,")) {
        return kerr_set(e, KERR_USAGE,
                        "path of the socket: expected an absolute path of letters, digits and "
                        "-._/+,");
    }
    for (size_t i = 0; i < v->resource_count; i++) {
        if (!is_made_of(v->resources[i], LOWER UPPER ".*")) {
            return kerr_set(e, KERR_USAGE,
                            "resource %zu: expected a name such as secrets, "
                            "deployments.apps or *.*",
                            i + 1);
        }
    }
    return KERR_OK;
}

/* ---- text ---- */

static enum kerr put_kms(const struct generate_values *v, struct buf *to, struct kerrinfo *e)
{
    return buf_printf(to, e,
                      "      - kms:\n"
                      "          apiVersion: v2\n"
                      "          name: %s # part of every stored value: never change it\n"
                      "          endpoint: unix://%s\n"
                      "          timeout: 3s\n",
                      v->provider_name, v->socket_path);
}

static enum kerr put_resource(const char *name, struct buf *to, struct kerrinfo *e)
{
    const char *quote = strchr(name, '*') == NULL ? "" : "'"; /* an alias for YAML without them */
    return buf_printf(to, e, "      - %s%s%s\n", quote, name, quote);
}

static enum kerr put_resources(const struct row *row, const struct generate_values *v,
                               struct buf *to, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < v->resource_count && k == KERR_OK; i++) {
        k = put_resource(v->resources[i], to, e);
    }
    for (size_t i = 0; v->resource_count == 0 && row->resources[i] != NULL && k == KERR_OK; i++) {
        k = put_resource(row->resources[i], to, e);
    }
    return k;
}

static enum kerr put_body(const struct row *row, const struct generate_values *v, const char *order,
                          struct buf *to, struct kerrinfo *e)
{
    enum kerr k = buf_put_text(to,
                               "apiVersion: apiserver.config.k8s.io/v1\n"
                               "kind: EncryptionConfiguration\n"
                               "resources:\n"
                               "  - resources:\n",
                               e);
    k = k == KERR_OK ? put_resources(row, v, to, e) : k;
    k = k == KERR_OK ? buf_put_text(to, "    providers:\n", e) : k;
    for (const char *p = order; *p != 0 && k == KERR_OK; p++) {
        k = *p == 'k' ? put_kms(v, to, e) : buf_put_text(to, old_providers[row->old], e);
    }
    return k;
}

/* The same values with the plugin alone must make a file that loads. */
static enum kerr check_body(const struct row *row, const struct generate_values *v,
                            struct kerrinfo *e)
{
    AUTO_BUF text;
    AUTO_ENCRYPTION_CONFIG c = NULL;
    AUTO_LINT list = NULL;
    struct lint_facts facts = {.socket_path = v->socket_path};
    buf_init(&text, GENERATE_BYTES_MAX);
    enum kerr k = put_body(row, v, "k", &text, e);
    k = k == KERR_OK ? encryption_config_parse(buf_view(&text), "the file", &c, e) : k;
    k = k == KERR_OK ? lint_encryption_config(c, &facts, &list, e) : k;
    for (size_t i = 0; k == KERR_OK && i < list->count; i++) {
        const struct lint_finding *f = &list->items[i];
        if (lint_rules[f->rule].refused_from != NULL || f->rule == LINT_ENDPOINT_PATH) {
            k = kerr_set(e, KERR_CONFIG, "no good file: %s; %.200s", f->message, f->cure);
        }
    }
    return k;
}

enum kerr generate_encryption_config(const char *kind, const struct generate_values *values,
                                     struct buf *ret, struct kerrinfo *e)
{
    const struct row *row = NULL;
    enum kerr k = find_row(kind, &row, e);
    k = k == KERR_OK ? check_values(row, values, e) : k;
    k = k == KERR_OK ? check_body(row, values, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    k = buf_put_text(ret, row->comments[values->stage - 1], e);
    k = k == KERR_OK ? buf_put_text(ret, row->why, e) : k;
    return k == KERR_OK ? put_body(row, values, row->order[values->stage - 1], ret, e) : k;
}
