/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault: or vault:/PATH — a Transit key of Vault or OpenBao wraps the slot secret. PATH is a file
 * in the form of etcdseald.yaml whose section `vault` says where the key is and how to log in;
 * without it the daemon's own.
 *
 * params = version (1) ‖ u32 version of the Transit key; blob = the raw bytes of Transit's
 * ciphertext. Associated data: seal_aad with the label below. The server sees the slot secret when
 * it wraps and unwraps it.
 */
#include <string.h>

#include "base/clock.h"
#include "config/config.h"
#include "seal/seal_ops.h"
#include "vault/vault.h"

#define PARAMS_VERSION 1
#define PARAMS_BYTES   5
#define AAD_MAX        1024
/* All that one wrap or unwrap may take, logging in included: kube-apiserver and a person wait. */
#define WORK_MS 5000

static const char label[] = "etcdseal/v1/seal/vault";

/* A client and the configuration that it refers to. */
struct access {
    struct config *config;
    struct vault *vault;
    struct vault_try try;
};

static void access_done(struct access *a)
{
    vault_close(a->vault);
    config_free(a->config);
}
#define AUTO_ACCESS AUTO(access_done) struct access

static const char *path_of(const char *arg)
{
    return *arg == 0 ? CONFIG_FILE_DEFAULT : arg;
}

static enum kerr check_arg(const char *arg, struct kerrinfo *e)
{
    if (*arg != 0 && *arg != '/') {
        return kerr_set(e, KERR_INPUT,
                        "seal vault: expected nothing behind 'vault:' or the absolute path of a "
                        "file with a section vault");
    }
    return KERR_OK;
}

static unsigned caps(const char *arg)
{
    (void)arg;
    return SEAL_CAN_OPEN_UNATTENDED;
}

static const char *warning(const char *arg, const struct seal_env *env)
{
    (void)arg;
    (void)env;
    return "etcdseald cannot unseal by this slot while the Vault does not answer, so that must not "
           "run on this cluster or need it; keep a slot that opens without it";
}

static enum kerr check_params(struct bytes params, struct kerrinfo *e)
{
    struct reader r = reader_on(params);
    uint8_t version = read_u8(&r);
    uint32_t key_version = read_u32(&r);
    if (r.failed || reader_left(&r) != 0 || version != PARAMS_VERSION || key_version == 0) {
        return kerr_set(e, KERR_FORMAT,
                        "seal parameters of %zu bytes, expected %d, version %d and a version of "
                        "the Transit key from 1",
                        params.len, PARAMS_BYTES, PARAMS_VERSION);
    }
    return KERR_OK;
}

/* A wrapped secret id works once, and a slot is opened at every start. */
static enum kerr check_section(const struct config_vault *v, const char *path, struct kerrinfo *e)
{
    if (v->key == NULL) {
        return kerr_set(e, KERR_INPUT,
                        "seal vault: %s has no section vault that says where the Transit key is",
                        path);
    }
    if (v->auth.secret_id_wrapped) {
        return kerr_set(e, KERR_INPUT,
                        "seal vault: %s: vault.auth.approle.secret_id_wrapped is for a secret id "
                        "that is used once, and a seal logs in at every start; deliver a plain one",
                        path);
    }
    return KERR_OK;
}

static enum kerr open_access(const char *arg, const struct seal_env *env, struct access *ret,
                             struct kerrinfo *e)
{
    const char *path = path_of(arg);
    enum kerr k = config_read(path, &ret->config, e);
    k = k == KERR_OK ? check_section(&ret->config->vault, path, e) : k;
    k = k == KERR_OK ? vault_open(&ret->config->vault, &ret->vault, e) : k;
    if (k != KERR_OK) {
        kerr_prefix(e, "seal vault");
        return k == KERR_CONFIG ? KERR_INPUT : k;
    }
    vault_trust_owner(ret->vault, env->owner);
    ret->try = (struct vault_try){.until_ms = clock_mono_ms() + WORK_MS};
    return KERR_OK;
}

/* The codes of seal.h for a failure `k` of the client. What the text says stays. */
static enum kerr code_of(enum kerr k, enum vault_cause cause)
{
    if (k == KERR_OK || k == KERR_NOMEM || k == KERR_BUG) {
        return k;
    }
    if (vault_cause_class(cause) == VAULT_CLASS_REFUSED && k != KERR_INTEGRITY) {
        return KERR_DENIED;
    }
    return k == KERR_TIMEOUT ? KERR_DOWN : k;
}

