/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "audit/kine.h"
#include "tests/lib/kine_file.h"
#include "tests/lib/testlib.h"

/* A Secret and a ConfigMap in protobuf, a custom resource in JSON, a value of aescbc. */
#define SECRET "k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x05hello"
#define CONFIGMAP                                                                                  \
    "k8s\0\x0a\x0f\x0a\x02v1\x12\x09"                                                              \
    "ConfigMap\x12\x05hello"
#define WIDGET              "{\"kind\":\"Widget\"}"
#define ENCRYPTED           "k8s:enc:aescbc:v1:key1:0123456789abcdef0123456789abcdef"
#define PUT(f, name, value) kine_file_put((f), "/registry/" name, (value), sizeof(value) - 1)

static struct kerrinfo e;

struct result {
    struct sqlite_pages pages;
    struct kine *kine;
    struct audit audit;
    struct audit_store found;
};

static enum kerr audit_file(const struct kine_file *f, struct result *r)
{
    static const struct audit_wanted wanted = {.is_passing = true};
    *r = (struct result){.kine = NULL};
    enum kerr k = audit_begin(&wanted, &r->audit, &e);
    k = k == KERR_OK ? sqlite_pages_open(buf_view(&f->db), buf_view(&f->wal), "file", &r->pages, &e)
                     : k;
    k = k == KERR_OK ? kine_open(&r->pages, KINE_MEMORY_MAX, &r->kine, &e) : k;
    k = k == KERR_OK ? audit_kine(&r->audit, r->kine, &r->pages, NULL, NULL, &r->found, &e) : k;
    return k == KERR_OK ? audit_judge(&r->audit, &e) : k;
}

static void done(struct result *r)
{
    audit_done(&r->audit);
    kine_close(&r->kine);
    sqlite_pages_close(&r->pages);
}

static const struct audit_resource *resource(const struct result *r, const char *name)
{
    for (size_t i = 0; i < r->audit.resource_count; i++) {
        if (strcmp(r->audit.resources[i].name, name) == 0) {
            return &r->audit.resources[i];
        }
    }
    fail_msg("no resource %s", name);
    return NULL;
}

static void check_residue(const struct result *r, enum audit_place place, uint64_t values,
                          uint64_t plaintext)
{
    const struct audit_residue *found = &r->audit.residue[place];
    assert_true(found->is_seen);
    if (found->values != values || found->plaintext != plaintext) {
        fail_msg("%s: %d values, %d plaintext", audit_place_names[place], (int)found->values,
                 (int)found->plaintext);
    }
}

static uint64_t count(const struct kine_file *f, const char *what, size_t len)
{
    const uint8_t *end = f->db.ptr + f->db.len;
    uint64_t sum = 0;
    for (const uint8_t *at = f->db.ptr; (at = memmem(at, (size_t)(end - at), what, len)) != NULL;
         at++) {
        sum++;
    }
    return sum;
}

