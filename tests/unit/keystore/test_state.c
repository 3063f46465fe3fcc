/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "keystore/ks_state.h"
#include "tests/lib/testlib.h"

#define NOW 1000000U

struct fixture {
    struct ks_model *m;
    uint8_t primary[KS_ID_BYTES];
    uint8_t key[KS_ID_BYTES]; /* the one that commands are tried on */
};

static void run(struct fixture *f, enum ks_command command, const uint8_t *id)
{
    struct kerrinfo e = {0};
    struct ks_command_args args = {.now_s = NOW, .after_s = 60};
    assert_ok(&e, ks_command(f->m, command, id, &args, NULL, &e));
}

static void setup(struct fixture *f, enum ks_state state)
{
    struct kerrinfo e = {0};
    assert_ok(&e, secret_start(SECRET_LOCK_STRICT, &e));
    assert_ok(&e, ks_model_new(&f->m, &e));
    f->m->root_epoch = 1;
    assert_ok(&e, ks_add_key(f->m, SUITE_XAES_256_GCM, NOW, f->primary, &e));
    run(f, KS_PROMOTE, f->primary);
    assert_ok(&e, ks_add_key(f->m, SUITE_XAES_256_GCM, NOW, f->key, &e));
    struct ks_key *key = ks_model_key(f->m, f->key);
    uint8_t other[KS_ID_BYTES];
    switch (state) {
    case KS_STAGED:
        break;
    case KS_PRIMARY:
        run(f, KS_PROMOTE, f->key);
        break;
    case KS_RETIRED:
        run(f, KS_PROMOTE, f->key);
        assert_ok(&e, ks_add_key(f->m, SUITE_XAES_256_GCM, NOW, other, &e));
        run(f, KS_PROMOTE, other);
        break;
    case KS_DISABLED:
        run(f, KS_DISABLE, f->key);
        break;
    case KS_DESTROY_SCHEDULED:
        run(f, KS_DISABLE, f->key);
        run(f, KS_DESTROY, f->key);
        break;
    case KS_DESTROYED:
        run(f, KS_DISABLE, f->key);
        run(f, KS_DESTROY, f->key);
        struct ks_command_args args = {.now_s = NOW + 61, .note = "no backups exist"};
        bool destroyed = false;
        assert_ok(&e, ks_command(f->m, KS_DESTROY, f->key, &args, &destroyed, &e));
        assert_true(destroyed);
        break;
    case KS_STATE_COUNT:
        fail();
    }
    assert_int_equal(ks_state(key), state);
}

/* What each command makes of each state; -1: refused. Written by hand from the state diagram, not
 * derived from the table under test. */
static const int expected[KS_COMMAND_COUNT][KS_STATE_COUNT] = {
    /*                      staged       primary      retired      disabled     scheduled  destroyed
     */
    [KS_PROMOTE] = {KS_PRIMARY, -1, -1, -1, -1, -1},
    [KS_DISABLE] = {KS_DISABLED, -1, KS_DISABLED, -1, -1, -1},
    [KS_ENABLE] = {-1, -1, -1, KS_STAGED, -1, -1},
    [KS_DESTROY] = {-1, -1, KS_DESTROY_SCHEDULED, KS_DESTROY_SCHEDULED, KS_DESTROYED, -1},
    [KS_CANCEL_DESTROY] = {-1, -1, -1, -1, KS_DISABLED, -1},
    [KS_COMPROMISE] = {KS_STAGED, KS_PRIMARY, KS_RETIRED, KS_DISABLED, KS_DESTROY_SCHEDULED, -1},
};

static size_t primaries(const struct ks_model *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->key_count; i++) {
        n += ks_state(&m->keys[i]) == KS_PRIMARY;
    }
    return n;
}

static void every_state_meets_every_command(void **state)
{
    (void)state;
    for (int c = 0; c < KS_COMMAND_COUNT; c++) {
        for (int s = 0; s < KS_STATE_COUNT; s++) {
            struct fixture f;
            struct kerrinfo e = {0};
            struct ks_command_args args = {.now_s = NOW + 61, .after_s = 60, .note = "answered"};
            setup(&f, (enum ks_state)s);
            struct ks_key before = *ks_model_key(f.m, f.key);
            enum kerr k = ks_command(f.m, (enum ks_command)c, f.key, &args, NULL, &e);
            int want = expected[c][s];
            struct ks_key *key = ks_model_key(f.m, f.key);
            if (want < 0) {
                assert_int_equal(k, KERR_STATE);
                assert_non_null(strstr(e.text, ks_state_name((enum ks_state)s)));
                assert_memory_equal(key, &before, sizeof before);
            } else {
                assert_int_equal(k, KERR_OK);
                assert_int_equal(ks_state(key), want);
            }
            assert_int_equal(primaries(f.m), 1);
            assert_int_equal(key->material == NULL, ks_state(key) == KS_DESTROYED);
            ks_model_free(f.m);
        }
    }
}

static void enabling_gives_back_the_state_from_before(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, KS_RETIRED);
    run(&f, KS_DISABLE, f.key);
    run(&f, KS_ENABLE, f.key);
    assert_int_equal(ks_state(ks_model_key(f.m, f.key)), KS_RETIRED);
    ks_model_free(f.m);
}

