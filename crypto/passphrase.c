/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/passphrase.h"

#include <sodium.h>

const struct passphrase_cost passphrase_cost_default = {3, 256 * 1024};
const struct passphrase_cost passphrase_cost_min = {1, 64 * 1024};
const struct passphrase_cost passphrase_cost_max = {10, 1024 * 1024};

enum kerr passphrase_cost_check(struct passphrase_cost cost, struct kerrinfo *e)
{
    if (cost.passes < passphrase_cost_min.passes || cost.passes > passphrase_cost_max.passes ||
        cost.memory_kib < passphrase_cost_min.memory_kib ||
        cost.memory_kib > passphrase_cost_max.memory_kib) {
        return kerr_set(e, KERR_LIMIT,
                        "Argon2id cost of %u passes over %u KiB; allowed are %u to %u passes over "
                        "%u to %u KiB",
                        cost.passes, cost.memory_kib, passphrase_cost_min.passes,
                        passphrase_cost_max.passes, passphrase_cost_min.memory_kib,
                        passphrase_cost_max.memory_kib);
    }
    return KERR_OK;
}

enum kerr passphrase_key(const struct secret *passphrase, struct bytes salt,
                         struct passphrase_cost cost, struct secret **ret, struct kerrinfo *e)
{
    enum kerr k = passphrase_cost_check(cost, e);
    if (k != KERR_OK) {
        return k;
    }
    if (salt.len != PASSPHRASE_SALT) {
        return kerr_set(e, KERR_BUG, "an Argon2id salt of %zu bytes", salt.len);
    }
    AUTO_SECRET out = NULL;
    k = secret_new(PASSPHRASE_KEY, &out, e);
    if (k != KERR_OK) {
        return k;
    }
    struct bytes text = secret_view(passphrase);
    if (crypto_pwhash(secret_bytes(out), PASSPHRASE_KEY, (const char *)text.ptr, text.len, salt.ptr,
                      cost.passes, (size_t)cost.memory_kib * 1024,
                      crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return kerr_set(e, KERR_NOMEM, "Argon2id needs %u MiB of memory and did not get it",
                        cost.memory_kib / 1024);
    }
    *ret = secret_take(&out);
    return KERR_OK;
}
