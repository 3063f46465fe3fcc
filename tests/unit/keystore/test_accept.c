/* SPDX-License-Identifier: Apache-2.0 */
/* A thief who can replace files, but has no slot secret, must not be believed. He is played here
 * with the room's own private functions: he can do all that needs no secret of ours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keystore/ks_change.h"
#include "tests/lib/ks_fixture.h"

static struct ks_fixture f;

static int setup(void **state)
{
    (void)state;
    ks_fixture_init(&f, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_fixture_end(&f);
    return 0;
}

static enum kerr try_open(const struct ks *previous, struct kerrinfo *e)
{
    struct ks *ks = NULL;
    enum kerr k = ks_open(&f.place, previous, &ks, e);
    ks_close(ks);
    return k;
}

static void stage(void)
{
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
}

/* Keys of a slot secret that the thief chose himself. */
static struct ks_slot_keys own_keys(const struct ks_model *m, const uint8_t slot[KS_ID_BYTES])
{
    struct kerrinfo e = {0};
    struct ks_slot_keys keys = {0};
    AUTO_SECRET secret = NULL;
    assert_ok(&e, secret_random(SEAL_SECRET_BYTES, &secret, &e));
    assert_ok(&e, ks_slot_keys_derive(m->store_id, slot, secret, &keys, &e));
    return keys;
}

/* A keystore made from our clear part alone: our slots and their public keys, a root key and KEKs
 * of the thief, signed with his own key under the name of `writer`. */
static void forge(uint64_t generation, const uint8_t previous[HASH_BYTES], bool joins)
{
    struct kerrinfo e = {0};
    AUTO_MODEL m = NULL;
    uint8_t hash[HASH_BYTES];
    uint8_t id[KS_ID_BYTES];
    AUTO_SECRET root = NULL;
    AUTO_BUF file = {0};
    assert_ok(&e, ks_read_clear(f.path, &m, hash, &e));
    assert_ok(&e, secret_random(KS_ROOT_BYTES, &root, &e));
    m->generation = generation;
    memcpy(m->previous_hash, previous, HASH_BYTES);
    AUTO_SLOT_KEYS thief = own_keys(m, m->slots[0].id);
    if (joins) {
        /* He adds a slot of his own, with a roster change signed by himself. */
        struct ks_slot *s = &m->slots[m->slot_count];
        *s = m->slots[0];
        random_fill(s->id, sizeof s->id);
        memcpy(s->name, "thief", 6);
        assert_ok(&e, pubkey_box_public(thief.box, s->box_key, &e));
        assert_ok(&e, pubkey_sign_public(thief.sign, s->sign_key, &e));
        memcpy(thief.slot, s->id, KS_ID_BYTES);
        struct ks_roster_change *c = &m->changes[m->change_count];
        *c = (struct ks_roster_change){
            .kind = KS_CHANGE_ADD, .role = s->role, .generation = generation};
        memcpy(c->slot, s->id, KS_ID_BYTES);
        memcpy(c->box_key, s->box_key, PUBKEY_BYTES);
        memcpy(c->sign_key, s->sign_key, PUBKEY_BYTES);
        assert_ok(&e, ks_sign_change(m, &thief, c, &e));
        memcpy(c->by, m->slots[0].id, KS_ID_BYTES);
        m->slot_count++;
        m->change_count++;
    }
    memcpy(m->writer, thief.slot, KS_ID_BYTES);
    for (size_t i = 0; i < m->slot_count; i++) {
        assert_ok(&e, ks_box_root(m, &m->slots[i], root, &e));
    }
    assert_ok(&e, ks_add_key(m, SUITE_XAES_256_GCM, 1, id, &e));
    struct ks_command_args args = {.now_s = 1};
    assert_ok(&e, ks_command(m, KS_PROMOTE, id, &args, NULL, &e));
    assert_ok(&e, ks_build_file(m, root, &thief, &file, &e));
    test_write_file(f.folder, "keystore", buf_view(&file));
}

static void boxed_to_our_public_keys_with_his_own_keks(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_KS served = ks_fixture_open(&f);
    forge(2, ks_file_hash(served), false);
    assert_refused(&e, KERR_UNTRUSTED, "signature is not that of the accepted slot",
                   try_open(NULL, &e));
    assert_refused(&e, KERR_UNTRUSTED, "signature is not that of the accepted slot",
                   try_open(served, &e));
}

static void a_slot_of_his_own(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_KS served = ks_fixture_open(&f);
    forge(2, ks_file_hash(served), true);
    assert_refused(&e, KERR_UNTRUSTED, "not signed by an accepted slot", try_open(NULL, &e));
}

