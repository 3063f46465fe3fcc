/* SPDX-License-Identifier: Apache-2.0 */
/* provider.c alone, over a table whose answers each test chooses. */
#include <stdlib.h>
#include <string.h>

#include "provider/provider_ops.h"
#include "tests/unit/provider/parts.h"

/* What the table answers, and what it saw. */
static struct fake {
    enum kerr code;
    char key_id[PROVIDER_KEY_ID_MAX + 1];
    size_t ciphertext_len;
    struct provider_annotations annotations;
    bool gives_secret;
    const char *health;
    uint64_t due_ms;
    size_t calls;
    size_t closes;
} fake;

static enum kerr answer(struct kerrinfo *e)
{
    fake.calls++;
    return fake.code == KERR_OK ? KERR_OK : kerr_set(e, fake.code, "as the test wants");
}

static enum kerr fake_open(void *ctx, const struct config *config, struct kerrinfo *e)
{
    (void)ctx;
    (void)config;
    return answer(e);
}

static void fake_close(void *ctx)
{
    (void)ctx;
    fake.closes++;
}

static enum kerr fake_refresh(void *ctx, bool *ret_changed, struct kerrinfo *e)
{
    (void)ctx;
    *ret_changed = true;
    return answer(e);
}

static bool fake_watch(const void *ctx, const char **ret_folder, const char **ret_name)
{
    (void)ctx;
    *ret_folder = "/folder";
    *ret_name = "name";
    return true;
}

static void fake_info(void *ctx, struct provider_info *ret)
{
    (void)ctx;
    ret->generation = 7;
}

static bool fake_due(void *ctx, uint64_t *ret_ms)
{
    (void)ctx;
    *ret_ms = fake.due_ms;
    return fake.due_ms != 0;
}

static enum kerr fake_current(void *ctx, char *to, const char **ret_health, struct kerrinfo *e)
{
    (void)ctx;
    *ret_health = fake.health;
    memcpy(to, fake.key_id, sizeof fake.key_id);
    return answer(e);
}

static enum kerr fake_wrap(void *ctx, const struct provider_turn *turn, struct bytes plaintext,
                           struct provider_wrapped *ret, struct kerrinfo *e)
{
    (void)ctx;
    (void)turn;
    (void)plaintext;
    memcpy(ret->key_id, fake.key_id, sizeof fake.key_id);
    ret->ciphertext_len = fake.ciphertext_len;
    ret->annotations = fake.annotations;
    return answer(e);
}

static enum kerr fake_unwrap(void *ctx, const struct provider_turn *turn, struct bytes key_id,
                             struct bytes ciphertext,
                             const struct provider_annotations *annotations, struct secret **ret,
                             const char **ret_state, struct kerrinfo *e)
{
    (void)ctx;
    (void)turn;
    (void)key_id;
    (void)ciphertext;
    (void)annotations;
    *ret_state = "primary";
    if (fake.gives_secret) {
        assert_int_equal(secret_from_bytes(bytes_of_text("plaintext"), ret, NULL), KERR_OK);
    }
    return answer(e);
}

static const struct provider_ops table = {
    .name = "fake",
    .key_prefix = "fake-",
    .ctx_bytes = 1,
    .open = fake_open,
    .close = fake_close,
    .refresh = fake_refresh,
    .watch = fake_watch,
    .due = fake_due,
    .info = fake_info,
    .current = fake_current,
    .wrap = fake_wrap,
    .unwrap = fake_unwrap,
};

static const struct provider_ops *const tables[] = {&table};

static struct provider *p;
static const struct config config = {.file = NULL};

static int start(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, secret_start(SECRET_LOCK_STRICT, &e));
    fake = (struct fake){
        .key_id = "key-1", .ciphertext_len = 40, .gives_secret = true, .health = "ok"};
    assert_ok(&e, provider_open_with(tables, 1, &config, &p, &e));
    fake.calls = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    provider_close(p);
    assert_int_equal(fake.closes, 1);
    return 0;
}

static enum kerr try_current(struct kerrinfo *e)
{
    char id[PROVIDER_KEY_ID_MAX + 1] = "untouched";
    const char *health = NULL;
    enum kerr k = provider_current(p, id, &health, e);
    assert_string_equal(id, k == KERR_OK ? "key-1" : "untouched");
    return k;
}

static enum kerr try_wrap_of(size_t len, struct kerrinfo *e)
{
    static const uint8_t plain[PROVIDER_PLAINTEXT_MAX + 1];
    static struct provider_wrapped w;
    memset(&w, 0, sizeof w);
    enum kerr k = provider_wrap(p, &parts_turn, bytes_of(plain, len), &w, e);
    if (k != KERR_OK) {
        assert_int_equal(w.key_id[0], 0);
        assert_int_equal(w.ciphertext_len, 0);
        assert_int_equal(w.annotations.count, 0);
    }
    return k;
}

static enum kerr try_wrap(struct kerrinfo *e)
{
    return try_wrap_of(32, e);
}

