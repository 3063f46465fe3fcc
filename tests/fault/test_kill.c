/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that changes the keystore is killed before each call that changes the disk, and after
 * each, and in the middle of each write. The keystore must open every time, hold every key that it
 * held before, be the old or the new generation, and take the next change.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/lib/ks_fixture.h"

#include "tests/fault/file_calls.h"

enum cut { CUT_BEFORE, CUT_AFTER, CUT_WITHIN, CUT_COUNT };

static int kill_at; /* number of the call; 0: never */
static enum cut cut;
static int calls;

bool file_call_step(const char *name, size_t *half)
{
    calls++;
    if (calls == kill_at && cut == CUT_BEFORE) {
        (void)raise(SIGKILL);
    }
    if (calls == kill_at && cut == CUT_WITHIN && strcmp(name, "write") == 0) {
        *half = *half / 2;
    }
    return true;
}

void file_call_done(void)
{
    if (calls == kill_at && cut != CUT_BEFORE) {
        (void)raise(SIGKILL);
    }
}

struct scenario {
    const char *name;
    void (*prepare)(struct ks_fixture *f);
    void (*act)(struct ks_fixture *f);
    int generations; /* that the whole act makes */
};

static uint8_t victim[KS_ID_BYTES];

static void nothing(struct ks_fixture *f)
{
    (void)f;
}

static void must(enum kerr k)
{
    if (k != KERR_OK) {
        _exit(3);
    }
}

static void act_stage(struct ks_fixture *f)
{
    uint8_t id[KS_ID_BYTES];
    must(ks_stage_key(&f->place, SUITE_XAES_256_GCM, id, NULL));
}

static void prepare_staged(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    assert_ok(&e, ks_stage_key(&f->place, SUITE_XAES_256_GCM, victim, &e));
}

static void act_promote(struct ks_fixture *f)
{
    struct ks_command_args args = {.now_s = 5};
    must(ks_run_command(&f->place, KS_PROMOTE, victim, &args, NULL, NULL));
}

static void prepare_scheduled(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    struct ks_command_args args = {.now_s = 100, .after_s = 1};
    prepare_staged(f);
    assert_ok(&e, ks_run_command(&f->place, KS_DISABLE, victim, &args, NULL, &e));
    assert_ok(&e, ks_run_command(&f->place, KS_DESTROY, victim, &args, NULL, &e));
}

static void act_destroy(struct ks_fixture *f)
{
    struct ks_command_args args = {.now_s = 101, .note = "none"};
    must(ks_run_command(&f->place, KS_DESTROY, victim, &args, NULL, NULL));
}

static void act_add_slot(struct ks_fixture *f)
{
    must(ks_add_slot(&f->place, &f->slots[1], NULL));
}

static void prepare_two_slots(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    assert_ok(&e, ks_add_slot(&f->place, &f->slots[1], &e));
}

static void act_remove_slot(struct ks_fixture *f)
{
    must(ks_remove_slot(&f->place, "spare", NULL));
}

static void prepare_backup(struct ks_fixture *f)
{
    struct kerrinfo e = {0};
    uint8_t hash[HASH_BYTES];
    char *path = test_path(f->top, "backup");
    assert_ok(&e, ks_backup(&f->place, path, hash, &e));
    free(path);
}

static void act_restore(struct ks_fixture *f)
{
    uint64_t generation;
    char *path = test_path(f->top, "backup");
    struct ks_restore r = {.from = path};
    must(ks_restore(&f->place, &r, &generation, NULL));
    free(path);
}

static const struct scenario scenarios[] = {
    {"stage", nothing, act_stage, 1},
    {"promote", prepare_staged, act_promote, 1},
    {"destroy", prepare_scheduled, act_destroy, 1},
    {"add slot", nothing, act_add_slot, 1},
    {"remove slot", prepare_two_slots, act_remove_slot, 1},
    {"restore", prepare_backup, act_restore, 2},
};

