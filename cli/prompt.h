/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a person for a passphrase, on the controlling terminal and nowhere else.
 *
 * The terminal shows nothing while one types, and shows again whatever happens: signals that would
 * end the program wait until the terminal is as it was. A new passphrase is asked for twice; an
 * empty answer has one made, which is shown once.
 */
#ifndef ETCDSEAL_CLI_PROMPT_H
#define ETCDSEAL_CLI_PROMPT_H

#include "seal/seal.h"

/* A made passphrase: groups of base32 with 5 bits a character, so 125 bits. */
#define PROMPT_GROUPS     5
#define PROMPT_GROUP_SIZE 5
#define PROMPT_MADE_BYTES (PROMPT_GROUPS * (PROMPT_GROUP_SIZE + 1) - 1)

struct prompt {
    bool is_quiet;
};

/* seal_ask_fn and seal_busy_fn; ctx is a struct prompt. SEALED or, for a new passphrase, USAGE when
 * there is no terminal. */
enum kerr prompt_ask(void *ctx, const char *prompt, bool is_new, struct secret **ret,
                     struct kerrinfo *e) MUST_CHECK;
void prompt_busy(void *ctx, const char *slot);

/* A new random passphrase of PROMPT_MADE_BYTES: "abcde-f2345-…". */
enum kerr prompt_make(struct secret **ret, struct kerrinfo *e) MUST_CHECK;

#endif
