/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: reading without following links, and the one way in which this project replaces a file.
 *
 * Everything happens relative to an open folder, so that a folder swapped underneath changes
 * nothing. Only regular files are read. No function follows a symbolic link in the last component.
 * Errors name the file. Thread-safe except file_identity_*, which changes the whole process.
 */
#ifndef ETCDSEAL_BASE_FILE_H
#define ETCDSEAL_BASE_FILE_H

#include <sys/types.h>
#include <time.h>

#include "base/bytes.h"
#include "base/secret.h"

void file_close_at(int *fd); /* closes what is ≥ 0, leaves -1; keeps errno */
#define AUTO_FD AUTO(file_close_at) int

/* An open folder and what it was called, for messages. */
struct file_dir {
    int fd;
    uid_t uid;
    gid_t gid;
    mode_t mode; /* permission bits */
    char *path;
};

/* Opens an existing folder; a symbolic link in its place is DENIED, another kind of file INPUT. */
enum kerr file_dir_open(const char *path, struct file_dir *ret, struct kerrinfo *e) MUST_CHECK;
/* Makes it first (mode 0700) when it does not exist; the parent must. */
enum kerr file_dir_make(const char *path, struct file_dir *ret, struct kerrinfo *e) MUST_CHECK;
/* DENIED with the curing command unless the folder is private to its owner (no group or other
 * permission bit) and its owner is the effective user, or the effective user is root. */
enum kerr file_dir_check_private(const struct file_dir *dir, struct kerrinfo *e) MUST_CHECK;
void file_dir_close(struct file_dir *dir); /* NULL and unopened ({.fd = -1}) are fine */
#define FILE_DIR_NONE ((struct file_dir){.fd = -1})
#define AUTO_DIR      AUTO(file_dir_close) struct file_dir

/* Splits a path into its folder and its last component: "x" gives "." and "x". Free both with
 * free(). INPUT for an empty last component, "." or "..". */
enum kerr file_split(const char *path, char **ret_dir, char **ret_name,
                     struct kerrinfo *e) MUST_CHECK;

/* While a root process works in a folder of another user it takes that user's effective ids, so
 * that the files it makes belong to the daemon's user. No-op when not root or when root owns the
 * folder. Process-wide; the caller restores before anything else runs. */
struct file_identity {
    bool is_changed;
    uid_t uid;
    gid_t gid;
};
enum kerr file_identity_assume(const struct file_dir *dir, struct file_identity *ret,
                               struct kerrinfo *e) MUST_CHECK;
void file_identity_restore(struct file_identity *id); /* aborts if the kernel refuses */
#define AUTO_IDENTITY AUTO(file_identity_restore) struct file_identity

enum file_read_flags {
    FILE_READ_ANY = 0,
    FILE_READ_PRIVATE = 1 << 0, /* refuse group or other permission bits: DENIED with the cure */
    FILE_READ_OWNED = 1 << 1,   /* refuse an owner other than the folder's: DENIED with the cure */
};

/* Reads a whole regular file of at most `max` bytes (LIMIT beyond). NOTFOUND, DENIED for a link,
 * INPUT for another kind of file. `path` may be absolute or relative to `dir`; dir NULL: the
 * working folder. `ret` must be a fresh buffer; its maximum is set to `max`. */
enum kerr file_read(const struct file_dir *dir, const char *name, size_t max, unsigned flags,
                    struct buf *ret, struct kerrinfo *e) MUST_CHECK;
/* The same into locked memory; an empty file is INPUT. */
enum kerr file_read_secret(const struct file_dir *dir, const char *name, size_t max, unsigned flags,
                           struct secret **ret, struct kerrinfo *e) MUST_CHECK;
/* A file whose content opens something: private, and owned by root, the effective user or `owner`,
 * since whoever owns it knows it. DENIED otherwise. */
enum kerr file_read_key(const char *path, uid_t owner, size_t max, struct secret **ret,
                        struct kerrinfo *e) MUST_CHECK;
/* Reads an open descriptor to its end into locked memory (a pipe for passphrase:fd=N). */
enum kerr file_read_fd_secret(int fd, const char *what, size_t max, struct secret **ret,
                              struct kerrinfo *e) MUST_CHECK;
/* Whether the name exists (a link counts). */
enum kerr file_exists(const struct file_dir *dir, const char *name, bool *ret,
                      struct kerrinfo *e) MUST_CHECK;

/* What tells a file that was replaced or rewritten. All zero: there is none, or no path (NULL).
 * Follows links. */
struct file_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};
struct file_stamp file_stamp(const char *path);
bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b);

/* Called with the bytes that were read back from the new file before it takes its place. */
typedef enum kerr file_verify_fn(void *ctx, struct bytes read_back, struct kerrinfo *e);

struct file_replace {
    const struct file_dir *dir;
    const char *name;
    struct bytes data;
    const char *prev;       /* keep the replaced file under this name; NULL: do not keep it */
    bool is_new;            /* the name must not exist: EXISTS */
    file_verify_fn *verify; /* may be NULL */
    void *verify_ctx;
};

/* Replaces a file so that a crash at any point leaves the old or the new one whole: temporary file
 * in the same folder (0600 from birth) → write → fsync → read back, compare, verify → link the
 * current file as <prev>.tmp and rename that over <prev> → rename over the name → fsync the folder.
 * A leftover temporary file of an earlier crash is removed. The caller holds the lock. On failure
 * the name is untouched, but for one case: when only the last step, syncing the folder, fails, the
 * new file is in place already and the error says so. */
enum kerr file_replace(const struct file_replace *r, struct kerrinfo *e) MUST_CHECK;

/* Makes a file that must not exist (EXISTS), 0600 from birth, given to `uid` and `gid` (only root
 * can give it to another), synced with its folder. It appears whole or not at all. */
enum kerr file_create(const char *path, struct bytes data, uid_t uid, gid_t gid,
                      struct kerrinfo *e) MUST_CHECK;

/* Removes a file and syncs the folder; absent is fine. */
enum kerr file_remove(const struct file_dir *dir, const char *name, struct kerrinfo *e) MUST_CHECK;

/* Removes a file that file_replace keeps as `prev`, and what a crash may have left of keeping it.
 */
enum kerr file_remove_kept(const struct file_dir *dir, const char *prev,
                           struct kerrinfo *e) MUST_CHECK;

/* Takes an exclusive lock on a file of its own (made 0600 when absent, never removed), waiting up
 * to `wait_ms`. BUSY. Closing the descriptor releases it. */
enum kerr file_lock(const struct file_dir *dir, const char *name, unsigned wait_ms, int *ret,
                    struct kerrinfo *e) MUST_CHECK;

#endif
