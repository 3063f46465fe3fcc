/* SPDX-License-Identifier: Apache-2.0 */
/* docs/configuration.md and config.def say the same, and the examples in it are accepted;
 * docs/encryption-config.md has a section for each row of lint.def. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "config/config.h"
#include "config/finding.h"
#include "tests/lib/testlib.h"

#define PAGE_MAX 65536

static char *page;

static int read_page(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF b = {0};
    assert_ok(
        &e, file_read(NULL, TEST_SOURCE "/docs/configuration.md", PAGE_MAX, FILE_READ_ANY, &b, &e));
    assert_ok(&e, text_dup(buf_view(&b), &page, &e));
    return 0;
}

static int free_page(void **state)
{
    (void)state;
    free(page);
    return 0;
}

/* "| `socket.mode` | `"0600"` | restart | " */
static void row_start(const struct config_key *key, char *to, size_t size)
{
    const char *quote = key->preset == NULL ? "" : "`";
    (void)snprintf(to, size, "\n| `%s` | %s%s%s | %s | ", key->path, quote,
                   key->preset == NULL ? "\xe2\x80\x93" : key->preset, quote,
                   key->needs_restart ? "restart" : "reload");
}

static void test_every_key_is_documented(void **state)
{
    (void)state;
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(i)) != NULL; i++) {
        char row[256];
        row_start(key, row, sizeof row);
        if (strstr(page, row) == NULL) {
            fail_msg("docs/configuration.md has no row%s", row);
        }
    }
}

/* Rows for keys that are gone. */
static void test_every_row_is_a_key(void **state)
{
    (void)state;
    size_t rows = 0;
    for (const char *p = page; (p = strstr(p, "\n| `")) != NULL; p++) {
        rows++;
    }
    size_t keys = 0;
    while (config_key_at(keys) != NULL) {
        keys++;
    }
    assert_int_equal(rows, keys);
}

static void test_examples_are_accepted(void **state)
{
    (void)state;
    static const char fence[] = "\n```yaml\n";
    size_t examples = 0;
    for (const char *p = page; (p = strstr(p, fence)) != NULL; examples++) {
        struct kerrinfo e = {0};
        AUTO_CONFIG c = NULL;
        p += strlen(fence);
        const char *end = strstr(p, "\n```\n");
        assert_non_null(end);
        assert_ok(&e, config_parse(bytes_of(p, (size_t)(end - p) + 1), "example", &c, &e));
    }
    assert_true(examples >= 4);
}

/* The default in the table is the value that a file without the key gets. */
static void test_defaults_are_presets(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_CONFIG absent = NULL;
    AUTO_CONFIG given = NULL;
    AUTO_BUF one;
    AUTO_BUF two;
    AUTO_BUF text;
    buf_init(&one, PAGE_MAX);
    buf_init(&two, PAGE_MAX);
    buf_init(&text, PAGE_MAX);
    const struct config_key *key;
    const char *section = "";
    size_t section_len = 0;
    for (size_t i = 0; (key = config_key_at(i)) != NULL && strchr(key->path, '[') == NULL; i++) {
        if (key->preset == NULL) {
            continue; /* the section vault, which a file may do without */
        }
        const char *dot = strchr(key->path, '.');
        size_t len = dot == NULL ? 0 : (size_t)(dot - key->path);
        if (len > 0 && (len != section_len || strncmp(section, key->path, len) != 0)) {
            assert_ok(&e, buf_printf(&text, &e, "%.*s:\n", (int)len, key->path));
        }
        section = key->path;
        section_len = len;
        assert_ok(&e, buf_printf(&text, &e, "%s%s: %s\n", len > 0 ? "  " : "",
                                 dot == NULL ? key->path : dot + 1, key->preset));
    }
    assert_ok(&e, config_parse(buf_view(&text), "presets", &given, &e));
    assert_ok(&e, config_parse(bytes_of_text("{}"), "empty", &absent, &e));
    assert_ok(&e, config_print(given, &one, &e));
    assert_ok(&e, config_print(absent, &two, &e));
    assert_true(bytes_equal(buf_view(&one), buf_view(&two)));
}

/* ---- docs/encryption-config.md ---- */

/* The page with each line end and the blanks around it as one blank. */
static char *read_in_one_line(void)
{
    struct kerrinfo e = {0};
    AUTO_BUF b = {0};
    char *text = NULL;
    assert_ok(&e, file_read(NULL, TEST_SOURCE "/" LINT_PAGE, PAGE_MAX, FILE_READ_ANY, &b, &e));
    assert_ok(&e, text_dup(buf_view(&b), &text, &e));
    char *to = text;
    for (const char *p = text; *p != 0; p++) {
        char c = *p == '\n' ? ' ' : *p;
        if (c != ' ' || to == text || to[-1] != ' ') {
            *to++ = c;
        }
    }
    *to = 0;
    return text;
}

/* Heading, severity, release and cure stand in the rule's own section. */
static void check_rule(const char *text, const struct lint_rule_info *rule)
{
    char heading[80];
    char words[LINT_TEXT_MAX + 80];
    (void)snprintf(heading, sizeof heading, " ### %s ", rule->id);
    const char *section = strstr(text, heading);
    if (section == NULL) {
        fail_msg(LINT_PAGE " has no section%s", heading);
    }
    const char *next = strstr(section + strlen(heading), " ### ");
    const char *loads = rule->refused_from == NULL ? "loaded)" : "not loaded from Kubernetes ";
    (void)snprintf(words, sizeof words, "(%s; %s%s", lint_severity_names[rule->severity], loads,
                   rule->refused_from == NULL ? "" : rule->refused_from);
    const char *found = strstr(section, words);
    if (found == NULL || (next != NULL && found > next)) {
        fail_msg("section%sdoes not say \"%s\"", heading, words);
    }
    (void)snprintf(words, sizeof words, " Cure: %s.", rule->cure);
    found = strstr(section, words);
    if (found == NULL || (next != NULL && found > next)) {
        fail_msg("section%sdoes not say \"%s\"", heading, words);
    }
}

static void test_every_rule_has_its_section(void **state)
{
    (void)state;
    char *text = read_in_one_line();
    size_t headings = 0;
    for (size_t i = 0; i < LINT_RULE_COUNT; i++) {
        check_rule(text, &lint_rules[i]);
    }
    for (const char *p = text; (p = strstr(p, " ### ")) != NULL; p++) {
        headings++;
    }
    assert_int_equal(headings, LINT_RULE_COUNT);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_is_documented),
        cmocka_unit_test(test_every_row_is_a_key),
        cmocka_unit_test(test_examples_are_accepted),
        cmocka_unit_test(test_defaults_are_presets),
        cmocka_unit_test(test_every_rule_has_its_section),
    };
    return cmocka_run_group_tests(tests, read_page, free_page);
}
