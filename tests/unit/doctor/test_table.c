/* SPDX-License-Identifier: Apache-2.0 */
/* The table of checks and docs/doctor.md. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "doctor/verdict.h"
#include "tests/lib/testlib.h"

#define PAGE_MAX 65536

static size_t row_of(const char *id, size_t len)
{
    for (size_t i = 0; i < doctor_check_count; i++) {
        const char *other = doctor_checks[i].about.id;
        if (strlen(other) == len && strncmp(other, id, len) == 0) {
            return i;
        }
    }
    return doctor_check_count;
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < doctor_check_count; i++) {
        const struct check *c = &doctor_checks[i];
        assert_int_equal(row_of(c->about.id, strlen(c->about.id)), i); /* each id once */
        assert_true(*c->about.why != 0 && *c->about.area != 0 && c->judge != NULL);
        assert_int_equal(c->about.id[strspn(c->about.id, "abcdefghijklmnopqrstuvwxyz-")], 0);
        assert_ptr_equal(doctor_about_at(i), &c->about);
        for (const char *p = c->after; p != NULL && *p != 0; p += *p == ',') {
            size_t len = strcspn(p, ",");
            if (row_of(p, len) >= i) {
                fail_msg("%s stands after %.*s, which is no row above it", c->about.id, (int)len,
                         p);
            }
            p += len;
        }
    }
    assert_null(doctor_about_at(doctor_check_count));
}

/* A section of its id, whose first word is the severity. */
static void test_every_check_is_documented(void **state)
{
    struct kerrinfo e = {0};
    (void)state;
    AUTO_BUF b = {0};
    AUTO_TEXT page = NULL;
    size_t sections = 0;
    assert_ok(&e, file_read(NULL, TEST_SOURCE "/docs/doctor.md", PAGE_MAX, FILE_READ_ANY, &b, &e));
    assert_ok(&e, text_dup(buf_view(&b), &page, &e));
    for (size_t i = 0; i < doctor_check_count; i++) {
        const struct doctor_about *about = &doctor_checks[i].about;
        char head[128];
        (void)snprintf(head, sizeof head, "\n### %s\n\n", about->id);
        const char *at = strstr(page, head);
        if (at == NULL) {
            fail_msg("docs/doctor.md has no section %s", about->id);
        }
        const char *text = at + strlen(head);
        const char *word = doctor_severity_name(about->severity);
        bool is_named = tolower((unsigned char)*text) == *word &&
                        strncmp(text + 1, word + 1, strlen(word) - 1) == 0;
        /* Never a finding: the one row that is only ever unknown. */
        if (!is_named && strcmp(about->id, "apiserver-answers") != 0) {
            fail_msg("docs/doctor.md, %s: does not begin with its severity, %s", about->id, word);
        }
    }
    for (const char *p = strstr(page, "\n### "); p != NULL; p = strstr(p + 1, "\n### ")) {
        sections++;
    }
    assert_int_equal(sections, doctor_check_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_every_check_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
