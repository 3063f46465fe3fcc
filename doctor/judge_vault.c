/* SPDX-License-Identifier: Apache-2.0 */
/* Vault as this node reaches it: login, servers, what a token may do, the key, the clocks. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "doctor/verdict.h"
#include "doctor/wanted.h"

static const char default_cure[] =
    "give the token the policy default, or what etcdseal vault policy --no-default-policy prints";
static const char policy_cure[] =
    "give this node's role the policy that etcdseal vault policy prints";

/* ---- files of the login ---- */

/* As far as mode and owner tell. */
static bool is_readable(const struct facts *f, const struct stat *st)
{
    gid_t gid = 0;
    uid_t uid = facts_daemon_uid(f, &gid);
    return uid == 0            ? true
           : st->st_uid == uid ? (st->st_mode & 0400) != 0
           : st->st_gid == gid ? (st->st_mode & 0040) != 0
                               : (st->st_mode & 0004) != 0;
}

static void judge_credential(const struct facts *f, struct verdict *v,
                             const struct fact_login_file *x)
{
    const struct fact_unit *service = &f->units.ours[UNIT_SERVICE];
    bool is_known = f->units.look == LOOK_DONE && service->is_loaded;
    if (is_known && !facts_loads_credential(service, x->credential)) {
        verdict_found(v, service->name,
                      verdict_text(v,
                                   "systemctl edit %s, add [Service] and "
                                   "LoadCredentialEncrypted=%s, then systemctl daemon-reload",
                                   service->name, x->credential),
                      "%s is credential %s, which the unit does not load", x->name, x->credential);
    }
}

static void judge_login_file(const struct facts *f, struct verdict *v,
                             const struct fact_login_file *x)
{
    const struct fact_file *file = &x->file;
    gid_t gid = 0;
    uid_t uid = facts_daemon_uid(f, &gid);
    const char *path = file->path;
    const struct stat *st = &file->st;
    const char *cure =
        x->is_secret ? verdict_text(v, "chown %u:%u %s && chmod 0600 %s", uid, gid, path, path)
                     : verdict_text(v, "chmod 0644 %s", path);
    if (file->look == LOOK_NO) {
        verdict_found(v, path, "deliver it to this node (docs/vault.md: Log in)",
                      "%s: there is no file %s", x->name, path);
    } else if (S_ISLNK(st->st_mode)) {
        return; /* the login follows it, and tells */
    } else if (!S_ISREG(st->st_mode)) {
        verdict_found(v, path, "put a file there", "%s: %s is no file", x->name, path);
    } else if (x->is_secret && (st->st_mode & 0077) != 0) {
        verdict_found(v, path, cure, "%s has mode %04o: others than its owner can read it", path,
                      st->st_mode & 07777);
    } else if (!is_readable(f, st)) {
        verdict_found(v, path, cure,
                      "%s belongs to %u:%u and has mode %04o: the daemon, as user %u, cannot read "
                      "it",
                      path, st->st_uid, st->st_gid, st->st_mode & 07777, uid);
    }
}

JUDGE(vault_credential)
{
    const struct fact_vault *x = &f->vault;
    for (size_t i = 0; i < x->login_file_count; i++) {
        const struct fact_login_file *file = &x->login_files[i];
        if (*file->credential != 0) {
            judge_credential(f, v, file);
        } else if (file->file.look == LOOK_FAILED) {
            verdict_unknown(v, "%s", file->file.why);
            return;
        } else {
            judge_login_file(f, v, file);
        }
    }
    if (v->row->result == DOCTOR_OK && x->server_count == 0) {
        verdict_found(v, f->q->config->file == NULL ? "" : f->q->config->file, x->login.cure, "%s",
                      x->login.why);
    }
}

/* ---- servers ---- */

