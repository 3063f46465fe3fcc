/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/ks_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char *const role_names[] = {
    [KS_ROLE_NODE] = "node",
    [KS_ROLE_OPERATOR] = "operator",
    [KS_ROLE_RECOVERY] = "recovery",
};

const char *ks_role_name(uint8_t role)
{
    return role < ARRAY_LEN(role_names) ? role_names[role] : NULL;
}

enum kerr ks_model_new(struct ks_model **ret, struct kerrinfo *e)
{
    AUTO_MODEL m = calloc(1, sizeof *m);
    if (m != NULL) {
        m->slots = calloc(KS_SLOTS_MAX, sizeof *m->slots);
        m->changes = calloc(KS_CHANGES_MAX, sizeof *m->changes);
        m->keys = calloc(KS_KEYS_MAX, sizeof *m->keys);
    }
    if (m == NULL || m->slots == NULL || m->changes == NULL || m->keys == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a keystore");
    }
    *ret = m;
    m = NULL;
    return KERR_OK;
}

void ks_model_free(struct ks_model *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; m->keys != NULL && i < m->key_count; i++) {
        secret_free(m->keys[i].material);
    }
    free(m->slots);
    free(m->changes);
    free(m->keys);
    free(m);
}

void ks_model_free_at(struct ks_model **m)
{
    ks_model_free(*m);
    *m = NULL;
}

const struct ks_slot *ks_model_slot(const struct ks_model *m, const uint8_t id[KS_ID_BYTES])
{
    for (size_t i = 0; i < m->slot_count; i++) {
        if (memcmp(m->slots[i].id, id, KS_ID_BYTES) == 0) {
            return &m->slots[i];
        }
    }
    return NULL;
}

const struct ks_slot *ks_model_slot_named(const struct ks_model *m, const char *name)
{
    for (size_t i = 0; i < m->slot_count; i++) {
        if (strcmp(m->slots[i].name, name) == 0) {
            return &m->slots[i];
        }
    }
    return NULL;
}

struct ks_key *ks_model_key(const struct ks_model *m, const uint8_t id[KS_ID_BYTES])
{
    for (size_t i = 0; i < m->key_count; i++) {
        if (memcmp(m->keys[i].id, id, KS_ID_BYTES) == 0) {
            return &m->keys[i];
        }
    }
    return NULL;
}

void ks_key_id_text(const uint8_t id[KS_ID_BYTES], char to[KS_KEY_ID_TEXT])
{
    memcpy(to, KS_KEY_ID_PREFIX, strlen(KS_KEY_ID_PREFIX));
    text_base32(bytes_of(id, KS_ID_BYTES), to + strlen(KS_KEY_ID_PREFIX));
}

enum kerr ks_key_id_parse(struct bytes text, uint8_t to[KS_ID_BYTES], struct kerrinfo *e)
{
    size_t prefix = strlen(KS_KEY_ID_PREFIX);
    if (text.len != KS_KEY_ID_TEXT - 1 || memcmp(text.ptr, KS_KEY_ID_PREFIX, prefix) != 0 ||
        text_from_base32(bytes_of(text.ptr + prefix, text.len - prefix), to, KS_ID_BYTES, NULL) !=
            KERR_OK) {
        return kerr_set(e, KERR_KEYID,
                        "not a key id of this keystore: expected \"%s\" and %d "
                        "base32 characters",
                        KS_KEY_ID_PREFIX, TEXT_BASE32_CHARS(KS_ID_BYTES));
    }
    return KERR_OK;
}
