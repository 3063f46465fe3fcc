/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/ks_scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint8_t victim[KS_ID_BYTES]; /* the key that is changed or destroyed */
static uint8_t fingerprint[HASH_BYTES];
static struct buf old_record;
static char backup_path[512];

static void one_slot(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    assert_ok(&e, ks_init(&f->place, f->slots, 1, SUITE_XAES_256_GCM, f->first_key, &e));
}

static void two_slots(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    assert_ok(&e, ks_init(&f->place, f->slots, 2, SUITE_XAES_256_GCM, f->first_key, &e));
}

static void with_staged(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    one_slot(f);
    assert_ok(&e, ks_stage_key(&f->place, SUITE_XAES_256_GCM, victim, &e));
}

static void with_scheduled(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    struct ks_command_args args = {.now_s = 100, .after_s = 1};
    with_staged(f);
    assert_ok(&e, ks_run_command(&f->place, KS_DISABLE, victim, &args, NULL, &e));
    assert_ok(&e, ks_run_command(&f->place, KS_DESTROY, victim, &args, NULL, &e));
}

static void with_backup(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    two_slots(f);
    assert_ok(&e, ks_backup(&f->place, backup_path, fingerprint, &e));
}

/* The node's record is put back as it was before the change: as if another node had made it and its
 * file were copied here. */
static void with_foreign_change(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    two_slots(f);
    old_record = test_read_file(f->folder, "keystore.accepted");
    assert_ok(&e, ks_stage_key(&f->place, SUITE_XAES_256_GCM, victim, &e));
}

static void with_foreign_removal(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    two_slots(f);
    old_record = test_read_file(f->folder, "keystore.accepted");
    assert_ok(&e, ks_remove_slot(&f->place, "spare", &e));
}

static void put_record_back(struct ks_fixture *f)
{
    test_write_file(f->folder, "keystore.accepted", buf_view(&old_record));
    buf_done(&old_record);
}

static void damage_keystore(struct ks_fixture *f)
{
    test_write_file(f->folder, "keystore", bytes_of_text("garbage"));
}

static void damage_record(struct ks_fixture *f)
{
    AUTO_BUF record = test_read_file(f->folder, "keystore.accepted");
    record.ptr[record.len - 1] ^= 1;
    test_write_file(f->folder, "keystore.accepted", buf_view(&record));
}

static void forget_everything(struct ks_fixture *f)
{
    static const char *const names[] = {"keystore", "keystore.accepted", "keystore.unseal",
                                        "keystore.lock", "keystore.backed-up"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *path = test_path(f->folder, names[i]);
        assert_int_equal(unlink(path), 0);
        free(path);
    }
}

static enum kerr act_init(struct ks_fixture *f, struct kerrinfo *e)
{
    return ks_init(&f->place, f->slots, 2, SUITE_XAES_256_GCM, f->first_key, e);
}

static enum kerr act_stage(struct ks_fixture *f, struct kerrinfo *e)
{
    uint8_t id[KS_ID_BYTES];
    return ks_stage_key(&f->place, SUITE_XAES_256_GCM, id, e);
}

static enum kerr act_promote(struct ks_fixture *f, struct kerrinfo *e)
{
    struct ks_command_args args = {.now_s = 5};
    return ks_run_command(&f->place, KS_PROMOTE, victim, &args, NULL, e);
}

static enum kerr act_destroy(struct ks_fixture *f, struct kerrinfo *e)
{
    struct ks_command_args args = {.now_s = 101, .note = "none"};
    return ks_run_command(&f->place, KS_DESTROY, victim, &args, NULL, e);
}

static enum kerr act_add_slot(struct ks_fixture *f, struct kerrinfo *e)
{
    return ks_add_slot(&f->place, &f->slots[1], e);
}

static enum kerr act_remove_slot(struct ks_fixture *f, struct kerrinfo *e)
{
    struct ks_place place = f->place; /* never opened by the slot that goes */
    place.specs = f->specs;
    place.spec_count = 1;
    return ks_remove_slot(&place, "spare", e);
}

static enum kerr act_test_slot(struct ks_fixture *f, struct kerrinfo *e)
{
    return ks_test_slot(&f->place, "spare", e);
}

/* What the daemon does with a changed file. */
static enum kerr act_follow(struct ks_fixture *f, struct kerrinfo *e)
{
    AUTO_KS ks = NULL;
    enum kerr k = ks_open(&f->place, NULL, &ks, e);
    return k == KERR_OK ? ks_remember(&f->place, ks, e) : k;
}

static enum kerr act_restore(struct ks_fixture *f, struct kerrinfo *e)
{
    uint64_t generation;
    struct ks_restore r = {.from = backup_path};
    return ks_restore(&f->place, &r, &generation, e);
}

static enum kerr act_restore_new_node(struct ks_fixture *f, struct kerrinfo *e)
{
    uint64_t generation;
    struct ks_place place = f->place;
    place.specs = f->specs;
    place.spec_count = ARRAY_LEN(f->specs);
    struct ks_restore r = {.from = backup_path,
                           .fingerprint = fingerprint,
                           .specs = f->specs,
                           .spec_count = ARRAY_LEN(f->specs)};
    return ks_restore(&place, &r, &generation, e);
}

static enum kerr act_restore_past_record(struct ks_fixture *f, struct kerrinfo *e)
{
    uint64_t generation;
    struct ks_restore r = {.from = backup_path, .fingerprint = fingerprint, .forget_record = true};
    return ks_restore(&f->place, &r, &generation, e);
}

static enum kerr act_backup(struct ks_fixture *f, struct kerrinfo *e)
{
    uint8_t hash[HASH_BYTES];
    return ks_backup(&f->place, backup_path, hash, e);
}