static bool is_remote_http(const char *address)
{
    static const char *const near[] = {"http://127.", "http://localhost", "http://[::1]"};
    bool is_http = strncmp(address, "http://", 7) == 0;
    for (size_t i = 0; i < ARRAY_LEN(near); i++) {
        is_http = is_http && strncmp(address, near[i], strlen(near[i])) != 0;
    }
    return is_http;
}

JUDGE(vault_plain_http)
{
    const struct config_vault *c = f->vault.config;
    for (size_t i = 0; i < c->address_count; i++) {
        if (is_remote_http(c->addresses[i])) {
            verdict_found(v, c->addresses[i],
                          "an https address in vault.addresses, with vault.ca_file; then take out "
                          "vault.allow_plain_http",
                          "%s: token and key material cross the network in the clear",
                          c->addresses[i]);
        }
    }
}

/* What keeps a server from serving; VAULT_NONE for nothing. */
static enum vault_cause state_of(const struct fact_server *s)
{
    return !s->health.is_initialised ? VAULT_UNINITIALISED
           : s->health.is_sealed     ? VAULT_SEALED
                                     : VAULT_NONE;
}

static bool serves(const struct fact_server *s)
{
    return s->look == LOOK_DONE && state_of(s) == VAULT_NONE;
}

static size_t count_serving(const struct fact_vault *x)
{
    size_t count = 0;
    for (size_t i = 0; i < x->server_count; i++) {
        count += serves(&x->servers[i]);
    }
    return count;
}

static void judge_servers(const struct facts *f, struct verdict *v)
{
    for (size_t i = 0; i < f->vault.server_count; i++) {
        const struct fact_server *s = &f->vault.servers[i];
        enum vault_cause cause = state_of(s);
        if (s->look != LOOK_DONE) {
            verdict_found(v, s->address, s->cure, "%s", s->why);
        } else if (cause != VAULT_NONE) {
            verdict_found(v, s->address, vault_cause_cure(cause), "%s: %s", s->address,
                          vault_cause_sentence(cause));
        }
    }
}

JUDGE(vault_answers)
{
    const struct fact_vault *x = &f->vault;
    size_t serving = count_serving(x);
    if (serving == 0) {
        judge_servers(f, v);
        return;
    }
    const char *about = "";
    for (size_t i = 0; i < x->server_count; i++) {
        const struct fact_server *s = &x->servers[i];
        if (serves(s)) {
            about = verdict_text(v, "%s%s%s %s%s", about, *about == 0 ? "" : ", ", s->address,
                                 s->health.version, s->health.is_standby ? " standby" : "");
        }
    }
    verdict_ok(v, "%s", about);
}

JUDGE(vault_address)
{
    judge_servers(f, v); /* one of them serves: vault-answers */
}

/* The smaller of half of what nodes wait with a new version and of what is plainly wrong. */
static uint64_t clock_limit_s(const struct config_vault *c)
{
    uint64_t half_s = c->activation_delay_ms / 2000;
    return half_s > FACTS_SERVER_CLOCK_MAX_S   ? FACTS_SERVER_CLOCK_MAX_S
           : half_s < FACTS_SERVER_CLOCK_MIN_S ? FACTS_SERVER_CLOCK_MIN_S
                                               : half_s;
}

JUDGE(vault_clock)
{
    uint64_t limit_s = clock_limit_s(f->vault.config);
    for (size_t i = 0; i < f->vault.server_count; i++) {
        const struct fact_server *s = &f->vault.servers[i];
        uint64_t theirs = s->health.server_time_s;
        bool is_ahead = theirs > s->answered_at_s;
        uint64_t off_s = is_ahead ? theirs - s->answered_at_s : s->answered_at_s - theirs;
        if (serves(s) && off_s > limit_s) {
            verdict_found(v, s->address, "timedatectl set-ntp true, here and on the server",
                          "the clock of %s is %llu s %s of this node's, expected at most %llu",
                          s->address, (unsigned long long)off_s, is_ahead ? "ahead" : "behind",
                          (unsigned long long)limit_s);
        }
    }
}

