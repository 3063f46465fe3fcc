/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is changed is the very object that was judged: it is opened without following a link, and
 * left alone when it is not the same file any more. A regular file with a second name is not ours
 * to give away.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "doctor/verdict.h"
#include "doctor/wanted.h"

/* The configuration, the folders, what lies in them. */
#define ROUNDS_MAX 3

struct rule {
    mode_t type; /* S_IFDIR, S_IFREG, S_IFSOCK */
    mode_t keep; /* permission bits that may be there */
    mode_t need; /* and that must */
    mode_t set;  /* mode to give when they are not so */
};

static const struct rule rules[] = {
    [WANTED_CONFIG] = {S_IFREG, 0755, 0400, 0644},
    [WANTED_KEYSTORE_FOLDER] = {S_IFDIR, 0700, 0700, 0700},
    [WANTED_KEYSTORE_FILE] = {S_IFREG, 0700, 0600, 0600},
    [WANTED_KEY_FILE] = {S_IFREG, 0700, 0400, 0600},
    [WANTED_SOCKET_FOLDER] = {S_IFDIR, 0755, 0700, 0755},
    [WANTED_SOCKET] = {S_IFSOCK, 0, 0, 0}, /* exactly as configured */
};

/* Owners that are right: that of the folder for what lies in it, the service's user where systemd
 * starts one, else root or whoever runs us. *ret_uid and *ret_gid come with the present ones. */
static bool is_owner_right(const struct facts *f, enum wanted_kind kind,
                           const struct fact_file *file, uid_t *ret_uid, gid_t *ret_gid)
{
    const struct fact_file *folder = &f->keystore.folder;
    uid_t daemon_uid = f->units.has_user ? f->units.uid : folder->st.st_uid;
    gid_t daemon_gid = f->units.has_user ? f->units.gid : folder->st.st_gid;
    uid_t is = file->st.st_uid;
    switch (kind) {
    case WANTED_CONFIG:
        *ret_uid = 0;
        *ret_gid = 0;
        return is == 0 || is == geteuid();
    case WANTED_SOCKET_FOLDER:
        *ret_uid = 0;
        *ret_gid = 0;
        return is == 0 || is == geteuid() || is == daemon_uid; /* who makes the socket himself */
    case WANTED_KEYSTORE_FOLDER:
        *ret_uid = daemon_uid;
        *ret_gid = daemon_gid;
        return !f->units.has_user || is == daemon_uid;
    case WANTED_KEYSTORE_FILE:
        *ret_uid = daemon_uid;
        *ret_gid = daemon_gid;
        return is == daemon_uid;
    case WANTED_KEY_FILE:
        *ret_uid = daemon_uid;
        *ret_gid = daemon_gid;
        return is == daemon_uid; /* the daemon must be able to read it */
    case WANTED_SOCKET:
        *ret_uid = f->socket.uid;
        *ret_gid = f->socket.gid;
        return !f->socket.has_owner || (is == f->socket.uid && file->st.st_gid == f->socket.gid);
    }
    return true;
}

bool wanted_of(const struct facts *f, enum wanted_kind kind, const struct fact_file *file,
               struct wanted *ret)
{
    const struct rule *rule = &rules[kind];
    mode_t mode = file->st.st_mode & 07777;
    struct wanted w = {.uid = file->st.st_uid, .gid = file->st.st_gid, .mode = mode};
    if (file->look != LOOK_DONE || (file->st.st_mode & S_IFMT) != rule->type) {
        return false; /* another check tells */
    }
    uid_t uid = 0;
    gid_t gid = 0;
    w.is_owner_wrong = !is_owner_right(f, kind, file, &uid, &gid);
    if (w.is_owner_wrong) {
        w.uid = uid;
        w.gid = gid;
    }
    bool is_socket = kind == WANTED_SOCKET;
    w.is_mode_wrong = is_socket ? mode != f->q->config->socket_mode
                                : (mode & ~rule->keep) != 0 || (mode & rule->need) != rule->need;
    if (w.is_mode_wrong) {
        w.mode = is_socket ? f->q->config->socket_mode : rule->set;
    }
    *ret = w;
    return w.is_owner_wrong || w.is_mode_wrong;
}

