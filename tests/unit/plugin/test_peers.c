/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/kms.h"
#include "plugin/peers.h"
#include "tests/lib/testlib.h"

#define ALL CONFIG_METHODS_ALL

struct row {
    const char *what;
    struct config_peer rows[3];
    size_t count;
    struct peer peer;
    int want; /* class, or -1: refused */
};

static const struct row table[] = {
    {"root, default row", {{CONFIG_PEER_UID, 0, ALL, 0, NULL}}, 1, {1, 0, 0, 0}, 0},
    {"root with another group", {{CONFIG_PEER_UID, 0, ALL, 0, NULL}}, 1, {1, 0, 77, 0}, 0},
    {"another uid", {{CONFIG_PEER_UID, 0, ALL, 0, NULL}}, 1, {1, 1000, 0, 0}, -1},
    {"a uid is no gid", {{CONFIG_PEER_UID, 7, ALL, 0, NULL}}, 1, {1, 8, 7, 0}, -1},
    {"a gid is no uid", {{CONFIG_PEER_GID, 7, ALL, 0, NULL}}, 1, {1, 7, 8, 0}, -1},
    {"by gid", {{CONFIG_PEER_GID, 7, ALL, 0, NULL}}, 1, {1, 8, 7, 0}, 0},
    {"the first row that fits",
     {{CONFIG_PEER_GID, 7, 1, 0, NULL}, {CONFIG_PEER_UID, 8, ALL, 0, NULL}},
     2,
     {1, 8, 7, 0},
     0},
    {"the second row",
     {{CONFIG_PEER_UID, 0, ALL, 0, NULL}, {CONFIG_PEER_UID, 8, 4, 0, NULL}},
     2,
     {1, 8, 7, 0},
     1},
    {"no rows", {{CONFIG_PEER_UID, 0, ALL, 0, NULL}}, 0, {1, 0, 0, 0}, -1},
    {"an unmapped uid, even with a row",
     {{CONFIG_PEER_UID, PEER_UID_UNMAPPED, ALL, 0, NULL}},
     1,
     {1, PEER_UID_UNMAPPED, 5, 0},
     -1},
    {"an unmapped gid, even with a row",
     {{CONFIG_PEER_GID, PEER_UID_UNMAPPED, ALL, 0, NULL}},
     1,
     {1, 5, PEER_UID_UNMAPPED, 0},
     -1},
    {"the largest uid",
     {{CONFIG_PEER_UID, UINT32_MAX - 1, ALL, 0, NULL}},
     1,
     {0, UINT32_MAX - 1, 0, 0},
     0},
};

static void test_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        size_t got = 99;
        bool is_in = peers_class(table[i].rows, table[i].count, &table[i].peer, &got);
        if (is_in != (table[i].want >= 0) || (is_in && (int)got != table[i].want) ||
            (!is_in && got != 99)) {
            fail_msg("%s: %d, class %zu", table[i].what, is_in, got);
        }
    }
}

static void test_classes_hold_the_methods_of_their_rows(void **state)
{
    (void)state;
    struct config_peer rows[] = {
        {CONFIG_PEER_UID, 0, ALL, 0, NULL},
        {CONFIG_PEER_UID, 1, CONFIG_METHOD_STATUS, 0, NULL},
        {CONFIG_PEER_UID, 2, CONFIG_METHOD_ENCRYPT, 0, NULL},
        {CONFIG_PEER_UID, 3, CONFIG_METHOD_DECRYPT, 0, NULL},
        {CONFIG_PEER_UID, 4, CONFIG_METHOD_STATUS | CONFIG_METHOD_DECRYPT, 0, NULL},
        {CONFIG_PEER_UID, 5, 0, 0, NULL},
    };
    const uint32_t want[] = {
        1U << KMS_STATUS | 1U << KMS_ENCRYPT | 1U << KMS_DECRYPT,
        1U << KMS_STATUS,
        1U << KMS_ENCRYPT,
        1U << KMS_DECRYPT,
        1U << KMS_STATUS | 1U << KMS_DECRYPT,
        0,
    };
    struct rpc_class classes[CONFIG_PEERS_MAX];
    peers_to_classes(rows, ARRAY_LEN(rows), classes);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(classes[i].methods, want[i]);
    }
}

static void test_same_rights(void **state)
{
    (void)state;
    static char note[] = "x";
    const struct config_peer a[] = {{CONFIG_PEER_UID, 0, ALL, 0, NULL},
                                    {CONFIG_PEER_GID, 5, 1, 0, NULL}};
    const struct config_peer noted[] = {{CONFIG_PEER_UID, 0, ALL, 9, note},
                                        {CONFIG_PEER_GID, 5, 1, 8, NULL}};
    const struct config_peer swapped[] = {a[1], a[0]};
    const struct config_peer fewer_methods[] = {a[0], {CONFIG_PEER_GID, 5, 0, 0, NULL}};
    const struct config_peer other_id[] = {a[0], {CONFIG_PEER_GID, 6, 1, 0, NULL}};
    const struct config_peer other_kind[] = {a[0], {CONFIG_PEER_UID, 5, 1, 0, NULL}};
    assert_true(peers_same_rights(a, 2, a, 2));
    assert_true(peers_same_rights(a, 2, noted, 2));
    assert_false(peers_same_rights(a, 2, a, 1));
    assert_false(peers_same_rights(a, 1, a, 2));
    assert_false(peers_same_rights(a, 2, swapped, 2));
    assert_false(peers_same_rights(a, 2, fewer_methods, 2));
    assert_false(peers_same_rights(a, 2, other_id, 2));
    assert_false(peers_same_rights(a, 2, other_kind, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class),
        cmocka_unit_test(test_classes_hold_the_methods_of_their_rows),
        cmocka_unit_test(test_same_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
