/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider for tests, in memory: key ids "fake-<generation>", ciphertext = the generation's byte
 * before each byte of the plaintext. What it does next is set from outside, from any thread.
 */
#ifndef ETCDSEAL_TESTS_UNIT_PLUGIN_FAKE_PROVIDER_H
#define ETCDSEAL_TESTS_UNIT_PLUGIN_FAKE_PROVIDER_H

#include <stdatomic.h>

#include "provider/provider.h"

struct fake_control {
    atomic_int refresh_code; /* enum kerr that the next refresh gives */
    atomic_int call_code;    /* what current, wrap and unwrap give while not OK */
    atomic_uint refresh_ms;  /* time that a refresh takes */
    atomic_uint call_ms;     /* time that a call takes */
    atomic_uint wanted;      /* generation that the next refresh finds */
    atomic_uint serving;     /* generation in force; 0 sealed */
    atomic_uint refreshes;
    atomic_bool is_sealed_final;
    atomic_bool must_wait; /* wrap and unwrap end with WAITS unless they may */
    atomic_bool is_ailing; /* Status says that something is wrong */
};

extern struct fake_control fake;

/* Everything in order: generation 1 is found by the first refresh. */
void fake_reset(void);
struct provider *fake_open(void);

#endif
