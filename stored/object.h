/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Name and namespace that an object of Kubernetes gives itself, in the forms that kube-apiserver
 * stores: Protocol Buffers and JSON. CBOR, and what has no metadata of that form, is passed over.
 *
 * Objects may be decrypted secrets, so they are looked at where they lie: nothing is allocated and
 * nothing is copied, which no JSON library offers. JSON is searched, not checked: whoever wrote it
 * was kube-apiserver, and a wrong form gives no name or a wrong one, never more. Views into the
 * caller's bytes. Pure.
 *
 * Sources: k8s.io/apimachinery pkg/runtime/generated.proto (Unknown),
 * pkg/apis/meta/v1/generated.proto (ObjectMeta); RFC 8259.
 */
#ifndef ETCDSEAL_STORED_OBJECT_H
#define ETCDSEAL_STORED_OBJECT_H

#include "base/bytes.h"

struct object_names {
    struct bytes name;
    struct bytes name_space; /* empty for what has none */
};

/* False when the object gives no name that can be read. */
bool object_names_read(struct bytes object, struct object_names *ret);

#endif
