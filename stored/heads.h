/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few byte strings that many others begin with, such as the prefix of a provider or the place of
 * a resource, numbered as they came. For loops over millions: no allocation, and compared one by
 * one. Pure.
 */
#ifndef ETCDSEAL_STORED_HEADS_H
#define ETCDSEAL_STORED_HEADS_H

#include "base/bytes.h"

#define HEADS_MAX      16
#define HEADS_NONE     HEADS_MAX
#define HEAD_BYTES_MAX 128

struct heads {
    size_t count; /* all zero: none yet */
    struct head {
        size_t len;
        uint8_t bytes[HEAD_BYTES_MAX];
    } rows[HEADS_MAX];
};

/* The first one that `data` begins with and goes on behind; HEADS_NONE when there is none. */
size_t heads_find(const struct heads *h, struct bytes data);
/* Adds a copy. Its number; HEADS_NONE where it is empty or too long, or there are HEADS_MAX. */
size_t heads_add(struct heads *h, struct bytes head);

#endif
