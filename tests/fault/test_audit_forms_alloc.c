/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation that our own code makes while it writes an audit's report fails in turn, in
 * every form: it ends with NOMEM and leaks nothing (seen by the address sanitizer's run of this
 * test). */
#include "audit/db.h"
#include "cli/audit_diff.h"
#include "tests/fault/failing_alloc.h"
#include "tests/lib/testlib.h"

static struct buf file;
static struct bbolt db;
static struct audit audited = {.tables = NULL};
static struct audit_source source = {.kind_name = "db", .name = "file"};
static struct json_doc *older;

static const struct {
    const char *name;
    audit_write_fn *write;
} forms[] = {
    {"table", audit_write_table},
    {"wide", audit_write_wide},
    {"json", audit_write_json},
    {"yaml", audit_write_yaml},
    {"csv", audit_write_csv},
    {"csv-keys", audit_write_csv_keys},
    {"csv-findings", audit_write_csv_findings},
    {"sarif", audit_write_sarif},
    {"junit", audit_write_junit},
    {"prometheus", audit_write_prometheus},
    {"html", audit_write_html},
    {"diff table", audit_write_diff_table},
    {"diff json", audit_write_diff_json},
    {"diff yaml", audit_write_diff_yaml},
};

static enum kerr write_form(audit_write_fn *write, struct kerrinfo *e)
{
    static const char *const words[] = {"etcdseal", "audit"};
    const struct options o = {.words = words, .word_count = ARRAY_LEN(words)};
    const struct audit_report r = {.options = &o,
                                   .audit = &audited,
                                   .source = &source,
                                   .older = json_root(older),
                                   .started_s = 1};
    struct audit_sink to = {.is_kept = true};
    buf_init(&to.text, DOC_MAX);
    enum kerr k = write(&r, &to, e);
    assert_true(k != KERR_OK || to.text.len > 0);
    buf_done(&to.text);
    return k;
}

static void check_form(const char *name, audit_write_fn *write)
{
    int n = 0;
    bool is_done = false;
    while (!is_done) {
        struct kerrinfo e = {0};
        allocations = 0;
        fail_at = ++n;
        enum kerr k = write_form(write, &e);
        is_done = allocations < n;
        fail_at = 0;
        if (k != (is_done ? KERR_OK : KERR_NOMEM)) {
            fail_msg("%s, allocation %d: %s: %s", name, n, kerr_name(k), e.text);
        }
    }
    assert_true(n > 1);
}

static void writing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        check_form(forms[i].name, forms[i].write);
    }
}

static int start(void **state)
{
    static const struct audit_wanted wanted = {.current_key = "none"};
    struct kerrinfo e = {0};
    AUTO_BUF text = test_read_file(TEST_SOURCE "/tests/fuzz/seeds/audit_diff", "report");
    (void)state;
    file = test_read_file(TEST_SOURCE "/tests/fuzz/seeds/etcd_db", "left-over");
    assert_ok(&e, audit_diff_parse(&text, "older", &older, &e));
    assert_ok(&e, audit_begin(&wanted, &audited, &e));
    assert_ok(&e, bbolt_open(buf_view(&file), "file", &db, &e));
    assert_ok(&e, audit_db(&audited, &db, NULL, NULL, &source.found, &e));
    assert_ok(&e, audit_judge(&audited, &e));
    assert_true(audited.finding_count > 0 && audited.key_id_count > 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    json_doc_free(older);
    audit_done(&audited);
    bbolt_close(&db);
    buf_done(&file);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(writing)};
    return cmocka_run_group_tests_name("audit.forms.alloc", tests, start, end);
}
