/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passphrase: — asked for; passphrase:fd=N — read once from a descriptor; passphrase:file=PATH — a
 * key file in all but name. One newline at the end is not part of the passphrase.
 *
 * Parameters: version (1) ‖ algorithm (1: Argon2id 1.3, one lane) ‖ u32 passes ‖ u32 KiB ‖ salt
 * (16).
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "seal/seal_ops.h"

#define PARAMS_VERSION     1
#define ALGORITHM_ARGON2ID 1 /* kept for later: 2 PBKDF2 */
#define PARAMS_BYTES       (1 + 1 + 4 + 4 + PASSPHRASE_SALT)

static const char prefix_fd[] = "fd=";
static const char prefix_file[] = "file=";

static const char *after(const char *arg, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(arg, prefix, len) == 0 ? arg + len : NULL;
}

static enum kerr check_arg(const char *arg, struct kerrinfo *e)
{
    const char *fd = after(arg, prefix_fd);
    const char *file = after(arg, prefix_file);
    uint64_t number;
    if (fd != NULL) {
        return text_to_u64(fd, "seal passphrase:fd=", 0, 65535, &number, e);
    }
    if (*arg == 0 || (file != NULL && file[0] == '/')) {
        return KERR_OK;
    }
    /* The argument is not repeated: it may be a passphrase put there by mistake. */
    return kerr_set(e, KERR_INPUT,
                    "seal passphrase: takes nothing (asks), fd=NUMBER or file=/ABSOLUTE/PATH; a "
                    "passphrase does not belong on a command line");
}

static unsigned caps(const char *arg)
{
    return after(arg, prefix_file) != NULL ? SEAL_CAN_OPEN_UNATTENDED | SEAL_SECRET_LIES_BESIDE : 0;
}

static const char *warning(const char *arg, const struct seal_env *env)
{
    return after(arg, prefix_file) != NULL ? seal_file.warning(arg, env) : NULL;
}

static enum kerr check_params(struct bytes params, struct kerrinfo *e)
{
    struct reader r = reader_on(params);
    uint8_t version = read_u8(&r);
    uint8_t algorithm = read_u8(&r);
    /* One after the other: initialisers have no order. */
    struct passphrase_cost cost = {.passes = read_u32(&r)};
    cost.memory_kib = read_u32(&r);
    if (params.len != PARAMS_BYTES || version != PARAMS_VERSION) {
        return kerr_set(e, KERR_FORMAT, "passphrase parameters of %zu bytes, version %u",
                        params.len, version);
    }
    if (algorithm != ALGORITHM_ARGON2ID) {
        return kerr_set(e, KERR_UNSUP, "passphrase algorithm %u is not known to this version",
                        algorithm);
    }
    return passphrase_cost_check(cost, e);
}

/* Cuts one newline and checks the length; never tells more than the length. */
static enum kerr tidy(struct secret *text, struct kerrinfo *e)
{
    size_t len = secret_len(text);
    if (len > 0 && secret_bytes(text)[len - 1] == '\n') {
        secret_truncate(text, len - 1);
    }
    if (secret_len(text) < SEAL_PASSPHRASE_MIN) {
        return kerr_set(e, KERR_INPUT, "the passphrase is shorter than %d bytes",
                        SEAL_PASSPHRASE_MIN);
    }
    return KERR_OK;
}

static enum kerr obtain(const char *arg, const struct seal_env *env, bool is_new,
                        struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET text = NULL;
    const char *fd = after(arg, prefix_fd);
    const char *file = after(arg, prefix_file);
    uint64_t number = 0;
    enum kerr k;
    if (file != NULL) {
        k = file_read_key(file, env->owner, SEAL_PASSPHRASE_MAX, &text, e);
    } else if (fd != NULL) {
        k = text_to_u64(fd, "fd", 0, 65535, &number, e);
        if (k == KERR_OK) {
            k = file_read_fd_secret((int)number, "the passphrase", SEAL_PASSPHRASE_MAX, &text, e);
        }
    } else if (env->ask == NULL) {
        k = kerr_set(e, KERR_SEALED, "a passphrase must be entered by a person");
    } else {
        char prompt[SEAL_SLOT_NAME_MAX + 32];
        (void)snprintf(prompt, sizeof prompt, "%s of slot %s",
                       is_new ? "New passphrase" : "Passphrase", env->slot);
        k = env->ask(env->ask_ctx, prompt, is_new, &text, e);
    }
    if (k == KERR_OK) {
        k = tidy(text, e);
    }
    if (k == KERR_OK) {
        *ret = secret_take(&text);
    }
    return k;
}

static enum kerr key_of(const struct secret *text, const struct seal_env *env,
                        const struct seal_record *record, struct secret **ret, struct kerrinfo *e)
{
    if (env->busy != NULL) {
        env->busy(env->ask_ctx, env->slot);
    }
    struct reader r = reader_on(bytes_of(record->params, record->params_len));
    (void)read_u16(&r);
    struct passphrase_cost cost = {.passes = read_u32(&r)};
    cost.memory_kib = read_u32(&r);
    return passphrase_key(text, read_raw(&r, PASSPHRASE_SALT), cost, ret, e);
}

static enum kerr wrap(const char *arg, const struct seal_env *env, struct bytes binding,
                      const struct secret *secret, struct seal_record *ret, struct kerrinfo *e)
{
    AUTO_SECRET text = NULL;
    AUTO_SECRET key = NULL;
    enum kerr k = obtain(arg, env, true, &text, e);
    if (k != KERR_OK) {
        return k;
    }
    uint8_t salt[PASSPHRASE_SALT];
    random_fill(salt, sizeof salt);
    struct writer w = writer_on(ret->params, sizeof ret->params);
    write_u8(&w, PARAMS_VERSION);
    write_u8(&w, ALGORITHM_ARGON2ID);
    write_u32(&w, env->cost.passes);
    write_u32(&w, env->cost.memory_kib);
    write_raw(&w, BYTES_OF(salt));
    ret->params_len = w.len;
    k = key_of(text, env, ret, &key, e);
    return k == KERR_OK ? seal_key_wrap(key, binding, secret, ret, e) : k;
}

static enum kerr unwrap(const char *arg, const struct seal_env *env, struct bytes binding,
                        const struct seal_record *record, struct secret **ret, struct kerrinfo *e)
{
    AUTO_SECRET text = NULL;
    AUTO_SECRET key = NULL;
    enum kerr k = obtain(arg, env, false, &text, e);
    if (k == KERR_OK) {
        k = key_of(text, env, record, &key, e);
    }
    return k == KERR_OK ? seal_key_unwrap(key, binding, record, ret, e) : k;
}

const struct seal_ops seal_passphrase = {
    .name = "passphrase",
    .kind = SEAL_PASSPHRASE,
    .arg_help = "[fd=N|file=PATH]",
    .keep_arg = "",
    .check_arg = check_arg,
    .caps = caps,
    .warning = warning,
    .check_params = check_params,
    .wrap = wrap,
    .unwrap = unwrap,
};
