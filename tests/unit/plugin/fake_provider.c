/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plugin/fake_provider.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "provider/provider_ops.h"
#include "tests/lib/testlib.h"

struct fake_control fake;

void fake_reset(void)
{
    atomic_store(&fake.refresh_code, KERR_OK);
    atomic_store(&fake.call_code, KERR_OK);
    atomic_store(&fake.refresh_ms, 0);
    atomic_store(&fake.call_ms, 0);
    atomic_store(&fake.wanted, 1);
    atomic_store(&fake.serving, 0);
    atomic_store(&fake.refreshes, 0);
    atomic_store(&fake.is_sealed_final, false);
    atomic_store(&fake.must_wait, false);
    atomic_store(&fake.is_ailing, false);
}

static enum kerr fake_open_op(void *ctx, const struct config *config, struct kerrinfo *e)
{
    (void)ctx;
    (void)config;
    (void)e;
    return KERR_OK;
}

static void fake_close_op(void *ctx)
{
    (void)ctx;
}

static void wait_ms(unsigned ms)
{
    if (ms > 0) {
        (void)usleep(ms * 1000);
    }
}

static enum kerr fake_refresh(void *ctx, bool *ret_changed, struct kerrinfo *e)
{
    (void)ctx;
    wait_ms(atomic_load(&fake.refresh_ms));
    (void)atomic_fetch_add(&fake.refreshes, 1);
    enum kerr k = (enum kerr)atomic_load(&fake.refresh_code);
    if (k != KERR_OK) {
        return kerr_set(e, k, "the fake does not refresh");
    }
    unsigned wanted = atomic_load(&fake.wanted);
    *ret_changed = atomic_exchange(&fake.serving, wanted) != wanted;
    return KERR_OK;
}

static bool fake_watch(const void *ctx, const char **ret_folder, const char **ret_name)
{
    (void)ctx;
    (void)ret_folder;
    (void)ret_name;
    return false;
}

static void fake_info(void *ctx, struct provider_info *ret)
{
    (void)ctx;
    unsigned generation = atomic_load(&fake.serving);
    ret->is_serving = generation != 0;
    ret->is_sealed_final = atomic_load(&fake.is_sealed_final);
    ret->generation = generation;
    if (generation != 0) {
        (void)snprintf(ret->store_id, sizeof ret->store_id, "%s", "fake-store");
        (void)snprintf(ret->current_key_id, sizeof ret->current_key_id, "fake-%u", generation);
        (void)snprintf(ret->opened_by, sizeof ret->opened_by, "%s", "test (fake)");
        ret->keys[0].state = "primary";
        memcpy(ret->keys[0].id, ret->current_key_id, sizeof ret->keys[0].id);
        ret->key_count = 1;
    }
}

static enum kerr must_wait(const struct provider_turn *turn, struct kerrinfo *e)
{
    bool must = atomic_load(&fake.must_wait) && !turn->may_wait;
    return must ? kerr_set(e, KERR_WAITS, "the fake wants to wait") : KERR_OK;
}

/* The generation that answers, or 0 and the code. */
static enum kerr begin(unsigned *ret, struct kerrinfo *e)
{
    wait_ms(atomic_load(&fake.call_ms));
    enum kerr k = (enum kerr)atomic_load(&fake.call_code);
    unsigned generation = atomic_load(&fake.serving);
    if (k == KERR_OK && generation == 0) {
        k = KERR_UNSEALING;
    }
    if (k != KERR_OK) {
        return kerr_set(e, k, "/secret/path: the fake says %s", kerr_name(k));
    }
    *ret = generation;
    return KERR_OK;
}

static bool fake_due(void *ctx, uint64_t *ret_ms)
{
    (void)ctx;
    (void)ret_ms;
    return false;
}

static enum kerr fake_current(void *ctx, char *to, const char **ret_health, struct kerrinfo *e)
{
    (void)ctx;
    *ret_health = atomic_load(&fake.is_ailing) ? "the fake ails" : "ok";
    unsigned generation = 0;
    enum kerr k = begin(&generation, e);
    if (k == KERR_OK) {
        (void)snprintf(to, PROVIDER_KEY_ID_MAX + 1, "fake-%u", generation);
    }
    return k;
}

static enum kerr fake_wrap(void *ctx, const struct provider_turn *turn, struct bytes plaintext,
                           struct provider_wrapped *ret, struct kerrinfo *e)
{
    (void)ctx;
    static const char name[] = "test.etcdseal.internal";
    unsigned generation = 0;
    enum kerr k = must_wait(turn, e);
    k = k == KERR_OK ? begin(&generation, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    (void)snprintf(ret->key_id, sizeof ret->key_id, "fake-%u", generation);
    ret->ciphertext[0] = (uint8_t)generation;
    memcpy(ret->ciphertext + 1, plaintext.ptr, plaintext.len);
    ret->ciphertext_len = plaintext.len + 1;
    ret->annotation_bytes[0] = (uint8_t)generation;
    ret->annotations.count = 1;
    ret->annotations.rows[0].name = bytes_of_text(name);
    ret->annotations.rows[0].value = bytes_of(ret->annotation_bytes, 1);
    return KERR_OK;
}

static enum kerr fake_unwrap(void *ctx, const struct provider_turn *turn, struct bytes key_id,
                             struct bytes ciphertext,
                             const struct provider_annotations *annotations, struct secret **ret,
                             const char **ret_state, struct kerrinfo *e)
{
    (void)ctx;
    if (must_wait(turn, NULL) != KERR_OK) {
        return must_wait(turn, e);
    }
    unsigned generation = 0;
    char want[32];
    if (bytes_equal_text(key_id, "fake-disabled")) {
        *ret_state = "disabled";
        return kerr_set(e, KERR_STATE, "disabled");
    }
    enum kerr k = begin(&generation, e);
    if (k != KERR_OK) {
        return k;
    }
    (void)snprintf(want, sizeof want, "fake-%u", *ciphertext.ptr);
    if (key_id.len < 5 || memcmp(key_id.ptr, "fake-", 5) != 0) {
        return kerr_set(e, KERR_KEYID, "not mine");
    }
    *ret_state = "primary";
    bool is_annotated = annotations->count == 1 && annotations->rows[0].value.len == 1 &&
                        *annotations->rows[0].value.ptr == *ciphertext.ptr;
    if (!bytes_equal_text(key_id, want) || !is_annotated) {
        return kerr_set(e, KERR_INTEGRITY, "forged");
    }
    return secret_from_bytes(bytes_of(ciphertext.ptr + 1, ciphertext.len - 1), ret, e);
}

static const struct provider_ops fake_ops = {
    .name = "fake",
    .key_prefix = "fake-",
    .kind = CONFIG_PROVIDER_LOCAL,
    .may_wait = true,
    .ctx_bytes = 1,
    .open = fake_open_op,
    .close = fake_close_op,
    .refresh = fake_refresh,
    .watch = fake_watch,
    .due = fake_due,
    .info = fake_info,
    .current = fake_current,
    .wrap = fake_wrap,
    .unwrap = fake_unwrap,
};

struct provider *fake_open(void)
{
    static const struct provider_ops *const tables[] = {&fake_ops};
    static struct config config;
    struct kerrinfo e = {0};
    struct provider *p = NULL;
    assert_ok(&e, provider_open_with(tables, 1, &config, &p, &e));
    return p;
}
