/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd/codec.h"
#include "tests/unit/etcd/answers.h"

#include <stdio.h>
#include <string.h>

static const struct etcd_range all = {.key = {(const uint8_t *)"", 1},
                                      .end = {(const uint8_t *)"", 1}};

static enum kerr see(void *ctx, const struct mvcc_key_value *kv, struct kerrinfo *e)
{
    char *to = ctx;
    size_t len = strlen(to);
    (void)e;
    if (kv == NULL) {
        (void)snprintf(to + len, 100 - len, "end");
        return KERR_OK;
    }
    (void)snprintf(to + len, 100 - len, "%.*s=%.*s@%d;", (int)kv->key.len,
                   (const char *)kv->key.ptr, (int)kv->value.len, (const char *)kv->value.ptr,
                   (int)kv->mod_revision);
    return KERR_OK;
}

static void a_page_is_checked_and_walked(void **state)
{
    struct kerrinfo e;
    struct etcd_page page = {.revision = 0};
    char seen[100] = "";
    AUTO_BUF m;
    (void)state;
    buf_init(&m, 1000);
    put_header(&m, 1234);
    put_kv(&m, "/a", "1");
    put_kv(&m, "/b", "");
    put_number(&m, 3, 1);
    put_number(&m, 4, 9);
    put_bytes(&m, 15, bytes_of_text("of a later etcd"));
    assert_ok(&e, codec_page_check(buf_view(&m), &all, true, &page, &e));
    assert_true(page.cluster_id == 77 && page.member_id == 88 && page.revision == 1234);
    assert_true(page.has_more && page.count == 9 && page.keys == 2 && page.bytes == m.len);
    assert_ok(&e, codec_page_walk(buf_view(&m), see, seen, &e));
    assert_string_equal(seen, "/a=1@6;/b=@6;end");
}

static void refuse(const struct buf *m, const struct etcd_range *r, const char *words)
{
    struct kerrinfo e;
    struct etcd_page page = {.revision = 5};
    assert_refused(&e, KERR_FORMAT, words, codec_page_check(buf_view(m), r, true, &page, &e));
    assert_true(page.revision == 5); /* untouched */
}

static void keys_rise_and_were_asked_for(void **state)
{
    const struct etcd_range some = {.key = bytes_of_text("/b"), .end = bytes_of_text("/d")};
    const struct etcd_range one = {.key = bytes_of_text("/b")};
    static const struct row {
        const char *first;
        const char *second;
        bool in_some;
        bool in_one;
    } rows[] = {
        {"/b", NULL, true, true},    {"/bx", "/c", true, false}, {"/a", NULL, false, false},
        {"/d", NULL, false, false},  {"/c", "/b", false, false}, {"/c", "/c", false, false},
        {"/c", "/dx", false, false}, {"/b", "/bb", true, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct etcd_page page = {.revision = 0};
        AUTO_BUF m;
        buf_init(&m, 1000);
        put_header(&m, 1);
        put_kv(&m, rows[i].first, "");
        if (rows[i].second != NULL) {
            put_kv(&m, rows[i].second, "");
        }
        assert_int_equal(codec_page_check(buf_view(&m), &some, true, &page, NULL) == KERR_OK,
                         rows[i].in_some);
        assert_int_equal(codec_page_check(buf_view(&m), &one, true, &page, NULL) == KERR_OK,
                         rows[i].in_one);
    }
}

static void a_damaged_page_is_refused_whole(void **state)
{
    const struct etcd_range limited = {.key = all.key, .end = all.end, .limit = 1};
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        static const char *const words[] = {
            "no header", "header without revision", "another type", "another type",
            "KeyValue",  "negative count",          "no message",   "yet more behind it"};
        AUTO_BUF m;
        buf_init(&m, 1000);
        if (i == 1) {
            put_header(&m, 0);
        } else if (i > 1) {
            put_header(&m, 1);
        }
        if (i == 2) {
            put_number(&m, 2, 1);
        } else if (i == 3) {
            put_bytes(&m, 4, bytes_of_text("x"));
        } else if (i == 4) {
            put_bytes(&m, 2, bytes_of_text("x"));
        } else if (i == 5) {
            put_number(&m, 4, UINT64_MAX);
        } else if (i == 6) {
            put_kv(&m, "/a", "x");
            m.len--;
        } else if (i == 7) {
            put_number(&m, 3, 1);
        }
        refuse(&m, &limited, words[i]);
    }
}

static void pieces_have_a_header_at_the_end_only(void **state)
{
    struct kerrinfo e;
    struct etcd_page page = {.revision = 0};
    struct bytes inner;
    AUTO_BUF range;
    AUTO_BUF m;
    (void)state;
    buf_init(&range, 1000);
    buf_init(&m, 1000);
    put_kv(&range, "/a", "");
    put_bytes(&m, 1, buf_view(&range));
    assert_ok(&e, codec_piece(buf_view(&m), &inner, &e));
    assert_ok(&e, codec_page_check(inner, &all, false, &page, &e));
    assert_true(page.keys == 1 && page.revision == 0);
    put_bytes(&m, 1, buf_view(&range));
    assert_refused(&e, KERR_FORMAT, "piece", codec_piece(buf_view(&m), &inner, &e));
    m.len = 0;
    assert_refused(&e, KERR_FORMAT, "piece", codec_piece(buf_view(&m), &inner, &e));
}

