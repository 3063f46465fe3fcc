/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of KMS v2 under one seed are the same but for their data: key id, encrypted seed and
 * annotations stand behind it, byte for byte. A memo keeps what was found in some of them, so that
 * the next one is compared instead of read. It says what value_read says, of any bytes.
 *
 * It keeps VALUE_MEMO_KEPT of them, if nobody chose them to fall together; where more come, it
 * forgets all and begins anew, since the seeds of a cluster follow one another. A memo belongs to
 * one thread and keeps copies, up to 1.6 MB of them. Codes: NOMEM.
 */
#ifndef ETCDSEAL_STORED_VALUE_MEMO_H
#define ETCDSEAL_STORED_VALUE_MEMO_H

#include "stored/value.h"

#define VALUE_MEMO_SLOTS 2048
#define VALUE_MEMO_NONE  VALUE_MEMO_SLOTS
#define VALUE_MEMO_KEPT  (VALUE_MEMO_SLOTS / 4)

struct value_memo;

enum kerr value_memo_new(struct value_memo **ret, struct kerrinfo *e) MUST_CHECK;
void value_memo_free(struct value_memo *m); /* NULL is fine */

/* As value_read. Returns the slot that keeps what the value has in common with others, or
 * VALUE_MEMO_NONE; `*ret_is_known` when the one of before in this slot had all of it in common. */
unsigned value_memo_read(struct value_memo *m, struct bytes value, struct stored_value *ret,
                         bool *ret_is_known);

/* The same without a memo, where it is known with which value it has all that in common. False when
 * its data is not there, or too short: value_read tells what is wrong. */
bool value_read_like(struct bytes value, const struct stored_value *like, struct stored_value *ret);

#endif
