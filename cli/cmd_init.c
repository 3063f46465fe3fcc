/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal init: a keystore with its first key. */
#include "base/text.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/setup.h"
#include "cli/slots.h"

struct init {
    const struct options *o;
    struct seal_spec specs[KS_SLOTS_MAX];
    struct ks_new_slot slots[KS_SLOTS_MAX];
    size_t count;
};

static void init_done(struct init *i)
{
    setup_specs_done(i->specs);
}

static enum kerr read_slots(struct init *i, struct kerrinfo *e)
{
    if (i->o->seals.count == 0) {
        return kerr_set(e, KERR_USAGE,
                        "init needs at least one --seal SPEC. Try 'etcdseal init --help'.");
    }
    enum kerr k = setup_specs(&i->o->seals, "seal", i->specs, &i->count, e);
    k = k == KERR_OK ? slots_check_roles(&i->o->roles, i->specs, i->count, e) : k;
    for (size_t n = 0; n < i->count && k == KERR_OK; n++) {
        i->slots[n].spec = &i->specs[n];
        k = slots_role(&i->o->roles, &i->specs[n], n == 0, &i->slots[n].role, e);
    }
    return k;
}

static void warn(const struct init *i, const struct setup *s)
{
    bool is_unattended = false;
    for (size_t n = 0; n < i->count; n++) {
        slots_warn(&i->specs[n], &s->place.env);
        is_unattended =
            is_unattended || (seal_spec_caps(&i->specs[n]) & SEAL_CAN_OPEN_UNATTENDED) != 0;
    }
    if (i->count == 1) {
        out_warn("slot %s is the only one: if it is lost, all that these keys wrap is lost; add "
                 "another with 'etcdseal seal add'",
                 i->specs[0].slot);
    }
    if (!is_unattended) {
        out_warn("no slot can be opened without a person, so the daemon stays sealed; add one with "
                 "'etcdseal seal add', for example credential:etcdseal");
    }
}

static enum kerr print(const struct init *i, const struct ks_model *m, const char *key_id,
                       struct kerrinfo *e)
{
    char store_id[TEXT_UUID_BYTES];
    text_uuid(m->store_id, store_id);
    AUTO_BUF text;
    buf_init(&text, DOC_MAX);
    enum kerr k;
    if (out_is_doc(i->o)) {
        struct doc d = out_doc(i->o, &text, e);
        doc_object(&d, NULL);
        doc_text(&d, "store_id", store_id);
        doc_u64(&d, "generation", m->generation);
        doc_text(&d, "key_id", key_id);
        slots_doc(&d, m, NULL);
        k = doc_end(&d);
    } else {
        k = buf_printf(&text, e, "keystore  %s\nkey       %s (primary)\n\n", store_id, key_id);
        k = k == KERR_OK ? slots_table(m, NULL, &text, e) : k;
    }
    return k == KERR_OK ? out_print(&text, e) : k;
}

enum kerr cmd_init(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    AUTO(init_done) struct init i = {.o = ctx};
    AUTO_SETUP s = {0};
    AUTO_MODEL m = NULL;
    enum suite suite = SUITE_XAES_256_GCM;
    uint8_t id[KS_ID_BYTES];
    uint8_t hash[HASH_BYTES];
    enum kerr k = read_slots(&i, e);
    k = k == KERR_OK ? suite_from_name(i.o->suite, &suite, e) : k;
    k = k == KERR_OK ? setup_open(i.o, &s, e) : k;
    k = k == KERR_OK ? ks_init(&s.place, i.slots, i.count, suite, id, e) : k;
    k = k == KERR_OK ? ks_read_clear(s.place.path, &m, hash, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    char key_id[KS_KEY_ID_TEXT];
    ks_key_id_text(id, key_id);
    warn(&i, &s);
    for (size_t n = 0; n < i.count; n++) {
        slots_remark(i.o, &i.specs[n]);
    }
    out_remark(i.o,
               "Make a copy with 'etcdseal keystore backup FILE' now and after each new key, and "
               "keep it apart from etcd's backups and from the seals: an etcd backup cannot be "
               "read without the keystore of its time.");
    return print(&i, m, key_id, e);
}
