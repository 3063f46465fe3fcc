/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/seal/parts.h"

static struct parts p;

static int start(void **state)
{
    (void)state;
    parts_start(&p);
    return 0;
}

static int end(void **state)
{
    (void)state;
    parts_end(&p);
    return 0;
}

static struct stat stat_of(const char *name)
{
    char *path = test_path(p.folder, name);
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    free(path);
    return st;
}

/* Neither made into a seal nor opened with. */
static void assert_unusable(const char *spec_text, enum kerr code, const char *words)
{
    struct kerrinfo e = {0};
    AUTO_SPEC good = parts_spec(&p, "file:%s/good.key");
    AUTO_SPEC bad = parts_spec(&p, spec_text);
    struct seal_record record = parts_wrap(&p, &good);
    struct seal_record untouched = {.kind = 77};
    assert_refused(&e, code, words,
                   seal_wrap(&bad, &p.env, BYTES_OF(p.binding), p.secret, &untouched, &e));
    assert_int_equal(untouched.kind, 77);
    assert_refused(&e, code, words, parts_try(&p, &bad, &record, &e));
}

static void a_missing_key_is_made_and_then_used(void **state)
{
    (void)state;
    AUTO_SPEC spec = parts_spec(&p, "file:%s/new.key");
    struct seal_record record = parts_wrap(&p, &spec);
    struct stat st = stat_of("new.key");
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(st.st_size, SEAL_KEY_FILE_MIN);
    AUTO_BUF first = test_read_file(p.folder, "new.key");
    AUTO_SPEC other = parts_spec(&p, "file:%s/newer.key");
    (void)parts_wrap(&p, &other);
    AUTO_BUF second = test_read_file(p.folder, "newer.key");
    assert_memory_not_equal(first.ptr, second.ptr, SEAL_KEY_FILE_MIN);
    parts_assert_opens(&p, &spec, &record);
}

static void an_existing_key_is_used_as_it_is(void **state)
{
    (void)state;
    parts_file(&p, "old.key", 100, 0400);
    AUTO_SPEC spec = parts_spec(&p, "file:%s/old.key");
    struct seal_record record = parts_wrap(&p, &spec);
    parts_assert_opens(&p, &spec, &record);
    AUTO_BUF after = test_read_file(p.folder, "old.key");
    assert_int_equal(after.len, 100);
    for (size_t i = 0; i < after.len; i++) {
        assert_int_equal(after.ptr[i], 'k');
    }
}

static void a_new_key_belongs_to_the_keystores_owner(void **state)
{
    (void)state;
    test_needs_root(); /* only root can give a file away */
    struct seal_env env = p.env;
    env.owner = 4711;
    env.group = 4712;
    struct kerrinfo e = {0};
    struct seal_record record;
    AUTO_SPEC spec = parts_spec(&p, "file:%s/given.key");
    assert_ok(&e, seal_wrap(&spec, &env, BYTES_OF(p.binding), p.secret, &record, &e));
    struct stat st = stat_of("given.key");
    assert_int_equal(st.st_uid, 4711);
    assert_int_equal(st.st_gid, 4712);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
}

static void a_short_key_is_refused(void **state)
{
    (void)state;
    parts_file(&p, "short.key", SEAL_KEY_FILE_MIN - 1, 0600);
    assert_unusable("file:%s/short.key", KERR_INPUT, "holds 31 bytes, expected at least 32");
    parts_file(&p, "empty.key", 0, 0600);
    assert_unusable("file:%s/empty.key", KERR_INPUT, "is empty");
    parts_file(&p, "enough.key", SEAL_KEY_FILE_MIN, 0600);
    AUTO_SPEC spec = parts_spec(&p, "file:%s/enough.key");
    (void)parts_wrap(&p, &spec);
}

static void a_large_file_is_no_key(void **state)
{
    (void)state;
    parts_file(&p, "large.key", SEAL_KEY_FILE_MAX + 1, 0600);
    assert_unusable("file:%s/large.key", KERR_LIMIT, "is larger than 65536 bytes");
    parts_file(&p, "largest.key", SEAL_KEY_FILE_MAX, 0600);
    AUTO_SPEC spec = parts_spec(&p, "file:%s/largest.key");
    (void)parts_wrap(&p, &spec);
}

static void a_key_that_others_can_read_is_refused_with_the_cure(void **state)
{
    (void)state;
    static const unsigned modes[] = {0644, 0640, 0604, 0620, 0602, 0610, 0601};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        parts_file(&p, "open.key", 32, modes[i]);
        assert_unusable("file:%s/open.key", KERR_DENIED, "chmod 0600");
    }
}

