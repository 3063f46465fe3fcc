/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.h: both forms, escaping, thresholds, the line's maximum. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/lib/testlib.h"

static int saved_stderr = -1;
static int captured = -1;
static char line[LOG_LINE_MAX * 2];

/* Standard error goes to a file until released, so that failures are still seen. */
static void capture(void)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    captured = dup(fileno(file));
    assert_int_equal(fclose(file), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(captured >= 0 && saved_stderr >= 0);
    assert_true(dup2(captured, STDERR_FILENO) >= 0);
}

static const char *release(void)
{
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    (void)close(saved_stderr);
    ssize_t n = pread(captured, line, sizeof line - 1, 0);
    (void)close(captured);
    assert_true(n >= 0);
    line[n] = 0;
    return line;
}

/* What follows the time, which must look like one. */
static const char *after_time(const char *text)
{
    assert_true(strlen(text) > 21);
    assert_int_equal(text[4], '-');
    assert_int_equal(text[10], 'T');
    assert_int_equal(text[19], 'Z');
    assert_int_equal(text[20], ' ');
    return text + 21;
}

static void test_text_form(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    capture();
    log_event(LOG_LEVEL_WARN, "key-change", log_text("key", "es1-abc"), log_u64("n", UINT64_MAX),
              log_text("none", NULL), log_text("empty", ""), log_text("two", "a b"),
              log_text("sign", "a=b"));
    assert_string_equal(after_time(release()), "warn key-change key=es1-abc n=18446744073709551615 "
                                               "empty=\"\" two=\"a b\" sign=\"a=b\"\n");
    capture();
    log_event(LOG_LEVEL_ERROR, "alone");
    assert_string_equal(after_time(release()), "error alone\n");
}

static void test_text_escapes(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    capture();
    log_event(LOG_LEVEL_INFO, "x", log_text("a", "1\n2024 error forged"), log_text("b", "\"q\""),
              log_text("c", "\x1b[0m\xc3\xa9\\"));
    assert_string_equal(after_time(release()), "info x a=\"1\\x0a2024 error forged\" "
                                               "b=\"\\x22q\\x22\" c=\"\\x1b[0m\\xc3\\xa9\\x5c\"\n");
}

static void test_json_form(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
    capture();
    log_event(LOG_LEVEL_DEBUG, "key-change", log_text("key", "a\"b\\c\n\x7f\xc3"), log_u64("n", 7),
              log_text("none", NULL), log_text("empty", ""));
    const char *text = release();
    assert_ptr_equal(strstr(text, "{\"ts\":\""), text);
    assert_string_equal(
        text + 7 + 20,
        "\",\"level\":\"debug\",\"event\":\"key-change\","
        "\"key\":\"a\\u0022b\\u005cc\\u000a\\u007f\\u00c3\",\"n\":7,\"empty\":\"\"}\n");
}

static void test_journal_form(void **state)
{
    (void)state;
    assert_int_equal(setenv("JOURNAL_STREAM", "1:2", 1), 0);
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    capture();
    log_event(LOG_LEVEL_ERROR, "a");
    log_event(LOG_LEVEL_WARN, "b", log_u64("n", 1));
    log_event(LOG_LEVEL_INFO, "c");
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    assert_string_equal(release(), "<3>a\n<4>b n=1\n<6>c\n");
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
}

static void test_thresholds(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    assert_true(log_enabled(LOG_LEVEL_WARN));
    assert_false(log_enabled(LOG_LEVEL_INFO));
    capture();
    log_event(LOG_LEVEL_INFO, "quiet");
    log_event(LOG_LEVEL_DEBUG, "quiet");
    assert_string_equal(release(), "");
    capture();
    log_event(LOG_LEVEL_WARN, "heard");
    assert_string_equal(after_time(release()), "warn heard\n");
}

static void test_cause(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    (void)kerr_set(&e, KERR_DENIED, "no way");
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    capture();
    log_cause(LOG_LEVEL_ERROR, "failed", &e, log_u64("try", 3));
    assert_string_equal(after_time(release()), "error failed code=DENIED cause=\"no way\" try=3\n");
    capture();
    log_cause(LOG_LEVEL_ERROR, "failed", &e);
    assert_string_equal(after_time(release()), "error failed code=DENIED cause=\"no way\"\n");
}

