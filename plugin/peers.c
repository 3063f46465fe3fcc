/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/peers.h"

#include "kms/kms.h"

struct method_bit {
    unsigned config;
    enum kms_method method;
};

static const struct method_bit method_bits[] = {
    {CONFIG_METHOD_STATUS, KMS_STATUS},
    {CONFIG_METHOD_ENCRYPT, KMS_ENCRYPT},
    {CONFIG_METHOD_DECRYPT, KMS_DECRYPT},
};

bool peers_class(const struct config_peer *rows, size_t count, const struct peer *peer, size_t *ret)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t id = rows[i].kind == CONFIG_PEER_UID ? peer->uid : peer->gid;
        if (id == rows[i].id && id != PEER_UID_UNMAPPED) {
            *ret = i;
            return true;
        }
    }
    return false;
}

void peers_to_classes(const struct config_peer *rows, size_t count, struct rpc_class *to)
{
    for (size_t i = 0; i < count; i++) {
        to[i].methods = 0;
        for (size_t m = 0; m < ARRAY_LEN(method_bits); m++) {
            if ((rows[i].methods & method_bits[m].config) != 0) {
                to[i].methods |= UINT32_C(1) << method_bits[m].method;
            }
        }
    }
}

bool peers_same_rights(const struct config_peer *a, size_t a_count, const struct config_peer *b,
                       size_t b_count)
{
    if (a_count != b_count) {
        return false;
    }
    for (size_t i = 0; i < a_count; i++) {
        if (a[i].kind != b[i].kind || a[i].id != b[i].id || a[i].methods != b[i].methods) {
            return false;
        }
    }
    return true;
}
