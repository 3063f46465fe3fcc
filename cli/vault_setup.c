/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/vault_setup.h"

#include <stdio.h>
#include <string.h>

#include "vault/policy.h"

/* What is being written. */
struct script {
    const struct vault_setup *setup;
    const struct config_auth *auth;
    struct appender out;
    char name[VAULT_SETUP_NAME_BYTES];
};

void vault_setup_name(const struct vault_setup *s, char to[static VAULT_SETUP_NAME_BYTES])
{
    (void)snprintf(to, VAULT_SETUP_NAME_BYTES, "etcdseal-%s", s->key);
}

/* A word for the shell. */
static void put_quoted(struct appender *a, const char *text)
{
    append_text(a, "'");
    for (const char *p = text; *p != 0; p++) {
        append_printf(a, *p == '\'' ? "'\\''" : "%c", *p);
    }
    append_text(a, "'");
}

static void put_head(struct script *s)
{
    const char *namespace_path = s->setup->namespace_path;
    bool is_bao = strcmp(s->setup->program, "bao") == 0;
    append_printf(&s->out,
                  "# What etcdseald needs of %s: Transit key %s at %s, login %s.\n"
                  "# For a shell in which %s is logged in as an administrator. Leave out what is "
                  "there already.\n",
                  is_bao ? "OpenBao" : "Vault", s->setup->key, s->setup->mount,
                  config_login_name(s->auth->kind), s->setup->program);
    if (namespace_path != NULL) {
        append_printf(&s->out, "export %s_NAMESPACE=%s\n", is_bao ? "BAO" : "VAULT",
                      namespace_path);
    }
}

static void put_key(struct script *s)
{
    const struct vault_setup *v = s->setup;
    const char *program = s->setup->program;
    append_printf(&s->out,
                  "\n# 1. The engine and the key: AEAD, not derived, not exportable. A mistyped "
                  "name of a key must be\n"
                  "# an error, not a new key.\n"
                  "%s secrets enable -path=%s transit\n"
                  "%s write -f %s/keys/%s type=aes256-gcm96\n"
                  "%s write %s/config/keys disable_upsert=true\n",
                  program, v->mount, program, v->mount, v->key, program, v->mount);
}

static void put_policy(struct script *s)
{
    const struct vault_setup *v = s->setup;
    append_printf(&s->out,
                  "\n# 2. The policy: nothing but this key.%s\n"
                  "%s policy write %s - <<'EOF'\n",
                  s->setup->has_default ? " Tokens look after themselves by the policy default."
                                        : "",
                  s->setup->program, s->name);
    if (s->out.k == KERR_OK) {
        s->out.k = vault_policy(v->mount, v->key, s->setup->has_default, s->out.to, s->out.e);
    }
    append_text(&s->out, "EOF\n");
}

/* Knobs of a role's tokens: renewed for ever, given back, never a batch token, which can do
 * neither. */
static void put_token_knobs(struct script *s)
{
    append_printf(&s->out, " \\\n    token_policies=%s token_type=service token_period=1h%s",
                  s->name, s->setup->has_default ? "" : " token_no_default_policy=true");
}

/* Behind a command whose output is the credential: where it goes on the node. */
static void put_delivery(struct script *s, const char *file)
{
    static const char credential[] = "credential:";
    const char *name = file + strlen(credential);
    append_text(&s->out, " | \\\n    ");
    if (strncmp(file, credential, strlen(credential)) != 0) {
        append_text(&s->out, "deliver ");
        put_quoted(&s->out, file);
        append_text(&s->out, "\n");
        return;
    }
    append_printf(&s->out,
                  "systemd-creds encrypt --name=%s - /etc/credstore.encrypted/%s\n"
                  "# and in a drop-in of etcdseald.service: LoadCredentialEncrypted=%s\n",
                  name, name, name);
}

static void put_node_head(struct script *s, const char *what)
{
    append_printf(&s->out,
                  "\n# 4. On each control-plane node, as root: %s, for etcdseald alone.\n"
                  "# A new file takes the old one's place whole, and only when there is something "
                  "in it.\n"
                  "deliver() {\n"
                  "    (umask 077 && cat > \"$1.new\" && test -s \"$1.new\" &&\n"
                  "        chown etcdseal:etcdseal \"$1.new\" && mv \"$1.new\" \"$1\") ||\n"
                  "        { rm -f \"$1.new\"; false; }\n"
                  "}\n",
                  what);
}

static void put_enable(struct script *s, const char *about)
{
    append_printf(&s->out, "\n# 3. The login. %s\n%s auth enable -path=%s %s\n", about,
                  s->setup->program, s->auth->mount, config_login_name(s->auth->kind));
}

