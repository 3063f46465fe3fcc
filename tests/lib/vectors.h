/* SPDX-License-Identifier: Apache-2.0 */
/* Test vectors: JSON files of tests/data. Each function fails the test where the file is not as
 * expected, so that a vector cannot go missing unseen. */
#ifndef ETCDSEAL_TESTS_LIB_VECTORS_H
#define ETCDSEAL_TESTS_LIB_VECTORS_H

#include "tests/lib/testlib.h"
#include "json/json_read.h"

/* A file by its name below tests/data; free with json_doc_free (AUTO_JSON). */
struct json_doc *vectors_read(const char *name);

/* Members of an object. The text is borrowed; the bytes are a buffer to be freed with buf_done. */
const struct json_value *vectors_member(const struct json_value *row, const char *name);
const char *vectors_text(const struct json_value *row, const char *name);
uint64_t vectors_u64(const struct json_value *row, const char *name);
struct buf vectors_hex(const struct json_value *row, const char *name);

#endif
