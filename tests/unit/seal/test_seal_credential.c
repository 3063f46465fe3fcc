/* SPDX-License-Identifier: Apache-2.0 */
/* With a folder of decrypted credentials, as a service has it, and with the real systemd-creds,
 * which needs root and is skipped without. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/proc.h"
#include "tests/unit/seal/parts.h"

static struct parts p;

static int start(void **state)
{
    (void)state;
    parts_start(&p);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    parts_end(&p);
    return 0;
}

/* Puts a decrypted credential into $CREDENTIALS_DIRECTORY, and something in the place of the
 * encrypted one, so that it is not made. */
static void pass_credential(const char *name, const char *content)
{
    parts_text_file(&p, name, content);
    parts_text_file(&p, "encrypted", "stands for the encrypted credential");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", p.folder, 1), 0);
}

static void a_service_reads_what_was_passed_to_it(void **state)
{
    (void)state;
    pass_credential("boot", "thirty-two bytes or more of a credential");
    AUTO_SPEC spec = parts_spec(&p, "credential:boot,file=%s/encrypted");
    struct seal_record record = parts_wrap(&p, &spec);
    parts_assert_opens(&p, &spec, &record);
    /* The daemon's SPEC names no file. */
    AUTO_SPEC plain = parts_spec(&p, "credential:boot");
    parts_assert_opens(&p, &plain, &record);
}

static void a_credential_that_was_not_passed_is_missing_with_the_cure(void **state)
{
    (void)state;
    static const char *const folders[] = {NULL, "", "relative/folder", "/nonexistent"};
    struct kerrinfo e = {0};
    pass_credential("boot", "thirty-two bytes or more of a credential");
    AUTO_SPEC spec = parts_spec(&p, "credential:boot,file=%s/encrypted");
    AUTO_SPEC other = parts_spec(&p, "credential:other");
    struct seal_record record = parts_wrap(&p, &spec);
    assert_refused(&e, KERR_NOTFOUND, "add LoadCredentialEncrypted=other to its unit",
                   parts_try(&p, &other, &record, &e));
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        int done = folders[i] == NULL ? unsetenv("CREDENTIALS_DIRECTORY")
                                      : setenv("CREDENTIALS_DIRECTORY", folders[i], 1);
        assert_int_equal(done, 0);
        assert_refused(&e, KERR_NOTFOUND, "add LoadCredentialEncrypted=boot to its unit",
                       parts_try(&p, &spec, &record, &e));
    }
}

static void a_folder_name_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    char folder[1024];
    pass_credential("boot", "thirty-two bytes or more of a credential");
    AUTO_SPEC spec = parts_spec(&p, "credential:boot,file=%s/encrypted");
    struct seal_record record = parts_wrap(&p, &spec);
    memset(folder, '/', sizeof folder - 1);
    folder[sizeof folder - 1] = 0;
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
    assert_refused(&e, KERR_LIMIT, "CREDENTIALS_DIRECTORY", parts_try(&p, &spec, &record, &e));
}

static void a_short_or_empty_credential_is_refused(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct seal_record untouched = {.kind = 77};
    pass_credential("short", "thirty-one bytes, so one lacks.");
    AUTO_SPEC spec = parts_spec(&p, "credential:short,file=%s/encrypted");
    assert_refused(&e, KERR_INPUT, "short holds 31 bytes, expected at least 32",
                   seal_wrap(&spec, &p.env, BYTES_OF(p.binding), p.secret, &untouched, &e));
    pass_credential("short", "");
    assert_refused(&e, KERR_INPUT, "is empty",
                   seal_wrap(&spec, &p.env, BYTES_OF(p.binding), p.secret, &untouched, &e));
    assert_int_equal(untouched.kind, 77);
}

static void a_link_in_the_folder_is_not_followed(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    pass_credential("boot", "thirty-two bytes or more of a credential");
    AUTO_SPEC spec = parts_spec(&p, "credential:boot,file=%s/encrypted");
    AUTO_SPEC linked = parts_spec(&p, "credential:linked");
    struct seal_record record = parts_wrap(&p, &spec);
    char *target = test_path(p.folder, "boot");
    char *link_path = test_path(p.folder, "linked");
    assert_int_equal(symlink(target, link_path), 0);
    assert_refused(&e, KERR_DENIED, "symbolic link", parts_try(&p, &linked, &record, &e));
    free(target);
    free(link_path);
}

