/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an etcd answers: "https://HOST:PORT", "http://HOST:PORT", "HOST:PORT" or "unix:PATH". Pure.
 *
 * Without a scheme it is TLS when the caller has a CA, as etcdctl does it. An IPv6 address stands
 * in brackets. Without a port it is 2379. Nothing may stand behind but one '/'.
 */
#ifndef ETCDSEAL_ETCD_ENDPOINT_H
#define ETCDSEAL_ETCD_ENDPOINT_H

#include "base/bytes.h"

#define ENDPOINT_HOST_BYTES 256 /* with terminator */
#define ENDPOINT_TEXT_BYTES 288
#define ENDPOINT_PORT       2379

struct endpoint {
    char text[ENDPOINT_TEXT_BYTES]; /* as it was given, for messages */
    const char *unix_path;          /* in `text`; NULL: host and port */
    char host[ENDPOINT_HOST_BYTES]; /* without brackets */
    uint16_t port;
    bool is_tls;
};

/* USAGE, with what was expected. */
enum kerr endpoint_read(struct bytes text, bool has_ca, struct endpoint *ret,
                        struct kerrinfo *e) MUST_CHECK;

#endif
