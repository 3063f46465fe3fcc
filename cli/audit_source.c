/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_source.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define EXIT_UNREAD 3

#define DB_IN_FOLDER  "/member/snap/db"
#define WAL_IN_FOLDER "/member/wal"

/* "0000000000000001-00000000000186a1.wal": sequence and first index, so names sort by age. */
#define WAL_NAME_CHARS 37

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
    struct audit_file *to = &s->files[s->count++];
    *to = (struct audit_file){.path = path, .map = FILE_MAP_NONE};
    struct kerrinfo cause = {0};
    enum kerr k = file_map_open(path, &to->map, &cause);
    s->size += to->map.data.len;
    if (k == KERR_BUSY) {
        return kerr_set(e, k,
                        "%s is in use by a running etcd, which changes it; save a snapshot with "
                        "'etcdctl snapshot save FILE' and audit that",
                        path);
    }
    return k == KERR_OK ? k : kerr_set(e, k, "%s", cause.text);
}

/* ---- what can go wrong ---- */

/* Somebody cut the file while it was read, or the disk failed: nothing that was counted is whole.
 */
static void on_bus_error(int number)
{
    static const char text[] = "etcdseal: the file became shorter or its disk failed while it was "
                               "read; audit a copy\n";
    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(EXIT_UNREAD);
}

enum kerr audit_source_catch_bus_errors(struct kerrinfo *e)
{
    struct sigaction action = {.sa_handler = on_bus_error};
    return sigaction(SIGBUS, &action, NULL) == 0
               ? KERR_OK
               : kerr_set(e, KERR_BUG, "cannot set a handler for SIGBUS");
}

enum kerr audit_source_unread(enum kerr k)
{
    return k == KERR_OK || kerr_exit_code(k) == EXIT_UNREAD ? k : KERR_IO;
}

/* ---- the write-ahead log ---- */

static int is_wal(const struct dirent *entry)
{
    const char *name = entry->d_name;
    return strlen(name) == WAL_NAME_CHARS && name[16] == '-' && strcmp(name + 33, ".wal") == 0 &&
           strspn(name, "0123456789abcdef") == 16 && strspn(name + 17, "0123456789abcdef") == 16;
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
    enum kerr k = KERR_OK;
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

/* ---- all of it ---- */

enum kerr audit_source_open(const char *snapshot, const char *data_dir, struct audit_source *ret,
                            struct kerrinfo *e)
{
    char *path = NULL;
    *ret = (struct audit_source){.name = snapshot != NULL ? snapshot : data_dir};
    ret->files = calloc(AUDIT_FILES_MAX, sizeof *ret->files);
    if (ret->files == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a list of files");
    }
    enum kerr k = join(ret->name, "", snapshot != NULL ? "" : DB_IN_FOLDER, &path, e);
    k = k == KERR_OK ? add_file(ret, path, e) : k;
    k = k == KERR_OK ? bbolt_open(ret->files[0].map.data, ret->files[0].path, &ret->db, e) : k;
    if (k == KERR_OK && data_dir != NULL) {
        k = find_wals(ret, data_dir, e);
    }
    ret->kind = data_dir != NULL ? "data-dir" : ret->db.hash.len > 0 ? "snapshot" : "db";
    return k;
}

void audit_source_done(struct audit_source *s)
{
    bbolt_close(&s->db);
    for (size_t i = 0; i < s->count; i++) {
        file_map_close(&s->files[i].map);
        free(s->files[i].path);
    }
    free(s->files);
    *s = (struct audit_source){.count = 0};
}

/* File by file, the chain of CRCs going on from one to the next. */
static enum kerr read_wals(struct audit_source *s, struct audit *a, struct kerrinfo *e)
{
    enum kerr k = KERR_OK;
    struct wal w = wal_on(bytes_of(NULL, 0), s->name);
    for (size_t i = 1; i < s->count && k == KERR_OK; i++) {
        wal_next_file(&w, s->files[i].map.data, s->files[i].path, i + 1 == s->count);
        k = audit_wal(a, &w, e);
    }
    return k;
}

enum kerr audit_source_read(struct audit_source *s, struct audit *a, bool with_digest,
                            audit_progress_fn *progress, void *progress_ctx, struct audit_db *ret,
                            struct kerrinfo *e)
{
    enum kerr k = with_digest ? bbolt_check_hash(&s->db, e) : KERR_OK;
    k = k == KERR_OK ? audit_db(a, &s->db, progress, progress_ctx, ret, e) : k;
    k = k == KERR_OK ? read_wals(s, a, e) : k;
    for (size_t i = 0; i < s->count && k == KERR_OK && with_digest; i++) {
        uint8_t hash[HASH_BYTES];
        hash_sha256(s->files[i].map.data, hash);
        text_hex(BYTES_OF(hash), s->files[i].sha256);
    }
    return k;
}
