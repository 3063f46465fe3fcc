/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/provider.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider/provider_ops.h"

/* One provider of several. */
struct part {
    const struct provider_ops *ops;
    void *ctx;
    char warning[KERRINFO_TEXT_MAX]; /* why its last refresh failed; of parts behind the first */
};

struct provider {
    struct part parts[PROVIDER_PARTS_MAX]; /* the first one wraps */
    size_t count;
    pthread_mutex_t lock; /* guards the warnings */
};

static const char bad_answer[] = "the provider gave an answer outside its contract";

/* Codes that provider.h lists for a function; the first row may come from any. */
#define MAY(code)   (1U << KERR_##code)
#define MAY_ALWAYS  (MAY(OK) | MAY(BUG) | MAY(NOMEM))
#define MAY_OPEN    (MAY_ALWAYS | MAY(CONFIG))
#define MAY_CURRENT (MAY_ALWAYS | MAY(UNSEALING) | MAY(SEALED) | MAY(DOWN) | MAY(DENIED))
#define MAY_WRAP    (MAY_CURRENT | MAY(INPUT) | MAY(LIMIT) | MAY(TIMEOUT) | MAY(WAITS))
#define MAY_UNWRAP  (MAY_WRAP | MAY(KEYID) | MAY(STATE) | MAY(INTEGRITY))

static enum kerr only(enum kerr k, unsigned may, struct kerrinfo *e)
{
    if (k < KERR_COUNT && (may >> k & 1U) != 0) {
        return k;
    }
    kerr_clear(e);
    return kerr_set(e, KERR_BUG, "%s: code %s", bad_answer, kerr_name(k));
}

static enum kerr open_part(struct provider *p, const struct provider_ops *ops,
                           const struct config *config, struct kerrinfo *e)
{
    void *ctx = calloc(1, ops->ctx_bytes);
    if (ctx == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for provider %s", ops->name);
    }
    p->parts[p->count++] = (struct part){.ops = ops, .ctx = ctx};
    return only(ops->open(ctx, config, e), MAY_OPEN, e);
}

enum kerr provider_open_with(const struct provider_ops *const *ops, size_t count,
                             const struct config *config, struct provider **ret, struct kerrinfo *e)
{
    struct provider *p = calloc(1, sizeof *p);
    if (p == NULL || pthread_mutex_init(&p->lock, NULL) != 0) {
        free(p);
        return kerr_set(e, KERR_NOMEM, "no memory for provider %s", ops[0]->name);
    }
    enum kerr k = KERR_OK;
    for (size_t i = 0; i < count && k == KERR_OK; i++) {
        k = open_part(p, ops[i], config, e);
    }
    if (k != KERR_OK) {
        provider_close(p);
        return k;
    }
    *ret = p;
    return KERR_OK;
}

static const struct provider_ops *find_kind(unsigned kind)
{
    for (size_t i = 0; i < provider_kinds_count; i++) {
        if (provider_kinds[i]->kind == kind) {
            return provider_kinds[i];
        }
    }
    return NULL;
}

enum kerr provider_open(const struct config *config, struct provider **ret, struct kerrinfo *e)
{
    const struct provider_ops *ops[PROVIDER_PARTS_MAX] = {find_kind(config->provider)};
    size_t count = 1;
    if (ops[0] == NULL) {
        return kerr_set(e, KERR_CONFIG, "provider %d does not exist", (int)config->provider);
    }
    for (size_t i = 0; i < provider_kinds_count && count < PROVIDER_PARTS_MAX; i++) {
        if ((config->also_unwrap >> provider_kinds[i]->kind & 1U) != 0) {
            ops[count++] = provider_kinds[i];
        }
    }
    return provider_open_with(ops, count, config, ret, e);
}

void provider_close(struct provider *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        p->parts[i].ops->close(p->parts[i].ctx);
        free(p->parts[i].ctx);
    }
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

static void set_warning(struct provider *p, struct part *part, const char *text)
{
    (void)pthread_mutex_lock(&p->lock);
    (void)snprintf(part->warning, sizeof part->warning, "%s", text);
    (void)pthread_mutex_unlock(&p->lock);
}

static bool refresh_behind(struct provider *p, struct part *part)
{
    struct kerrinfo why = {0};
    bool is_changed = false;
    if (part->ops->refresh(part->ctx, &is_changed, &why) != KERR_OK) {
        kerr_prefix(&why, "also_unwrap: %s", part->ops->name);
    }
    set_warning(p, part, why.text);
    return is_changed;
}

/* The one that wraps first: a key service that hangs must not keep it waiting. */
enum kerr provider_refresh(struct provider *p, bool *ret_changed, struct kerrinfo *e)
{
    enum kerr k = p->parts[0].ops->refresh(p->parts[0].ctx, ret_changed, e);
    bool is_changed = false;
    for (size_t i = 1; i < p->count; i++) {
        is_changed = refresh_behind(p, &p->parts[i]) || is_changed;
    }
    if (k == KERR_OK && is_changed) {
        *ret_changed = true;
    }
    return k;
}