static void put_approle(struct script *s)
{
    const char *program = s->setup->program;
    put_enable(s, "A secret id is good for many logins and 90 days: deliver a new one before.\n"
                  "# Bind both to your nodes, such as secret_id_bound_cidrs=10.0.0.0/24 "
                  "token_bound_cidrs=10.0.0.0/24.");
    append_printf(&s->out, "%s write auth/%s/role/%s", program, s->auth->mount, s->name);
    put_token_knobs(s);
    append_text(&s->out, " \\\n    secret_id_num_uses=0 secret_id_ttl=2160h\n");
    put_node_head(s, "role id and secret id");
    append_printf(&s->out, "%s read -field=role_id auth/%s/role/%s/role-id", program,
                  s->auth->mount, s->name);
    put_delivery(s, s->auth->role_id_file);
    if (s->auth->secret_id_wrapped) {
        append_text(&s->out, "# Wrapped: what is delivered works once, within an hour. If somebody "
                             "else was first,\n# etcdseald says so.\n");
    }
    append_printf(&s->out, "%s write -f %s auth/%s/role/%s/secret-id", program,
                  s->auth->secret_id_wrapped ? "-wrap-ttl=1h -field=wrapping_token"
                                             : "-field=secret_id",
                  s->auth->mount, s->name);
    put_delivery(s, s->auth->secret_id_file);
}

static void put_cert(struct script *s)
{
    const char *role = s->auth->role != NULL ? s->auth->role : s->name;
    put_enable(s, "Put in ca.pem who signs your nodes' client certificates, and say which of them "
                  "may\n# log in.");
    append_printf(&s->out,
                  "%s write auth/%s/certs/%s certificate=@ca.pem \\\n"
                  "    allowed_common_names='node-*'",
                  s->setup->program, s->auth->mount, role);
    put_token_knobs(s);
    append_text(&s->out, "\n\n# 4. On each control-plane node: certificate and key, for etcdseald "
                         "alone:\n# ");
    append_printf(&s->out, "%s and %s\n", s->auth->cert_file, s->auth->key_file);
}

static void put_jwt(struct script *s)
{
    const char *program = s->setup->program;
    put_enable(s, "Put in issuer.pem the public key of who signs the JWTs, or write\n"
                  "# oidc_discovery_url=https://ISSUER, and say which audience and subject may log "
                  "in.");
    append_printf(&s->out,
                  "%s write auth/%s/config jwt_validation_pubkeys=@issuer.pem\n"
                  "%s write auth/%s/role/%s role_type=jwt user_claim=sub \\\n"
                  "    bound_audiences=%s bound_subject=NODE",
                  program, s->auth->mount, program, s->auth->mount, s->auth->role,
                  strcmp(program, "bao") == 0 ? "openbao" : "vault");
    put_token_knobs(s);
    append_printf(&s->out,
                  "\n\n# 4. On each control-plane node: what makes the JWT puts it here, for "
                  "etcdseald alone:\n# %s\n",
                  s->auth->file);
}

static void put_token(struct script *s)
{
    append_text(&s->out, "\n# 3. The login is a token. It is renewed as long as etcdseald runs; 24 "
                         "hours after that it ends.\n");
    put_node_head(s, "the token");
    append_printf(&s->out, "%s token create -orphan -period=24h -policy=%s%s -field=token",
                  s->setup->program, s->name, s->setup->has_default ? "" : " -no-default-policy");
    put_delivery(s, s->auth->file);
}

static void put_none(struct script *s)
{
    append_printf(&s->out,
                  "\n# 3. The login is that of the agent or proxy on the node. Give its role:\n"
                  "# token_policies=%s\n",
                  s->name);
}

typedef void put_fn(struct script *s);

static put_fn *const logins[] = {
    [CONFIG_LOGIN_NONE] = put_none,   [CONFIG_LOGIN_APPROLE] = put_approle,
    [CONFIG_LOGIN_CERT] = put_cert,   [CONFIG_LOGIN_JWT] = put_jwt,
    [CONFIG_LOGIN_TOKEN] = put_token,
};

enum kerr vault_setup_script(const struct vault_setup *setup, struct buf *ret, struct kerrinfo *e)
{
    struct script s = {.setup = setup, .auth = setup->auth, .out = appender_on(ret, e)};
    vault_setup_name(setup, s.name);
    put_head(&s);
    put_key(&s);
    put_policy(&s);
    logins[s.auth->kind](&s);
    return s.out.k;
}
