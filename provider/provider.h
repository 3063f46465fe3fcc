/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider wraps and unwraps DEK seeds: the daemon's only view of keys.
 *
 * The handle is opaque. provider_open only reads the configuration; keys come with the first
 * provider_refresh. Until one has succeeded, current, wrap and unwrap answer UNSEALING (still being
 * tried) or SEALED (a person must act), at once. A refresh that fails leaves the state from before
 * it in place, serving.
 *
 * One linear order: current and wrap read one immutable snapshot; once any call has answered with a
 * new key id, no call that begins later answers with an older one.
 *
 * Other providers of `also_unwrap` stand behind the first one and only unwrap: whose key an id is
 * shows its beginning ("es1-" local, "esv1-" vault). They are refreshed with it and told of in its
 * info; their failures are warnings.
 *
 * Threads: refresh is called by one thread at a time; current, wrap, unwrap and info by any, at any
 * time between open and close. provider.c alone calls through the operation table
 * (provider_ops.h), enforces the limits below on inputs and outputs, and wipes outputs of failing
 * calls.
 */
#ifndef ETCDSEAL_PROVIDER_PROVIDER_H
#define ETCDSEAL_PROVIDER_PROVIDER_H

#include "base/bytes.h"
#include "base/secret.h"
#include "config/config.h"

/* kube-apiserver refuses longer ones: kmsv2/envelope.go of k8s.io/apiserver, keyIDMaxSize,
 * encryptedDEKSourceMaxSize, annotationsMaxSize. */
#define PROVIDER_KEY_ID_MAX            1024
#define PROVIDER_CIPHERTEXT_MAX        1024
#define PROVIDER_ANNOTATIONS_MAX_BYTES 32768
/* kube-apiserver sends 32 bytes; other clients of the API may send a data key of their own. */
#define PROVIDER_PLAINTEXT_MAX 256
/* Annotations that one wrap may make or one unwrap may carry. */
#define PROVIDER_ANNOTATIONS_MAX 8

struct provider;

/* How long one call may take, and whether it may wait for another system at all. A call that must
 * and may not ends with WAITS, soon and without having changed anything: it can be made again by a
 * thread that may. */
struct provider_turn {
    bool may_wait;
    uint64_t until_ms; /* monotonic (base/clock.h); only looked at when it may wait */
};

/* A name (fully qualified domain name) and a value; views. */
struct provider_annotation {
    struct bytes name;
    struct bytes value;
};

struct provider_annotations {
    struct provider_annotation rows[PROVIDER_ANNOTATIONS_MAX];
    size_t count;
};

/* What a wrap gives back; plain memory, nothing secret in it. */
struct provider_wrapped {
    char key_id[PROVIDER_KEY_ID_MAX + 1];
    uint8_t ciphertext[PROVIDER_CIPHERTEXT_MAX];
    size_t ciphertext_len;
    uint8_t annotation_bytes[4096]; /* what the views below point into */
    struct provider_annotations annotations;
};

/* One key as people may see it. */
struct provider_key {
    char id[64];
    const char *state;      /* "primary", "retired", …: static */
    uint32_t version;       /* of the key of a key service; 0: it has none */
    uint64_t created_at_s;  /* wall time; 0 while unknown */
    uint64_t promoted_at_s; /* when it became primary; 0: never, or unknown */
};

/* The last backup of the keys that this node knows of. Shown only: nothing vouches for it. */
struct provider_backup {
    uint64_t generation; /* of the copy; 0: no backup is known */
    uint64_t at_s;       /* wall time */
    char sha256[65];     /* of the copy, hex */
    size_t keys_missing; /* keys of the snapshot that are not in it; all of them with no backup */
};

/* Keys in a description: as many as a keystore may hold live (KS_LIVE_KEYS_MAX). */
#define PROVIDER_INFO_KEYS 256

/* What stands behind a provider that keeps its keys elsewhere. */
struct provider_remote {
    bool is_there;            /* false: all else is nothing */
    const char *mode;         /* "hierarchy", "direct": static, as all words here */
    const char *state;        /* "starting", "serving", "grace", "stopped" */
    const char *cause;        /* word of vault/cause.def of the last failure; "none" */
    const char *meaning;      /* its sentence */
    const char *cure;         /* what a person does about it; "" */
    char address[300];        /* that answered last; "" before */
    uint64_t last_answer_s;   /* wall time of the last look that found all in order; 0 never */
    uint64_t grace_ends_s;    /* wall time at which cached keys end; 0 while no grace runs */
    uint32_t version;         /* of the key, that wraps; 0 none */
    uint32_t pending_version; /* that is known and not yet used; 0 none */
    uint64_t pending_at_s;    /* wall time at which it may be used */
    uint32_t min_version;     /* min_decryption_version; 0 unknown */
    uint64_t token_ends_at_s; /* wall time; 0 never, or unknown */
    const char *login_cause;  /* word of the last login's failure; "none" */
    uint64_t calls;           /* requests sent since the start */
    uint64_t failures;        /* of those that had no usable answer */
    uint64_t logins;
    uint64_t renewals;
    uint64_t keks_cached;   /* unwrapped KEKs in memory */
    uint64_t kek_made_at_s; /* of the KEK that wraps; 0 none */
    uint64_t kek_uses;
    uint64_t unknown_refused; /* annotations refused without asking, by shape, memory or budget */
};

