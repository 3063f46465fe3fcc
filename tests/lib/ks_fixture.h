/* SPDX-License-Identifier: Apache-2.0 */
/* A keystore in a temporary folder, opened by a key file that lies beside that folder. */
#ifndef ETCDSEAL_TESTS_LIB_KS_FIXTURE_H
#define ETCDSEAL_TESTS_LIB_KS_FIXTURE_H

#include "keystore/ks.h"
#include "tests/lib/testlib.h"

struct ks_fixture {
    char *top;    /* temporary folder */
    char *folder; /* top/store, 0700 */
    char *path;   /* top/store/keystore */
    struct seal_spec specs[2];
    struct ks_new_slot slots[2];
    struct ks_place place;
    uint8_t first_key[KS_ID_BYTES];
};

/* A folder without a keystore; slot "boot" is top/boot.key, slot "spare" top/spare.key. */
void ks_fixture_start(struct ks_fixture *f);
/* With a keystore of `slot_count` slots. */
void ks_fixture_init(struct ks_fixture *f, size_t slot_count);
void ks_fixture_end(struct ks_fixture *f);

/* A slot "third" (top/third.key) to add later; seal_spec_done the SPEC. */
struct ks_new_slot ks_fixture_third(const struct ks_fixture *f, struct seal_spec *spec);

/* Opens, and fails the test if that does not work. Close it with ks_close. */
struct ks *ks_fixture_open(struct ks_fixture *f);
uint64_t ks_fixture_generation(struct ks_fixture *f);

#endif
