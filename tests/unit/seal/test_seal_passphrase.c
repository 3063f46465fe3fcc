/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/seal/parts.h"

static struct parts p;
static size_t works; /* times that Argon2id really began */

int __real_crypto_pwhash(unsigned char *out, unsigned long long outlen, const char *passwd,
                         unsigned long long passwdlen, const unsigned char *salt,
                         unsigned long long opslimit, size_t memlimit, int alg);
int __wrap_crypto_pwhash(unsigned char *out, unsigned long long outlen, const char *passwd,
                         unsigned long long passwdlen, const unsigned char *salt,
                         unsigned long long opslimit, size_t memlimit, int alg);

int __wrap_crypto_pwhash(unsigned char *out, unsigned long long outlen, const char *passwd,
                         unsigned long long passwdlen, const unsigned char *salt,
                         unsigned long long opslimit, size_t memlimit, int alg)
{
    works++;
    return __real_crypto_pwhash(out, outlen, passwd, passwdlen, salt, opslimit, memlimit, alg);
}

static int start(void **state)
{
    (void)state;
    parts_start(&p);
    works = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    parts_end(&p);
    return 0;
}

/* A person at a terminal. */
struct person {
    const char *answer; /* NULL: walks away */
    char prompt[80];
    bool is_new;
    size_t asked;
    size_t waited;
};

static enum kerr ask(void *ctx, const char *prompt, bool is_new, struct secret **ret,
                     struct kerrinfo *e)
{
    struct person *person = ctx;
    (void)snprintf(person->prompt, sizeof person->prompt, "%s", prompt);
    person->is_new = is_new;
    person->asked++;
    if (person->answer == NULL) {
        return kerr_set(e, KERR_SEALED, "nobody answers");
    }
    return secret_from_bytes(bytes_of_text(person->answer), ret, e);
}

static void busy(void *ctx, const char *slot)
{
    struct person *person = ctx;
    assert_string_equal(slot, "ops");
    person->waited++;
}

static void use_person(struct person *person)
{
    p.env.ask = ask;
    p.env.busy = busy;
    p.env.ask_ctx = person;
}

static void a_person_is_asked_by_the_slots_name(void **state)
{
    (void)state;
    struct person person = {.answer = "correct horse battery staple"};
    use_person(&person);
    AUTO_SPEC spec = parts_spec(&p, "ops=passphrase:");
    struct seal_record record = parts_wrap(&p, &spec);
    assert_string_equal(person.prompt, "New passphrase of slot ops");
    assert_true(person.is_new);
    parts_assert_opens(&p, &spec, &record);
    assert_string_equal(person.prompt, "Passphrase of slot ops");
    assert_false(person.is_new);
    assert_int_equal(person.asked, 2);
    assert_int_equal(person.waited, 2);
    assert_int_equal(works, 2);
}

static void another_answer_is_an_integrity_error(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct person person = {.answer = "correct horse battery staple"};
    use_person(&person);
    AUTO_SPEC spec = parts_spec(&p, "ops=passphrase:");
    struct seal_record record = parts_wrap(&p, &spec);
    person.answer = "correct horse battery staplE";
    assert_refused(&e, KERR_INTEGRITY, "wrong secret", parts_try(&p, &spec, &record, &e));
    assert_null(strstr(e.text, "horse"));
    person.answer = NULL;
    assert_refused(&e, KERR_SEALED, "nobody answers", parts_try(&p, &spec, &record, &e));
}

static void without_a_person_it_stays_sealed(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct person person = {.answer = "correct horse battery staple"};
    struct seal_record untouched = {.kind = 77};
    use_person(&person);
    AUTO_SPEC spec = parts_spec(&p, "ops=passphrase:");
    struct seal_record record = parts_wrap(&p, &spec);
    p.env.ask = NULL;
    works = 0;
    assert_refused(&e, KERR_SEALED, "by a person", parts_try(&p, &spec, &record, &e));
    assert_refused(&e, KERR_SEALED, "by a person",
                   seal_wrap(&spec, &p.env, BYTES_OF(p.binding), p.secret, &untouched, &e));
    assert_int_equal(untouched.kind, 77);
    assert_int_equal(works, 0);
}

static void a_short_passphrase_is_refused_before_any_work(void **state)
{
    (void)state;
    static const char *const bad[] = {"x", "\n", "eleven byte", "eleven byte\n"};
    struct kerrinfo e = {0};
    struct person person = {.answer = "twelve bytes"};
    struct seal_record untouched;
    use_person(&person);
    AUTO_SPEC spec = parts_spec(&p, "ops=passphrase:");
    struct seal_record record = parts_wrap(&p, &spec);
    parts_assert_opens(&p, &spec, &record);
    works = 0;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        person.answer = bad[i];
        assert_refused(&e, KERR_INPUT, "shorter than 12 bytes",
                       seal_wrap(&spec, &p.env, BYTES_OF(p.binding), p.secret, &untouched, &e));
        assert_refused(&e, KERR_INPUT, "shorter than 12 bytes", parts_try(&p, &spec, &record, &e));
    }
    assert_int_equal(works, 0);
}

