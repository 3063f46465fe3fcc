/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "plugin/kms_service.h"
#include "tests/lib/testlib.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin/methods.h"
#include "tests/unit/plugin/fake_provider.h"
#include "tests/unit/plugin/wire.h"

static struct kerrinfo e;
static struct provider *provider;
static struct metrics *metrics;
static struct kms_service *service;
static struct kms_answer answer;
static struct buf request;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    atomic_store(&fake.serving, 1);
    provider = fake_open();
    assert_ok(&e, metrics_new(&metrics, &e));
    struct kms_service_config c = {.provider = provider, .version = "v2", .metrics = metrics};
    assert_ok(&e, kms_service_new(&c, &service, &e));
    buf_init(&request, 65536);
    answer = (struct kms_answer){.status = 0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kms_reply_done(&answer.reply);
    buf_done(&request);
    kms_service_free(service);
    metrics_free(metrics);
    provider_close(provider);
    return 0;
}

static int call_with(size_t method, uint64_t left_ms)
{
    kms_reply_done(&answer.reply);
    kms_service_answer(service, method, 0, buf_view(&request), left_ms, &answer);
    return answer.status;
}

static int call(size_t method)
{
    return call_with(method, 3000);
}

static void make_encrypt(const char *plaintext, const char *uid)
{
    request.len = 0;
    wire_put(&request, 1, bytes_of_text(plaintext));
    wire_put(&request, 2, bytes_of_text(uid));
}

static void make_decrypt(struct bytes ciphertext, const char *key_id, uint8_t annotation)
{
    struct buf row;
    buf_init(&row, 256);
    wire_put(&row, 1, bytes_of_text("test.etcdseal.internal"));
    wire_put(&row, 2, bytes_of(&annotation, 1));
    request.len = 0;
    wire_put(&request, 1, ciphertext);
    wire_put(&request, 2, bytes_of_text("uid-1"));
    wire_put(&request, 3, bytes_of_text(key_id));
    wire_put(&request, 4, buf_view(&row));
    buf_done(&row);
}

static void make_any(size_t method)
{
    request.len = 0;
    if (method == KMS_ENCRYPT) {
        make_encrypt("0123456789abcdef0123456789abcdef", "uid-1");
    } else if (method == KMS_DECRYPT) {
        make_decrypt(bytes_of_text("\1plain"), "fake-1", 1);
    }
}

static struct bytes message(void)
{
    return answer.reply.secret != NULL ? secret_view(answer.reply.secret)
                                       : buf_view(&answer.reply.message);
}

static void assert_field(unsigned field, const char *want)
{
    struct bytes got = wire_get(message(), field);
    if (!bytes_equal_text(got, want)) {
        fail_msg("field %u: \"%.*s\", expected \"%s\"", field, (int)got.len, (const char *)got.ptr,
                 want);
    }
}

static void test_status(void **state)
{
    (void)state;
    assert_int_equal(call(KMS_STATUS), 0);
    assert_null(answer.message);
    assert_field(1, "v2");
    assert_field(2, "ok");
    assert_field(3, "fake-1");
}

static void test_encrypt(void **state)
{
    (void)state;
    make_encrypt("plain", "uid-1");
    assert_int_equal(call(KMS_ENCRYPT), 0);
    assert_field(1, "\1plain");
    assert_field(2, "fake-1");
    assert_true(wire_get(message(), 3).len > 0);
    assert_string_equal(answer.reply.uid, "uid-1");
    assert_string_equal(answer.reply.key_id, "fake-1");
    assert_null(answer.reply.secret);
}

static void test_decrypt(void **state)
{
    (void)state;
    make_decrypt(bytes_of_text("\1plain"), "fake-1", 1);
    assert_int_equal(call(KMS_DECRYPT), 0);
    assert_non_null(answer.reply.secret);
    assert_int_equal(answer.reply.message.len, 0);
    assert_field(1, "plain");
    assert_string_equal(answer.reply.key_state, "primary");
    assert_int_equal(metrics_key_use(metrics, "fake-1").decrypts, 1);
}

/* A refusal: its status, the table's sentence and nothing else, no response. */
static void assert_answer(size_t method, int want, enum kerr cause)
{
    const char *sentence = NULL;
    assert_int_equal(call(method), want);
    (void)method_status(method, cause, &sentence);
    assert_string_equal(answer.message, sentence);
    assert_null(strstr(answer.message, "/secret"));
    assert_null(answer.reply.secret);
    assert_int_equal(answer.reply.message.len, 0);
    assert_int_equal(answer.cause.code, cause);
}

