/* SPDX-License-Identifier: Apache-2.0 */
/*
 * There is no shared memory between readers here (version 1 of the methods): SQLite reads the log
 * all the same once its locking mode is exclusive, and keeps the log's index to itself.
 */
#include "stored/kine_vfs.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECTOR_BYTES 4096
#define PATH_BYTES   64
#define LOG_SUFFIX   "-wal"

/* Days of the Julian calendar at 1970, in milliseconds. */
#define JULIAN_DAY_1970 2440587.5
#define SECONDS_A_DAY   86400.0

struct view {
    sqlite3_file base;
    struct bytes data;
};

static int view_close(sqlite3_file *file)
{
    (void)file;
    return SQLITE_OK;
}

/* What lies behind the end reads as zeros, and says so. */
static int view_read(sqlite3_file *file, void *to, int amount, sqlite3_int64 offset)
{
    const struct view *v = (const void *)file;
    size_t len = (size_t)amount;
    size_t from = (size_t)offset < v->data.len ? (size_t)offset : v->data.len;
    size_t have = v->data.len - from < len ? v->data.len - from : len;
    if (have > 0) {
        memcpy(to, v->data.ptr + from, have);
    }
    memset((char *)to + have, 0, len - have);
    return have == len ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int view_write(sqlite3_file *file, const void *from, int amount, sqlite3_int64 offset)
{
    (void)file;
    (void)from;
    (void)amount;
    (void)offset;
    return SQLITE_READONLY;
}

static int view_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    (void)file;
    (void)size;
    return SQLITE_READONLY;
}

static int view_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return SQLITE_OK;
}

static int view_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)((const struct view *)(const void *)file)->data.len;
    return SQLITE_OK;
}

/* Nobody else sees these bytes. */
static int view_lock(sqlite3_file *file, int level)
{
    (void)file;
    (void)level;
    return SQLITE_OK;
}

static int view_is_reserved(sqlite3_file *file, int *ret)
{
    (void)file;
    *ret = 0;
    return SQLITE_OK;
}

static int view_control(sqlite3_file *file, int op, void *arg)
{
    (void)file;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int view_sector(sqlite3_file *file)
{
    (void)file;
    return SECTOR_BYTES;
}

static int view_traits(sqlite3_file *file)
{
    (void)file;
    return 0;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = view_close,
    .xRead = view_read,
    .xWrite = view_write,
    .xTruncate = view_truncate,
    .xSync = view_sync,
    .xFileSize = view_size,
    .xLock = view_lock,
    .xUnlock = view_lock,
    .xCheckReservedLock = view_is_reserved,
    .xFileControl = view_control,
    .xSectorSize = view_sector,
    .xDeviceCharacteristics = view_traits,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                    int *ret_flags)
{
    const struct kine_vfs *v = vfs->pAppData;
    struct view *to = (void *)file;
    bool is_log = (flags & SQLITE_OPEN_WAL) != 0;
    (void)name;
    *to = (struct view){.base = {.pMethods = NULL}};
    if (!is_log && (flags & SQLITE_OPEN_MAIN_DB) == 0) {
        return SQLITE_CANTOPEN;
    }
    to->base.pMethods = &methods;
    to->data = is_log ? v->wal : v->db;
    if (ret_flags != NULL) {
        *ret_flags = SQLITE_OPEN_READONLY | (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB));
    }
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int with_folder)
{
    (void)vfs;
    (void)name;
    (void)with_folder;
    return SQLITE_READONLY;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    const struct kine_vfs *v = vfs->pAppData;
    *ret = strcmp(name, KINE_VFS_FILE LOG_SUFFIX) == 0 ? v->wal.len > 0
                                                       : strcmp(name, KINE_VFS_FILE) == 0;
    *ret = *ret != 0 && flags != SQLITE_ACCESS_READWRITE;
    return SQLITE_OK;
}

static int vfs_path(sqlite3_vfs *vfs, const char *name, int size, char *to)
{
    (void)vfs;
    return snprintf(to, (size_t)size, "%s", name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

/* Names temporary tables, of which there are none. */
static int vfs_random(sqlite3_vfs *vfs, int size, char *to)
{
    (void)vfs;
    memset(to, 0, (size_t)size);
    return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

static int vfs_time(sqlite3_vfs *vfs, double *ret)
{
    (void)vfs;
    *ret = JULIAN_DAY_1970 + (double)time(NULL) / SECONDS_A_DAY;
    return SQLITE_OK;
}

static int vfs_error(sqlite3_vfs *vfs, int size, char *to)
{
    (void)vfs;
    (void)size;
    (void)to;
    return SQLITE_OK;
}

int kine_vfs_init(struct kine_vfs *v, struct bytes db, struct bytes wal)
{
    v->db = db;
    v->wal = wal;
    (void)snprintf(v->name, sizeof v->name, "etcdseal-%p", (void *)v);
    v->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = sizeof(struct view),
        .mxPathname = PATH_BYTES,
        .zName = v->name,
        .pAppData = v,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_path,
        .xRandomness = vfs_random,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_error,
    };
    return sqlite3_vfs_register(&v->vfs, 0);
}

void kine_vfs_done(struct kine_vfs *v)
{
    (void)sqlite3_vfs_unregister(&v->vfs);
}