static void an_older_one(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF old = test_read_file(f.folder, "keystore");
    stage();
    test_write_file(f.folder, "keystore", buf_view(&old));
    assert_refused(&e, KERR_UNTRUSTED, "rolled back", try_open(NULL, &e));
}

static void an_older_pair_does_not_fool_a_running_process(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF old = test_read_file(f.folder, "keystore");
    AUTO_BUF accepted = test_read_file(f.folder, "keystore.accepted");
    stage();
    AUTO_KS served = ks_fixture_open(&f);
    test_write_file(f.folder, "keystore", buf_view(&old));
    test_write_file(f.folder, "keystore.accepted", buf_view(&accepted));
    assert_refused(&e, KERR_UNTRUSTED, "rolled back", try_open(served, &e));
}

static void a_fork_of_the_same_generation(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF base = test_read_file(f.folder, "keystore");
    AUTO_BUF accepted = test_read_file(f.folder, "keystore.accepted");
    stage();
    AUTO_BUF one = test_read_file(f.folder, "keystore");
    AUTO_BUF one_accepted = test_read_file(f.folder, "keystore.accepted");
    test_write_file(f.folder, "keystore", buf_view(&base));
    test_write_file(f.folder, "keystore.accepted", buf_view(&accepted));
    stage();
    test_write_file(f.folder, "keystore.accepted", buf_view(&one_accepted));
    assert_refused(&e, KERR_UNTRUSTED, "fork: another keystore of generation 2",
                   try_open(NULL, &e));
    test_write_file(f.folder, "keystore", buf_view(&one));
    assert_ok(&e, try_open(NULL, &e));
}

static void a_fork_one_generation_on(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF base = test_read_file(f.folder, "keystore");
    AUTO_BUF accepted = test_read_file(f.folder, "keystore.accepted");
    stage();
    AUTO_BUF one_accepted = test_read_file(f.folder, "keystore.accepted");
    test_write_file(f.folder, "keystore", buf_view(&base));
    test_write_file(f.folder, "keystore.accepted", buf_view(&accepted));
    stage();
    stage();
    test_write_file(f.folder, "keystore.accepted", buf_view(&one_accepted));
    assert_refused(&e, KERR_UNTRUSTED, "does not follow the accepted one", try_open(NULL, &e));
}

static void slot_parameters_that_point_elsewhere(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF file = test_read_file(f.folder, "keystore");
    AUTO_MODEL m = NULL;
    struct ks_parts parts;
    assert_ok(&e, ks_model_new(&m, &e));
    assert_ok(&e, ks_format_read(buf_view(&file), m, &parts, &e));
    for (size_t i = 0; i < 2; i++) {
        uint8_t *at =
            memmem(file.ptr, file.len, m->slots[i].seal.params, m->slots[i].seal.params_len);
        assert_non_null(at);
        at[3] ^= 1;
    }
    hash_sha256(bytes_of(file.ptr, file.len - HASH_BYTES), file.ptr + file.len - HASH_BYTES);
    test_write_file(f.folder, "keystore", buf_view(&file));
    assert_refused(&e, KERR_INTEGRITY, "wrong secret, or the slot was altered", try_open(NULL, &e));
}

static void without_an_accepted_record(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    char *path = test_path(f.folder, "keystore.accepted");
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_refused(&e, KERR_UNTRUSTED, "keystore.accepted is missing", try_open(NULL, &e));
}

static void with_the_accepted_record_of_another_node(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct ks_fixture other;
    ks_fixture_init(&other, 2);
    AUTO_BUF foreign = test_read_file(other.folder, "keystore.accepted");
    ks_fixture_end(&other);
    test_write_file(f.folder, "keystore.accepted", buf_view(&foreign));
    assert_refused(&e, KERR_UNTRUSTED, "copied from another node", try_open(NULL, &e));
}

static void with_an_altered_accepted_record(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_BUF good = test_read_file(f.folder, "keystore.accepted");
    AUTO_BUF bad = test_read_file(f.folder, "keystore.accepted");
    struct ks_place place = f.place;
    place.specs = &f.specs[0];
    place.spec_count = 1;
    size_t unnoticed = 0;
    for (size_t i = 0; i < good.len; i++) {
        struct ks *ks = NULL;
        memcpy(bad.ptr, good.ptr, good.len);
        bad.ptr[i] ^= 0x10;
        test_write_file(f.folder, "keystore.accepted", buf_view(&bad));
        kerr_clear(&e);
        enum kerr k = ks_open(&place, NULL, &ks, &e);
        ks_close(ks);
        assert_true(k == KERR_OK || k == KERR_UNTRUSTED);
        unnoticed += k == KERR_OK;
    }
    /* The one thing that does not matter to the slot that opens is the other slot's copy. */
    assert_int_equal(unnoticed, sizeof(struct ks_accept_copy));
    test_write_file(f.folder, "keystore.accepted", buf_view(&good));
    assert_ok(&e, try_open(NULL, &e));
}

