/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's view, by systemctl: its D-Bus interface would need a library of its own. */
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/proc.h"
#include "doctor/facts.h"

static const char *const our_units[] = {
    [UNIT_SERVICE] = "etcdseald.service",
    [UNIT_SOCKET] = "etcdseald.socket",
    [UNIT_STATUS_SOCKET] = "etcdseald-status.socket",
};
static const char *const caller_units[] = {
    [UNIT_KUBELET] = "kubelet.service",
    [UNIT_K3S] = "k3s.service",
    [UNIT_RKE2] = "rke2-server.service",
};

/* Appends the value of a line "NAME=VALUE" to what earlier lines of that name gave. */
static void take_line(struct texts *t, const char *line, size_t len, const char *name,
                      const char **to)
{
    size_t name_len = strlen(name);
    if (len > name_len && strncmp(line, name, name_len) == 0 && line[name_len] == '=') {
        *to = texts_printf(t, "%s%s%.*s", *to, **to == 0 ? "" : " ", (int)(len - name_len - 1),
                           line + name_len + 1);
    }
}

static void read_unit(struct texts *t, const char *text, struct fact_unit *u)
{
    const char *load = "";
    for (const char *line = text; *line != 0;) {
        size_t len = strcspn(line, "\n");
        take_line(t, line, len, "LoadState", &load);
        take_line(t, line, len, "UnitFileState", &u->enabled);
        take_line(t, line, len, "Before", &u->before);
        take_line(t, line, len, "User", &u->user);
        take_line(t, line, len, "Listen", &u->listen);
        line += len + (line[len] == '\n');
    }
    u->is_loaded = strcmp(load, "loaded") == 0;
}

static enum kerr gather_unit(struct facts *f, const char *name, struct fact_unit *u,
                             struct kerrinfo *e)
{
    const char *argv[] = {"/usr/bin/systemctl",
                          "show",
                          "--no-pager",
                          "--property=LoadState,UnitFileState,Before,User,Listen",
                          "--",
                          name,
                          NULL};
    AUTO_SECRET out = NULL;
    *u = (struct fact_unit){
        .name = name, .enabled = "", .before = "", .user = "", .listen = "", .credentials = ""};
    enum kerr k = proc_run(argv, bytes_of(NULL, 0), &out, e);
    if (k == KERR_OK && out != NULL) {
        read_unit(&f->texts, texts_keep(&f->texts, secret_view(out)), u);
    }
    return k;
}

/* Names, and patterns of ImportCredential=; never what SetCredential= holds behind the name. */
static void read_credentials(struct texts *t, struct bytes text, struct fact_unit *u)
{
    static const char *const keys[] = {
        "LoadCredential=", "LoadCredentialEncrypted=", "SetCredential=", "SetCredentialEncrypted=",
        "ImportCredential="};
    for (size_t at = 0; at < text.len;) {
        const char *line = (const char *)text.ptr + at;
        const char *end = memchr(line, '\n', text.len - at);
        size_t len = end == NULL ? text.len - at : (size_t)(end - line);
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            size_t key = strlen(keys[i]);
            if (len >= key && strncmp(line, keys[i], key) == 0) {
                const char *colon = memchr(line + key, ':', len - key);
                size_t name = colon == NULL ? len - key : (size_t)(colon - line) - key;
                /* An empty value takes back what stood before. */
                u->credentials =
                    name == 0 ? ""
                              : texts_printf(t, "%s %.*s", u->credentials, (int)name, line + key);
            }
        }
        at += len + 1;
    }
}

/* systemctl show prints "[unprintable]" for credentials, so the unit and its drop-ins are read. */
static enum kerr gather_credentials(struct facts *f, struct kerrinfo *e)
{
    struct fact_unit *u = &f->units.ours[UNIT_SERVICE];
    const char *argv[] = {"/usr/bin/systemctl", "cat", "--no-pager", "--", u->name, NULL};
    AUTO_SECRET out = NULL;
    enum kerr k = u->is_loaded ? proc_run(argv, bytes_of(NULL, 0), &out, e) : KERR_OK;
    if (k == KERR_OK && out != NULL) {
        read_credentials(&f->texts, secret_view(out), u);
    }
    return k;
}

static void gather_user(struct fact_units *u)
{
    const char *name = u->ours[UNIT_SERVICE].user;
    const struct passwd *user = *name == 0 ? NULL : getpwnam(name);
    if (user != NULL) {
        u->has_user = true;
        u->uid = user->pw_uid;
        u->gid = user->pw_gid;
    }
}

void gather_units(struct facts *f)
{
    struct fact_units *u = &f->units;
    struct kerrinfo why = {0};
    enum kerr k = KERR_OK;
    u->why = "";
    for (size_t i = 0; i < UNIT_OURS_COUNT; i++) {
        u->ours[i] = (struct fact_unit){.name = our_units[i],
                                        .enabled = "",
                                        .before = "",
                                        .user = "",
                                        .listen = "",
                                        .credentials = ""};
    }
    /* sd_booted(3) */
    if (access("/run/systemd/system", F_OK) != 0) {
        return;
    }
    for (size_t i = 0; i < UNIT_OURS_COUNT && k == KERR_OK; i++) {
        k = gather_unit(f, our_units[i], &u->ours[i], &why);
    }
    for (size_t i = 0; i < UNIT_CALLERS_COUNT && k == KERR_OK; i++) {
        k = gather_unit(f, caller_units[i], &u->callers[i], &why);
    }
    k = k == KERR_OK ? gather_credentials(f, &why) : k;
    u->look = k == KERR_OK ? LOOK_DONE : LOOK_FAILED;
    u->why = k == KERR_OK ? "" : texts_keep(&f->texts, bytes_of_text(why.text));
    gather_user(u);
}
