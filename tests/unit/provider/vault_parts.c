/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/provider/vault_parts.h"

#include <unistd.h>

uint64_t passed_ms;

uint64_t __real_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void);
uint64_t __real_clock_wall_s(void);
uint64_t __wrap_clock_wall_s(void);

uint64_t __wrap_clock_mono_ms(void)
{
    return __real_clock_mono_ms() + passed_ms;
}

uint64_t __wrap_clock_wall_s(void)
{
    return __real_clock_wall_s() + passed_ms / 1000;
}

struct kerrinfo e;
char *folder;
char path[256];
struct config config;
struct provider *p;

const uint8_t seed[32] = "what kube-apiserver sends to us.";
const enum config_vault_mode modes[2] = {CONFIG_VAULT_HIERARCHY, CONFIG_VAULT_DIRECT};

int setup(void **state)
{
    (void)state;
    assert_ok(&e, secret_start(SECRET_LOCK_BEST_EFFORT, &e));
    passed_ms = 0;
    fake_vault_reset();
    folder = test_folder_new();
    (void)snprintf(path, sizeof path, "%s/vault-keks", folder);
    return 0;
}

int teardown(void **state)
{
    (void)state;
    provider_close(p);
    p = NULL;
    test_folder_remove(folder);
    return 0;
}

void open_as(enum config_vault_mode mode)
{
    provider_close(p);
    p = NULL;
    config = parts_vault_config(mode, path);
    assert_ok(&e, provider_open(&config, &p, &e));
}

void start(enum config_vault_mode mode)
{
    open_as(mode);
    assert_true(parts_refresh(p));
}

void forget(void)
{
    (void)unlink(path);
}

enum kerr look(void)
{
    bool is_changed = false;
    kerr_clear(&e);
    return provider_refresh(p, &is_changed, &e);
}

enum kerr current(const char **health)
{
    char id[PROVIDER_KEY_ID_MAX + 1];
    kerr_clear(&e);
    return provider_current(p, id, health, &e);
}

enum kerr wrap(bool may_wait)
{
    struct provider_wrapped w;
    const struct provider_turn turn = {.may_wait = may_wait, .until_ms = UINT64_MAX};
    kerr_clear(&e);
    return provider_wrap(p, &turn, BYTES_OF(seed), &w, &e);
}

enum kerr unwrap(const struct provider_wrapped *w, bool may_wait)
{
    AUTO_SECRET out = NULL;
    const char *of_key = NULL;
    const struct provider_turn turn = {.may_wait = may_wait, .until_ms = UINT64_MAX};
    struct provider_annotations a = parts_annotations(w);
    kerr_clear(&e);
    return provider_unwrap(p, &turn, bytes_of_text(w->key_id),
                           bytes_of(w->ciphertext, w->ciphertext_len), &a, &out, &of_key, &e);
}

struct provider_info info(void)
{
    static struct provider_info i;
    provider_info(p, &i);
    return i;
}

struct provider_wrapped from_another_node(enum config_vault_mode mode)
{
    char other_path[300];
    (void)snprintf(other_path, sizeof other_path, "%s.other", path);
    (void)unlink(other_path);
    struct config other_config = parts_vault_config(mode, other_path);
    struct provider *other = NULL;
    assert_ok(&e, provider_open(&other_config, &other, &e));
    assert_true(parts_refresh(other));
    struct provider_wrapped w = parts_wrap(other, BYTES_OF(seed));
    provider_close(other);
    return w;
}
