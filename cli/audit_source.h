/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an audit reads: one of the kinds of the table in audit_source.c, chosen by its option. A
 * new kind is a file with its three functions, and a row.
 */
#ifndef ETCDSEAL_CLI_AUDIT_SOURCE_H
#define ETCDSEAL_CLI_AUDIT_SOURCE_H

#include "audit/audit.h"
#include "audit/live.h"
#include "base/map.h"
#include "cli/options.h"
#include "crypto/hash.h"

#define AUDIT_FILES_MAX 1024 /* etcd keeps five files of its log, or what --max-wals says */

struct audit_file {
    char *path;
    struct file_map map;
    char sha256[2 * HASH_BYTES + 1]; /* "": not asked for */
};

struct audit_source;

/* How far it is; `fn` NULL: nobody wants to know. */
struct audit_told {
    audit_progress_fn *fn;
    void *ctx;
};

struct audit_source_kind {
    const char *option; /* that names it, for messages */
    const char *unit;   /* what its progress counts */
    bool is_passing;    /* as in struct audit_wanted */
    /* What the option names; NULL: the option was not given. */
    const char *(*named)(const struct options *o);
    /* What the environment names, for when no option of any kind is given; NULL: nothing does. */
    const char *(*presumed)(void);
    /* Opens what `ret->name` names; fills `kind_name`, `files`, `size`. */
    enum kerr (*open)(const struct options *o, struct audit_source *ret, struct kerrinfo *e);
    /* Feeds all of it into `a`, and fills `found`. */
    enum kerr (*read)(struct audit_source *s, const struct options *o, struct audit *a,
                      const struct audit_told *told, struct kerrinfo *e);
    void (*done)(struct audit_source *s); /* what `own` holds; the files are closed for it */
};

struct audit_source {
    const struct audit_source_kind *kind;
    const char *name;         /* as it was given; borrowed */
    const char *kind_name;    /* "snapshot", "db", "data-dir", "kine", "etcd", "member" */
    struct audit_file *files; /* the database, then the log in its order */
    size_t count;
    uint64_t size; /* of all files, in bytes */
    struct audit_store found;
    struct memory *memory;         /* of --max-memory; borrowed */
    const struct etcd *etcd;       /* a running one; NULL: files */
    const struct audit_etcd *live; /* what it said of itself */
    bool is_partial;               /* it was interrupted */
    void *own;
};

/* From then on a file that becomes shorter while it is read, or a disk that fails, ends the program
 * with 3: nothing that was counted is whole. */
enum kerr audit_source_catch_bus_errors(struct kerrinfo *e) MUST_CHECK;

/* What --max-memory leaves to an audit: beside it is the program itself. */
struct memory audit_source_memory(const struct options *o);
#define AUDIT_MEMORY_MIN ((uint64_t)64 << 20) /* of --max-memory */

/* Whether the options name any. */
bool audit_source_is_named(const struct options *o);
/* The one kind of source that the options name; USAGE when it is not exactly one. */
enum kerr audit_source_find(const struct options *o, const struct audit_source_kind **ret,
                            struct kerrinfo *e) MUST_CHECK;
/* The kind of a backup, by what it begins with: kine's or etcd's. What can't be read is etcd's,
 * which says why when it is opened. */
const struct audit_source_kind *audit_source_of_backup(const char *path);
/* Opens it. Clean with audit_source_done even on failure. Whatever goes wrong has exit code 3, but
 * for options that do not fit together: USAGE. */
enum kerr audit_source_open(const struct audit_source_kind *kind, const struct options *o,
                            struct memory *memory, struct audit_source *ret,
                            struct kerrinfo *e) MUST_CHECK;
void audit_source_done(struct audit_source *s);
#define AUTO_AUDIT_SOURCE AUTO(audit_source_done) struct audit_source
/* Feeds all of it into `a`, all of it counted then. With --digest hashes of the files too. Exit
 * code 3, as above, but for the name of an object that two keys have: USAGE. */
enum kerr audit_source_read(struct audit_source *s, const struct options *o, struct audit *a,
                            const struct audit_told *told, struct kerrinfo *e) MUST_CHECK;

/* After that: warns of each --prefix that is not what it should be, once all was read. */
void audit_source_warn(const struct audit_source *s, const struct audit *a);

/* ---- for the kinds ---- */

/* What is told of a running etcd with this alarm. */
#define AUDIT_NO_SPACE                                                                             \
    "this etcd has raised the alarm NOSPACE and takes no writes: a rewrite of objects would fail"

/* Opens and maps a file; takes the path over. BUSY when a program that writes it holds its lock. */
enum kerr audit_source_add_file(struct audit_source *s, char *path, struct kerrinfo *e) MUST_CHECK;

extern const struct audit_source_kind audit_source_snapshot; /* cli/source_files.c */
extern const struct audit_source_kind audit_source_data_dir;
extern const struct audit_source_kind audit_source_kine;   /* cli/source_kine.c */
extern const struct audit_source_kind audit_source_etcd;   /* cli/source_etcd.c */
extern const struct audit_source_kind audit_source_member; /* cli/source_member.c */

#endif
