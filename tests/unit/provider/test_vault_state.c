/* SPDX-License-Identifier: Apache-2.0 */
/* The file vault.state: what is written is read back, anything else is refused, and a mark never
 * goes back. */
#include "provider/vault_state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "crypto/hash.h"
#include "tests/lib/testlib.h"

#define DAY_S 86400

static struct kerrinfo e;
static char *folder;
static char *path;
static char cluster_id[] = "test-1";
static char mount[] = "transit";
static char key[] = "kube";
static struct config_vault config;

/* The raw part is `fill` throughout. */
static struct vault_state state_of(uint32_t number, uint8_t fill)
{
    struct vault_state s = {.mark = {.epoch = 2, .number = number, .created_at_s = 1000 + number},
                            .made_at_s = 5000,
                            .uses = 1ULL << 40};
    uint8_t raw[VAULT_WIRE_RAW_MIN];
    memset(raw, fill, sizeof raw);
    const struct vault_wire_kek kek = {
        .suite = 1, .epoch = 2, .version = number, .kek_id = {fill}, .raw = BYTES_OF(raw)};
    assert_ok(&e, vault_wire_put_annotation(&kek, s.annotation, &s.annotation_len, &e));
    return s;
}

static void assert_same(const struct vault_state *a, const struct vault_state *b)
{
    assert_int_equal(a->mark.epoch, b->mark.epoch);
    assert_int_equal(a->mark.number, b->mark.number);
    assert_int_equal(a->mark.created_at_s, b->mark.created_at_s);
    assert_int_equal(a->annotation_len, b->annotation_len);
    assert_memory_equal(a->annotation, b->annotation, a->annotation_len);
    assert_int_equal(a->made_at_s, b->made_at_s);
    assert_int_equal(a->uses, b->uses);
}

static void assert_is_empty(const struct vault_state *s)
{
    const struct vault_state none = {.uses = 0};
    assert_same(s, &none);
}

static int start(void **state)
{
    (void)state;
    folder = test_folder_new();
    path = test_path(folder, "vault-keks");
    config = (struct config_vault){
        .cluster_id = cluster_id, .mount = mount, .key = key, .state_path = path};
    return 0;
}

static int stop(void **state)
{
    (void)state;
    free(path);
    test_folder_remove(folder);
    return 0;
}

static struct buf printed(const struct vault_state *s)
{
    struct buf out = {0};
    assert_ok(&e, vault_state_print(&config, s, &out, &e));
    return out;
}

/* What comes out beside a refusal is nothing. */
static enum kerr parse(struct bytes file, struct kerrinfo *why)
{
    struct vault_state got = {.uses = 0};
    enum kerr k = vault_state_parse(&config, file, &got, why);
    if (k != KERR_OK) {
        assert_is_empty(&got);
    }
    return k;
}

static enum kerr write_it(const struct vault_state *s, struct kerrinfo *why)
{
    return vault_state_write(&config, s, why);
}

static enum kerr read_it(struct kerrinfo *why)
{
    struct vault_state got = {.uses = 0};
    enum kerr k = vault_state_read(&config, &got, why);
    if (k != KERR_OK) {
        assert_is_empty(&got);
    }
    return k;
}

static void assert_kept(const char *name, const struct vault_state *want)
{
    struct vault_state got = {.uses = 0};
    AUTO_BUF file = test_read_file(folder, name);
    assert_ok(&e, vault_state_parse(&config, buf_view(&file), &got, &e));
    assert_same(&got, want);
}

/* ---- the bytes ---- */

