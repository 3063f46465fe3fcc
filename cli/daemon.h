/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the running daemon says about itself: /status on its status socket, read and checked. The
 * daemon is believed as far as its socket is: only its owner can put it there.
 *
 * Codes: DOWN for everything that comes between us and a good answer, NOMEM.
 */
#ifndef ETCDSEAL_CLI_DAEMON_H
#define ETCDSEAL_CLI_DAEMON_H

#include "json/json_read.h"

#define DAEMON_TIMEOUT_MS 3000
#define DAEMON_ANSWER_MAX ((size_t)768 * 1024) /* four times what the daemon writes at most */

/* Texts point into `doc`; "" stands for null. */
struct daemon_view {
    struct json_doc *doc;
    const char *version;
    uint64_t started_at_s;
    bool is_ready;
    bool needs_person;
    const char *store_id;
    uint64_t generation;
    uint64_t loaded_at_s;
    const char *current_key_id;
    const char *current_key_id_hash;
    const char *opened_by;
    const char *warning;        /* needs a person although keys are served */
    bool is_backup_told;        /* not while it is sealed */
    uint64_t backup_generation; /* 0: no backup is known */
    uint64_t backup_at_s;
    uint64_t keys_without_backup;
    const struct json_value *keys;
    const struct json_value *key_service; /* daemon_service_read; null when keys are kept here */
    bool is_reload_ok;
    uint64_t reload_at_s;
    const char *reload_message;
    const struct json_value *restart_needed;
};

struct daemon_key {
    const char *id;
    const char *state;
    uint64_t version;      /* of the key of a key service; 0: it has none */
    uint64_t created_at_s; /* 0: not known */
    uint64_t decrypts;
    uint64_t last_decrypt_s; /* 0: none since the daemon started */
};

/* How it stands with a key service; 0 and "" stand for null. */
struct daemon_service {
    const char *mode;
    const char *state;
    const char *cause;
    const char *address;
    uint64_t last_good_s;
    uint64_t key_version;
    uint64_t pending_version;
    uint64_t pending_at_s;
    uint64_t min_version;
    uint64_t token_ends_s;
    uint64_t keks_cached;
};

enum kerr daemon_ask(const char *socket, struct daemon_view *ret, struct kerrinfo *e) MUST_CHECK;
/* The same for an answer's bytes; `socket` is for messages. */
enum kerr daemon_parse(struct bytes answer, const char *socket, struct daemon_view *ret,
                       struct kerrinfo *e) MUST_CHECK;
void daemon_done(struct daemon_view *v); /* all zero is fine */
#define AUTO_DAEMON AUTO(daemon_done) struct daemon_view

/* False when there is none. */
bool daemon_service_read(const struct daemon_view *v, struct daemon_service *ret);
/* Key i of the list; false beyond its end. */
bool daemon_key_at(const struct daemon_view *v, size_t i, struct daemon_key *ret);
bool daemon_key_find(const struct daemon_view *v, const char *id, struct daemon_key *ret);

#endif