/* A descriptor from which `text` can be read. */
static int pipe_with(const char *text)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(ends[1]), 0);
    return ends[0];
}

static struct seal_spec spec_of_fd(int fd)
{
    char text[64];
    (void)snprintf(text, sizeof text, "ops=passphrase:fd=%d", fd);
    return parts_spec(&p, text);
}

static void it_is_the_same_passphrase_however_it_comes(void **state)
{
    (void)state;
    struct person person = {.answer = "correct horse battery staple"};
    use_person(&person);
    AUTO_SPEC asked = parts_spec(&p, "ops=passphrase:");
    struct seal_record record = parts_wrap(&p, &asked);
    parts_text_file(&p, "pass", "correct horse battery staple");
    parts_text_file(&p, "pass-line", "correct horse battery staple\n");
    AUTO_SPEC file = parts_spec(&p, "ops=passphrase:file=%s/pass");
    AUTO_SPEC line = parts_spec(&p, "ops=passphrase:file=%s/pass-line");
    parts_assert_opens(&p, &file, &record);
    parts_assert_opens(&p, &line, &record);
    int fd = pipe_with("correct horse battery staple\n");
    AUTO_SPEC piped = spec_of_fd(fd);
    parts_assert_opens(&p, &piped, &record);
    assert_int_equal(close(fd), 0);
}

static void only_one_newline_is_cut(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    parts_text_file(&p, "one", "correct horse battery staple\n");
    parts_text_file(&p, "two", "correct horse battery staple\n\n");
    AUTO_SPEC one = parts_spec(&p, "ops=passphrase:file=%s/one");
    AUTO_SPEC two = parts_spec(&p, "ops=passphrase:file=%s/two");
    struct seal_record record = parts_wrap(&p, &one);
    assert_refused(&e, KERR_INTEGRITY, "", parts_try(&p, &two, &record, &e));
}

static void a_descriptor_that_gives_nothing_is_refused(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    parts_text_file(&p, "pass", "correct horse battery staple");
    AUTO_SPEC good = parts_spec(&p, "ops=passphrase:file=%s/pass");
    struct seal_record record = parts_wrap(&p, &good);
    works = 0;
    int empty = pipe_with("");
    AUTO_SPEC of_empty = spec_of_fd(empty);
    assert_refused(&e, KERR_INPUT, "is empty", parts_try(&p, &of_empty, &record, &e));
    assert_int_equal(close(empty), 0);
    assert_refused(&e, KERR_IO, "cannot read the passphrase",
                   parts_try(&p, &of_empty, &record, &e));
    assert_int_equal(works, 0);
}

static void files_are_read_as_strictly_as_key_files(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    parts_text_file(&p, "pass", "correct horse battery staple");
    AUTO_SPEC good = parts_spec(&p, "ops=passphrase:file=%s/pass");
    struct seal_record record = parts_wrap(&p, &good);
    works = 0;
    parts_file(&p, "open", 32, 0644);
    parts_file(&p, "long", SEAL_PASSPHRASE_MAX + 1, 0600);
    char *target = test_path(p.folder, "pass");
    char *link_path = test_path(p.folder, "link");
    assert_int_equal(symlink(target, link_path), 0);
    static const struct {
        const char *spec;
        enum kerr code;
        const char *words;
    } rows[] = {
        {"ops=passphrase:file=%s/open", KERR_DENIED, "chmod 0600"},
        {"ops=passphrase:file=%s/long", KERR_LIMIT, "larger than 1024 bytes"},
        {"ops=passphrase:file=%s/link", KERR_DENIED, "symbolic link"},
        {"ops=passphrase:file=%s/none", KERR_NOTFOUND, "none"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_SPEC spec = parts_spec(&p, rows[i].spec);
        assert_refused(&e, rows[i].code, rows[i].words, parts_try(&p, &spec, &record, &e));
    }
    assert_int_equal(works, 0);
    free(target);
    free(link_path);
}

static void a_passphrase_file_counts_as_a_key_file(void **state)
{
    (void)state;
    AUTO_SPEC file = parts_spec(&p, "passphrase:file=%s/pass");
    AUTO_SPEC asked = parts_spec(&p, "passphrase:");
    AUTO_SPEC piped = parts_spec(&p, "passphrase:fd=9");
    assert_non_null(strstr(seal_warning(&file, &p.env), "whoever copies both"));
    assert_null(seal_warning(&asked, &p.env));
    assert_null(seal_warning(&piped, &p.env));
}

static void arguments_have_a_fixed_form(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "passphrase:file=", "passphrase:file=x",     "passphrase:file=./x",   "passphrase:fd=",
        "passphrase:fd=-1", "passphrase:fd=65536",   "passphrase:fd=9x",      "passphrase: fd=9",
        "passphrase:FD=9",  "passphrase:fd=9,fd=10", "passphrase:env=SECRET",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kerrinfo e = {0};
        struct seal_spec s = {0};
        assert_refused(&e, KERR_INPUT, "passphrase:", seal_spec_parse(bad[i], &s, &e));
    }
}

