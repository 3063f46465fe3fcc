/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal vault …: Vault and OpenBao. */
#include <string.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "cli/setup.h"
#include "cli/vault_setup.h"
#include "vault/policy.h"

/* A configuration with the defaults of each login, for who has none yet. */
static const struct {
    const char *login;
    const char *yaml;
} samples[] = {
    {"approle", "vault: { addresses: [ \"unix:/s\" ], key: k, auth: { approle: { role_id_file: "
                "/etc/etcdseal/role-id, secret_id_file: /etc/etcdseal/secret-id } } }"},
    {"cert", "vault: { addresses: [ \"unix:/s\" ], key: k, auth: { cert: { cert_file: "
             "/etc/etcdseal/vault-client.pem, key_file: /etc/etcdseal/vault-client.key } } }"},
    {"jwt", "vault: { addresses: [ \"unix:/s\" ], key: k, auth: { jwt: { role: etcdseal, file: "
            "/etc/etcdseal/jwt } } }"},
    {"token", "vault: { addresses: [ \"unix:/s\" ], key: k, auth: { token: { file: "
              "/etc/etcdseal/vault-token } } }"},
    {"none", "vault: { addresses: [ \"unix:/s\" ], key: k, auth: { none: {} } }"},
};

static enum kerr parse_sample(const char *login, struct config **ret, struct kerrinfo *e)
{
    size_t i = 0;
    while (strcmp(samples[i].login, login) != 0) {
        i++;
    }
    return config_parse(bytes_of_text(samples[i].yaml), "defaults", ret, e);
}

static enum kerr check_words(const struct options *o, struct kerrinfo *e)
{
    static const char expected[] = "letters a-z A-Z 0-9 . _ -, at most 128, the first neither '.' "
                                   "nor '-'";
    if (o->transit_key != NULL && !config_is_name(o->transit_key, CONFIG_VAULT_NAME_MAX)) {
        return kerr_set(e, KERR_USAGE, "--transit-key: expected %s", expected);
    }
    if (o->mount != NULL && !config_is_segments(o->mount, CONFIG_VAULT_NAME_MAX)) {
        return kerr_set(e, KERR_USAGE, "--mount: expected names of %s, with '/' between them",
                        expected);
    }
    return KERR_OK;
}

/* From the section of the configuration (at `path`, or NULL: the defaults) where there is one;
 * options come first. `sample` (NULL) is
 * made when it says nothing of the login, and keeps what the result points into. */
static enum kerr find_setup(const struct options *o, const struct config *config, const char *path,
                            struct config **sample, struct vault_setup *ret, struct kerrinfo *e)
{
    const struct config_vault *v = &config->vault;
    bool has_section = v->key != NULL;
    if (!has_section && (o->transit_key == NULL || o->auth == NULL)) {
        return kerr_set(e, KERR_USAGE,
                        "%s has no section vault; write one, or say --transit-key NAME and --auth "
                        "LOGIN",
                        path == NULL ? "the configuration" : path);
    }
    bool is_login_known =
        has_section && (o->auth == NULL || strcmp(config_login_name(v->auth.kind), o->auth) == 0);
    enum kerr k = is_login_known ? KERR_OK : parse_sample(o->auth, sample, e);
    if (k != KERR_OK) {
        return k;
    }
    *ret = (struct vault_setup){
        .program = o->program,
        .namespace_path = v->namespace_path,
        .mount = o->mount != NULL ? o->mount
                 : has_section    ? v->mount
                                  : (*sample)->vault.mount,
        .key = o->transit_key != NULL ? o->transit_key : v->key,
        .auth = is_login_known ? &v->auth : &(*sample)->vault.auth,
        .has_default = !o->no_default_policy,
    };
    return KERR_OK;
}

static enum kerr print_doc(const struct options *o, const struct vault_setup *setup,
                           const char *script, struct kerrinfo *e)
{
    AUTO_BUF policy;
    AUTO_BUF text;
    const char *hcl = NULL;
    char name[VAULT_SETUP_NAME_BYTES];
    buf_init(&policy, VAULT_SETUP_MAX);
    buf_init(&text, DOC_MAX);
    vault_setup_name(setup, name);
    enum kerr k = vault_policy(setup->mount, setup->key, setup->has_default, &policy, e);
    k = k == KERR_OK ? buf_text(&policy, &hcl, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    struct doc d = out_doc(o, &text, e);
    doc_object(&d, NULL);
    doc_text(&d, "name", name);
    doc_text(&d, "policy", hcl);
    doc_text(&d, "commands", script);
    doc_close(&d);
    k = doc_end(&d);
    return k == KERR_OK ? out_print(&text, e) : k;
}

enum kerr cmd_vault_policy(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    const struct options *o = ctx;
    AUTO_CONFIG config = NULL;
    AUTO_CONFIG sample = NULL;
    AUTO_BUF script;
    struct vault_setup setup;
    const char *path = NULL;
    const char *text = NULL;
    buf_init(&script, VAULT_SETUP_MAX);
    enum kerr k = check_words(o, e);
    k = k == KERR_OK ? setup_config(o, &config, &path, e) : k;
    k = k == KERR_OK ? find_setup(o, config, path, &sample, &setup, e) : k;
    k = k == KERR_OK ? vault_setup_script(&setup, &script, e) : k;
    k = k == KERR_OK ? buf_text(&script, &text, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    return out_is_doc(o) ? print_doc(o, &setup, text, e) : out_print(&script, e);
}
