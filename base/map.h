/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is too large to be copied, mapped into memory for reading.
 *
 * The file is opened read-only and locked against programs that take an exclusive flock on what
 * they write, as etcd does on its database: while one runs, opening is BUSY. A symbolic link is
 * followed, since nothing is written and the caller named it. Somebody who makes the file shorter
 * while it is mapped, or a disk that fails, raises SIGBUS in who reads it: the program says what
 * that does. Any thread may read the bytes.
 *
 * Codes: NOTFOUND, DENIED, BUSY, INPUT for what is no regular file or empty, IO.
 */
#ifndef ETCDSEAL_BASE_MAP_H
#define ETCDSEAL_BASE_MAP_H

#include "base/bytes.h"

struct file_map_ahead;

struct file_map {
    struct bytes data;
    int fd;
    struct file_map_ahead *ahead; /* NULL: nobody reads ahead */
};

enum kerr file_map_open(const char *path, struct file_map *ret, struct kerrinfo *e) MUST_CHECK;
/* For who will read all of it: a thread has the kernel bring what is not in memory yet from the
 * disk, from the beginning on, so that the reader seldom waits for it. Until file_map_close, and
 * only where the file leaves half of the memory free; that there is no thread is no failure. */
void file_map_read_ahead(struct file_map *m);
void file_map_close(struct file_map *m); /* FILE_MAP_NONE is fine */
#define FILE_MAP_NONE ((struct file_map){.fd = -1})
#define AUTO_MAP      AUTO(file_map_close) struct file_map

#endif
