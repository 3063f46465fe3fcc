/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of providers share. Functions fail the test unless they say otherwise. */
#ifndef ETCDSEAL_TESTS_UNIT_PROVIDER_PARTS_H
#define ETCDSEAL_TESTS_UNIT_PROVIDER_PARTS_H

#include "provider/provider.h"
#include "tests/lib/ks_fixture.h"

extern const struct provider_annotations parts_none; /* no annotations */
extern const struct provider_turn parts_turn;        /* may wait, for ever */

/* A configuration of the provider vault over the fake service, with its state in this file. */
struct config parts_vault_config(enum config_vault_mode mode, char *state_path);
/* A configuration of the local provider, for a keystore that is opened as PATH.unseal says. */
struct config parts_config(char *keystore_path);

/* Refreshes; returns whether the snapshot changed. */
bool parts_refresh(struct provider *p);
/* The key id that is reported now; valid until the next call. */
const char *parts_current(struct provider *p);
struct provider_wrapped parts_wrap(struct provider *p, struct bytes plaintext);
/* The annotations of what was wrapped; they point into `w`, which may be a copy. */
struct provider_annotations parts_annotations(const struct provider_wrapped *w);
/* Code of an attempt to unwrap; the cause in `e`. When it succeeds the plaintext must be `want`. */
enum kerr parts_unwrap(struct provider *p, const char *key_id, struct bytes ciphertext,
                       struct bytes want, const char **ret_state, struct kerrinfo *e);
/* The same with annotations. */
enum kerr parts_unwrap_with(struct provider *p, const struct provider_annotations *annotations,
                            const char *key_id, struct bytes ciphertext, struct bytes want,
                            const char **ret_state, struct kerrinfo *e);
/* Unwraps what was wrapped; returns the state of its key. */
const char *parts_check(struct provider *p, const struct provider_wrapped *w, struct bytes want);

#endif
