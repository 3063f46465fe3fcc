/* SPDX-License-Identifier: Apache-2.0 */
/* cli/vault_setup.h and vault/policy.h: what is granted, and that nothing odd reaches the shell. */
#include <string.h>

#include "cli/vault_setup.h"
#include "tests/lib/testlib.h"
#include "vault/policy.h"

static char text[VAULT_SETUP_MAX];

static const char *script_of(const struct vault_setup *s)
{
    struct kerrinfo e = {0};
    AUTO_BUF b;
    buf_init(&b, VAULT_SETUP_MAX);
    assert_ok(&e, vault_setup_script(s, &b, &e));
    assert_true(b.len < sizeof text);
    memcpy(text, b.ptr, b.len);
    text[b.len] = 0;
    return text;
}

static const char *policy_of(bool has_default)
{
    struct kerrinfo e = {0};
    AUTO_BUF b;
    buf_init(&b, VAULT_SETUP_MAX);
    assert_ok(&e, vault_policy("a/b", "k", has_default, &b, &e));
    memcpy(text, b.ptr, b.len);
    text[b.len] = 0;
    return text;
}

#define KEY_RIGHTS                                                                                 \
    "path \"a/b/encrypt/k\" { capabilities = [\"update\"] }\n"                                     \
    "path \"a/b/decrypt/k\" { capabilities = [\"update\"] }\n"                                     \
    "path \"a/b/keys/k\" { capabilities = [\"read\"] }\n"

static void test_policy(void **state)
{
    (void)state;
    assert_string_equal(policy_of(true), KEY_RIGHTS);
    assert_string_equal(policy_of(false), KEY_RIGHTS
                        "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }\n"
                        "path \"auth/token/renew-self\" { capabilities = [\"update\"] }\n"
                        "path \"auth/token/revoke-self\" { capabilities = [\"update\"] }\n"
                        "path \"sys/capabilities-self\" { capabilities = [\"update\"] }\n");
}

static void test_rights(void **state)
{
    (void)state;
    struct vault_right right;
    assert_true(vault_right_at("transit", "kube", 0, &right));
    assert_string_equal(right.path, "transit/encrypt/kube");
    assert_int_equal(right.capabilities, VAULT_MAY_UPDATE);
    assert_false(right.is_of_default);
    assert_true(vault_right_at("transit", "kube", 2, &right));
    assert_string_equal(right.path, "transit/keys/kube");
    assert_int_equal(right.capabilities, VAULT_MAY_READ);
    assert_true(vault_right_at("transit", "kube", 6, &right));
    assert_string_equal(right.path, "sys/capabilities-self");
    assert_true(right.is_of_default);
    assert_false(vault_right_at("transit", "kube", 7, &right));
    /* The longest mount and key. */
    char mount[CONFIG_VAULT_NAME_MAX + 1] = "";
    char key[CONFIG_VAULT_NAME_MAX + 1] = "";
    memset(mount, 'm', CONFIG_VAULT_NAME_MAX);
    memset(key, 'k', CONFIG_VAULT_NAME_MAX);
    assert_true(vault_right_at(mount, key, 0, &right));
    assert_int_equal(strlen(right.path), 2 * CONFIG_VAULT_NAME_MAX + strlen("/encrypt/"));
}

/* Paths of files may hold anything, and stand between quotes. */
static void test_paths_are_quoted(void **state)
{
    (void)state;
    char file[] = "/a b'; rm -rf $HOME `x` \"/t";
    struct config_auth auth = {.kind = CONFIG_LOGIN_TOKEN, .file = file};
    struct vault_setup s = {
        .program = "bao", .mount = "transit", .key = "k", .auth = &auth, .has_default = true};
    assert_non_null(strstr(script_of(&s), "deliver '/a b'\\''; rm -rf $HOME `x` \"/t'\n"));
}

static void test_limit(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF b;
    struct config_auth auth = {.kind = CONFIG_LOGIN_NONE};
    struct vault_setup s = {.program = "bao", .mount = "transit", .key = "k", .auth = &auth};
    buf_init(&b, 200);
    assert_refused(&e, KERR_LIMIT, "", vault_setup_script(&s, &b, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_paths_are_quoted),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
