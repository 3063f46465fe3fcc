/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of many sizes that live as long as one run. When memory is out a text is "", and
 * `has_failed` says so at the end. Private to doctor. Not for secrets.
 */
#ifndef ETCDSEAL_DOCTOR_TEXTS_H
#define ETCDSEAL_DOCTOR_TEXTS_H

#include <stdarg.h>

#include "base/bytes.h"

struct texts_item;

struct texts {
    struct texts_item *items;
    bool has_failed;
};

void texts_done(struct texts *t);
/* Never NULL. */
const char *texts_keep(struct texts *t, struct bytes text);
const char *texts_printf(struct texts *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *texts_vprintf(struct texts *t, const char *fmt, va_list args) PRINTF_LIKE(2, 0);

#endif
