/* SPDX-License-Identifier: Apache-2.0 */
/* The key table: what an accepted slot could have sealed. */
#include <stdlib.h>

#include "keystore/ks_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ks_model *m = NULL;
    struct kerrinfo e = {0};
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK || ks_model_new(&m, &e) != KERR_OK) {
        abort();
    }
    if (ks_table_read(bytes_of(data, size), m, &e) == KERR_OK) {
        struct secret *again = NULL;
        if (ks_table_write(m, &again, &e) != KERR_OK ||
            !bytes_equal(secret_view(again), bytes_of(data, size))) {
            abort();
        }
        secret_free(again);
    } else if (e.text[0] == 0) {
        abort();
    }
    ks_model_free(m);
    return 0;
}
