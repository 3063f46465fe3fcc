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

enum kerr parts_unwrap(struct provider *p, const char *key_id, struct bytes ciphertext,
                       struct bytes want, const char **ret_state, struct kerrinfo *e)
{
    AUTO_SECRET out = NULL;
    kerr_clear(e);
    enum kerr k = provider_unwrap(p, &parts_turn, bytes_of_text(key_id), ciphertext, &parts_none,
                                  &out, ret_state, e);
    assert_true((k == KERR_OK) == (out != NULL));
    if (k == KERR_OK) {
        assert_true(bytes_equal(secret_view(out), want));
    }
    return k;
}

const char *parts_check(struct provider *p, const struct provider_wrapped *w, struct bytes want)
{
    struct kerrinfo e = {0};
    const char *state = NULL;
    assert_ok(&e, parts_unwrap(p, w->key_id, bytes_of(w->ciphertext, w->ciphertext_len), want,
                               &state, &e));
    assert_non_null(state);
    return state;
}
