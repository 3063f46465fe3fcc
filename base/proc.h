/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs another program and collects what it prints. Nothing secret goes into its arguments or
 * environment: it gets PATH and nothing else, input by a pipe, and its output comes back in locked
 * memory. Not for a process that has gRPC running.
 */
#ifndef ETCDSEAL_BASE_PROC_H
#define ETCDSEAL_BASE_PROC_H

#include "base/bytes.h"
#include "base/secret.h"

/* Output over this is LIMIT. */
#define PROC_OUTPUT_MAX 65536

/* argv[0] is an absolute path, so that the caller's PATH decides nothing; argv ends with NULL.
 * `input` (at most 64 KiB, the size of a pipe) is written to its standard input. *ret is NULL when
 * it printed nothing. NOTFOUND when there is no such program, IO with its exit status when it
 * fails; its standard error is ours. */
enum kerr proc_run(const char *const *argv, struct bytes input, struct secret **ret,
                   struct kerrinfo *e) MUST_CHECK;

#endif
