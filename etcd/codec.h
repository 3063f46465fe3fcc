/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd's messages: requests to bytes, answers to plain structs and views into the answer. Pure.
 *
 * Answers are hostile. An answer to a range is read twice: first it is checked whole, so that
 * nothing of a bad one is handed on, then its key values are.
 *
 * Codes: FORMAT for bytes that are not what was asked for, LIMIT, NOMEM.
 */
#ifndef ETCDSEAL_ETCD_CODEC_H
#define ETCDSEAL_ETCD_CODEC_H

#include "base/secret.h"
#include "etcd/etcd.h"

#define CODEC_STATUS_MAX 65536 /* bytes of a StatusResponse; real ones have some hundred */

enum kerr codec_range_request(const struct etcd_range *r, bool is_serializable, struct buf *ret,
                              struct kerrinfo *e) MUST_CHECK;
enum kerr codec_login_request(const char *user, const struct secret *password, struct secret **ret,
                              struct kerrinfo *e) MUST_CHECK;

/* A RangeResponse: that the keys rise, from `r->key` on and below `r->end`. `needs_header`: false
 * for a piece of a stream, of which only the last has one; what is not there stays as it is. */
enum kerr codec_page_check(struct bytes message, const struct etcd_range *r, bool needs_header,
                           struct etcd_page *ret, struct kerrinfo *e) MUST_CHECK;
/* Hands on the key values of a RangeResponse that was checked, and NULL behind them. */
enum kerr codec_page_walk(struct bytes message, etcd_key_value_fn *fn, void *ctx,
                          struct kerrinfo *e) MUST_CHECK;
/* The RangeResponse in a piece of a stream. */
enum kerr codec_piece(struct bytes message, struct bytes *ret, struct kerrinfo *e) MUST_CHECK;

enum kerr codec_status(struct bytes message, struct etcd_status *ret,
                       struct kerrinfo *e) MUST_CHECK;
/* A SnapshotResponse. */
struct codec_blob {
    uint64_t remaining; /* bytes behind this one, without the hash */
    struct bytes data;
};
enum kerr codec_blob(struct bytes message, struct codec_blob *ret, struct kerrinfo *e) MUST_CHECK;
/* The token of an AuthenticateResponse. */
enum kerr codec_token(struct bytes message, struct secret **ret, struct kerrinfo *e) MUST_CHECK;

#endif