static struct ks_place only_slot(size_t i)
{
    struct ks_place place = f.place;
    place.specs = &f.specs[i];
    place.spec_count = 1;
    return place;
}

/* Whoever writes keystore.unseal chooses the slot; the record is the node's all the same. */
static void whichever_slot_opens_finds_the_newest_record(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    struct ks_place boot = only_slot(0);
    struct ks_place spare = only_slot(1);
    AUTO_BUF old = test_read_file(f.folder, "keystore");
    for (int i = 0; i < 2; i++) {
        assert_ok(&e, ks_stage_key(&boot, SUITE_XAES_256_GCM, id, &e));
    }
    AUTO_BUF now = test_read_file(f.folder, "keystore");
    test_write_file(f.folder, "keystore", buf_view(&old));
    struct ks *ks = NULL;
    assert_refused(&e, KERR_UNTRUSTED, "rolled back", ks_open(&spare, NULL, &ks, &e));
    test_write_file(f.folder, "keystore", buf_view(&now));
    AUTO_KS good = NULL;
    assert_ok(&e, ks_open(&spare, NULL, &good, &e));
}

/* A slot that was removed cannot make this node accept what it signs, through no other slot. */
static void a_removed_slot_signs_in_vain(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct ks_place boot = only_slot(0);
    struct ks_place spare = only_slot(1);
    AUTO_SPEC third = {0};
    struct ks_new_slot slot = ks_fixture_third(&f, &third);
    assert_ok(&e, ks_add_slot(&boot, &slot, &e));
    struct ks_place as_third = f.place;
    as_third.specs = &third;
    as_third.spec_count = 1;
    AUTO_KS thief = NULL;
    assert_ok(&e, ks_open(&as_third, NULL, &thief, &e));
    AUTO_BUF accepted_before = test_read_file(f.folder, "keystore.accepted");
    assert_ok(&e, ks_remove_slot(&boot, "third", &e));
    /* He goes on from the generation that he knows. */
    AUTO_BUF file = {0};
    memcpy(thief->model->previous_hash, thief->hash, HASH_BYTES);
    memcpy(thief->model->writer, thief->slot_keys.slot, KS_ID_BYTES);
    for (uint64_t ahead = 1; ahead < 4; ahead++) {
        struct ks *ks = NULL;
        thief->model->generation++;
        buf_done(&file);
        assert_ok(&e, ks_build_file(thief->model, thief->root, &thief->slot_keys, &file, &e));
        test_write_file(f.folder, "keystore", buf_view(&file));
        kerr_clear(&e);
        assert_int_equal(ks_open(&boot, NULL, &ks, &e), KERR_UNTRUSTED);
        assert_int_equal(ks_open(&spare, NULL, &ks, &e), KERR_UNTRUSTED);
    }
    /* Nor does the accept key that he knew make a record that anybody reads. */
    AUTO_ACCEPTED record = NULL;
    AUTO_BUF forged = {0};
    assert_ok(&e, ks_accepted_read(buf_view(&accepted_before), &thief->slot_keys, &record, &e));
    AUTO_BUF now = test_read_file(f.folder, "keystore.accepted");
    assert_null(memmem(now.ptr, now.len, record->copies[0].sealed, KS_ACCEPT_COPY_BYTES));
    ks_accepted_take(record, thief->model, thief->hash);
    assert_ok(&e, ks_accepted_write(record, &forged, &e));
}

/* Writes the next generation with our own secrets, as a buggy or hostile accepted writer would. */
static void write_as_member(void (*edit)(struct ks_model *m))
{
    struct kerrinfo e = {0};
    AUTO_KS ks = ks_fixture_open(&f);
    AUTO_BUF file = {0};
    memcpy(ks->model->previous_hash, ks->hash, HASH_BYTES);
    ks->model->generation++;
    edit(ks->model);
    assert_ok(&e, ks_build_file(ks->model, ks->root, &ks->slot_keys, &file, &e));
    test_write_file(f.folder, "keystore", buf_view(&file));
}

static void drop_staged(struct ks_model *m)
{
    secret_free(m->keys[--m->key_count].material);
}

static void change_material(struct ks_model *m)
{
    secret_bytes(m->keys[0].material)[0] ^= 1;
}

static void drop_slot(struct ks_model *m)
{
    m->slot_count--;
}

static void touch_nothing(struct ks_model *m)
{
    (void)m;
}

