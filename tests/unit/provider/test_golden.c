/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keystore of format version 1 that was made once (tests/data/make_keystore_v1.py) must stay
 * readable, usable and changeable for ever. What it holds stands in contents.json, as another
 * program read it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "tests/lib/vectors.h"
#include "tests/unit/provider/parts.h"

#define GOLDEN TEST_DATA "/keystore-v1"

static char *top;   /* temporary folder with what opens the seals */
static char *store; /* top/store: the keystore's folder */
static char *path;  /* top/store/keystore */
static struct json_doc *contents;
static const struct json_value *want; /* the keystore in it */

static void copy(const char *name, const char *to)
{
    AUTO_BUF data = test_read_file(GOLDEN, name);
    test_write_file(to, name, buf_view(&data));
}

static int start(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    assert_ok(&e, secret_start(SECRET_LOCK_STRICT, &e));
    top = test_folder_new();
    store = test_path(top, "store");
    path = test_path(store, "keystore");
    assert_int_equal(mkdir(store, 0700), 0);
    copy("keystore", store);
    copy("keystore.accepted", store);
    copy("keystore.unseal", store);
    contents = vectors_read("keystore-v1/contents.json");
    want = vectors_member(json_root(contents), "keystore");
    const struct json_value *seals = vectors_member(json_root(contents), "seals");
    assert_int_equal(json_count(seals), 4);
    for (size_t i = 0; i < json_count(seals); i++) {
        copy(vectors_text(json_at(seals, i, NULL), "file"), top);
    }
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", top, 1), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    json_doc_free(contents);
    free(path);
    free(store);
    test_folder_remove(top);
    return 0;
}

/* How slot i of contents.json opens in the temporary folder: without the slot's name. */
static const char *spec_text(size_t i)
{
    static char text[512];
    const struct json_value *row = json_at(vectors_member(json_root(contents), "seals"), i, NULL);
    const char *kind = vectors_text(row, "kind");
    const char *file = vectors_text(row, "file");
    const char *argument = strcmp(kind, "passphrase") == 0 ? "file=" : "";
    if (strcmp(kind, "credential") == 0) {
        (void)snprintf(text, sizeof text, "credential:%s", file);
    } else {
        (void)snprintf(text, sizeof text, "%s:%s%s/%s", kind, argument, top, file);
    }
    return text;
}

static struct seal_spec spec_at(size_t i)
{
    struct kerrinfo e = {0};
    struct seal_spec spec = {0};
    char text[600];
    const struct json_value *row = json_at(vectors_member(json_root(contents), "seals"), i, NULL);
    (void)snprintf(text, sizeof text, "%s=%s", vectors_text(row, "slot"), spec_text(i));
    assert_ok(&e, seal_spec_parse(text, &spec, &e));
    return spec;
}

static struct ks_place place_with(const struct seal_spec *spec)
{
    return (struct ks_place){.path = path, .specs = spec, .spec_count = 1};
}

static void assert_is_hex(const struct json_value *row, const char *name, struct bytes got)
{
    AUTO_BUF expected = vectors_hex(row, name);
    assert_true(bytes_equal(buf_view(&expected), got));
}

static void assert_slots(const struct ks_model *m)
{
    const struct json_value *rows = vectors_member(want, "slots");
    assert_int_equal(m->slot_count, json_count(rows));
    for (size_t i = 0; i < m->slot_count; i++) {
        const struct json_value *row = json_at(rows, i, NULL);
        const struct ks_slot *slot = &m->slots[i];
        assert_string_equal(slot->name, vectors_text(row, "name"));
        assert_string_equal(ks_role_name(slot->role), vectors_text(row, "role"));
        assert_string_equal(seal_kind_name(slot->seal.kind), vectors_text(row, "seal"));
        assert_int_equal(slot->created_at_s, vectors_u64(row, "created_at"));
        assert_int_equal(slot->tested_at_s, vectors_u64(row, "tested_at"));
        assert_is_hex(row, "id", BYTES_OF(slot->id));
        assert_is_hex(row, "box_key", BYTES_OF(slot->box_key));
        assert_is_hex(row, "sign_key", BYTES_OF(slot->sign_key));
    }
}

