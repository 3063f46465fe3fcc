/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/gate.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum kerr gate_confirmed(const char *verb, const char *what, const char *name, const char *confirm,
                         struct kerrinfo *e)
{
    if (confirm == NULL) {
        return kerr_set(e, KERR_DENIED, "to %s %s %.100s, repeat its name: --confirm %.100s", verb,
                        what, name, name);
    }
    if (strcmp(confirm, name) != 0) {
        return kerr_set(e, KERR_DENIED,
                        "--confirm names another %s than the one to %s: nothing was changed", what,
                        verb);
    }
    return KERR_OK;
}

struct span {
    uint64_t seconds;
    const char *name;
};

void gate_span(uint64_t seconds, char to[static GATE_SPAN_BYTES])
{
    static const struct span spans[] = {
        {24 * 3600, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(spans) && seconds < spans[i].seconds) {
        i++;
    }
    unsigned long long n = seconds / spans[i].seconds;
    (void)snprintf(to, GATE_SPAN_BYTES, "%llu %s%s", n, spans[i].name, n == 1 ? "" : "s");
}

static enum kerr refuse_unknown(const struct gate_question *q, struct kerrinfo *e)
{
    return kerr_set(e, KERR_DENIED,
                    "cannot ask the daemon whether key %s is still used: %.160s; start it, name "
                    "its socket with --socket, or take the risk with --without-daemon",
                    q->key_id, q->why);
}

static enum kerr refuse_recent(const struct gate_question *q, const struct daemon_key *key,
                               struct kerrinfo *e)
{
    char at[CLOCK_TEXT_BYTES];
    char ago[GATE_SPAN_BYTES];
    clock_format_s(key->last_decrypt_s, at);
    gate_span(q->now_s > key->last_decrypt_s ? q->now_s - key->last_decrypt_s : 0, ago);
    return kerr_set(e, KERR_DENIED,
                    "key %s is still used: the daemon decrypted with it at %s, %s ago; rewrite "
                    "what it wraps and wait 7 days, or take the risk with --without-daemon",
                    q->key_id, at, ago);
}

enum kerr gate_unused(const struct gate_question *q, struct kerrinfo *e)
{
    struct daemon_key key = {.id = NULL};
    if (q->view == NULL) {
        return refuse_unknown(q, e);
    }
    if (strcmp(q->view->store_id, q->store_id) != 0) {
        return kerr_set(e, KERR_DENIED,
                        "the daemon at %.100s serves %s%.64s, not keystore %s, so it cannot tell "
                        "whether key %s is used: name the right --socket, or take the risk with "
                        "--without-daemon",
                        q->socket, *q->view->store_id == 0 ? "no keystore yet" : "keystore ",
                        q->view->store_id, q->store_id, q->key_id);
    }
    if (!daemon_key_find(q->view, q->key_id, &key)) {
        return kerr_set(e, KERR_DENIED,
                        "the daemon at %.100s does not know key %s: it is destroyed already, is "
                        "mistyped, or was made a moment ago ('etcdseal key list')",
                        q->socket, q->key_id);
    }
    if (strcmp(key.state, "primary") == 0) {
        return kerr_set(e, KERR_STATE,
                        "key %s is primary in the running daemon; it cannot %s: promote another "
                        "one first",
                        q->key_id, q->verb);
    }
    if (key.last_decrypt_s != 0 &&
        (key.last_decrypt_s >= q->now_s || q->now_s - key.last_decrypt_s < GATE_UNUSED_S)) {
        return refuse_recent(q, &key, e);
    }
    return KERR_OK;
}
