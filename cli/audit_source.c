/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/audit_source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/out.h"

#define EXIT_UNREAD   3
#define OPTIONS_BYTES 256

/* Of the program and its libraries, with the lists that have a maximum and the text of a report
 * until it leaves: some 15 MB were seen. */
#define PROGRAM_BYTES ((uint64_t)32 << 20)

static const struct audit_source_kind *const kinds[] = {
    &audit_source_snapshot, &audit_source_data_dir, &audit_source_kine,
    &audit_source_etcd,     &audit_source_member,
};

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

/* Exit codes 1, 2 and 4 speak of what was found or asked; a source that can't be read is 3. */
static enum kerr unread(enum kerr k)
{
    return k == KERR_OK || kerr_exit_code(k) == EXIT_UNREAD ? k : KERR_IO;
}

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
}

/* The first Ctrl-C ends the scan with a report of what was read, a second one the program. */
static enum kerr catch_interrupt(struct kerrinfo *e)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    return sigaction(SIGINT, &action, NULL) == 0
               ? KERR_OK
               : kerr_set(e, KERR_BUG, "cannot set a handler for SIGINT");
}

/* ---- which one ---- */

static enum kerr say_options(struct kerrinfo *e)
{
    char names[OPTIONS_BYTES] = "";
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds) && len < sizeof names; i++) {
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i == 0 ? "" : ", ",
                                kinds[i]->option);
    }
    return kerr_set(e, KERR_USAGE, "name one thing to audit (%s); see 'etcdseal audit --help'",
                    names);
}

const struct audit_source_kind *audit_source_of_backup(const char *path)
{
    /* With its NUL: https://www.sqlite.org/fileformat2.html, 1.3.1. */
    static const char sqlite[] = "SQLite format 3";
    char magic[sizeof sqlite] = "";
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is_kine = fd >= 0 && pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
                   memcmp(magic, sqlite, sizeof sqlite) == 0;
    return is_kine ? &audit_source_kine : &audit_source_snapshot;
}

bool audit_source_is_named(const struct options *o)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const char *name = kinds[i]->named(o);
        if (name != NULL && *name != 0) {
            return true;
        }
    }
    return false;
}

enum kerr audit_source_find(const struct options *o, const struct audit_source_kind **ret,
                            struct kerrinfo *e)
{
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i]->named(o) != NULL) {
            *ret = kinds[i];
            count++;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds) && count == 0; i++) {
        if (kinds[i]->presumed != NULL && kinds[i]->presumed() != NULL) {
            *ret = kinds[i];
            count++;
        }
    }
    return count == 1 ? KERR_OK : say_options(e);
}

/* ---- all of it ---- */

struct memory audit_source_memory(const struct options *o)
{
    return (struct memory){.max = o->max_memory,
                           .used = PROGRAM_BYTES,
                           .advice = "allow more with --max-memory, or audit less at once with "
                                     "--prefix"};
}

enum kerr audit_source_add_file(struct audit_source *s, char *path, struct kerrinfo *e)
{
    struct audit_file *to = &s->files[s->count++];
    *to = (struct audit_file){.path = path, .map = FILE_MAP_NONE};
    struct kerrinfo cause = {0};
    enum kerr k = file_map_open(path, &to->map, &cause);
    s->size += to->map.data.len;
    if (k != KERR_OK && euidaccess(path, R_OK) != 0 && errno == EACCES) {
        return kerr_set(e, k,
                        "%s may not be read by this user: run the audit as one who may, or have a "
                        "copy made that you may read",
                        path);
    }
    return k == KERR_OK ? k : kerr_set(e, k, "%s", cause.text);
}

enum kerr audit_source_open(const struct audit_source_kind *kind, const struct options *o,
                            struct memory *memory, struct audit_source *ret, struct kerrinfo *e)
{
    *ret = (struct audit_source){.kind = kind, .name = kind->named(o), .memory = memory};
    ret->name = ret->name == NULL && kind->presumed != NULL ? kind->presumed() : ret->name;
    ret->files = calloc(AUDIT_FILES_MAX, sizeof *ret->files);
    if (ret->files == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for a list of files");
    }
    enum kerr k = kind->open(o, ret, e);
    return k == KERR_USAGE ? k : unread(k); /* options that do not fit together */
}

void audit_source_done(struct audit_source *s)
{
    if (s->kind != NULL) {
        s->kind->done(s);
    }
    for (size_t i = 0; i < s->count; i++) {
        file_map_close(&s->files[i].map);
        free(s->files[i].path);
    }
    free(s->files);
    *s = (struct audit_source){.kind = NULL};
}

void audit_source_warn(const struct audit_source *s, const struct audit *a)
{
    char doubt[AUDIT_TEXT_BYTES];
    for (size_t i = 0; i < a->prefix_count && !s->is_partial; i++) {
        if (audit_prefix_doubt(a, i, doubt, sizeof doubt)) {
            out_warn("%s: %s", s->name, doubt);
        }
    }
}

enum kerr audit_source_read(struct audit_source *s, const struct options *o, struct audit *a,
                            const struct audit_told *told, struct kerrinfo *e)
{
    a->wanted.stop = &is_interrupted;
    enum kerr k = catch_interrupt(e);
    k = k == KERR_OK ? s->kind->read(s, o, a, told, e) : k;
    k = k == KERR_OK ? audit_settle(a, e) : k;
    for (size_t i = 0; i < s->count && k == KERR_OK && o->digest && !s->is_partial; i++) {
        uint8_t hash[HASH_BYTES];
        hash_sha256(s->files[i].map.data, hash);
        text_hex(BYTES_OF(hash), s->files[i].sha256);
    }
    return k == KERR_USAGE ? k : unread(k); /* a name that means two keys */
}
