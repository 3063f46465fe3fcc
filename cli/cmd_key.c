/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal key …: the life cycle of keys. */
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/gate.h"
#include "cli/out.h"
#include "cli/setup.h"

static void put_key(struct doc *d, const struct ks_key *key)
{
    char id[KS_KEY_ID_TEXT];
    ks_key_id_text(key->id, id);
    doc_object(d, NULL);
    doc_text(d, "id", id);
    doc_text(d, "state", ks_state_name(ks_state(key)));
    doc_text(d, "suite", suite_name(key->suite));
    doc_time(d, "created_at", key->created_at_s);
    doc_time(d, "promoted_at", key->promoted_at_s);
    doc_time(d, "retired_at", key->retired_at_s);
    doc_time(d, "disabled_at", key->disabled_at_s);
    doc_time(d, "destroy_due_at", key->destroy_due_s);
    doc_time(d, "destroyed_at", key->destroyed_at_s);
    doc_bool(d, "compromised", key->compromised_at_s != 0);
    doc_time(d, "compromised_at", key->compromised_at_s);
    doc_u64(d, "birth_epoch", key->birth_epoch);
    doc_text(d, "note", *key->note == 0 ? NULL : key->note);
    doc_close(d);
}

static enum kerr print_doc(const struct options *o, const struct ks_model *m, struct buf *to,
                           struct kerrinfo *e)
{
    char store_id[TEXT_UUID_BYTES];
    text_uuid(m->store_id, store_id);
    struct doc d = out_doc(o, to, e);
    doc_object(&d, NULL);
    doc_text(&d, "store_id", store_id);
    doc_u64(&d, "generation", m->generation);
    doc_array(&d, "keys");
    for (size_t i = 0; i < m->key_count; i++) {
        put_key(&d, &m->keys[i]);
    }
    return doc_end(&d);
}

/* When the key came into the state that it is in. */
static uint64_t since_s(const struct ks_key *key)
{
    switch (ks_state(key)) {
    case KS_STAGED:
        return key->created_at_s;
    case KS_PRIMARY:
        return key->promoted_at_s;
    case KS_RETIRED:
        return key->retired_at_s;
    case KS_DISABLED:
        return key->disabled_at_s;
    case KS_DESTROYED:
        return key->destroyed_at_s;
    case KS_DESTROY_SCHEDULED:
    case KS_STATE_COUNT:
        break;
    }
    return 0;
}

static enum kerr remark(const struct ks_key *key, struct buf *to, struct kerrinfo *e)
{
    char due[CLOCK_TEXT_BYTES];
    enum kerr k = buf_put_text(to, key->compromised_at_s != 0 ? "COMPROMISED " : "", e);
    if (k == KERR_OK && ks_state(key) == KS_DESTROY_SCHEDULED) {
        clock_format_s(key->destroy_due_s, due);
        k = buf_printf(to, e, "due %s ", due);
    }
    if (k == KERR_OK && *key->note != 0) {
        k = buf_put_text(to, key->note, e);
    }
    return k;
}

static enum kerr print_table(const struct ks_model *m, struct buf *to, struct kerrinfo *e)
{
    static const char *const titles[] = {"ID", "STATE", "SINCE", "CREATED", "SUITE", "REMARK"};
    AUTO_TABLE t;
    table_init(&t, titles, ARRAY_LEN(titles), e);
    for (size_t i = 0; i < m->key_count; i++) {
        const struct ks_key *key = &m->keys[i];
        char id[KS_KEY_ID_TEXT];
        AUTO_BUF words;
        const char *text = NULL;
        buf_init(&words, KS_NOTE_MAX + 64);
        enum kerr k = remark(key, &words, e);
        k = k == KERR_OK ? buf_text(&words, &text, e) : k;
        if (k != KERR_OK) {
            return k;
        }
        ks_key_id_text(key->id, id);
        table_cell(&t, id);
        table_cell(&t, ks_state_name(ks_state(key)));
        table_time(&t, since_s(key));
        table_time(&t, key->created_at_s);
        table_cell(&t, suite_name(key->suite));
        table_cell(&t, text);
    }
    return table_print(&t, to);
}

