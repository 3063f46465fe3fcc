/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file's bytes to a model's clear part and back; pure, and the target of a fuzzer. Nothing that
 * is read here may be believed: that is decided in ks_open.c, after unsealing.
 *
 * Reading: bounds → checksum (FORMAT "damaged") → version and features (UNSUP) → structure
 * (FORMAT with the byte offset). Every count, size and cost is capped before it is used.
 */
#ifndef ETCDSEAL_KEYSTORE_KS_FORMAT_H
#define ETCDSEAL_KEYSTORE_KS_FORMAT_H

#include "keystore/ks_model.h"

#define KS_FORMAT_VERSION 1

/* Where the parts of a file lie; views into its bytes. */
struct ks_parts {
    struct bytes clear;     /* header, slots, roster changes: AAD of the table */
    struct bytes table;     /* nonce ‖ sealed key table ‖ tag */
    struct bytes maced;     /* clear ‖ table */
    struct bytes mac;       /* 32 bytes */
    struct bytes is_signed; /* clear ‖ table ‖ mac ‖ writer slot id */
    struct bytes signature; /* 64 bytes */
};

/* Fills everything of the (empty) model but its keys. On failure the model must only be freed. */
enum kerr ks_format_read(struct bytes file, struct ks_model *ret, struct ks_parts *ret_parts,
                         struct kerrinfo *e) MUST_CHECK;

/* Writes the clear part for a table of `table_len` bytes; `ret` is a fresh buffer. */
enum kerr ks_format_write_clear(const struct ks_model *m, size_t table_len, struct buf *ret,
                                struct kerrinfo *e) MUST_CHECK;
/* Size of a whole file with these two parts. */
size_t ks_format_total(size_t clear_len, size_t table_len);

/* What a roster change's signature covers. */
#define KS_CHANGE_SIGNED_MAX 256
struct bytes ks_format_change_signed(const struct ks_model *m, const struct ks_roster_change *c,
                                     uint8_t to[KS_CHANGE_SIGNED_MAX]);

#endif
