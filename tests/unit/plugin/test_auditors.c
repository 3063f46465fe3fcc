/* SPDX-License-Identifier: Apache-2.0 */
/* plugin/auditors.h: who is an auditor, what is counted, what is logged and how much of it. */
#include "plugin/auditors.h"
#include "tests/lib/testlib.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define ROW_API     0 /* all methods */
#define ROW_AUDITOR 1 /* Status and Decrypt */
#define ROW_STATUS  2

static const struct config_peer rows[] = {
    {.id = 0, .methods = CONFIG_METHODS_ALL},
    {.id = 990, .methods = CONFIG_METHOD_STATUS | CONFIG_METHOD_DECRYPT},
    {.id = 991, .methods = CONFIG_METHOD_STATUS},
};

static struct kerrinfo e;
static struct metrics *metrics;
static struct auditors *auditors;
static struct auditor_tally tally; /* of the connection 7 */
static const struct peer known = {.pid = 42, .uid = 990, .gid = 991, .conn = 7};
static const struct peer nobody;
static struct buf shown;
static int saved_stderr;
static int caught;

/* The only connection there is. */
static void add(void *ctx, uint64_t conn, const struct auditor_call *call, struct auditor_seen *ret)
{
    (void)ctx;
    if (conn == known.conn) {
        auditor_tally_add(&tally, call, ret);
    }
}

static int setup(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    assert_ok(&e, metrics_new(&metrics, &e));
    assert_ok(&e, auditors_new(metrics, add, NULL, &auditors, &e));
    auditors_set_rows(auditors, rows, ARRAY_LEN(rows));
    tally = (struct auditor_tally){.row = 0};
    buf_init(&shown, METRICS_TEXT_MAX);
    FILE *file = tmpfile();
    assert_non_null(file);
    caught = dup(fileno(file));
    assert_int_equal(fclose(file), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(caught >= 0 && dup2(caught, STDERR_FILENO) >= 0);
    return 0;
}

/* What was logged; ends catching. */
static const char *logged(void)
{
    static char text[65536];
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    ssize_t n = pread(caught, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static int teardown(void **state)
{
    (void)state;
    (void)logged();
    (void)close(saved_stderr);
    (void)close(caught);
    buf_done(&shown);
    auditors_free(auditors);
    metrics_free(metrics);
    return 0;
}

static void decrypt(const struct peer *peer, size_t row, const char *uid, bool is_unwrapped)
{
    auditors_decrypt(auditors, peer,
                     &(struct auditor_call){.row = row, .uid = uid, .is_unwrapped = is_unwrapped});
}

static void end(void)
{
    auditors_ended(auditors, &known, &tally);
}

static unsigned count(const char *text, const char *words)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++) {
        n++;
    }
    return n;
}

static void assert_counted(unsigned unwrapped, unsigned refused)
{
    static struct provider_info info = {.name = "local"};
    char want[200];
    const char *text = NULL;
    shown.len = 0;
    assert_ok(&e, metrics_text(metrics, &(struct metrics_view){.provider = &info}, &shown, &e));
    assert_ok(&e, buf_text(&shown, &text, &e));
    (void)snprintf(want, sizeof want,
                   "\netcdseal_auditor_decrypts_total{result=\"unwrapped\"} %u\n"
                   "etcdseal_auditor_decrypts_total{result=\"refused\"} %u\n",
                   unwrapped, refused);
    if (strstr(text, want) == NULL) {
        fail_msg("no \"%s\"", want);
    }
}

static void test_kube_apiserver_is_none(void **state)
{
    (void)state;
    static const char *const uids[] = {"", "etcdseal-audi", "etcdseal-audit2", "ETCDSEAL-AUDIT"};
    for (size_t i = 0; i < ARRAY_LEN(uids); i++) {
        decrypt(&known, ROW_API, uids[i], true);
    }
    decrypt(&known, CONFIG_PEERS_MAX, "", true); /* a row that does not exist */
    decrypt(&nobody, ROW_API, "", true);
    end();
    assert_false(tally.is_auditor);
    assert_counted(0, 0);
    assert_string_equal(logged(), "");
}

static void test_by_the_uid_of_its_requests(void **state)
{
    (void)state;
    decrypt(&known, ROW_API, "", true); /* not yet known */
    decrypt(&known, ROW_API, KMS_AUDIT_UID, true);
    decrypt(&known, ROW_API, KMS_AUDIT_UID, false);
    decrypt(&known, ROW_API, "another", true); /* known by now */
    end();
    assert_counted(2, 1);
    const char *log = logged();
    assert_non_null(strstr(log, " warn decrypt-by-auditor reason=uid uid=etcdseal-audit "
                                "peer_uid=990 peer_gid=991 peer_pid=42 row=0\n"));
    assert_non_null(strstr(log, " warn decrypt-by-auditor-end peer_uid=990 peer_pid=42 row=0 "
                                "unwrapped=2 refused=1 duration_ms="));
    assert_int_equal(count(log, "\n"), 2);
}

static void test_by_its_row_whatever_it_says(void **state)
{
    (void)state;
    decrypt(&known, ROW_AUDITOR, "", false); /* one that could not be read */
    decrypt(&known, ROW_AUDITOR, "e9d62a4c-like-kube-apiserver", true);
    end();
    assert_counted(1, 1);
    const char *log = logged();
    assert_non_null(strstr(log, " decrypt-by-auditor reason=row peer_uid=990 peer_gid=991 "
                                "peer_pid=42 row=1\n"));
    assert_int_equal(count(log, "\n"), 2);
}

static void test_rows_follow_a_reload(void **state)
{
    (void)state;
    auditors_set_rows(auditors, rows + 1, 1);
    decrypt(&nobody, 1, "", true); /* its row has gone */
    decrypt(&nobody, 0, "", true);
    assert_counted(1, 0);
    assert_int_equal(count(logged(), "decrypt-by-auditor reason=row row=0\n"), 1);
}

/* Its connection may have ended before the call was answered: logged all the same. */
static void test_a_connection_that_is_gone(void **state)
{
    (void)state;
    decrypt(&nobody, ROW_AUDITOR, "x", true);
    decrypt(&nobody, ROW_API, KMS_AUDIT_UID, true);
    assert_counted(2, 0);
    const char *log = logged();
    assert_non_null(strstr(log, " decrypt-by-auditor reason=row uid=x row=1\n"));
    assert_non_null(strstr(log, " decrypt-by-auditor reason=uid uid=etcdseal-audit row=0\n"));
}

static void test_lines_are_bounded_and_a_row_hides_no_other(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        tally = (struct auditor_tally){.row = 0};
        decrypt(&known, ROW_AUDITOR, "x", true);
        end();
    }
    tally = (struct auditor_tally){.row = 0};
    decrypt(&known, ROW_API, KMS_AUDIT_UID, true);
    assert_counted(501, 0);
    const char *log = logged();
    unsigned of_row = count(log, " row=1");
    assert_true(of_row >= AUDITORS_LOG_BURST && of_row <= AUDITORS_LOG_BURST + 10);
    assert_int_equal(count(log, " row=0\n"), 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kube_apiserver_is_none),
        TEST(test_by_the_uid_of_its_requests),
        TEST(test_by_its_row_whatever_it_says),
        TEST(test_rows_follow_a_reload),
        TEST(test_a_connection_that_is_gone),
        TEST(test_lines_are_bounded_and_a_row_hides_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