static void what_is_printed_is_parsed(void **state)
{
    (void)state;
    struct vault_state states[4] = {state_of(1, 1), state_of(UINT32_MAX, 2), state_of(7, 3),
                                    state_of(8, 4)};
    states[1].mark = (struct vault_wire_version){255, UINT32_MAX, UINT64_MAX};
    states[1].made_at_s = UINT64_MAX;
    states[1].uses = UINT64_MAX;
    states[2].annotation_len = 0; /* mode direct */
    states[3].mark.epoch = 0;
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct vault_state got;
        AUTO_BUF file = printed(&states[i]);
        assert_ok(&e, vault_state_parse(&config, buf_view(&file), &got, &e));
        assert_same(&got, &states[i]);
        AUTO_BUF again = printed(&got);
        assert_true(bytes_equal(buf_view(&again), buf_view(&file)));
    }
}

/* The longest names and the longest annotation have room. */
static void the_largest_state_has_room(void **state)
{
    (void)state;
    char cluster[65];
    char name[CONFIG_VAULT_NAME_MAX + 1];
    uint8_t raw[VAULT_WIRE_RAW_MAX] = {0};
    memset(cluster, 'c', sizeof cluster - 1);
    memset(name, 'n', sizeof name - 1);
    cluster[sizeof cluster - 1] = 0;
    name[sizeof name - 1] = 0;
    config.cluster_id = cluster;
    config.mount = name;
    config.key = name;
    struct vault_state s = state_of(1, 1);
    const struct vault_wire_kek kek = {.version = 1, .raw = BYTES_OF(raw)};
    assert_ok(&e, vault_wire_put_annotation(&kek, s.annotation, &s.annotation_len, &e));
    assert_ok(&e, write_it(&s, &e));
    assert_ok(&e, read_it(&e));
}

static void each_damaged_byte_is_refused(void **state)
{
    (void)state;
    const struct vault_state s = state_of(3, 1);
    AUTO_BUF file = printed(&s);
    for (size_t at = 0; at < file.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            file.ptr[at] ^= (uint8_t)(1U << bit);
            assert_refused(&e, KERR_FORMAT, "damaged (its checksum is wrong): restore it",
                           parse(buf_view(&file), &e));
            file.ptr[at] ^= (uint8_t)(1U << bit);
        }
    }
    assert_ok(&e, parse(buf_view(&file), &e));
}

static void each_cut_and_anything_behind_is_refused(void **state)
{
    (void)state;
    const struct vault_state s = state_of(3, 1);
    AUTO_BUF file = printed(&s);
    for (size_t len = 0; len < file.len; len++) {
        assert_refused(&e, KERR_FORMAT, "damaged", parse(bytes_of(file.ptr, len), &e));
    }
    uint8_t longer[1024] = {0};
    memcpy(longer, file.ptr, file.len);
    assert_refused(&e, KERR_FORMAT, "damaged", parse(bytes_of(longer, file.len + 1), &e));
}

/* A file with a right checksum over other content, `len` bytes of it. */
static enum kerr parse_signed(uint8_t *data, size_t len, struct kerrinfo *why)
{
    uint8_t hash[HASH_BYTES];
    hash_sha256(bytes_of(data, len), hash);
    memcpy(data + len, hash, sizeof hash);
    return parse(bytes_of(data, len + sizeof hash), why);
}

/* A checksum is no proof: whoever can write the file can make one. */
static void a_right_checksum_is_not_enough(void **state)
{
    (void)state;
    const struct vault_state s = state_of(3, 1);
    AUTO_BUF file = printed(&s);
    uint8_t data[1024];
    size_t len = file.len - HASH_BYTES;
    size_t annotation_at = len - 16 - s.annotation_len;
    for (size_t cut = 0; cut < len; cut++) {
        memcpy(data, file.ptr, file.len);
        assert_refused(&e, KERR_FORMAT, "damaged", parse_signed(data, cut, &e));
    }
    memcpy(data, file.ptr, file.len);
    data[len] = 0;
    assert_refused(&e, KERR_FORMAT, "its content is not what is written there",
                   parse_signed(data, len + 1, &e));
    data[annotation_at] = 2; /* an annotation of a format that nobody writes */
    assert_refused(&e, KERR_FORMAT, "its content is not what is written there",
                   parse_signed(data, len, &e));
    memcpy(data, file.ptr, file.len);
    data[0] = 'X';
    assert_refused(&e, KERR_FORMAT, "it does not begin as it should", parse_signed(data, len, &e));
    memcpy(data, file.ptr, file.len);
    assert_ok(&e, parse_signed(data, len, &e));
    memset(data + annotation_at - 2 - 12, 0, 4); /* version 0: nothing was ever used */
    assert_refused(&e, KERR_FORMAT, "its content is not what is written there",
                   parse_signed(data, len, &e));
}

