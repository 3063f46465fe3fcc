/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and a signature that minisign 0.11 made ('minisign -G -W', '-S -W'); the real program, both
 * ways: tests/system/test_audit_sign.py. */
#include "cli/minisign.h"
#include "tests/lib/testlib.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"

#define HEAD    "untrusted comment: \n"
#define COMMENT "timestamp:1795665118\tfile:f\thashed"
#define PUBLIC  HEAD "RWRKvxptYvzDesyJLaLw/SUFcJFZo8650MPOrPt1fbHLXWsF5Vkzn7Lq\n"
#define SECRET                                                                                     \
    HEAD "RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAASr8abWL8"        \
         "w3oLUMvRqWa+3Gd+nTzkSmFH5ZebYC2/p5TkXd0A2WtIjcyJLaLw/SUFcJFZo8650MPOrPt1fbHLXWsF"        \
         "5Vkzn7LqAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
#define WITH_PASSWORD                                                                              \
    HEAD "RWRTY0IyxDJJmCpCsuZmGdYgyxYFXqysyDhHznU3L/Bs7DReIawAAAACAAAAAAAAAEAAAAAANTYTRPfl"        \
         "IsB+5JVuRVOAY+Jg4W/wgHaF2hrRSN4pceylNIDiVd45CFq8Ks3tosnJ/sYDoe7dyTJUMnKOaTztIHwK"        \
         "+gi1p68vIQyicOwD5jWlFpFdSr/puan9DzdB7zZEKLDQNJ3mxNM=\n"
#define FIRST                                                                                      \
    "RURKvxptYvzDenq9ojCh9xfa1KefZ9JpRSw2xjoF52ZiD2h4RHAz/LKaptIYsGCx4FxorkeFsPpTimG/85z0wyQM5vMc" \
    "bP5Nrgs="
#define SECOND                                                                                     \
    "toR4nAw5Cv64MUNtfTmha3FzwZW2iBuf/a80jua5M3MXmeP+KdoV6aCKPO3E0yAyieZ8rH5J2z2yDEv71UTlAA=="
#define SIGNATURE                                                                                  \
    "untrusted comment: signature from etcdseal\n" FIRST "\ntrusted comment: " COMMENT "\n" SECOND \
    "\n"

static struct kerrinfo e;
static uint8_t hash[HASH_BLAKE2B_BYTES];
static struct minisign_public public;

static int start(void **state)
{
    struct hash_blake2b h;
    (void)state;
    assert_ok(&e, secret_start(SECRET_LOCK_BEST_EFFORT, &e));
    hash_blake2b_begin(&h);
    hash_blake2b_add(&h, bytes_of_text("hello\n"));
    hash_blake2b_end(&h, hash);
    assert_ok(&e, minisign_parse_public(bytes_of_text(PUBLIC), "pub", &public, &e));
    return 0;
}

static void test_keys(void **state)
{
    (void)state;
    AUTO_MINISIGN_SECRET secret = {.seed = NULL};
    char id[MINISIGN_ID_TEXT];
    assert_ok(&e, minisign_parse_secret(bytes_of_text(SECRET), "sec", &secret, &e));
    assert_memory_equal(&secret.is, &public, sizeof public);
    minisign_id_text(&public, id);
    assert_string_equal(id, "7AC3FC626D1ABF4A");
}

static void test_signs_as_minisign(void **state)
{
    (void)state;
    AUTO_MINISIGN_SECRET secret = {.seed = NULL};
    AUTO_BUF out;
    const char *text = NULL;
    buf_init(&out, MINISIGN_FILE_MAX);
    assert_ok(&e, minisign_parse_secret(bytes_of_text(SECRET), "sec", &secret, &e));
    assert_ok(&e, minisign_sign(&secret, hash, COMMENT, &out, &e));
    assert_ok(&e, buf_text(&out, &text, &e));
    assert_string_equal(text, SIGNATURE);
    assert_refused(&e, KERR_BUG, "control", minisign_sign(&secret, hash, "a\nb", &out, &e));
    char *comment = calloc(1, MINISIGN_COMMENT_MAX + 2);
    assert_non_null(comment);
    memset(comment, 'c', MINISIGN_COMMENT_MAX + 1);
    assert_refused(&e, KERR_LIMIT, "at most", minisign_sign(&secret, hash, comment, &out, &e));
    comment[MINISIGN_COMMENT_MAX] = 0;
    out.len = 0;
    assert_ok(&e, minisign_sign(&secret, hash, comment, &out, &e));
    AUTO_TEXT got = NULL;
    assert_ok(&e, minisign_verify(&public, buf_view(&out), "sig", hash, &got, &e));
    assert_string_equal(got, comment);
    free(comment);
}

static void test_verifies(void **state)
{
    (void)state;
    static const char *const forms[] = {
        SIGNATURE,
        HEAD FIRST "\ntrusted comment: " COMMENT "\n" SECOND, /* no end of the last line */
        HEAD FIRST "\r\ntrusted comment: " COMMENT "\r\n" SECOND "\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        AUTO_TEXT comment = NULL;
        assert_ok(&e, minisign_verify(&public, bytes_of_text(forms[i]), "sig", hash, &comment, &e));
        assert_string_equal(comment, COMMENT);
    }
}

static void check_refused(struct bytes text, enum kerr code, const char *words)
{
    AUTO_TEXT comment = NULL;
    assert_refused(&e, code, words, minisign_verify(&public, text, "sig", hash, &comment, &e));
    assert_null(comment);
}

