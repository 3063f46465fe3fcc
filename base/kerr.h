/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: one closed enum and a cause record.
 *
 * Every fallible function returns `enum kerr`, must be checked, and takes a `struct kerrinfo *`
 * last. The record belongs to the caller, lives on its stack and needs no heap, so it works when
 * memory is out. It may be NULL. The first cause wins: kerr_set on a filled record changes nothing,
 * so a low room may be precise and a high room may call kerr_set unconditionally. A room that wants
 * to say where it happened puts words before it with kerr_prefix.
 *
 * On failure the `ret_` outputs of a function are untouched unless its header says otherwise.
 * Codes of other libraries (errno, OpenSSL, gRPC) are turned into these in the one room that owns
 * the foreign header. No message holds a secret. All functions may be called from any thread.
 */
#ifndef ETCDSEAL_BASE_KERR_H
#define ETCDSEAL_BASE_KERR_H

#include <stdbool.h>

#include "base/attr.h"

enum kerr {
#define KERR(name, sentence, exit_code, grpc, retry) KERR_##name,
#include "base/kerr.def"
#undef KERR
    KERR_COUNT
};

/* Longest message kept, in bytes with the terminator; longer ones are cut. */
#define KERRINFO_TEXT_MAX 512

struct kerrinfo {
    enum kerr code;
    int line;                     /* where kerr_set was called; 0 while empty */
    const char *file;             /* static string */
    char text[KERRINFO_TEXT_MAX]; /* one line, no newline, no secret */
};

/* Fills `e` if it is not NULL and still empty. Returns `code`, so that
 * `return kerr_set(e, KERR_LIMIT, "…")` is one line. Control characters become '?'. */
#define kerr_set(e, code, ...) kerr_set_at((e), (code), __FILE__, __LINE__, __VA_ARGS__)
enum kerr kerr_set_at(struct kerrinfo *e, enum kerr code, const char *file, int line,
                      const char *fmt, ...) PRINTF_LIKE(5, 6);

/* kerr_set with ": " and the text of the errno value `err` behind the message. ENOENT gives
 * NOTFOUND, EEXIST EXISTS, ENOMEM NOMEM, EACCES and EPERM DENIED, all others IO. */
#define kerr_errno(e, err, ...) kerr_errno_at((e), (err), __FILE__, __LINE__, __VA_ARGS__)
enum kerr kerr_errno_at(struct kerrinfo *e, int err, const char *file, int line, const char *fmt,
                        ...) PRINTF_LIKE(5, 6);

/* Puts words and ": " before the message of a filled record; nothing on an empty one or NULL. */
void kerr_prefix(struct kerrinfo *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Empties the record. */
void kerr_clear(struct kerrinfo *e);

/* Facts of a code, from kerr.def; any value outside the enum is treated as BUG. */
const char *kerr_name(enum kerr code);     /* "INTEGRITY" */
const char *kerr_sentence(enum kerr code); /* "authentication failed" */
int kerr_exit_code(enum kerr code);
int kerr_grpc_status(enum kerr code);
bool kerr_may_retry(enum kerr code);

#endif