static void another_format_is_not_taken_for_damage(void **state)
{
    (void)state;
    const struct vault_state s = state_of(3, 1);
    AUTO_BUF file = printed(&s);
    for (unsigned format = 0; format < 256; format++) {
        uint8_t data[1024];
        memcpy(data, file.ptr, file.len);
        data[4] = (uint8_t)format;
        kerr_clear(&e);
        enum kerr k = parse_signed(data, file.len - HASH_BYTES, &e);
        assert_int_equal(k, format == 1 ? KERR_OK : KERR_UNSUP);
    }
    assert_non_null(strstr(e.text, "format 255 is not known to this version"));
}

static void anothers_state_is_refused_with_the_cure(void **state)
{
    (void)state;
    static char other[] = "transi"; /* the beginning of ours is not ours */
    const struct {
        char **name;
        const char *words;
    } rows[] = {
        {&config.cluster_id, "vault.cluster_id \"test-1\", the configuration says \"transi\""},
        {&config.mount, "vault.mount \"transit\", the configuration says \"transi\""},
        {&config.key, "vault.key \"kube\", the configuration says \"transi\""},
    };
    const struct vault_state s = state_of(3, 1);
    assert_ok(&e, write_it(&s, &e));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *ours = *rows[i].name;
        *rows[i].name = other;
        assert_refused(&e, KERR_CONFIG, rows[i].words, read_it(&e));
        assert_non_null(strstr(e.text, path));
        assert_non_null(strstr(e.text, "remove the file"));
        assert_refused(&e, KERR_CONFIG, rows[i].words, write_it(&s, &e));
        *rows[i].name = ours;
    }
    assert_kept("vault-keks", &s);
}

/* Whoever made the file chose the name: it is shown escaped, and not without end. */
static void a_hostile_name_is_shown_escaped(void **state)
{
    (void)state;
    char hostile[200];
    memset(hostile, '\n', sizeof hostile - 1);
    hostile[sizeof hostile - 1] = 0;
    config.key = hostile;
    const struct vault_state s = state_of(3, 1);
    AUTO_BUF file = printed(&s);
    config.key = key;
    assert_refused(&e, KERR_CONFIG, "the configuration says \"kube\"", parse(buf_view(&file), &e));
    assert_non_null(strstr(e.text, "vault.key \"\\x0a\\x0a"));
    assert_non_null(strstr(e.text, "\\x0a...\""));
}

/* ---- the file ---- */

static void an_absent_file_is_an_empty_state(void **state)
{
    (void)state;
    struct vault_state got;
    memset(&got, 0xff, sizeof got);
    assert_ok(&e, vault_state_read(&config, &got, &e));
    assert_is_empty(&got);
}

static void a_missing_folder_is_named_with_the_cure(void **state)
{
    (void)state;
    char *missing = test_path(folder, "nowhere/vault-keks");
    const struct vault_state s = state_of(3, 1);
    config.state_path = missing;
    assert_refused(&e, KERR_NOTFOUND, "mkdir -m 0700 ", read_it(&e));
    assert_refused(&e, KERR_NOTFOUND, "mkdir -m 0700 ", write_it(&s, &e));
    assert_non_null(strstr(e.text, "nowhere, or set vault.state"));
    free(missing);
}

