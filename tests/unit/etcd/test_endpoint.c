/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd/endpoint.h"
#include "tests/lib/testlib.h"

#include <stdlib.h>
#include <string.h>

static void what_is_understood(void **state)
{
    static const struct row {
        const char *text;
        bool has_ca;
        const char *host; /* of a socket its path */
        unsigned port;
        bool is_tls;
    } rows[] = {
        {"https://etcd-0.etcd.svc:2379", true, "etcd-0.etcd.svc", 2379, true},
        {"https://10.0.0.1:12379/", true, "10.0.0.1", 12379, true},
        {"https://etcd", true, "etcd", 2379, true},
        {"https://[fd00::1]:4001", true, "fd00::1", 4001, true},
        {"https://[fe80::1]", true, "fe80::1", 2379, true},
        {"http://127.0.0.1:2379", false, "127.0.0.1", 2379, false},
        {"localhost:65535", false, "localhost", 65535, false},
        {"localhost", true, "localhost", 2379, true},
        {"[::1]:1", false, "::1", 1, false},
        {"unix:/run/kine.sock", false, "/run/kine.sock", 0, false},
        {"unix:///run/kine.sock", true, "/run/kine.sock", 0, false},
        {"unix://kine.sock:12379", false, "kine.sock:12379", 0, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kerrinfo e = {0};
        struct endpoint at;
        assert_ok(&e, endpoint_read(bytes_of_text(rows[i].text), rows[i].has_ca, &at, &e));
        assert_string_equal(at.text, rows[i].text);
        assert_string_equal(at.unix_path != NULL ? at.unix_path : at.host, rows[i].host);
        assert_int_equal(at.port, rows[i].port);
        assert_int_equal(at.is_tls, rows[i].is_tls);
    }
}

static void what_is_refused(void **state)
{
    static const char *const texts[] = {
        "https://",
        "http://:2379",
        "https://a:0",
        "https://a:65536",
        "https://a:",
        "https://a:2379x",
        "https://a:123456",
        "https://a b",
        "https://a/b",
        "https://[::1",
        "https://[]:1",
        "https://[fe80::1%eth0]:1",
        "https://a:1:2",
        "https://[::1]x",
        "ftp://a:1",
        "https://user:pw@a:1",
        "https://a:2379//",
        "https://a?x",
        "unix:",
        ":1",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct kerrinfo e;
        struct endpoint at;
        assert_refused(&e, KERR_USAGE, "expected https://HOST:PORT",
                       endpoint_read(bytes_of_text(texts[i]), true, &at, &e));
    }
}

static void tls_and_the_ca_belong_together(void **state)
{
    struct kerrinfo e;
    struct endpoint at;
    (void)state;
    assert_refused(&e, KERR_USAGE, "--cacert",
                   endpoint_read(bytes_of_text("https://a:1"), false, &at, &e));
    assert_refused(&e, KERR_USAGE, "write https://",
                   endpoint_read(bytes_of_text("http://a:1"), true, &at, &e));
}

static void lengths_are_bounded(void **state)
{
    struct kerrinfo e;
    struct endpoint at;
    char text[ENDPOINT_TEXT_BYTES + 1];
    (void)state;
    memset(text, 'a', sizeof text);
    assert_ok(&e, endpoint_read(bytes_of(text, ENDPOINT_HOST_BYTES - 1), false, &at, &e));
    assert_refused(&e, KERR_USAGE, "expected https",
                   endpoint_read(bytes_of(text, ENDPOINT_HOST_BYTES), false, &at, &e));
    assert_refused(&e, KERR_USAGE, "expected 1 to 287",
                   endpoint_read(bytes_of(text, ENDPOINT_TEXT_BYTES), false, &at, &e));
    assert_refused(&e, KERR_USAGE, "expected 1 to", endpoint_read(bytes_of("", 0), false, &at, &e));
    assert_refused(&e, KERR_USAGE, "expected 1 to",
                   endpoint_read(bytes_of("a\0b", 3), false, &at, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_understood),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(tls_and_the_ca_belong_together),
        cmocka_unit_test(lengths_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
