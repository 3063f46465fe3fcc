/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credential:NAME[,file=PATH] — a systemd credential (systemd-creds(1)). In a service it lies
 * decrypted in $CREDENTIALS_DIRECTORY/NAME; the tool, as root, has systemd-creds decrypt PATH,
 * /etc/credstore.encrypted/NAME by default, which is where LoadCredentialEncrypted=NAME looks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/proc.h"
#include "base/text.h"
#include "seal/seal_ops.h"

#define NAME_LEN_MAX        64
#define PATH_LEN_MAX        512
#define CREDENTIAL_FILE_MAX (4 * SEAL_KEY_FILE_MAX)

static const char label[] = "etcdseal/v1/seal/credential";
static const char tool[] = "/usr/bin/systemd-creds";
static const char store_folder[] = "/etc/credstore.encrypted";

/* An encrypted credential is base64 and begins with the id of the way its key was made
 * (sd-id128 constants of systemd's creds-util.h); these are the first 20 characters. */
static const struct {
    const char *begins;
    const char *warning;
} weak_keys[] = {
    /* CRED_AES256_GCM_BY_HOST */
    {"Whxqht+dQJax1aZeCGLx",
     "the credential is encrypted with this host's key file alone "
     "(/var/lib/systemd/credential.secret): whoever copies the disk can open the keystore; use a "
     "TPM (systemd-creds --with-key=host+tpm2) or keep backups of the two apart"},
    /* CRED_AES256_GCM_BY_TPM2_ABSENT */
    {"BYRp2vb1QySABUnaD46i",
     "the credential is encrypted with a null key: whoever reads its file can open the keystore; "
     "make it anew (systemd-creds encrypt --with-key=host+tpm2)"},
};

struct place {
    char name[NAME_LEN_MAX + 1];
    char path[PATH_LEN_MAX + 1];
};

static enum kerr parse(const char *arg, struct place *ret, struct kerrinfo *e)
{
    static const char file_word[] = ",file=";
    const char *comma = strchr(arg, ',');
    size_t name_len = comma == NULL ? strlen(arg) : (size_t)(comma - arg);
    struct place out = {0};
    enum kerr k = seal_check_slot_name(bytes_of(arg, name_len), NULL);
    if (k != KERR_OK) {
        return kerr_set(e, KERR_INPUT,
                        "seal credential: expected a credential name of a-z, 0-9 and '-', got %s",
                        arg);
    }
    memcpy(out.name, arg, name_len);
    if (comma == NULL) {
        (void)snprintf(out.path, sizeof out.path, "%s/%s", store_folder, out.name);
    } else if (strncmp(comma, file_word, strlen(file_word)) == 0 &&
               comma[strlen(file_word)] == '/' &&
               strlen(comma + strlen(file_word)) <= PATH_LEN_MAX) {
        (void)snprintf(out.path, sizeof out.path, "%s", comma + strlen(file_word));
    } else {
        return kerr_set(e, KERR_INPUT,
                        "seal credential: expected NAME or NAME,file=/PATH of at most %d bytes, "
                        "got %s",
                        PATH_LEN_MAX, arg);
    }
    *ret = out;
    return KERR_OK;
}

static enum kerr check_arg(const char *arg, struct kerrinfo *e)
{
    struct place place;
    return parse(arg, &place, e);
}

static unsigned caps(const char *arg)
{
    (void)arg;
    return SEAL_CAN_OPEN_UNATTENDED;
}

static const char *warning(const char *arg, const struct seal_env *env)
{
    struct place place;
    AUTO_BUF text = {0};
    if (!env->may_run_tools || parse(arg, &place, NULL) != KERR_OK ||
        file_read(NULL, place.path, CREDENTIAL_FILE_MAX, FILE_READ_ANY, &text, NULL) != KERR_OK) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(weak_keys); i++) {
        size_t len = strlen(weak_keys[i].begins);
        if (text.len >= len && memcmp(text.ptr, weak_keys[i].begins, len) == 0) {
            return weak_keys[i].warning;
        }
    }
    return NULL;
}

/* Where a service manager has put the decrypted credential; false when it has not. */
static enum kerr find_decrypted(const struct place *place, char *to, size_t size, bool *ret,
                                struct kerrinfo *e)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    *ret = false;
    if (folder == NULL || folder[0] != '/') {
        return KERR_OK;
    }
    int len = snprintf(to, size, "%s/%s", folder, place->name);
    if (len < 0 || (size_t)len >= size) {
        return kerr_set(e, KERR_LIMIT, "CREDENTIALS_DIRECTORY is longer than %zu bytes", size);
    }
    return file_exists(NULL, to, ret, e);
}

