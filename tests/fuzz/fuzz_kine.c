/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database of SQLite and its log, in whose front stands how long the log is: any bytes give a
 * report whose numbers agree, or a refusal that says why. The checksums of the log are made right
 * first, and its pages those of the database, so that what lies behind them is reached.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "audit/kine.h"

#define WAL_HEADER   32
#define FRAME_HEADER 24
#define PAGE_SIZE_AT 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

/* ---- checksums, of big-endian words ---- */

static void put32(uint8_t *to, uint32_t v)
{
    v = htobe32(v);
    memcpy(to, &v, sizeof v);
}

static void add(uint32_t sum[2], const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint32_t words[2];
        memcpy(words, data + i, sizeof words);
        sum[0] += be32toh(words[0]) + sum[1];
        sum[1] += be32toh(words[1]) + sum[0];
    }
}

static void mend(uint8_t *wal, size_t len, size_t page_size)
{
    uint32_t sum[2] = {0, 0};
    if (len < WAL_HEADER || page_size < 512) {
        return;
    }
    put32(wal, 0x377f0683);
    put32(wal + 4, 3007000);
    put32(wal + 8, (uint32_t)page_size);
    add(sum, wal, 24);
    put32(wal + 24, sum[0]);
    put32(wal + 28, sum[1]);
    for (size_t at = WAL_HEADER; at + FRAME_HEADER + page_size <= len;
         at += FRAME_HEADER + page_size) {
        uint8_t *frame = wal + at;
        if (frame[8] == 0xff) { /* of another round */
            return;
        }
        memcpy(frame + 8, wal + 16, 8);
        add(sum, frame, 8);
        add(sum, frame + FRAME_HEADER, page_size);
        put32(frame + 16, sum[0]);
        put32(frame + 20, sum[1]);
    }
}

static size_t page_size_of(struct bytes db)
{
    size_t size = db.len < 100 ? 0 : (size_t)db.ptr[PAGE_SIZE_AT] << 8 | db.ptr[PAGE_SIZE_AT + 1];
    return size == 1 ? 65536 : size % 8 == 0 ? size : 0;
}

/* ---- the audit ---- */

static void check(const struct audit *a, const struct audit_store *found)
{
    uint64_t keys = 0;
    uint64_t classes = 0;
    for (size_t i = 0; i < a->resource_count; i++) {
        keys += a->resources[i].counts.keys;
    }
    for (size_t i = 0; i < VALUE_CLASS_COUNT; i++) {
        classes += a->totals.classes[i];
    }
    must(keys == a->totals.keys && classes == keys && keys <= found->record_count);
    must(a->residue[AUDIT_KINE_OLD_VALUE].values <= found->record_count);
    for (size_t i = 0; i < AUDIT_PLACE_COUNT; i++) {
        must(a->residue[i].plaintext <= a->residue[i].values && a->residue[i].is_seen);
    }
    for (size_t i = 0; i < a->finding_count; i++) {
        struct audit_said said;
        audit_say(a, &a->findings[i], &said);
        must(said.rule != NULL && said.message[0] != 0 && said.cure[0] != 0);
    }
}

/* `object` NULL: all. */
static void run(struct bytes db, struct bytes wal, const char *object)
{
    struct kerrinfo e = {0};
    const struct audit_wanted wanted = {.is_passing = true, .object = object};
    AUTO_SQLITE_PAGES pages = {.count = 0};
    AUTO_KINE kine = NULL;
    AUTO_AUDIT a = {.tables = NULL};
    struct audit_store found;
    must(audit_begin(&wanted, &a, &e) == KERR_OK);
    enum kerr k = sqlite_pages_open(db, wal, "file", &pages, &e);
    k = k == KERR_OK ? kine_open(&pages, KINE_MEMORY_MAX, &kine, &e) : k;
    k = k == KERR_OK ? audit_kine(&a, kine, &pages, NULL, NULL, &found, &e) : k;
    if (k != KERR_OK) {
        must(k == KERR_FORMAT || k == KERR_UNSUP || k == KERR_NOTFOUND || k == KERR_LIMIT ||
             k == KERR_NOMEM || (object != NULL && k == KERR_USAGE));
        must(e.code == k && e.text[0] != 0);
        return;
    }
    must(audit_judge(&a, &e) == KERR_OK);
    check(&a, &found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t wal_len = 0;
    if (size < sizeof wal_len) {
        return 0;
    }
    memcpy(&wal_len, data, sizeof wal_len);
    size -= sizeof wal_len;
    size_t len = le32toh(wal_len) < size ? le32toh(wal_len) : size;
    uint8_t *wal = malloc(len + (len == 0));
    if (wal == NULL) {
        return 0;
    }
    struct bytes db = bytes_of(data + sizeof wal_len + len, size - len);
    memcpy(wal, data + sizeof wal_len, len);
    mend(wal, len, page_size_of(db));
    run(db, bytes_of(wal, len), NULL);
    run(db, bytes_of(wal, len), "secrets/default/a");
    free(wal);
    return 0;
}
