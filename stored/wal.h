/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd's write-ahead log: the records of one file, and the values that its entries put. The file
 * may be hostile. Nothing is allocated; views last as long as the bytes.
 *
 * A record is a length (eight bytes, little-endian; with the top bit set, bits 56 to 58 are how
 * many bytes of padding follow it) and a message {1: type, 2: crc, 3: data}. The CRC-32C is that of
 * the data of all records up to and with this one; a file begins with a record that says the last
 * one of the file before. A length of zero is the end of what was written. A record that a crash
 * tore, so that a whole sector of it is zero and no record follows, ends the newest file as it does
 * for etcd.
 *
 * The CRC covers neither types nor lengths. So what a record holds must be of its type, entries
 * must be numbered one by one (a snapshot that the member received stands for those up to it), and
 * all files must name one member and cluster.
 *
 * Codes: FORMAT with file and byte offset.
 *
 * Sources: go.etcd.io/etcd/server/v3 storage/wal (decoder.go, encoder.go, wal.go) and
 * storage/wal/walpb; raftpb.Entry; api/v3/etcdserverpb (raft_internal.proto, rpc.proto).
 */
#ifndef ETCDSEAL_STORED_WAL_H
#define ETCDSEAL_STORED_WAL_H

#include "base/bytes.h"

struct wal {
    struct bytes file;
    const char *name; /* for messages, borrowed */
    size_t at;
    uint32_t crc;
    bool has_crc;   /* the chain is known: of the file before, or of the first record */
    bool is_newest; /* may end with a torn record */
    uint64_t last;  /* index of the entry before; at first, what the oldest file's name says */
    struct bytes metadata; /* of the file before: member and cluster */
    uint32_t table[256];
};

/* The oldest file of a log. `w.last` is the caller's to set: one less than the index in its name.
 */
struct wal wal_on(struct bytes file, const char *name);
/* The file behind it, whose first record must say the CRC of the last one before. */
void wal_next_file(struct wal *w, struct bytes file, const char *name, bool is_newest);

/* The data of the next entry of raft. *ret_is_end when there is none, and *ret is untouched. */
enum kerr wal_next(struct wal *w, struct bytes *ret, bool *ret_is_end,
                   struct kerrinfo *e) MUST_CHECK;

/* Called with each key and value that an entry puts, in order. */
typedef enum kerr wal_put_fn(void *ctx, struct bytes key, struct bytes value, struct kerrinfo *e);

/* Finds the puts in an entry, those in transactions among them. FORMAT for what is no request of
 * etcd's; `w` is for the message. */
enum kerr wal_puts(const struct wal *w, struct bytes entry, wal_put_fn *put, void *ctx,
                   struct kerrinfo *e) MUST_CHECK;

#endif
