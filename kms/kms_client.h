/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A KMS v2 plugin, ours or anybody's, asked over its unix socket as kube-apiserver asks it: the
 * same paths, the same limits, three seconds for a call.
 *
 * Whether a plugin refuses a seed or can't be asked are different things, and plugins tell them
 * apart badly: those written in Go give one status code for everything. So an ambiguous refusal
 * counts as one only when it came three times and the plugin's own Status says "ok" right after it.
 *
 * A client belongs to one thread, and comes before other threads (rpc/rpc_client.h).
 *
 * Codes: DENIED, the plugin refuses this seed; BUSY, it is well and does not answer for this one;
 * DOWN, it could not be asked, or gave an answer that is none; LIMIT, the seed does not fit into a
 * request; NOMEM. Texts of the plugin are escaped and cut.
 */
#ifndef ETCDSEAL_KMS_KMS_CLIENT_H
#define ETCDSEAL_KMS_KMS_CLIENT_H

#include "kms/kms.h"

#define KMS_CLIENT_CALL_MS 3000 /* kube-apiserver's default timeout for a call */

struct kms_client;

enum kerr kms_client_new(const char *socket_path, struct kms_client **ret,
                         struct kerrinfo *e) MUST_CHECK;
void kms_client_free(struct kms_client *c); /* NULL is fine */

/* Clean `ret` with kms_status_done. DOWN too when healthz is not "ok". */
enum kerr kms_client_status(struct kms_client *c, struct kms_status *ret,
                            struct kerrinfo *e) MUST_CHECK;
enum kerr kms_client_decrypt(struct kms_client *c, const struct kms_sealed_seed *seed,
                             struct secret **ret, struct kerrinfo *e) MUST_CHECK;

#endif
