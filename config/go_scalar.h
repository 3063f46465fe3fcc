/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the scalars of a file mean to kube-apiserver, which reads YAML as go-yaml version 2 does
 * (YAML 1.1 with exceptions: `yes` is a boolean, `1_000` and `0o7` are numbers), and a file whose
 * first character is '{' as JSON. Private to config.
 *
 * Source: go.yaml.in/yaml/v2 resolve.go; go.dev/pkg strconv (ParseInt, ParseFloat).
 */
#ifndef ETCDSEAL_CONFIG_GO_SCALAR_H
#define ETCDSEAL_CONFIG_GO_SCALAR_H

#include "base/secret.h"
#include "config/yaml.h"

/* The type of a plain scalar (one without quotes), by its characters alone. */
enum yaml_type go_scalar_type(struct bytes plain);

/* Whether `text`, which begins with '{' or blanks before it, is JSON (RFC 8259) and nothing else.
 * *ret_at is the first byte that is not. At most YAML_DEPTH_MAX levels. */
bool go_is_json(struct bytes text, size_t *ret_at);

/* Bytes that a value decodes to by standard base64 with padding, as Go's base64.StdEncoding reads
 * it (line ends are passed over); false when it is not base64. `text` is what stands between the
 * quotes; with `is_json` it may hold escapes. Nothing is stored: for secrets. */
bool go_base64_len(struct bytes text, bool is_json, size_t *ret);
/* The bytes themselves, frozen: for a value that go_base64_len measured as `len` > 0. Bits behind
 * the last byte are dropped, as Go does. NOMEM, LIMIT. */
enum kerr go_base64_secret(struct bytes text, bool is_json, size_t len, struct secret **ret,
                           struct kerrinfo *e) MUST_CHECK;

#endif
