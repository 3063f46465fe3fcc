/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of a Vault server, each read as every kind of answer: what is believed keeps the limits
 * of its header, and no message holds a piece of an answer, which may be secret.
 */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "vault/answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kerrinfo e;

static void check(bool is_good)
{
    if (!is_good) {
        abort();
    }
}

/* The seeds hold this word as name and value, where a message could show it. */
static bool is_ok(enum kerr k)
{
    check(k == KERR_OK || (k == KERR_INPUT && e.text[0] != 0));
    check(strstr(e.text, "Zq9w") == NULL);
    kerr_clear(&e);
    return k == KERR_OK;
}

static void check_key(struct bytes body)
{
    AUTO_VAULT_KEY key = {.version_count = 0};
    enum vault_cause cause = VAULT_CAUSE_COUNT;
    if (!is_ok(answer_key(body, &key, &cause, &e))) {
        return;
    }
    check(cause == VAULT_NONE || cause == VAULT_KEY_DELETED || cause == VAULT_KEY_TYPE);
    check(key.version_count >= 1 && key.version_count <= VAULT_VERSIONS_MAX);
    check(key.min_decryption >= 1 && key.min_decryption <= key.latest);
    check(key.min_encryption <= key.latest && strlen(key.type) < sizeof key.type);
    check(vault_key_version(&key, key.latest) == &key.versions[key.version_count - 1]);
    for (size_t i = 1; i < key.version_count; i++) {
        check(key.versions[i - 1].number < key.versions[i].number);
    }
}

static void check_transit(struct bytes body)
{
    AUTO_BUF raw = {0};
    AUTO_SECRET plain = NULL;
    if (is_ok(answer_encrypt(body, 2, &raw, &e))) {
        check(raw.len >= 1 && raw.len <= VAULT_CIPHERTEXT_MAX);
    }
    if (is_ok(answer_decrypt(body, &plain, &e))) {
        check(secret_len(plain) >= 1 && secret_len(plain) <= VAULT_CIPHERTEXT_MAX);
    }
}

static void check_login(struct bytes body)
{
    AUTO_SECRET secret_id = NULL;
    struct answer_auth auth = {.token = NULL};
    if (is_ok(answer_auth(body, &auth, &e))) {
        check(secret_len(auth.token) >= 1 && auth.ttl_s <= ANSWER_TTL_MAX_S);
        secret_free(auth.token);
    }
    if (is_ok(answer_lookup(body, &auth, &e))) {
        check(auth.ttl_s <= ANSWER_TTL_MAX_S);
    }
    if (is_ok(answer_secret_id(body, &secret_id, &e))) {
        check(secret_len(secret_id) >= 1);
    }
}

static void check_others(struct bytes body)
{
    static const char *const paths[] = {"a", "b"};
    unsigned bits[2] = {0};
    struct vault_health h;
    char text[201];
    if (is_ok(answer_capabilities(body, paths, 2, bits, &e))) {
        check((bits[0] | bits[1]) < 2 * VAULT_MAY_ALL);
    }
    if (is_ok(answer_health(body, &h, &e))) {
        check(strlen(h.version) < sizeof h.version);
    }
    check(answer_errors(body, text, sizeof text) || text[0] == 0);
    for (const char *at = text; *at != 0; at++) {
        check(*at >= ' ' && *at <= '~');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes body = bytes_of(data, size);
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK) {
        return 0;
    }
    check_key(body);
    check_transit(body);
    check_login(body);
    check_others(body);
    return 0;
}
