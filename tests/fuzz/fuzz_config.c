/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcdseald.yaml: what is read is printed, and what is printed reads back the same. The text ends
 * at a guard page, because libfyaml itself is not instrumented.
 */
#include <stdlib.h>

#include "base/secret.h"
#include "config/config.h"

#define PRINTED_MAX 262144

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const struct config *c, struct buf *to)
{
    buf_init(to, PRINTED_MAX);
    if (config_print(c, to, NULL) != KERR_OK) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_SECRET text = NULL;
    AUTO_CONFIG c = NULL;
    AUTO_CONFIG again = NULL;
    AUTO_BUF once = {0};
    AUTO_BUF twice = {0};
    struct kerrinfo e = {0};
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK || size == 0 ||
        secret_from_bytes(bytes_of(data, size), &text, NULL) != KERR_OK) {
        return 0;
    }
    enum kerr k = config_parse(secret_view(text), "F", &c, &e);
    if (k != KERR_OK) {
        if ((k != KERR_CONFIG && k != KERR_LIMIT) || e.text[0] == 0) {
            abort();
        }
        return 0;
    }
    print(c, &once);
    /* Quotes and escapes may make the print longer than a file may be. */
    if (once.len > CONFIG_FILE_MAX) {
        return 0;
    }
    if (config_parse(buf_view(&once), "F", &again, NULL) != KERR_OK) {
        abort();
    }
    print(again, &twice);
    if (!bytes_equal(buf_view(&once), buf_view(&twice))) {
        abort();
    }
    return 0;
}
