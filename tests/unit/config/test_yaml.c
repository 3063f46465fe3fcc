/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/yaml.h against hostile text. Every text lies at the end of a page with a guard page behind
 * it, so that a parser that reads beyond its end dies here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/yaml.h"
#include "tests/lib/testlib.h"

#define MAX 65536

static enum kerr read_guarded(struct bytes text, bool is_secret, struct yaml **ret,
                              struct kerrinfo *e)
{
    AUTO_SECRET guarded = NULL;
    if (text.len > 0) {
        assert_int_equal(secret_from_bytes(text, &guarded, NULL), KERR_OK);
    }
    struct yaml_source source = {.text = guarded == NULL ? text : secret_view(guarded),
                                 .name = "F",
                                 .max = MAX,
                                 .is_secret = is_secret,
                                 .skip_key = "secret"};
    return yaml_read(&source, ret, e);
}

static enum kerr read_text(const char *text, struct yaml **ret, struct kerrinfo *e)
{
    return read_guarded(bytes_of_text(text), false, ret, e);
}

struct hostile {
    struct bytes text;
    const char *message; /* how it begins */
};

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }

static const struct hostile hostiles[] = {
    {TEXT("a: &x 1"), "F:1:4: anchors (&) are not allowed here; write it out in full"},
    {TEXT("&x a: 1"), "F:1:1: anchors (&)"},
    {TEXT("a: &x [1]"), "F:1:4: anchors (&)"},
    {TEXT("a: &x {}"), "F:1:4: anchors (&)"},
    {TEXT("a: *x"), "F:1:4: aliases (*) are not allowed here"},
    {TEXT("*x : 1"), "F:1:1: aliases (*) are not allowed here"},
    {TEXT("a: !!str 1"), "F:1:4: tags (!) are not allowed here"},
    {TEXT("a: ! 1"), "F:1:4: tags (!)"},
    {TEXT("!t {a: 1}"), "F:1:1: tags (!)"},
    {TEXT("a: !!set [1]"), "F:1:4: tags (!)"},
    {TEXT("<<: {a: 1}"), "F:1:1: merge keys (<<) are not allowed here"},
    {TEXT("a: 1\n---\nb: 2"), "F:2:1: a second document; one is allowed"},
    {TEXT("a: 1\n...\nb: 2"), "F:2:1: a second document"},
    {TEXT("%YAML 1.1\n---\na: 1"), "F:1:1: directives (%) are not allowed here"},
    {TEXT("%TAG ! tag:x,1:\n---\na: 1"), "F:1:1: directives (%)"},
    {TEXT("%FOO bar\n---\na: 1"), "F:1:2: not valid YAML: Unsupported directive"},
    {TEXT("a: 1\na: 2"), "F:2:1: repeated key 'a', first in line 1"},
    {TEXT("a: 1\n\"a\": 2"), "F:2:1: repeated key 'a', first in line 1"},
    {TEXT("x: {a: 1, b: 2, 'a': 2}"), "F:1:17: repeated key 'a', first in line 1"},
    {TEXT("[a]: 1"), "F:1:1: a key must be a word"},
    {TEXT("? {a: 1}\n: 1"), "F:1:3: a key must be a word"},
    {TEXT(": 1"), "F:1:1: a key without a name"},
    {TEXT("\"\": 1"), "F:1:1: a key without a name"},
    {TEXT("a: \0"), "F:1:4: control character 0x00"},
    {TEXT("a:\n  b: \x01"), "F:2:6: control character 0x01"},
    {TEXT("\xc3\xa9: \x7f"), "F:1:4: control character 0x7f"},
    {TEXT("a: \x1b[0m"), "F:1:4: control character 0x1b"},
    {TEXT("a: \xff"), "F is not UTF-8 text"},
    {TEXT("a: \xc3"), "F is not UTF-8 text"},
    {TEXT("\xff\xfe"
          "a\0:\0"),
     "F:1:4: control character 0x00"},
    {TEXT("a: \"\\0\""), "F:1:4: a control character or line end in a text"},
    {TEXT("a: \"\\t\""), "F:1:4: a control character or line end"},
    {TEXT("a: \"\\x7f\""), "F:1:4: a control character or line end"},
    {TEXT("a: \"\\uD800\""), "F:1:5: not valid YAML"},
    {TEXT("a: |\n  x\n"), "F:2:1: a text over several lines; write it in one"},
    {TEXT("a: >\n  x\n  y\n"), "F:2:1: a text over several lines"},
    {TEXT("a: x\n  y"), "F:1:4: a text over several lines"},
    {TEXT("a: \"x\n  y\""), "F:1:4: a text over several lines"},
    {TEXT("a: 'x\n  y'"), "F:1:4: a text over several lines"},
    {TEXT("a: \"x\\\n  y\""), "F:1:4: a text over several lines"},
    {TEXT("? x\n  y\n: 1"), "F:1:3: a text over several lines"},
    {TEXT("a: ''''''"), "F:1:4: '' twice in a row; use double quotes around the text"},
    {TEXT("a: 'x'''''"), "F:1:4: '' twice in a row"},
    {TEXT("\"a\\nb\": 1"), "F:1:1: a control character or line end"},
    {TEXT("a: \"x"), "F:1:5: not valid YAML: "},
    {TEXT("a: [1"), "F:2:1: not valid YAML: "},
    {TEXT("a: 1}"), NULL},
    {TEXT("{a: 1}}"), "F:1:7: not valid YAML: "},
    {TEXT("a:\n\tb: 1"), "F:2:1: not valid YAML: tab character"},
    {TEXT("a: b: c"), "F:1:5: not valid YAML: "},
    {TEXT("- a\nb: c"), "F:2:1: not valid YAML"},
    {TEXT("@a: 1"), "F:1:1: not valid YAML: "},
    {TEXT("---"), NULL},
    {TEXT("..."), "F:1:1: "},
    {TEXT("\n\n#\n"), "F:1:1: empty"},
    {TEXT("\xef\xbb\xbf"), "F:1:1: empty"},
};

