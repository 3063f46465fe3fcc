/* SPDX-License-Identifier: Apache-2.0 */
/* A member's database in memory. What etcd says and sends stands here; that it is so of a real one:
 * tests/system/test_audit_member.py. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "audit/db.h"
#include "audit/member.h"
#include "crypto/hash.h"
#include "tests/lib/testlib.h"

#define URL "http://10.0.0.1:2379"
#define MIB ((uint64_t)1 << 20)

static struct kerrinfo e;
static struct buf file; /* pages and hash */

static struct world {
    struct etcd_status status;
    size_t piece; /* bytes of each */
    size_t sent;  /* of all; more than there are: all */
    bool fails_calloc;
    bool fails_mmap;
    volatile sig_atomic_t stop;
    unsigned asked; /* for its database */
} world;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return world.fails_calloc ? NULL : __real_calloc(count, size);
}

void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    errno = ENOMEM;
    return world.fails_mmap ? MAP_FAILED : __real_mmap(at, len, protection, flags, fd, offset);
}

const char *__wrap_etcd_endpoint(const struct etcd *c);
const char *__wrap_etcd_endpoint(const struct etcd *c)
{
    (void)c;
    return URL;
}

size_t __wrap_etcd_endpoint_count(const struct etcd *c);
size_t __wrap_etcd_endpoint_count(const struct etcd *c)
{
    (void)c;
    return 1;
}

void __wrap_etcd_go_on(struct etcd *c);
void __wrap_etcd_go_on(struct etcd *c)
{
    (void)c;
}

enum kerr __wrap_etcd_status(struct etcd *c, struct etcd_status *ret, struct kerrinfo *info);
enum kerr __wrap_etcd_status(struct etcd *c, struct etcd_status *ret, struct kerrinfo *info)
{
    (void)c;
    (void)info;
    *ret = world.status;
    return KERR_OK;
}

enum kerr __wrap_etcd_snapshot(struct etcd *c, etcd_piece_fn *fn, void *ctx, struct kerrinfo *info);
enum kerr __wrap_etcd_snapshot(struct etcd *c, etcd_piece_fn *fn, void *ctx, struct kerrinfo *info)
{
    enum kerr k = KERR_OK;
    (void)c;
    world.asked++;
    for (size_t at = 0; at < file.len && at < world.sent && k == KERR_OK; at += world.piece) {
        size_t left = file.len - at;
        const struct etcd_piece piece = {
            .at = at,
            .total = file.len,
            .data = bytes_of(file.ptr + at, left < world.piece ? left : world.piece)};
        k = fn(ctx, &piece, info);
    }
    return k == KERR_OK && world.sent < file.len ? kerr_set(info, KERR_DOWN, "it broke off") : k;
}

static int set_up(void **state)
{
    uint8_t hash[HASH_BYTES];
    (void)state;
    world = (struct world){.status.has_leader = true};
    world.status.db_size = 1000;
    world.piece = 1000;
    world.sent = SIZE_MAX;
    file = test_read_file(TEST_SOURCE "/tests/fuzz/seeds/etcd_db", "left-over");
    file.max += HASH_BYTES;
    hash_sha256(buf_view(&file), hash);
    assert_ok(&e, buf_put(&file, BYTES_OF(hash), &e));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&file);
    return 0;
}

struct told {
    uint64_t last;
    uint64_t total;
};

static void note(void *ctx, uint64_t done, uint64_t total)
{
    struct told *t = ctx;
    assert_true(done > t->last && done <= total);
    *t = (struct told){done, total};
}

static enum kerr fetch(struct memory *m, struct audit_member *ret)
{
    const struct audit a = {.wanted = {.memory = m, .stop = &world.stop}};
    struct told told = {.last = 0};
    return audit_member_fetch(&a, NULL, note, &told, ret, &e);
}

