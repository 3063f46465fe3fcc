/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a row's place, and the record behind it. Private to records*.c and latest.c. */
#ifndef ETCDSEAL_AUDIT_RECORDS_ROW_H
#define ETCDSEAL_AUDIT_RECORDS_ROW_H

#include "audit/records.h"

/* Flags of a row's place. */
#define SUPERSEDED ((uint64_t)1 << 63) /* by a later record of the same key */
#define TOMBSTONE  ((uint64_t)1 << 62)
#define VALUELESS  ((uint64_t)1 << 61) /* what lies behind its version is not of it */
#define FIRST      ((uint64_t)1 << 60) /* it made its key: nothing of it need be before */
#define OFFSET     (((uint64_t)1 << OFFSET_BITS) - 1)

/* Between flags and offset stands the sort. */
#define OFFSET_BITS 44

/* From a record, that was read whole before, to the end of the file. */
static inline struct bytes records_from(const struct records *r, size_t number)
{
    size_t offset = (size_t)(r->rows[number].place & OFFSET);
    return bytes_of(r->b->file.ptr + offset, r->b->file.len - offset);
}

/* Its revision and what stands before its value; of a tombstone revision and key. False where the
 * file has changed. */
bool records_head(const struct records *r, size_t number, struct mvcc_revision *ret_revision,
                  struct mvcc_key_value *ret);

#endif