static void test_hostile_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hostiles); i++) {
        struct kerrinfo e = {0};
        struct yaml *doc = NULL;
        enum kerr k = read_guarded(hostiles[i].text, false, &doc, &e);
        const char *want = hostiles[i].message;
        if (want == NULL) { /* odd, but a text by the grammar */
            assert_int_equal(k, KERR_OK);
            yaml_free(doc);
            continue;
        }
        if (k != KERR_CONFIG || strncmp(e.text, want, strlen(want)) != 0) {
            fail_msg("%.*s\ngot %s \"%s\"\nexpected \"%s\"", (int)hostiles[i].text.len,
                     (const char *)hostiles[i].text.ptr, kerr_name(k), e.text, want);
        }
        assert_null(doc);
    }
}

/* Text that may be secret never gets into a message, in none of the cases above. */
static void test_secret_texts_are_not_shown(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "Zq9w: 1\nZq9w: 2", "Zq9w: &Zq9w 1", "a: *Zq9w", "a: !Zq9w 1",   "a: \"Zq9w\\q\"",
        "a: Zq9w: Zq9w",    "%Zq9w\n---\na", "a: [Zq9w", "Zq9w Zq9w\nb", "@Zq9w",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct kerrinfo e = {0};
        struct yaml *doc = NULL;
        enum kerr k = read_guarded(bytes_of_text(texts[i]), true, &doc, &e);
        if (k == KERR_OK) {
            const struct yaml_node *found[1];
            static const char *const names[] = {"Zq9v"};
            k = yaml_fields(doc, yaml_root(doc), "w", names, 1, found, &e);
            yaml_free(doc);
        }
        assert_int_equal(k, KERR_CONFIG);
        assert_null(strstr(e.text, "Zq9w"));
    }
}

/* `count` times `unit` between two ends. The caller frees. */
static char *repeated(const char *begin, const char *unit, size_t count, const char *end)
{
    size_t len = strlen(unit);
    char *text = calloc(1, strlen(begin) + count * len + strlen(end) + 1);
    assert_non_null(text);
    char *p = stpcpy(text, begin);
    for (size_t i = 0; i < count; i++) {
        p = stpcpy(p, unit);
    }
    (void)stpcpy(p, end);
    return text;
}

static void check_repeated(const char *begin, const char *unit, size_t count, const char *end,
                           const char *words)
{
    struct kerrinfo e = {0};
    AUTO_YAML doc = NULL;
    char *text = repeated(begin, unit, count, end);
    if (words == NULL) {
        assert_ok(&e, read_text(text, &doc, &e));
    } else {
        assert_refused(&e, KERR_CONFIG, words, read_text(text, &doc, &e));
    }
    free(text);
}

static void test_limits(void **state)
{
    (void)state;
    check_repeated("", "[", YAML_DEPTH_MAX, "]]]]]]]]]]]]", NULL);
    check_repeated("", "[", YAML_DEPTH_MAX + 1, "]]]]]]]]]]]]]", "F:1:13: nested more than 12");
    check_repeated("", "[", 65000, "", "nested more than 12 levels deep");
    check_repeated("", "{a: ", 16000, "", "nested more than 12 levels deep");
    check_repeated("", "- ", 32000, "x", "nested more than 12 levels deep");
    check_repeated("a: ", "x", YAML_SCALAR_MAX, "", NULL);
    check_repeated("a: ", "x", YAML_SCALAR_MAX + 1, "", "F:1:4: longer than 4096 bytes");
    check_repeated("a: \"", "\\x41", YAML_SCALAR_MAX, "\"", NULL);
    check_repeated("a: \"", "\\x41", YAML_SCALAR_MAX + 1, "\"", "longer than 4096 bytes");
    check_repeated("", "k", YAML_KEY_MAX, ": 1", NULL);
    check_repeated("", "k", YAML_KEY_MAX + 1, ": 1", "F:1:1: longer than 320 bytes");
    check_repeated("[", "1,", YAML_NODES_MAX - 1, "]", NULL);
    check_repeated("[", "1,", YAML_NODES_MAX, "]", "more than 4096 values");
    check_repeated("- \"", "\\L\\P", 600, "\"\n", NULL);
    check_repeated("", "- \"\\L\\P\"\n", 1000, "", NULL);
}

