/* SPDX-License-Identifier: Apache-2.0 */
/* wrap_seed KEYSTORE HEX: wraps the bytes as the daemon does, for tests of other readers. Prints
 * "KEY_ID HEX". The keystore is opened as KEYSTORE.unseal says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "provider/provider.h"

static enum kerr wrap(char *keystore, struct bytes seed, struct provider_wrapped *ret,
                      struct kerrinfo *e)
{
    static char name[] = "wrap_seed";
    struct config config = {
        .file = name, .provider = CONFIG_PROVIDER_LOCAL, .keystore_path = keystore};
    const struct provider_turn turn = {.may_wait = false};
    struct provider *p = NULL;
    bool is_changed = false;
    enum kerr k = provider_open(&config, &p, e);
    if (k == KERR_OK) {
        k = provider_refresh(p, &is_changed, e);
    }
    if (k == KERR_OK) {
        k = provider_wrap(p, &turn, seed, ret, e);
    }
    provider_close(p);
    return k;
}

int main(int argc, char **argv)
{
    static struct provider_wrapped w;
    uint8_t seed[PROVIDER_PLAINTEXT_MAX];
    char hex[2 * PROVIDER_CIPHERTEXT_MAX + 1];
    struct kerrinfo e = {0};
    size_t len = argc == 3 ? strlen(argv[2]) / 2 : 0;
    if (len == 0 || len > sizeof seed) {
        (void)fprintf(stderr, "usage: wrap_seed KEYSTORE HEX\n");
        return 2;
    }
    enum kerr k = secret_start(SECRET_LOCK_STRICT, &e);
    if (k == KERR_OK) {
        k = text_from_hex(argv[2], seed, len, &e);
    }
    if (k == KERR_OK) {
        k = wrap(argv[1], bytes_of(seed, len), &w, &e);
    }
    if (k != KERR_OK) {
        (void)fprintf(stderr, "wrap_seed: %s: %s\n", kerr_name(k), e.text);
        return kerr_exit_code(k);
    }
    text_hex(bytes_of(w.ciphertext, w.ciphertext_len), hex);
    (void)printf("%s %s\n", w.key_id, hex);
    return 0;
}
