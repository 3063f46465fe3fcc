/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of provider `vault` share. vault.c: life, current, wrap, info. vault_look.c: what
 * a refresh does. vault_unwrap.c: what is stored. vault_modes.c: what the two modes do differently.
 */
#ifndef ETCDSEAL_PROVIDER_VAULT_PRIVATE_H
#define ETCDSEAL_PROVIDER_VAULT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/bucket.h"
#include "provider/provider.h"
#include "provider/vault_choice.h"
#include "provider/vault_keks.h"
#include "provider/vault_link.h"
#include "provider/vault_state.h"
#include "vault/vault.h"

/* The description is read anew for a version that is not known: so often a second. */
#define LEARN_RATE  1
#define LEARN_BURST 3

/* What wraps now. Copied out under the lock, with a reference to the KEK. */
struct vaulted_current {
    struct vault_wire_version version; /* number 0: nothing */
    char key_id[VAULT_WIRE_ID_BYTES];
    struct vault_kek *kek; /* NULL in mode direct */
};

struct vaulted_mode;

#define VAULTED_FALLEN_MAX 64 /* the newest */

struct vaulted {
    const struct config_vault *config;
    const struct vaulted_mode *mode;
    struct vault *client;
    struct vault_keks *keks;
    atomic_ullong uses; /* Encrypt calls under the current KEK since it was loaded */
    bool has_lock;
    pthread_mutex_t learning; /* held by the call that reads the description anew; taken first */
    pthread_mutex_t lock;     /* guards what follows, up to the state */
    struct vault_link link;
    bool is_local_fault; /* the last look failed on this node's side */
    struct vaulted_current current;
    struct vault_key key; /* the last description */
    /* Versions that were described once and fell below min_decryption_version since, which servers
     * no longer show: for people, who look for what needs them. Ascending. */
    struct vault_version fallen[VAULTED_FALLEN_MAX];
    size_t fallen_count;
    struct vault_choice choice;
    uint32_t held_back; /* a version that the service does not let us use; 0 none */
    enum vault_cause held_back_cause;
    struct bucket learn;
    uint64_t loaded_at_s;
    uint64_t kek_made_at_s;
    uint64_t token_due_ms; /* monotonic */
    char warning[KERRINFO_TEXT_MAX];
    /* Only the refreshing thread uses what follows. */
    bool has_state;
    struct vault_state state; /* written under the lock, for others read the epoch and uses */
    uint32_t seen_version;
    uint64_t seen_ms;
    uint32_t seen_min;       /* min_decryption_version of the last look … */
    unsigned same_min_looks; /* … and of how many in a row */
};

/* Makes that `use` can wrap, and sees that it does: fills `ret` (but for the version and key id)
 * and the KEK of `state`. */
typedef enum kerr vaulted_load_fn(struct vaulted *v, struct vault_try *t,
                                  const struct vaulted_current *use, struct vault_state *state,
                                  struct vault_kek **ret, struct kerrinfo *e);
/* Sees that what wraps still works. */
typedef enum kerr vaulted_probe_fn(struct vaulted *v, struct vault_try *t,
                                   const struct vaulted_current *c, struct kerrinfo *e);
typedef enum kerr vaulted_wrap_fn(struct vaulted *v, const struct provider_turn *turn,
                                  const struct vaulted_current *c, struct bytes plaintext,
                                  struct provider_wrapped *ret, struct kerrinfo *e);

struct vaulted_mode {
    const char *name;
    const char *health_without; /* what Status says while the service cannot be used */
    vaulted_load_fn *load;
    vaulted_probe_fn *probe;
    vaulted_wrap_fn *wrap;
};

extern const struct vaulted_mode vaulted_modes[]; /* by enum config_vault_mode */

void vaulted_current_done(struct vaulted_current *c);
#define AUTO_CURRENT AUTO(vaulted_current_done) struct vaulted_current

bool vaulted_same_version(const struct vault_wire_version *a, const struct vault_wire_version *b);

/* What wraps now, with a reference; or why nothing does. */
enum kerr vaulted_take_current(struct vaulted *v, struct vaulted_current *ret,
                               struct kerrinfo *e) MUST_CHECK;
/* Why nothing is served; under the lock. */
enum kerr vaulted_not_serving(const struct vaulted *v, struct kerrinfo *e);
/* What a call gets for a failure of the client. */
enum kerr vaulted_fail_call(enum kerr k, enum vault_cause cause, const struct kerrinfo *inner,
                            struct kerrinfo *e);
/* One message whatever the reason. */
enum kerr vaulted_unauthentic(struct kerrinfo *e);

/* Decrypts a wrapped KEK. INTEGRITY for an annotation that is none. */
enum kerr vaulted_unwrap_kek(struct vaulted *v, struct vault_try *t, const char *key_id,
                             struct bytes annotation, struct vault_kek **ret,
                             struct kerrinfo *e) MUST_CHECK;
/* Takes a description over; what was there before is in `key` afterwards. */
void vaulted_publish_key(struct vaulted *v, struct vault_key *key);

/* provider_refresh_fn and provider_unwrap_fn. */
enum kerr vaulted_refresh(void *ctx, bool *ret_changed, struct kerrinfo *e) MUST_CHECK;
enum kerr vaulted_unwrap(void *ctx, const struct provider_turn *turn, struct bytes key_id,
                         struct bytes ciphertext, const struct provider_annotations *annotations,
                         struct secret **ret, const char **ret_state,
                         struct kerrinfo *e) MUST_CHECK;

#endif
