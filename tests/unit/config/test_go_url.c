/* SPDX-License-Identifier: Apache-2.0 */
/* config/go_url.h. The results are those of Go 1.26's url.Parse. */
#include "config/go_url.h"

#include "tests/lib/testlib.h"

static const struct {
    const char *text;
    enum go_url_fault fault;
    const char *path;
    bool has_host;
    bool has_tail;
} rows[] = {
    {"unix:///run/a.sock", GO_URL_OK, "/run/a.sock", false, false},
    {"unix:/run/a.sock", GO_URL_OK, "/run/a.sock", false, false},
    {"UnIx:///a", GO_URL_OK, "/a", false, false},
    {"unix://run/a.sock", GO_URL_OK, "/a.sock", true, false},
    {"unix://host", GO_URL_OK, "", true, false},
    {"unix://", GO_URL_OK, "", false, false},
    {"unix:", GO_URL_OK, "", false, false},
    {"unix:run/a", GO_URL_OK, "", false, false},
    {"unix:run/%zz", GO_URL_OK, "", false, false},
    {"unix:///@name", GO_URL_OK, "@name", false, false},
    {"unix:///a%2fb%40", GO_URL_OK, "/a/b@", false, false},
    {"unix:///a?b=%zz", GO_URL_OK, "/a", false, true},
    {"unix:///a#b", GO_URL_OK, "/a", false, true},
    {"unix:////a", GO_URL_OK, "//a", false, false},
    {"unix://u:p@h:1/a", GO_URL_OK, "/a", true, false},
    {"unix://h:/a", GO_URL_OK, "/a", true, false},
    {"unix://a:b:1/a", GO_URL_OK, "/a", true, false},
    {"unix://h%c3%a9/a", GO_URL_OK, "/a", true, false},
    {"unix://h%25/a", GO_URL_OK, "/a", true, false},
    {"unix://h]/a", GO_URL_OK, "/a", true, false},
    {"unix://a@b@c/a", GO_URL_OK, "/a", true, false},
    {"unix:///a%", GO_URL_MALFORMED, "", false, false},
    {"unix:///a%4", GO_URL_MALFORMED, "", false, false},
    {"unix:///a%zz", GO_URL_MALFORMED, "", false, false},
    {"unix:///a#%zz", GO_URL_MALFORMED, "", false, false},
    {"unix://h:x/a", GO_URL_MALFORMED, "", false, false},
    {"unix://h h/a", GO_URL_MALFORMED, "", false, false},
    {"unix://h%41/a", GO_URL_MALFORMED, "", false, false},
    {"unix://h^/a", GO_URL_MALFORMED, "", false, false},
    {"unix://u%zz@h/a", GO_URL_MALFORMED, "", false, false},
    {"unix://u[@h/a", GO_URL_MALFORMED, "", false, false},
    {":a", GO_URL_MALFORMED, "", false, false},
    {"unix://[::1]/a", GO_URL_IN_BRACKETS, "", false, false},
    {"", GO_URL_NOT_UNIX, "", false, false},
    {"/run/a.sock", GO_URL_NOT_UNIX, "", false, false},
    {"tcp://127.0.0.1:1", GO_URL_NOT_UNIX, "", false, false},
    {"unixx:///a", GO_URL_NOT_UNIX, "", false, false},
    {" unix:///a", GO_URL_NOT_UNIX, "", false, false},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct go_url got;
        enum go_url_fault fault = go_url_parse(rows[i].text, &got);
        if (fault != rows[i].fault) {
            fail_msg("%s: %d, expected %d", rows[i].text, fault, rows[i].fault);
        }
        if (fault == GO_URL_OK) {
            assert_string_equal(got.path, rows[i].path);
            assert_int_equal(got.has_host, rows[i].has_host);
            assert_int_equal(got.has_tail, rows[i].has_tail);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