static void a_key_of_another_user_is_refused(void **state)
{
    (void)state;
    test_needs_root(); /* only root can give a file away */
    parts_file(&p, "theirs.key", 32, 0600);
    char *path = test_path(p.folder, "theirs.key");
    assert_int_equal(chown(path, 4711, 4711), 0);
    assert_unusable("file:%s/theirs.key", KERR_DENIED, "belongs to uid 4711");
    p.env.owner = 4711;
    AUTO_SPEC spec = parts_spec(&p, "file:%s/theirs.key");
    struct seal_record record = parts_wrap(&p, &spec);
    parts_assert_opens(&p, &spec, &record);
    p.env.owner = geteuid();
    free(path);
}

static void a_link_is_not_followed(void **state)
{
    (void)state;
    parts_file(&p, "target.key", 32, 0600);
    char *target = test_path(p.folder, "target.key");
    char *link_path = test_path(p.folder, "link.key");
    char *dangling = test_path(p.folder, "dangling.key");
    assert_int_equal(symlink(target, link_path), 0);
    assert_int_equal(symlink("/nonexistent/key", dangling), 0);
    assert_unusable("file:%s/link.key", KERR_DENIED, "symbolic link");
    assert_unusable("file:%s/dangling.key", KERR_DENIED, "symbolic link");
    free(target);
    free(link_path);
    free(dangling);
}

static void only_a_regular_file_is_a_key(void **state)
{
    (void)state;
    char *fifo = test_path(p.folder, "fifo.key");
    char *folder = test_path(p.folder, "folder.key");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    /* A FIFO that nobody writes to must not hang either. */
    assert_unusable("file:%s/fifo.key", KERR_INPUT, "is not a regular file");
    assert_unusable("file:%s/folder.key", KERR_INPUT, "is not a regular file");
    assert_unusable("file:/dev/zero", KERR_INPUT, "is not a regular file");
    free(fifo);
    free(folder);
}

static void a_missing_key_opens_nothing_and_is_not_made(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_SPEC spec = parts_spec(&p, "file:%s/gone.key");
    struct seal_record record = parts_wrap(&p, &spec);
    char *path = test_path(p.folder, "gone.key");
    assert_int_equal(unlink(path), 0);
    assert_refused(&e, KERR_NOTFOUND, "gone.key", parts_try(&p, &spec, &record, &e));
    assert_int_equal(access(path, F_OK), -1);
    free(path);
}

static void a_key_in_a_missing_folder_is_not_made(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    struct seal_record untouched = {.kind = 77};
    AUTO_SPEC spec = parts_spec(&p, "file:%s/no/such/folder/x.key");
    assert_refused(&e, KERR_NOTFOUND, "no/such/folder",
                   seal_wrap(&spec, &p.env, BYTES_OF(p.binding), p.secret, &untouched, &e));
    assert_int_equal(untouched.kind, 77);
}

static void a_relative_path_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"file:", "file:x.key", "file:./x.key", "file:~/x.key",
                                      "file://x.key"};
    struct kerrinfo e = {0};
    struct seal_spec s = {0};
    for (size_t i = 0; i + 1 < ARRAY_LEN(bad); i++) {
        assert_refused(&e, KERR_INPUT, "expected an absolute path",
                       seal_spec_parse(bad[i], &s, &e));
    }
    /* Two slashes are one to the kernel. */
    AUTO_SPEC absolute = {0};
    assert_ok(&e, seal_spec_parse(bad[ARRAY_LEN(bad) - 1], &absolute, &e));
}

static void a_refusal_names_the_file_and_not_its_content(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    parts_text_file(&p, "a.key", "content-of-a-content-of-a-content-of-a");
    parts_text_file(&p, "b.key", "content-of-b-content-of-b-content-of-b");
    AUTO_SPEC a = parts_spec(&p, "file:%s/a.key");
    AUTO_SPEC b = parts_spec(&p, "file:%s/b.key");
    struct seal_record record = parts_wrap(&p, &a);
    assert_refused(&e, KERR_INTEGRITY, "b.key", parts_try(&p, &b, &record, &e));
    assert_null(strstr(e.text, "content-of"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_key_is_made_and_then_used),
        cmocka_unit_test(an_existing_key_is_used_as_it_is),
        cmocka_unit_test(a_new_key_belongs_to_the_keystores_owner),
        cmocka_unit_test(a_short_key_is_refused),
        cmocka_unit_test(a_large_file_is_no_key),
        cmocka_unit_test(a_key_that_others_can_read_is_refused_with_the_cure),
        cmocka_unit_test(a_key_of_another_user_is_refused),
        cmocka_unit_test(a_link_is_not_followed),
        cmocka_unit_test(only_a_regular_file_is_a_key),
        cmocka_unit_test(a_missing_key_opens_nothing_and_is_not_made),
        cmocka_unit_test(a_key_in_a_missing_folder_is_not_made),
        cmocka_unit_test(a_relative_path_is_refused),
        cmocka_unit_test(a_refusal_names_the_file_and_not_its_content),
    };
    return cmocka_run_group_tests_name("seal.seal_file", tests, start, end);
}