/* params: version (1), algorithm (1), u32 passes, u32 KiB, salt (16). */
static void set_cost(struct seal_record *r, uint32_t passes, uint32_t memory_kib)
{
    struct writer w = writer_on(r->params + 2, 8);
    write_u32(&w, passes);
    write_u32(&w, memory_kib);
}

static void parameters_are_checked_before_any_work(void **state)
{
    (void)state;
    static const struct {
        uint32_t passes;
        uint32_t memory_kib;
    } bad[] = {{0, 65536}, {11, 65536},          {UINT32_MAX, 65536}, {1, 65535},
               {1, 0},     {1, 1024 * 1024 + 1}, {1, UINT32_MAX}};
    struct kerrinfo e = {0};
    parts_text_file(&p, "pass", "correct horse battery staple");
    AUTO_SPEC spec = parts_spec(&p, "ops=passphrase:file=%s/pass");
    const struct seal_record good = parts_wrap(&p, &spec);
    assert_int_equal(good.params_len, 26);
    works = 0;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct seal_record r = good;
        set_cost(&r, bad[i].passes, bad[i].memory_kib);
        assert_refused(&e, KERR_LIMIT, "allowed are 1 to 10 passes", seal_check(&r, &e));
        assert_refused(&e, KERR_LIMIT, "allowed are 1 to 10 passes", parts_try(&p, &spec, &r, &e));
    }
    struct seal_record r = good;
    r.params[0] = 2;
    assert_refused(&e, KERR_FORMAT, "version 2", parts_try(&p, &spec, &r, &e));
    r.params[0] = 1;
    r.params[1] = 2;
    assert_refused(&e, KERR_UNSUP, "algorithm 2", parts_try(&p, &spec, &r, &e));
    assert_int_equal(works, 0);
    /* An allowed cost is worked on, and is bound. */
    r.params[1] = 1;
    set_cost(&r, 2, 65536);
    assert_refused(&e, KERR_INTEGRITY, "", parts_try(&p, &spec, &r, &e));
    assert_int_equal(works, 1);
}

static void a_new_seal_keeps_the_cost_that_was_asked_for(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    parts_text_file(&p, "pass", "correct horse battery staple");
    AUTO_SPEC spec = parts_spec(&p, "ops=passphrase:file=%s/pass");
    p.env.cost = (struct passphrase_cost){.passes = 2, .memory_kib = 66000};
    struct seal_record record = parts_wrap(&p, &spec);
    struct reader r = reader_on(bytes_of(record.params, record.params_len));
    assert_int_equal(read_u8(&r), 1);
    assert_int_equal(read_u8(&r), 1);
    assert_int_equal(read_u32(&r), 2);
    assert_int_equal(read_u32(&r), 66000);
    p.env.cost = passphrase_cost_default; /* reading goes by the record */
    parts_assert_opens(&p, &spec, &record);
    p.env.cost = (struct passphrase_cost){.passes = 1, .memory_kib = 1024};
    works = 0;
    assert_refused(&e, KERR_LIMIT, "allowed are",
                   seal_wrap(&spec, &p.env, BYTES_OF(p.binding), p.secret, &record, &e));
    assert_int_equal(works, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_person_is_asked_by_the_slots_name, start, end),
        cmocka_unit_test_setup_teardown(another_answer_is_an_integrity_error, start, end),
        cmocka_unit_test_setup_teardown(without_a_person_it_stays_sealed, start, end),
        cmocka_unit_test_setup_teardown(a_short_passphrase_is_refused_before_any_work, start, end),
        cmocka_unit_test_setup_teardown(it_is_the_same_passphrase_however_it_comes, start, end),
        cmocka_unit_test_setup_teardown(only_one_newline_is_cut, start, end),
        cmocka_unit_test_setup_teardown(a_descriptor_that_gives_nothing_is_refused, start, end),
        cmocka_unit_test_setup_teardown(files_are_read_as_strictly_as_key_files, start, end),
        cmocka_unit_test_setup_teardown(a_passphrase_file_counts_as_a_key_file, start, end),
        cmocka_unit_test_setup_teardown(arguments_have_a_fixed_form, start, end),
        cmocka_unit_test_setup_teardown(parameters_are_checked_before_any_work, start, end),
        cmocka_unit_test_setup_teardown(a_new_seal_keeps_the_cost_that_was_asked_for, start, end),
    };
    return cmocka_run_group_tests_name("seal.seal_passphrase", tests, NULL, NULL);
}
