/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ready EncryptionConfigurations, stage by stage: how Secrets get from plaintext, from another
 * provider or back to plaintext without a moment in which an API server can't read what another one
 * wrote. config/samples holds what comes out with the defaults.
 *
 * Each kind of change has three stages, of which the first is for several API servers only: all
 * learn to read the new form, then write it, then forget the old one. Old keys are not filled in: a
 * placeholder stands where they belong, and kube-apiserver refuses the file until it is replaced.
 *
 * Pure. Codes: USAGE, CONFIG for values that would not make a good file, LIMIT, NOMEM.
 */
#ifndef ETCDSEAL_CONFIG_GENERATE_H
#define ETCDSEAL_CONFIG_GENERATE_H

#include "base/bytes.h"

#define GENERATE_BYTES_MAX 16384 /* of a file, for buf_init */
#define GENERATE_NAME      "etcdseal"

struct generate_kind {
    const char *name; /* "everything" */
    unsigned stages;
};
/* Row i, NULL beyond the end. */
const struct generate_kind *generate_kind_at(size_t i);

struct generate_values {
    unsigned stage; /* from 1 on */
    const char *socket_path;
    const char *provider_name;
    const char *const *resources; /* none: those of the kind */
    size_t resource_count;
};

/* Appends the file of a kind. */
enum kerr generate_encryption_config(const char *kind, const struct generate_values *values,
                                     struct buf *ret, struct kerrinfo *e) MUST_CHECK;

#endif