static void a_service_makes_no_credential(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct seal_record untouched = {.kind = 77};
    AUTO_SPEC spec = parts_spec(&p, "credential:boot,file=%s/none");
    assert_refused(&e, KERR_NOTFOUND, "credential boot does not exist",
                   seal_wrap(&spec, &p.env, BYTES_OF(p.binding), p.secret, &untouched, &e));
    assert_int_equal(untouched.kind, 77);
}

static void arguments_have_a_fixed_form(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "credential:",           "credential:Boot",           "credential:../boot",
        "credential:a/b",        "credential:-boot",          "credential:boot,",
        "credential:boot,file=", "credential:boot,file=x",    "credential:boot,path=/x",
        "credential:,file=/x",   "credential:boot,x,file=/x",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kerrinfo e = {0};
        struct seal_spec s = {0};
        assert_refused(&e, KERR_INPUT, "seal credential: expected",
                       seal_spec_parse(bad[i], &s, &e));
    }
    char path[700] = "credential:boot,file=/";
    memset(path + strlen(path), 'x', sizeof path - strlen(path) - 1);
    struct kerrinfo e = {0};
    struct seal_spec s = {0};
    path[strlen("credential:boot,file=") + 513] = 0;
    assert_refused(&e, KERR_INPUT, "expected NAME", seal_spec_parse(path, &s, &e));
    path[strlen("credential:boot,file=") + 512] = 0;
    assert_ok(&e, seal_spec_parse(path, &s, &e));
    seal_spec_done(&s);
}

/* --- with systemd-creds ----------------------------------------------------------------------- */

static void need_systemd_creds(void)
{
    test_needs_root();
    test_needs(access("/usr/bin/systemd-creds", X_OK) == 0, "systemd-creds");
    p.env.may_run_tools = true;
}

/* Runs systemd-creds by hand; NULL when it printed nothing. */
static struct secret *systemd_creds(const char *const *argv, struct bytes input)
{
    struct kerrinfo e = {0};
    struct secret *out = NULL;
    assert_ok(&e, proc_run(argv, input, &out, &e));
    return out;
}

static void the_tool_makes_and_opens_an_encrypted_credential(void **state)
{
    (void)state;
    need_systemd_creds();
    AUTO_SPEC spec = parts_spec(&p, "credential:boot,file=%s/boot.cred");
    struct seal_record record = parts_wrap(&p, &spec);
    char *path = test_path(p.folder, "boot.cred");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(st.st_uid, 0);
    parts_assert_opens(&p, &spec, &record);
    /* The next slot uses the same credential as it is. */
    AUTO_BUF before = test_read_file(p.folder, "boot.cred");
    struct seal_record second = parts_wrap(&p, &spec);
    AUTO_BUF after = test_read_file(p.folder, "boot.cred");
    assert_true(bytes_equal(buf_view(&before), buf_view(&after)));
    parts_assert_opens(&p, &spec, &second);
    free(path);
}

static void a_service_opens_what_the_tool_has_sealed(void **state)
{
    (void)state;
    need_systemd_creds();
    AUTO_SPEC spec = parts_spec(&p, "credential:boot,file=%s/boot.cred");
    struct seal_record record = parts_wrap(&p, &spec);
    char *path = test_path(p.folder, "boot.cred");
    const char *argv[] = {"/usr/bin/systemd-creds", "decrypt", "--name=boot", path, "-", NULL};
    AUTO_SECRET content = systemd_creds(argv, bytes_of(NULL, 0));
    test_write_file(p.folder, "boot", secret_view(content));
    p.env.may_run_tools = false;
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", p.folder, 1), 0);
    AUTO_SPEC plain = parts_spec(&p, "credential:boot");
    parts_assert_opens(&p, &plain, &record);
    free(path);
}