enum kerr cmd_key_list(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    const struct options *o = ctx;
    AUTO_SETUP s = {0};
    AUTO_KS ks = NULL;
    AUTO_BUF text;
    buf_init(&text, DOC_MAX);
    enum kerr k = setup_open(o, &s, e);
    k = k == KERR_OK ? ks_open(&s.place, NULL, &ks, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    const struct ks_model *m = ks_model(ks);
    k = out_is_doc(o) ? print_doc(o, m, &text, e) : print_table(m, &text, e);
    return k == KERR_OK ? out_print(&text, e) : k;
}

enum kerr cmd_key_stage(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    const struct options *o = ctx;
    AUTO_SETUP s = {0};
    enum suite suite = SUITE_XAES_256_GCM;
    uint8_t id[KS_ID_BYTES];
    enum kerr k = suite_from_name(o->suite, &suite, e);
    k = k == KERR_OK ? setup_open(o, &s, e) : k;
    k = k == KERR_OK ? ks_stage_key(&s.place, suite, id, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    char text[KS_KEY_ID_TEXT];
    ks_key_id_text(id, text);
    out_remark(o, "staged; promote it when 'etcdseal status' lists it on every node");
    return out_line(e, "%s", text);
}

/* --- changes -----------------------------------------------------------------------------------
 */

/* One call of cmd_key_change. */
struct change {
    const struct options *o;
    const struct setup *s;
    enum ks_command command;
    const char *id_text;
    uint8_t id[KS_ID_BYTES];
    struct ks_command_args args;
    struct daemon_view view; /* doc NULL: the daemon was not or could not be asked */
    struct kerrinfo why_not;
};

static void change_done(struct change *c)
{
    daemon_done(&c->view);
}

struct change_row {
    bool needs_confirm;
    bool needs_unused;
    bool asks_daemon;
    const char *done; /* what a person is told */
};

static const struct change_row rows[KS_COMMAND_COUNT] = {
    [KS_PROMOTE] = {.asks_daemon = true},
    [KS_DISABLE] = {.needs_confirm = true,
                    .needs_unused = true,
                    .done = "disabled: what only it wraps cannot be read; 'etcdseal key enable' "
                            "takes it back"},
    [KS_ENABLE] = {.done = "enabled: it unwraps again"},
    [KS_DESTROY] = {.needs_confirm = true, .needs_unused = true},
    [KS_CANCEL_DESTROY] = {.done = "kept; it is disabled, 'etcdseal key enable' lets it unwrap"},
    [KS_COMPROMISE] = {.done = "marked; it works as before: stage and promote a new key, rewrite "
                               "what this one wraps, then disable it"},
};

static enum kerr find_command(const char *verb, enum ks_command *ret, struct kerrinfo *e)
{
    for (int i = 0; i < KS_COMMAND_COUNT; i++) {
        if (strcmp(ks_command_name((enum ks_command)i), verb) == 0) {
            *ret = (enum ks_command)i;
            return KERR_OK;
        }
    }
    return kerr_set(e, KERR_BUG, "no key command %s", verb);
}

static enum kerr read_id(struct change *c, struct kerrinfo *e)
{
    char shown[80];
    text_escape(bytes_of_text(c->id_text), shown, sizeof shown);
    return ks_key_id_parse(bytes_of_text(c->id_text), c->id, NULL) == KERR_OK
               ? KERR_OK
               : kerr_set(e, KERR_USAGE,
                          "'%s' is no key id: they begin with " KS_KEY_ID_PREFIX
                          ", and 'etcdseal key list' shows them",
                          shown);
}

static enum kerr check_words(const struct change *c, struct kerrinfo *e)
{
    const struct options *o = c->o;
    enum kerr k = KERR_OK;
    if (c->command == KS_DESTROY && (o->after_ms == 0) == (o->backups == NULL)) {
        return kerr_set(e, KERR_USAGE,
                        "destroy takes either --after TIME, which begins the grace time, or, when "
                        "that is over, --backups TEXT. Try 'etcdseal key destroy --help'.");
    }
    if (rows[c->command].needs_confirm) {
        k = gate_confirmed(ks_command_name(c->command), "key", c->id_text, o->confirm, e);
    }
    return k;
}

/* The store id stands in the clear part; opening the keystore, which comes next, checks it. */
static enum kerr check_unused(const struct change *c, struct kerrinfo *e)
{
    AUTO_MODEL m = NULL;
    uint8_t hash[HASH_BYTES];
    char store_id[TEXT_UUID_BYTES];
    enum kerr k = ks_read_clear(c->s->place.path, &m, hash, e);
    if (k != KERR_OK) {
        return k;
    }
    text_uuid(m->store_id, store_id);
    struct gate_question q = {
        .verb = ks_command_name(c->command),
        .key_id = c->id_text,
        .store_id = store_id,
        .socket = c->s->status_socket,
        .view = c->view.doc == NULL ? NULL : &c->view,
        .why = c->why_not.text,
        .now_s = c->args.now_s,
    };
    k = gate_unused(&q, e);
    if (k == KERR_OK) {
        char since[CLOCK_TEXT_BYTES];
        clock_format_s(c->view.started_at_s, since);
        out_remark(c->o,
                   "the daemon has not decrypted with it for 7 days, as far as it knows: it "
                   "started at %s",
                   since);
    }
    return k;
}

static void tell_promoted(const struct change *c)
{
    struct daemon_key key;
    out_remark(c->o, "key %s is primary now; within seconds 'etcdseal status' must show it",
               c->id_text);
    if (c->view.doc == NULL) {
        out_warn("no daemon was asked (%s): make sure that every node's daemon loads this keystore",
                 c->why_not.text);
    } else if (!daemon_key_find(&c->view, c->id_text, &key)) {
        out_warn("the daemon had not loaded key %s before it was promoted; with more than one "
                 "node, promote only what 'etcdseal status' lists on each",
                 c->id_text);
    }
}

static void tell_destroy(const struct change *c, bool is_destroyed)
{
    if (is_destroyed) {
        out_remark(c->o, "key %s is destroyed in this keystore", c->id_text);
        out_warn("any older copy of the keystore brings the key back to whoever can open it: "
                 "destroy or re-make those backups");
        return;
    }
    char due[CLOCK_TEXT_BYTES];
    clock_format_s(c->args.now_s + c->args.after_s, due);
    out_remark(c->o,
               "key %s does not unwrap any more; from %s on it can be wiped: etcdseal key destroy "
               "%s --confirm %s --backups TEXT",
               c->id_text, due, c->id_text, c->id_text);
}

static enum kerr run_change(struct change *c, struct kerrinfo *e)
{
    const struct change_row *row = &rows[c->command];
    bool is_asked = row->asks_daemon || (row->needs_unused && !c->o->without_daemon);
    if (is_asked && daemon_ask(c->s->status_socket, &c->view, &c->why_not) == KERR_NOMEM) {
        return kerr_set(e, KERR_NOMEM, "%s", c->why_not.text);
    }
    enum kerr k = row->needs_unused && !c->o->without_daemon ? check_unused(c, e) : KERR_OK;
    bool is_destroyed = false;
    if (k == KERR_OK) {
        k = ks_run_command(&c->s->place, c->command, c->id, &c->args, &is_destroyed, e);
    }
    if (k != KERR_OK) {
        return k;
    }
    if (c->command == KS_PROMOTE) {
        tell_promoted(c);
    } else if (c->command == KS_DESTROY) {
        tell_destroy(c, is_destroyed);
    } else {
        out_remark(c->o, "key %s is %s", c->id_text, row->done);
    }
    return KERR_OK;
}

enum kerr cmd_key_change(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    const struct options *o = ctx;
    AUTO_SETUP s = {0};
    AUTO(change_done)
    struct change c = {
        .o = o,
        .s = &s,
        .id_text = call->args[0],
        .args = {.now_s = clock_wall_s(), .after_s = o->after_ms / 1000, .note = o->backups},
    };
    enum kerr k = find_command(call->command->verb, &c.command, e);
    k = k == KERR_OK ? read_id(&c, e) : k;
    k = k == KERR_OK ? check_words(&c, e) : k;
    k = k == KERR_OK ? setup_open(o, &s, e) : k;
    return k == KERR_OK ? run_change(&c, e) : k;
}
