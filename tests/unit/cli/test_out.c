/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/out.h"
#include "tests/lib/testlib.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static struct kerrinfo e;
static char *folder;

/* Sends a stream of this process into a file until put_back. */
static int send_to(FILE *stream, const char *path)
{
    (void)fflush(stream);
    int kept = dup(fileno(stream));
    AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(kept >= 0 && fd >= 0);
    assert_true(dup2(fd, fileno(stream)) >= 0);
    return kept;
}

static void put_back(FILE *stream, int kept)
{
    (void)fflush(stream);
    clearerr(stream);
    assert_true(dup2(kept, fileno(stream)) >= 0);
    assert_int_equal(close(kept), 0);
}

static void check_file(const char *name, const char *want)
{
    AUTO_BUF got = test_read_file(folder, name);
    const char *text = NULL;
    assert_ok(&e, buf_text(&got, &text, &e));
    assert_string_equal(text, want);
}

static void test_results(void **state)
{
    (void)state;
    AUTO_BUF text;
    buf_init(&text, 100);
    char *path = test_path(folder, "out");
    assert_ok(&e, buf_put_text(&text, "whole\n", &e));
    int kept = send_to(stdout, path);
    enum kerr k = out_print(&text, &e);
    enum kerr l = out_line(&e, "%s %d", "line", 5);
    put_back(stdout, kept);
    assert_int_equal(k, KERR_OK);
    assert_int_equal(l, KERR_OK);
    check_file("out", "whole\nline 5\n");
    free(path);
}

static void test_full_disk(void **state)
{
    (void)state;
    AUTO_BUF text;
    struct kerrinfo first = {0};
    struct kerrinfo second = {0};
    buf_init(&text, 100);
    assert_ok(&e, buf_put_text(&text, "whole\n", &e));
    int kept = send_to(stdout, "/dev/full");
    enum kerr k = out_print(&text, &first);
    clearerr(stdout);
    enum kerr l = out_line(&second, "line");
    put_back(stdout, kept);
    assert_int_equal(k, KERR_IO);
    assert_int_equal(l, KERR_IO);
    assert_non_null(strstr(first.text, "standard output"));
    assert_non_null(strstr(second.text, "standard output"));
}

static void test_remarks_and_warnings(void **state)
{
    (void)state;
    char *path = test_path(folder, "err");
    struct options loud = {.is_quiet = false};
    struct options quiet = {.is_quiet = true};
    struct kerrinfo cause = {0};
    (void)kerr_set(&cause, KERR_STATE, "the cause");
    int kept = send_to(stderr, path);
    out_remark(&loud, "remark %d", 1);
    out_remark(&quiet, "remark %d", 2);
    out_warn("warning %d", 3);
    out_error(&cause);
    put_back(stderr, kept);
    check_file("err", "remark 1\nWARNING: warning 3\netcdseal: the cause\n");
    free(path);
}

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *output;
        bool is_doc;
        bool is_yaml;
    } rows[] = {{"table", false, false}, {"json", true, false}, {"yaml", true, true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct options o = {.output = rows[i].output};
        AUTO_BUF text;
        buf_init(&text, 100);
        assert_int_equal(out_is_doc(&o), rows[i].is_doc);
        assert_int_equal(out_doc(&o, &text, &e).is_yaml, rows[i].is_yaml);
    }
}

static int start(void **state)
{
    (void)state;
    folder = test_folder_new();
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_folder_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_remarks_and_warnings),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, start, end);
}
