/* SPDX-License-Identifier: Apache-2.0 */
/* kms/kms_client.h with the calls of rpc/rpc_client.h replaced: any status of gRPC, and answers
 * that no plugin of ours gives. Against real daemons: tests/system/test_audit_prove.py. */
#include <stdio.h>
#include <string.h>

#include "kms/kms_client.h"
#include "rpc/rpc_client.h"
#include "tests/lib/testlib.h"

static struct kerrinfo e;
static struct kms_client *client;

/* What the plugin does. */
static struct {
    int status_code;
    struct bytes status_answer;
    int decrypt_code;
    int full; /* so many times first */
    int full_code;
    struct bytes decrypt_answer;
    unsigned decrypts;
    unsigned statuses;
    enum kerr k;
} plugin;

enum kerr __wrap_rpc_client_new(const struct rpc_client_config *config, struct rpc_client **ret,
                                struct kerrinfo *info);
enum kerr __wrap_rpc_client_new(const struct rpc_client_config *config, struct rpc_client **ret,
                                struct kerrinfo *info)
{
    assert_string_equal(config->unix_path, "/run/kms.sock");
    assert_null(config->tls);
    *ret = NULL;
    return plugin.k == KERR_OK ? KERR_OK : kerr_set(info, plugin.k, "no client");
}

void __wrap_rpc_client_free(struct rpc_client *c);
void __wrap_rpc_client_free(struct rpc_client *c)
{
    assert_null(c);
}

enum kerr __wrap_rpc_client_call(struct rpc_client *c, const struct rpc_ask *ask, struct buf *ret,
                                 struct rpc_status *status, struct kerrinfo *info);
enum kerr __wrap_rpc_client_call(struct rpc_client *c, const struct rpc_ask *ask, struct buf *ret,
                                 struct rpc_status *status, struct kerrinfo *info)
{
    (void)c;
    assert_string_equal(ask->path, "/v2.KeyManagementService/Status");
    assert_int_equal(ask->timeout_ms, KMS_CLIENT_CALL_MS);
    plugin.statuses++;
    *status = (struct rpc_status){.code = plugin.status_code, .text = "as told"};
    return status->code == 0 ? buf_put(ret, plugin.status_answer, info) : KERR_OK;
}

enum kerr __wrap_rpc_client_call_secret(struct rpc_client *c, const struct rpc_ask *ask,
                                        struct secret **ret, struct rpc_status *status,
                                        struct kerrinfo *info);
enum kerr __wrap_rpc_client_call_secret(struct rpc_client *c, const struct rpc_ask *ask,
                                        struct secret **ret, struct rpc_status *status,
                                        struct kerrinfo *info)
{
    struct kms_decrypt_request r;
    (void)c;
    assert_string_equal(ask->path, "/v2.KeyManagementService/Decrypt");
    assert_true(ask->is_secret);
    assert_int_equal(kms_decode_decrypt_request(ask->request, &r, info), KERR_OK);
    assert_true(bytes_equal_text(r.ciphertext, "wrapped") && bytes_equal_text(r.key_id, "key-1"));
    assert_true(r.annotations.count == 2 && r.uid.len > 0);
    assert_true(bytes_equal_text(r.annotations.rows[1].name, "b.example") &&
                bytes_equal_text(r.annotations.rows[1].value, "2"));
    kms_decrypt_request_done(&r);
    plugin.decrypts++;
    *status = (struct rpc_status){.code = plugin.decrypt_code, .text = "as told"};
    if (plugin.full > 0) {
        plugin.full--;
        status->code = plugin.full_code == 0 ? 8 : plugin.full_code;
    }
    if (plugin.k != KERR_OK) {
        return kerr_set(info, plugin.k, "no call");
    }
    return status->code == 0 && plugin.decrypt_answer.len > 0
               ? secret_from_bytes(plugin.decrypt_answer, ret, info)
               : KERR_OK;
}

struct timespec;
int __wrap_nanosleep(const struct timespec *pause, struct timespec *left);
int __wrap_nanosleep(const struct timespec *pause, struct timespec *left)
{
    (void)pause;
    (void)left;
    return 0;
}

#define GOOD_STATUS "\x0a\x02v2\x12\x02ok\x1a\x05key-2"

static int set_up(void **state)
{
    (void)state;
    memset(&plugin, 0, sizeof plugin);
    plugin.status_answer = bytes_of_text(GOOD_STATUS);
    plugin.decrypt_answer = bytes_of_text("\x0a\x04seed");
    assert_ok(&e, kms_client_new("/run/kms.sock", &client, &e));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kms_client_free(client);
    return 0;
}

