/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/gate.h"
#include "tests/lib/testlib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW ((uint64_t)1795487500) /* 2026-11-24T02:31:40Z */

static struct kerrinfo e;

static void test_span(void **state)
{
    (void)state;
    static const struct {
        uint64_t seconds;
        const char *text;
    } rows[] = {
        {0, "0 seconds"},
        {1, "1 second"},
        {59, "59 seconds"},
        {60, "1 minute"},
        {119, "1 minute"},
        {3599, "59 minutes"},
        {3600, "1 hour"},
        {86399, "23 hours"},
        {86400, "1 day"},
        {691199, "7 days"},
        {UINT64_MAX, "213503982334601 days"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[GATE_SPAN_BYTES];
        gate_span(rows[i].seconds, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_confirmed(void **state)
{
    (void)state;
    assert_ok(&e, gate_confirmed("disable", "key", "k", "k", &e));
    assert_refused(&e, KERR_DENIED, "--confirm k", gate_confirmed("disable", "key", "k", NULL, &e));
    static const char *const wrong[] = {"", "K", "kk", "k "};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_refused(&e, KERR_DENIED, "another slot",
                       gate_confirmed("remove", "slot", "k", wrong[i], &e));
    }
}

/* A daemon that knows one key. */
static void view(struct daemon_view *v, const char *id, const char *state, const char *last)
{
    char *text = NULL;
    assert_true(asprintf(&text,
                         "{\"version\":\"1\",\"started_at\":null,\"ready\":true,"
                         "\"needs_a_person\":false,\"provider\":{\"store_id\":\"store\","
                         "\"generation\":1,\"loaded_at\":null,\"current_key_id\":null,"
                         "\"current_key_id_hash\":null,\"opened_by\":null,\"warning\":null,"
                         "\"key_service\":null,"
                         "\"backup\":null,\"keys\":[{\"id\":\"%s\","
                         "\"state\":\"%s\",\"version\":0,\"created_at\":null,\"decrypts\":1,\"last_"
                         "decrypt_at\":%s}]},"
                         "\"last_reload\":{\"at\":null,\"ok\":true,\"message\":null},"
                         "\"restart_needed\":[]}",
                         id, state, last) > 0);
    assert_ok(&e, daemon_parse(bytes_of_text(text), "/run/x", v, &e));
    free(text);
}

static struct gate_question question(const struct daemon_view *v)
{
    return (struct gate_question){.verb = "disable",
                                  .key_id = "k",
                                  .store_id = "store",
                                  .socket = "/run/x",
                                  .view = v,
                                  .why = "it sleeps",
                                  .now_s = NOW};
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *last;
        const char *words; /* NULL: the gate opens */
    } rows[] = {
        {"null", NULL},
        {"\"2026-11-24T02:31:40Z\"", "0 seconds ago"},
        {"\"2026-11-24T02:31:39Z\"", "1 second ago"},
        {"\"2026-11-24T03:31:40Z\"", "0 seconds ago"}, /* from the future: clocks differ */
        {"\"2026-11-17T02:31:41Z\"", "6 days ago"},
        {"\"2026-11-17T02:31:40Z\"", NULL}, /* seven days to the second */
        {"\"2025-01-01T00:00:00Z\"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_DAEMON v = {.doc = NULL};
        view(&v, "k", "retired", rows[i].last);
        struct gate_question q = question(&v);
        if (rows[i].words == NULL) {
            assert_ok(&e, gate_unused(&q, &e));
        } else {
            assert_refused(&e, KERR_DENIED, rows[i].words, gate_unused(&q, &e));
        }
    }
}

static void test_states_of_the_daemon(void **state)
{
    (void)state;
    static const char *const good[] = {"staged", "retired", "disabled", "destroy-scheduled"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        AUTO_DAEMON v = {.doc = NULL};
        view(&v, "k", good[i], "null");
        struct gate_question q = question(&v);
        assert_ok(&e, gate_unused(&q, &e));
    }
    AUTO_DAEMON v = {.doc = NULL};
    view(&v, "k", "primary", "null");
    struct gate_question q = question(&v);
    assert_refused(&e, KERR_STATE, "primary in the running daemon", gate_unused(&q, &e));
}

static void test_what_the_daemon_cannot_tell(void **state)
{
    (void)state;
    AUTO_DAEMON v = {.doc = NULL};
    view(&v, "other", "retired", "null");
    struct gate_question q = question(&v);
    assert_refused(&e, KERR_DENIED, "does not know key k", gate_unused(&q, &e));
    q.store_id = "elsewhere";
    assert_refused(&e, KERR_DENIED, "serves keystore store, not keystore elsewhere",
                   gate_unused(&q, &e));
    v.store_id = "";
    assert_refused(&e, KERR_DENIED, "serves no keystore yet", gate_unused(&q, &e));
    q.view = NULL;
    assert_refused(&e, KERR_DENIED, "it sleeps", gate_unused(&q, &e));
    assert_non_null(strstr(e.text, "--without-daemon"));
}

/* Whatever is in it, a message keeps its end: the way out. */
static void test_long_words(void **state)
{
    (void)state;
    char word[400];
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = 0;
    struct gate_question q = question(NULL);
    q.why = word;
    q.key_id = "es1-aaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_refused(&e, KERR_DENIED, "--without-daemon", gate_unused(&q, &e));
    AUTO_DAEMON v = {.doc = NULL};
    view(&v, "k", "retired", "null");
    q.view = &v;
    q.store_id = "93511cda-7453-1187-ecf0-fea5fb30a395";
    q.socket = word;
    v.store_id = word;
    assert_refused(&e, KERR_DENIED, "--without-daemon", gate_unused(&q, &e));
    v.store_id = q.store_id;
    assert_refused(&e, KERR_DENIED, "etcdseal key list", gate_unused(&q, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span),
        cmocka_unit_test(test_confirmed),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_states_of_the_daemon),
        cmocka_unit_test(test_what_the_daemon_cannot_tell),
        cmocka_unit_test(test_long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