static enum kerr try_unwrap_of(size_t id_len, size_t len, const struct provider_annotations *a,
                               const char **state, struct kerrinfo *e)
{
    static uint8_t bytes[PROVIDER_CIPHERTEXT_MAX + 1];
    AUTO_SECRET out = NULL;
    enum kerr k = provider_unwrap(p, &parts_turn, bytes_of(bytes, id_len), bytes_of(bytes, len), a,
                                  &out, state, e);
    assert_true((k == KERR_OK) == (out != NULL));
    return k;
}

static enum kerr try_unwrap(struct kerrinfo *e)
{
    const char *state = NULL;
    return try_unwrap_of(5, 40, &parts_none, &state, e);
}

static enum kerr try_open(struct kerrinfo *e)
{
    struct provider *other = NULL;
    size_t closes = fake.closes;
    enum kerr k = provider_open_with(tables, 1, &config, &other, e);
    assert_true((k == KERR_OK) == (other != NULL));
    provider_close(other);
    assert_int_equal(fake.closes, closes + 1); /* whether it opened or not */
    fake.closes = closes;
    return k;
}

static void good_answers_pass(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, try_open(&e));
    assert_ok(&e, try_current(&e));
    assert_ok(&e, try_wrap(&e));
    assert_ok(&e, try_unwrap(&e));
}

#define LISTED(code) (1ULL << KERR_##code)

/* provider.h lists the codes of each function; what a provider answers beside them is our bug and
 * must not travel to the API server as something else. */
static void codes_that_are_not_listed_become_bugs(void **state)
{
    (void)state;
    static const unsigned long long always = LISTED(OK) | LISTED(BUG) | LISTED(NOMEM);
    static const unsigned long long sealed =
        LISTED(UNSEALING) | LISTED(SEALED) | LISTED(DOWN) | LISTED(DENIED);
    static const unsigned long long waiting = LISTED(TIMEOUT) | LISTED(WAITS);
    const struct {
        enum kerr (*call)(struct kerrinfo *e);
        unsigned long long listed;
    } rows[] = {
        {try_open, always | LISTED(CONFIG)},
        {try_current, always | sealed},
        {try_wrap, always | sealed | waiting | LISTED(INPUT) | LISTED(LIMIT)},
        {try_unwrap, always | sealed | waiting | LISTED(INPUT) | LISTED(LIMIT) | LISTED(KEYID) |
                         LISTED(STATE) | LISTED(INTEGRITY)},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int code = 0; code < KERR_COUNT; code++) {
            struct kerrinfo e = {0};
            bool is_listed = (rows[i].listed >> code & 1) != 0;
            fake.code = (enum kerr)code;
            enum kerr got = rows[i].call(&e);
            assert_int_equal(got, is_listed ? code : KERR_BUG);
            assert_int_equal(e.code, got);
        }
    }
}

static void a_refresh_may_fail_in_any_way(void **state)
{
    (void)state;
    for (int code = 0; code < KERR_COUNT; code++) {
        struct kerrinfo e = {0};
        bool is_changed = false;
        fake.code = (enum kerr)code;
        assert_int_equal(provider_refresh(p, &is_changed, &e), code);
    }
}

static void plaintexts_have_1_to_256_bytes(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_refused(&e, KERR_INPUT, "is empty", try_wrap_of(0, &e));
    assert_refused(&e, KERR_LIMIT, "more than 256 bytes",
                   try_wrap_of(PROVIDER_PLAINTEXT_MAX + 1, &e));
    assert_int_equal(fake.calls, 0);
    assert_ok(&e, try_wrap_of(1, &e));
    assert_ok(&e, try_wrap_of(PROVIDER_PLAINTEXT_MAX, &e));
}

static void a_wrap_outside_the_api_servers_limits_is_a_bug(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    static uint8_t large[PROVIDER_ANNOTATIONS_MAX_BYTES];
    fake.ciphertext_len = 0;
    assert_refused(&e, KERR_BUG, "outside its contract", try_wrap(&e));
    fake.ciphertext_len = PROVIDER_CIPHERTEXT_MAX + 1;
    assert_refused(&e, KERR_BUG, "outside its contract", try_wrap(&e));
    fake.ciphertext_len = PROVIDER_CIPHERTEXT_MAX;
    assert_ok(&e, try_wrap(&e));
    fake.annotations.count = PROVIDER_ANNOTATIONS_MAX + 1;
    assert_refused(&e, KERR_BUG, "outside its contract", try_wrap(&e));
    fake.annotations.count = 1;
    fake.annotations.rows[0].name = BYTES_OF(large);
    assert_ok(&e, try_wrap(&e));
    fake.annotations.rows[0].value = bytes_of(large, 1);
    assert_refused(&e, KERR_BUG, "outside its contract", try_wrap(&e));
}

