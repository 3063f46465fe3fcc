/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What etcd keeps in its database: the bucket `key`, whose keys are revisions and whose values are
 * KeyValue messages, and the numbers of the bucket `meta`. Views into the caller's bytes. Pure.
 *
 * Sources: go.etcd.io/etcd/server/v3 storage/mvcc (revision.go, kvstore.go) and storage/schema;
 * api/v3/mvccpb/kv.proto.
 */
#ifndef ETCDSEAL_STORED_MVCC_H
#define ETCDSEAL_STORED_MVCC_H

#include "base/bytes.h"

#define MVCC_BUCKET_KEY  "key"
#define MVCC_BUCKET_META "meta"

#define MVCC_REVISION_BYTES  17
#define MVCC_TOMBSTONE_BYTES 18

#define MVCC_MAJOR_KNOWN 3
#define MVCC_MINOR_KNOWN 7

struct mvcc_revision {
    uint64_t main;
    uint64_t sub;
    bool is_tombstone; /* the key was deleted here */
};

struct mvcc_key_value {
    struct bytes key;
    struct bytes value;
    uint64_t create_revision;
    uint64_t mod_revision;
    uint64_t version;
    uint64_t lease;
};

struct mvcc_meta {
    uint64_t consistent_index;
    uint64_t term;
    uint64_t scheduled_compact; /* main revisions; 0: never */
    uint64_t finished_compact;
    struct bytes storage_version; /* "3.6.0": since etcd 3.6; empty before */
};

/* Main and sub revision as eight big-endian bytes each with '_' between, and 't' behind a
 * tombstone. False for other bytes. */
bool mvcc_revision_read(struct bytes key, struct mvcc_revision *ret);
/* False for what is no KeyValue, and for one that does not have a key first and each field once, in
 * order, as etcd writes them. */
bool mvcc_key_value_read(struct bytes message, struct mvcc_key_value *ret);
/* Only the key of a KeyValue that was read before, with whatever behind it. */
bool mvcc_key_of(struct bytes message, struct bytes *ret);
/* Key, create_revision, mod_revision and version, which etcd writes first and in this order; false
 * when they are not there. What is behind them is not looked at. */
bool mvcc_key_value_head(struct bytes message, struct mvcc_key_value *ret);
/* Reads as much of a KeyValue as there is, for bytes that were left over: true when key and the
 * beginning of the value were found. `value` ends where the bytes end; *ret_len is what the record
 * takes of them. */
bool mvcc_key_value_cut(struct bytes from, struct mvcc_key_value *ret, size_t *ret_len);
/* Takes an item of the bucket `meta` over; unknown ones are passed over. False for a known name
 * with a value of another form. */
bool mvcc_meta_take(struct bytes name, struct bytes value, struct mvcc_meta *to);
/* A storage version ("3.6.0") of which all is known: empty, or not behind that of MVCC_MINOR_KNOWN.
 * etcd does not open a newer one than its own either. */
bool mvcc_is_known_version(struct bytes version);

#endif
