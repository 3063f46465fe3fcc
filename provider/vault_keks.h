/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwrapped KEKs in locked memory, by the annotation that carries them, and what keeps invented
 * annotations from costing the key service anything.
 *
 * At most VAULT_KEKS_MAX are kept. A KEK is *pinned* once it is this node's own or a seed has
 * authenticated under it; pinned ones give way to nobody but to newer pinned ones, so a flood of
 * others cannot push them out. Annotations that the service did not authenticate are remembered
 * (VAULT_KEKS_FORGED_MAX of them, for VAULT_KEKS_FORGED_MS) and refused without asking. What is
 * asked all the same has a budget, which only forgeries use up.
 *
 * Threads: all functions lock. One asks for an annotation at a time, others that want the same
 * wait.
 */
#ifndef ETCDSEAL_PROVIDER_VAULT_KEKS_H
#define ETCDSEAL_PROVIDER_VAULT_KEKS_H

#include "base/secret.h"
#include "crypto/suite.h"
#include "provider/vault_wire.h"

/* One for each restart of each node and each rotation that etcd still remembers; a locked page
 * each. */
#define VAULT_KEKS_MAX        256
#define VAULT_KEKS_FORGED_MAX 4096
#define VAULT_KEKS_FORGED_MS  600000
/* Questions about forgeries: this many at once, then so many a second. */
#define VAULT_KEKS_BUDGET_BURST 50
#define VAULT_KEKS_BUDGET_RATE  2

/* Immutable and reference-counted. */
struct vault_kek;

/* `kek` has SUITE_KEK_BYTES. NOMEM, UNSUP for an unknown suite. */
enum kerr vault_kek_new(const char *key_id, uint32_t version, uint8_t suite, struct bytes kek,
                        struct bytes annotation, struct vault_kek **ret,
                        struct kerrinfo *e) MUST_CHECK;
struct vault_kek *vault_kek_ref(struct vault_kek *k);
void vault_kek_unref(struct vault_kek *k); /* NULL is fine */
void vault_kek_unref_at(struct vault_kek **k);
#define AUTO_KEK AUTO(vault_kek_unref_at) struct vault_kek *
bool vault_kek_is_pinned(const struct vault_kek *k);
const char *vault_kek_key_id(const struct vault_kek *k);
uint32_t vault_kek_version(const struct vault_kek *k);
enum suite vault_kek_suite(const struct vault_kek *k);
const struct secret *vault_kek_subkeys(const struct vault_kek *k);
struct bytes vault_kek_annotation(const struct vault_kek *k);

struct vault_keks;

enum kerr vault_keks_new(struct vault_keks **ret, struct kerrinfo *e) MUST_CHECK;
void vault_keks_free(struct vault_keks *c); /* NULL is fine */

enum vault_keks_answer {
    VAULT_KEKS_FOUND,   /* *ret is a reference */
    VAULT_KEKS_FORGED,  /* known not to authenticate */
    VAULT_KEKS_UNKNOWN, /* peek: not known; begin: the caller asks and must call vault_keks_end */
    VAULT_KEKS_BUDGET,  /* begin: too many failed of late */
    VAULT_KEKS_LATE,    /* begin: somebody else still asks at `until_ms` */
};

/* Never waits. */
enum vault_keks_answer vault_keks_peek(struct vault_keks *c, struct bytes annotation,
                                       struct vault_kek **ret);
enum vault_keks_answer vault_keks_begin(struct vault_keks *c, struct bytes annotation,
                                        uint64_t until_ms, struct vault_kek **ret);
/* The end of a question: the KEK, of which a reference is taken, or NULL; `is_forged`: it did not
 * authenticate. */
void vault_keks_end(struct vault_keks *c, struct bytes annotation, struct vault_kek *k,
                    bool is_forged);
/* The same for seeds that the service unwraps itself (mode direct), of which nothing is kept but
 * forgeries: FORGED, UNKNOWN (the caller asks and must call vault_keks_end_seed), and BUDGET where
 * `has_budget`, of both calls. Any number may ask at a time. */
enum vault_keks_answer vault_keks_begin_seed(struct vault_keks *c, struct bytes ciphertext,
                                             bool has_budget);
void vault_keks_end_seed(struct vault_keks *c, struct bytes ciphertext, bool has_budget,
                         bool is_forged);
/* Pins and keeps one: of ours, or under which a seed has authenticated. Takes a reference. */
void vault_keks_keep(struct vault_keks *c, struct vault_kek *k);
/* Counts a refusal without asking, of which the cache knew nothing (the shape was wrong). */
void vault_keks_count_refused(struct vault_keks *c);

/* Forgets: all; those of versions below one; those neither pinned nor used for `life_ms`; what is
 * known of forgeries (a restored key may open them). Return how many KEKs went. */
size_t vault_keks_wipe(struct vault_keks *c);
size_t vault_keks_wipe_below(struct vault_keks *c, uint32_t version);
size_t vault_keks_wipe_unused(struct vault_keks *c, uint64_t life_ms);
void vault_keks_forgive(struct vault_keks *c);

struct vault_keks_counts {
    size_t cached;
    size_t pinned;
    uint64_t refused; /* without asking */
};
struct vault_keks_counts vault_keks_counts(struct vault_keks *c);

#endif
