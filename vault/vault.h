/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of Vault and OpenBao: logins, the life of a token, and the Transit engine.
 *
 * Any of several addresses serves; one that does not is passed over for the next within the call's
 * time. A client logs in when it must, renews its token before it ends, logs in again when renewing
 * no longer helps, and re-reads credential files when they change; one login at a time, with a
 * growing pause after failures. No redirect is followed. Answers are bounded and checked; what held
 * a secret is wiped, but for what libcurl and TLS keep while a call runs.
 *
 * API: https://openbao.org/api-docs/secret/transit/ and https://openbao.org/api-docs/auth/; answers
 * as OpenBao 2.7.2 and Vault 1.14.1 give them.
 *
 * Failures: the code of enum kerr is that of the cause (cause.def), and `t->cause` says which. The
 * text names the address and never holds what the server said beyond its first 200 characters,
 * escaped.
 *
 * Threads: any number may call at once, but for vault_open and vault_close. A client must be made
 * while the process has one thread, or after another one was (http/http.h).
 */
#ifndef ETCDSEAL_VAULT_VAULT_H
#define ETCDSEAL_VAULT_VAULT_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "config/config.h"

#define VAULT_PLAINTEXT_MAX  1024 /* bytes of one encrypt */
#define VAULT_CIPHERTEXT_MAX 2048 /* raw bytes of one decrypt; Transit adds 28 (nonce and tag) */
#define VAULT_AAD_MAX        4096
#define VAULT_VERSIONS_MAX   10000 /* of one key, as shown by the server */

enum vault_cause {
#define VAULT_CAUSE(name, word, class, code, sentence, cure) VAULT_##name,
#include "vault/cause.def"
#undef VAULT_CAUSE
    VAULT_CAUSE_COUNT
};

enum vault_class { VAULT_CLASS_UNREACHABLE, VAULT_CLASS_REFUSED, VAULT_CLASS_REQUEST };

/* Facts of a cause; all static. */
const char *vault_cause_word(enum vault_cause c);     /* "sealed" */
const char *vault_cause_sentence(enum vault_cause c); /* "it is sealed" */
const char *vault_cause_cure(enum vault_cause c);     /* "unseal the server" */
enum vault_class vault_cause_class(enum vault_cause c);
enum kerr vault_cause_code(enum vault_cause c);

/* One attempt: how long it may take, and why it failed. */
struct vault_try {
    uint64_t until_ms;      /* monotonic (base/clock.h); every function returns soon after it */
    enum vault_cause cause; /* out; VAULT_NONE on success */
};

struct vault;

/* Keeps a reference to the configuration, which must outlive the client. Connects to nobody.
 * CONFIG, NOMEM. */
enum kerr vault_open(const struct config_vault *config, struct vault **ret,
                     struct kerrinfo *e) MUST_CHECK;
/* Who, besides root and the effective user, may own the files that open something (secret id,
 * token): the user of the daemon, for whom the tool works. Before any call. */
void vault_trust_owner(struct vault *v, uid_t owner);
/* Gives the token that a login of ours made back to the server (at most a second, best effort),
 * wipes. NULL is fine. */
void vault_close(struct vault *v);
void vault_close_at(struct vault **v);
#define AUTO_VAULT AUTO(vault_close_at) struct vault *

/* Does what is due for the token: first login, renewal at two thirds of its life (less up to a
 * tenth, at random), a new login. *ret_due_ms: call again after so many milliseconds at the latest.
 * Calls below log in by themselves when they must; without vault_tend tokens are only replaced
 * when the server has refused them. While a token serves, a login or renewal that fails is no
 * failure here but in vault_info. */
enum kerr vault_tend(struct vault *v, struct vault_try *t, uint64_t *ret_due_ms,
                     struct kerrinfo *e) MUST_CHECK;

/* A Transit key as the server describes it. */
struct vault_version {
    uint32_t number;       /* 1 … */
    uint64_t created_at_s; /* Unix time, the server's clock */
};
struct vault_key {
    char type[32]; /* "aes256-gcm96" */
    bool is_derived;
    bool is_exportable;
    bool allows_plaintext_backup;
    bool is_deletion_allowed;
    uint32_t latest;
    uint32_t min_decryption;
    uint32_t min_encryption;        /* 0: the latest */
    struct vault_version *versions; /* ascending; those that the server still shows */
    size_t version_count;
};
void vault_key_done(struct vault_key *k); /* all zero is fine */
#define AUTO_VAULT_KEY AUTO(vault_key_done) struct vault_key
/* NULL when the server does not show it. */
const struct vault_version *vault_key_version(const struct vault_key *k, uint32_t number);

/* Reads the description of config->key. Refuses with a cause: no mount or key, soft-deleted, a type
 * that is no AEAD or a derived key, a description that contradicts itself (BAD_ANSWER). */
enum kerr vault_read_key(struct vault *v, struct vault_try *t, struct vault_key *ret,
                         struct kerrinfo *e) MUST_CHECK;
/* Encrypts under exactly this version with associated data. `ret` is a fresh buffer; it gets the
 * raw bytes behind "vault:vN:". An answer of another version is BAD_ANSWER. */
enum kerr vault_encrypt(struct vault *v, struct vault_try *t, uint32_t version, struct bytes aad,
                        struct bytes plaintext, struct buf *ret, struct kerrinfo *e) MUST_CHECK;
/* Decrypts raw bytes of exactly this version. CIPHERTEXT when they do not authenticate. */
enum kerr vault_decrypt(struct vault *v, struct vault_try *t, uint32_t version, struct bytes aad,
                        struct bytes ciphertext, struct secret **ret,
                        struct kerrinfo *e) MUST_CHECK;

/* What the token may do with paths: bits of enum vault_capability for each. For the doctor. */
enum vault_capability {
    VAULT_MAY_CREATE = 1 << 0,
    VAULT_MAY_READ = 1 << 1,
    VAULT_MAY_UPDATE = 1 << 2,
    VAULT_MAY_DELETE = 1 << 3,
    VAULT_MAY_LIST = 1 << 4,
    VAULT_MAY_SUDO = 1 << 5,
    VAULT_MAY_ALL = 1 << 6, /* "root" */
};
#define VAULT_PATHS_MAX 16
/* Paths without "/v1/": "transit/encrypt/kube". */
enum kerr vault_capabilities(struct vault *v, struct vault_try *t, const char *const *paths,
                             size_t count, unsigned *ret, struct kerrinfo *e) MUST_CHECK;

/* One server as sys/health describes it; asked without a token. */
struct vault_health {
    bool is_initialised;
    bool is_sealed;
    bool is_standby;
    char version[64];
    uint64_t server_time_s; /* Unix time */
};
/* Asks config->addresses[i]. */
enum kerr vault_health(struct vault *v, struct vault_try *t, size_t i, struct vault_health *ret,
                       struct kerrinfo *e) MUST_CHECK;

/* What a client tells of itself. Plain values, a copy. */
struct vault_info {
    char address[300]; /* that answered last; "" before the first answer */
    bool has_token;    /* or needs none */
    bool is_renewable;
    uint64_t token_ends_at_s;           /* wall time; 0: never, or unknown */
    enum vault_cause login_cause;       /* of the last login or renewal; NONE when it worked */
    char login_text[KERRINFO_TEXT_MAX]; /* of its failure; "" */
    uint64_t calls;                     /* requests sent, logins and renewals among them */
    uint64_t failures;                  /* of those that had no usable answer */
    uint64_t logins;
    uint64_t renewals;
};
void vault_info(struct vault *v, struct vault_info *ret);

#endif
