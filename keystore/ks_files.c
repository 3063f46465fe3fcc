/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/ks_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "keystore/ks.h"
#include "keystore/ks_accept.h"
#include "keystore/ks_backup.h"

struct file_row {
    const char *suffix;
    size_t max;
};

#define UNSEAL_FILE_MAX 16384

static const struct file_row files[KS_FILE_COUNT] = {
    [KS_FILE_KEYSTORE] = {"", KS_FILE_MAX},
    [KS_FILE_PREV] = {".prev", KS_FILE_MAX},
    [KS_FILE_UNSEAL] = {".unseal", UNSEAL_FILE_MAX},
    [KS_FILE_ACCEPTED] = {".accepted", KS_ACCEPTED_FILE_MAX},
    [KS_FILE_LOCK] = {".lock", 0},
    [KS_FILE_DAMAGED] = {".damaged", KS_FILE_MAX},
    [KS_FILE_BACKED_UP] = {".backed-up", KS_BACKED_UP_FILE_MAX},
};

static enum kerr set_names(struct ks_folder *f, const char *name, struct kerrinfo *e)
{
    for (size_t i = 0; i < KS_FILE_COUNT; i++) {
        AUTO_BUF text;
        buf_init(&text, 512);
        enum kerr k = buf_printf(&text, e, "%s%s", name, files[i].suffix);
        if (k == KERR_OK) {
            k = text_dup(buf_view(&text), &f->names[i], e);
        }
        if (k != KERR_OK) {
            return k;
        }
    }
    return KERR_OK;
}

enum kerr ks_folder_open(const char *path, bool may_make, struct ks_folder *ret, struct kerrinfo *e)
{
    AUTO_TEXT folder = NULL;
    AUTO_TEXT name = NULL;
    AUTO_FOLDER f = KS_FOLDER_NONE;
    enum kerr k = file_split(path, &folder, &name, e);
    if (k == KERR_OK) {
        k = may_make ? file_dir_make(folder, &f.dir, e) : file_dir_open(folder, &f.dir, e);
    }
    if (k == KERR_NOTFOUND) {
        kerr_clear(e);
        (void)kerr_set(e, k, "there is no keystore %s; make one with 'etcdseal init'", path);
    }
    if (k == KERR_OK) {
        k = file_dir_check_private(&f.dir, e);
    }
    if (k == KERR_OK) {
        k = set_names(&f, name, e);
    }
    if (k == KERR_OK) {
        *ret = f;
        f = KS_FOLDER_NONE;
    }
    return k;
}

void ks_folder_close(struct ks_folder *f)
{
    file_dir_close(&f->dir);
    for (size_t i = 0; i < KS_FILE_COUNT; i++) {
        free(f->names[i]);
        f->names[i] = NULL;
    }
}

enum kerr ks_folder_read(const struct ks_folder *f, enum ks_file which, struct buf *ret,
                         struct kerrinfo *e)
{
    AUTO_IDENTITY id = {0};
    enum kerr k = file_identity_assume(&f->dir, &id, e);
    if (k == KERR_OK) {
        k = file_read(&f->dir, f->names[which], files[which].max,
                      FILE_READ_PRIVATE | FILE_READ_OWNED, ret, e);
    }
    return k;
}

enum kerr ks_folder_exists(const struct ks_folder *f, enum ks_file which, bool *ret,
                           struct kerrinfo *e)
{
    return file_exists(&f->dir, f->names[which], ret, e);
}

enum kerr ks_folder_lock(const struct ks_folder *f, int *ret_fd, struct kerrinfo *e)
{
    AUTO_IDENTITY id = {0};
    enum kerr k = file_identity_assume(&f->dir, &id, e);
    return k == KERR_OK ? file_lock(&f->dir, f->names[KS_FILE_LOCK], KS_LOCK_WAIT_MS, ret_fd, e)
                        : k;
}

enum kerr ks_folder_write(const struct ks_folder *f, const struct ks_folder_write *w,
                          struct kerrinfo *e)
{
    AUTO_IDENTITY id = {0};
    enum kerr k = file_identity_assume(&f->dir, &id, e);
    if (k != KERR_OK) {
        return k;
    }
    struct file_replace r = {
        .dir = &f->dir,
        .name = f->names[w->which],
        .data = w->data,
        .prev = w->keep_prev      ? f->names[KS_FILE_PREV]
                : w->keep_damaged ? f->names[KS_FILE_DAMAGED]
                                  : NULL,
        .is_new = w->is_new,
        .verify = w->verify,
        .verify_ctx = w->verify_ctx,
    };
    return file_replace(&r, e);
}

