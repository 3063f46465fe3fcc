/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal seal …: slots. */
#include "base/text.h"
#include "cli/commands.h"
#include "cli/gate.h"
#include "cli/out.h"
#include "cli/setup.h"
#include "cli/slots.h"

enum kerr cmd_seal_list(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    const struct options *o = ctx;
    AUTO_SETUP s = {0};
    AUTO_HOW how = {.owned = NULL};
    AUTO_MODEL m = NULL;
    AUTO_BUF text;
    uint8_t hash[HASH_BYTES];
    buf_init(&text, DOC_MAX);
    enum kerr k = setup_open(o, &s, e);
    k = k == KERR_OK ? ks_read_clear(s.place.path, &m, hash, e) : k;
    k = k == KERR_OK ? slots_how_open(&s, &how, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    char store_id[TEXT_UUID_BYTES];
    text_uuid(m->store_id, store_id);
    if (out_is_doc(o)) {
        struct doc d = out_doc(o, &text, e);
        doc_object(&d, NULL);
        doc_text(&d, "store_id", store_id);
        doc_u64(&d, "generation", m->generation);
        doc_bool(&d, "verified", false);
        slots_doc(&d, m, &how);
        k = doc_end(&d);
    } else {
        out_remark(o, "unverified: read without opening the keystore; 'etcdseal keystore verify' "
                      "checks it");
        k = slots_table(m, &how, &text, e);
    }
    return k == KERR_OK ? out_print(&text, e) : k;
}

enum kerr cmd_seal_add(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    const struct options *o = ctx;
    AUTO_SETUP s = {0};
    AUTO_SPEC spec = {0};
    struct ks_new_slot slot = {.spec = &spec};
    enum kerr k = seal_spec_parse(call->args[0], &spec, e);
    k = k == KERR_OK ? slots_check_roles(&o->roles, &spec, 1, e) : k;
    k = k == KERR_OK ? slots_role(&o->roles, &spec, false, &slot.role, e) : k;
    k = k == KERR_OK ? setup_open(o, &s, e) : k;
    k = k == KERR_OK ? ks_add_slot(&s.place, &slot, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    slots_warn(&spec, &s.place.env);
    out_remark(o, "slot %s (%s) was added", spec.slot, ks_role_name(slot.role));
    slots_remark(o, &spec);
    if ((seal_spec_caps(&spec) & SEAL_CAN_OPEN_UNATTENDED) == 0) {
        out_remark(o, "try it: etcdseal seal test %s", spec.slot);
    }
    if (s.config->unseal_count > 0) {
        out_remark(o,
                   "%s names the slots to open in keystore.unseal: add %s there, or the daemon "
                   "does not use it",
                   s.config->file, spec.slot);
    }
    return KERR_OK;
}

enum kerr cmd_seal_remove(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    const struct options *o = ctx;
    const char *name = call->args[0];
    AUTO_SETUP s = {0};
    enum kerr k = seal_check_slot_name(bytes_of_text(name), e);
    k = k == KERR_OK ? gate_confirmed("remove", "slot", name, o->confirm, e) : k;
    k = k == KERR_OK ? setup_open(o, &s, e) : k;
    k = k == KERR_OK ? ks_remove_slot(&s.place, name, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    out_remark(o, "slot %s was removed, and the root key made anew", name);
    out_warn("older copies of the keystore can still be opened with the secret of slot %s", name);
    return KERR_OK;
}

enum kerr cmd_seal_test(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    const struct options *o = ctx;
    const char *name = call->args[0];
    AUTO_SETUP s = {0};
    enum kerr k = seal_check_slot_name(bytes_of_text(name), e);
    k = k == KERR_OK ? setup_open(o, &s, e) : k;
    k = k == KERR_OK ? ks_test_slot(&s.place, name, e) : k;
    if (k == KERR_OK) {
        out_remark(o, "slot %s opens the keystore", name);
    }
    return k;
}