/* ---- login and policy ---- */

/* Whether there is an answer to judge; else the row is skipped. */
static bool is_asked(const struct facts *f, struct verdict *v, const struct fact_question *q)
{
    if (q->look == LOOK_NO) {
        verdict_skip(v, "%s", *f->vault.no_login == 0 ? "not asked" : f->vault.no_login);
    }
    return q->look != LOOK_NO;
}

JUDGE(vault_login)
{
    const struct fact_question *q = &f->vault.login;
    const char *name = config_login_name(f->vault.config->auth.kind);
    if (!is_asked(f, v, q)) {
        return;
    }
    if (q->look == LOOK_FAILED) {
        verdict_found(v, name, q->cure, "%s", q->why);
    } else {
        verdict_ok(v, "%s", name);
    }
}

static const struct {
    const char *before; /* of mount and key */
    const char *after;
    unsigned allowed; /* beside what is needed */
} wide_paths[] = {
    {"keys", "/config", 0}, {"keys", "/rotate", 0}, {"keys", "/trim", 0},
    {"backup", "", 0},      {"restore", "", 0},     {"export/encryption-key", "", 0},
};

bool facts_vault_path(const struct config_vault *config, size_t i, struct fact_path *ret)
{
    struct vault_right right;
    size_t needed = 0;
    if (vault_right_at(config->mount, config->key, i, &right)) {
        *ret = (struct fact_path){.needed = right.capabilities,
                                  .allowed = right.is_of_default ? ~0U : right.capabilities,
                                  .is_of_default = right.is_of_default};
        memcpy(ret->path, right.path, sizeof ret->path);
        return true;
    }
    while (vault_right_at(config->mount, config->key, needed, &right)) {
        needed++;
    }
    if (i - needed >= ARRAY_LEN(wide_paths)) {
        return false;
    }
    *ret = (struct fact_path){.needed = 0};
    (void)snprintf(ret->path, sizeof ret->path, "%s/%s/%s%s", config->mount,
                   wide_paths[i - needed].before, config->key, wide_paths[i - needed].after);
    return true;
}

static const struct {
    unsigned bit;
    const char *word;
} capability_words[] = {
    {VAULT_MAY_CREATE, "create"}, {VAULT_MAY_READ, "read"}, {VAULT_MAY_UPDATE, "update"},
    {VAULT_MAY_DELETE, "delete"}, {VAULT_MAY_LIST, "list"}, {VAULT_MAY_SUDO, "sudo"},
};

static const char *words_of(struct verdict *v, unsigned bits)
{
    const char *text = "";
    for (size_t i = 0; i < ARRAY_LEN(capability_words); i++) {
        if ((bits & capability_words[i].bit) != 0) {
            text =
                verdict_text(v, "%s%s%s", text, *text == 0 ? "" : ", ", capability_words[i].word);
        }
    }
    return text;
}

JUDGE(vault_policy)
{
    const struct fact_vault *x = &f->vault;
    bool is_login_ours = x->config->auth.kind != CONFIG_LOGIN_NONE;
    struct fact_path row;
    if (!is_asked(f, v, &x->capabilities)) {
        return;
    }
    if (x->capabilities.look == LOOK_FAILED) {
        bool is_denied = x->capabilities.cause == VAULT_POLICY;
        verdict_found(v, "sys/capabilities-self", is_denied ? default_cure : x->capabilities.cure,
                      "what the token may do is not known (sys/capabilities-self): %s",
                      x->capabilities.why);
        return;
    }
    for (size_t i = 0; facts_vault_path(x->config, i, &row); i++) {
        bool is_missing = (x->rights[i] & VAULT_MAY_ALL) == 0 && (row.needed & ~x->rights[i]) != 0;
        if (is_missing && (is_login_ours || !row.is_of_default)) {
            const char *path = verdict_text(v, "%s", row.path);
            verdict_found(v, path, row.is_of_default ? default_cure : policy_cure,
                          "the policy lacks %s on %s", words_of(v, row.needed & ~x->rights[i]),
                          path);
        }
    }
}