const struct ks_scenario ks_scenarios[] = {
    {"init", NULL, NULL, act_init, 1, true, 12},
    {"stage", one_slot, NULL, act_stage, 1, false, 8},
    {"promote", with_staged, NULL, act_promote, 1, false, 8},
    {"destroy", with_scheduled, NULL, act_destroy, 1, false, 8},
    {"add slot", one_slot, NULL, act_add_slot, 1, false, 16},
    {"remove slot", two_slots, NULL, act_remove_slot, 1, false, 12},
    {"test slot", two_slots, NULL, act_test_slot, 1, false, 8},
    {"follow", with_foreign_change, put_record_back, act_follow, 0, false, 4},
    {"follow a removal", with_foreign_removal, put_record_back, act_follow, 0, false, 4},
    {"restore", with_backup, NULL, act_restore, 2, false, 8},
    {"restore over damage", with_backup, damage_keystore, act_restore, 2, true, 8},
    {"restore on a new node", with_backup, forget_everything, act_restore_new_node, 2, true, 12},
    {"restore past a record", with_backup, damage_record, act_restore_past_record, 2, true, 8},
    {"backup", one_slot, NULL, act_backup, 0, true, 4},
};
const size_t ks_scenario_count = ARRAY_LEN(ks_scenarios);

void ks_scenario_begin(const struct ks_scenario *s, struct ks_trial *t)
{
    *t = (struct ks_trial){.scenario = s};
    memset(victim, 0, sizeof victim);
    ks_fixture_start(&t->f);
    (void)snprintf(backup_path, sizeof backup_path, "%s/backup", t->f.top);
    if (s->prepare != NULL) {
        s->prepare(&t->f);
        t->before = ks_fixture_open(&t->f);
    }
    if (s->spoil != NULL) {
        s->spoil(&t->f);
    }
}

void ks_scenario_end(struct ks_trial *t)
{
    ks_close(t->before);
    ks_fixture_end(&t->f);
}

static void check_keys(const struct ks_model *before, const struct ks_model *after,
                       const char *what)
{
    for (size_t i = 0; i < before->key_count; i++) {
        const struct ks_key *had = &before->keys[i];
        const struct ks_key *has = ks_model_key(after, had->id);
        bool is_destroyed = memcmp(had->id, victim, KS_ID_BYTES) == 0 && has != NULL &&
                            ks_state(has) == KS_DESTROYED && after->generation > before->generation;
        if (has == NULL || (!is_destroyed && !secret_equal(had->material, has->material))) {
            fail_msg("%s: key %zu is lost", what, i);
        }
    }
}

static enum kerr open_by(const struct ks_trial *t, size_t i, struct kerrinfo *e)
{
    AUTO_KS ks = NULL;
    struct ks_place place = t->f.place;
    place.specs = &t->f.specs[i];
    place.spec_count = 1;
    return ks_open(&place, NULL, &ks, e);
}

/* Each slot by itself. Only one whose addition was cut off may have to be tested first. */
static void check_slots(const struct ks_trial *t, const struct ks_model *after, bool is_done,
                        const char *what)
{
    for (size_t i = 0; i < ARRAY_LEN(t->f.specs); i++) {
        struct kerrinfo e = {0};
        const char *slot = t->f.specs[i].slot;
        enum kerr k = ks_model_slot_named(after, slot) == NULL ? KERR_OK : open_by(t, i, &e);
        if (k == KERR_UNTRUSTED && t->scenario->act == act_add_slot && !is_done && i == 1) {
            kerr_clear(&e);
            k = ks_test_slot(&t->f.place, slot, &e);
            k = k == KERR_OK ? open_by(t, i, &e) : k;
        }
        if (k != KERR_OK) {
            fail_msg("%s: slot %s does not open: %s", what, slot, e.text);
        }
    }
}

static void check_backup(const struct ks_trial *t, const char *what)
{
    if (t->scenario->act != act_backup || access(backup_path, F_OK) != 0) {
        return;
    }
    AUTO_BUF copy = test_read_file(t->f.top, "backup");
    AUTO_BUF file = test_read_file(t->f.folder, "keystore");
    if (!bytes_equal(buf_view(&copy), buf_view(&file))) {
        fail_msg("%s: the backup is not whole", what);
    }
}

void ks_scenario_check(struct ks_trial *t, bool is_done, const char *what)
{
    struct kerrinfo e = {0};
    const struct ks_scenario *s = t->scenario;
    if (s->is_repeated && !is_done) {
        enum kerr k = s->act(&t->f, &e);
        bool may_exist = s->act == act_init || s->act == act_backup;
        if (k != KERR_OK && !(may_exist && k == KERR_EXISTS)) {
            fail_msg("%s: run again: %s", what, e.text);
        }
    }
    AUTO_KS after = NULL;
    kerr_clear(&e);
    if (ks_open(&t->f.place, NULL, &after, &e) != KERR_OK) {
        fail_msg("%s: %s", what, e.text);
    }
    uint64_t old = t->before == NULL ? 0 : ks_model(t->before)->generation;
    uint64_t now = ks_model(after)->generation;
    bool is_expected = (now == old && !is_done) || now == old + s->generations ||
                       (s->is_repeated && now > old + s->generations && !is_done);
    if (!is_expected) {
        fail_msg("%s: generation %llu after %llu", what, (unsigned long long)now,
                 (unsigned long long)old);
    }
    if (t->before != NULL) {
        check_keys(ks_model(t->before), ks_model(after), what);
    }
    check_slots(t, ks_model(after), is_done, what);
    check_backup(t, what);
    kerr_clear(&e);
    if (act_stage(&t->f, &e) != KERR_OK) {
        fail_msg("%s: the next change fails: %s", what, e.text);
    }
}
