/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the unit tests, on top of cmocka. Includes what cmocka.h needs. */
#ifndef ETCDSEAL_TESTS_LIB_TESTLIB_H
#define ETCDSEAL_TESTS_LIB_TESTLIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/kerr.h"

/* Fails with the cause unless `call` (which fills `e`) gives KERR_OK. */
#define assert_ok(e, call)                                                                         \
    do {                                                                                           \
        kerr_clear(e);                                                                             \
        enum kerr k_ = (call);                                                                     \
        if (k_ != KERR_OK) {                                                                       \
            fail_msg("%s: %s: %s", #call, kerr_name(k_), (e)->text);                               \
        }                                                                                          \
    } while (0)

/* Fails unless `call` gives `code` and its message holds `words`. */
#define assert_refused(e, code, words, call)                                                       \
    do {                                                                                           \
        kerr_clear(e);                                                                             \
        enum kerr k_ = (call);                                                                     \
        test_check_refused(k_, (code), (e), (words), #call, __FILE__, __LINE__);                   \
    } while (0)

void test_check_refused(enum kerr got, enum kerr want, const struct kerrinfo *e, const char *words,
                        const char *call, const char *file, int line);

/* Skips the test where it lacks what it needs: root, a program. With ETCDSEAL_TEST_STRICT in the
 * environment, which tools/test sets, it fails instead. */
void test_needs(bool is_there, const char *what);
#define test_needs_root() test_needs(geteuid() == 0, "root")

/* A fresh folder (0700) below TMPDIR; test_folder_remove deletes it with all that is in it. */
char *test_folder_new(void);
void test_folder_remove(char *folder);                 /* frees the name too */
char *test_path(const char *folder, const char *name); /* free() it */
void test_write_file(const char *folder, const char *name, struct bytes data);
struct buf test_read_file(const char *folder, const char *name); /* buf_done() it */

#endif
