/* SPDX-License-Identifier: Apache-2.0 */
/* Files of etcd: a snapshot or database file, or a data folder, which is the database and the
 * write-ahead log of an etcd that does not run. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/db.h"
#include "base/text.h"
#include "cli/audit_source.h"

#define DB_IN_FOLDER  "/member/snap/db"
#define WAL_IN_FOLDER "/member/wal"

/* "0000000000000001-00000000000186a1.wal": sequence and first index, so names sort by age. */
#define WAL_NAME_CHARS 37
#define WAL_INDEX_AT   17

static enum kerr join(const char *folder, const char *slash, const char *name, char **ret,
                      struct kerrinfo *e)
{
    return asprintf(ret, "%s%s%s", folder, slash, name) >= 0
               ? KERR_OK
               : kerr_set(e, KERR_NOMEM, "no memory for a path");
}

/* Takes the path over. */
static enum kerr add_file(struct audit_source *s, char *path, struct kerrinfo *e)
{
    struct kerrinfo cause = {0};
    enum kerr k = audit_source_add_file(s, path, &cause);
    if (k == KERR_BUSY) {
        return kerr_set(e, k,
                        "%s is in use by a running etcd, which changes it; save a snapshot with "
                        "'etcdctl snapshot save FILE' and audit that",
                        path);
    }
    return k == KERR_OK ? k : kerr_set(e, k, "%s", cause.text);
}

/* ---- the database ---- */

static enum kerr open_db(struct audit_source *s, const char *in_folder, struct kerrinfo *e)
{
    char *path = NULL;
    struct bbolt *db = calloc(1, sizeof *db);
    s->own = db;
    enum kerr k = db == NULL ? kerr_set(e, KERR_NOMEM, "no memory for a database")
                             : join(s->name, "", in_folder, &path, e);
    k = k == KERR_OK ? add_file(s, path, e) : k;
    return k == KERR_OK ? bbolt_open(s->files[0].map.data, s->files[0].path, db, e) : k;
}

static enum kerr read_db(struct audit_source *s, const struct options *o, struct audit *a,
                         const struct audit_told *told, struct kerrinfo *e)
{
    file_map_read_ahead(&s->files[0].map);
    enum kerr k = o->digest ? bbolt_check_hash(s->own, e) : KERR_OK;
    k = k == KERR_OK ? audit_db(a, s->own, told->fn, told->ctx, &s->found, e) : k;
    s->is_partial = s->found.is_partial;
    return k;
}

static void close_db(struct audit_source *s)
{
    if (s->own != NULL) {
        bbolt_close(s->own);
    }
    free(s->own);
}

static const char *snapshot(const struct options *o)
{
    return o->snapshot;
}

static enum kerr open_snapshot(const struct options *o, struct audit_source *ret,
                               struct kerrinfo *e)
{
    (void)o;
    enum kerr k = open_db(ret, "", e);
    const struct bbolt *db = ret->own;
    ret->kind_name = k == KERR_OK && db->hash.len > 0 ? "snapshot" : "db";
    return k;
}

const struct audit_source_kind audit_source_snapshot = {
    .option = "--snapshot FILE",
    .unit = "bytes",
    .named = snapshot,
    .open = open_snapshot,
    .read = read_db,
    .done = close_db,
};

/* ---- the write-ahead log ---- */

static int is_wal(const struct dirent *entry)
{
    const char *name = entry->d_name;
    return strlen(name) == WAL_NAME_CHARS && name[16] == '-' && strcmp(name + 33, ".wal") == 0 &&
           strspn(name, "0123456789abcdef") == 16 && strspn(name + 17, "0123456789abcdef") == 16;
}

/* Sequence, or at WAL_INDEX_AT the index, of a name that is_wal. */
static uint64_t number_in(const char *path, size_t at)
{
    return strtoull(path + strlen(path) - WAL_NAME_CHARS + at, NULL, 16);
}

/* Files of a log are numbered one by one. */
static enum kerr check_sequence(const char *folder, struct dirent *const *names, size_t count,
                                struct kerrinfo *e)
{
    for (size_t i = 1; i < count; i++) {
        uint64_t before = number_in(names[i - 1]->d_name, 0);
        if (number_in(names[i]->d_name, 0) != before + 1) {
            return kerr_set(e, KERR_FORMAT,
                            "%s: a file of the log is missing between %s and %s; copy all of the "
                            "folder while etcd is stopped",
                            folder, names[i - 1]->d_name, names[i]->d_name);
        }
    }
    return KERR_OK;
}

static enum kerr add_wals(struct audit_source *s, const char *folder, struct dirent *const *names,
                          size_t count, struct kerrinfo *e)
{
    if (count == 0) {
        return kerr_set(e, KERR_NOTFOUND, "%s holds no file of a write-ahead log", folder);
    }
    if (count + 1 > AUDIT_FILES_MAX) {
        return kerr_set(e, KERR_LIMIT, "%s holds %zu files, read are at most %d", folder, count,
                        AUDIT_FILES_MAX - 1);
    }
    enum kerr k = check_sequence(folder, names, count, e);
    for (size_t i = 0; i < count && k == KERR_OK; i++) {
        char *path = NULL;
        k = join(folder, "/", names[i]->d_name, &path, e);
        k = k == KERR_OK ? add_file(s, path, e) : k;
    }
    return k;
}

static enum kerr find_wals(struct audit_source *s, const char *data_dir, struct kerrinfo *e)
{
    AUTO_TEXT folder = NULL;
    struct dirent **names = NULL;
    enum kerr k = join(data_dir, "", WAL_IN_FOLDER, &folder, e);
    if (k != KERR_OK) {
        return k;
    }
    int count = scandir(folder, &names, is_wal, alphasort);
    if (count < 0) {
        return kerr_errno(e, errno, "cannot read folder %s", folder);
    }
    k = add_wals(s, folder, names, (size_t)count, e);
    for (int i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
    return k;
}

/* File by file, the chain of CRCs going on from one to the next. */
static enum kerr read_wals(struct audit_source *s, struct audit *a, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    struct wal w = wal_on(bytes_of(NULL, 0), s->name);
    uint64_t first = number_in(s->files[1].path, WAL_INDEX_AT);
    w.last = first > 0 ? first - 1 : 0;
    for (size_t i = 1; i < s->count && k == KERR_OK && !s->found.is_partial; i++) {
        wal_next_file(&w, s->files[i].map.data, s->files[i].path, i + 1 == s->count);
        k = audit_wal(a, &w, &s->found, e);
    }
    s->is_partial = s->found.is_partial;
    return k;
}

static const char *data_dir(const struct options *o)
{
    return o->data_dir;
}

static enum kerr open_data_dir(const struct options *o, struct audit_source *ret,
                               struct kerrinfo *e)
{
    (void)o;
    ret->kind_name = "data-dir";
    enum kerr k = open_db(ret, DB_IN_FOLDER, e);
    return k == KERR_OK ? find_wals(ret, ret->name, e) : k;
}

static enum kerr read_data_dir(struct audit_source *s, const struct options *o, struct audit *a,
                               const struct audit_told *told, struct kerrinfo *e)
{
    enum kerr k = read_db(s, o, a, told, e);
    return k == KERR_OK ? read_wals(s, a, e) : k;
}

const struct audit_source_kind audit_source_data_dir = {
    .option = "--data-dir FOLDER",
    .unit = "bytes",
    .named = data_dir,
    .open = open_data_dir,
    .read = read_data_dir,
    .done = close_db,
};
