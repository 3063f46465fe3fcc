/* SPDX-License-Identifier: Apache-2.0 */
/* Our configuration, the keystore and its seals. */
#include <string.h>

#include "doctor/verdict.h"
#include "doctor/wanted.h"

JUDGE(config_loads)
{
    const struct doctor_question *q = f->q;
    if (*q->config_error != 0) {
        verdict_found(v, q->config_file, "correct the line, then: etcdseal config check", "%s",
                      q->config_error);
    } else if (q->config_file == NULL) {
        verdict_found(v, CONFIG_FILE_DEFAULT,
                      "cp /usr/share/doc/etcdseal/etcdseald.yaml /etc/etcdseal/",
                      "there is no configuration; etcdseald does not start without one");
    } else {
        verdict_ok(v, "%s", q->config_file);
    }
}

/* A finding for a file whose mode or owner is not what wanted_of says. */
static void judge_wanted(const struct facts *f, struct verdict *v, enum wanted_kind kind,
                         const struct fact_file *file)
{
    struct wanted w;
    if (!wanted_of(f, kind, file, &w)) {
        return;
    }
    const char *chown =
        w.is_owner_wrong ? verdict_text(v, "chown %u:%u %s", w.uid, w.gid, file->path) : "";
    const char *chmod = w.is_mode_wrong ? verdict_text(v, "chmod %04o %s", w.mode, file->path) : "";
    verdict_found(v, file->path,
                  verdict_text(v, "%s%s%s    (or: etcdseal doctor --fix)", chown,
                               *chown != 0 && *chmod != 0 ? " && " : "", chmod),
                  "%s belongs to %u:%u and has mode %04o, expected %u:%u and %04o", file->path,
                  file->st.st_uid, file->st.st_gid, file->st.st_mode & 07777, w.uid, w.gid, w.mode);
}

JUDGE(config_mode)
{
    if (f->q->config_file == NULL) {
        verdict_skip(v, "there is no file");
    } else if (f->config.look == LOOK_FAILED) {
        verdict_unknown(v, "%s", f->config.why);
    } else {
        judge_wanted(f, v, WANTED_CONFIG, &f->config);
    }
}

/* Whether a failure to look means that we may not, and not that something is wrong. */
static bool is_forbidden(const struct facts *f, enum kerr code)
{
    return code == KERR_DENIED && !f->is_root;
}

JUDGE(keystore_there)
{
    const struct fact_keystore *k = &f->keystore;
    const char *cure = k->clear_code == KERR_NOTFOUND
                           ? "etcdseal init --seal SPEC --seal SPEC (docs/keystore.md)"
                           : "etcdseal keystore restore BACKUP (docs/keystore.md)";
    if (is_forbidden(f, k->clear_code)) {
        verdict_unknown(v, "%s", k->clear_error);
    } else if (k->clear_code != KERR_OK) {
        verdict_found(v, k->path, cure, "%s", k->clear_error);
    } else {
        verdict_ok(v, "%s, generation %llu", k->path, (unsigned long long)k->generation);
    }
}

JUDGE(keystore_folder_mode)
{
    if (f->keystore.folder.look == LOOK_DONE) {
        judge_wanted(f, v, WANTED_KEYSTORE_FOLDER, &f->keystore.folder);
    } else {
        verdict_skip(v, "no folder to look at");
    }
}

JUDGE(keystore_file_mode)
{
    for (size_t i = 0; i < f->keystore.file_count; i++) {
        const struct fact_file *file = &f->keystore.files[i];
        if (file->look == LOOK_FAILED) {
            verdict_unknown(v, "%s", file->why);
            return;
        }
        if (file->look == LOOK_DONE) {
            judge_wanted(f, v, WANTED_KEYSTORE_FILE, file);
        }
    }
}

/* What this user may not see is not in order for that. */
static bool are_seals_hidden(const struct facts *f, struct verdict *v)
{
    const struct fact_keystore *k = &f->keystore;
    if (is_forbidden(f, k->seals_code)) {
        verdict_unknown(v, "%s", k->seals_error);
        return true;
    }
    for (size_t i = 0; i < k->seal_count; i++) {
        if (k->seals[i].key.look == LOOK_FAILED) {
            verdict_unknown(v, "%s", k->seals[i].key.why);
            return true;
        }
    }
    return false;
}

JUDGE(seal_file_mode)
{
    if (are_seals_hidden(f, v)) {
        return;
    }
    for (size_t i = 0; i < f->keystore.seal_count; i++) {
        const struct fact_file *key = &f->keystore.seals[i].key;
        if (*key->path != 0 && key->look == LOOK_DONE) {
            judge_wanted(f, v, WANTED_KEY_FILE, key);
        }
    }
}

