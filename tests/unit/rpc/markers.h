/* SPDX-License-Identifier: Apache-2.0 */
/* A marker of 8 bytes that this process knows only xored, so that a search through all of its
 * memory finds nothing but copies that were made of messages. */
#ifndef ETCDSEAL_TESTS_UNIT_RPC_MARKERS_H
#define ETCDSEAL_TESTS_UNIT_RPC_MARKERS_H

#include "tests/lib/testlib.h"

void markers_start(void);                        /* once, before a fork */
void markers_fill(uint8_t *to, size_t len);      /* with the marker, again and again */
void markers_clear(uint8_t *at, size_t len);     /* so that the compiler leaves it in */
bool markers_are(const uint8_t *at, size_t len); /* filled as above */
size_t markers_count(void);                      /* in all that this process may write to */

#endif
