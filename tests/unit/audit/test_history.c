/* SPDX-License-Identifier: Apache-2.0 */
/* Records that are read in parts say what they say in one. What is missing in a file:
 * test_damage.c and tests/cli/test_audit_damage.py. */
#include "audit/history.h"
#include "tests/lib/testlib.h"

#define COUNT 8

static const uint8_t places[COUNT] = {0};

/* Each list with a gap of another kind, or none. */
static const struct mvcc_revision lists[][COUNT] = {
    {{2, 0, 0}, {3, 0, 0}, {3, 1, 0}, {4, 0, 0}, {5, 0, 0}, {6, 0, 0}, {6, 1, 0}, {7, 0, 0}},
    {{2, 0, 0}, {3, 0, 0}, {3, 2, 0}, {4, 0, 0}, {5, 0, 0}, {6, 0, 0}, {6, 1, 0}, {7, 0, 0}},
    {{2, 0, 0}, {3, 0, 0}, {3, 1, 0}, {5, 0, 0}, {6, 0, 0}, {7, 0, 0}, {7, 1, 0}, {9, 0, 0}},
    {{4, 1, 0}, {5, 0, 0}, {5, 1, 0}, {6, 0, 0}, {7, 0, 0}, {8, 0, 0}, {8, 1, 0}, {9, 0, 0}},
};

static void read_part(struct history *h, const struct mvcc_revision *list, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        history_revision(h, &list[i], &places[i]);
    }
}

static void test_parts(void **state)
{
    (void)state;
    static const uint64_t needs[] = {0, 3, 8, 4};
    for (size_t n = 0; n < ARRAY_LEN(lists); n++) {
        struct history whole = history_start();
        read_part(&whole, lists[n], 0, COUNT);
        assert_int_equal(whole.needs, needs[n]);
        for (size_t cut = 0; cut <= COUNT; cut++) {
            for (size_t second = cut; second <= COUNT; second++) {
                struct history h = history_start();
                struct history parts[3] = {{.needs = 0}};
                read_part(&parts[0], lists[n], 0, cut);
                read_part(&parts[1], lists[n], cut, second);
                read_part(&parts[2], lists[n], second, COUNT);
                for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
                    history_join(&h, &parts[i]);
                }
                assert_true(h.needs == whole.needs && h.where == whole.where &&
                            h.what == whole.what);
                assert_true(h.last.main == whole.last.main && h.last.sub == whole.last.sub);
            }
        }
    }
}

static void test_sound(void **state)
{
    (void)state;
    static const struct {
        struct mvcc_key_value kv;
        bool is_sound;
        bool is_first;
    } rows[] = {
        {{.create_revision = 5, .mod_revision = 5, .version = 1}, true, true},
        {{.create_revision = 4, .mod_revision = 5, .version = 2}, true, false},
        {{.create_revision = 4, .mod_revision = 5, .version = 1}, true, false}, /* of etcd 2 */
        {{.create_revision = 5, .mod_revision = 5, .version = 2}, false, false},
        {{.create_revision = 6, .mod_revision = 5, .version = 1}, false, false},
        {{.create_revision = 5, .mod_revision = 5, .version = 0}, false, false},
        {{.create_revision = 0, .mod_revision = 5, .version = 1}, false, false},
        {{.create_revision = 4, .mod_revision = 4, .version = 1}, false, false},
    };
    const struct mvcc_revision r = {.main = 5};
    const struct mvcc_revision tombstone = {.main = 5, .is_tombstone = true};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(history_is_sound(&r, &rows[i].kv), rows[i].is_sound);
        assert_true(!rows[i].is_sound || history_is_first(&r, &rows[i].kv) == rows[i].is_first);
    }
    struct mvcc_key_value deleted = {.value = bytes_of(NULL, 0)};
    assert_true(history_is_sound(&tombstone, &deleted) && !history_is_first(&tombstone, &deleted));
    deleted.value = bytes_of_text("x");
    assert_false(history_is_sound(&tombstone, &deleted));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
