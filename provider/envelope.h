/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The associated data under which a DEK seed is wrapped. Pure. Numbers are big-endian; lv16 is a
 * u16 length and the bytes.
 *
 *     u8   format                1
 *     lv16 purpose               "etcdseal kms v2 dek seed"
 *     u8   suite                 crypto/suite.h
 *     lv16 store id              16 bytes
 *     lv16 key id                the text that kube-apiserver stores: "es1-…"
 *     u16  number of annotations, then for each, in ascending order of the names' bytes:
 *          lv16 name, lv16 value
 *
 * The request's uid is not in it: kube-apiserver sends another one to Decrypt. Vectors:
 * tests/data/envelope-vectors.json.
 */
#ifndef ETCDSEAL_PROVIDER_ENVELOPE_H
#define ETCDSEAL_PROVIDER_ENVELOPE_H

#include "crypto/suite.h"
#include "provider/provider.h"

#define ENVELOPE_FORMAT 1

/* `ret` is a fresh buffer. INPUT when a name stands twice. */
enum kerr envelope_aad(enum suite suite, struct bytes store_id, struct bytes key_id,
                       const struct provider_annotations *annotations, struct buf *ret,
                       struct kerrinfo *e) MUST_CHECK;

#endif
