/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit: what a cluster's etcd holds, counted and judged. A source (audit/db.h) hands in every
 * live key and whatever is left over of older ones; the result is plain data, for any form of
 * report. No key is needed, nothing is decrypted, and no value leaves this room: findings hold keys
 * of etcd, never values.
 *
 * Memory: 16 bytes for each distinct encrypted seed and each finding's 48, times at most four while
 * tables grow; a row for each resource and each key id, of which there are few; when proving what
 * audit/prove.h says. What a source needs beyond that stands in its header. All of it is taken from
 * `memory` of what is wanted, and NOMEM when that is not enough. The bytes of a source must outlive
 * the audit, unless it says that they pass (`is_passing`): then each finding's key is copied.
 *
 * What is expected: that Secrets are encrypted, by whichever provider; with an
 * EncryptionConfiguration also what its first provider of each resource says. One that leaves
 * Secrets in plaintext does not make that right.
 *
 * An audit belongs to one thread. Codes: LIMIT for more resources than the maximum, NOMEM. More key
 * ids than the maximum are a finding.
 */
#ifndef ETCDSEAL_AUDIT_AUDIT_H
#define ETCDSEAL_AUDIT_AUDIT_H

#include <signal.h>

#include "base/memory.h"
#include "config/encryption_config.h"
#include "stored/resource.h"
#include "stored/value.h"

#define AUDIT_PREFIXES_MAX  32
#define AUDIT_DEMANDS_MAX   32
#define AUDIT_KMS_MAX       16
#define AUDIT_SEEDS_MAX     262144  /* unwrapped ones; each start of a kube-apiserver makes one */
#define AUDIT_OBJECT_MAX    2097152 /* bytes that are decrypted; etcd takes 1.5 MiB in one request */
#define AUDIT_RESOURCES_MAX 16384   /* clusters have some hundred */
#define AUDIT_KEY_IDS_MAX   16384   /* rows; one for each key change, 512 are in use at once */
#define AUDIT_NAME_BYTES    320     /* of a resource, with terminator: two DNS names */
#define AUDIT_TEXT_BYTES    384     /* of a message or cure, with terminator */

enum audit_severity { AUDIT_ERROR, AUDIT_WARNING, AUDIT_NOTE, AUDIT_SEVERITY_COUNT };
extern const char *const audit_severity_names[AUDIT_SEVERITY_COUNT]; /* "error", … */

enum audit_rule {
#define AUDIT_RULE(name, id, severity, message, cure) AUDIT_RULE_##name,
#include "audit/rules.def"
#undef AUDIT_RULE
    AUDIT_RULE_COUNT
};

struct audit_rule_info {
    const char *id;
    enum audit_severity severity;
    const char *message;
    const char *cure;
};
extern const struct audit_rule_info audit_rules[AUDIT_RULE_COUNT];

enum audit_verdict {
    AUDIT_NONE,       /* nothing to judge */
    AUDIT_ENCRYPTED,  /* all of it, by what writes now as far as that is known */
    AUDIT_PENDING,    /* all of it, some not by what writes now */
    AUDIT_PARTIAL,    /* some is plaintext, some is not */
    AUDIT_PLAINTEXT,  /* nothing of it is encrypted */
    AUDIT_UNREADABLE, /* some can't be decrypted, or kube-apiserver can't read it */
    AUDIT_VERDICT_COUNT
};
extern const char *const audit_verdict_names[AUDIT_VERDICT_COUNT]; /* "NONE", "ENCRYPTED", … */

/* Where something may be left over. */
enum audit_place {
    AUDIT_OLD_REVISIONS,
    AUDIT_FREE_PAGES,
    AUDIT_PAGE_SLACK,
    AUDIT_WAL,
    AUDIT_KINE_OLD_VALUE,
    AUDIT_PLACE_COUNT
};
extern const char *const audit_place_names[AUDIT_PLACE_COUNT]; /* "old_revisions", … */
/* What plaintext that is left over there is found as. */
extern const enum audit_rule audit_place_rules[AUDIT_PLACE_COUNT];

/* Numbers of live keys. */
struct audit_counts {
    uint64_t keys;
    uint64_t classes[VALUE_CLASS_COUNT]; /* their sum is `keys` */
    /* Each encrypted one is in one of these; what is malformed and not encrypted too. */
    uint64_t proved;        /* decrypted and authenticated */
    uint64_t undecryptable; /* certainly: their form, or the configuration, says so */
    uint64_t unproved;      /* neither */
    uint64_t stale;         /* as far as it is known */
};

struct audit_resource {
    char name[AUDIT_NAME_BYTES]; /* "secrets", "widgets.example.com" */
    bool is_expected;            /* to be encrypted */
    bool is_stale_known;         /* all that `stale` needs to be exact is known */
    bool is_group_known;         /* else what the configuration means for it is not known */
    bool is_named;               /* its objects have the names that their keys in etcd have */
    struct audit_counts counts;
    enum audit_verdict verdict;
    /* Of the EncryptionConfiguration; 0 entries without one, and for a resource that is in none. */
    const struct encryption_entry *entries[ENCRYPTION_CONFIG_ENTRIES_MAX];
    size_t entry_count;
    const struct encryption_provider *writer; /* NULL: not known, or plaintext */
    const char *current_key;                  /* of a KMS that writes it; NULL: not known */
    const char *unproved_why;                 /* the first reason, static; NULL: none is unproved */
};