static void a_credential_of_another_name_or_an_altered_one_is_refused(void **state)
{
    (void)state;
    need_systemd_creds();
    struct kerrinfo e = {0};
    AUTO_SPEC spec = parts_spec(&p, "credential:boot,file=%s/boot.cred");
    struct seal_record record = parts_wrap(&p, &spec);
    AUTO_SPEC renamed = parts_spec(&p, "credential:other,file=%s/boot.cred");
    assert_refused(&e, KERR_IO, "systemd-creds failed", parts_try(&p, &renamed, &record, &e));
    AUTO_BUF data = test_read_file(p.folder, "boot.cred");
    data.ptr[data.len / 2] = data.ptr[data.len / 2] == 'A' ? 'B' : 'A';
    test_write_file(p.folder, "boot.cred", buf_view(&data));
    assert_refused(&e, KERR_IO, "credential boot", parts_try(&p, &spec, &record, &e));
    AUTO_SPEC none = parts_spec(&p, "credential:boot,file=%s/none.cred");
    assert_refused(&e, KERR_IO, "none.cred", parts_try(&p, &none, &record, &e));
}

static void a_credential_that_lies_open_has_a_warning(void **state)
{
    (void)state;
    need_systemd_creds();
    AUTO_SPEC spec = parts_spec(&p, "credential:boot,file=%s/boot.cred");
    char *path = test_path(p.folder, "boot.cred");
    const char *argv[] = {
        "/usr/bin/systemd-creds", "encrypt", "--with-key=host", "--name=boot", "-", path, NULL};
    assert_null(seal_warning(&spec, &p.env));
    secret_free(systemd_creds(argv, bytes_of_text("thirty-two bytes or more of a credential")));
    assert_non_null(strstr(seal_warning(&spec, &p.env), "host's key file alone"));
    assert_int_equal(unlink(path), 0);
    argv[2] = "--with-key=tpm2-absent";
    secret_free(systemd_creds(argv, bytes_of_text("thirty-two bytes or more of a credential")));
    assert_non_null(strstr(seal_warning(&spec, &p.env), "null key"));
    p.env.may_run_tools = false;
    assert_null(seal_warning(&spec, &p.env));
    free(path);
}

/* Begins with the id of CRED_AES256_GCM_BY_TPM2_HMAC: not a host key. */
static void a_credential_of_another_key_has_no_warning(void **state)
{
    (void)state;
    p.env.may_run_tools = true;
    AUTO_SPEC spec = parts_spec(&p, "credential:boot,file=%s/tpm.cred");
    parts_text_file(&p, "tpm.cred", "DHzAexF2RZGcSwvqCLwg/iAAAAABAAAADAAAABAAAAA=");
    assert_null(seal_warning(&spec, &p.env));
    parts_text_file(&p, "tpm.cred", "Whxqht+dQJax1aZeCGLxm");
    assert_non_null(seal_warning(&spec, &p.env));
    parts_text_file(&p, "tpm.cred", "Whxqht");
    assert_null(seal_warning(&spec, &p.env));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_service_reads_what_was_passed_to_it, start, end),
        cmocka_unit_test_setup_teardown(a_credential_that_was_not_passed_is_missing_with_the_cure,
                                        start, end),
        cmocka_unit_test_setup_teardown(a_folder_name_that_is_too_long_is_refused, start, end),
        cmocka_unit_test_setup_teardown(a_short_or_empty_credential_is_refused, start, end),
        cmocka_unit_test_setup_teardown(a_link_in_the_folder_is_not_followed, start, end),
        cmocka_unit_test_setup_teardown(a_service_makes_no_credential, start, end),
        cmocka_unit_test_setup_teardown(arguments_have_a_fixed_form, start, end),
        cmocka_unit_test_setup_teardown(the_tool_makes_and_opens_an_encrypted_credential, start,
                                        end),
        cmocka_unit_test_setup_teardown(a_service_opens_what_the_tool_has_sealed, start, end),
        cmocka_unit_test_setup_teardown(a_credential_of_another_name_or_an_altered_one_is_refused,
                                        start, end),
        cmocka_unit_test_setup_teardown(a_credential_that_lies_open_has_a_warning, start, end),
        cmocka_unit_test_setup_teardown(a_credential_of_another_key_has_no_warning, start, end),
    };
    return cmocka_run_group_tests_name("seal.seal_credential", tests, NULL, NULL);
}
