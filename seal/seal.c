/* SPDX-License-Identifier: Apache-2.0 */
#include "seal/seal.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "seal/seal_ops.h"

/* A word of at most so many bytes before ':' may be the mistyped name of a kind. */
#define KIND_SHOWN_MAX 12

static const struct seal_ops *find(uint8_t kind)
{
    for (size_t i = 0; i < seal_kinds_count; i++) {
        if (seal_kinds[i]->kind == kind) {
            return seal_kinds[i];
        }
    }
    return NULL;
}

static const struct seal_ops *find_name(struct bytes name)
{
    for (size_t i = 0; i < seal_kinds_count; i++) {
        if (bytes_equal_text(name, seal_kinds[i]->name)) {
            return seal_kinds[i];
        }
    }
    return NULL;
}

/* A SPEC was parsed, so its kind is one of the table. */
static const struct seal_ops *ops_of(const struct seal_spec *spec)
{
    const struct seal_ops *ops = find(spec->kind);
    if (ops == NULL) {
        abort();
    }
    return ops;
}

const char *seal_kind_name(uint8_t kind)
{
    const struct seal_ops *ops = find(kind);
    return ops == NULL ? NULL : ops->name;
}

size_t seal_kind_count(void)
{
    return seal_kinds_count;
}

uint8_t seal_kind_at(size_t i)
{
    return seal_kinds[i]->kind;
}

enum kerr seal_check_slot_name(struct bytes name, struct kerrinfo *e)
{
    bool is_good = name.len > 0 && name.len <= SEAL_SLOT_NAME_MAX && name.ptr[0] != '-';
    for (size_t i = 0; i < name.len && is_good; i++) {
        uint8_t c = name.ptr[i];
        is_good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    }
    if (!is_good) {
        char shown[80];
        text_escape(name, shown, sizeof shown);
        return kerr_set(e, KERR_INPUT,
                        "slot name \"%s\": expected 1 to %d of a-z, 0-9 and '-', not '-' first",
                        shown, SEAL_SLOT_NAME_MAX);
    }
    return KERR_OK;
}

/* Only what may be the name of a kind is repeated: the rest may be a passphrase put there by
 * mistake. */
static enum kerr unknown_kind(struct bytes kind, struct kerrinfo *e)
{
    char known[128] = "";
    for (size_t i = 0; i < seal_kinds_count; i++) {
        size_t used = strlen(known);
        struct writer w = writer_on(known + used, sizeof known - 1 - used);
        write_raw(&w, bytes_of_text(i == 0 ? "" : ", "));
        write_raw(&w, bytes_of_text(seal_kinds[i]->name));
        write_raw(&w, bytes_of_text(":"));
        write_raw(&w, bytes_of_text(seal_kinds[i]->arg_help));
        known[used + w.len] = 0;
    }
    bool is_shown = seal_check_slot_name(kind, NULL) == KERR_OK && kind.len <= KIND_SHOWN_MAX;
    return kerr_set(e, KERR_INPUT,
                    "no seal of a known kind%s%.*s: expected [NAME=]KIND:ARGUMENT, "
                    "kinds are %s",
                    is_shown ? ", but " : "", is_shown ? (int)kind.len : 0,
                    is_shown ? (const char *)kind.ptr : "", known);
}

enum kerr seal_spec_parse(const char *text, struct seal_spec *ret, struct kerrinfo *e)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL) {
        return unknown_kind(bytes_of(NULL, 0), e);
    }
    const char *equal = memchr(text, '=', (size_t)(colon - text));
    const char *kind = equal == NULL ? text : equal + 1;
    struct bytes kind_name = bytes_of(kind, (size_t)(colon - kind));
    const struct seal_ops *ops = find_name(kind_name);
    if (ops == NULL) {
        return unknown_kind(kind_name, e);
    }
    struct bytes slot =
        equal == NULL ? bytes_of_text(ops->name) : bytes_of(text, (size_t)(equal - text));
    enum kerr k = seal_check_slot_name(slot, e);
    if (k == KERR_OK) {
        k = ops->check_arg(colon + 1, e);
    }
    AUTO_SPEC out = {.kind = ops->kind};
    if (k == KERR_OK) {
        k = text_dup(slot, &out.slot, e);
    }
    if (k == KERR_OK) {
        k = text_dup(bytes_of_text(kind), &out.text, e);
    }
    if (k == KERR_OK) {
        k = text_dup(bytes_of_text(colon + 1), &out.arg, e);
    }
    if (k == KERR_OK) {
        *ret = out;
        out = (struct seal_spec){0};
    }
    return k;
}

