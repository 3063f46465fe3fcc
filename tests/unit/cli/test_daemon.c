/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/daemon.h"
#include "tests/lib/testlib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct kerrinfo e;

#define KEYS                                                                                       \
    "\"keys\":[{\"id\":\"k1\",\"state\":\"retired\",\"version\":0,\"created_at\":null,"            \
    "\"decrypts\":3,"                                                                              \
    "\"last_decrypt_at\":\"2026-11-24T02:31:40Z\"},"                                               \
    "{\"id\":\"k2\",\"state\":\"primary\",\"version\":0,\"created_at\":null,\"decrypts\":0,"       \
    "\"last_decrypt_at\":null}]"
#define BACKUP "\"backup\":{\"generation\":6,\"at\":\"1970-01-01T00:00:08Z\",\"keys_missing\":1}"
#define PROVIDER                                                                                   \
    "\"provider\":{\"store_id\":\"s\",\"generation\":7,\"loaded_at\":\"1970-01-01T00:00:09Z\","    \
    "\"current_key_id\":\"k2\",\"current_key_id_hash\":\"sha256:0\",\"opened_by\":null," BACKUP    \
    ",\"key_service\":null,\"warning\":null," KEYS "}"
#define RELOAD "\"last_reload\":{\"at\":null,\"ok\":false,\"message\":null}"
#define WHOLE                                                                                      \
    "{\"version\":\"0.1.0\",\"started_at\":\"1970-01-01T00:00:01Z\",\"ready\":true,"               \
    "\"needs_a_person\":false," PROVIDER "," RELOAD ",\"restart_needed\":[\"a\"],\"new\":1}"

static enum kerr parse(const char *text, struct daemon_view *v)
{
    return daemon_parse(bytes_of_text(text), "/run/x", v, &e);
}

static void test_whole(void **state)
{
    (void)state;
    AUTO_DAEMON v = {.doc = NULL};
    struct daemon_key key = {.id = NULL};
    assert_ok(&e, parse(WHOLE, &v));
    assert_string_equal(v.version, "0.1.0");
    assert_true(v.started_at_s == 1 && v.generation == 7 && v.loaded_at_s == 9);
    assert_true(v.is_ready && !v.needs_person && !v.is_reload_ok && v.reload_at_s == 0);
    assert_string_equal(v.store_id, "s");
    assert_string_equal(v.opened_by, "");
    assert_true(v.is_backup_told && v.backup_generation == 6 && v.backup_at_s == 8);
    assert_int_equal(v.keys_without_backup, 1);
    assert_string_equal(v.reload_message, "");
    assert_string_equal(v.current_key_id, "k2");
    assert_true(daemon_key_at(&v, 0, &key));
    assert_string_equal(key.id, "k1");
    assert_string_equal(key.state, "retired");
    assert_true(key.decrypts == 3 && key.last_decrypt_s == 1795487500);
    assert_true(daemon_key_find(&v, "k2", &key));
    assert_true(key.last_decrypt_s == 0);
    assert_false(daemon_key_find(&v, "k3", &key));
    assert_false(daemon_key_find(&v, "", &key));
    assert_false(daemon_key_at(&v, 2, &key));
    assert_string_equal(key.id, "k2"); /* untouched */
}

#define SERVICE                                                                                    \
    "\"key_service\":{\"mode\":\"direct\",\"state\":\"grace\",\"cause\":\"sealed\",\"address\":"   \
    "null,"                                                                                        \
    "\"last_good_at\":\"1970-01-01T00:00:05Z\",\"key_version\":3,\"pending_version\":4,"           \
    "\"pending_at\":\"1970-01-01T00:00:06Z\",\"min_decryption_version\":1,\"token_ends_at\":null," \
    "\"keks_cached\":2}"

/* The whole text with one piece replaced. */
static char *with(const char *piece, const char *by)
{
    char *copy = NULL;
    const char *at = strstr(WHOLE, piece);
    assert_non_null(at);
    assert_true(asprintf(&copy, "%.*s%s%s", (int)(at - WHOLE), WHOLE, by, at + strlen(piece)) > 0);
    return copy;
}

