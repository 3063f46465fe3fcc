/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room share behind audit.h. Private to audit. */
#ifndef ETCDSEAL_AUDIT_TABLES_H
#define ETCDSEAL_AUDIT_TABLES_H

#include "audit/audit.h"
#include "audit/index.h"

#define AUDIT_THREADS_MAX 4 /* with more, reading is what takes the time */

struct audit_tables {
    struct index resources; /* by name */
    struct index key_ids;   /* by class, provider and id */
    struct index seeds;
    bool has_default_prefix;                  /* a key below /registry/ was noted */
    bool prefix_has_keys[AUDIT_PREFIXES_MAX]; /* of those that were given */
    struct bytes other_prefix;                /* of a cluster, below none that was given */
    struct kept *kept;                        /* copies of what passes */
};

/* Appends a row, all zero, to an array that grows up to `max` rows, of the memory that `m` leaves.
 */
enum kerr tables_grow(struct memory *m, void **rows, size_t *count, size_t row_bytes, size_t max,
                      const char *what, void **ret, struct kerrinfo *e) MUST_CHECK;
/* Appends `more` rows that the caller fills. */
enum kerr tables_extend(struct memory *m, void **rows, size_t *count, size_t more, size_t row_bytes,
                        const char *what, struct kerrinfo *e) MUST_CHECK;
/* Frees such an array, and gives its memory back. */
void tables_free(struct memory *m, void *rows, size_t count, size_t row_bytes);
/* Adds a finding; a key that passes is copied. */
enum kerr tables_find(struct audit *a, const struct audit_finding *found,
                      struct kerrinfo *e) MUST_CHECK;
/* The same bytes for as long as the audit lives: themselves, or a copy where they pass. */
enum kerr tables_keep(struct audit *a, struct bytes *what, struct kerrinfo *e) MUST_CHECK;
/* Sets a->tables. NOMEM. */
enum kerr tables_begin(struct audit *a, struct kerrinfo *e) MUST_CHECK;
void tables_done(struct audit *a);

/* The row of the resource that a key belongs to; its name is "(outside)" where there is none.
 * tables_resource makes it where tables_find_resource finds none yet, which is for any thread. */
bool tables_find_resource(const struct audit *a, struct bytes key, uint32_t *ret);
enum kerr tables_resource(struct audit *a, struct bytes key, uint32_t *ret,
                          struct kerrinfo *e) MUST_CHECK;
/* What a key is of, below one of the prefixes; false where it begins with none. */
bool tables_split(const struct audit *a, struct bytes key, struct resource_key *ret);
/* Whether a resource is expected to be encrypted. Makes no row of it. */
bool tables_expects(const struct audit *a, const struct resource_key *key);
#define TABLES_OUTSIDE "(outside)"

/* The row of the key that a value is under; a->other_keys where there is room for no other.
 * tables_key_id makes it where tables_find_key_id finds none yet, which is for any thread. */
bool tables_find_key_id(const struct audit *a, const struct stored_value *v, uint32_t *ret);
enum kerr tables_key_id(struct audit *a, const struct stored_value *v, struct audit_key_id **ret,
                        struct kerrinfo *e) MUST_CHECK;

/* ---- one live key, from its bytes to the counts ---- */

enum proof {
    PROOF_NONE, /* nobody tried */
    PROOF_GOOD,
    PROOF_MOVED,     /* it opens, and is an object of another name */
    PROOF_REFUTED,   /* it does not open */
    PROOF_OPEN,      /* it could not be tried to the end */
    PROOF_TOO_LARGE, /* nor this, for its size */
    PROOF_NEEDS_SEED /* its plugin is to be asked first */
};

struct audit_item {
    struct bytes key;
    uint64_t mod_revision;
    uint32_t resource;
    bool has_key_id;    /* count_find has found its row */
    uint32_t key_id;    /* then */
    bool is_seed_known; /* and its seed is not new */
    bool is_stale;
    enum audit_rule rule; /* AUDIT_RULE_COUNT: none */
    struct stored_value v;
    uint64_t seed_hash; /* of KMS v2 whose form is right */
    enum proof proof;
    const char *why; /* of PROOF_REFUTED and PROOF_OPEN, static */
};