static enum kerr decrypt(struct secret **ret)
{
    static const struct kms_annotation annotations[] = {
        {{(const uint8_t *)"a.example", 9}, {(const uint8_t *)"1", 1}},
        {{(const uint8_t *)"b.example", 9}, {(const uint8_t *)"2", 1}}};
    const struct kms_sealed_seed seed = {.ciphertext = bytes_of_text("wrapped"),
                                         .key_id = bytes_of_text("key-1"),
                                         .annotations = annotations,
                                         .annotation_count = ARRAY_LEN(annotations)};
    kerr_clear(&e);
    return kms_client_decrypt(client, &seed, ret, &e);
}

static void a_seed(void **state)
{
    (void)state;
    AUTO_SECRET seed = NULL;
    assert_int_equal(decrypt(&seed), KERR_OK);
    assert_true(bytes_equal_text(secret_view(seed), "seed"));
    assert_true(plugin.decrypts == 1 && plugin.statuses == 0);
}

/* Refused for certain, by codes that say so; unclear ones by what Status says; else not asked. */
static void codes(void **state)
{
    (void)state;
    static const char kinds[] = ".nurnrnnnuurnunrn"; /* by code */
    for (int code = 1; code <= 17; code++) {
        char kind = code < 17 ? kinds[code] : 'n';
        struct secret *seed = NULL;
        plugin.decrypt_code = code;
        for (int is_ill = 0; is_ill < 2; is_ill++) {
            plugin.status_code = is_ill ? 14 : 0;
            plugin.statuses = 0;
            bool is_lost = code == 4 || code == 14;
            enum kerr want_k = kind == 'r'         ? KERR_DENIED
                               : is_ill || is_lost ? KERR_DOWN
                               : kind == 'u'       ? KERR_DENIED
                                                   : KERR_BUSY;
            plugin.decrypts = 0;
            enum kerr k = decrypt(&seed);
            if (k != want_k || seed != NULL) {
                fail_msg("code %d, plugin %s: %s", code, is_ill ? "ill" : "well", kerr_name(k));
            }
            char want[32];
            (void)snprintf(want, sizeof want, "status %d, as told", code);
            assert_string_equal(e.text, want);
            assert_int_equal(plugin.statuses, kind != 'r' && !is_lost);
            assert_int_equal(plugin.decrypts, code == 8 ? 20 : kind == 'u' ? 3 : 1);
        }
    }
}

static void no_room_for_a_while(void **state)
{
    (void)state;
    AUTO_SECRET seed = NULL;
    plugin.full = 2;
    assert_int_equal(decrypt(&seed), KERR_OK);
    assert_int_equal(plugin.decrypts, 3);
}

/* What a plugin in Go says of everything, once, is no verdict about a seed. */
static void a_bad_moment(void **state)
{
    (void)state;
    AUTO_SECRET seed = NULL;
    plugin.full = 2;
    plugin.full_code = 2;
    assert_int_equal(decrypt(&seed), KERR_OK);
    assert_int_equal(plugin.decrypts, 3);
    assert_int_equal(plugin.statuses, 0);
}

static void answers_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "\x0a", "\x0a\x05seed", "\x0a", "x"};
    struct secret *seed = NULL;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        plugin.decrypt_answer = bytes_of_text(bad[i]);
        assert_int_equal(decrypt(&seed), KERR_DOWN);
        assert_true(seed == NULL && e.text[0] != 0);
    }
    plugin.k = KERR_NOMEM;
    assert_int_equal(decrypt(&seed), KERR_NOMEM);
}

static void status(void **state)
{
    (void)state;
    struct kms_status s = {.arena = NULL};
    assert_ok(&e, kms_client_status(client, &s, &e));
    assert_true(bytes_equal_text(s.version, "v2") && bytes_equal_text(s.key_id, "key-2"));
    kms_status_done(&s);
    static const char *const bad[] = {"\x0a\x02v2\x12\x03\x62\x61\x64\x1a\x05key-2",
                                      "\x0a\x02v2\x12\x02ok", "", "\x12", "\x1a\x01\xff\x12\x02ok"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        plugin.status_answer = bytes_of_text(bad[i]);
        assert_refused(&e, KERR_DOWN, "", kms_client_status(client, &s, &e));
        kms_status_done(&s);
    }
    plugin.status_code = 14;
    assert_refused(&e, KERR_DOWN, "status 14, as told", kms_client_status(client, &s, &e));
}

static void no_client(void **state)
{
    (void)state;
    struct kms_client *c = NULL;
    plugin.k = KERR_INPUT;
    assert_refused(&e, KERR_INPUT, "no client", kms_client_new("/run/kms.sock", &c, &e));
    assert_null(c);
    kms_client_free(NULL);
}

int main(void)
{
#define ONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        ONE(a_seed),
        ONE(codes),
        ONE(no_room_for_a_while),
        ONE(a_bad_moment),
        ONE(answers_that_are_none),
        ONE(status),
        ONE(no_client),
    };
    return secret_start(SECRET_LOCK_BEST_EFFORT, &e) == KERR_OK
               ? cmocka_run_group_tests(tests, NULL, NULL)
               : 1;
}