static void test_keys_limit(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_YAML doc = NULL;
    AUTO_BUF text;
    buf_init(&text, MAX);
    const char *yaml = NULL;
    for (int i = 0; i < YAML_KEYS_MAX; i++) {
        assert_ok(&e, buf_printf(&text, &e, "k%d:\n", i));
    }
    assert_ok(&e, buf_text(&text, &yaml, &e));
    assert_ok(&e, read_text(yaml, &doc, &e));
    assert_int_equal(yaml_count(yaml_root(doc)), YAML_KEYS_MAX);
    yaml_free_at(&doc);
    assert_ok(&e, buf_put_text(&text, "more:\n", &e));
    assert_ok(&e, buf_text(&text, &yaml, &e));
    assert_refused(&e, KERR_CONFIG, "F:65:1: more than 64 keys", read_text(yaml, &doc, &e));
}

static void test_size_limit(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_YAML doc = NULL;
    char *text = repeated("{}", "#", MAX - 3, "\n");
    text[2] = ' ';
    assert_ok(&e, read_guarded(bytes_of(text, MAX), false, &doc, &e));
    yaml_free_at(&doc);
    assert_refused(&e, KERR_LIMIT, "F is larger than 65536 bytes",
                   read_guarded(bytes_of(text, MAX + 1), false, &doc, &e));
    free(text);
}

static void check_scalar(const struct yaml_node *n, const char *key, const char *text,
                         enum yaml_type type, unsigned line, unsigned column)
{
    assert_int_equal(n->kind, YAML_SCALAR);
    if (key == NULL) {
        assert_null(n->key);
    } else {
        assert_string_equal(n->key, key);
    }
    assert_string_equal(n->text, text);
    assert_int_equal(yaml_type_of(n), type);
    assert_int_equal(n->line, line);
    assert_int_equal(n->column, column);
}

static void test_nodes(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_YAML doc = NULL;
    assert_ok(&e, read_text("# c\na: 1\nb:\n  - x\n  - 'y z'\n  -   \"\\u00e9\"\nc: {d: , e: ~}\n"
                            "secret: not looked at\nf: [ ]\r\n",
                            &doc, &e));
    const struct yaml_node *root = yaml_root(doc);
    assert_int_equal(root->kind, YAML_MAPPING);
    assert_null(root->key);
    assert_null(root->next);
    assert_int_equal(yaml_count(root), 5);
    const struct yaml_node *n = root->child;
    check_scalar(n, "a", "1", YAML_NUMBER, 2, 4);
    assert_int_equal(n->key_line, 2);
    assert_int_equal(n->key_column, 1);
    n = n->next;
    assert_string_equal(n->key, "b");
    assert_int_equal(n->kind, YAML_SEQUENCE);
    assert_int_equal(n->line, 4);
    assert_int_equal(n->key_line, 3);
    check_scalar(n->child, NULL, "x", YAML_TEXT, 4, 5);
    check_scalar(n->child->next, NULL, "y z", YAML_TEXT, 5, 5);
    check_scalar(n->child->next->next, NULL, "\xc3\xa9", YAML_TEXT, 6, 7);
    assert_null(n->child->next->next->next);
    n = n->next;
    assert_int_equal(n->kind, YAML_MAPPING);
    check_scalar(n->child, "d", "", YAML_NULL, 7, 5);
    check_scalar(n->child->next, "e", "~", YAML_NULL, 7, 13);
    n = n->next;
    assert_string_equal(n->key, "secret");
    check_scalar(n, "secret", "", YAML_TEXT, 8, 9);
    n = n->next;
    assert_string_equal(n->key, "f");
    assert_null(n->child);
    assert_false(yaml_is_secret(doc));
    yaml_free(NULL);
}

static void check_decoded(const char *yaml, const char *want)
{
    struct kerrinfo e = {0};
    AUTO_YAML doc = NULL;
    assert_ok(&e, read_text(yaml, &doc, &e));
    assert_string_equal(yaml_root(doc)->child->text, want);
}

