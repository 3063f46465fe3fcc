/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object of the cluster instead of all: in which form it is stored now, and what its source
 * still holds of older times. Never its value: of one that is stored in plaintext nothing but its
 * size and form is kept.
 *
 * With `object` in struct audit_wanted an audit counts the values of this object alone, so that its
 * verdict, demands and findings are about it. Sources read as before, but a running etcd, which is
 * asked for the one key.
 *
 * Memory: up to AUDIT_VERSIONS_MAX rows and, where bytes pass, their key ids and annotations.
 *
 * Codes: USAGE for a text that names no object, and where two keys are of that name; NOMEM.
 */
#ifndef ETCDSEAL_AUDIT_OBJECT_H
#define ETCDSEAL_AUDIT_OBJECT_H

#include "audit/audit.h"

#define AUDIT_VERSIONS_MAX 4096 /* the newest; etcd is compacted every five minutes */

enum audit_when {
    AUDIT_IS_LIVE,
    AUDIT_IS_OLDER,     /* a later revision superseded it */
    AUDIT_IS_DELETION,  /* the object was deleted here; with kine the value is that of before */
    AUDIT_IS_OLD_VALUE, /* what the row of this revision keeps of before; kine's */
    AUDIT_WHEN_COUNT
};
extern const char *const audit_when_names[AUDIT_WHEN_COUNT]; /* "live", "older", … */

enum audit_opens {
    AUDIT_OPENS_UNKNOWN, /* nobody tried, or it could not be tried to the end */
    AUDIT_OPENS,
    AUDIT_OPENS_MOVED, /* and holds an object of another name */
    AUDIT_OPENS_NOT,
    AUDIT_OPENS_COUNT
};
extern const char *const audit_opens_names[AUDIT_OPENS_COUNT]; /* "unknown", "yes", … */

struct audit_version {
    enum audit_when when;
    uint64_t revision;
    uint64_t create_revision; /* 0: not said */
    uint64_t version;         /* 1 is what made the object; 0: not said */
    bool has_value;
    size_t size;           /* of the value, in bytes */
    struct bytes prefix;   /* "k8s:enc:kms:v2:etcdseal:" of what is encrypted; else empty */
    struct stored_value v; /* without its payload, and without views into what is gone */
    bool is_stale;
    enum audit_opens opens; /* of what is encrypted */
    const char *why;        /* it does not, or is not known to; static; NULL: nothing to say */
};

struct audit_object {
    struct resource_key wanted;     /* views into the caller's text; group empty: any */
    struct bytes key;               /* of etcd; empty: nothing of it was found */
    uint32_t resource;              /* once the key was found */
    bool has_resource;              /* there are keys of its resource */
    bool has_name_space;            /* and in its namespace */
    struct audit_version *versions; /* after audit_judge the newest first */
    size_t count;
    uint64_t left_out; /* older ones that were not kept */
    bool is_whole;     /* a running etcd was asked back to what made the object */
};

/* The live one; NULL when there is none. */
const struct audit_version *audit_object_live(const struct audit_object *o);

/* ---- what sources call ---- */

struct audit_revision {
    enum audit_when when;
    struct bytes key;
    struct bytes value;
    uint64_t revision;
    uint64_t create_revision;
    uint64_t version;
};
/* Before audit_live and audit_left_over of the same value. Nothing happens for another key, and
 * where no object was asked for. */
enum kerr audit_revision(struct audit *a, const struct audit_revision *r,
                         struct kerrinfo *e) MUST_CHECK;

/* ---- private to audit ---- */

/* "secrets/NAMESPACE/NAME", "nodes/NAME", "widgets.example.com/NAMESPACE/NAME". */
enum kerr object_begin(const char *text, struct audit_object **ret, struct kerrinfo *e) MUST_CHECK;
void object_end(struct audit_object *o); /* NULL is fine */
/* Whether a key counts: all do where no object was asked for. */
bool object_counts(const struct audit *a, struct bytes key);
void object_sort(struct audit_object *o);

#endif