/* A KMS v2 key id under one provider; a KMS v1 provider; a key name of the others. */
struct audit_key_id {
    enum value_class class_of;
    struct bytes provider; /* of KMS; else empty */
    struct bytes id;       /* empty for KMS v1, which stores none */
    uint64_t objects;
    uint64_t oldest; /* revision at which one of them was written; 0: none of them tells */
    uint64_t newest;
    uint64_t seeds; /* distinct encrypted seeds, of KMS v2 */
    uint64_t proved;
    uint64_t undecryptable;
    uint64_t residue[AUDIT_PLACE_COUNT];
};

struct audit_residue {
    bool is_seen; /* the source can show it */
    uint64_t values;
    uint64_t plaintext; /* of resources that are expected to be encrypted */
};

struct audit_finding {
    enum audit_rule rule;
    uint32_t resource; /* index, or AUDIT_NO_RESOURCE */
    struct bytes key;  /* of etcd; empty when it is about no object */
    uint64_t mod_revision;
    const char *fault; /* what is wrong with a value, static; NULL: the rule says it */
    /* An object's: index of its key id, or AUDIT_NO_KEY_ID. READ_PROVIDER: the enum
     * encryption_kind. Residue: the enum audit_place. */
    uint32_t detail;
};
#define AUDIT_NO_RESOURCE UINT32_MAX
#define AUDIT_NO_KEY_ID   UINT32_MAX

/* What a source says of its store. */
struct audit_store {
    uint64_t revision;         /* the newest; 0 in an empty store */
    uint64_t compact_revision; /* 0: never compacted, or not said */
    bool has_records;          /* it shows more than what is live */
    uint64_t record_count;     /* revisions, tombstones among them */
    uint64_t tombstone_count;
    bool is_partial; /* it was stopped */
};

/* Told from time to time how far a source is, in whatever it counts, of `total`. */
typedef void audit_progress_fn(void *ctx, uint64_t done, uint64_t total);

enum audit_demand {
    AUDIT_ALL_ENCRYPTED, /* all that is expected to be encrypted is */
    AUDIT_NO_PLAINTEXT,  /* no object of any resource is plaintext */
    AUDIT_NO_STALE,      /* all was written by the provider and key that write now */
    AUDIT_ONLY_KEY,      /* every KMS v2 value is under one key id */
    AUDIT_NO_RESIDUE,    /* no plaintext is left over in any place that the source shows */
    AUDIT_ALL_PROVED,    /* every encrypted value was decrypted and is authentic, none was moved */
    AUDIT_DEMAND_COUNT
};
extern const char *const audit_demand_names[AUDIT_DEMAND_COUNT]; /* "all-encrypted", … */

struct audit_demanded {
    enum audit_demand demand;
    const char *key_id; /* of AUDIT_ONLY_KEY */
    bool is_met;
};

/* A KMS v2 plugin that unwraps seeds. */
struct audit_kms {
    const char
        *provider; /* its name in the EncryptionConfiguration; NULL: whichever has no other */
    const char *socket;
};

/* Everything in it is borrowed and outlives the audit. */
struct audit_wanted {
    struct memory *memory;       /* that all of it is taken from; NULL: no limit */
    const char *const *prefixes; /* none: found in the keys, else "/registry/" */
    size_t prefix_count;
    const struct encryption_config *config; /* NULL: none */
    const char *current_key;                /* the key id that writes now; NULL: not known */
    bool is_passing; /* what a source hands in is gone after the call: keep copies */
    const volatile sig_atomic_t *stop; /* not 0: a source ends with what it has read; NULL: never */
    struct audit_demanded demands[AUDIT_DEMANDS_MAX]; /* none: all-encrypted */
    size_t demand_count;
    bool fails_on[AUDIT_RULE_COUNT]; /* a finding of these rules is a failure too */
    /* Decrypts and authenticates every encrypted value: KMS v2 through the plugins, the others with
     * the keys of `config`, which was read with them. */
    bool is_proving;
    const char *object; /* "secrets/NAMESPACE/NAME": this one alone; NULL: all. audit/object.h */
    unsigned threads;   /* at once, at most 4; 0: one for each processor, once there is much */
    struct audit_kms kms[AUDIT_KMS_MAX];
    size_t kms_count;
};

/* How it went with a plugin. */
struct audit_kms_told {
    struct audit_kms kms;
    char *key_id;       /* of its Status; NULL: it was not reached */
    uint64_t unwrapped; /* seeds */
    uint64_t refused;
    uint64_t unasked;            /* because it could not be reached */
    char why[KERRINFO_TEXT_MAX]; /* it refused or could not be reached, the last time; "": never */
};