static void test_quotes_and_escapes(void **state)
{
    (void)state;
    check_decoded("- a b  # c", "a b");
    check_decoded("- it's", "it's");
    check_decoded("- 'it''s'", "it's");
    check_decoded("- ''", "");
    check_decoded("- ''''", "'");
    check_decoded("- 'a''b''c\\n'", "a'b'c\\n");
    check_decoded("- \"\"", "");
    check_decoded("- \"'\"", "'");
    check_decoded("- \"''''''\"", "''''''");
    check_decoded("- \"a\\\"b\\\\c\\/\"", "a\"b\\c/");
    check_decoded("- \"\\x41\\u00e9\\U0001f512\"", "A\xc3\xa9\xf0\x9f\x94\x92");
    check_decoded("- \"\\_\\L\"", "\xc2\xa0\xe2\x80\xa8");
    check_decoded("[\xe2\x82\xac, b]", "\xe2\x82\xac");
    check_decoded("\xef\xbb\xbf- x", "x");
}

struct typed {
    const char *text;
    enum yaml_type type;
};

static const struct typed typeds[] = {
    {"", YAML_NULL},       {"~", YAML_NULL},       {"null", YAML_NULL},     {"NULL", YAML_NULL},
    {"nULL", YAML_TEXT},   {"true", YAML_BOOL},    {"False", YAML_BOOL},    {"tRUE", YAML_TEXT},
    {"yes", YAML_TEXT},    {"off", YAML_TEXT},     {"0", YAML_NUMBER},      {"-7", YAML_NUMBER},
    {"+7", YAML_NUMBER},   {"007", YAML_NUMBER},   {"0o17", YAML_NUMBER},   {"0o18", YAML_TEXT},
    {"0x1F", YAML_NUMBER}, {"0x", YAML_TEXT},      {"0xg", YAML_TEXT},      {"1.", YAML_NUMBER},
    {".5", YAML_NUMBER},   {".", YAML_TEXT},       {"-", YAML_TEXT},        {"1e3", YAML_NUMBER},
    {"1E-3", YAML_NUMBER}, {"1e", YAML_TEXT},      {"1e+", YAML_TEXT},      {"1e3x", YAML_TEXT},
    {".inf", YAML_NUMBER}, {"-.Inf", YAML_NUMBER}, {".nan", YAML_NUMBER},   {"-.nan", YAML_TEXT},
    {"1_000", YAML_TEXT},  {"10s", YAML_TEXT},     {"1:30", YAML_TEXT},     {"e3", YAML_TEXT},
    {"12.5.6", YAML_TEXT}, {"--1", YAML_TEXT},     {"-.5e-7", YAML_NUMBER},
};

static void test_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(typeds); i++) {
        struct yaml_node n = {.kind = YAML_SCALAR, .is_plain = true, .text = typeds[i].text};
        if (yaml_type_of(&n) != typeds[i].type) {
            fail_msg("%s: %d", typeds[i].text, (int)yaml_type_of(&n));
        }
        n.is_plain = false;
        assert_int_equal(yaml_type_of(&n), YAML_TEXT);
    }
}

static void test_fields_and_texts(void **state)
{
    (void)state;
    static const char *const names[] = {"alpha", "beta", "gamma"};
    const struct yaml_node *found[3];
    const char *text = NULL;
    struct kerrinfo e = {0};
    AUTO_YAML doc = NULL;
    assert_ok(&e, read_text("gamma: x\nalpha: 1\n", &doc, &e));
    assert_ok(&e, yaml_fields(doc, yaml_root(doc), "w", names, 3, found, &e));
    assert_null(found[1]);
    assert_ok(&e, yaml_text(doc, found[2], "w", "text", &text, &e));
    assert_string_equal(text, "x");
    assert_refused(&e, KERR_CONFIG, "F:2:8: w: expected text, found a number; put it in quotes",
                   yaml_text(doc, found[0], "w", "text", &text, &e));
    assert_refused(&e, KERR_CONFIG, "F:1:1: w: expected text, found a mapping",
                   yaml_text(doc, yaml_root(doc), "w", "text", &text, &e));
    assert_refused(&e, KERR_CONFIG, "F:1:8: w: expected keys and values (a mapping), found text",
                   yaml_fields(doc, found[2], "w", names, 3, found, &e));
    assert_refused(&e, KERR_CONFIG,
                   "F:2:1: unknown key 'alpha' (did you mean 'alphb'?); expected one of: alphb, "
                   "gamma",
                   yaml_fields(doc, yaml_root(doc), "w", (const char *const[]){"alphb", "gamma"}, 2,
                               found, &e));
}

int main(void)
{
    assert_int_equal(secret_start(SECRET_LOCK_BEST_EFFORT, NULL), KERR_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_secret_texts_are_not_shown),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_keys_limit),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_quotes_and_escapes),
        cmocka_unit_test(test_fields_and_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
