/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of seals share. A secret, a binding and an environment of the smallest cost stand
 * ready; specs and files are made in a temporary folder. */
#ifndef ETCDSEAL_TESTS_UNIT_SEAL_PARTS_H
#define ETCDSEAL_TESTS_UNIT_SEAL_PARTS_H

#include "seal/seal.h"
#include "tests/lib/testlib.h"

#define PARTS_BINDING_BYTES 32

struct parts {
    char *folder;
    struct secret *secret; /* SEAL_SECRET_BYTES random bytes */
    uint8_t binding[PARTS_BINDING_BYTES];
    struct seal_env env;
};

void parts_start(struct parts *p);
void parts_end(struct parts *p);

/* Parses a SPEC; each "%s" of `format` is the folder. Free with seal_spec_done. */
struct seal_spec parts_spec(const struct parts *p, const char *format);
/* Makes a file of `len` bytes 'k' with this mode. */
void parts_file(const struct parts *p, const char *name, size_t len, unsigned mode);
void parts_text_file(const struct parts *p, const char *name, const char *text);

/* Wraps the secret, and opens the record and compares. Both fail the test if that does not work. */
struct seal_record parts_wrap(const struct parts *p, const struct seal_spec *spec);
void parts_assert_opens(const struct parts *p, const struct seal_spec *spec,
                        const struct seal_record *record);
/* Code of an attempt to open, which must give no secret unless it succeeds. */
enum kerr parts_try(const struct parts *p, const struct seal_spec *spec,
                    const struct seal_record *record, struct kerrinfo *e);

#endif
