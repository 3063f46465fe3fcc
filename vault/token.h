/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a token: when it is made, renewed, replaced, and who waits meanwhile. Private to
 * vault.
 *
 * One login or renewal runs at a time; calls that need its result wait for it. After a failed login
 * there is a pause that grows from TOKEN_PAUSE_MIN_MS to TOKEN_PAUSE_MAX_MS when the server refuses
 * (each login costs it something), to TOKEN_PAUSE_AWAY_MS when it is away, so that its return is
 * noticed. Calls that need a token fail at once meanwhile, with the login's cause. A pause ends
 * early when a credential file changes.
 */
#ifndef ETCDSEAL_VAULT_TOKEN_H
#define ETCDSEAL_VAULT_TOKEN_H

#include "base/file.h"
#include "vault/vault.h"

#define TOKEN_PAUSE_MIN_MS  1000
#define TOKEN_PAUSE_MAX_MS  60000
#define TOKEN_PAUSE_AWAY_MS 5000

/* Files of config->auth, found: absolute paths, NULL where the kind has none. */
enum token_file {
    TOKEN_ROLE_ID,
    TOKEN_SECRET_ID,
    TOKEN_CERT,
    TOKEN_KEY,
    TOKEN_FILE, /* JWT or token */
    TOKEN_FILE_COUNT,
};
struct token_files {
    char *path[TOKEN_FILE_COUNT];
    bool is_credential[TOKEN_FILE_COUNT]; /* of systemd, which guards it */
};

/* A token in use by calls stays until the last has ended. */
struct token {
    struct secret *text;
    unsigned uses; /* under vault.lock */
};

struct token_pause {
    uint64_t until_ms; /* monotonic; 0: none */
    unsigned ms;       /* the last one's length */
    enum vault_cause cause;
    char text[KERRINFO_TEXT_MAX];
};

struct token_life {
    bool is_busy; /* somebody logs in or renews */
    struct token *token;
    struct file_stamp stamps[TOKEN_FILE_COUNT]; /* of the files at the last login */
    uint64_t first_ttl_ms;                      /* at login; 0: it does not end */
    uint64_t ends_ms;                           /* monotonic; 0: never */
    uint64_t due_ms;                            /* renew or log in then; 0: never */
    bool is_renewable;                          /* and renewing still helps */
    struct token_pause login_pause;
    struct token_pause refused_pause; /* a fresh login did not help against a 403 */
    enum vault_cause cause;
    char text[KERRINFO_TEXT_MAX];
    uint64_t logins;
    uint64_t renewals;
};

/* What a login gives: its token, and what the server says of it. */
struct token_grant {
    struct secret *token;
    uint64_t ttl_s;
    bool is_renewable;
};

/* A token to call with, *ret NULL when none is needed; token_put it. `refused`: the one that a 403
 * came for, which is replaced unless that has happened meanwhile. */
enum kerr token_get(struct vault *v, struct vault_try *t, const struct token *refused,
                    struct token **ret, struct kerrinfo *e) MUST_CHECK;
void token_put(struct vault *v, struct token *token);
/* Whether a login against a 403 has helped: after one that has not, none is made against the next
 * ones for a while. `text`: of the first 403. */
void token_judge(struct vault *v, const struct vault_try *t, const char *text);

enum kerr token_tend(struct vault *v, struct vault_try *t, uint64_t *ret_due_ms,
                     struct kerrinfo *e) MUST_CHECK;
/* Gives a token of our own making back; frees all. No call may run. */
void token_end(struct vault *v);

/* By kind of config->auth (login.c). */
enum kerr login_files(const struct config_auth *auth, struct token_files *ret,
                      struct kerrinfo *e) MUST_CHECK;
enum kerr login_do(struct vault *v, struct vault_try *t, struct token_grant *ret,
                   struct kerrinfo *e) MUST_CHECK;
/* The login's own file where it holds text: without the line's end, not empty. CREDENTIAL_FILE. */
enum kerr login_read(struct vault *v, struct vault_try *t, enum token_file which,
                     struct secret **ret, struct kerrinfo *e) MUST_CHECK;
/* The secret id behind the wrapping token in its file (wrapped.c). */
enum kerr wrapped_secret_id(struct vault *v, struct vault_try *t, struct secret **ret,
                            struct kerrinfo *e) MUST_CHECK;

#endif
