/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the records of an etcd database are all that there were. The file has no checksum over
 * them, but etcd numbers revisions one by one, and each record of a key says when the key was made
 * and how often it was written. So every record has its predecessor, unless compaction took that:
 * what is missing above the compaction is lost, and below it nobody can say.
 *
 * Not seen: the loss of the newest revisions of all, and of whole keys below the compaction.
 *
 * Pure; the views are those of the records.
 *
 * Source: go.etcd.io/etcd/server/v3 storage/mvcc (kvstore_txn.go, key_index.go).
 */
#ifndef ETCDSEAL_AUDIT_HISTORY_H
#define ETCDSEAL_AUDIT_HISTORY_H

#include "stored/mvcc.h"

struct history {
    uint64_t last; /* revision; etcd begins behind 1 */
    uint64_t sub;
    uint64_t needs; /* the lowest compaction that explains what is missing; 0: nothing is */
    const uint8_t *where;
    const char *what; /* static */
};

/* What is known of a key's record before. */
struct history_before {
    const struct mvcc_key_value *kv; /* NULL: there is none */
    bool is_tombstone;
};

struct history history_start(void);
/* The next record, whose revision stands at `where`. */
void history_revision(struct history *h, const struct mvcc_revision *r, const uint8_t *where);
/* The same record as one of its key; `kv` is its head, or of a tombstone only the key. False when
 * it contradicts itself. */
bool history_record(struct history *h, const struct mvcc_revision *r,
                    const struct mvcc_key_value *kv, const struct history_before *before,
                    const uint8_t *where);
/* A record without bytes: the one of `etcdutl snapshot restore --bump-revision`, which is
 * compacted. */
void history_bump(struct history *h, const struct mvcc_revision *r, const uint8_t *where);
/* Whether the compaction explains all that is missing. */
bool history_is_whole(const struct history *h, const struct mvcc_meta *meta);

#endif
