/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the provider vault share: one provider over the fake service, in a folder of
 * its own, and clocks that the test moves (programs link with --wrap for clock_mono_ms and
 * clock_wall_s).
 */
#ifndef ETCDSEAL_TESTS_UNIT_PROVIDER_VAULT_PARTS_H
#define ETCDSEAL_TESTS_UNIT_PROVIDER_VAULT_PARTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "provider/vault_link.h"
#include "provider/vault_wire.h"
#include "tests/unit/provider/fake_vault.h"
#include "tests/unit/provider/parts.h"

/* The clocks are so far ahead of the system's. */
extern uint64_t passed_ms;

extern struct kerrinfo e; /* of the last call */
extern char *folder;
extern char path[256]; /* of the state file */
extern struct config config;
extern struct provider *p;
extern const uint8_t seed[32];
extern const enum config_vault_mode modes[2];

int setup(void **state);
int teardown(void **state);

/* Opens, or opens again as a restart does; `start` looks too, and must succeed. */
void open_as(enum config_vault_mode mode);
void start(enum config_vault_mode mode);
/* A new node: nothing is known of what was used before. */
void forget(void);
enum kerr look(void);
enum kerr current(const char **health);
enum kerr wrap(bool may_wait);
enum kerr unwrap(const struct provider_wrapped *w, bool may_wait);
struct provider_info info(void);
/* What another node of the cluster has stored: its KEK is not known here. */
struct provider_wrapped from_another_node(enum config_vault_mode mode);

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#endif
