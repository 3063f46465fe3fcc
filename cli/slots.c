/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/slots.h"

#include <stdlib.h>
#include <string.h>

#include "keystore/ks_files.h"

static bool find_role(const char *word, uint8_t *ret)
{
    static const uint8_t roles[] = {KS_ROLE_NODE, KS_ROLE_OPERATOR, KS_ROLE_RECOVERY};
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (strcmp(ks_role_name(roles[i]), word) == 0) {
            *ret = roles[i];
            return true;
        }
    }
    return false;
}

static bool names(const char *item, const char *slot)
{
    size_t len = strlen(slot);
    return strncmp(item, slot, len) == 0 && item[len] == '=';
}

enum kerr slots_check_roles(const struct opt_list *roles, const struct seal_spec *specs,
                            size_t count, struct kerrinfo *e)
{
    for (size_t i = 0; i < roles->count; i++) {
        const char *item = roles->items[i];
        const char *equal = strchr(item, '=');
        uint8_t role = 0;
        if (!find_role(equal == NULL ? item : equal + 1, &role)) {
            return kerr_set(e, KERR_USAGE,
                            "--role %.64s: expected NAME=node, NAME=operator or NAME=recovery",
                            item);
        }
        size_t named = 0;
        for (size_t j = 0; j < count; j++) {
            named += equal == NULL ? count == 1 : names(item, specs[j].slot);
        }
        if (named != 1) {
            return kerr_set(e, KERR_USAGE, "--role %.64s: name one of the new slots, NAME=ROLE",
                            item);
        }
    }
    return KERR_OK;
}

enum kerr slots_role(const struct opt_list *roles, const struct seal_spec *spec, bool is_first,
                     uint8_t *ret, struct kerrinfo *e)
{
    bool is_asked_for = (seal_spec_caps(spec) & SEAL_CAN_OPEN_UNATTENDED) == 0;
    uint8_t role = is_asked_for && !is_first ? KS_ROLE_RECOVERY : KS_ROLE_NODE;
    bool is_given = false;
    for (size_t i = 0; i < roles->count; i++) {
        const char *equal = strchr(roles->items[i], '=');
        if (equal != NULL && !names(roles->items[i], spec->slot)) {
            continue;
        }
        if (is_given) {
            return kerr_set(e, KERR_USAGE, "--role was given twice for slot %s", spec->slot);
        }
        is_given = find_role(equal == NULL ? roles->items[i] : equal + 1, &role);
    }
    *ret = role;
    return KERR_OK;
}

void slots_warn(const struct seal_spec *spec, const struct seal_env *env)
{
    const char *warning = seal_warning(spec, env);
    if (warning != NULL) {
        out_warn("slot %s: %s", spec->slot, warning);
    }
}

void slots_remark(const struct options *o, const struct seal_spec *spec)
{
    if (spec->kind == SEAL_CREDENTIAL) {
        size_t len = strcspn(spec->arg, ",");
        out_remark(o,
                   "the daemon gets credential %.*s by LoadCredentialEncrypted=%.*s in the section "
                   "[Service] of a drop-in of etcdseald.service",
                   (int)len, spec->arg, (int)len, spec->arg);
    }
}

enum kerr slots_how_open(const struct setup *s, struct slots_how *ret, struct kerrinfo *e)
{
    if (s->place.spec_count > 0) {
        *ret = (struct slots_how){.specs = s->place.specs, .count = s->place.spec_count};
        return KERR_OK;
    }
    struct kerrinfo why = {0};
    struct slots_how how = {.owned = NULL};
    enum kerr k = ks_read_unseal(s->place.path, &how.owned, &how.count, &why);
    if (k != KERR_OK && k != KERR_NOTFOUND) {
        return kerr_set(e, k, "%s", why.text);
    }
    how.specs = how.owned;
    *ret = how;
    return KERR_OK;
}

void slots_how_done(struct slots_how *how)
{
    if (how->owned != NULL) {
        ks_specs_free(how->owned, how->count);
    }
    how->owned = NULL;
}

static const struct seal_spec *find_how(const struct slots_how *how, const char *slot)
{
    for (size_t i = 0; how != NULL && i < how->count; i++) {
        if (strcmp(how->specs[i].slot, slot) == 0) {
            return &how->specs[i];
        }
    }
    return NULL;
}

static void put_slot(struct doc *d, const struct ks_slot *slot, const struct slots_how *how)
{
    const struct seal_spec *spec = find_how(how, slot->name);
    doc_object(d, NULL);
    doc_text(d, "name", slot->name);
    doc_text(d, "kind", seal_kind_name(slot->seal.kind));
    doc_text(d, "role", ks_role_name(slot->role));
    doc_time(d, "created_at", slot->created_at_s);
    doc_time(d, "tested_at", slot->tested_at_s);
    if (how != NULL) {
        doc_text(d, "unseal", spec == NULL ? NULL : spec->text);
        doc_bool(d, "unattended",
                 spec != NULL && (seal_spec_caps(spec) & SEAL_CAN_OPEN_UNATTENDED) != 0);
    }
    doc_close(d);
}

void slots_doc(struct doc *d, const struct ks_model *m, const struct slots_how *how)
{
    doc_array(d, "slots");
    for (size_t i = 0; i < m->slot_count; i++) {
        put_slot(d, &m->slots[i], how);
    }
    doc_close(d);
}

enum kerr slots_table(const struct ks_model *m, const struct slots_how *how, struct buf *to,
                      struct kerrinfo *e)
{
    static const char *const titles[] = {
        "SLOT", "KIND", "ROLE", "CREATED", "SEEN TO OPEN AT", "OPENED HERE WITH"};
    size_t columns = how == NULL ? ARRAY_LEN(titles) - 1 : ARRAY_LEN(titles);
    AUTO_TABLE t;
    table_init(&t, titles, columns, e);
    for (size_t i = 0; i < m->slot_count; i++) {
        const struct ks_slot *slot = &m->slots[i];
        const struct seal_spec *spec = find_how(how, slot->name);
        table_cell(&t, slot->name);
        table_cell(&t, seal_kind_name(slot->seal.kind));
        table_cell(&t, ks_role_name(slot->role));
        table_time(&t, slot->created_at_s);
        table_time(&t, slot->tested_at_s);
        if (how != NULL) {
            table_cell(&t, spec == NULL ? NULL : spec->text);
        }
    }
    return table_print(&t, to);
}