/* Runs the act in a child that dies at call n. True when the child got to the end. */
static bool run_child(const struct scenario *s, struct ks_fixture *f, int n, enum cut how)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        calls = 0;
        kill_at = n;
        cut = how;
        s->act(f);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return true;
    }
    assert_int_equal(WTERMSIG(status), SIGKILL);
    return false;
}

static void check_survived(const struct scenario *s, struct ks_fixture *f, const struct ks *before,
                           int n)
{
    struct kerrinfo e = {0};
    struct ks *after = NULL;
    if (ks_open(&f->place, NULL, &after, &e) != KERR_OK) {
        fail_msg("%s, killed at call %d: %s", s->name, n, e.text);
    }
    uint64_t old = ks_model(before)->generation;
    uint64_t now = ks_model(after)->generation;
    assert_true(now == old || now == old + (uint64_t)s->generations);
    for (size_t i = 0; i < ks_model(before)->key_count; i++) {
        const struct ks_key *had = &ks_model(before)->keys[i];
        const struct ks_key *has = ks_model_key(ks_model(after), had->id);
        assert_non_null(has);
        bool may_be_gone =
            memcmp(had->id, victim, KS_ID_BYTES) == 0 && ks_state(has) == KS_DESTROYED && now > old;
        if (!may_be_gone) {
            assert_true(secret_equal(had->material, has->material));
        }
    }
    ks_close(after);
    uint8_t id[KS_ID_BYTES];
    kerr_clear(&e);
    if (ks_stage_key(&f->place, SUITE_XAES_256_GCM, id, &e) != KERR_OK) {
        fail_msg("%s, killed at call %d: the next change fails: %s", s->name, n, e.text);
    }
}

static int kill_at_each_call(const struct scenario *s, enum cut how)
{
    for (int n = 1;; n++) {
        struct ks_fixture f;
        memset(victim, 0, sizeof victim);
        ks_fixture_init(&f, 1);
        s->prepare(&f);
        struct ks *before = ks_fixture_open(&f);
        bool is_done = run_child(s, &f, n, how);
        check_survived(s, &f, before, n);
        ks_close(before);
        ks_fixture_end(&f);
        if (is_done) {
            return n - 1;
        }
    }
}

static void no_kill_loses_a_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
        for (int how = 0; how < CUT_COUNT; how++) {
            int kills = kill_at_each_call(&scenarios[i], (enum cut)how);
            /* Two files at least are written: fewer kills would mean that nothing was cut. */
            assert_true(kills >= 10);
            print_message("%s, cut %d: killed %d times\n", scenarios[i].name, how, kills);
        }
    }
}

/* Killed while it is first made, there is no keystore yet, or a whole one. */
static void a_killed_init_can_be_repeated_or_is_complete(void **state)
{
    (void)state;
    for (int how = 0; how < CUT_COUNT; how++) {
        bool is_done = false;
        for (int n = 1; !is_done; n++) {
            struct ks_fixture f;
            struct kerrinfo e = {0};
            ks_fixture_start(&f);
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                calls = 0;
                kill_at = n;
                cut = (enum cut)how;
                must(ks_init(&f.place, f.slots, 2, SUITE_XAES_256_GCM, f.first_key, NULL));
                _exit(0);
            }
            int status = 0;
            assert_int_equal(waitpid(pid, &status, 0), pid);
            is_done = WIFEXITED(status);
            enum kerr k = ks_init(&f.place, f.slots, 2, SUITE_XAES_256_GCM, f.first_key, &e);
            if (k == KERR_EXISTS) {
                ks_close(ks_fixture_open(&f));
            } else {
                assert_int_equal(k, KERR_OK);
            }
            ks_fixture_end(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_kill_loses_a_key),
        cmocka_unit_test(a_killed_init_can_be_repeated_or_is_complete),
    };
    return cmocka_run_group_tests_name("keystore.kill", tests, NULL, NULL);
}
