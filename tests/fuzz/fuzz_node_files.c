/* SPDX-License-Identifier: Apache-2.0 */
/* keystore.accepted (first byte odd), keystore.backed-up (bit 1 set), keystore.unseal (neither). */
#include <stdlib.h>

#include "keystore/ks_accept.h"
#include "keystore/ks_backup.h"
#include "keystore/ks_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_unseal(struct bytes text)
{
    struct seal_spec *specs = NULL;
    size_t count = 0;
    if (ks_unseal_parse(text, &specs, &count, NULL) != KERR_OK) {
        return;
    }
    const struct seal_spec *views[KS_SLOTS_MAX];
    for (size_t i = 0; i < count; i++) {
        views[i] = &specs[i];
    }
    AUTO_BUF printed = {0};
    struct seal_spec *again = NULL;
    size_t again_count = 0;
    if (ks_unseal_print(views, count, &printed, NULL) == KERR_OK &&
        (ks_unseal_parse(buf_view(&printed), &again, &again_count, NULL) != KERR_OK ||
         again_count != count)) {
        abort();
    }
    ks_specs_free(again, again_count);
    ks_specs_free(specs, count);
}

static void read_accepted(struct bytes file)
{
    struct ks_slot_keys keys = {0};
    struct ks_accepted *accepted = NULL;
    struct secret *secret = NULL;
    uint8_t id[KS_ID_BYTES] = {0};
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK ||
        secret_new(SEAL_SECRET_BYTES, &secret, NULL) != KERR_OK ||
        ks_slot_keys_derive(id, id, secret, &keys, NULL) != KERR_OK) {
        abort();
    }
    (void)ks_accepted_peek_generation(file);
    if (ks_accepted_read(file, &keys, &accepted, NULL) == KERR_OK) {
        ks_accepted_free(accepted);
    }
    ks_slot_keys_done(&keys);
    secret_free(secret);
}

static void read_backed_up(struct bytes text)
{
    static struct ks_backup_record r;
    static struct ks_backup_record again;
    AUTO_BUF printed = {0};
    if (ks_backup_record_parse(text, &r, NULL) != KERR_OK ||
        ks_backup_record_print(&r, &printed, NULL) != KERR_OK) {
        return;
    }
    if (ks_backup_record_parse(buf_view(&printed), &again, NULL) != KERR_OK ||
        again.generation != r.generation || again.at_s != r.at_s ||
        again.key_count != r.key_count) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct bytes rest = bytes_of(data + 1, size - 1);
    if ((data[0] & 1) != 0) {
        read_accepted(rest);
    } else if ((data[0] & 2) != 0) {
        read_backed_up(rest);
    } else {
        read_unseal(rest);
    }
    return 0;
}