static void the_file_and_its_folder_are_private(void **state)
{
    (void)state;
    struct stat facts;
    const struct vault_state s = state_of(3, 1);
    const struct vault_state next = state_of(4, 1);
    assert_ok(&e, write_it(&s, &e));
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    assert_int_equal(chmod(path, 0640), 0);
    assert_refused(&e, KERR_DENIED, "chmod 0600", read_it(&e));
    assert_refused(&e, KERR_DENIED, "chmod 0600", write_it(&next, &e));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(chmod(folder, 0750), 0);
    assert_refused(&e, KERR_DENIED, "chmod 0700", read_it(&e));
    assert_refused(&e, KERR_DENIED, "chmod 0700", write_it(&next, &e));
    assert_int_equal(chmod(folder, 0700), 0);
    assert_kept("vault-keks", &s);
}

static void a_link_or_a_folder_is_no_state(void **state)
{
    (void)state;
    const struct vault_state s = state_of(3, 1);
    char *real = test_path(folder, "real");
    AUTO_BUF file = printed(&s);
    test_write_file(folder, "real", buf_view(&file));
    assert_int_equal(chmod(real, 0600), 0);
    assert_int_equal(symlink(real, path), 0);
    assert_refused(&e, KERR_DENIED, "vault-keks", read_it(&e));
    assert_refused(&e, KERR_DENIED, "vault-keks", write_it(&s, &e));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(&e, KERR_INPUT, "vault-keks", read_it(&e));
    free(real);
}

static void a_file_beyond_the_limit_is_not_read(void **state)
{
    (void)state;
    static const uint8_t large[VAULT_STATE_FILE_MAX + 1];
    test_write_file(folder, "vault-keks", BYTES_OF(large));
    assert_int_equal(chmod(path, 0600), 0);
    assert_refused(&e, KERR_LIMIT, "vault-keks", read_it(&e));
}

/* Not even by a newer state: what it said is not known any more. */
static void a_damaged_file_is_not_written_over(void **state)
{
    (void)state;
    const struct vault_state s = state_of(3, 1);
    const struct vault_state next = state_of(4, 1);
    assert_ok(&e, write_it(&s, &e));
    AUTO_BUF file = test_read_file(folder, "vault-keks");
    file.ptr[20] ^= 1;
    test_write_file(folder, "vault-keks", buf_view(&file));
    assert_refused(&e, KERR_FORMAT, path, read_it(&e));
    assert_refused(&e, KERR_FORMAT, "its checksum is wrong", write_it(&next, &e));
    AUTO_BUF after = test_read_file(folder, "vault-keks");
    assert_true(bytes_equal(buf_view(&after), buf_view(&file)));
}

static void the_one_before_is_kept(void **state)
{
    (void)state;
    char *prev = test_path(folder, "vault-keks.prev");
    const struct vault_state states[3] = {state_of(3, 1), state_of(3, 2), state_of(4, 1)};
    assert_ok(&e, write_it(&states[0], &e));
    assert_int_not_equal(access(prev, F_OK), 0);
    for (size_t i = 1; i < ARRAY_LEN(states); i++) {
        assert_ok(&e, write_it(&states[i], &e));
        assert_kept("vault-keks", &states[i]);
        assert_kept("vault-keks.prev", &states[i - 1]);
    }
    assert_int_equal(unlink(path), 0); /* nothing opens it by itself */
    struct vault_state got;
    assert_ok(&e, vault_state_read(&config, &got, &e));
    assert_is_empty(&got);
    free(prev);
}