/* Long values end in dots; a line that would be too long says that it was cut, and stays whole. */
static void test_long_lines(void **state)
{
    (void)state;
    char word[2000];
    memset(word, 'w', sizeof word);
    word[sizeof word - 1] = 0;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    capture();
    log_event(LOG_LEVEL_INFO, "long", log_text("a", word), log_text("last", "x"));
    assert_non_null(strstr(release(), "www... last=x\n"));
    capture();
    log_event(LOG_LEVEL_INFO, "long", log_text("a", word), log_text("b", word), log_text("c", word),
              log_text("d", word), log_text("last", "x"));
    const char *text = release();
    assert_true(strlen(text) <= LOG_LINE_MAX);
    assert_non_null(strstr(text, " b=www"));
    assert_null(strstr(text, " d=www"));
    assert_null(strstr(text, "last"));
    assert_non_null(strstr(text, "www... cut=1\n"));
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    capture();
    log_event(LOG_LEVEL_INFO, "long", log_text("a", word), log_text("b", word), log_text("c", word),
              log_text("d", word), log_text("last", "x"));
    text = release();
    assert_true(strlen(text) <= LOG_LINE_MAX);
    assert_non_null(strstr(text, "www...\",\"cut\":1}\n"));
}

static void test_json_dots_keep_escapes_whole(void **state)
{
    (void)state;
    char word[1000];
    memset(word, '\n', sizeof word);
    word[sizeof word - 1] = 0;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    capture();
    log_event(LOG_LEVEL_INFO, "long", log_text("a", word));
    assert_non_null(strstr(release(), "\\u000a...\"}\n"));
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    capture();
    log_event(LOG_LEVEL_INFO, "long", log_text("a", word));
    assert_non_null(strstr(release(), "\\x0a...\"\n"));
}

/* Whoever reads the log has stopped: nobody waits for him, and he is told what he missed. */
static void check_stalled_reader(int reader, int writer)
{
    static char seen[1 << 20];
    saved_stderr = dup(STDERR_FILENO);
    assert_true(dup2(writer, STDERR_FILENO) >= 0);
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    (void)alarm(20); /* a blocked write would never end */
    for (uint64_t i = 0; i < 9000; i++) {
        log_event(LOG_LEVEL_INFO, "stalled", log_u64("n", i));
    }
    uint64_t arrived = 0;
    ssize_t n = 0;
    while ((n = read(reader, seen, sizeof seen)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            arrived += seen[i] == '\n';
        }
    }
    log_event(LOG_LEVEL_INFO, "again");
    n = read(reader, line, sizeof line - 1);
    (void)alarm(0);
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    (void)close(saved_stderr);
    (void)close(reader);
    (void)close(writer);
    assert_true(n > 0);
    assert_true(arrived > 50 && arrived < 9000);
    line[n] = 0;
    char want[64];
    (void)snprintf(want, sizeof want, "warn log-lost lines=%llu\n",
                   (unsigned long long)(9000 - arrived));
    assert_non_null(strstr(line, want));
    assert_non_null(strstr(line, "info again\n"));
}

static void test_a_stalled_pipe(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    check_stalled_reader(ends[0], ends[1]);
}

/* As under systemd, where journald reads. */
static void test_a_stalled_socket(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    check_stalled_reader(ends[0], ends[1]);
}

int main(void)
{
    (void)unsetenv("JOURNAL_STREAM");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_form),      cmocka_unit_test(test_text_escapes),
        cmocka_unit_test(test_json_form),      cmocka_unit_test(test_journal_form),
        cmocka_unit_test(test_thresholds),     cmocka_unit_test(test_cause),
        cmocka_unit_test(test_long_lines),     cmocka_unit_test(test_json_dots_keep_escapes_whole),
        cmocka_unit_test(test_a_stalled_pipe), cmocka_unit_test(test_a_stalled_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