/* ---- doing it ---- */

struct fixing {
    const struct facts *f;
    struct doctor_report *report;
    struct texts *texts;
};

static void note(const struct fixing *x, const char *text)
{
    struct doctor_report *r = x->report;
    if (r->change_count < ARRAY_LEN(r->changes)) {
        r->changes[r->change_count++] = text;
    }
}

static void fix_one(const struct fixing *x, enum wanted_kind kind, const struct fact_file *file)
{
    struct wanted w;
    struct stat st;
    if (!wanted_of(x->f, kind, file, &w)) {
        return;
    }
    AUTO_FD fd = open(file->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    bool is_same = fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == file->st.st_dev &&
                   st.st_ino == file->st.st_ino && st.st_mode == file->st.st_mode &&
                   st.st_uid == file->st.st_uid;
    if (!is_same || (S_ISREG(st.st_mode) && st.st_nlink != 1)) {
        return; /* it is found again, with its cure */
    }
    /* Owner first: giving a file away clears bits of its mode. fchmod does not work on O_PATH
     * descriptors, their name in /proc does. */
    char self[64];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    bool is_given = w.is_owner_wrong && fchownat(fd, "", w.uid, w.gid, AT_EMPTY_PATH) == 0;
    bool is_set = w.is_mode_wrong && chmod(self, w.mode) == 0;
    if (is_given || is_set) {
        note(x, texts_printf(x->texts, "%s: owner %u:%u, mode %04o; it was %u:%u, %04o", file->path,
                             is_given ? w.uid : st.st_uid, is_given ? w.gid : st.st_gid,
                             is_set ? w.mode : st.st_mode & 07777, st.st_uid, st.st_gid,
                             st.st_mode & 07777));
    }
}

static void fix_all(const struct fixing *x)
{
    const struct facts *f = x->f;
    if (f->q->config_file != NULL) {
        fix_one(x, WANTED_CONFIG, &f->config);
    }
    fix_one(x, WANTED_KEYSTORE_FOLDER, &f->keystore.folder);
    for (size_t i = 0; i < f->keystore.file_count; i++) {
        fix_one(x, WANTED_KEYSTORE_FILE, &f->keystore.files[i]);
    }
    for (size_t i = 0; i < f->keystore.seal_count; i++) {
        fix_one(x, WANTED_KEY_FILE, &f->keystore.seals[i].key);
    }
    /* The last folder is the one that is ours. */
    if (f->socket.folder_count > 1) {
        fix_one(x, WANTED_SOCKET_FOLDER, &f->socket.folders[f->socket.folder_count - 1]);
    }
    fix_one(x, WANTED_SOCKET, &f->socket.file);
}

/* One round. */
static enum kerr fix_round(const struct doctor_question *q, struct doctor_report *changes,
                           struct texts *texts, struct kerrinfo *e)
{
    AUTO_FACTS f = {.q = q};
    enum kerr k = facts_gather(q, &f, e);
    struct fixing x = {.f = &f, .report = changes, .texts = texts};
    if (k == KERR_OK) {
        fix_all(&x);
    }
    return k;
}

enum kerr doctor_fix(const struct doctor_question *q, struct doctor_report *ret, struct kerrinfo *e)
{
    AUTO(texts_done) struct texts texts = {0};
    AUTO_REPORT r = {0};
    struct doctor_report changes = {0};
    size_t before = 0;
    enum kerr k = KERR_OK;
    /* What lies in a folder is only seen once the folder is right. */
    for (size_t i = 0; i < ROUNDS_MAX && k == KERR_OK && (i == 0 || changes.change_count > before);
         i++) {
        before = changes.change_count;
        k = fix_round(q, &changes, &texts, e);
    }
    k = k == KERR_OK ? doctor_run(q, &r, e) : k;
    for (size_t i = 0; i < changes.change_count && k == KERR_OK; i++) {
        r.changes[i] = texts_keep(r.memory, bytes_of_text(changes.changes[i]));
    }
    if (k == KERR_OK) {
        r.change_count = changes.change_count;
        *ret = r;
        r = (struct doctor_report){0};
    }
    return k;
}
