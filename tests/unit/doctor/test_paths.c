/* SPDX-License-Identifier: Apache-2.0 */
/* What a container sees of the host, both ways. */
#include <string.h>

#include "doctor/facts.h"
#include "tests/lib/testlib.h"

static const struct apiserver_mount mounts[] = {
    {.host = "/etc/ssl", .inside = {.text = "/etc/ssl"}},
    {.host = "/srv/enc/", .inside = {.text = "/etc/kubernetes/enc"}},
    {.host = "/srv/deep", .inside = {.text = "/etc/kubernetes/enc/deep"}},
    {.host = "/run/etcdseal/kms.sock", .inside = {.text = "/kms.sock"}},
};

static const struct apiserver_spec container = {
    .is_container = true, .mounts = mounts, .mount_count = ARRAY_LEN(mounts)};

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *inside;
        const char *host;
        int mount; /* -1: none */
    } rows[] = {
        {"/etc/kubernetes/enc/config.yaml", "/srv/enc/config.yaml", 1},
        {"/etc/kubernetes/enc", "/srv/enc", 1},
        {"/etc/kubernetes/enc/deep/x", "/srv/deep/x", 2}, /* the longest counts */
        {"/etc/kubernetes/encrypted", "", -1},            /* not below it */
        {"/etc", "", -1},
        {"/kms.sock", "/run/etcdseal/kms.sock", 3},
    };
    struct texts t = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct apiserver_mount *mount = NULL;
        assert_string_equal(facts_host_path(&t, &container, rows[i].inside, &mount), rows[i].host);
        assert_ptr_equal(mount, rows[i].mount < 0 ? NULL : &mounts[rows[i].mount]);
        if (rows[i].mount >= 0) {
            const char *inside = facts_inside_path(&t, &container, rows[i].host, &mount);
            assert_string_equal(inside, rows[i].inside);
            assert_ptr_equal(mount, &mounts[rows[i].mount]);
        }
    }
    texts_done(&t);
}

static void test_root_and_no_container(void **state)
{
    (void)state;
    static const struct apiserver_mount root = {.host = "/", .inside = {.text = "/host"}};
    static const struct apiserver_spec all = {
        .is_container = true, .mounts = &root, .mount_count = 1};
    static const struct apiserver_spec bare = {.is_container = false};
    const struct apiserver_mount *mount = &root;
    struct texts t = {0};
    assert_string_equal(facts_host_path(&t, &all, "/host/run/x", &mount), "/run/x");
    assert_string_equal(facts_inside_path(&t, &all, "/run/x", &mount), "/host/run/x");
    assert_string_equal(facts_host_path(&t, &bare, "/run/x", &mount), "/run/x");
    assert_null(mount);
    assert_string_equal(facts_inside_path(&t, &bare, "/run/x", &mount), "/run/x");
    texts_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_root_and_no_container),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
