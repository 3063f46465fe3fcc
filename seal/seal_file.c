/* SPDX-License-Identifier: Apache-2.0 */
/* file:PATH — a key file. Whoever copies the disk has it; good for tests, and where PATH lies on a
 * medium that is kept apart. */
#include "base/file.h"
#include "base/text.h"
#include "seal/seal_ops.h"

static const char label[] = "etcdseal/v1/seal/file";

static enum kerr check_arg(const char *arg, struct kerrinfo *e)
{
    if (arg[0] != '/') {
        return kerr_set(e, KERR_INPUT, "seal file:%s: expected an absolute path", arg);
    }
    return KERR_OK;
}

static unsigned caps(const char *arg)
{
    (void)arg;
    return SEAL_CAN_OPEN_UNATTENDED | SEAL_SECRET_LIES_BESIDE;
}

static const char *warning(const char *arg, const struct seal_env *env)
{
    (void)arg;
    (void)env;
    return "a key file opens the keystore for whoever copies both: keep it on another medium than "
           "the keystore, etcd and their backups";
}

static enum kerr read_key(const char *path, const struct seal_env *env, struct secret **ret,
                          struct kerrinfo *e)
{
    return file_read_key(path, env->owner, SEAL_KEY_FILE_MAX, ret, e);
}

/* Makes the file and reads it back: somebody else's folder could give back other bytes. */
static enum kerr make_key(const char *path, const struct seal_env *env, struct secret **ret,
                          struct kerrinfo *e)
{
    AUTO_SECRET fresh = NULL;
    AUTO_SECRET back = NULL;
    enum kerr k = secret_random(SEAL_KEY_FILE_MIN, &fresh, e);
    if (k == KERR_OK) {
        k = file_create(path, secret_view(fresh), env->owner, env->group, e);
    }
    if (k == KERR_OK) {
        k = read_key(path, env, &back, e);
    }
    if (k == KERR_OK && !secret_equal(fresh, back)) {
        k = kerr_set(e, KERR_DENIED, "%s was replaced while it was made", path);
    }
    if (k == KERR_OK) {
        *ret = secret_take(&fresh);
    }
    return k;
}

static enum kerr wrap(const char *arg, const struct seal_env *env, struct bytes binding,
                      const struct secret *secret, struct seal_record *ret, struct kerrinfo *e)
{
    bool exists = false;
    AUTO_SECRET content = NULL;
    enum kerr k = file_exists(NULL, arg, &exists, e);
    if (k == KERR_OK) {
        k = exists ? read_key(arg, env, &content, e) : make_key(arg, env, &content, e);
    }
    return k == KERR_OK ? seal_content_wrap(content, label, arg, binding, secret, ret, e) : k;
}

static enum kerr unwrap(const char *arg, const struct seal_env *env, struct bytes binding,
                        const struct seal_record *record, struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET content = NULL;
    enum kerr k = read_key(arg, env, &content, e);
    return k == KERR_OK ? seal_content_unwrap(content, label, arg, binding, record, ret, e) : k;
}

const struct seal_ops seal_file = {
    .name = "file",
    .kind = SEAL_FILE,
    .arg_help = "PATH",
    .check_arg = check_arg,
    .caps = caps,
    .warning = warning,
    .check_params = seal_content_check_params,
    .wrap = wrap,
    .unwrap = unwrap,
};
