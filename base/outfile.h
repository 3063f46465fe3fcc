/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is written piece by piece and takes its place whole, for what is too large to be held
 * in memory: file_replace (base/file.h) without reading back. Who looks meanwhile sees the old file
 * or none; who ends without outfile_place leaves nothing.
 *
 * The temporary file carries the process id, so two programs that write to one name do not meet:
 * the later one wins. What a killed program leaves is named ".NAME.PID.tmp". Only a regular file is
 * replaced, or nothing: INPUT for a link, a device, a folder. One file belongs to one thread.
 */
#ifndef ETCDSEAL_BASE_OUTFILE_H
#define ETCDSEAL_BASE_OUTFILE_H

#include <limits.h>

#include "base/file.h"

struct outfile {
    const struct file_dir *dir; /* NULL: not begun, or in its place */
    int fd;
    char name[NAME_MAX + 1];
    char temp[NAME_MAX + 1];
};
#define OUTFILE_NONE ((struct outfile){.fd = -1})

/* `dir` is borrowed until the end; `mode` is what the file gets, whatever the umask is. LIMIT for a
 * name that is too long. */
enum kerr outfile_begin(const struct file_dir *dir, const char *name, mode_t mode,
                        struct outfile *ret, struct kerrinfo *e) MUST_CHECK;
enum kerr outfile_put(struct outfile *f, struct bytes data, struct kerrinfo *e) MUST_CHECK;
/* All is written: what the disk refuses is said here, before anything is replaced. */
enum kerr outfile_sync(struct outfile *f, struct kerrinfo *e) MUST_CHECK;
/* After outfile_sync. */
enum kerr outfile_place(struct outfile *f, struct kerrinfo *e) MUST_CHECK;
void outfile_done(struct outfile *f); /* removes what is not in its place; OUTFILE_NONE is fine */
#define AUTO_OUTFILE AUTO(outfile_done) struct outfile

#endif
