/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints of KMS plugins as kube-apiserver takes them apart: by Go's url.Parse, of whose result
 * it uses the scheme and the path and nothing else. Private to config.
 *
 * Sources: go.dev/pkg net/url; k8s.io/kms pkg/util/util.go (ParseEndpoint). Not read here: hosts in
 * square brackets, which no unix socket has.
 */
#ifndef ETCDSEAL_CONFIG_GO_URL_H
#define ETCDSEAL_CONFIG_GO_URL_H

#include <stdbool.h>

#define GO_URL_PATH_MAX 4097 /* with the terminator: longer endpoints are not read */

enum go_url_fault {
    GO_URL_OK,
    GO_URL_MALFORMED,  /* url.Parse gives an error */
    GO_URL_NOT_UNIX,   /* another scheme, or none */
    GO_URL_IN_BRACKETS /* a host in brackets: not read */
};

struct go_url {
    bool has_host; /* something stands before the path, which is dropped */
    bool has_tail; /* '?' or '#' and what is behind: dropped too */
    char path[GO_URL_PATH_MAX];
};

/* `endpoint` is at most GO_URL_PATH_MAX - 1 bytes, without control characters. `ret` is filled with
 * GO_URL_OK; the path is "" for "unix:name", and begins with '@' for an abstract socket. */
enum go_url_fault go_url_parse(const char *endpoint, struct go_url *ret);

#endif