static void assert_changes(const struct ks_model *m)
{
    const struct json_value *rows = vectors_member(want, "changes");
    assert_int_equal(m->change_count, json_count(rows));
    for (size_t i = 0; i < m->change_count; i++) {
        const struct json_value *row = json_at(rows, i, NULL);
        const struct ks_roster_change *change = &m->changes[i];
        bool is_added = strcmp(vectors_text(row, "kind"), "added") == 0;
        assert_int_equal(change->kind, is_added ? KS_CHANGE_ADD : KS_CHANGE_REMOVE);
        assert_int_equal(change->generation, vectors_u64(row, "generation"));
        assert_is_hex(row, "slot", BYTES_OF(change->slot));
        assert_is_hex(row, "by", BYTES_OF(change->by));
    }
}

static void assert_keys(const struct ks_model *m)
{
    unsigned states = 0;
    const struct json_value *rows = vectors_member(want, "keys");
    assert_int_equal(m->key_count, json_count(rows));
    for (size_t i = 0; i < m->key_count; i++) {
        const struct json_value *row = json_at(rows, i, NULL);
        const struct ks_key *key = &m->keys[i];
        char id[KS_KEY_ID_TEXT];
        ks_key_id_text(key->id, id);
        states |= 1U << ks_state(key);
        assert_string_equal(id, vectors_text(row, "id"));
        assert_string_equal(ks_state_name(ks_state(key)), vectors_text(row, "state"));
        assert_string_equal(suite_name(key->suite), vectors_text(row, "suite"));
        assert_int_equal(key->birth_epoch, vectors_u64(row, "birth_epoch"));
        assert_int_equal(key->created_at_s, vectors_u64(row, "created_at"));
        assert_int_equal(key->promoted_at_s, vectors_u64(row, "promoted_at"));
        assert_int_equal(key->retired_at_s, vectors_u64(row, "retired_at"));
        assert_int_equal(key->disabled_at_s, vectors_u64(row, "disabled_at"));
        assert_int_equal(key->destroy_due_s, vectors_u64(row, "destroy_due"));
        assert_int_equal(key->destroyed_at_s, vectors_u64(row, "destroyed_at"));
        assert_int_equal(key->compromised_at_s, vectors_u64(row, "compromised_at"));
        assert_string_equal(key->note, vectors_text(row, "note"));
        assert_is_hex(row, "material",
                      key->material == NULL ? bytes_of(NULL, 0) : secret_view(key->material));
    }
    assert_int_equal(states, (1U << KS_STATE_COUNT) - 1); /* every state is there */
}

static void every_slot_opens_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct kerrinfo e = {0};
        AUTO_SPEC spec = spec_at(i);
        AUTO_KS ks = NULL;
        char uuid[TEXT_UUID_BYTES];
        struct ks_place place = place_with(&spec);
        assert_ok(&e, ks_open(&place, NULL, &ks, &e));
        const struct ks_model *m = ks_model(ks);
        assert_string_equal(ks_opened_by(ks)->name, spec.slot);
        text_uuid(m->store_id, uuid);
        assert_string_equal(uuid, vectors_text(want, "store_id"));
        assert_int_equal(m->generation, vectors_u64(want, "generation"));
        assert_int_equal(m->root_epoch, vectors_u64(want, "root_epoch"));
        assert_int_equal(m->written_at_s, vectors_u64(want, "written_at"));
        assert_string_equal(ks_model_slot(m, m->writer)->name, vectors_text(want, "writer"));
        assert_is_hex(want, "previous_hash", BYTES_OF(m->previous_hash));
        assert_is_hex(want, "sha256", bytes_of(ks_file_hash(ks), HASH_BYTES));
        assert_slots(m);
        assert_changes(m);
        assert_keys(m);
    }
}

