/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a keystore and their names; the only file of this room that touches them. Each call
 * works with the folder owner's ids (base/file.h).
 */
#ifndef ETCDSEAL_KEYSTORE_KS_FILES_H
#define ETCDSEAL_KEYSTORE_KS_FILES_H

#include "base/file.h"
#include "keystore/ks_model.h"
#include "seal/seal.h"

enum ks_file {
    KS_FILE_KEYSTORE,
    KS_FILE_PREV,
    KS_FILE_UNSEAL,
    KS_FILE_ACCEPTED,
    KS_FILE_LOCK,
    KS_FILE_DAMAGED,
    KS_FILE_BACKED_UP,
    KS_FILE_COUNT
};

struct ks_folder {
    struct file_dir dir;
    char *names[KS_FILE_COUNT];
};

#define KS_FOLDER_NONE ((struct ks_folder){.dir = {.fd = -1}})
/* `may_make`: the folder (not its parent) is made when absent. Checks that it is private. */
enum kerr ks_folder_open(const char *path, bool may_make, struct ks_folder *ret,
                         struct kerrinfo *e) MUST_CHECK;
void ks_folder_close(struct ks_folder *f);
#define AUTO_FOLDER AUTO(ks_folder_close) struct ks_folder

/* Reads one of the files whole; `ret` is a fresh buffer. NOTFOUND when absent. */
enum kerr ks_folder_read(const struct ks_folder *f, enum ks_file which, struct buf *ret,
                         struct kerrinfo *e) MUST_CHECK;
enum kerr ks_folder_exists(const struct ks_folder *f, enum ks_file which, bool *ret,
                           struct kerrinfo *e) MUST_CHECK;
enum kerr ks_folder_lock(const struct ks_folder *f, int *ret_fd, struct kerrinfo *e) MUST_CHECK;

struct ks_folder_write {
    enum ks_file which;
    struct bytes data;
    bool is_new;       /* EXISTS if there is one */
    bool keep_prev;    /* the replaced file becomes PATH.prev */
    bool keep_damaged; /* or PATH.damaged */
    file_verify_fn *verify;
    void *verify_ctx;
};
enum kerr ks_folder_write(const struct ks_folder *f, const struct ks_folder_write *w,
                          struct kerrinfo *e) MUST_CHECK;
/* Removes PATH.prev, PATH.damaged, and what a crash may have left of making them. */
enum kerr ks_folder_remove_previous(const struct ks_folder *f, struct kerrinfo *e) MUST_CHECK;

/* Text of PATH.unseal ↔ SPECs: a line "SLOT: KIND:ARG" each, '#' begins a comment line. Pure;
 * FORMAT names the line. */
enum kerr ks_unseal_parse(struct bytes text, struct seal_spec **ret, size_t *ret_count,
                          struct kerrinfo *e) MUST_CHECK;
enum kerr ks_unseal_print(const struct seal_spec *const *specs, size_t count, struct buf *ret,
                          struct kerrinfo *e) MUST_CHECK;
void ks_specs_free(struct seal_spec *specs, size_t count);

#endif
