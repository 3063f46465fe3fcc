/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf by hand, for requests that the tests make and responses that they look into: length-
 * delimited fields only, which is all that KMS v2 has. */
#ifndef ETCDSEAL_TESTS_UNIT_PLUGIN_WIRE_H
#define ETCDSEAL_TESTS_UNIT_PLUGIN_WIRE_H

#include "base/bytes.h"

/* Appends one field. */
void wire_put(struct buf *to, unsigned field, struct bytes value);
/* The first value of the field; empty when there is none. */
struct bytes wire_get(struct bytes message, unsigned field);

#endif
