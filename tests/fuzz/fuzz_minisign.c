/* SPDX-License-Identifier: Apache-2.0 */
/* Files of minisign, of anybody's: keys and signatures are read or refused, and what a key signs is
 * verified by it. */
#include <stdlib.h>

#include "base/text.h"
#include "cli/minisign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_good)
{
    if (!is_good) {
        abort();
    }
}

static void sign(const struct minisign_secret *s)
{
    static const uint8_t hash[HASH_BLAKE2B_BYTES] = {1};
    AUTO_BUF out;
    AUTO_TEXT comment = NULL;
    buf_init(&out, MINISIGN_FILE_MAX);
    check(minisign_sign(s, hash, "comment", &out, NULL) == KERR_OK);
    check(minisign_verify(&s->is, buf_view(&out), "sig", hash, &comment, NULL) == KERR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t hash[HASH_BLAKE2B_BYTES] = {0};
    static bool is_started;
    struct bytes text = bytes_of(data, size);
    struct minisign_public p = {.id = {0x4a, 0xbf, 0x1a, 0x6d, 0x62, 0xfc, 0xc3, 0x7a}};
    AUTO_MINISIGN_SECRET s = {.seed = NULL};
    AUTO_TEXT comment = NULL;
    struct kerrinfo e = {0};
    check(is_started || secret_start(SECRET_LOCK_BEST_EFFORT, NULL) == KERR_OK);
    is_started = true;
    enum kerr k = minisign_verify(&p, text, "sig", hash, &comment, &e);
    check(k == KERR_FORMAT || k == KERR_INTEGRITY);
    k = minisign_parse_public(text, "pub", &p, &e);
    check(k == KERR_OK || k == KERR_INPUT);
    k = minisign_parse_secret(text, "sec", &s, &e);
    check(k == KERR_OK || k == KERR_INPUT || k == KERR_UNSUP);
    if (k == KERR_OK) {
        sign(&s);
    }
    return 0;
}
