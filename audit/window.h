/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a range of etcd is cut into requests.
 *
 * For each request etcd walks its index to the end of the range, whatever the limit, because it
 * counts the keys. Many pages of one long range therefore cost the square of its length. So each
 * request asks for a window: from the next key to an end that lies, by the distance of the keys
 * that came last, some pages further on. Where keys are sparse the window grows until it meets
 * some; the guess decides what it costs and never what is read. How many keys a page has follows
 * from the bytes that they took. Pure; keys are numbers of WINDOW_KEY_BYTES digits of 256.
 */
#ifndef ETCDSEAL_AUDIT_WINDOW_H
#define ETCDSEAL_AUDIT_WINDOW_H

#include "base/bytes.h"

#define WINDOW_KEY_BYTES 256 /* what is behind does not count; Kubernetes' keys are shorter */

struct window {
    uint64_t limit; /* keys of the next page */
    bool has_width; /* else nothing is known yet: the window has no end */
    uint8_t width[WINDOW_KEY_BYTES];
};

void window_init(struct window *w);
/* After a page: its first and last key (equal or empty for fewer than two), how many, and the bytes
 * of the answer. */
void window_learn(struct window *w, struct bytes first, struct bytes last, uint64_t keys,
                  uint64_t bytes);
/* After a window that had `keys` in all: makes the next as wide as it should have been. */
void window_widen(struct window *w, uint64_t keys);
/* After an answer that was too large. False when it was of one key. */
bool window_shrink(struct window *w);
/* Whether a window with so many keys left costs more than a new one. */
bool window_is_too_wide(const struct window *w, uint64_t left);
/* Where a window from `from` on ends; false: it has no end. */
bool window_end(const struct window *w, struct bytes from, uint8_t to[static WINDOW_KEY_BYTES]);

#endif