static enum kerr fail(const struct access *a, enum kerr k, const struct kerrinfo *why,
                      struct kerrinfo *e)
{
    const char *cure = vault_cause_cure(a->try.cause);
    if (a->try.cause == VAULT_CIPHERTEXT) {
        return kerr_set(e, KERR_INTEGRITY,
                        "seal vault: key %.128s of mount %.128s: wrong secret, or the slot was "
                        "altered",
                        a->config->vault.key, a->config->vault.mount);
    }
    return kerr_set(e, code_of(k, a->try.cause), "seal vault: %s%s%s", why->text,
                    *cure == 0 ? "" : "; ", cure);
}

static enum kerr put_params(struct access *a, struct seal_record *record, uint32_t *ret_version,
                            struct kerrinfo *e)
{
    AUTO_VAULT_KEY key = {.version_count = 0};
    struct kerrinfo why = {0};
    enum kerr k = vault_read_key(a->vault, &a->try, &key, &why);
    if (k != KERR_OK) {
        return fail(a, k, &why, e);
    }
    struct writer w = writer_on(record->params, sizeof record->params);
    write_u8(&w, PARAMS_VERSION);
    write_u32(&w, key.latest);
    record->params_len = w.len;
    *ret_version = key.latest;
    return KERR_OK;
}

/* What was wrapped is read back before it is believed: the slot would be found out at a start. */
static enum kerr check_back(struct access *a, uint32_t version, struct bytes aad,
                            const struct seal_record *record, const struct secret *secret,
                            struct kerrinfo *e)
{
    AUTO_SECRET back = NULL;
    struct kerrinfo why = {0};
    enum kerr k = vault_decrypt(a->vault, &a->try, version, aad,
                                bytes_of(record->blob, record->blob_len), &back, &why);
    if (k != KERR_OK) {
        return fail(a, k, &why, e);
    }
    if (!secret_equal(back, secret)) {
        return kerr_set(e, KERR_INTEGRITY,
                        "seal vault: the server gave other bytes back than it was given");
    }
    return KERR_OK;
}

static enum kerr wrap(const char *arg, const struct seal_env *env, struct bytes binding,
                      const struct secret *secret, struct seal_record *ret, struct kerrinfo *e)
{
    AUTO_ACCESS a = {.config = NULL};
    AUTO_BUF blob;
    uint8_t raw[AAD_MAX];
    struct bytes aad;
    struct kerrinfo why = {0};
    uint32_t version = 0;
    buf_init(&blob, SEAL_BLOB_MAX);
    enum kerr k = open_access(arg, env, &a, e);
    k = k == KERR_OK ? put_params(&a, ret, &version, e) : k;
    k = k == KERR_OK ? seal_aad(label, binding, ret, raw, sizeof raw, &aad, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    k = vault_encrypt(a.vault, &a.try, version, aad, secret_view(secret), &blob, &why);
    if (k != KERR_OK) {
        return fail(&a, k, &why, e);
    }
    memcpy(ret->blob, blob.ptr, blob.len);
    ret->blob_len = blob.len;
    return check_back(&a, version, aad, ret, secret, e);
}

static enum kerr unwrap(const char *arg, const struct seal_env *env, struct bytes binding,
                        const struct seal_record *record, struct secret **ret, struct kerrinfo *e)
{
    AUTO_ACCESS a = {.config = NULL};
    uint8_t raw[AAD_MAX];
    struct bytes aad;
    struct kerrinfo why = {0};
    struct reader params = reader_on(bytes_of(record->params, record->params_len));
    (void)read_u8(&params); /* its version, which was checked */
    uint32_t version = read_u32(&params);
    if (record->blob_len > VAULT_CIPHERTEXT_MAX) {
        return kerr_set(e, KERR_FORMAT, "a vault seal of %zu bytes, expected at most %d",
                        record->blob_len, VAULT_CIPHERTEXT_MAX);
    }
    enum kerr k = open_access(arg, env, &a, e);
    k = k == KERR_OK ? seal_aad(label, binding, record, raw, sizeof raw, &aad, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    k = vault_decrypt(a.vault, &a.try, version, aad, bytes_of(record->blob, record->blob_len), ret,
                      &why);
    return k == KERR_OK ? k : fail(&a, k, &why, e);
}

const struct seal_ops seal_vault = {
    .name = "vault",
    .kind = SEAL_VAULT,
    .arg_help = "[PATH]",
    .check_arg = check_arg,
    .caps = caps,
    .warning = warning,
    .check_params = check_params,
    .wrap = wrap,
    .unwrap = unwrap,
};
