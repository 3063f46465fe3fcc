/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/vault_wire.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/hash.h"

#define ANNOTATION_FORMAT 1
#define SEED_FORMAT       0xd1
#define ID_HASH_BYTES     16

_Static_assert(sizeof VAULT_WIRE_PREFIX + TEXT_BASE32_CHARS(ID_HASH_BYTES) == VAULT_WIRE_ID_BYTES,
               "prefix, characters, terminator");

void vault_wire_key_id(const struct config_vault *config, const struct vault_wire_version *version,
                       char to[static VAULT_WIRE_ID_BYTES])
{
    uint8_t raw[512]; /* cluster id, mount and key have at most 64, 128 and 128 bytes */
    uint8_t hash[HASH_BYTES];
    struct writer w = writer_on(raw, sizeof raw);
    write_lv16(&w, bytes_of_text("etcdseal/v1/vault/key-id"));
    write_lv16(&w, bytes_of_text(config->cluster_id));
    write_u8(&w, version->epoch);
    write_lv16(&w, bytes_of_text(config->mount));
    write_lv16(&w, bytes_of_text(config->key));
    write_u32(&w, version->number);
    write_u64(&w, version->created_at_s);
    hash_sha256(writer_view(&w), hash);
    memcpy(to, VAULT_WIRE_PREFIX, strlen(VAULT_WIRE_PREFIX));
    text_base32(bytes_of(hash, ID_HASH_BYTES), to + strlen(VAULT_WIRE_PREFIX));
}

size_t vault_wire_kek_aad(const char *key_id, const uint8_t kek_id[static VAULT_WIRE_KEK_ID],
                          uint8_t suite, uint8_t to[static VAULT_WIRE_AAD_MAX])
{
    struct writer w = writer_on(to, VAULT_WIRE_AAD_MAX);
    write_lv16(&w, bytes_of_text("etcdseal/v1/vault/kek"));
    write_lv16(&w, bytes_of_text(key_id));
    write_raw(&w, bytes_of(kek_id, VAULT_WIRE_KEK_ID));
    write_u8(&w, suite);
    return w.len;
}

size_t vault_wire_seed_aad(const char *cluster_id, const char *key_id,
                           uint8_t to[static VAULT_WIRE_AAD_MAX])
{
    struct writer w = writer_on(to, VAULT_WIRE_AAD_MAX);
    write_lv16(&w, bytes_of_text("etcdseal/v1/vault/seed"));
    write_lv16(&w, bytes_of_text(cluster_id));
    write_lv16(&w, bytes_of_text(key_id));
    return w.len;
}

enum kerr vault_wire_put_annotation(const struct vault_wire_kek *kek,
                                    uint8_t to[static VAULT_WIRE_ANNOTATION_MAX], size_t *ret_len,
                                    struct kerrinfo *e)
{
    if (kek->raw.len < VAULT_WIRE_RAW_MIN || kek->raw.len > VAULT_WIRE_RAW_MAX) {
        return kerr_set(e, KERR_INPUT, "a wrapped KEK of %zu bytes, expected %d to %d",
                        kek->raw.len, VAULT_WIRE_RAW_MIN, VAULT_WIRE_RAW_MAX);
    }
    struct writer w = writer_on(to, VAULT_WIRE_ANNOTATION_MAX);
    write_u8(&w, ANNOTATION_FORMAT);
    write_u8(&w, kek->suite);
    write_u8(&w, kek->epoch);
    write_u32(&w, kek->version);
    write_raw(&w, BYTES_OF(kek->kek_id));
    write_lv16(&w, kek->raw);
    *ret_len = w.len;
    return KERR_OK;
}

bool vault_wire_read_annotation(struct bytes value, struct vault_wire_kek *ret)
{
    struct reader r = reader_on(value);
    struct vault_wire_kek out;
    uint8_t format = read_u8(&r);
    out.suite = read_u8(&r);
    out.epoch = read_u8(&r);
    out.version = read_u32(&r);
    read_into(&r, out.kek_id, sizeof out.kek_id);
    out.raw = read_lv16(&r);
    bool is_good = !r.failed && reader_left(&r) == 0 && format == ANNOTATION_FORMAT &&
                   out.version > 0 && out.raw.len >= VAULT_WIRE_RAW_MIN &&
                   out.raw.len <= VAULT_WIRE_RAW_MAX;
    if (is_good) {
        *ret = out;
    }
    return is_good;
}

void vault_wire_put_head(const struct vault_wire_seed *seed,
                         uint8_t to[static VAULT_WIRE_DIRECT_HEAD])
{
    struct writer w = writer_on(to, VAULT_WIRE_DIRECT_HEAD);
    write_u8(&w, SEED_FORMAT);
    write_u8(&w, seed->epoch);
    write_u32(&w, seed->version);
}

bool vault_wire_read_seed(struct bytes ciphertext, struct vault_wire_seed *ret)
{
    struct reader r = reader_on(ciphertext);
    struct vault_wire_seed out;
    uint8_t format = read_u8(&r);
    out.epoch = read_u8(&r);
    out.version = read_u32(&r);
    out.raw = read_raw(&r, reader_left(&r));
    bool is_good = !r.failed && format == SEED_FORMAT && out.version > 0 && out.raw.len > 0;
    if (is_good) {
        *ret = out;
    }
    return is_good;
}
