/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon tells about itself over HTTP: /status (JSON), /livez, /readyz and /healthz. No
 * secrets. The functions render a view that the daemon fills; pure.
 *
 * livez: the loops turn; a daemon that waits for a person is alive. readyz and healthz: the primary
 * key is in memory and has passed its self-test.
 */
#ifndef ETCDSEAL_PLUGIN_STATUS_H
#define ETCDSEAL_PLUGIN_STATUS_H

#include "config/config.h"
#include "plugin/metrics.h"

/* A loop that has not turned for so long hangs. */
#define STATUS_LOOP_MAX_MS 5000
/* Bytes of the JSON text: under 8 KiB and 384 bytes for each key. */
#define STATUS_TEXT_MAX ((size_t)192 * 1024)

/* How the last look at the keystore or the configuration ended. */
struct status_reload {
    uint64_t at_s; /* wall time; 0: none yet */
    bool is_ok;
    enum kerr code;
    char message[KERRINFO_TEXT_MAX]; /* "" when ok */
};

struct status_view {
    const struct config *config; /* the one in force */
    const struct config *first;  /* of the start: what only a restart changes */
    const char *version_wire;    /* "v2" */
    const char *socket_path;
    const char *status_path; /* NULL: there is none */
    bool is_activated;
    uint64_t started_at_s;
    struct provider_info provider;
    size_t connections_waiting;
    size_t connections_open;
    size_t calls_in_flight;
    struct status_reload last_reload;
    const char *restart_needed; /* comma-separated keys, "" for none */
    uint64_t unlocked_secrets;
    uint64_t rpc_turn_age_ms; /* since the rpc loop last turned */
    bool has_tried_unseal;    /* the first attempt has ended */
};

enum kerr status_json(const struct status_view *v, struct metrics *m, struct buf *ret,
                      struct kerrinfo *e) MUST_CHECK;

/* True: HTTP 200. `line` gets one line for a person, with its newline. */
bool status_livez(const struct status_view *v, struct buf *line);
bool status_readyz(const struct status_view *v, struct buf *line);

#endif