/* Live, superseded, deleted, made again; and kine's own row, which is no key. */
static void test_rows(void **state)
{
    (void)state;
    struct kine_file f;
    struct result r;
    kine_file_new(&f, false, KINE_FILE_SCHEMA);
    kine_file_sql(&f, "INSERT INTO kine VALUES (1, 'compact_rev_key', 1, 0, 0, 41, 0, '', NULL)");
    PUT(&f, "secrets/default/a", SECRET);
    PUT(&f, "secrets/default/b", SECRET);
    PUT(&f, "configmaps/default/c", CONFIGMAP);
    PUT(&f, "example.com/widgets/default/w", WIDGET);
    PUT(&f, "secrets/default/a", ENCRYPTED);                   /* old value: plaintext */
    kine_file_put(&f, "/registry/secrets/default/b", NULL, 0); /* keeps what it deletes, twice */
    PUT(&f, "secrets/default/again", SECRET);
    kine_file_put(&f, "/registry/secrets/default/again", NULL, 0);
    PUT(&f, "secrets/default/again", ENCRYPTED);
    kine_file_sql(&f, "INSERT INTO kine (name, deleted) VALUES ('gap-11', 1)");
    kine_file_read(&f);
    assert_ok(&e, audit_file(&f, &r));
    assert_int_equal(r.found.revision, 11);
    assert_int_equal(r.found.compact_revision, 41);
    assert_int_equal(r.found.record_count, 11);
    assert_int_equal(r.found.tombstone_count, 3);
    assert_int_equal(r.audit.totals.keys, 4);
    assert_int_equal(resource(&r, "secrets")->counts.keys, 2);
    assert_int_equal(resource(&r, "secrets")->counts.classes[VALUE_AESCBC], 2);
    assert_int_equal(resource(&r, "configmaps")->counts.classes[VALUE_PLAINTEXT], 1);
    assert_int_equal(resource(&r, "widgets.example.com")->counts.classes[VALUE_PLAINTEXT], 1);
    assert_int_equal(r.audit.verdict, AUDIT_ENCRYPTED);
    check_residue(&r, AUDIT_OLD_REVISIONS, 5, 5);
    check_residue(&r, AUDIT_KINE_OLD_VALUE, 4, 4);
    check_residue(&r, AUDIT_FREE_PAGES, 0, 0);
    check_residue(&r, AUDIT_PAGE_SLACK, 0, 0);
    check_residue(&r, AUDIT_WAL, 0, 0);
    assert_int_equal(r.audit.by_rule[AUDIT_RULE_RESIDUE_KINE_OLD_VALUE], 1);
    done(&r);
    kine_file_done(&f);
}

/* Findings outlive the rows that they are about. */
static void test_findings(void **state)
{
    (void)state;
    struct kine_file f;
    struct result r;
    struct audit_said said;
    kine_file_new(&f, true, KINE_FILE_SCHEMA);
    PUT(&f, "secrets/default/a", ENCRYPTED);
    PUT(&f, "secrets/default/b", SECRET);
    kine_file_read(&f);
    assert_ok(&e, audit_file(&f, &r));
    assert_int_equal(r.audit.finding_count, 1);
    audit_say(&r.audit, &r.audit.findings[0], &said);
    assert_string_equal(said.rule, "plaintext");
    assert_string_equal(said.object, "default/b");
    assert_int_equal(said.mod_revision, 2);
    done(&r);
    kine_file_done(&f);
}

/* What is deleted is found where it lay: by its row, in JSON too, whole pages and parts of them. */
static void test_left_over(void **state)
{
    (void)state;
    struct kine_file f;
    struct result r;
    char name[64];
    kine_file_new(&f, false, KINE_FILE_SCHEMA);
    PUT(&f, "namespaces/default", CONFIGMAP);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof name, "/registry/secrets/default/s-%03d", i);
        bool is_json = i % 2 == 0;
        kine_file_put(&f, name, is_json ? WIDGET : SECRET,
                      is_json ? sizeof WIDGET - 1 : sizeof SECRET - 1);
    }
    kine_file_read(&f);
    assert_ok(&e, audit_file(&f, &r));
    uint64_t copies = r.audit.residue[AUDIT_PAGE_SLACK].plaintext; /* of pages that were split */
    assert_true(copies > 0);
    done(&r);
    kine_file_sql(&f, "DELETE FROM kine WHERE id = 2");
    kine_file_read(&f);
    assert_ok(&e, audit_file(&f, &r));
    check_residue(&r, AUDIT_PAGE_SLACK, copies + 1, copies + 1);
    check_residue(&r, AUDIT_FREE_PAGES, 0, 0);
    done(&r);
    kine_file_sql(&f, "DELETE FROM kine WHERE id > 2 AND id <= 190");
    kine_file_read(&f);
    assert_ok(&e, audit_file(&f, &r));
    const struct audit_residue *left = r.audit.residue;
    uint64_t sum = left[AUDIT_FREE_PAGES].plaintext + left[AUDIT_PAGE_SLACK].plaintext;
    uint64_t raw = count(&f, WIDGET, sizeof WIDGET - 1) + count(&f, SECRET, sizeof SECRET - 1);
    assert_true(left[AUDIT_FREE_PAGES].plaintext > 100);
    /* Eleven are live. Of a value that was cut off its row still tells. */
    if (sum + 11 < raw || sum + 11 > raw + 2) {
        fail_msg("%d left over, %d in the file", (int)sum, (int)raw);
    }
    assert_int_equal(resource(&r, "secrets")->counts.keys, 11);
    done(&r);
    kine_file_sql(&f, "VACUUM");
    kine_file_read(&f);
    assert_ok(&e, audit_file(&f, &r));
    check_residue(&r, AUDIT_FREE_PAGES, 0, 0);
    check_residue(&r, AUDIT_PAGE_SLACK, 0, 0);
    assert_false(r.audit.has_residue);
    done(&r);
    kine_file_done(&f);
}

