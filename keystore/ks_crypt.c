/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/ks_crypt.h"

#include <string.h>

#include "crypto/aead.h"
#include "keystore/ks_table.h"

#define ROOT_BINDING_MAX 512

static const char label_file[] = "etcdseal/v1/keystore/signature";
static const char label_change[] = "etcdseal/v1/keystore/roster-change";

static enum kerr derive(const struct secret *from, struct bytes salt, const char *label,
                        struct secret **ret, struct kerrinfo *e)
{
    enum kerr k = hash_hkdf(secret_view(from), salt, bytes_of_text(label), 32, ret, e);
    if (k == KERR_OK) {
        secret_freeze(*ret);
    }
    return k;
}

enum kerr ks_slot_keys_derive(const uint8_t store_id[KS_ID_BYTES], const uint8_t slot[KS_ID_BYTES],
                              const struct secret *slot_secret, struct ks_slot_keys *ret,
                              struct kerrinfo *e)
{
    uint8_t salt[KS_SEAL_BINDING_BYTES];
    ks_seal_binding(store_id, slot, salt);
    AUTO_SLOT_KEYS out = {0};
    memcpy(out.slot, slot, KS_ID_BYTES);
    enum kerr k = derive(slot_secret, BYTES_OF(salt), "etcdseal/v1/slot/box", &out.box, e);
    if (k == KERR_OK) {
        k = derive(slot_secret, BYTES_OF(salt), "etcdseal/v1/slot/sign", &out.sign, e);
    }
    if (k == KERR_OK) {
        k = derive(slot_secret, BYTES_OF(salt), "etcdseal/v1/slot/accept", &out.accept, e);
    }
    if (k == KERR_OK) {
        *ret = out;
        out = (struct ks_slot_keys){0};
    }
    return k;
}

void ks_slot_keys_done(struct ks_slot_keys *keys)
{
    secret_free(keys->box);
    secret_free(keys->sign);
    secret_free(keys->accept);
    *keys = (struct ks_slot_keys){0};
}

void ks_seal_binding(const uint8_t store_id[KS_ID_BYTES], const uint8_t slot[KS_ID_BYTES],
                     uint8_t to[KS_SEAL_BINDING_BYTES])
{
    memcpy(to, store_id, KS_ID_BYTES);
    memcpy(to + KS_ID_BYTES, slot, KS_ID_BYTES);
}

static enum kerr root_binding(const struct ks_model *m, const struct ks_slot *s,
                              uint8_t to[ROOT_BINDING_MAX], struct bytes *ret, struct kerrinfo *e)
{
    struct writer w = writer_on(to, ROOT_BINDING_MAX);
    write_raw(&w, bytes_of_text("etcdseal/v1/keystore/root"));
    write_raw(&w, BYTES_OF(m->store_id));
    write_u32(&w, m->root_epoch);
    write_raw(&w, BYTES_OF(s->id));
    write_lv16(&w, bytes_of_text(s->name));
    write_u8(&w, s->role);
    write_raw(&w, BYTES_OF(s->sign_key));
    write_u8(&w, s->seal.kind);
    write_lv16(&w, bytes_of(s->seal.params, s->seal.params_len));
    if (w.failed) {
        return kerr_set(e, KERR_BUG, "slot %s is too large to bind", s->name);
    }
    *ret = writer_view(&w);
    return KERR_OK;
}

enum kerr ks_box_root(const struct ks_model *m, struct ks_slot *slot, const struct secret *root,
                      struct kerrinfo *e)
{
    uint8_t raw[ROOT_BINDING_MAX];
    struct bytes binding;
    enum kerr k = root_binding(m, slot, raw, &binding, e);
    return k == KERR_OK ? pubkey_box(slot->box_key, binding, secret_view(root), slot->boxed_root, e)
                        : k;
}