/* What status, metrics and readiness tell. Plain values, a copy. */
struct provider_info {
    const char *name;     /* "local": static */
    bool is_serving;      /* a snapshot that passed its self-test is in place */
    bool is_sealed_final; /* not serving, and only a person can change that */
    char store_id[80];    /* of a key service: the cluster id; "" while unknown */
    uint64_t generation;  /* of the snapshot; 0 while none */
    uint64_t loaded_at_s; /* wall time of the snapshot */
    char current_key_id[64];
    struct provider_key keys[PROVIDER_INFO_KEYS]; /* all but destroyed ones */
    size_t key_count;
    /* Of the current key; wall time, 0 while unknown. */
    uint64_t primary_created_at_s;
    uint64_t primary_promoted_at_s;
    bool keeps_backup; /* what follows means something: a keystore wraps */
    struct provider_backup backup;
    size_t slots_opened;             /* slots whose secret is in memory */
    char opened_by[64];              /* slot name and kind that unsealed: "boot (credential)" */
    char warning[KERRINFO_TEXT_MAX]; /* needs a person although keys are served; "": nothing */
    struct provider_remote remote;
};

/* Reads the provider's part of the configuration; touches no key. CONFIG, NOMEM. The configuration
 * must outlive the provider. */
enum kerr provider_open(const struct config *config, struct provider **ret,
                        struct kerrinfo *e) MUST_CHECK;
/* Unseals or looks for changes; blocks (a passphrase seal takes a second and much memory).
 * *ret_changed: the snapshot was replaced by a newer one. On failure the old snapshot stays. */
enum kerr provider_refresh(struct provider *p, bool *ret_changed, struct kerrinfo *e) MUST_CHECK;
/* Folder to watch for changes, and the file's name in it; false when there is nothing to watch. */
bool provider_watch(const struct provider *p, const char **ret_folder, const char **ret_name);
/* When the provider wants to be refreshed again, in milliseconds from now; false: it does not mind.
 * To be asked after each refresh. */
bool provider_due(struct provider *p, uint64_t *ret_ms);
/* Whether wrap or unwrap may ever end with WAITS. */
bool provider_may_wait(const struct provider *p);
void provider_info(struct provider *p, struct provider_info *ret);
void provider_close(struct provider *p); /* wipes; NULL is fine */

/* The key id to report now. `to` holds PROVIDER_KEY_ID_MAX + 1 bytes. *ret_health: "ok", or a
 * static sentence when the key id is good and calls may fail all the same. Never waits. A failure
 * makes kube-apiserver stop writing after three minutes: UNSEALING, SEALED; of a key service: DOWN
 * (cannot be reached, and cached keys have ended), DENIED (refuses). */
enum kerr provider_current(struct provider *p, char *to, const char **ret_health,
                           struct kerrinfo *e) MUST_CHECK;
/* Wraps 1 … PROVIDER_PLAINTEXT_MAX bytes under the current key. INPUT when empty, LIMIT, UNSEALING,
 * SEALED, DOWN, DENIED, TIMEOUT, WAITS. */
enum kerr provider_wrap(struct provider *p, const struct provider_turn *turn,
                        struct bytes plaintext, struct provider_wrapped *ret,
                        struct kerrinfo *e) MUST_CHECK;
/* Unwraps under the key that `key_id` names and no other. KEYID for an unknown one, STATE for a
 * disabled or destroyed one, INTEGRITY (one message whatever the reason) for anything that does not
 * authenticate, LIMIT, INPUT, UNSEALING, SEALED, DOWN, DENIED, TIMEOUT, WAITS. *ret_state: the
 * key's state, static, NULL unless the key was found. */
enum kerr provider_unwrap(struct provider *p, const struct provider_turn *turn, struct bytes key_id,
                          struct bytes ciphertext, const struct provider_annotations *annotations,
                          struct secret **ret, const char **ret_state,
                          struct kerrinfo *e) MUST_CHECK;

#endif