/* In the log: frames that later ones replace, and those of the round before. */
static void test_log(void **state)
{
    (void)state;
    struct kine_file f;
    struct result r;
    kine_file_new(&f, true, KINE_FILE_SCHEMA);
    PUT(&f, "secrets/default/a", SECRET);
    PUT(&f, "secrets/default/b", ENCRYPTED); /* the page of `a` is written a second time */
    kine_file_read(&f);
    assert_ok(&e, audit_file(&f, &r));
    check_residue(&r, AUDIT_WAL, 1, 1);
    assert_int_equal(resource(&r, "secrets")->counts.classes[VALUE_PLAINTEXT], 1);
    done(&r);
    kine_file_sql(&f, "DELETE FROM kine WHERE id = 1; PRAGMA wal_checkpoint(RESTART); "
                      "UPDATE kine SET lease = 7");
    kine_file_read(&f);
    assert_ok(&e, audit_file(&f, &r));
    assert_int_equal(r.audit.totals.keys, 1);
    assert_true(r.audit.residue[AUDIT_WAL].plaintext >= 1);
    done(&r);
    kine_file_done(&f);
}

static volatile sig_atomic_t stop;

static void stop_at_once(void *ctx, uint64_t done, uint64_t total)
{
    (void)ctx;
    (void)done;
    (void)total;
    stop = 1;
}

static void test_stopped(void **state)
{
    (void)state;
    struct kine_file f;
    struct result r = {.kine = NULL};
    const struct audit_wanted wanted = {.is_passing = true, .stop = &stop};
    kine_file_new(&f, false, KINE_FILE_SCHEMA);
    PUT(&f, "secrets/default/a", SECRET);
    PUT(&f, "secrets/default/b", SECRET);
    kine_file_read(&f);
    assert_ok(&e, audit_begin(&wanted, &r.audit, &e));
    assert_ok(&e, sqlite_pages_open(buf_view(&f.db), buf_view(&f.wal), "file", &r.pages, &e));
    assert_ok(&e, kine_open(&r.pages, KINE_MEMORY_MAX, &r.kine, &e));
    assert_ok(&e, audit_kine(&r.audit, r.kine, &r.pages, stop_at_once, NULL, &r.found, &e));
    assert_ok(&e, audit_judge(&r.audit, &e));
    assert_true(r.found.is_partial);
    assert_int_equal(r.audit.totals.keys, 0);
    done(&r);
    kine_file_done(&f);
}

static void test_refused(void **state)
{
    (void)state;
    struct kine_file f;
    struct result r;
    kine_file_new(&f, false, KINE_FILE_SCHEMA);
    kine_file_put(&f, "elsewhere", "x", 1);
    kine_file_read(&f);
    assert_refused(&e, KERR_NOTFOUND, "no key of Kubernetes in it", audit_file(&f, &r));
    done(&r);
    PUT(&f, "secrets/default/a", SECRET);
    kine_file_read(&f);
    f.db.ptr[KINE_FILE_PAGE] = 9; /* the table's page */
    assert_refused(&e, KERR_FORMAT, "damaged at page 2, byte 1024", audit_file(&f, &r));
    done(&r);
    kine_file_done(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_findings),
        cmocka_unit_test(test_left_over), cmocka_unit_test(test_log),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_stopped),
    };
    return cmocka_run_group_tests_name("audit.kine", tests, NULL, NULL);
}
