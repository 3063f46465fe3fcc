/* SPDX-License-Identifier: Apache-2.0 */
/* etcd's answers, made here: Protocol Buffers by hand. */
#ifndef ETCDSEAL_TESTS_UNIT_ETCD_ANSWERS_H
#define ETCDSEAL_TESTS_UNIT_ETCD_ANSWERS_H

#include "tests/lib/testlib.h"

/* Appends to `to`, which was made by buf_init. */
void put_number(struct buf *to, unsigned field, uint64_t value);
void put_bytes(struct buf *to, unsigned field, struct bytes value);
void put_header(struct buf *to, uint64_t revision); /* of cluster 77 and member 88 */
void put_kv(struct buf *to, const char *key, const char *value);

#endif
