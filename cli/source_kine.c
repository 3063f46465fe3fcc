/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kine's database, in which k3s keeps its keys. It may run: what it does is held off by the locks
 * that every reader of SQLite takes, until the audit has read. Nothing is written, not even the
 * shared memory in which such readers would note themselves: locks alone tell the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "audit/kine.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/audit_source.h"

/* Where SQLite locks the database: readers share these bytes. */
#define DB_SHARED_FROM  0x40000002
#define DB_SHARED_BYTES 510
/* And its shared memory: who moves pages from the log into the database holds the first, who
 * begins the log anew the second. */
#define SHM_CHECKPOINT 121
#define SHM_READER     124

#define LOCK_WAIT_MS 10000
#define LOCK_TRY_US  20000

struct own {
    int shm; /* -1: there is none, so nobody has the database open */
    struct file_stamp stamp;
    struct sqlite_pages pages;
    struct kine *kine;
    uint64_t memory_max; /* of SQLite */
    bool is_memory_taken;
};

static const char *named(const struct options *o)
{
    return o->kine;
}

static enum kerr join(const char *name, const char *suffix, char **ret, struct kerrinfo *e)
{
    return asprintf(ret, "%s%s", name, suffix) >= 0
               ? KERR_OK
               : kerr_set(e, KERR_NOMEM, "no memory for a path");
}

/* ---- a kine that runs ---- */

/* Locks of the open file, not of the process. */
static enum kerr share(int fd, off_t from, off_t len, const char *name, struct kerrinfo *e)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = len};
    uint64_t until = clock_mono_ms() + LOCK_WAIT_MS;
    while (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        if (errno != EAGAIN && errno != EACCES) {
            return kerr_errno(e, errno, "cannot lock %s for reading", name);
        }
        if (clock_mono_ms() >= until) {
            return kerr_set(e, KERR_BUSY, "%s is being written by kine all the time; try again",
                            name);
        }
        (void)usleep(LOCK_TRY_US);
    }
    return KERR_OK;
}

static enum kerr lock_shm(const struct audit_source *s, struct own *own, struct kerrinfo *e)
{
    AUTO_TEXT path = NULL;
    enum kerr k = join(s->name, "-shm", &path, e);
    if (k != KERR_OK) {
        return k;
    }
    own->shm = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (own->shm < 0) {
        return errno == ENOENT ? KERR_OK : kerr_errno(e, errno, "cannot open %s", path);
    }
    k = share(own->shm, SHM_CHECKPOINT, 1, path, e);
    return k == KERR_OK ? share(own->shm, SHM_READER, 1, path, e) : k;
}

static enum kerr check_same(const struct audit_source *s, const struct own *own, struct kerrinfo *e)
{
    struct file_stamp now = file_stamp(s->name);
    return file_stamp_equal(&own->stamp, &now)
               ? KERR_OK
               : kerr_set(e, KERR_BUSY, "%s changed while it was read; try again", s->name);
}

/* ---- the files ---- */

/* Without the log, SQLite writes over pages and keeps here what they held. */
static enum kerr check_journal(const struct audit_source *s, struct kerrinfo *e)
{
    AUTO_TEXT path = NULL;
    enum kerr k = join(s->name, "-journal", &path, e);
    return k != KERR_OK || file_stamp(path).size == 0
               ? k
               : kerr_set(e, KERR_BUSY,
                          "%s holds a transaction that was not ended; start kine once and stop it, "
                          "then audit",
                          path);
}

static enum kerr add_wal(struct audit_source *s, struct kerrinfo *e)
{
    char *path = NULL;
    enum kerr k = join(s->name, "-wal", &path, e);
    if (k == KERR_OK && file_stamp(path).size > 0) {
        return audit_source_add_file(s, path, e);
    }
    free(path);
    return k;
}

static enum kerr add_files(struct audit_source *s, struct own *own, struct kerrinfo *e)
{
    char *path = NULL;
    enum kerr k = check_journal(s, e);
    k = k == KERR_OK ? lock_shm(s, own, e) : k;
    own->stamp = file_stamp(s->name);
    k = k == KERR_OK ? join(s->name, "", &path, e) : k;
    k = k == KERR_OK ? audit_source_add_file(s, path, e) : k;
    if (k == KERR_OK) {
        k = share(s->files[0].map.fd, DB_SHARED_FROM, DB_SHARED_BYTES, s->name, e);
    }
    k = k == KERR_OK ? check_same(s, own, e) : k;
    return k == KERR_OK ? add_wal(s, e) : k;
}

static enum kerr open_kine(const struct options *o, struct audit_source *ret, struct kerrinfo *e)
{
    struct own *own = calloc(1, sizeof *own);
    (void)o;
    ret->kind_name = "kine";
    ret->own = own;
    if (own == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a database");
    }
    own->shm = -1;
    enum kerr k = add_files(ret, own, e);
    if (k == KERR_OK) {
        struct bytes wal = ret->count > 1 ? ret->files[1].map.data : bytes_of(NULL, 0);
        k = sqlite_pages_open(ret->files[0].map.data, wal, ret->name, &own->pages, e);
    }
    uint64_t half = memory_left(ret->memory) / 2;
    own->memory_max = half < KINE_MEMORY_MAX ? half : KINE_MEMORY_MAX;
    k = k == KERR_OK ? memory_take(ret->memory, own->memory_max, "what SQLite needs", e) : k;
    own->is_memory_taken = k == KERR_OK;
    return k == KERR_OK ? kine_open(&own->pages, own->memory_max, &own->kine, e) : k;
}

static enum kerr read_kine(struct audit_source *s, const struct options *o, struct audit *a,
                           const struct audit_told *told, struct kerrinfo *e)
{
    struct own *own = s->own;
    struct kerrinfo cause = {0};
    (void)o;
    /* SQLite's check last: what is found before has its place in the file. */
    enum kerr k = audit_kine(a, own->kine, &own->pages, told->fn, told->ctx, &s->found, &cause);
    k = k == KERR_OK && !s->found.is_partial ? kine_check(own->kine, &cause) : k;
    s->is_partial = s->found.is_partial;
    if (k != KERR_OK) {
        bool is_tight = k == KERR_NOMEM && own->memory_max < KINE_MEMORY_MAX;
        return kerr_set(e, k, "%s%s", cause.text, is_tight ? "; allow more with --max-memory" : "");
    }
    return k == KERR_OK ? check_same(s, own, e) : k;
}

static void close_kine(struct audit_source *s)
{
    struct own *own = s->own;
    if (own != NULL) {
        kine_close(&own->kine);
        sqlite_pages_close(&own->pages);
        file_close_at(&own->shm);
        memory_give(s->memory, own->is_memory_taken ? own->memory_max : 0);
    }
    free(own);
}

const struct audit_source_kind audit_source_kine = {
    .option = "--kine FILE",
    .unit = "bytes",
    .is_passing = true,
    .named = named,
    .open = open_kine,
    .read = read_kine,
    .done = close_kine,
};