bool provider_watch(const struct provider *p, const char **ret_folder, const char **ret_name)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->parts[i].ops->watch(p->parts[i].ctx, ret_folder, ret_name)) {
            return true;
        }
    }
    return false;
}

bool provider_due(struct provider *p, uint64_t *ret_ms)
{
    bool is_due = false;
    for (size_t i = 0; i < p->count; i++) {
        uint64_t ms = 0;
        if (p->parts[i].ops->due(p->parts[i].ctx, &ms)) {
            *ret_ms = is_due && *ret_ms < ms ? *ret_ms : ms;
            is_due = true;
        }
    }
    return is_due;
}

bool provider_may_wait(const struct provider *p)
{
    bool may = false;
    for (size_t i = 0; i < p->count; i++) {
        may = may || p->parts[i].ops->may_wait;
    }
    return may;
}

/* What people see of a provider that only unwraps: its keys, and what is wrong with it. */
static void add_info(struct provider *p, struct part *part, struct provider_info *ret)
{
    struct provider_info more = {.name = part->ops->name};
    part->ops->info(part->ctx, &more);
    for (size_t i = 0; i < more.key_count && ret->key_count < PROVIDER_INFO_KEYS; i++) {
        struct provider_key *to = &ret->keys[ret->key_count++];
        *to = more.keys[i];
        if (strcmp(to->state, "primary") == 0) {
            to->state = "retired"; /* it does not wrap here */
        }
    }
    if (more.remote.is_there && !ret->remote.is_there) {
        ret->remote = more.remote;
    }
    (void)pthread_mutex_lock(&p->lock);
    const char *warning = *part->warning != 0 ? part->warning : more.warning;
    if (*ret->warning == 0) {
        (void)snprintf(ret->warning, sizeof ret->warning, "%s", warning);
    }
    (void)pthread_mutex_unlock(&p->lock);
}

void provider_info(struct provider *p, struct provider_info *ret)
{
    *ret = (struct provider_info){.name = p->parts[0].ops->name};
    p->parts[0].ops->info(p->parts[0].ctx, ret);
    for (size_t i = 1; i < p->count; i++) {
        add_info(p, &p->parts[i], ret);
    }
}

static bool is_key_id(const char id[static PROVIDER_KEY_ID_MAX + 1])
{
    size_t len = strnlen(id, PROVIDER_KEY_ID_MAX + 1);
    return len > 0 && len <= PROVIDER_KEY_ID_MAX;
}

enum kerr provider_current(struct provider *p, char *to, const char **ret_health,
                           struct kerrinfo *e)
{
    char id[PROVIDER_KEY_ID_MAX + 1] = "";
    const char *health = "ok";
    enum kerr k = only(p->parts[0].ops->current(p->parts[0].ctx, id, &health, e), MAY_CURRENT, e);
    if (k != KERR_OK) {
        return k;
    }
    if (!is_key_id(id)) {
        return kerr_set(e, KERR_BUG, "%s", bad_answer);
    }
    memcpy(to, id, strlen(id) + 1);
    *ret_health = health;
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

enum kerr provider_wrap(struct provider *p, const struct provider_turn *turn,
                        struct bytes plaintext, struct provider_wrapped *ret, struct kerrinfo *e)
{
    if (plaintext.len == 0) {
        return kerr_set(e, KERR_INPUT, "the plaintext is empty");
    }
    if (plaintext.len > PROVIDER_PLAINTEXT_MAX) {
        return kerr_set(e, KERR_LIMIT, "the plaintext has more than %d bytes",
                        PROVIDER_PLAINTEXT_MAX);
    }
    forget(ret);
    enum kerr k =
        only(p->parts[0].ops->wrap(p->parts[0].ctx, turn, plaintext, ret, e), MAY_WRAP, e);
    if (k == KERR_OK && !is_sound(ret)) {
        k = kerr_set(e, KERR_BUG, "%s", bad_answer);
    }
    if (k != KERR_OK) {
        forget(ret);
    }
    return k;
}

/* The provider whose key the id names; the first one when it is nobody's. */
static struct part *owner_of(struct provider *p, struct bytes key_id)
{
    for (size_t i = 0; i < p->count; i++) {
        size_t len = strlen(p->parts[i].ops->key_prefix);
        if (key_id.len >= len && memcmp(key_id.ptr, p->parts[i].ops->key_prefix, len) == 0) {
            return &p->parts[i];
        }
    }
    return &p->parts[0];
}

enum kerr provider_unwrap(struct provider *p, const struct provider_turn *turn, struct bytes key_id,
                          struct bytes ciphertext, const struct provider_annotations *annotations,
                          struct secret **ret, const char **ret_state, struct kerrinfo *e)
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
    const struct part *part = owner_of(p, key_id);
    enum kerr k = only(
        part->ops->unwrap(part->ctx, turn, key_id, ciphertext, annotations, &out, ret_state, e),
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