static enum kerr obtain(const struct place *place, const struct seal_env *env, struct secret **ret,
                        struct kerrinfo *e)
{
    char path[PATH_LEN_MAX + NAME_LEN_MAX + 2];
    bool is_there = false;
    enum kerr k = find_decrypted(place, path, sizeof path, &is_there, e);
    if (k != KERR_OK) {
        return k;
    }
    if (is_there) {
        return file_read_secret(NULL, path, SEAL_KEY_FILE_MAX, FILE_READ_ANY, ret, e);
    }
    if (!env->may_run_tools) {
        return kerr_set(e, KERR_NOTFOUND,
                        "credential %s was not passed to this service: add "
                        "LoadCredentialEncrypted=%s to its unit",
                        place->name, place->name);
    }
    char name[NAME_LEN_MAX + 8];
    (void)snprintf(name, sizeof name, "--name=%s", place->name);
    const char *argv[] = {tool, "decrypt", name, place->path, "-", NULL};
    k = proc_run(argv, bytes_of(NULL, 0), ret, e);
    if (k == KERR_OK && *ret == NULL) {
        k = kerr_set(e, KERR_INPUT, "credential %s is empty", place->name);
    }
    kerr_prefix(e, "credential %s (%s)", place->name, place->path);
    return k;
}

/* systemd looks there, but Debian 12's does not make it. */
static enum kerr make_store_folder(const struct place *place, struct kerrinfo *e)
{
    AUTO_DIR dir = FILE_DIR_NONE;
    size_t len = strlen(store_folder);
    bool is_below = strncmp(place->path, store_folder, len) == 0 && place->path[len] == '/';
    return is_below ? file_dir_make(store_folder, &dir, e) : KERR_OK;
}

static enum kerr make(const struct place *place, const struct seal_env *env, struct kerrinfo *e)
{
    if (!env->may_run_tools) {
        return kerr_set(e, KERR_NOTFOUND, "credential %s does not exist", place->name);
    }
    AUTO_SECRET fresh = NULL;
    AUTO_SECRET encrypted = NULL;
    char name[NAME_LEN_MAX + 8];
    (void)snprintf(name, sizeof name, "--name=%s", place->name);
    const char *argv[] = {tool, "encrypt", name, "-", "-", NULL};
    enum kerr k = secret_random(SEAL_KEY_FILE_MIN, &fresh, e);
    if (k == KERR_OK) {
        k = proc_run(argv, secret_view(fresh), &encrypted, e);
    }
    if (k == KERR_OK && encrypted == NULL) {
        k = kerr_set(e, KERR_IO, "systemd-creds printed nothing");
    }
    if (k == KERR_OK) {
        k = make_store_folder(place, e);
    }
    /* The service manager reads it as root, so it stays root's. */
    return k == KERR_OK ? file_create(place->path, secret_view(encrypted), 0, 0, e) : k;
}

static enum kerr wrap(const char *arg, const struct seal_env *env, struct bytes binding,
                      const struct secret *secret, struct seal_record *ret, struct kerrinfo *e)
{
    struct place place;
    bool exists = false;
    enum kerr k = parse(arg, &place, e);
    if (k == KERR_OK) {
        k = file_exists(NULL, place.path, &exists, e);
    }
    if (k == KERR_OK && !exists) {
        k = make(&place, env, e);
    }
    AUTO_SECRET content = NULL;
    if (k == KERR_OK) {
        k = obtain(&place, env, &content, e);
    }
    return k == KERR_OK ? seal_content_wrap(content, label, place.name, binding, secret, ret, e)
                        : k;
}

static enum kerr unwrap(const char *arg, const struct seal_env *env, struct bytes binding,
                        const struct seal_record *record, struct secret **ret, struct kerrinfo *e)
{
    struct place place;
    AUTO_SECRET content = NULL;
    enum kerr k = parse(arg, &place, e);
    if (k == KERR_OK) {
        k = obtain(&place, env, &content, e);
    }
    return k == KERR_OK ? seal_content_unwrap(content, label, place.name, binding, record, ret, e)
                        : k;
}

const struct seal_ops seal_credential = {
    .name = "credential",
    .kind = SEAL_CREDENTIAL,
    .arg_help = "NAME[,file=PATH]",
    .check_arg = check_arg,
    .caps = caps,
    .warning = warning,
    .check_params = seal_content_check_params,
    .wrap = wrap,
    .unwrap = unwrap,
};