JUDGE(seal_unattended)
{
    const struct fact_keystore *k = &f->keystore;
    size_t unattended = 0;
    for (size_t i = 0; i < k->seal_count; i++) {
        unattended += k->seals[i].is_unattended;
    }
    if (is_forbidden(f, k->seals_code)) {
        verdict_unknown(v, "%s", k->seals_error);
    } else if (k->seals_code != KERR_OK && k->seals_code != KERR_NOTFOUND) {
        verdict_found(v, k->path, "correct PATH.unseal (docs/keystore.md)", "%s", k->seals_error);
    } else if (unattended == 0) {
        verdict_found(v, k->path,
                      "etcdseal seal add boot=credential:etcdseal-boot    (docs/keystore.md)",
                      "nothing on this node opens the keystore without a person");
    } else {
        verdict_ok(v, "%zu of %zu", unattended, k->seal_count);
    }
}

/* The name stands in a list of words, or a word that ends in '*' begins it. */
bool facts_loads_credential(const struct fact_unit *unit, const char *name)
{
    const char *list = unit->credentials;
    for (const char *p = list + strspn(list, " "); *p != 0; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        bool is_pattern = p[len - 1] == '*';
        size_t same = is_pattern ? len - 1 : len;
        if (strncmp(p, name, same) == 0 && (is_pattern || name[len] == 0)) {
            return true;
        }
        p += len;
    }
    return false;
}

JUDGE(unit_credential)
{
    const struct fact_unit *service = &f->units.ours[UNIT_SERVICE];
    if (f->units.look != LOOK_DONE || !service->is_loaded) {
        verdict_skip(v, "%s is not known to systemd", service->name);
        return;
    }
    for (size_t i = 0; i < f->keystore.seal_count; i++) {
        const struct fact_seal *seal = &f->keystore.seals[i];
        if (*seal->credential != 0 && !facts_loads_credential(service, seal->credential)) {
            verdict_found(v, service->name,
                          verdict_text(v,
                                       "systemctl edit %s, add [Service] and "
                                       "LoadCredentialEncrypted=%s, then systemctl daemon-reload",
                                       service->name, seal->credential),
                          "slot %s is opened by credential %s, which the unit does not load",
                          seal->slot, seal->credential);
        }
    }
}

JUDGE(keystore_opens)
{
    const struct fact_keystore *k = &f->keystore;
    if (is_forbidden(f, k->open_code)) {
        verdict_unknown(v, "%s", k->open_error);
    } else if (k->open_code == KERR_NOMEM) {
        verdict_unknown(v, "%s", k->open_error);
    } else if (k->open_code != KERR_OK) {
        verdict_found(v, k->path,
                      "etcdseal keystore verify    (docs/keystore.md: what the refusals mean)",
                      "%s", k->open_error);
    } else {
        verdict_ok(v, "verified and accepted");
    }
}

JUDGE(slots_one)
{
    const struct fact_keystore *k = &f->keystore;
    if (k->slot_count < 2) {
        verdict_found(v, k->path,
                      "etcdseal seal add recovery=passphrase:", "the keystore has one slot");
    } else {
        verdict_ok(v, "%zu", k->slot_count);
    }
}

/* What nothing here says how to open is another node's slot: only that node can test it. */
static bool is_of_this_node(const struct fact_keystore *k, const struct fact_slot *slot)
{
    for (size_t i = 0; i < k->seal_count; i++) {
        if (strcmp(k->seals[i].slot, slot->name) == 0) {
            return true;
        }
    }
    return false;
}

JUDGE(slots_untested)
{
    const struct fact_keystore *k = &f->keystore;
    for (size_t i = 0; i < k->slot_count; i++) {
        const struct fact_slot *slot = &k->slots[i];
        const char *cure = verdict_text(v, "etcdseal seal test %s", slot->name);
        if (slot->tested_at_s == 0) {
            verdict_found(v, k->path, cure, "slot %s was never seen to open", slot->name);
        } else if (!slot->is_accepted && is_of_this_node(k, slot)) {
            verdict_found(v, k->path, cure,
                          "slot %s has not been opened on this node yet, or not "
                          "since a slot was removed",
                          slot->name);
        }
    }
}

JUDGE(seal_beside)
{
    if (are_seals_hidden(f, v)) {
        return;
    }
    for (size_t i = 0; i < f->keystore.seal_count; i++) {
        const struct fact_seal *seal = &f->keystore.seals[i];
        bool is_key_file = *seal->key.path != 0;
        if (*seal->warning == 0 || (is_key_file && !seal->is_beside)) {
            continue;
        }
        const char *cure =
            is_key_file
                ? verdict_text(v,
                               "etcdseal seal add node=credential:etcdseal-boot && etcdseal seal "
                               "remove %s --confirm %s    (or move %s to another medium)",
                               seal->slot, seal->slot, seal->key.path)
                : "encrypt the credential anew with systemd-creds --with-key=host+tpm2";
        verdict_found(v, is_key_file ? seal->key.path : seal->spec, cure, "slot %s: %s", seal->slot,
                      seal->warning);
    }
}
