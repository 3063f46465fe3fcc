/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a program: one line per event, `level event key=value …`, or one JSON object.
 *
 * Only `plugin` calls log_event; other rooms return causes. Values are typed, so nothing is printed
 * free-hand; strings are escaped. Never pass a secret. Events are fixed words ("key-change"), the
 * list stands in docs/log-events.md. The text form begins with a time unless standard error is the
 * journal (JOURNAL_STREAM is set), which stamps lines itself; there it begins with the syslog
 * priority "<N>". A line is one write of at most LOG_LINE_MAX bytes; from the first value that does
 * not fit on, values are left out and cut=1 stands at its end. A line for which standard error has
 * no room at the moment is dropped rather than waited for; when there is room again a line
 * "log-lost" says how many were. Thread-safe after log_start.
 */
#ifndef ETCDSEAL_BASE_LOG_H
#define ETCDSEAL_BASE_LOG_H

#include <stdint.h>

#include "base/kerr.h"

#define LOG_LINE_MAX 2048

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* At start and again at a reload. Looks at what standard error is. */
void log_start(enum log_level threshold, enum log_format format);
bool log_enabled(enum log_level level);

/* Type of one value; made by the functions below and consumed at once. */
struct log_kv {
    const char *key;
    const char *text; /* NULL: the number */
    uint64_t number;
};

struct log_kv log_text(const char *key, const char *value); /* NULL value: left out */
struct log_kv log_u64(const char *key, uint64_t value);

/* log_event(LOG_LEVEL_INFO, "started", log_text("socket", path), log_u64("peers", n)); */
#define log_event(level, event, ...)                                                               \
    log_event_at((level), (event), (struct log_kv[]){__VA_ARGS__ __VA_OPT__(, ){NULL, NULL, 0}})
void log_event_at(enum log_level level, const char *event, const struct log_kv *values);

/* A failure: code and message of the cause behind the event. */
#define log_cause(level, event, e, ...)                                                            \
    log_event((level), (event), log_text("code", kerr_name((e)->code)),                            \
              log_text("cause", (e)->text) __VA_OPT__(, ) __VA_ARGS__)

#endif
