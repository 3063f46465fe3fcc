/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of an etcd database: where each lies in the file, in the order of revisions, and
 * which is the latest of its key. Private to audit.
 *
 * The pages of the tree are followed on the caller's thread, and what is in its leaves is read on
 * all threads of the audit. Then each thread finds the latest records of its share of the keys.
 *
 * Memory: 16 bytes for each record and 16 for each key, times at most two and a half.
 *
 * Codes: those of stored/bbolt.h; FORMAT for what is no database of etcd, or not all of one
 * (audit/history.h); NOMEM; and whatever `tell` returns.
 */
#ifndef ETCDSEAL_AUDIT_RECORDS_H
#define ETCDSEAL_AUDIT_RECORDS_H

#include "audit/sorts.h"
#include "stored/bbolt.h"
#include "stored/mvcc.h"

struct records_row {
    uint64_t hash;  /* of the key; 0: a revision without a record */
    uint64_t place; /* in the file, and flags */
};

struct records {
    const struct bbolt *b;
    struct memory *memory;
    struct records_row *rows;
    size_t count;
    size_t read;          /* of them: fewer where reading ended early */
    struct bytes *slacks; /* ends of pages that are not all zero */
    size_t slack_count;
    struct sorts *sorts; /* NULL: each record counts by itself */
    struct mvcc_meta meta;
    uint64_t revision;   /* the last one; 0: there is none */
    uint64_t tombstones; /* how many of the records are */
};

/* Called on the caller's thread now and then with the number of bytes that were read since; what
 * it returns but OK ends the reading. */
typedef enum kerr records_tell_fn(void *ctx, size_t bytes, struct kerrinfo *e);

/* Reads all of `b`, which `ret` borrows, and notes its keys for the cluster's prefix (audit.h). */
enum kerr records_read(struct audit *a, struct bbolt *b, records_tell_fn *tell, void *tell_ctx,
                       struct records *ret, struct kerrinfo *e) MUST_CHECK;
void records_done(struct records *r); /* all zero is fine */
#define AUTO_RECORDS AUTO(records_done) struct records

struct record {
    bool is_empty;  /* a revision without a record: nothing else is set then */
    bool is_latest; /* of its key */
    struct mvcc_revision revision;
    struct mvcc_key_value kv;
};

/* The record `number`, below `count`, as it stands in the file now; false when that has changed. On
 * any thread. */
bool records_get(const struct records *r, size_t number, struct record *ret);
/* What to say then: FORMAT. */
enum kerr records_changed(const struct records *r, struct kerrinfo *e);
/* The same record's sort, and whether it is the latest of its key, without a look at the file. */
uint16_t records_sort(const struct records *r, size_t number, bool *ret_is_latest);
/* The same record is wanted soon. */
void records_prefetch(const struct records *r, size_t number);

#endif