static void keys_neither_vanish_nor_change(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    stage();
    AUTO_BUF good = test_read_file(f.folder, "keystore");
    write_as_member(drop_staged);
    assert_refused(&e, KERR_UNTRUSTED, "vanished without a tombstone", try_open(NULL, &e));
    test_write_file(f.folder, "keystore", buf_view(&good));
    write_as_member(change_material);
    assert_refused(&e, KERR_UNTRUSTED, "changed its material", try_open(NULL, &e));
    test_write_file(f.folder, "keystore", buf_view(&good));
    write_as_member(drop_slot);
    assert_refused(&e, KERR_UNTRUSTED, "roster", try_open(NULL, &e));
    /* And the same way of writing without an offence is believed: the test could see a success. */
    test_write_file(f.folder, "keystore", buf_view(&good));
    write_as_member(touch_nothing);
    assert_ok(&e, try_open(NULL, &e));
}

/* A node that did not see what another one did goes on from the generation before, for long enough
 * that no hash shows it. */
static void a_fork_some_generations_on_brings_no_key_id_back(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    struct ks_command_args args = {.now_s = 50};
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    AUTO_BUF before = test_read_file(f.folder, "keystore");
    AUTO_BUF before_record = test_read_file(f.folder, "keystore.accepted");
    assert_ok(&e, ks_run_command(&f.place, KS_PROMOTE, id, &args, NULL, &e));
    AUTO_BUF record = test_read_file(f.folder, "keystore.accepted");
    AUTO_KS served = ks_fixture_open(&f);
    test_write_file(f.folder, "keystore", buf_view(&before));
    test_write_file(f.folder, "keystore.accepted", buf_view(&before_record));
    for (int i = 0; i < 3; i++) {
        assert_ok(&e, ks_test_slot(&f.place, "boot", &e));
    }
    test_write_file(f.folder, "keystore.accepted", buf_view(&record));
    assert_refused(&e, KERR_UNTRUSTED, "fork: key", try_open(NULL, &e));
    assert_refused(&e, KERR_UNTRUSTED, "fork: key", try_open(served, &e));
}

static void make_first_primary_again(struct ks_model *m)
{
    struct ks_key *first = ks_model_key(m, f.first_key);
    for (size_t i = 0; i < m->key_count; i++) {
        m->keys[i].retired_at_s = &m->keys[i] == first ? 0 : 60;
    }
}

static void forget_compromise(struct ks_model *m)
{
    ks_model_key(m, f.first_key)->compromised_at_s = 0;
}

static void the_past_of_a_key_stays(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    struct ks_command_args args = {.now_s = 50};
    assert_ok(&e, ks_stage_key(&f.place, SUITE_XAES_256_GCM, id, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_PROMOTE, id, &args, NULL, &e));
    assert_ok(&e, ks_run_command(&f.place, KS_COMPROMISE, f.first_key, &args, NULL, &e));
    AUTO_BUF good = test_read_file(f.folder, "keystore");
    write_as_member(make_first_primary_again);
    assert_refused(&e, KERR_UNTRUSTED, "was retired on this node, and is primary",
                   try_open(NULL, &e));
    test_write_file(f.folder, "keystore", buf_view(&good));
    write_as_member(forget_compromise);
    assert_refused(&e, KERR_UNTRUSTED, "was marked compromised on this node", try_open(NULL, &e));
}

static void another_clusters_keystore(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct ks_fixture other;
    ks_fixture_init(&other, 2);
    AUTO_BUF foreign = test_read_file(other.folder, "keystore");
    struct ks_place place = other.place;
    place.path = f.path;
    place.specs = other.specs;
    place.spec_count = 2;
    test_write_file(f.folder, "keystore", buf_view(&foreign));
    struct ks *ks = NULL;
    assert_refused(&e, KERR_UNTRUSTED, "keystore.accepted knows nothing of the slot",
                   ks_open(&place, NULL, &ks, &e));
    ks_fixture_end(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(boxed_to_our_public_keys_with_his_own_keks, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_slot_of_his_own, setup, teardown),
        cmocka_unit_test_setup_teardown(an_older_one, setup, teardown),
        cmocka_unit_test_setup_teardown(an_older_pair_does_not_fool_a_running_process, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_fork_of_the_same_generation, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fork_one_generation_on, setup, teardown),
        cmocka_unit_test_setup_teardown(slot_parameters_that_point_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(without_an_accepted_record, setup, teardown),
        cmocka_unit_test_setup_teardown(with_the_accepted_record_of_another_node, setup, teardown),
        cmocka_unit_test_setup_teardown(with_an_altered_accepted_record, setup, teardown),
        cmocka_unit_test_setup_teardown(whichever_slot_opens_finds_the_newest_record, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_removed_slot_signs_in_vain, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_neither_vanish_nor_change, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fork_some_generations_on_brings_no_key_id_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_past_of_a_key_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(another_clusters_keystore, setup, teardown),
    };
    return cmocka_run_group_tests_name("keystore.accept", tests, NULL, NULL);
}
