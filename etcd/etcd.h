/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of etcd's v3 API that reads and can do nothing else.
 *
 * It goes to the first of its endpoints that answers and stays there; when that one is lost, lags
 * behind or has no leader, to the next. Before anything has answered each endpoint is tried once,
 * later for some seconds. A user's token is asked for at the first call and again when etcd no
 * longer takes it.
 *
 * Answers are hostile input: bounded, and checked before anything of them is handed on.
 *
 * Memory: ETCD_CLIENT_BYTES of answer_max, at most, of which most is gRPC's (rpc/rpc_client.h).
 *
 * Threads: a client belongs to one thread; see rpc/rpc_client.h for what that means before a fork.
 *
 * Codes of every call: DOWN and TIMEOUT when no endpoint answers, DENIED (no such user, wrong
 * password, not permitted), UNSUP for a method that the server does not have, FORMAT for answers
 * that are none and for an etcd that calls itself corrupt, BUSY when it takes no more requests, IO
 * for any other refusal, NOMEM. The message names the endpoint.
 *
 * Sources: go.etcd.io/etcd/api/v3 etcdserverpb/rpc.proto, mvccpb/kv.proto, v3rpc/rpctypes/error.go.
 */
#ifndef ETCDSEAL_ETCD_ETCD_H
#define ETCDSEAL_ETCD_ETCD_H

#include "base/bytes.h"
#include "base/secret.h"
#include "stored/mvcc.h"

#define ETCD_ENDPOINTS_MAX 32
#define ETCD_PAGE_MAX      ((size_t)64 << 20) /* bytes of one answer */
#define ETCD_ANSWER_MIN    ((size_t)4 << 20) /* values have 1.5 MiB, unless etcd is told otherwise */
#define ETCD_VERSION_BYTES 32

/* What a connection gathers, and an answer in one piece. */
#define ETCD_CLIENT_BYTES(answer_max) (5 * (uint64_t)(answer_max) + ((uint64_t)16 << 20))

/* PEM. */
struct etcd_tls {
    const char *ca;           /* NULL: plaintext */
    const char *cert;         /* NULL: none */
    const struct secret *key; /* of `cert` */
};

/* All of it is borrowed and outlives the client. */
struct etcd_config {
    const char *const *endpoints; /* each one or several, with commas between; etcd/endpoint.h */
    size_t endpoint_count;
    struct etcd_tls tls;
    const char *user; /* NULL: whoever the certificate says, or nobody */
    const struct secret *password;
    size_t answer_max;    /* bytes of one answer, at most ETCD_PAGE_MAX, which 0 is too */
    bool is_linearizable; /* else a member answers of itself, which may lag a little */
};

struct etcd;

/* Nothing is sent yet. USAGE for endpoints that are none, LIMIT for more than the maximum. */
enum kerr etcd_open(const struct etcd_config *config, struct etcd **ret,
                    struct kerrinfo *e) MUST_CHECK;
void etcd_close(struct etcd *c); /* NULL is fine */
/* Where the last call went, for messages. Valid until the next call. */
const char *etcd_endpoint(const struct etcd *c);
size_t etcd_endpoint_count(const struct etcd *c);
const char *etcd_endpoint_at(const struct etcd *c, size_t i); /* as it was given */
/* The next call goes to the next endpoint: this one answers, yet will not do. */
void etcd_go_on(struct etcd *c);

struct etcd_status {
    char version[ETCD_VERSION_BYTES]; /* printable */
    uint64_t cluster_id;
    uint64_t member_id;
    uint64_t revision;
    uint64_t db_size;
    uint64_t db_size_in_use; /* 0: not said */
    bool is_kine;            /* no member, cluster or leader is named: not etcd itself */
    bool has_leader;
    bool is_learner;
    bool has_no_space; /* alarms */
    bool is_corrupt;
};
/* Of the member that answers. After one of kine all ranges are linearizable ones: it refuses
 * others.
 */
enum kerr etcd_status(struct etcd *c, struct etcd_status *ret, struct kerrinfo *e) MUST_CHECK;

struct etcd_range {
    struct bytes key;
    struct bytes end;  /* the first key behind; empty: `key` alone; one NUL byte: no end */
    uint64_t limit;    /* 0: none. The server works for all of the range, whatever the limit */
    uint64_t revision; /* 0: the newest */
    bool keys_only;
    bool count_only;
};

struct etcd_page {
    uint64_t cluster_id;
    uint64_t member_id;
    uint64_t revision; /* the server's newest, when it answered */
    uint64_t count;    /* keys in all of the range */
    bool has_more;     /* the limit left some out */
    uint64_t keys;     /* in this answer */
    uint64_t bytes;    /* of this answer */
};

/* Told of each key in rising order, and with NULL behind the last one of an answer: until that
 * returns all of its views are good. */
typedef enum kerr etcd_key_value_fn(void *ctx, const struct mvcc_key_value *kv, struct kerrinfo *e);

/* One answer. NOTFOUND when the revision is compacted, LIMIT when the answer is over answer_max:
 * ask with a smaller limit. */
enum kerr etcd_range(struct etcd *c, const struct etcd_range *r, etcd_key_value_fn *fn, void *ctx,
                     struct etcd_page *ret, struct kerrinfo *e) MUST_CHECK;

/* The whole range at one revision, in pieces that the server cuts (etcd 3.7; UNSUP before). The
 * limit must be 0. Not tried again here: what was told of was told of, and the caller goes on
 * behind it. */
enum kerr etcd_range_stream(struct etcd *c, const struct etcd_range *r, etcd_key_value_fn *fn,
                            void *ctx, struct etcd_page *ret, struct kerrinfo *e) MUST_CHECK;

/* ---- the whole database of a member ---- */

#define ETCD_HASH_BYTES 32

struct etcd_piece {
    uint64_t at;    /* of its first byte */
    uint64_t total; /* bytes of all pieces */
    struct bytes data;
};
typedef enum kerr etcd_piece_fn(void *ctx, const struct etcd_piece *piece, struct kerrinfo *e);

/* What `etcdctl snapshot save` writes, piece by piece, in order: the file of the member that
 * answered last, free pages and all, and behind it its SHA-256, which is left to the caller. No
 * other member is asked instead. OK when all came that was promised with the first piece. DENIED:
 * where etcd has users it takes the role root. */
enum kerr etcd_snapshot(struct etcd *c, etcd_piece_fn *fn, void *ctx,
                        struct kerrinfo *e) MUST_CHECK;

#endif