/* provider.h lists these for each function; provider.c makes BUG of any other. */
static bool is_in_contract(size_t method, enum kerr code)
{
    static const enum kerr codes[] = {
        KERR_NOMEM, KERR_UNSEALING, KERR_SEALED,   KERR_DOWN,  KERR_DENIED,
        KERR_INPUT, KERR_LIMIT,     KERR_TIMEOUT,  KERR_WAITS, /* not current */
        KERR_KEYID, KERR_STATE,     KERR_INTEGRITY /* unwrap alone */};
    static const size_t counts[KMS_METHOD_COUNT] = {5, 9, 12};
    for (size_t i = 0; i < counts[method]; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

static void test_every_code_of_the_provider(void **state)
{
    (void)state;
    for (int code = KERR_OK + 1; code < KERR_COUNT; code++) {
        for (size_t m = 0; m < KMS_METHOD_COUNT; m++) {
            const char *sentence = NULL;
            enum kerr told = is_in_contract(m, (enum kerr)code) ? (enum kerr)code : KERR_BUG;
            atomic_store(&fake.call_code, code);
            make_any(m);
            assert_answer(m, method_status(m, told, &sentence), told);
        }
    }
}

static void test_sealed(void **state)
{
    (void)state;
    atomic_store(&fake.serving, 0);
    for (size_t m = 0; m < KMS_METHOD_COUNT; m++) {
        make_any(m);
        atomic_store(&fake.call_code, KERR_OK);
        assert_answer(m, 14, KERR_UNSEALING);
        atomic_store(&fake.call_code, KERR_SEALED);
        assert_answer(m, 9, KERR_SEALED);
    }
}

static void test_malformed_requests(void **state)
{
    (void)state;
    for (size_t m = 0; m < KMS_METHOD_COUNT; m++) {
        request.len = 0;
        assert_ok(&e, buf_put_text(&request, "\x0a\x7f short", &e));
        if (m != KMS_STATUS) {
            assert_answer(m, 3, KERR_INPUT);
        } else {
            assert_true(call(m) == 0 || call(m) == 3);
        }
    }
    make_encrypt("", "uid-1");
    assert_answer(KMS_ENCRYPT, 3, KERR_INPUT);
    make_encrypt("plain", "not \xff utf-8");
    assert_answer(KMS_ENCRYPT, 3, KERR_INPUT);
    make_decrypt(bytes_of_text(""), "fake-1", 1);
    assert_answer(KMS_DECRYPT, 3, KERR_INPUT);
    make_decrypt(bytes_of_text("\1plain"), "", 1);
    assert_answer(KMS_DECRYPT, 3, KERR_INPUT);
}

static void test_too_large(void **state)
{
    (void)state;
    char large[2048];
    memset(large, 'x', sizeof large);
    large[PROVIDER_PLAINTEXT_MAX + 1] = 0;
    make_encrypt(large, "u");
    assert_answer(KMS_ENCRYPT, 3, KERR_LIMIT);
    large[PROVIDER_PLAINTEXT_MAX] = 0;
    make_encrypt(large, "u");
    assert_int_equal(call(KMS_ENCRYPT), 0);
    memset(large, 'x', sizeof large);
    large[KMS_UID_MAX + 1] = 0;
    make_encrypt("plain", large);
    assert_answer(KMS_ENCRYPT, 3, KERR_LIMIT);
    large[KMS_UID_MAX] = 0;
    make_encrypt("plain", large);
    assert_int_equal(call(KMS_ENCRYPT), 0);
    assert_int_equal(strlen(answer.reply.uid), KMS_SERVICE_SHOWN_MAX + 3);
}

static void test_what_does_not_authenticate_is_no_use_of_a_key(void **state)
{
    (void)state;
    make_decrypt(bytes_of_text("\2plain"), "fake-1", 1);
    assert_answer(KMS_DECRYPT, 3, KERR_INTEGRITY);
    make_decrypt(bytes_of_text("\1plain"), "fake-1", 2);
    assert_answer(KMS_DECRYPT, 3, KERR_INTEGRITY);
    assert_string_equal(answer.reply.key_state, "primary");
    assert_int_equal(metrics_key_use(metrics, "fake-1").decrypts, 0);
    make_decrypt(bytes_of_text("\1plain"), "other-1", 1);
    assert_answer(KMS_DECRYPT, 5, KERR_KEYID);
    make_decrypt(bytes_of_text("\1plain"), "fake-disabled", 1);
    assert_answer(KMS_DECRYPT, 9, KERR_STATE);
    assert_int_equal(metrics_key_use(metrics, "fake-disabled").decrypts, 1);
}

static void test_deadlines(void **state)
{
    (void)state;
    make_any(KMS_ENCRYPT);
    assert_int_equal(call_with(KMS_ENCRYPT, 0), 4);
    assert_int_equal(call_with(KMS_ENCRYPT, 1000), 0);
    assert_int_equal(call_with(KMS_ENCRYPT, UINT64_MAX), 0);
    atomic_store(&fake.call_ms, 40);
    assert_int_equal(call_with(KMS_ENCRYPT, 10), 4);
    assert_int_equal(answer.reply.message.len, 0);
    assert_int_equal(call_with(KMS_ENCRYPT, 1000), 0);
    atomic_store(&fake.call_ms, methods[KMS_STATUS].deadline_ms + 20);
    request.len = 0;
    assert_int_equal(call_with(KMS_STATUS, UINT64_MAX), 4);
}

static void test_a_call_that_must_wait_waits_only_where_it_may(void **state)
{
    (void)state;
    atomic_store(&fake.must_wait, true);
    for (size_t m = KMS_ENCRYPT; m <= KMS_DECRYPT; m++) {
        make_any(m);
        assert_int_not_equal(call(m), 0);
        assert_int_equal(answer.cause.code, KERR_WAITS);
        kms_reply_done(&answer.reply);
        kms_service_answer_waiting(service, m, buf_view(&request), clock_mono_ms() + 1000, &answer);
        assert_int_equal(answer.status, 0);
        kms_reply_done(&answer.reply);
        kms_service_answer_waiting(service, m, buf_view(&request), clock_mono_ms(), &answer);
        assert_int_equal(answer.status, 4);
    }
    request.len = 0;
    assert_int_equal(call(KMS_STATUS), 0);
}

static void test_status_tells_what_ails(void **state)
{
    (void)state;
    request.len = 0;
    assert_int_equal(call(KMS_STATUS), 0);
    assert_true(bytes_equal_text(wire_get(buf_view(&answer.reply.message), 2), "ok"));
    atomic_store(&fake.is_ailing, true);
    assert_int_equal(call(KMS_STATUS), 0);
    assert_true(bytes_equal_text(wire_get(buf_view(&answer.reply.message), 2), "the fake ails"));
    assert_true(bytes_equal_text(wire_get(buf_view(&answer.reply.message), 3), "fake-1"));
}

static void test_a_key_service_that_is_away_or_refuses(void **state)
{
    (void)state;
    for (size_t m = 0; m < KMS_METHOD_COUNT; m++) {
        make_any(m);
        atomic_store(&fake.call_code, KERR_DOWN);
        assert_answer(m, 14, KERR_DOWN);
        atomic_store(&fake.call_code, KERR_DENIED);
        assert_answer(m, 7, KERR_DENIED);
        atomic_store(&fake.call_code, KERR_OK);
    }
}

static void test_decrypt_rate_of_a_row(void **state)
{
    (void)state;
    struct config c = {.peer_count = 2, .log_requests = false};
    c.peers[1].decrypt_rate = 5;
    kms_service_set_rules(service, &c);
    make_any(KMS_DECRYPT);
    unsigned passed[3] = {0};
    for (size_t class_index = 0; class_index < 3; class_index++) {
        for (int i = 0; i < 50; i++) {
            kms_reply_done(&answer.reply);
            kms_service_answer(service, KMS_DECRYPT, class_index, buf_view(&request), 3000,
                               &answer);
            assert_true(answer.status == 0 || answer.status == 8);
            passed[class_index] += answer.status == 0;
        }
    }
    assert_int_equal(passed[0], 50);
    assert_in_range(passed[1], 5, 8);
    assert_int_equal(passed[2], 50);
    request.len = 0;
    kms_reply_done(&answer.reply);
    kms_service_answer(service, KMS_STATUS, 1, buf_view(&request), 3000, &answer);
    assert_int_equal(answer.status, 0);
    kms_reply_done(&answer.reply);
    kms_service_answer(service, KMS_DECRYPT, 1000, buf_view(&request), 3000, &answer);
    assert_int_equal(answer.status, 3);
}

/* --- one linear order ---------------------------------------------------------------------------
 * Callers note the newest generation that any answer carried before they begin; an older one in
 * their own answer is a regression. */
#define CALLERS        4
#define CALLS_EACH     20000
#define REFRESH_ROUNDS 4000

struct observer {
    size_t method;
    atomic_uint *newest;
    atomic_uint *regressions;
    struct provider *provider;
    struct metrics *metrics;
};

static unsigned generation_in(struct bytes response, size_t method)
{
    struct bytes id = wire_get(response, method == KMS_STATUS ? 3 : 2);
    char text[32] = {0};
    memcpy(text, id.ptr, id.len < sizeof text ? id.len : sizeof text - 1);
    return (unsigned)strtoul(text + strlen("fake-"), NULL, 10);
}

static void *observe(void *ctx)
{
    const struct provider_turn turn = {.may_wait = true, .until_ms = UINT64_MAX};
    struct observer *o = ctx;
    struct kms_backend backend = {.provider = o->provider, .version = "v2", .metrics = o->metrics};
    uint8_t encrypt[] = {0x0a, 1, 'x'};
    struct bytes body = o->method == KMS_STATUS ? bytes_of(NULL, 0) : BYTES_OF(encrypt);
    for (int i = 0; i < CALLS_EACH; i++) {
        struct kms_reply reply = {.secret = NULL};
        unsigned before = atomic_load(o->newest);
        enum kerr k = methods[o->method].answer(&backend, &turn, body, &reply, NULL);
        unsigned got = k == KERR_OK ? generation_in(buf_view(&reply.message), o->method) : 0;
        if (got < before) {
            (void)atomic_fetch_add(o->regressions, 1);
        }
        unsigned seen = atomic_load(o->newest);
        while (seen < got && !atomic_compare_exchange_weak(o->newest, &seen, got)) {
        }
        kms_reply_done(&reply);
    }
    return NULL;
}

static void test_no_regression_under_concurrent_refresh(void **state)
{
    (void)state;
    atomic_uint newest = 0;
    atomic_uint regressions = 0;
    pthread_t threads[CALLERS];
    struct observer observers[CALLERS];
    for (size_t i = 0; i < CALLERS; i++) {
        observers[i] = (struct observer){.method = i % 2 == 0 ? KMS_STATUS : KMS_ENCRYPT,
                                         .newest = &newest,
                                         .regressions = &regressions,
                                         .provider = provider,
                                         .metrics = metrics};
        assert_int_equal(pthread_create(&threads[i], NULL, observe, &observers[i]), 0);
    }
    for (unsigned g = 2; g < REFRESH_ROUNDS; g++) {
        bool is_changed = false;
        atomic_store(&fake.wanted, g);
        assert_ok(&e, provider_refresh(provider, &is_changed, &e));
        assert_true(is_changed);
        (void)usleep(20);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&regressions), 0);
    assert_true(atomic_load(&newest) > 1);
}

/* --- the log --- */

static int saved_stderr;
static char *log_folder;

static void catch_log(void)
{
    log_folder = test_folder_new();
    char *path = test_path(log_folder, "log");
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    (void)close(fd);
    free(path);
}

/* Ends catching; free() the text. */
static char *caught_log(void)
{
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    (void)close(saved_stderr);
    struct buf data = test_read_file(log_folder, "log");
    char *text = NULL;
    assert_int_equal(text_dup(buf_view(&data), &text, NULL), KERR_OK);
    buf_done(&data);
    test_folder_remove(log_folder);
    return text;
}

static unsigned count_lines(const char *text)
{
    unsigned lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    return lines;
}

static void test_refused_calls_are_logged_and_counted(void **state)
{
    (void)state;
    catch_log();
    kms_service_refused(service, SIZE_MAX, 1, "fd:7", 12, "no method /x\n\"y\"");
    kms_service_refused(service, KMS_DECRYPT, 1, "fd:7", 7, "not for this peer");
    char *text = caught_log();
    assert_non_null(strstr(text, "request method=other row=1 code=UNIMPLEMENTED"));
    assert_non_null(strstr(text, "cause=\"no method /x\\x0a\\x22y\\x22\""));
    assert_non_null(strstr(text, "request method=Decrypt row=1 code=PERMISSION_DENIED"));
    assert_int_equal(count_lines(text), 2);
    free(text);
}

static void test_failures_are_logged_sparingly_when_requests_are_not(void **state)
{
    (void)state;
    struct config c = {.log_requests = false};
    kms_service_set_rules(service, &c);
    catch_log();
    for (int i = 0; i < 1000; i++) {
        kms_service_refused(service, SIZE_MAX, 0, "fd:7", 12, "no");
    }
    char *text = caught_log();
    assert_in_range(count_lines(text), 50, 70);
    free(text);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_status),
        TEST(test_encrypt),
        TEST(test_decrypt),
        TEST(test_every_code_of_the_provider),
        TEST(test_sealed),
        TEST(test_malformed_requests),
        TEST(test_too_large),
        TEST(test_what_does_not_authenticate_is_no_use_of_a_key),
        TEST(test_deadlines),
        TEST(test_a_call_that_must_wait_waits_only_where_it_may),
        TEST(test_status_tells_what_ails),
        TEST(test_a_key_service_that_is_away_or_refuses),
        TEST(test_decrypt_rate_of_a_row),
        TEST(test_no_regression_under_concurrent_refresh),
        TEST(test_refused_calls_are_logged_and_counted),
        TEST(test_failures_are_logged_sparingly_when_requests_are_not),
    };
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    struct kerrinfo cause = {0};
    if (secret_start(SECRET_LOCK_BEST_EFFORT, &cause) != KERR_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