static void its_unseal_file_is_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "file:/tmp/etcdseal-keystore-v1/boot.key",
        "passphrase:file=/tmp/etcdseal-keystore-v1/ops.txt",
        "credential:unit,file=/tmp/etcdseal-keystore-v1/unit.cred",
        "file:/tmp/etcdseal-keystore-v1/spare.key",
    };
    struct kerrinfo e = {0};
    struct seal_spec *specs = NULL;
    size_t count = 0;
    assert_ok(&e, ks_read_unseal(path, &specs, &count, &e));
    assert_int_equal(count, ARRAY_LEN(texts));
    for (size_t i = 0; i < count; i++) {
        const struct json_value *row = json_at(vectors_member(want, "slots"), i, NULL);
        assert_string_equal(specs[i].slot, vectors_text(row, "name"));
        assert_string_equal(specs[i].text, texts[i]);
        seal_spec_done(&specs[i]);
    }
    free(specs);
}

/* Unwraps what was wrapped under the row's key while that was primary, if its state allows. */
static void check_wrapped(struct provider *p, const struct json_value *row)
{
    struct kerrinfo e = {0};
    const char *of_key = NULL;
    AUTO_BUF wrapped = vectors_hex(row, "wrapped");
    AUTO_BUF plain = vectors_hex(row, "plaintext");
    enum kerr k = parts_unwrap(p, vectors_text(row, "key_id"), buf_view(&wrapped), buf_view(&plain),
                               &of_key, &e);
    assert_non_null(of_key);
    bool may_unwrap = strcmp(of_key, "retired") == 0 || strcmp(of_key, "primary") == 0;
    assert_int_equal(k, may_unwrap ? KERR_OK : KERR_STATE);
}

static void the_provider_serves_it(void **state)
{
    (void)state;
    static char slot[] = "boot";
    char spec[512];
    struct kerrinfo e = {0};
    struct provider *p = NULL;
    struct provider_info info;
    (void)snprintf(spec, sizeof spec, "%s", spec_text(0));
    struct config config = parts_config(path);
    config.unseal[0] = (struct config_unseal){.slot = slot, .spec = spec};
    config.unseal_count = 1;
    assert_ok(&e, provider_open(&config, &p, &e));
    assert_true(parts_refresh(p));
    provider_info(p, &info);
    assert_int_equal(info.generation, vectors_u64(want, "generation"));
    const struct json_value *keys = vectors_member(want, "keys");
    size_t live = 0;
    for (size_t i = 0; i < json_count(keys); i++) {
        live += strcmp(vectors_text(json_at(keys, i, NULL), "state"), "destroyed") != 0;
    }
    assert_true(live < json_count(keys));
    assert_int_equal(info.key_count, live);
    const struct json_value *rows = vectors_member(json_root(contents), "wrapped");
    assert_int_equal(json_count(rows), 6);
    for (size_t i = 0; i < json_count(rows); i++) {
        check_wrapped(p, json_at(rows, i, NULL));
    }
    provider_close(p);
}

static void it_can_be_changed(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    AUTO_SPEC first = spec_at(0);
    AUTO_SPEC last = spec_at(3);
    AUTO_KS ks = NULL;
    struct ks_place place = place_with(&last);
    assert_ok(&e, ks_stage_key(&place, SUITE_XAES_256_GCM, id, &e));
    place = place_with(&first);
    assert_ok(&e, ks_open(&place, NULL, &ks, &e));
    assert_int_equal(ks_model(ks)->generation, vectors_u64(want, "generation") + 1);
    assert_non_null(ks_model_key(ks_model(ks), id));
    AUTO_BUF prev = test_read_file(store, "keystore.prev");
    AUTO_BUF golden = test_read_file(GOLDEN, "keystore");
    assert_true(bytes_equal(buf_view(&prev), buf_view(&golden)));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_slot_opens_it),
        TEST(its_unseal_file_is_read),
        TEST(the_provider_serves_it),
        TEST(it_can_be_changed),
    };
    return cmocka_run_group_tests_name("provider.golden", tests, NULL, NULL);
}