static void test_forged(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kerr code;
        const char *words;
    } rows[] = {
        {"", KERR_FORMAT, "four lines"},
        {HEAD, KERR_FORMAT, "sig"},
        {HEAD FIRST "\n", KERR_FORMAT, "sig"},
        {HEAD FIRST "\ntrusted comment: " COMMENT "\n", KERR_FORMAT, "sig"},
        {HEAD FIRST "\ncomment: " COMMENT "\n" SECOND "\n", KERR_FORMAT, "sig"},
        {HEAD FIRST "\ntrusted comment: another\n" SECOND "\n", KERR_INTEGRITY, "comment"},
        {HEAD "RURLvxptYvzDenq9ojCh9xfa1KefZ9JpRSw2xjoF52ZiD2h4RHAz/"
              "LKaptIYsGCx4FxorkeFsPpTimG/85z0wyQM5vMcbP5Nrgs=\ntrusted comment: " COMMENT
              "\n" SECOND "\n",
         KERR_INTEGRITY, "of key 7AC3FC626D1ABF4B, not of 7AC3FC626D1ABF4A"},
        /* over the file itself, minisign's old form */
        {HEAD "RWRKvxptYvzDenq9ojCh9xfa1KefZ9JpRSw2xjoF52ZiD2h4RHAz/"
              "LKaptIYsGCx4FxorkeFsPpTimG/85z0wyQM5vMcbP5Nrgs=\ntrusted comment: " COMMENT
              "\n" SECOND "\n",
         KERR_FORMAT, "over a hash"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_refused(bytes_of_text(rows[i].text), rows[i].code, rows[i].words);
    }
    hash[7] ^= 1;
    check_refused(bytes_of_text(SIGNATURE), KERR_INTEGRITY, "the file was changed");
    hash[7] ^= 1;
}

/* No bit of what counts can be changed, and no part left out. */
static void test_every_byte(void **state)
{
    (void)state;
    static const char good[] = SIGNATURE;
    size_t head = strcspn(good, "\n");
    for (size_t i = head; i < sizeof good - 2; i++) {
        char text[sizeof good];
        AUTO_TEXT comment = NULL;
        memcpy(text, good, sizeof good);
        text[i] = (char)(text[i] ^ 1);
        struct kerrinfo why = {0};
        assert_int_not_equal(
            minisign_verify(&public, bytes_of(text, sizeof text - 1), "sig", hash, &comment, &why),
            KERR_OK);
        check_refused(bytes_of(good, i), i + 2 < sizeof good ? KERR_FORMAT : KERR_OK, "sig");
    }
}

static void test_no_keys(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        HEAD,
        HEAD "RWRK\n",
        HEAD "????\n",
        SIGNATURE,
        "RWRKvxptYvzDesyJLaLw/SUFcJFZo8650MPOrPt1fbHLXWsF5Vkzn7Lq\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct minisign_public p;
        AUTO_MINISIGN_SECRET s = {.seed = NULL};
        struct bytes text = bytes_of_text(texts[i]);
        assert_refused(&e, KERR_INPUT, "name is no public key",
                       minisign_parse_public(text, "name", &p, &e));
        assert_refused(&e, KERR_INPUT, "name is no secret key",
                       minisign_parse_secret(text, "name", &s, &e));
    }
    struct minisign_public p;
    AUTO_MINISIGN_SECRET s = {.seed = NULL};
    assert_refused(&e, KERR_INPUT, "no public",
                   minisign_parse_public(bytes_of_text(SECRET), "name", &p, &e));
    assert_refused(&e, KERR_INPUT, "no secret",
                   minisign_parse_secret(bytes_of_text(PUBLIC), "name", &s, &e));
    assert_refused(&e, KERR_UNSUP, "minisign -G -W",
                   minisign_parse_secret(bytes_of_text(WITH_PASSWORD), "name", &s, &e));
}

/* A byte of the public half: what it would sign could not be verified. */
static void test_damaged_key(void **state)
{
    (void)state;
    AUTO_MINISIGN_SECRET s = {.seed = NULL};
    char text[] = SECRET;
    char *half = strstr(text, "cyJLaLw");
    assert_non_null(half);
    half[2] = half[2] == 'K' ? 'L' : 'K';
    assert_refused(&e, KERR_INPUT, "damaged",
                   minisign_parse_secret(bytes_of_text(text), "sec", &s, &e));
}

static void test_files(void **state)
{
    (void)state;
    char *folder = test_folder_new();
    char *secret = test_path(folder, "sec");
    char *open_one = test_path(folder, "pub");
    struct minisign_public p;
    test_write_file(folder, "sec", bytes_of_text(SECRET));
    test_write_file(folder, "pub", bytes_of_text(PUBLIC));
    {
        AUTO_MINISIGN_SECRET s = {.seed = NULL};
        assert_int_equal(chmod(secret, 0600), 0);
        assert_ok(&e, minisign_read_secret(secret, &s, &e));
        assert_ok(&e, minisign_read_public(open_one, &p, &e));
        assert_memory_equal(&p, &s.is, sizeof p);
    }
    AUTO_MINISIGN_SECRET s = {.seed = NULL};
    assert_int_equal(chmod(secret, 0640), 0);
    assert_refused(&e, KERR_DENIED, "chmod", minisign_read_secret(secret, &s, &e));
    assert_refused(&e, KERR_NOTFOUND, "none", minisign_read_public("/none", &p, &e));
    free(secret);
    free(open_one);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),        cmocka_unit_test(test_signs_as_minisign),
        cmocka_unit_test(test_verifies),    cmocka_unit_test(test_forged),
        cmocka_unit_test(test_every_byte),  cmocka_unit_test(test_no_keys),
        cmocka_unit_test(test_damaged_key), cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