static void test_what_does_not_fit(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"\"version\":\"0.1.0\",", ""},
        {"1970-01-01T00:00:01Z", "1970-01-01T00:00:01"},
        {"1970-01-01T00:00:01Z", "1970-01-01T00:00:01Z "},
        {"1970-01-01T00:00:01Z", "1970-13-01T00:00:01Z"},
        {"1970-01-01T00:00:01Z", "1969-12-31T00:00:00Z"},
        {"1970-01-01T00:00:01Z", ""},
        {"\"ready\":true", "\"ready\":1"},
        {"\"generation\":7", "\"generation\":-7"},
        {"\"generation\":7", "\"generation\":\"7\""},
        {"\"keys\":[", "\"keys\":[null,"},
        {"\"decrypts\":3", "\"decrypts\":null"},
        {"\"state\":\"retired\"", "\"state\":null"},
        {BACKUP, "\"backup\":3"},
        {BACKUP, "\"x\":null"},
        {"\"keys_missing\":1", "\"keys_missing\":null"},
        {"00:00:08Z", "00:00:08"},
        {"\"last_decrypt_at\":null", "\"last_decrypt_at\":0"},
        {"\"last_decrypt_at\":null", "\"x\":0"},
        {"\"ok\":false", "\"ok\":null"},
        {"[\"a\"]", "[5]"},
        {"[\"a\"]", "\"a\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = with(rows[i][0], rows[i][1]);
        struct daemon_view v = {.doc = NULL};
        assert_refused(&e, KERR_DOWN, "/run/x does not answer as etcdseald", parse(text, &v));
        assert_null(v.doc);
        free(text);
    }
    struct daemon_view v = {.doc = NULL};
    assert_refused(&e, KERR_DOWN, "not JSON", parse("hello", &v));
    assert_refused(&e, KERR_DOWN, "nested", parse("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", &v));
    assert_refused(&e, KERR_DOWN, "as etcdseald", parse("[]", &v));
    assert_refused(&e, KERR_DOWN, "as etcdseald", parse("null", &v));
}

static void test_sealed_tells_no_backup(void **state)
{
    (void)state;
    AUTO_DAEMON v = {.doc = NULL};
    char *text = with(BACKUP, "\"backup\":null");
    assert_ok(&e, parse(text, &v));
    assert_false(v.is_backup_told);
    assert_true(v.backup_generation == 0 && v.keys_without_backup == 0);
    free(text);
}

static void test_a_key_service(void **state)
{
    (void)state;
    static const char none[] = "\"key_service\":null";
    AUTO_DAEMON v = {.doc = NULL};
    struct daemon_service s;
    assert_ok(&e, parse(WHOLE, &v));
    assert_false(daemon_service_read(&v, &s));
    daemon_done(&v);
    char *text = with(none, SERVICE);
    assert_ok(&e, parse(text, &v));
    assert_true(daemon_service_read(&v, &s));
    assert_string_equal(s.state, "grace");
    assert_string_equal(s.address, "");
    assert_true(s.key_version == 3 && s.pending_version == 4 && s.pending_at_s == 6);
    free(text);
    text = with(none, "\"key_service\":{\"mode\":\"direct\"}");
    struct daemon_view bad = {.doc = NULL};
    assert_refused(&e, KERR_DOWN, "as etcdseald", parse(text, &bad));
    free(text);
}

static void test_nobody(void **state)
{
    (void)state;
    struct daemon_view v = {.doc = NULL};
    assert_refused(&e, KERR_DOWN, "/nowhere", daemon_ask("/nowhere/status.sock", &v, &e));
    assert_refused(&e, KERR_DOWN, "absolute", daemon_ask("status.sock", &v, &e));
    assert_null(v.doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_sealed_tells_no_backup),
        cmocka_unit_test(test_a_key_service),
        cmocka_unit_test(test_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