static void it_is_read_as_a_file_is(void **state)
{
    const struct audit_wanted wanted = {.demand_count = 0};
    struct memory m = {.max = 10 * MIB, .advice = ""};
    AUTO_AUDIT a = {.tables = NULL};
    AUTO_AUDIT_MEMBER member = {.room = {.ptr = NULL}};
    struct audit_store found;
    (void)state;
    assert_ok(&e, fetch(&m, &member));
    assert_true(bytes_equal(bytes_of(member.room.ptr, member.room.len), buf_view(&file)));
    assert_int_equal(m.used, file.len);
    assert_ok(&e, audit_begin(&wanted, &a, &e));
    assert_ok(&e, audit_db(&a, &member.db, NULL, NULL, &found, &e));
    assert_ok(&e, audit_judge(&a, &e));
    assert_true(a.totals.keys > 0 && a.residue[AUDIT_FREE_PAGES].is_seen);
    audit_member_done(&member);
    assert_int_equal(m.used, 0);
}

static void a_database_that_is_too_large_is_not_asked_for(void **state)
{
    struct memory m = {.max = 10 * MIB, .advice = ""};
    AUTO_AUDIT_MEMBER member = {.room = {.ptr = NULL}};
    (void)state;
    world.status.db_size = 10 * MIB + 1;
    assert_refused(&e, KERR_NOMEM,
                   URL ": its database has 11 MiB, and the limit of memory leaves 10",
                   fetch(&m, &member));
    assert_non_null(strstr(e.text, "etcdctl snapshot save FILE"));
    assert_int_equal(world.asked, 0);
    /* What it said of itself need not be so. */
    world.status.db_size = 0;
    m.max = 1000;
    assert_refused(&e, KERR_NOMEM, "its database has 1 MiB", fetch(&m, &member));
    assert_true(world.asked == 1 && m.used == 0 && member.room.ptr == NULL);
}

static void what_is_cut_or_altered(void **state)
{
    AUTO_AUDIT_MEMBER member = {.room = {.ptr = NULL}};
    (void)state;
    world.sent = 1500;
    assert_refused(&e, KERR_DOWN, "it broke off", fetch(NULL, &member));
    audit_member_done(&member);
    world.sent = SIZE_MAX;
    file.ptr[file.len - 1] ^= 1;
    assert_refused(&e, KERR_FORMAT, URL ": the database that it sent is damaged: its SHA-256",
                   fetch(NULL, &member));
    audit_member_done(&member);
    memset(file.ptr, 0, file.len - HASH_BYTES);
    hash_sha256(bytes_of(file.ptr, file.len - HASH_BYTES), file.ptr + file.len - HASH_BYTES);
    assert_refused(&e, KERR_FORMAT, URL " is no etcd database", fetch(NULL, &member));
}

static void memory_that_is_not_there(void **state)
{
    struct memory m = {.max = 10 * MIB, .advice = ""};
    AUTO_AUDIT_MEMBER member = {.room = {.ptr = NULL}};
    (void)state;
    world.fails_mmap = true;
    assert_refused(&e, KERR_NOMEM, "a member's database", fetch(&m, &member));
    world.fails_mmap = false;
    assert_int_equal(m.used, 0);
    world.fails_calloc = true;
    assert_refused(&e, KERR_NOMEM, "no memory for the map", fetch(&m, &member));
    world.fails_calloc = false;
    audit_member_done(&member);
    assert_int_equal(m.used, 0);
}

static void it_is_stopped(void **state)
{
    struct memory m = {.max = 10 * MIB, .advice = ""};
    AUTO_AUDIT_MEMBER member = {.room = {.ptr = NULL}};
    (void)state;
    world.stop = 1;
    assert_ok(&e, fetch(&m, &member));
    assert_true(member.is_stopped && m.used == 0 && member.db.page_size == 0);
}

static void a_member_without_leader(void **state)
{
    AUTO_AUDIT_MEMBER member = {.room = {.ptr = NULL}};
    (void)state;
    world.status.has_leader = false;
    assert_refused(&e, KERR_DOWN, "has no leader", fetch(NULL, &member));
    assert_int_equal(world.asked, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(it_is_read_as_a_file_is), TEST(a_database_that_is_too_large_is_not_asked_for),
        TEST(what_is_cut_or_altered),  TEST(memory_that_is_not_there),
        TEST(it_is_stopped),           TEST(a_member_without_leader),
    };
    return cmocka_run_group_tests_name("audit.member", tests, NULL, NULL);
}
