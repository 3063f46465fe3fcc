/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/opener.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"

#define KEY_MAX 32

enum mode { MODE_GCM, MODE_CBC, MODE_COUNT };
enum size { KEY_16, KEY_24, KEY_32, KEY_SIZE_COUNT };

/* EVP_aes_*() make OpenSSL look the cipher up at each use, which costs more than small objects do.
 */
static const char *const cipher_names[MODE_COUNT][KEY_SIZE_COUNT] = {
    [MODE_GCM] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"},
    [MODE_CBC] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"},
};

struct opener {
    EVP_CIPHER *ciphers[MODE_COUNT][KEY_SIZE_COUNT]; /* fetched at the first use */
    EVP_CIPHER_CTX *ctx;
    struct secret *plaintext;
    size_t len; /* of what the buffer holds, or held */
};

static enum kerr refused(struct opener *o, struct kerrinfo *e)
{
    opener_wipe(o);
    return kerr_set(e, KERR_INTEGRITY, "authentication failed");
}

/* ---- the buffer ---- */

enum kerr opener_new(size_t max, struct opener **ret, struct kerrinfo *e)
{
    AUTO_OPENER o = calloc(1, sizeof *o);
    if (o == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory to open values");
    }
    o->ctx = EVP_CIPHER_CTX_new();
    if (o->ctx == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory to open values");
    }
    enum kerr k = secret_new(max, &o->plaintext, e);
    if (k == KERR_OK) {
        *ret = o;
        o = NULL;
    }
    return k;
}

void opener_free(struct opener *o)
{
    if (o == NULL) {
        return;
    }
    for (size_t i = 0; i < MODE_COUNT; i++) {
        for (size_t j = 0; j < KEY_SIZE_COUNT; j++) {
            EVP_CIPHER_free(o->ciphers[i][j]);
        }
    }
    EVP_CIPHER_CTX_free(o->ctx);
    secret_free(o->plaintext);
    free(o);
}

void opener_free_at(struct opener **o)
{
    opener_free(*o);
}

void opener_wipe(struct opener *o)
{
    secret_wipe(secret_bytes(o->plaintext), o->len);
    o->len = 0;
}

/* Room for the next plaintext; what is left of a longer one before it goes. */
static enum kerr make_room(struct opener *o, size_t len, uint8_t **ret, struct kerrinfo *e)
{
    if (len > secret_len(o->plaintext)) {
        return kerr_set(e, KERR_LIMIT, "a value of %zu bytes, opened are at most %zu", len,
                        secret_len(o->plaintext));
    }
    *ret = secret_bytes(o->plaintext);
    if (o->len > len) {
        secret_wipe(*ret + len, o->len - len);
    }
    o->len = len;
    return KERR_OK;
}

static struct bytes opened(const struct opener *o, size_t len)
{
    return bytes_of(secret_view(o->plaintext).ptr, len);
}

/* ---- AES ---- */

static enum kerr begin(struct opener *o, enum mode mode, struct bytes key, const uint8_t *iv,
                       struct kerrinfo *e)
{
    size_t size = key.len / 8 - 2;
    if (key.len % 8 != 0 || key.len < 16 || key.len > KEY_MAX) {
        return kerr_set(e, KERR_INPUT, "an AES key of %zu bytes, expected 16, 24 or 32", key.len);
    }
    EVP_CIPHER **cipher = &o->ciphers[mode][size];
    if (*cipher == NULL) {
        *cipher = EVP_CIPHER_fetch(NULL, cipher_names[mode][size], NULL);
    }
    bool is_good = *cipher != NULL && EVP_DecryptInit_ex(o->ctx, *cipher, NULL, key.ptr, iv) == 1;
    return is_good ? KERR_OK : kerr_set(e, KERR_BUG, "%s failed", cipher_names[mode][size]);
}

