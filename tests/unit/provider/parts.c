/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/provider/parts.h"

const struct provider_annotations parts_none = {.count = 0};
const struct provider_turn parts_turn = {.may_wait = true, .until_ms = UINT64_MAX};

struct config parts_config(char *keystore_path)
{
    static char name[] = "etcdseald.yaml";
    return (struct config){
        .file = name, .provider = CONFIG_PROVIDER_LOCAL, .keystore_path = keystore_path};
}

struct config parts_vault_config(enum config_vault_mode mode, char *state_path)
{
    static char name[] = "etcdseald.yaml";
    static char mount[] = "transit";
    static char key[] = "kube";
    static char cluster_id[] = "test-1";
    return (struct config){.file = name,
                           .provider = CONFIG_PROVIDER_VAULT,
                           .vault = {.mount = mount,
                                     .key = key,
                                     .cluster_id = cluster_id,
                                     .mode = mode,
                                     .state_path = state_path,
                                     .poll_ms = 10000,
                                     .offline_grace_ms = 3600000,
                                     .kek_max_age_ms = 2592000000,
                                     .kek_max_uses = 1000000}};
}

bool parts_refresh(struct provider *p)
{
    struct kerrinfo e = {0};
    bool is_changed = false;
    assert_ok(&e, provider_refresh(p, &is_changed, &e));
    return is_changed;
}

const char *parts_current(struct provider *p)
{
    static char id[PROVIDER_KEY_ID_MAX + 1];
    struct kerrinfo e = {0};
    const char *health = NULL;
    assert_ok(&e, provider_current(p, id, &health, &e));
    assert_string_equal(health, "ok");
    return id;
}

struct provider_wrapped parts_wrap(struct provider *p, struct bytes plaintext)
{
    struct kerrinfo e = {0};
    struct provider_wrapped w;
    assert_ok(&e, provider_wrap(p, &parts_turn, plaintext, &w, &e));
    return w;
}

struct provider_annotations parts_annotations(const struct provider_wrapped *w)
{
    struct provider_annotations a = w->annotations;
    assert_true(a.count <= 1);
    if (a.count == 1) {
        a.rows[0].value = bytes_of(w->annotation_bytes, a.rows[0].value.len);
    }
    return a;
}

enum kerr parts_unwrap_with(struct provider *p, const struct provider_annotations *annotations,
                            const char *key_id, struct bytes ciphertext, struct bytes want,
                            const char **ret_state, struct kerrinfo *e)
{
    AUTO_SECRET out = NULL;
    kerr_clear(e);
    enum kerr k = provider_unwrap(p, &parts_turn, bytes_of_text(key_id), ciphertext, annotations,
                                  &out, ret_state, e);
    assert_true((k == KERR_OK) == (out != NULL));
    if (k == KERR_OK) {
        assert_true(bytes_equal(secret_view(out), want));
    }
    return k;
}

enum kerr parts_unwrap(struct provider *p, const char *key_id, struct bytes ciphertext,
                       struct bytes want, const char **ret_state, struct kerrinfo *e)
{
    return parts_unwrap_with(p, &parts_none, key_id, ciphertext, want, ret_state, e);
}

const char *parts_check(struct provider *p, const struct provider_wrapped *w, struct bytes want)
{
    struct kerrinfo e = {0};
    const char *state = NULL;
    struct provider_annotations a = parts_annotations(w);
    assert_ok(&e, parts_unwrap_with(p, &a, w->key_id, bytes_of(w->ciphertext, w->ciphertext_len),
                                    want, &state, &e));
    assert_non_null(state);
    return state;
}
