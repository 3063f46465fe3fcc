/* SPDX-License-Identifier: Apache-2.0 */
/* SPECs, slot names and the order of failures. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/seal/parts.h"

static void a_spec_is_name_kind_and_argument(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        const char *slot;
        uint8_t kind;
        const char *text;
        const char *arg;
    } rows[] = {
        {"passphrase:", "passphrase", SEAL_PASSPHRASE, "passphrase:", ""},
        {"ops=passphrase:", "ops", SEAL_PASSPHRASE, "passphrase:", ""},
        {"passphrase:fd=9", "passphrase", SEAL_PASSPHRASE, "passphrase:fd=9", "fd=9"},
        {"b-1=file:/a=b:c", "b-1", SEAL_FILE, "file:/a=b:c", "/a=b:c"},
        {"credential:boot", "credential", SEAL_CREDENTIAL, "credential:boot", "boot"},
        {"x=credential:boot,file=/y", "x", SEAL_CREDENTIAL, "credential:boot,file=/y",
         "boot,file=/y"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kerrinfo e = {0};
        AUTO_SPEC s = {0};
        assert_ok(&e, seal_spec_parse(rows[i].spec, &s, &e));
        assert_string_equal(s.slot, rows[i].slot);
        assert_int_equal(s.kind, rows[i].kind);
        assert_string_equal(s.text, rows[i].text);
        assert_string_equal(s.arg, rows[i].arg);
    }
}

static void what_is_no_spec_is_refused_with_the_kinds(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      ":",       "=",        "=:",          "passphrase", "file",   "/etc/key",
        "tpm2:", "File:/x", " file:/x", "a=b=file:/x", "boot=",      "boot=:", "filex:/x",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kerrinfo e = {0};
        struct seal_spec s = {0};
        assert_refused(&e, KERR_INPUT,
                       "kinds are passphrase:[fd=N|file=PATH], file:PATH, "
                       "credential:NAME[,file=PATH]",
                       seal_spec_parse(bad[i], &s, &e));
        assert_null(s.slot);
    }
}

static void a_mistaken_passphrase_is_not_repeated(void **state)
{
    (void)state;
    static const char *const bad[] = {"Hunter2",
                                      "Hunter2:x",
                                      "boot=Hunter2:",
                                      "passphrase:Hunter2",
                                      "passphrase:file=Hunter2",
                                      "passphrase:fd=Hunter2"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kerrinfo e = {0};
        struct seal_spec s = {0};
        assert_refused(&e, KERR_INPUT, "", seal_spec_parse(bad[i], &s, &e));
        assert_null(strstr(e.text, "Hunter2"));
    }
}

static void slot_names_have_a_fixed_form(void **state)
{
    (void)state;
    static const char *const good[] = {"a",      "0",     "boot",
                                       "a-1-b-", "cp-03", "abcdefghijklmnopqrstuvwxyz01234"};
    static const char *const bad[] = {
        "",  "-a", "A",    "a_b",  "a b",      "a.b",
        "ä", "a/", "\x01", "a\nb", "boot\xff", "abcdefghijklmnopqrstuvwxyz012345"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct kerrinfo e = {0};
        assert_ok(&e, seal_check_slot_name(bytes_of_text(good[i]), &e));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kerrinfo e = {0};
        assert_refused(&e, KERR_INPUT, "expected 1 to 31 of a-z, 0-9 and '-', not '-' first",
                       seal_check_slot_name(bytes_of_text(bad[i]), &e));
        for (const char *c = e.text; *c != 0; c++) {
            assert_true(*c >= 0x20 && *c < 0x7f);
        }
    }
    struct kerrinfo e = {0};
    struct seal_spec s = {0};
    assert_refused(&e, KERR_INPUT, "slot name \"Boot\"", seal_spec_parse("Boot=file:/x", &s, &e));
    assert_refused(&e, KERR_INPUT, "slot name \"\"", seal_spec_parse("=file:/x", &s, &e));
}

static void what_serves_one_call_is_not_kept(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"passphrase:", "passphrase:"},
        {"ops=passphrase:fd=9", "passphrase:"},
        {"passphrase:file=/x", "passphrase:file=/x"},
        {"boot=file:/x", "file:/x"},
        {"boot=file:/fd=9", "file:/fd=9"},
        {"credential:boot,file=/x", "credential:boot,file=/x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kerrinfo e = {0};
        AUTO_SPEC s = {0};
        char *text = NULL;
        assert_ok(&e, seal_spec_parse(rows[i][0], &s, &e));
        assert_ok(&e, seal_spec_keep(&s, &text, &e));
        assert_string_equal(text, rows[i][1]);
        free(text);
    }
}

static void capabilities_are_those_of_the_argument(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        unsigned caps;
    } rows[] = {
        {"passphrase:", 0},
        {"passphrase:fd=3", 0},
        {"passphrase:file=/x", SEAL_CAN_OPEN_UNATTENDED | SEAL_SECRET_LIES_BESIDE},
        {"file:/x", SEAL_CAN_OPEN_UNATTENDED | SEAL_SECRET_LIES_BESIDE},
        {"credential:x", SEAL_CAN_OPEN_UNATTENDED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kerrinfo e = {0};
        AUTO_SPEC s = {0};
        assert_ok(&e, seal_spec_parse(rows[i].spec, &s, &e));
        assert_int_equal(seal_spec_caps(&s), rows[i].caps);
    }
}

/* The order that seal.h promises, worst first. */
static void the_worst_failure_is_told(void **state)
{
    (void)state;
    static const enum kerr order[] = {KERR_INTEGRITY, KERR_FORMAT, KERR_UNSUP, KERR_LIMIT,
                                      KERR_DENIED,    KERR_INPUT,  KERR_IO,    KERR_DOWN,
                                      KERR_NOTFOUND,  KERR_SEALED};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        for (size_t j = 0; j < ARRAY_LEN(order); j++) {
            assert_int_equal(seal_is_worse(order[i], order[j]), i < j);
        }
        assert_true(seal_is_worse(order[i], KERR_NOMEM));
        assert_false(seal_is_worse(KERR_NOMEM, order[i]));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spec_is_name_kind_and_argument),
        cmocka_unit_test(what_is_no_spec_is_refused_with_the_kinds),
        cmocka_unit_test(a_mistaken_passphrase_is_not_repeated),
        cmocka_unit_test(slot_names_have_a_fixed_form),
        cmocka_unit_test(what_serves_one_call_is_not_kept),
        cmocka_unit_test(capabilities_are_those_of_the_argument),
        cmocka_unit_test(the_worst_failure_is_told),
    };
    return cmocka_run_group_tests_name("seal.seal", tests, NULL, NULL);
}