static void a_key_id_is_never_empty_nor_endless(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    fake.key_id[0] = 0;
    assert_refused(&e, KERR_BUG, "outside its contract", try_current(&e));
    assert_refused(&e, KERR_BUG, "outside its contract", try_wrap(&e));
    memset(fake.key_id, 'x', sizeof fake.key_id);
    assert_refused(&e, KERR_BUG, "outside its contract", try_current(&e));
    assert_refused(&e, KERR_BUG, "outside its contract", try_wrap(&e));
    fake.key_id[PROVIDER_KEY_ID_MAX] = 0;
    assert_ok(&e, try_wrap(&e));
    char id[PROVIDER_KEY_ID_MAX + 1];
    const char *health = NULL;
    assert_ok(&e, provider_current(p, id, &health, &e));
    assert_int_equal(strlen(id), PROVIDER_KEY_ID_MAX);
}

static void requests_over_the_limits_do_not_reach_the_provider(void **state)
{
    (void)state;
    static const uint8_t large[PROVIDER_ANNOTATIONS_MAX_BYTES];
    const struct provider_annotations many = {.count = PROVIDER_ANNOTATIONS_MAX + 1};
    const struct provider_annotations full = {
        .rows = {{.name = bytes_of(large, 1), .value = bytes_of(large, sizeof large - 1)}},
        .count = 1};
    const struct provider_annotations over = {
        .rows = {{.name = bytes_of(large, 1), .value = BYTES_OF(large)}}, .count = 1};
    const struct {
        size_t id_len;
        size_t len;
        const struct provider_annotations *annotations;
        enum kerr code;
    } bad[] = {
        {0, 40, &parts_none, KERR_INPUT},
        {5, 0, &parts_none, KERR_INPUT},
        {PROVIDER_KEY_ID_MAX + 1, 40, &parts_none, KERR_LIMIT},
        {5, PROVIDER_CIPHERTEXT_MAX + 1, &parts_none, KERR_LIMIT},
        {5, 40, &many, KERR_LIMIT},
        {5, 40, &over, KERR_LIMIT},
    };
    struct kerrinfo e = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *of_key = "unset";
        assert_refused(&e, bad[i].code, "",
                       try_unwrap_of(bad[i].id_len, bad[i].len, bad[i].annotations, &of_key, &e));
        assert_null(of_key);
    }
    assert_int_equal(fake.calls, 0);
    const char *of_key = NULL;
    assert_ok(&e, try_unwrap_of(PROVIDER_KEY_ID_MAX, PROVIDER_CIPHERTEXT_MAX, &full, &of_key, &e));
    assert_string_equal(of_key, "primary");
}

static void success_without_a_plaintext_is_a_bug(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    fake.gives_secret = false;
    assert_refused(&e, KERR_BUG, "outside its contract", try_unwrap(&e));
}

/* try_unwrap asserts that nothing comes out; the leak checkers that it was freed. */
static void a_plaintext_beside_a_failure_does_not_come_out(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    fake.code = KERR_INTEGRITY;
    assert_refused(&e, KERR_INTEGRITY, "as the test wants", try_unwrap(&e));
}

static void info_and_watch_pass_through(void **state)
{
    (void)state;
    struct provider_info info;
    const char *folder = NULL;
    const char *name = NULL;
    memset(&info, 0xff, sizeof info);
    provider_info(p, &info);
    assert_string_equal(info.name, "fake");
    assert_int_equal(info.generation, 7);
    assert_int_equal(info.key_count, 0);
    assert_false(info.is_serving);
    assert_true(provider_watch(p, &folder, &name));
    assert_string_equal(folder, "/folder");
    assert_string_equal(name, "name");
    provider_close(NULL);
}

static bool due_in_7(void *ctx, uint64_t *ret_ms)
{
    (void)ctx;
    *ret_ms = 7;
    return true;
}

static void the_earliest_of_several_is_due(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct provider *both = NULL;
    uint64_t ms = 99;
    assert_false(provider_due(p, &ms));
    assert_int_equal(ms, 99);
    struct provider_ops second = table;
    second.due = due_in_7;
    const struct provider_ops *const two[] = {&table, &second};
    assert_ok(&e, provider_open_with(two, 2, &config, &both, &e));
    static const uint64_t firsts[] = {0, 3, 7, 8};
    static const uint64_t want[] = {7, 3, 7, 7};
    for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
        fake.due_ms = firsts[i];
        assert_true(provider_due(both, &ms));
        assert_int_equal(ms, want[i]);
    }
    provider_close(both);
    assert_int_equal(fake.closes, 2);
    fake.closes = 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(good_answers_pass),
        TEST(codes_that_are_not_listed_become_bugs),
        TEST(a_refresh_may_fail_in_any_way),
        TEST(plaintexts_have_1_to_256_bytes),
        TEST(a_wrap_outside_the_api_servers_limits_is_a_bug),
        TEST(a_key_id_is_never_empty_nor_endless),
        TEST(requests_over_the_limits_do_not_reach_the_provider),
        TEST(success_without_a_plaintext_is_a_bug),
        TEST(a_plaintext_beside_a_failure_does_not_come_out),
        TEST(info_and_watch_pass_through),
        TEST(the_earliest_of_several_is_due),
    };
    return cmocka_run_group_tests_name("provider.provider", tests, NULL, NULL);
}
