/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a seed when its plugin answers, refuses, is ill, or is not there. The client is
 * replaced; the real one: tests/unit/kms/test_client.c and tests/system/test_audit_prove.py. */
#include "audit/unwrap.h"

#include <stdio.h>
#include <string.h>

#include "kms/kms_client.h"
#include "tests/lib/testlib.h"

static struct {
    enum kerr status;
    struct bytes key_id;
    enum kerr decrypt;
    size_t seed_len;
    unsigned asked;
} plugin;

enum kerr __wrap_kms_client_new(const char *path, struct kms_client **ret, struct kerrinfo *e);
enum kerr __wrap_kms_client_new(const char *path, struct kms_client **ret, struct kerrinfo *e)
{
    (void)e;
    assert_string_equal(path, "/run/kms.sock");
    *ret = NULL;
    return KERR_OK;
}

void __wrap_kms_client_free(struct kms_client *c);
void __wrap_kms_client_free(struct kms_client *c)
{
    assert_null(c);
}

enum kerr __wrap_kms_client_status(struct kms_client *c, struct kms_status *ret,
                                   struct kerrinfo *e);
enum kerr __wrap_kms_client_status(struct kms_client *c, struct kms_status *ret, struct kerrinfo *e)
{
    (void)c;
    ret->key_id = plugin.key_id;
    return plugin.status == KERR_OK ? KERR_OK : kerr_set(e, plugin.status, "as told");
}

enum kerr __wrap_kms_client_decrypt(struct kms_client *c, const struct kms_sealed_seed *seed,
                                    struct secret **ret, struct kerrinfo *e);
enum kerr __wrap_kms_client_decrypt(struct kms_client *c, const struct kms_sealed_seed *seed,
                                    struct secret **ret, struct kerrinfo *e)
{
    (void)c;
    plugin.asked++;
    assert_true(seed->ciphertext.len > 0);
    if (plugin.decrypt != KERR_OK) {
        return kerr_set(e, plugin.decrypt, "as told");
    }
    enum kerr k = secret_new(plugin.seed_len, ret, e);
    if (k == KERR_OK) {
        memset(secret_bytes(*ret), 7, plugin.seed_len);
    }
    return k;
}

static struct kerrinfo e;
static struct audit a;
static struct unwrap *u;

static void begin(void)
{
    a = (struct audit){.wanted = {.kms = {{.socket = "/run/kms.sock"}}, .kms_count = 1}};
    assert_ok(&e, unwrap_begin(&a, &u, &e));
}

static int set_up(void **state)
{
    (void)state;
    memset(&plugin, 0, sizeof plugin);
    plugin.key_id = bytes_of_text("key-1");
    plugin.seed_len = UNWRAP_KEY;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unwrap_end(u);
    audit_done(&a);
    return 0;
}

/* Of a seed of its own for each number. */
static struct unwrap_seed take(unsigned number)
{
    static char source[32];
    struct unwrap_seed seed;
    struct audit_item item = {.v = {.class_of = VALUE_KMSV2, .provider = bytes_of_text("p")}};
    (void)snprintf(source, sizeof source, "sealed %u", number);
    item.v.kms.source = bytes_of_text(source);
    item.v.kms.key_id = bytes_of_text("key-1");
    item.seed_hash = count_seed_hash(&item.v);
    assert_ok(&e, unwrap_ask(u, &a, &item, &e));
    assert_true(unwrap_find(u, item.seed_hash, &seed));
    assert_false(unwrap_find(u, item.seed_hash + 1, &seed));
    return seed;
}

static void each_seed_is_asked_for_once(void **state)
{
    (void)state;
    begin();
    assert_string_equal(a.kms[0].key_id, "key-1");
    for (unsigned i = 0; i < 3000; i++) {
        struct unwrap_seed seed = take(i % 1500); /* more than one chunk */
        assert_true(seed.key != NULL && seed.key[0] == 7 && seed.key[UNWRAP_KEY - 1] == 7);
    }
    assert_int_equal(plugin.asked, 1500);
    assert_true(a.kms[0].unwrapped == 1500 && !a.is_kms_down);
}

/* What a plugin is sent makes a seed: bytes, key id and annotations. */
static void what_makes_a_seed(void **state)
{
    (void)state;
    static const char noted[] = "\x22\x0a\x0a\x05name.\x12\x01x";
    static const struct {
        const char *source;
        const char *key_id;
        const char *annotations;
    } rows[] = {{"sealed", "key-1", ""},  {"sealed", "key-2", ""}, {"sealed", "key-1", noted},
                {"sealed2", "key-1", ""}, {"sealed", "key-1", ""}, {"sealed", "key-1", noted}};
    begin();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct audit_item item = {.v = {.class_of = VALUE_KMSV2, .provider = bytes_of_text("p")}};
        struct unwrap_seed seed;
        item.v.kms.source = bytes_of_text(rows[i].source);
        item.v.kms.key_id = bytes_of_text(rows[i].key_id);
        item.v.kms.annotations = bytes_of_text(rows[i].annotations);
        item.seed_hash = count_seed_hash(&item.v);
        assert_int_equal(unwrap_find(u, item.seed_hash, &seed), i >= 4);
        assert_ok(&e, unwrap_ask(u, &a, &item, &e));
        assert_int_equal(plugin.asked, i < 4 ? i + 1 : 4);
    }
}

static void ends(enum kerr answer, bool is_refused, bool is_down)
{
    begin();
    plugin.decrypt = answer;
    struct unwrap_seed seed = take(0);
    assert_true(seed.key == NULL && seed.why != NULL);
    assert_true(seed.is_refused == is_refused && a.is_kms_down == is_down);
    unwrap_end(u);
    u = NULL;
    audit_done(&a);
}

static void answers(void **state)
{
    (void)state;
    ends(KERR_DENIED, true, false);
    ends(KERR_BUSY, false, true);
    ends(KERR_DOWN, false, true);
    ends(KERR_LIMIT, false, false); /* of the value, not of the plugin */
    plugin.seed_len = UNWRAP_KEY - 1;
    ends(KERR_OK, true, false);
}

/* A plugin that is not there is not waited for a thousand times; one that dislikes values is asked
 * on, and one that refuses everything is left in peace at last. */
static void when_it_is_not_asked_again(void **state)
{
    (void)state;
    static const struct {
        enum kerr answer;
        unsigned asked;
    } rows[] = {{KERR_DOWN, 3}, {KERR_BUSY, 2000}, {KERR_DENIED, 1024}, {KERR_LIMIT, 2000}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin();
        plugin.decrypt = rows[i].answer;
        plugin.asked = 0;
        for (unsigned n = 0; n < 2000; n++) {
            (void)take(n);
        }
        assert_int_equal(plugin.asked, rows[i].asked);
        unwrap_end(u);
        u = NULL;
        audit_done(&a);
    }
}

static void a_status_that_is_none(void **state)
{
    (void)state;
    plugin.key_id = bytes_of("a\0b", 3);
    begin();
    assert_true(a.kms[0].key_id == NULL && a.kms[0].why[0] != 0);
    assert_false(a.is_kms_down); /* until something needs it */
    assert_true(take(0).key == NULL && a.is_kms_down && plugin.asked == 0);
}

int main(void)
{
#define ONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        ONE(each_seed_is_asked_for_once), ONE(what_makes_a_seed),     ONE(answers),
        ONE(when_it_is_not_asked_again),  ONE(a_status_that_is_none),
    };
    return secret_start(SECRET_LOCK_BEST_EFFORT, &e) == KERR_OK
               ? cmocka_run_group_tests(tests, NULL, NULL)
               : 1;
}
