/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiler attributes under the names that this project uses.
 *
 * AUTO(fn) runs fn(&variable) when the variable goes out of scope, on every path. An owned local is
 * declared with it, functions return early, and ownership leaves through a `_take` function.
 */
#ifndef ETCDSEAL_BASE_ATTR_H
#define ETCDSEAL_BASE_ATTR_H

#define MUST_CHECK              __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define NORETURN                __attribute__((noreturn))
#define AUTO(fn)                __attribute__((cleanup(fn)))
#define ARRAY_LEN(a)            (sizeof(a) / sizeof((a)[0]))

#endif