static void a_mark_never_goes_back(void **state)
{
    (void)state;
    const struct vault_state first = state_of(2, 1);
    const struct vault_state there = state_of(3, 2);
    struct vault_state lower[3] = {state_of(2, 3), state_of(9, 3), state_of(3, 3)};
    lower[1].mark.epoch = 1; /* an epoch counts before a version */
    lower[2].mark.epoch = 0;
    assert_ok(&e, write_it(&first, &e));
    assert_ok(&e, write_it(&there, &e));
    for (size_t i = 0; i < ARRAY_LEN(lower); i++) {
        assert_refused(&e, KERR_UNTRUSTED, "two daemons must not share it",
                       write_it(&lower[i], &e));
        assert_non_null(strstr(e.text, path));
        assert_kept("vault-keks", &there);
        assert_kept("vault-keks.prev", &first);
    }
    struct vault_state above = state_of(1, 4);
    above.mark.epoch = 3;
    assert_ok(&e, write_it(&there, &e)); /* the same one: a new KEK, or uses */
    assert_ok(&e, write_it(&above, &e));
    assert_kept("vault-keks", &above);
}

static void an_empty_state_is_never_written(void **state)
{
    (void)state;
    const struct vault_state none = {.uses = 0};
    assert_refused(&e, KERR_FORMAT, "its content", write_it(&none, &e));
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_held_lock_is_waited_for_and_then_told(void **state)
{
    (void)state;
    AUTO_DIR dir = FILE_DIR_NONE;
    AUTO_FD lock = -1;
    const struct vault_state s = state_of(3, 1);
    const struct vault_state next = state_of(4, 1);
    assert_ok(&e, write_it(&s, &e));
    assert_ok(&e, file_dir_open(folder, &dir, &e));
    assert_ok(&e, file_lock(&dir, "vault-keks.lock", 0, &lock, &e));
    assert_refused(&e, KERR_BUSY, "vault-keks.lock", write_it(&next, &e));
    assert_ok(&e, read_it(&e)); /* which needs none */
    assert_kept("vault-keks", &s);
    file_close_at(&lock);
    assert_ok(&e, write_it(&next, &e));
}

/* ---- when a KEK is worn ---- */

static void a_kek_is_worn_by_age_or_by_use(void **state)
{
    (void)state;
    static const struct {
        uint64_t now_s;
        uint64_t uses;
        bool is_worn;
    } rows[] = {
        {10 * DAY_S, 0, false},
        {13 * DAY_S - 1, 99, false},
        {13 * DAY_S, 0, true},
        {13 * DAY_S, 100, true},
        {10 * DAY_S, 100, true},
        {10 * DAY_S, UINT64_MAX, true},
        {10 * DAY_S - 1, 99, false}, /* the clock was put back: it is as old as nothing */
        {0, 99, false},
        {0, 100, true},
        {UINT64_MAX, 0, true},
    };
    config.kek_max_age_ms = 3 * DAY_S * 1000U;
    config.kek_max_uses = 100;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct vault_state s = {.made_at_s = 10 * DAY_S, .uses = rows[i].uses};
        assert_int_equal(vault_state_is_worn(&config, &s, rows[i].now_s), rows[i].is_worn);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_is_printed_is_parsed),
        TEST(the_largest_state_has_room),
        TEST(each_damaged_byte_is_refused),
        TEST(each_cut_and_anything_behind_is_refused),
        TEST(a_right_checksum_is_not_enough),
        TEST(another_format_is_not_taken_for_damage),
        TEST(anothers_state_is_refused_with_the_cure),
        TEST(a_hostile_name_is_shown_escaped),
        TEST(an_absent_file_is_an_empty_state),
        TEST(a_missing_folder_is_named_with_the_cure),
        TEST(the_file_and_its_folder_are_private),
        TEST(a_link_or_a_folder_is_no_state),
        TEST(a_file_beyond_the_limit_is_not_read),
        TEST(a_damaged_file_is_not_written_over),
        TEST(the_one_before_is_kept),
        TEST(a_mark_never_goes_back),
        TEST(an_empty_state_is_never_written),
        TEST(a_held_lock_is_waited_for_and_then_told),
        TEST(a_kek_is_worn_by_age_or_by_use),
    };
    return cmocka_run_group_tests_name("provider.vault_state", tests, NULL, NULL);
}
