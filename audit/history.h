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
    bool is_begun;
    struct mvcc_revision first;
    const uint8_t *first_at;
    struct mvcc_revision last;
    uint64_t needs; /* the lowest compaction that explains what is missing; 0: nothing is */
    const uint8_t *where;
    const char *what; /* static */
};

/* What is known of a key's record before. */
struct history_before {
    const struct mvcc_key_value *kv; /* NULL: there is none */
    bool is_tombstone;
};

/* Of a whole database. One that is all zero is for a part, which history_join puts behind what is
 * before it. */
struct history history_start(void);
/* The next record, whose revision stands at `where`. */
void history_revision(struct history *h, const struct mvcc_revision *r, const uint8_t *where);
/* Takes over what a part says that follows. */
void history_join(struct history *h, const struct history *part);
/* Whether a record says of itself what etcd may have written. */
bool history_is_sound(const struct mvcc_revision *r, const struct mvcc_key_value *kv);
/* Such a record made its key: nothing of it need be before. */
bool history_is_first(const struct mvcc_revision *r, const struct mvcc_key_value *kv);
/* A sound record as one of its key, in the order of revisions for each key; of a tombstone `kv` is
 * not looked at. */
void history_record(struct history *h, const struct mvcc_revision *r,
                    const struct mvcc_key_value *kv, const struct history_before *before,
                    const uint8_t *where);
/* A record without bytes: the one of `etcdutl snapshot restore --bump-revision`, which is
 * compacted. */
void history_bump(struct history *h, const struct mvcc_revision *r, const uint8_t *where);
/* Whether the compaction explains all that is missing. */
bool history_is_whole(const struct history *h, const struct mvcc_meta *meta);

#endif
