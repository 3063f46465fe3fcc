/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "provider/provider_ops.h"
#include "tests/unit/provider/parts.h"

static void names_and_kinds_are_unique(void **state)
{
    (void)state;
    assert_true(provider_kinds_count > 0);
    for (size_t i = 0; i < provider_kinds_count; i++) {
        assert_int_not_equal(strlen(provider_kinds[i]->name), 0);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(provider_kinds[i]->name, provider_kinds[j]->name);
            assert_string_not_equal(provider_kinds[i]->key_prefix, provider_kinds[j]->key_prefix);
            assert_int_not_equal(provider_kinds[i]->kind, provider_kinds[j]->kind);
        }
    }
}

static void no_table_has_an_empty_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < provider_kinds_count; i++) {
        const struct provider_ops *ops = provider_kinds[i];
        assert_int_not_equal(ops->ctx_bytes, 0);
        assert_non_null(ops->open);
        assert_non_null(ops->close);
        assert_non_null(ops->refresh);
        assert_non_null(ops->watch);
        assert_non_null(ops->due);
        assert_int_not_equal(strlen(ops->key_prefix), 0);
        assert_non_null(ops->info);
        assert_non_null(ops->current);
        assert_non_null(ops->wrap);
        assert_non_null(ops->unwrap);
    }
}

static void the_configuration_chooses(void **state)
{
    (void)state;
    static char path[] = "/nonexistent/keystore";
    for (size_t i = 0; i < provider_kinds_count; i++) {
        struct kerrinfo e = {0};
        struct provider *p = NULL;
        struct provider_info info;
        struct config config = provider_kinds[i]->kind == CONFIG_PROVIDER_VAULT
                                   ? parts_vault_config(CONFIG_VAULT_HIERARCHY, path)
                                   : parts_config(path);
        assert_ok(&e, provider_open(&config, &p, &e));
        provider_info(p, &info);
        assert_string_equal(info.name, provider_kinds[i]->name);
        provider_close(p);
    }
}

static void an_unknown_provider_is_refused(void **state)
{
    (void)state;
    static char path[] = "/nonexistent/keystore";
    struct kerrinfo e = {0};
    struct provider *p = NULL;
    struct config config = parts_config(path);
    config.provider = (enum config_provider)99;
    assert_refused(&e, KERR_CONFIG, "99", provider_open(&config, &p, &e));
    assert_null(p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_kinds_are_unique),
        cmocka_unit_test(no_table_has_an_empty_place),
        cmocka_unit_test(the_configuration_chooses),
        cmocka_unit_test(an_unknown_provider_is_refused),
    };
    return cmocka_run_group_tests_name("provider.registry", tests, NULL, NULL);
}