/* What a right too many leads to. */
static const char *harm_of(const char *path, unsigned bits)
{
    bool is_wrap = strstr(path, "/encrypt/") != NULL;
    return is_wrap && (bits & VAULT_MAY_CREATE) != 0
               ? "a mistyped vault.key would silently make a new key"
               : "this node, or who takes it over, can do more than wrap and unwrap";
}

JUDGE(vault_policy_wide)
{
    const struct fact_vault *x = &f->vault;
    struct fact_path row;
    if (!is_asked(f, v, &x->capabilities)) {
        return;
    }
    for (size_t i = 0; facts_vault_path(x->config, i, &row); i++) {
        unsigned over = x->rights[i] & ~row.allowed;
        const char *path = verdict_text(v, "%s", row.path);
        if ((x->rights[i] & VAULT_MAY_ALL) != 0) {
            verdict_found(v, path, policy_cure, "the login gives a root token, which may do all");
            return;
        }
        if (over != 0) {
            verdict_found(v, path, policy_cure, "the policy allows %s on %s: %s", words_of(v, over),
                          path, harm_of(path, over));
        }
    }
}

/* ---- the key ---- */

static const char *key_name(const struct facts *f, struct verdict *v)
{
    return verdict_text(v, "%s/keys/%s", f->vault.config->mount, f->vault.config->key);
}

JUDGE(vault_key)
{
    const struct fact_vault *x = &f->vault;
    if (!is_asked(f, v, &x->described)) {
        return;
    }
    if (x->described.look == LOOK_FAILED) {
        verdict_found(v, key_name(f, v), x->described.cure, "%s", x->described.why);
    } else {
        verdict_ok(v, "%s, version %u, decrypts from %u on", x->key.type, x->key.latest,
                   x->key.min_decryption);
    }
}

JUDGE(vault_key_guard)
{
    const struct fact_vault *x = &f->vault;
    const struct {
        bool is_set;
        const char *name;
        const char *harm;
        const char *cure;
    } rows[] = {
        {x->key.is_exportable, "exportable", "who may read export/ has the key itself",
         "cannot be taken back: make a new key and move to it (docs/vault.md: Move)"},
        {x->key.allows_plaintext_backup, "allow_plaintext_backup",
         "who may read backup/ has the key itself",
         "cannot be taken back: make a new key and move to it (docs/vault.md: Move)"},
        {x->key.is_deletion_allowed, "deletion_allowed",
         "one call deletes it, and with it all that it protects",
         verdict_text(v, "bao write %s/keys/%s/config deletion_allowed=false", x->config->mount,
                      x->config->key)},
    };
    if (!is_asked(f, v, &x->described)) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].is_set) {
            verdict_found(v, key_name(f, v), rows[i].cure, "the key is %s: %s", rows[i].name,
                          rows[i].harm);
        }
    }
}

JUDGE(vault_key_age)
{
    const struct fact_vault *x = &f->vault;
    if (!is_asked(f, v, &x->described)) {
        return;
    }
    const struct vault_version *latest = vault_key_version(&x->key, x->key.latest);
    char at[CLOCK_TEXT_BYTES];
    clock_format_s(latest->created_at_s, at);
    if (f->now_s > latest->created_at_s + FACTS_KEY_AGE_S) {
        verdict_found(v, key_name(f, v),
                      verdict_text(v,
                                   "bao write -f %s/keys/%s/rotate    (docs/vault.md: Change "
                                   "the key)",
                                   x->config->mount, x->config->key),
                      "version %u, the newest, is from %s, more than 90 days ago", x->key.latest,
                      at);
    } else {
        verdict_ok(v, "version %u is from %s", x->key.latest, at);
    }
}
