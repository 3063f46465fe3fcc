/* SPDX-License-Identifier: Apache-2.0 */
/* The keystore file's clear part. The checksum and the three sizes are set right first, so that the
 * fuzzer reaches what stands behind them. */
#include <stdlib.h>
#include <string.h>

#include "keystore/ks_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Tail of the file: MAC, writer, signature, checksum. */
#define TAIL (32 + 16 + 64 + 32)

static void put_u32(uint8_t *to, size_t v)
{
    struct writer w = writer_on(to, 4);
    write_u32(&w, (uint32_t)v);
}

static void read_it(const uint8_t *data, size_t size)
{
    struct ks_model *m = NULL;
    struct ks_parts parts;
    struct kerrinfo e = {0};
    if (ks_model_new(&m, &e) != KERR_OK) {
        abort();
    }
    if (ks_format_read(bytes_of(data, size), m, &parts, &e) == KERR_OK) {
        /* What was read can be written, and reads back as the same. */
        AUTO_BUF again = {0};
        if (ks_format_write_clear(m, parts.table.len, &again, &e) != KERR_OK ||
            !bytes_equal(buf_view(&again), parts.clear)) {
            abort();
        }
        for (size_t i = 0; i < m->slot_count; i++) {
            (void)!seal_check(&m->slots[i].seal, NULL);
        }
    } else if (e.text[0] == 0) {
        abort(); /* refused without a word */
    }
    ks_model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_it(data, size);
    if (size < 148 + TAIL || size > KS_FILE_MAX) {
        return 0;
    }
    uint8_t *copy = malloc(size);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, size);
    struct reader r = reader_on(bytes_of(copy, size));
    r.at = 20;
    size_t clear = read_u32(&r) % (size - TAIL + 1);
    put_u32(copy + 16, size);
    put_u32(copy + 20, clear);
    put_u32(copy + 24, size - TAIL - clear);
    memcpy(copy + size - 144 + 32, copy + 88, KS_ID_BYTES);
    hash_sha256(bytes_of(copy, size - HASH_BYTES), copy + size - HASH_BYTES);
    read_it(copy, size);
    free(copy);
    return 0;
}
