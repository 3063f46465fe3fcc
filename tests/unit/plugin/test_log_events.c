/* SPDX-License-Identifier: Apache-2.0 */
/* docs/log-events.md and the events in the code name each other. */
#include "tests/lib/testlib.h"

#include <glob.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 100

struct events {
    char names[EVENTS_MAX][64];
    size_t count;
};

static bool has(const struct events *e, const char *name)
{
    for (size_t i = 0; i < e->count; i++) {
        if (strcmp(e->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Adds what the last group of the pattern finds. */
static void find_in(const char *text, const char *pattern, size_t group, struct events *to)
{
    regex_t regex;
    regmatch_t m[4];
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED), 0);
    while (regexec(&regex, text, ARRAY_LEN(m), m, 0) == 0) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)(m[group].rm_eo - m[group].rm_so),
                       text + m[group].rm_so);
        if (!has(to, name)) {
            assert_true(to->count < EVENTS_MAX);
            memcpy(to->names[to->count], name, sizeof name);
            to->count++;
        }
        text += m[0].rm_eo;
    }
    regfree(&regex);
}

static void find_in_file(const char *path, const char *pattern, size_t group, struct events *to)
{
    static char text[300000];
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        fail_msg("no %s", path);
        return;
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = 0;
    find_in(text, pattern, group, to);
}

static void test_page_and_code_agree(void **state)
{
    (void)state;
    static struct events code;
    static struct events page;
    static const char *const rooms[] = {"plugin", "rpc", "base"};
    for (size_t r = 0; r < ARRAY_LEN(rooms); r++) {
        char pattern[512];
        glob_t found;
        (void)snprintf(pattern, sizeof pattern, "%s/%s/*.c", TEST_SOURCE, rooms[r]);
        assert_int_equal(glob(pattern, 0, NULL, &found), 0);
        for (size_t i = 0; i < found.gl_pathc; i++) {
            find_in_file(
                found.gl_pathv[i],
                "(log_event|log_cause|note_cause|make_line)\\([ \n]*[a-zA-Z_]+,[ \n]*\"([a-z-]+)\"",
                2, &code);
        }
        globfree(&found);
    }
    find_in_file(TEST_SOURCE "/docs/log-events.md", "\n\\| `([a-z-]+)` \\|", 1, &page);
    assert_true(code.count > 20);
    for (size_t i = 0; i < code.count; i++) {
        if (!has(&page, code.names[i])) {
            fail_msg("docs/log-events.md does not name %s", code.names[i]);
        }
    }
    for (size_t i = 0; i < page.count; i++) {
        if (!has(&code, page.names[i])) {
            fail_msg("docs/log-events.md names %s, which nothing logs", page.names[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_and_code_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