void seal_spec_done(struct seal_spec *s)
{
    free(s->slot);
    free(s->text);
    free(s->arg);
    *s = (struct seal_spec){0};
}

enum kerr seal_spec_keep(const struct seal_spec *s, char **ret, struct kerrinfo *e)
{
    const struct seal_ops *ops = ops_of(s);
    bool is_lasting = ops->keep_arg == NULL || strncmp(s->arg, "file=", 5) == 0;
    AUTO_BUF text;
    buf_init(&text, strlen(s->text) + 32);
    enum kerr k = buf_printf(&text, e, "%s:%s", ops->name, is_lasting ? s->arg : ops->keep_arg);
    return k == KERR_OK ? text_dup(buf_view(&text), ret, e) : k;
}

unsigned seal_spec_caps(const struct seal_spec *s)
{
    return ops_of(s)->caps(s->arg);
}

const char *seal_warning(const struct seal_spec *s, const struct seal_env *env)
{
    return ops_of(s)->warning(s->arg, env);
}

enum kerr seal_check(const struct seal_record *record, struct kerrinfo *e)
{
    const struct seal_ops *ops = find(record->kind);
    if (ops == NULL) {
        return kerr_set(e, KERR_UNSUP, "seal kind %u is not known to this version", record->kind);
    }
    if (record->params_len > SEAL_PARAMS_MAX || record->blob_len == 0 ||
        record->blob_len > SEAL_BLOB_MAX) {
        return kerr_set(e, KERR_FORMAT, "a %s seal of %zu and %zu bytes", ops->name,
                        record->params_len, record->blob_len);
    }
    return ops->check_params(bytes_of(record->params, record->params_len), e);
}

enum kerr seal_wrap(const struct seal_spec *spec, const struct seal_env *env, struct bytes binding,
                    const struct secret *secret, struct seal_record *ret, struct kerrinfo *e)
{
    if (secret_len(secret) != SEAL_SECRET_BYTES) {
        return kerr_set(e, KERR_BUG, "a slot secret of %zu bytes", secret_len(secret));
    }
    struct seal_record out = {.kind = spec->kind};
    struct seal_env named = *env;
    named.slot = spec->slot;
    enum kerr k = ops_of(spec)->wrap(spec->arg, &named, binding, secret, &out, e);
    if (k == KERR_OK) {
        k = seal_check(&out, e);
    }
    if (k == KERR_OK) {
        *ret = out;
    }
    return k;
}

enum kerr seal_unwrap(const struct seal_spec *spec, const struct seal_env *env,
                      struct bytes binding, const struct seal_record *record, struct secret **ret,
                      struct kerrinfo *e)
{
    enum kerr k = seal_check(record, e);
    if (k != KERR_OK) {
        return k;
    }
    if (record->kind != spec->kind) {
        return kerr_set(e, KERR_INPUT, "slot %s has a %s seal, but is to be opened with %s",
                        spec->slot, seal_kind_name(record->kind), spec->text);
    }
    AUTO_SECRET out = NULL;
    struct seal_env named = *env;
    named.slot = spec->slot;
    k = ops_of(spec)->unwrap(spec->arg, &named, binding, record, &out, e);
    if (k != KERR_OK) {
        return k;
    }
    if (secret_len(out) != SEAL_SECRET_BYTES) {
        return kerr_set(e, KERR_INTEGRITY, "slot %s: the seal gave %zu bytes", spec->slot,
                        secret_len(out));
    }
    *ret = secret_take(&out);
    return KERR_OK;
}

bool seal_is_worse(enum kerr a, enum kerr b)
{
    static const enum kerr order[] = {KERR_UNTRUSTED, KERR_INTEGRITY, KERR_FORMAT, KERR_UNSUP,
                                      KERR_LIMIT,     KERR_DENIED,    KERR_INPUT,  KERR_IO,
                                      KERR_DOWN,      KERR_NOTFOUND,  KERR_SEALED};
    size_t rank_a = ARRAY_LEN(order);
    size_t rank_b = ARRAY_LEN(order);
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        rank_a = order[i] == a ? i : rank_a;
        rank_b = order[i] == b ? i : rank_b;
    }
    return rank_a < rank_b;
}