static void promoting_retires_the_old_primary(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, KS_STAGED);
    run(&f, KS_PROMOTE, f.key);
    assert_int_equal(ks_state(ks_model_key(f.m, f.primary)), KS_RETIRED);
    ks_model_free(f.m);
}

static void destroying_waits_for_the_grace_time_and_an_answer(void **state)
{
    (void)state;
    struct fixture f;
    struct kerrinfo e = {0};
    setup(&f, KS_DESTROY_SCHEDULED);
    struct ks_command_args early = {.now_s = NOW + 59, .note = "answered"};
    struct ks_command_args silent = {.now_s = NOW + 60};
    struct ks_command_args empty = {.now_s = NOW + 60, .note = ""};
    assert_refused(&e, KERR_STATE, "grace time ends at 1970-01-12T13:47:40Z",
                   ks_command(f.m, KS_DESTROY, f.key, &early, NULL, &e));
    assert_refused(&e, KERR_INPUT, "--backups",
                   ks_command(f.m, KS_DESTROY, f.key, &silent, NULL, &e));
    assert_refused(&e, KERR_INPUT, "--backups",
                   ks_command(f.m, KS_DESTROY, f.key, &empty, NULL, &e));
    assert_non_null(ks_model_key(f.m, f.key)->material);
    struct ks_command_args good = {.now_s = NOW + 60, .note = "all expired"};
    assert_ok(&e, ks_command(f.m, KS_DESTROY, f.key, &good, NULL, &e));
    assert_string_equal(ks_model_key(f.m, f.key)->note, "all expired");
    ks_model_free(f.m);
}

static void a_note_has_a_limit(void **state)
{
    (void)state;
    struct fixture f;
    struct kerrinfo e = {0};
    char note[KS_NOTE_MAX + 2];
    memset(note, 'x', sizeof note);
    note[KS_NOTE_MAX + 1] = 0;
    setup(&f, KS_DESTROY_SCHEDULED);
    struct ks_command_args args = {.now_s = NOW + 60, .note = note};
    assert_refused(&e, KERR_INPUT, "1 to 256 bytes",
                   ks_command(f.m, KS_DESTROY, f.key, &args, NULL, &e));
    note[KS_NOTE_MAX] = 0;
    assert_ok(&e, ks_command(f.m, KS_DESTROY, f.key, &args, NULL, &e));
    ks_model_free(f.m);
}

static void an_unknown_key_is_named(void **state)
{
    (void)state;
    struct fixture f;
    struct kerrinfo e = {0};
    uint8_t other[KS_ID_BYTES] = {0};
    struct ks_command_args args = {.now_s = NOW};
    setup(&f, KS_STAGED);
    assert_refused(&e, KERR_KEYID, "es1-aaaaaaaaaaaaaaaaaaaaaaaaaa",
                   ks_command(f.m, KS_PROMOTE, other, &args, NULL, &e));
    ks_model_free(f.m);
}

static void live_keys_have_a_limit(void **state)
{
    (void)state;
    struct fixture f;
    struct kerrinfo e = {0};
    uint8_t id[KS_ID_BYTES];
    setup(&f, KS_STAGED);
    while (f.m->key_count < KS_LIVE_KEYS_MAX) {
        assert_ok(&e, ks_add_key(f.m, SUITE_XAES_256_GCM, NOW, id, &e));
    }
    assert_refused(&e, KERR_LIMIT, "256 of them live",
                   ks_add_key(f.m, SUITE_XAES_256_GCM, NOW, id, &e));
    assert_int_equal(f.m->key_count, KS_LIVE_KEYS_MAX);
    ks_model_free(f.m);
}

static void key_ids_have_one_text(void **state)
{
    (void)state;
    uint8_t id[KS_ID_BYTES];
    uint8_t back[KS_ID_BYTES];
    char text[KS_KEY_ID_TEXT];
    struct kerrinfo e = {0};
    random_fill(id, sizeof id);
    ks_key_id_text(id, text);
    assert_int_equal(strlen(text), 30);
    assert_ok(&e, ks_key_id_parse(bytes_of_text(text), back, &e));
    assert_memory_equal(id, back, sizeof id);
    static const char *const bad[] = {"",
                                      "es1-",
                                      "es1-AAAAAAAAAAAAAAAAAAAAAAAAAA",
                                      "es2-aaaaaaaaaaaaaaaaaaaaaaaaaa",
                                      "es1-aaaaaaaaaaaaaaaaaaaaaaaaab",
                                      "es1-aaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_refused(&e, KERR_KEYID, "not a key id",
                       ks_key_id_parse(bytes_of_text(bad[i]), back, &e));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_meets_every_command),
        cmocka_unit_test(enabling_gives_back_the_state_from_before),
        cmocka_unit_test(promoting_retires_the_old_primary),
        cmocka_unit_test(destroying_waits_for_the_grace_time_and_an_answer),
        cmocka_unit_test(a_note_has_a_limit),
        cmocka_unit_test(an_unknown_key_is_named),
        cmocka_unit_test(live_keys_have_a_limit),
        cmocka_unit_test(key_ids_have_one_text),
    };
    return cmocka_run_group_tests_name("keystore.state", tests, NULL, NULL);
}
