/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/policy.h"

#include <stdio.h>

struct row {
    const char *path; /* between mount and key, or all of it */
    bool has_key;
    enum vault_capability capability;
    const char *word;
};

static const struct row rows[] = {
    {"encrypt", true, VAULT_MAY_UPDATE, "update"},
    {"decrypt", true, VAULT_MAY_UPDATE, "update"},
    {"keys", true, VAULT_MAY_READ, "read"},
    {"auth/token/lookup-self", false, VAULT_MAY_READ, "read"},
    {"auth/token/renew-self", false, VAULT_MAY_UPDATE, "update"},
    {"auth/token/revoke-self", false, VAULT_MAY_UPDATE, "update"},
    {"sys/capabilities-self", false, VAULT_MAY_UPDATE, "update"},
};

bool vault_right_at(const char *mount, const char *key, size_t i, struct vault_right *ret)
{
    if (i >= ARRAY_LEN(rows)) {
        return false;
    }
    const struct row *row = &rows[i];
    *ret = (struct vault_right){.capabilities = row->capability, .is_of_default = !row->has_key};
    if (row->has_key) {
        (void)snprintf(ret->path, sizeof ret->path, "%s/%s/%s", mount, row->path, key);
    } else {
        (void)snprintf(ret->path, sizeof ret->path, "%s", row->path);
    }
    return true;
}

enum kerr vault_policy(const char *mount, const char *key, bool has_default, struct buf *ret,
                       struct kerrinfo *e)
{
    struct vault_right right;
    enum kerr k = KERR_OK;
    for (size_t i = 0; vault_right_at(mount, key, i, &right) && k == KERR_OK; i++) {
        if (!has_default || !right.is_of_default) {
            k = buf_printf(ret, e, "path \"%s\" { capabilities = [\"%s\"] }\n", right.path,
                           rows[i].word);
        }
    }
    return k;
}
