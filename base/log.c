/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/text.h"

/* Longest value shown, escaped; longer ones end in dots. */
#define VALUE_MAX 640
/* A key, its quotes and signs. */
#define KEY_MAX 64
/* Room kept for the end of a line. */
#define TAIL_MAX 16

/* How a line ends, by its form and by whether values had to be left out. */
static const char *const tails[2][2] = {{"\n", " cut=1\n"}, {"}\n", ",\"cut\":1}\n"}};

struct level_row {
    const char *name;
    const char *priority; /* of syslog, as the journal reads it */
};

static const struct level_row levels[] = {
    [LOG_LEVEL_ERROR] = {"error", "<3>"},
    [LOG_LEVEL_WARN] = {"warn", "<4>"},
    [LOG_LEVEL_INFO] = {"info", "<6>"},
    [LOG_LEVEL_DEBUG] = {"debug", "<7>"},
};

static atomic_int log_threshold = LOG_LEVEL_INFO;
static atomic_int log_form = LOG_FORMAT_TEXT;
static atomic_bool is_journal;

/* What standard error is: how to write to it without waiting. */
enum sink { SINK_OTHER, SINK_SOCKET, SINK_FILE };
static atomic_int sink = SINK_OTHER;

/* One line at a time, so that the room that was found is still there when it is written. */
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;
static uint64_t lost; /* lines that nobody took; guarded by `output` */

static enum sink find_sink(void)
{
    struct stat st;
    if (fstat(STDERR_FILENO, &st) != 0) {
        return SINK_OTHER;
    }
    return S_ISSOCK(st.st_mode) ? SINK_SOCKET : S_ISREG(st.st_mode) ? SINK_FILE : SINK_OTHER;
}

void log_start(enum log_level threshold, enum log_format format)
{
    atomic_store(&sink, (int)find_sink());
    atomic_store(&log_threshold, (int)threshold);
    atomic_store(&log_form, (int)format);
    atomic_store(&is_journal, getenv("JOURNAL_STREAM") != NULL);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load(&log_threshold);
}

struct log_kv log_text(const char *key, const char *value)
{
    return (struct log_kv){.key = value == NULL ? "" : key, .text = value};
}

struct log_kv log_u64(const char *key, uint64_t value)
{
    return (struct log_kv){.key = key, .number = value};
}

/* JSON wants \u00NN where the text form has \xNN. */
static void json_escape(const char *text, char *to, size_t size)
{
    size_t at = 0;
    const unsigned char *p = (const unsigned char *)text;
    /* Room for one more character, the dots and the terminator. */
    for (; *p != 0 && at + 10 <= size; p++) {
        bool is_plain = *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\';
        if (is_plain) {
            to[at++] = (char)*p;
        } else {
            at += (size_t)snprintf(to + at, size - at, "\\u%04x", *p);
        }
    }
    (void)snprintf(to + at, size - at, "%s", *p == 0 ? "" : "...");
}

static void put_number(struct writer *w, uint64_t number)
{
    uint8_t digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    write_raw(w, bytes_of(digits + at, sizeof digits - at));
}

static void put_text(struct writer *w, const char *text, bool is_json)
{
    char shown[VALUE_MAX];
    if (is_json) {
        json_escape(text, shown, sizeof shown);
    } else {
        text_escape(bytes_of_text(text), shown, sizeof shown);
    }
    bool is_word = !is_json && *shown != 0 && strpbrk(shown, " =\\") == NULL;
    struct bytes quote = bytes_of_text(is_word ? "" : "\"");
    write_raw(w, quote);
    write_raw(w, bytes_of_text(shown));
    write_raw(w, quote);
}

/* One for each value of each request: printf would cost more than all else that a call does here.
 * All of it or nothing is put: a line is cut between values. */