static enum kerr check_public_keys(const struct ks_slot *slot, const struct ks_slot_keys *keys,
                                   struct kerrinfo *e)
{
    uint8_t box[PUBKEY_BYTES];
    uint8_t sign[PUBKEY_BYTES];
    enum kerr k = pubkey_box_public(keys->box, box, e);
    if (k == KERR_OK) {
        k = pubkey_sign_public(keys->sign, sign, e);
    }
    if (k == KERR_OK && (memcmp(box, slot->box_key, sizeof box) != 0 ||
                         memcmp(sign, slot->sign_key, sizeof sign) != 0)) {
        k = kerr_set(e, KERR_INTEGRITY, "slot %s: wrong secret, or the slot was altered",
                     slot->name);
    }
    return k;
}

enum kerr ks_unbox_root(const struct ks_model *m, const struct ks_slot *slot,
                        const struct ks_slot_keys *keys, struct secret **ret, struct kerrinfo *e)
{
    uint8_t raw[ROOT_BINDING_MAX];
    struct bytes binding;
    enum kerr k = check_public_keys(slot, keys, e);
    if (k == KERR_OK) {
        k = root_binding(m, slot, raw, &binding, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    struct kerrinfo inner = {0};
    AUTO_SECRET root = NULL;
    k = pubkey_unbox(keys->box, binding, BYTES_OF(slot->boxed_root), &root, &inner);
    if (k == KERR_INTEGRITY || (k == KERR_OK && secret_len(root) != KS_ROOT_BYTES)) {
        return kerr_set(e, KERR_INTEGRITY, "slot %s: wrong secret, or the slot was altered",
                        slot->name);
    }
    if (k != KERR_OK) {
        return kerr_set(e, k, "%s", inner.text);
    }
    *ret = secret_take(&root);
    return KERR_OK;
}

static enum kerr table_key(const struct ks_model *m, const struct secret *root, struct secret **ret,
                           struct kerrinfo *e)
{
    return derive(root, BYTES_OF(m->salt), "etcdseal/v1/keystore/table", ret, e);
}

static enum kerr file_mac(const struct ks_model *m, const struct secret *root, struct bytes data,
                          uint8_t to[static HASH_BYTES], struct kerrinfo *e)
{
    AUTO_SECRET key = NULL;
    enum kerr k = derive(root, BYTES_OF(m->salt), "etcdseal/v1/keystore/mac", &key, e);
    if (k == KERR_OK) {
        hash_hmac(secret_view(key), &data, 1, to);
    }
    return k;
}

/* Appends nonce ‖ ciphertext ‖ tag of the table; `clear` is a view into `out`. */
static enum kerr append_table(const struct ks_model *m, const struct secret *root,
                              const struct secret *table, struct buf *out, struct kerrinfo *e)
{
    size_t clear_len = out->len;
    size_t sealed_len = AEAD_XAES_NONCE + secret_len(table) + AEAD_TAG;
    AUTO_SECRET key = NULL;
    uint8_t *to;
    enum kerr k = table_key(m, root, &key, e);
    if (k == KERR_OK) {
        k = buf_extend(out, sealed_len, &to, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    random_fill(to, AEAD_XAES_NONCE);
    return aead_xaes_seal(secret_view(key).ptr, to, bytes_of(out->ptr, clear_len),
                          secret_view(table), to + AEAD_XAES_NONCE, e);
}

static enum kerr append_proofs(const struct ks_model *m, const struct secret *root,
                               const struct ks_slot_keys *writer, struct buf *out,
                               struct kerrinfo *e)
{
    uint8_t mac[HASH_BYTES];
    uint8_t signature[PUBKEY_SIGNATURE];
    uint8_t sum[HASH_BYTES];
    enum kerr k = file_mac(m, root, buf_view(out), mac, e);
    if (k == KERR_OK) {
        k = buf_put(out, BYTES_OF(mac), e);
    }
    if (k == KERR_OK) {
        k = buf_put(out, BYTES_OF(m->writer), e);
    }
    if (k == KERR_OK) {
        k = pubkey_sign(writer->sign, label_file, buf_view(out), signature, e);
    }
    if (k == KERR_OK) {
        k = buf_put(out, BYTES_OF(signature), e);
    }
    if (k != KERR_OK) {
        return k;
    }
    hash_sha256(buf_view(out), sum);
    return buf_put(out, BYTES_OF(sum), e);
}

enum kerr ks_build_file(const struct ks_model *m, const struct secret *root,
                        const struct ks_slot_keys *writer, struct buf *ret, struct kerrinfo *e)
{
    if (memcmp(writer->slot, m->writer, KS_ID_BYTES) != 0) {
        return kerr_set(e, KERR_BUG, "the writer of the model is another slot");
    }
    AUTO_SECRET table = NULL;
    AUTO_BUF out = {0};
    enum kerr k = ks_table_write(m, &table, e);
    if (k == KERR_OK) {
        k = ks_format_write_clear(m, AEAD_XAES_NONCE + secret_len(table) + AEAD_TAG, &out, e);
    }
    if (k == KERR_OK) {
        k = append_table(m, root, table, &out, e);
    }
    if (k == KERR_OK) {
        k = append_proofs(m, root, writer, &out, e);
    }
    if (k == KERR_OK) {
        *ret = out;
        out = (struct buf){0};
    }
    return k;
}

enum kerr ks_check_mac(const struct ks_model *m, const struct ks_parts *parts,
                       const struct secret *root, struct kerrinfo *e)
{
    uint8_t mac[HASH_BYTES];
    enum kerr k = file_mac(m, root, parts->maced, mac, e);
    if (k == KERR_OK && !secret_equal_bytes(BYTES_OF(mac), parts->mac)) {
        k = kerr_set(e, KERR_INTEGRITY, "altered: the keystore's MAC does not fit its content");
    }
    return k;
}

enum kerr ks_check_signature(const struct ks_parts *parts, const uint8_t sign_key[PUBKEY_BYTES],
                             struct kerrinfo *e)
{
    return pubkey_verify(sign_key, label_file, parts->is_signed, parts->signature.ptr)
               ? KERR_OK
               : kerr_set(e, KERR_INTEGRITY, "altered: the writer's signature does not fit");
}

enum kerr ks_open_table(struct ks_model *m, const struct ks_parts *parts, const struct secret *root,
                        struct kerrinfo *e)
{
    if (parts->table.len <= AEAD_XAES_NONCE + AEAD_TAG) {
        return kerr_set(e, KERR_FORMAT, "the sealed table is too short");
    }
    AUTO_SECRET key = NULL;
    AUTO_SECRET table = NULL;
    enum kerr k = table_key(m, root, &key, e);
    if (k == KERR_OK) {
        k = secret_new(parts->table.len - AEAD_XAES_NONCE - AEAD_TAG, &table, e);
    }
    if (k == KERR_OK) {
        k = aead_xaes_open(
            secret_view(key).ptr, parts->table.ptr, parts->clear,
            bytes_of(parts->table.ptr + AEAD_XAES_NONCE, parts->table.len - AEAD_XAES_NONCE),
            secret_bytes(table), e);
    }
    return k == KERR_OK ? ks_table_read(secret_view(table), m, e) : k;
}

enum kerr ks_sign_change(const struct ks_model *m, const struct ks_slot_keys *by,
                         struct ks_roster_change *c, struct kerrinfo *e)
{
    uint8_t raw[KS_CHANGE_SIGNED_MAX];
    memcpy(c->by, by->slot, KS_ID_BYTES);
    return pubkey_sign(by->sign, label_change, ks_format_change_signed(m, c, raw), c->signature, e);
}

bool ks_verify_change(const struct ks_model *m, const struct ks_roster_change *c,
                      const uint8_t sign_key[PUBKEY_BYTES])
{
    uint8_t raw[KS_CHANGE_SIGNED_MAX];
    return pubkey_verify(sign_key, label_change, ks_format_change_signed(m, c, raw), c->signature);
}
