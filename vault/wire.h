/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to whichever address serves, and what its failure means. Private to vault.
 *
 * Also the client itself, as its files share it.
 */
#ifndef ETCDSEAL_VAULT_WIRE_H
#define ETCDSEAL_VAULT_WIRE_H

#include <pthread.h>

#include "crypto/hash.h"
#include "http/http.h"
#include "vault/token.h"
#include "vault/vault.h"
#include "json/json.h"

#define WIRE_SERVER_TEXT_MAX 200 /* bytes of what a server said that are shown */
#define WIRE_ANY             SIZE_MAX

struct wire_address {
    char *base; /* "https://host:8200/v1/"; a unix socket: "http://localhost/v1/" */
    struct http_client *http;
};

/* A secret id that was unwrapped and could not be kept in its file yet. Only for who is busy. */
struct wrapped {
    struct secret *secret_id;
    char hash[2 * HASH_BYTES + 1]; /* of its wrapping token */
};

struct vault {
    const struct config_vault *config;
    struct wire_address addresses[CONFIG_VAULT_ADDRESSES_MAX];
    size_t address_count;
    char *mount;      /* of Transit, for URLs */
    char *key;        /* for URLs */
    char *login_path; /* for URLs; NULL without one */
    struct token_files files;
    uid_t owner; /* of files that open something, besides root and the effective user */
    struct wrapped wrapped;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct token_life life;
    size_t preferred; /* the address that answered last */
    bool has_answered;
    uint64_t calls;
    uint64_t failures;
};

struct wire_request {
    const char *path; /* behind "/v1/" */
    bool is_post;
    struct bytes body;
    const struct secret *token; /* NULL: none */
    size_t answer_max;
    bool is_secret;           /* the answer */
    bool is_once;             /* must not be sent a second time when its answer is lost */
    bool is_above_namespaces; /* belongs to the server, not to a namespace */
    enum vault_cause refused; /* what 400, 403 and 404 mean; VAULT_NONE: what the table says */
    size_t address;           /* only this one, or WIRE_ANY */
};

/* OK for 200 and 204. */
enum kerr wire_call(struct vault *v, struct vault_try *t, const struct wire_request *r,
                    struct http_answer *ret, struct kerrinfo *e) MUST_CHECK;

/* Sets the cause and the code that belongs to it. */
enum kerr wire_fail(struct vault_try *t, enum vault_cause cause, struct kerrinfo *e,
                    const char *fmt, ...) PRINTF_LIKE(4, 5);
/* For what failed here and has its code and text already: memory, or a defect. */
enum kerr wire_fail_here(struct vault_try *t, enum kerr k);
/* For a reader's failure: BAD_ANSWER, or memory. `why` is the reader's record. */
enum kerr wire_fail_answer(struct vault *v, struct vault_try *t, enum kerr k,
                           const struct kerrinfo *why, struct kerrinfo *e);

/* The body of a request that may hold secrets: reserved whole, wiped at the end. */
enum kerr wire_body(struct buf *b, size_t max, struct kerrinfo *e) MUST_CHECK;
void wire_body_done(struct buf *b);
#define AUTO_BODY AUTO(wire_body_done) struct buf

/* Appends `text` to a path with all but letters, digits and "-_~." as %XX; `with_slashes`: '/' too
 * stays. */
enum kerr wire_encode(const char *text, bool with_slashes, char **ret,
                      struct kerrinfo *e) MUST_CHECK;

#endif