#define TABLES_PREFIX "/registry/" /* kube-apiserver's own */
/* Whether audit_note_key is to be told of a key even where prefix_is_settled. On any thread. */
bool prefix_is_news(const struct audit *a, struct bytes key);
/* No key that is no news tells anything more. */
bool prefix_is_settled(const struct audit *a);
/* There are keys below a prefix that was given, and so below those that it begins with. */
void prefix_has_keys(struct audit *a, struct bytes prefix);

/* All that a value's bytes tell without a key; `item` has key and resource. On any thread. */
void item_read(const struct audit *a, struct bytes value, struct audit_item *item);
/* An object gives itself another name than its key in etcd does. On any thread. */
bool item_is_moved(const struct audit *a, const struct audit_item *item, struct bytes object);

/* Finds what an item is counted under, so that count_item need not. On any thread. */
void count_find(const struct audit *a, struct audit_item *item);
/* Adds a finished item to the counts and findings. */
enum kerr count_item(struct audit *a, const struct audit_item *item, struct kerrinfo *e) MUST_CHECK;
/* The same for as many of which all that counts is the same; one whose key is to be told, in a
 * finding, is not silent and counts alone. */
enum kerr count_items(struct audit *a, const struct audit_item *item, uint64_t times,
                      struct kerrinfo *e) MUST_CHECK;
bool count_is_silent(const struct audit_item *item);
/* As audit_left_over, of so many values as the one that was read. */
enum kerr count_left_over(struct audit *a, enum audit_place place, struct bytes key,
                          const struct stored_value *v, uint64_t times,
                          struct kerrinfo *e) MUST_CHECK;
/* Notes when an object under a key was written; 0 tells nothing. */
void count_written(struct audit_key_id *row, uint64_t mod_revision);
/* Equal for equal encrypted seeds; never 0. */
uint64_t count_seed_hash(const struct stored_value *v);

/* ---- scan.c ---- */

/* A record in bytes that are not in use. etcd's has one value, kine's the one of before too. */
#define SCAN_VALUES_MAX 2
struct scan_found {
    const uint8_t *at;
    size_t len; /* behind which is looked for the next */
    struct bytes key;
    struct bytes values[SCAN_VALUES_MAX]; /* empty ones are none */
};

/* The record whose key begins at `key`, which lies in `in`; false when there is none. */
typedef bool scan_around_fn(const void *ctx, struct bytes in, const uint8_t *key,
                            struct scan_found *ret);
/* Whether nothing can be in bytes, of which there are some. */
bool scan_is_zero(struct bytes data);
/* As audit_scan, for any form of record. */
enum kerr scan_with(struct audit *a, enum audit_place place, struct bytes data,
                    scan_around_fn *around, const void *ctx, struct kerrinfo *e) MUST_CHECK;

/* ---- expect.c ---- */

enum reading {
    READ_BY_WRITER, /* by what writes now */
    READ_BY_OTHER,  /* by another provider or key of the list */
    READ_BY_NOBODY, /* the list has no such provider */
    READ_NO_KEY,    /* it has the provider, not the key name */
};

/* What is expected of a resource, from the EncryptionConfiguration. */
void expect_of(const struct audit *a, const struct resource_key *key, struct audit_resource *to);
/* How kube-apiserver would read a value; corrects names with ':' in them. */
enum reading expect_reading(const struct audit_resource *r, struct stored_value *v);
/* The class of values that a provider writes. */
enum value_class expect_class(const struct encryption_provider *p);
/* The plugin that unwraps what a provider of this name wrote; NULL: none was named. */
const struct audit_kms_told *expect_kms(const struct audit *a, struct bytes provider);
/* A provider that reads what somebody else may have put there. */
bool expect_is_loose(const struct encryption_provider *p);

#endif
