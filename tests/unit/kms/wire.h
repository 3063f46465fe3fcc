/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf messages put together by hand (https://protobuf.dev/programming-guides/encoding), so
 * that the codec is not tested against itself.
 */
#ifndef ETCDSEAL_TESTS_UNIT_KMS_WIRE_H
#define ETCDSEAL_TESTS_UNIT_KMS_WIRE_H

#include "tests/lib/testlib.h"

/* A message under construction. */
struct wire {
    uint8_t room[65536];
    struct writer w;
};

/* An empty one: one of two, in turn. */
struct wire *wire_new(void);
void put_varint(struct wire *m, uint64_t v);
void put_bytes(struct wire *m, unsigned field, struct bytes value);
void put_text(struct wire *m, unsigned field, const char *value);
/* An entry of a map<string, bytes>. */
void put_annotation(struct wire *m, unsigned field, struct bytes name, struct bytes value);
struct bytes done(const struct wire *m);
/* So many bytes of 'a'. */
struct bytes some(size_t len);

#endif
