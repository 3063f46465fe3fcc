/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/provider.h"

#include <stdlib.h>
#include <string.h>

#include "provider/provider_ops.h"

struct provider {
    const struct provider_ops *ops;
    void *ctx;
};

static const char bad_answer[] = "the provider gave an answer outside its contract";

/* Codes that provider.h lists for a function; the first row may come from any. */
#define MAY(code)   (1U << KERR_##code)
#define MAY_ALWAYS  (MAY(OK) | MAY(BUG) | MAY(NOMEM))
#define MAY_OPEN    (MAY_ALWAYS | MAY(CONFIG))
#define MAY_CURRENT (MAY_ALWAYS | MAY(UNSEALING) | MAY(SEALED))
#define MAY_WRAP    (MAY_CURRENT | MAY(INPUT) | MAY(LIMIT))
#define MAY_UNWRAP  (MAY_WRAP | MAY(KEYID) | MAY(STATE) | MAY(INTEGRITY))

static enum kerr only(enum kerr k, unsigned may, struct kerrinfo *e)
{
    if (k < KERR_COUNT && (may >> k & 1U) != 0) {
        return k;
    }
    kerr_clear(e);
    return kerr_set(e, KERR_BUG, "%s: code %s", bad_answer, kerr_name(k));
}

enum kerr provider_open_with(const struct provider_ops *ops, const struct config *config,
                             struct provider **ret, struct kerrinfo *e)
{
    struct provider *p = calloc(1, sizeof *p);
    void *ctx = calloc(1, ops->ctx_bytes);
    if (p == NULL || ctx == NULL) {
        free(p);
        free(ctx);
        return kerr_set(e, KERR_NOMEM, "no memory for provider %s", ops->name);
    }
    *p = (struct provider){.ops = ops, .ctx = ctx};
    enum kerr k = only(ops->open(ctx, config, e), MAY_OPEN, e);
    if (k != KERR_OK) {
        provider_close(p);
        return k;
    }
    *ret = p;
    return KERR_OK;
}

enum kerr provider_open(const struct config *config, struct provider **ret, struct kerrinfo *e)
{
    for (size_t i = 0; i < provider_kinds_count; i++) {
        if (provider_kinds[i]->kind == config->provider) {
            return provider_open_with(provider_kinds[i], config, ret, e);
        }
    }
    return kerr_set(e, KERR_CONFIG, "provider %d does not exist", (int)config->provider);
}

void provider_close(struct provider *p)
{
    if (p != NULL) {
        p->ops->close(p->ctx);
        free(p->ctx);
        free(p);
    }
}

enum kerr provider_refresh(struct provider *p, bool *ret_changed, struct kerrinfo *e)
{
    return p->ops->refresh(p->ctx, ret_changed, e);
}

bool provider_watch(const struct provider *p, const char **ret_folder, const char **ret_name)
{
    return p->ops->watch(p->ctx, ret_folder, ret_name);
}

void provider_info(struct provider *p, struct provider_info *ret)
{
    *ret = (struct provider_info){.name = p->ops->name};
    p->ops->info(p->ctx, ret);
}

static bool is_key_id(const char id[static PROVIDER_KEY_ID_MAX + 1])
{
    size_t len = strnlen(id, PROVIDER_KEY_ID_MAX + 1);
    return len > 0 && len <= PROVIDER_KEY_ID_MAX;
}

enum kerr provider_current(struct provider *p, char *to, struct kerrinfo *e)
{
    char id[PROVIDER_KEY_ID_MAX + 1] = "";
    enum kerr k = only(p->ops->current(p->ctx, id, e), MAY_CURRENT, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!is_key_id(id)) {
        return kerr_set(e, KERR_BUG, "%s", bad_answer);
    }
    memcpy(to, id, strlen(id) + 1);
    return KERR_OK;
}

static size_t annotation_bytes(const struct provider_annotations *a)
{
    size_t sum = 0;
    for (size_t i = 0; i < a->count; i++) {
        sum += a->rows[i].name.len + a->rows[i].value.len;
    }
    return sum;
}

static void forget(struct provider_wrapped *w)
{
    w->key_id[0] = 0;
    w->ciphertext_len = 0;
    w->annotations.count = 0;
}

static bool is_sound(const struct provider_wrapped *w)
{
    return is_key_id(w->key_id) && w->ciphertext_len > 0 &&
           w->ciphertext_len <= sizeof w->ciphertext &&
           w->annotations.count <= PROVIDER_ANNOTATIONS_MAX &&
           annotation_bytes(&w->annotations) <= PROVIDER_ANNOTATIONS_MAX_BYTES;
}

enum kerr provider_wrap(struct provider *p, struct bytes plaintext, struct provider_wrapped *ret,
                        struct kerrinfo *e)
{
    if (plaintext.len == 0) {
        return kerr_set(e, KERR_INPUT, "the plaintext is empty");
    }
    if (plaintext.len > PROVIDER_PLAINTEXT_MAX) {
        return kerr_set(e, KERR_LIMIT, "the plaintext has more than %d bytes",
                        PROVIDER_PLAINTEXT_MAX);
    }
    forget(ret);
    enum kerr k = only(p->ops->wrap(p->ctx, plaintext, ret, e), MAY_WRAP, e);
    if (k == KERR_OK && !is_sound(ret)) {
        k = kerr_set(e, KERR_BUG, "%s", bad_answer);
    }
    if (k != KERR_OK) {
        forget(ret);
    }
    return k;
}

enum kerr provider_unwrap(struct provider *p, struct bytes key_id, struct bytes ciphertext,
                          const struct provider_annotations *annotations, struct secret **ret,
                          const char **ret_state, struct kerrinfo *e)
{
    *ret_state = NULL;
    if (key_id.len == 0 || ciphertext.len == 0) {
        return kerr_set(e, KERR_INPUT, "key id or ciphertext is empty");
    }
    if (key_id.len > PROVIDER_KEY_ID_MAX || ciphertext.len > PROVIDER_CIPHERTEXT_MAX ||
        annotations->count > PROVIDER_ANNOTATIONS_MAX ||
        annotation_bytes(annotations) > PROVIDER_ANNOTATIONS_MAX_BYTES) {
        return kerr_set(e, KERR_LIMIT, "key id, ciphertext or annotations are too large");
    }
    AUTO_SECRET out = NULL;
    enum kerr k = only(p->ops->unwrap(p->ctx, key_id, ciphertext, annotations, &out, ret_state, e),
                       MAY_UNWRAP, e);
    if (k != KERR_OK) {
        return k;
    }
    if (out == NULL) {
        return kerr_set(e, KERR_BUG, "%s", bad_answer);
    }
    *ret = secret_take(&out);
    return KERR_OK;
}