static void a_status_is_understood(void **state)
{
    struct kerrinfo e;
    struct etcd_status s;
    AUTO_BUF m;
    (void)state;
    buf_init(&m, 100000);
    put_header(&m, 9);
    put_bytes(&m, 2, bytes_of_text("3.6.16\x1b"));
    put_number(&m, 3, 20480);
    put_number(&m, 4, 88);
    put_bytes(&m, 8, bytes_of_text("memberID:1 alarm:NOSPACE "));
    put_number(&m, 9, 16384);
    assert_ok(&e, codec_status(buf_view(&m), &s, &e));
    assert_string_equal(s.version, "3.6.16?");
    assert_true(s.cluster_id == 77 && s.member_id == 88 && s.revision == 9);
    assert_true(s.db_size == 20480 && s.db_size_in_use == 16384);
    assert_true(s.has_leader && s.has_no_space && !s.is_corrupt && !s.is_learner);
    put_bytes(&m, 8, bytes_of_text("memberID:1 alarm:CORRUPT "));
    put_number(&m, 4, 0);
    put_number(&m, 10, 1);
    put_number(&m, 3, UINT64_MAX);
    assert_ok(&e, codec_status(buf_view(&m), &s, &e));
    assert_true(!s.has_leader && s.is_corrupt && s.is_learner && s.db_size == 0);
    static uint8_t much[CODEC_STATUS_MAX];
    put_bytes(&m, 20, BYTES_OF(much));
    assert_refused(&e, KERR_FORMAT, "status", codec_status(buf_view(&m), &s, &e));
    assert_refused(&e, KERR_FORMAT, "status", codec_status(bytes_of_text("x"), &s, &e));
}

static void a_token_is_kept_as_a_secret(void **state)
{
    struct kerrinfo e;
    AUTO_SECRET token = NULL;
    AUTO_BUF m;
    (void)state;
    buf_init(&m, 100000);
    put_header(&m, 9);
    assert_refused(&e, KERR_FORMAT, "no token", codec_token(buf_view(&m), &token, &e));
    put_bytes(&m, 2, bytes_of_text("aBc.7"));
    assert_ok(&e, codec_token(buf_view(&m), &token, &e));
    assert_true(bytes_equal_text(secret_view(token), "aBc.7"));
    static uint8_t much[8193];
    AUTO_SECRET none = NULL;
    put_bytes(&m, 2, BYTES_OF(much));
    assert_refused(&e, KERR_FORMAT, "no token", codec_token(buf_view(&m), &none, &e));
}

static void requests_are_what_etcd_expects(void **state)
{
    struct kerrinfo e;
    const struct etcd_range r = {bytes_of_text("/a"), bytes_of_text("/b"), 3, 300, true, false};
    static const uint8_t range[] = {0x0a, 2,    '/',  'a', 0x12, 2, '/',  'b', 0x18,
                                    3,    0x20, 0xac, 2,   0x38, 1, 0x40, 1};
    static const uint8_t login[] = {0x0a, 2, 'm', 'e', 0x12, 3, 'p', 'a', 's'};
    AUTO_SECRET password = NULL;
    AUTO_SECRET request = NULL;
    AUTO_BUF m;
    (void)state;
    buf_init(&m, 1000);
    assert_ok(&e, codec_range_request(&r, true, &m, &e));
    assert_true(bytes_equal(buf_view(&m), BYTES_OF(range)));
    assert_ok(&e, secret_from_bytes(bytes_of_text("pas"), &password, &e));
    assert_ok(&e, codec_login_request("me", password, &request, &e));
    assert_true(bytes_equal(secret_view(request), BYTES_OF(login)));
    const struct etcd_range huge = {.key = all.key, .limit = UINT64_MAX};
    assert_refused(&e, KERR_LIMIT, "can't have", codec_range_request(&huge, true, &m, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_checked_and_walked),
        cmocka_unit_test(keys_rise_and_were_asked_for),
        cmocka_unit_test(a_damaged_page_is_refused_whole),
        cmocka_unit_test(pieces_have_a_header_at_the_end_only),
        cmocka_unit_test(a_status_is_understood),
        cmocka_unit_test(a_token_is_kept_as_a_secret),
        cmocka_unit_test(requests_are_what_etcd_expects),
    };
    return secret_start(SECRET_LOCK_BEST_EFFORT, NULL) == KERR_OK
               ? cmocka_run_group_tests(tests, NULL, NULL)
               : 1;
}