struct audit {
    struct audit_wanted wanted;
    struct bytes prefixes[AUDIT_PREFIXES_MAX]; /* each ends with '/' */
    size_t prefix_count;
    struct audit_counts totals;
    bool is_stale_known; /* of all resources that are expected to be encrypted */
    struct audit_resource *resources;
    size_t resource_count;
    struct audit_key_id *key_ids;
    size_t key_id_count;
    /* All that is under key ids which came when there were AUDIT_KEY_IDS_MAX of them: some of it
     * may be under any id, also under one that has a row for another provider. Only the numbers
     * count. */
    struct audit_key_id other_keys;
    struct audit_finding *findings;
    size_t finding_count;
    uint64_t by_rule[AUDIT_RULE_COUNT];
    uint64_t by_severity[AUDIT_SEVERITY_COUNT];
    struct audit_residue residue[AUDIT_PLACE_COUNT];
    struct audit_kms_told kms[AUDIT_KMS_MAX]; /* as in `wanted` */
    bool is_kms_down;                         /* one of them could not be asked */
    enum audit_verdict verdict;  /* the worst of what is expected, and of what can't be read */
    bool has_residue;            /* plaintext of what is expected to be encrypted is left over */
    bool is_met;                 /* all demands are, and no rule of `fails_on` has a finding */
    struct audit_object *object; /* NULL: all */
    struct audit_tables *tables;
    struct prove *prove; /* NULL: not proving */
    struct batch *batch; /* NULL: each key is counted as it comes */
    struct pool *pool;   /* NULL: none was needed yet */
    unsigned threads;    /* of it, from the beginning to the end */
};

/* ---- before ---- */

/* "no-residue", "only-key=ID". USAGE names the nearest word. */
enum kerr audit_demand_read(const char *text, struct audit_demanded *ret,
                            struct kerrinfo *e) MUST_CHECK;
/* A rule's id, or a severity, which stands for all its rules. USAGE names the nearest word. */
enum kerr audit_fail_on_read(const char *text, bool to[static AUDIT_RULE_COUNT],
                             struct kerrinfo *e) MUST_CHECK;
/* Fills `ret`; clean with audit_done even on failure. USAGE for a demand that can't be judged with
 * what is known, CONFIG for a configuration that kube-apiserver does not load. When proving, the
 * plugins are asked for their Status here; one that can't be reached is no failure of this call. */
enum kerr audit_begin(const struct audit_wanted *wanted, struct audit *ret,
                      struct kerrinfo *e) MUST_CHECK;
void audit_done(struct audit *a);
#define AUTO_AUDIT AUTO(audit_done) struct audit

/* ---- what sources call ---- */

/* Looks at a live key for the cluster's prefix; all keys, before the first audit_live. */
enum kerr audit_note_key(struct audit *a, struct bytes key, struct kerrinfo *e) MUST_CHECK;
/* Ends that. NOTFOUND when no key looks like Kubernetes'. */
enum kerr audit_take_prefixes(struct audit *a, struct kerrinfo *e) MUST_CHECK;
/* After the source was read: a prefix that was given, the `at`th, is not what it should be, in one
 * sentence with what to do. False when nothing is wrong with it. */
bool audit_prefix_doubt(const struct audit *a, size_t at, char *to, size_t to_size);
/* Counts a live key, now or at audit_settle: until then its bytes are needed, unless they pass. */
enum kerr audit_live(struct audit *a, struct bytes key, struct bytes value, uint64_t mod_revision,
                     struct kerrinfo *e) MUST_CHECK;
/* Ends what audit_live left to be done together. audit_judge calls it; a source whose bytes pass
 * calls it before they go. */
enum kerr audit_settle(struct audit *a, struct kerrinfo *e) MUST_CHECK;
/* Counts what is left over of a value. `key` is empty when it is not known. */
enum kerr audit_left_over(struct audit *a, enum audit_place place, struct bytes key,
                          struct bytes value, struct kerrinfo *e) MUST_CHECK;
/* Finds what is left over in bytes that are not in use. */
enum kerr audit_scan(struct audit *a, enum audit_place place, struct bytes data,
                     struct kerrinfo *e) MUST_CHECK;
/* Somebody wants the source to end now, with what it has read. */
bool audit_is_stopped(const struct audit *a);
/* The source shows the place, whether or not something is there. */
void audit_shows(struct audit *a, enum audit_place place);

/* ---- after ---- */

/* Verdicts, findings about resources and residue, demands. Once, behind everything else. */
enum kerr audit_judge(struct audit *a, struct kerrinfo *e) MUST_CHECK;

/* A finding in words; key and object are empty where it is about none. */
struct audit_said {
    const char *rule;
    const char *severity;
    const char *resource; /* NULL: none */
    struct bytes key;
    char object[512]; /* "namespace/name" */
    uint64_t mod_revision;
    char message[AUDIT_TEXT_BYTES];
    const char *cure;
};
void audit_say(const struct audit *a, const struct audit_finding *f, struct audit_said *ret);

/* "kmsv2:etcdseal", "aescbc:key1", "identity"; what the EncryptionConfiguration writes a resource
 * with. False when there is none. */
bool audit_expected(const struct audit *a, const struct audit_resource *r, char *to,
                    size_t to_size);

#endif