static enum kerr put_value(struct buf *line, const struct log_kv *kv, bool is_json)
{
    uint8_t room[KEY_MAX + VALUE_MAX];
    struct writer w = writer_on(room, sizeof room);
    if (*kv->key == 0) {
        return KERR_OK;
    }
    write_raw(&w, bytes_of_text(is_json ? ",\"" : " "));
    write_raw(&w, bytes_of_text(kv->key));
    write_raw(&w, bytes_of_text(is_json ? "\":" : "="));
    if (kv->text == NULL) {
        put_number(&w, kv->number);
    } else {
        put_text(&w, kv->text, is_json);
    }
    return w.failed ? KERR_LIMIT : buf_put(line, writer_view(&w), NULL);
}

/* The time of a thread's last line: thousands of calls have the same. */
static const char *now_text(void)
{
    static _Thread_local uint64_t shown_s = UINT64_MAX;
    static _Thread_local char shown[CLOCK_TEXT_BYTES];
    uint64_t now_s = clock_wall_s();
    if (now_s != shown_s) {
        clock_format_s(now_s, shown);
        shown_s = now_s;
    }
    return shown;
}

/* The words before the values. */
static enum kerr put_head(struct buf *line, enum log_level level, const char *event, bool is_json)
{
    const char *name = levels[level].name;
    const char *const json[] = {
        "{\"ts\":\"", now_text(), "\",\"level\":\"", name, "\",\"event\":\"", event, "\"", NULL};
    const char *const journal[] = {levels[level].priority, event, NULL};
    const char *const text[] = {now_text(), " ", name, " ", event, NULL};
    const char *const *part = is_json ? json : atomic_load(&is_journal) ? journal : text;
    enum kerr k = KERR_OK;
    for (; *part != NULL && k == KERR_OK; part++) {
        k = buf_put_text(line, *part, NULL);
    }
    return k;
}

/* False: there is no line of it. */
static bool make_line(enum log_level level, const char *event, const struct log_kv *values,
                      struct buf *ret)
{
    bool is_json = atomic_load(&log_form) == LOG_FORMAT_JSON;
    buf_init(ret, LOG_LINE_MAX - TAIL_MAX);
    if (put_head(ret, level, event, is_json) != KERR_OK) {
        return false;
    }
    bool is_cut = false;
    for (const struct log_kv *kv = values; kv->key != NULL && !is_cut; kv++) {
        is_cut = put_value(ret, kv, is_json) != KERR_OK;
    }
    ret->max = LOG_LINE_MAX;
    return buf_put_text(ret, tails[is_json][is_cut], NULL) == KERR_OK;
}

/* A reader that stalls, a full or a closed standard error must not stop the service. Where poll
 * says that there is room it is for at least a page of a pipe: more than a line. (O_NONBLOCK would
 * do it for everybody who shares the descriptor.) */
static bool has_room(void)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static bool put_line(struct bytes line)
{
    ssize_t len = (ssize_t)line.len;
    switch ((enum sink)atomic_load(&sink)) {
    case SINK_SOCKET:
        return send(STDERR_FILENO, line.ptr, line.len, MSG_DONTWAIT | MSG_NOSIGNAL) == len;
    case SINK_FILE:
        return write(STDERR_FILENO, line.ptr, line.len) == len;
    case SINK_OTHER:
        break;
    }
    return has_room() && write(STDERR_FILENO, line.ptr, line.len) == len;
}

void log_event_at(enum log_level level, const char *event, const struct log_kv *values)
{
    AUTO_BUF line = {0};
    AUTO_BUF note = {0};
    if (!log_enabled(level) || !make_line(level, event, values, &line)) {
        return;
    }
    (void)pthread_mutex_lock(&output);
    struct log_kv count[] = {log_u64("lines", lost), {NULL, NULL, 0}};
    if (lost > 0 && make_line(LOG_LEVEL_WARN, "log-lost", count, &note) &&
        put_line(buf_view(&note))) {
        lost = 0;
    }
    lost += lost > 0 || !put_line(buf_view(&line));
    (void)pthread_mutex_unlock(&output);
}