enum kerr opener_gcm(struct opener *o, struct bytes key, struct bytes aad, struct bytes sealed,
                     struct bytes *ret, struct kerrinfo *e)
{
    uint8_t *to = NULL;
    int len = 0;
    if (sealed.len < OPENER_GCM_NONCE + OPENER_GCM_TAG) {
        return refused(o, e);
    }
    size_t text_len = sealed.len - OPENER_GCM_NONCE - OPENER_GCM_TAG;
    const uint8_t *text = sealed.ptr + OPENER_GCM_NONCE;
    uint8_t tag[OPENER_GCM_TAG];
    enum kerr k = make_room(o, text_len, &to, e);
    k = k == KERR_OK && aad.len > secret_len(o->plaintext)
            ? kerr_set(e, KERR_LIMIT, "associated data of %zu bytes", aad.len)
            : k;
    k = k == KERR_OK ? begin(o, MODE_GCM, key, sealed.ptr, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    memcpy(tag, text + text_len, sizeof tag);
    bool is_good = EVP_DecryptUpdate(o->ctx, NULL, &len, aad.ptr, (int)aad.len) == 1 &&
                   EVP_DecryptUpdate(o->ctx, to, &len, text, (int)text_len) == 1 &&
                   EVP_CIPHER_CTX_ctrl(o->ctx, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
                   EVP_DecryptFinal_ex(o->ctx, tag, &len) == 1;
    if (!is_good) {
        return refused(o, e);
    }
    *ret = opened(o, text_len);
    return KERR_OK;
}

enum kerr opener_seed_gcm(struct opener *o, const uint8_t seed[static OPENER_SEED],
                          struct bytes aad, struct bytes sealed, struct bytes *ret,
                          struct kerrinfo *e)
{
    static const uint8_t first = 1; /* the number of Expand's only block */
    uint8_t key[HASH_BYTES];
    if (sealed.len < OPENER_SEED_INFO) {
        return refused(o, e);
    }
    const struct bytes parts[] = {bytes_of(sealed.ptr, OPENER_SEED_INFO), bytes_of(&first, 1)};
    hash_hmac(bytes_of(seed, OPENER_SEED), parts, ARRAY_LEN(parts), key);
    struct bytes rest = bytes_of(sealed.ptr + OPENER_SEED_INFO, sealed.len - OPENER_SEED_INFO);
    enum kerr k = opener_gcm(o, BYTES_OF(key), aad, rest, ret, e);
    secret_wipe(key, sizeof key);
    return k;
}

enum kerr opener_cbc(struct opener *o, struct bytes key, struct bytes sealed, struct bytes *ret,
                     struct kerrinfo *e)
{
    uint8_t *to = NULL;
    int len = 0;
    int last = 0;
    if (sealed.len < 2 * (size_t)OPENER_CBC_BLOCK || sealed.len % OPENER_CBC_BLOCK != 0) {
        return refused(o, e);
    }
    size_t text_len = sealed.len - OPENER_CBC_BLOCK;
    enum kerr k = make_room(o, text_len, &to, e);
    k = k == KERR_OK ? begin(o, MODE_CBC, key, sealed.ptr, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    const uint8_t *text = sealed.ptr + OPENER_CBC_BLOCK;
    bool is_good = EVP_DecryptUpdate(o->ctx, to, &len, text, (int)text_len) == 1 &&
                   EVP_DecryptFinal_ex(o->ctx, to + len, &last) == 1;
    if (!is_good) {
        return refused(o, e);
    }
    *ret = opened(o, (size_t)len + (size_t)last);
    return KERR_OK;
}

/* ---- secretbox ---- */

enum kerr opener_secretbox(struct opener *o, const uint8_t key[static OPENER_SECRETBOX_KEY],
                           struct bytes sealed, struct bytes *ret, struct kerrinfo *e)
{
    uint8_t *to = NULL;
    if (sealed.len < OPENER_SECRETBOX_NONCE + OPENER_SECRETBOX_TAG) {
        return refused(o, e);
    }
    const uint8_t *box = sealed.ptr + OPENER_SECRETBOX_NONCE;
    size_t text_len = sealed.len - OPENER_SECRETBOX_NONCE - OPENER_SECRETBOX_TAG;
    enum kerr k = make_room(o, text_len, &to, e);
    if (k != KERR_OK) {
        return k;
    }
    if (crypto_secretbox_open_detached(to, box + OPENER_SECRETBOX_TAG, box, text_len, sealed.ptr,
                                       key) != 0) {
        return refused(o, e);
    }
    *ret = opened(o, text_len);
    return KERR_OK;
}