enum kerr ks_folder_remove_previous(const struct ks_folder *f, struct kerrinfo *e)
{
    static const enum ks_file olds[] = {KS_FILE_PREV, KS_FILE_DAMAGED};
    AUTO_IDENTITY id = {0};
    enum kerr k = file_identity_assume(&f->dir, &id, e);
    for (size_t i = 0; i < ARRAY_LEN(olds) && k == KERR_OK; i++) {
        k = file_remove_kept(&f->dir, f->names[olds[i]], e);
    }
    return k;
}

void ks_specs_free(struct seal_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        seal_spec_done(&specs[i]);
    }
    free(specs);
}

static struct bytes trim(struct bytes line)
{
    while (line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t')) {
        line = bytes_of(line.ptr + 1, line.len - 1);
    }
    while (line.len > 0 && strchr(" \t\r", line.ptr[line.len - 1]) != NULL) {
        line.len--;
    }
    return line;
}

/* Descriptors and the like are given on a command line, never found in a file. */
static enum kerr parse_lasting(const char *text, struct seal_spec *ret, struct kerrinfo *e)
{
    AUTO_SPEC spec = {0};
    AUTO_TEXT keep = NULL;
    enum kerr k = seal_spec_parse(text, &spec, e);
    if (k == KERR_OK) {
        k = seal_spec_keep(&spec, &keep, e);
    }
    if (k == KERR_OK && strcmp(keep, spec.text) != 0) {
        k = kerr_set(e, KERR_FORMAT, "%s is good for one call only; expected %s", spec.text, keep);
    }
    if (k == KERR_OK) {
        *ret = spec;
        spec = (struct seal_spec){0};
    }
    return k;
}

/* "boot: file:/x" is the SPEC "boot=file:/x". */
static enum kerr parse_line(struct bytes line, struct seal_spec *ret, struct kerrinfo *e)
{
    const uint8_t *colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL) {
        return kerr_set(e, KERR_FORMAT, "expected \"SLOT: KIND:ARGUMENT\"");
    }
    size_t name_len = (size_t)(colon - line.ptr);
    struct bytes rest = trim(bytes_of(colon + 1, line.len - name_len - 1));
    AUTO_BUF spec;
    const char *text;
    buf_init(&spec, UNSEAL_FILE_MAX);
    enum kerr k = buf_put(&spec, trim(bytes_of(line.ptr, name_len)), e);
    if (k == KERR_OK) {
        k = buf_put_text(&spec, "=", e);
    }
    if (k == KERR_OK) {
        k = buf_put(&spec, rest, e);
    }
    if (k == KERR_OK) {
        k = buf_text(&spec, &text, e);
    }
    return k == KERR_OK ? parse_lasting(text, ret, e) : k;
}

enum kerr ks_unseal_parse(struct bytes text, struct seal_spec **ret, size_t *ret_count,
                          struct kerrinfo *e)
{
    struct seal_spec *specs = calloc(KS_SLOTS_MAX, sizeof *specs);
    size_t count = 0;
    size_t number = 0;
    size_t at = 0;
    enum kerr k = specs == NULL ? kerr_set(e, KERR_NOMEM, "no memory for seals") : KERR_OK;
    while (k == KERR_OK && at < text.len) {
        const uint8_t *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t len = end == NULL ? text.len - at : (size_t)(end - text.ptr) - at;
        struct bytes line = trim(bytes_of(text.ptr + at, len));
        at += len + 1;
        number++;
        if (line.len == 0 || line.ptr[0] == '#') {
            continue;
        }
        k = count == KS_SLOTS_MAX ? kerr_set(e, KERR_LIMIT, "more than %d slots", KS_SLOTS_MAX)
                                  : parse_line(line, &specs[count], e);
        count += k == KERR_OK;
    }
    if (k != KERR_OK) {
        kerr_prefix(e, "keystore.unseal, line %zu", number);
        ks_specs_free(specs, count);
        return k;
    }
    *ret = specs;
    *ret_count = count;
    return KERR_OK;
}

enum kerr ks_unseal_print(const struct seal_spec *const *specs, size_t count, struct buf *ret,
                          struct kerrinfo *e)
{
    AUTO_BUF out;
    buf_init(&out, UNSEAL_FILE_MAX);
    enum kerr k = buf_put_text(&out,
                               "# How this node opens its keystore, tried in this order: SLOT: "
                               "KIND:ARGUMENT.\n# This file stays on this node.\n",
                               e);
    for (size_t i = 0; i < count && k == KERR_OK; i++) {
        AUTO_TEXT keep = NULL;
        k = seal_spec_keep(specs[i], &keep, e);
        if (k == KERR_OK) {
            k = buf_printf(&out, e, "%s: %s\n", specs[i]->slot, keep);
        }
    }
    if (k == KERR_OK) {
        *ret = out;
        out = (struct buf){0};
    }
    return k;
}
