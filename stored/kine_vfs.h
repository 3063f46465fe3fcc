/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SQLite takes for its file system: two byte strings, a database and its log, that can be read
 * and nothing else. Private to stored.
 */
#ifndef ETCDSEAL_STORED_KINE_VFS_H
#define ETCDSEAL_STORED_KINE_VFS_H

#include <sqlite3.h>

#include "base/bytes.h"

#define KINE_VFS_NAME_BYTES 40
#define KINE_VFS_FILE       "kine" /* what to open in it */

struct kine_vfs {
    sqlite3_vfs vfs;
    char name[KINE_VFS_NAME_BYTES];
    struct bytes db;
    struct bytes wal;
};

/* Registers it under a name of its own; it stays where it is until kine_vfs_done. */
int kine_vfs_init(struct kine_vfs *v, struct bytes db, struct bytes wal);
void kine_vfs_done(struct kine_vfs *v);

#endif
