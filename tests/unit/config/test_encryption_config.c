/* SPDX-License-Identifier: Apache-2.0 */
/* config/encryption_config.h: structs with places, refusals, and that no secret stays behind. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "config/encryption_config.h"
#include "tests/lib/testlib.h"

#define HEAD "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"

static const char everything[] =
    HEAD "resources:\n"                                                         /* line 3 */
         "  - resources: [secrets, '*.apps']\n"                                 /* 4 */
         "    providers:\n"                                                     /* 5 */
         "      - kms:\n"                                                       /* 6 */
         "          apiVersion: v2\n"                                           /* 7 */
         "          name: etcdseal\n"                                           /* 8 */
         "          endpoint: unix:///run/k/kms.sock\n"                         /* 9 */
         "          timeout: 1m30s\n"                                           /* 10 */
         "      - kms: { name: old, endpoint: \"unix:///o\", cachesize: -5 }\n" /* 11 */
         "      - aescbc:\n"                                                    /* 12 */
         "          keys:\n"                                                    /* 13 */
         "            - name: key1\n"                                           /* 14 */
         "              secret: c2VjcmV0IGlzIHNlY3VyZQ==\n"                     /* 15 */
         "            - { secret: \"x\", name: key2 }\n"                        /* 16 */
         "      - aesgcm: { keys: [] }\n"                                       /* 17 */
         "      - secretbox: {}\n"                                              /* 18 */
         "      - identity: {}\n"                                               /* 19 */
         "  - resources:\n"                                                     /* 20 */
         "      - configmaps\n"                                                 /* 21 */
         "  - {}\n";                                                            /* 22 */

static struct encryption_config *parse_good(const char *text)
{
    struct kerrinfo e = {0};
    struct encryption_config *c = NULL;
    enum kerr k = encryption_config_parse(bytes_of_text(text), "F", &c, &e);
    if (k != KERR_OK) {
        fail_msg("%s\n%s: %s", text, kerr_name(k), e.text);
    }
    return c;
}

static void check_value(const struct encryption_value *v, const char *text, unsigned line,
                        unsigned column)
{
    assert_string_equal(v->text, text);
    assert_int_equal(v->line, line);
    assert_int_equal(v->column, column);
}

static void test_entries(void **state)
{
    (void)state;
    AUTO_ENCRYPTION_CONFIG c = parse_good(everything);
    assert_string_equal(c->file, "F");
    assert_int_equal(c->entry_count, 3);
    const struct encryption_entry *first = &c->entries[0];
    assert_int_equal(first->line, 4);
    assert_int_equal(first->column, 5);
    assert_int_equal(first->resource_count, 2);
    check_value(&first->resources[0], "secrets", 4, 17);
    check_value(&first->resources[1], "*.apps", 4, 26);
    assert_int_equal(first->provider_count, 6);
    const struct encryption_entry *second = &c->entries[1];
    assert_int_equal(second->line, 20);
    assert_int_equal(second->resource_count, 1);
    check_value(&second->resources[0], "configmaps", 21, 9);
    assert_int_equal(second->provider_count, 0);
    assert_int_equal(c->entries[2].resource_count, 0);
    assert_int_equal(c->entries[2].line, 22);
}

static void check_provider(const struct encryption_provider *p, enum encryption_kind kind,
                           unsigned line, size_t keys)
{
    assert_int_equal(p->kind, kind);
    assert_int_equal(p->line, line);
    assert_int_equal(p->column, 9);
    assert_int_equal(p->key_count, keys);
}

static void test_providers(void **state)
{
    (void)state;
    AUTO_ENCRYPTION_CONFIG c = parse_good(everything);
    const struct encryption_provider *p = c->entries[0].providers;
    check_provider(&p[0], ENCRYPTION_KMS, 6, 0);
    check_value(&p[0].api_version, "v2", 7, 23);
    check_value(&p[0].name, "etcdseal", 8, 17);
    check_value(&p[0].endpoint, "unix:///run/k/kms.sock", 9, 21);
    check_value(&p[0].timeout, "1m30s", 10, 20);
    assert_int_equal(p[0].timeout_ns, 90000000000);
    assert_null(p[0].cachesize.text);
    check_provider(&p[1], ENCRYPTION_KMS, 11, 0);
    check_value(&p[1].api_version, "v1", 0, 0);
    check_value(&p[1].cachesize, "-5", 11, 61);
    assert_int_equal(p[1].cachesize_value, -5);
    assert_null(p[1].timeout.text);
    assert_int_equal(p[1].timeout_ns, 3000000000);
    check_provider(&p[2], ENCRYPTION_AESCBC, 12, 2);
    check_value(&p[2].keys[0], "key1", 14, 21);
    check_value(&p[2].keys[1], "key2", 16, 36);
    check_provider(&p[3], ENCRYPTION_AESGCM, 17, 0);
    check_provider(&p[4], ENCRYPTION_SECRETBOX, 18, 0);
    check_provider(&p[5], ENCRYPTION_IDENTITY, 19, 0);
    assert_string_equal(encryption_kind_names[ENCRYPTION_SECRETBOX], "secretbox");
}

static void test_forms_that_kube_apiserver_reads(void **state)
{
    (void)state;
    AUTO_ENCRYPTION_CONFIG json =
        parse_good("{\n\t\"apiVersion\": \"apiserver.config.k8s.io/v1\",\n\t\"kind\": "
                   "\"EncryptionConfiguration\",\n\t\"resources\": [{\"resources\": [\"secrets\"], "
                   "\"providers\": [{\"identity\": {}}, {\"aesgcm\": {\"keys\": [{\"name\": \"a\", "
                   "\"secret\": \"xyz\"}]}}]}]\n}\n");
    assert_int_equal(json->entries[0].provider_count, 2);
    assert_string_equal(json->entries[0].providers[1].keys[0].text, "a");
    AUTO_ENCRYPTION_CONFIG old =
        parse_good("apiVersion: v1\nkind: EncryptionConfig\nresources: []\n");
    assert_int_equal(old->entry_count, 0);
    AUTO_ENCRYPTION_CONFIG large = parse_good(
        HEAD "resources: [{providers: [{kms: {cachesize: 2147483647, timeout: \"0\"}}]}]");
    assert_int_equal(large->entries[0].providers[0].cachesize_value, INT32_MAX);
    assert_int_equal(large->entries[0].providers[0].timeout_ns, 0);
}

struct bad {
    const char *text;
    const char *message; /* how it begins */
};

#define ENTRY(providers) HEAD "resources: [{providers: [" providers "]}]"

static const struct bad bads[] = {
    {"", "F:1:1: empty"},
    {"[]", "F:1:1: the file: expected keys and values (a mapping), found a list"},
    {"kind: EncryptionConfiguration\n", "F:1:1: apiVersion is missing; expected apiVersion: "
                                        "apiserver.config.k8s.io/v1 and kind: EncryptionConfig"},
    {"apiVersion: v1\nresources: []", "F:1:1: kind is missing"},
    {"apiVersion: v1\nkind: Secret\nresources: []", "F:2:7: not an EncryptionConfiguration: "
                                                    "expected apiVersion: "},
    {"apiVersion: v1\nkind: EncryptionConfiguration\nresources: []", "F:2:7: not an Encryption"},
    {"apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfig\nresources: []", "F:2:7: not"},
    {"apiVersion: apiserver.config.k8s.io/v2\nkind: EncryptionConfiguration\n", "F:1:13: not an"},
    {"apiVersion: 1\nkind: x\n", "F:1:13: apiVersion: expected text, found a number; put it in"},
    {"apiVersion: v1\nkind: [x]\n", "F:2:7: kind: expected text, found a list"},
    {HEAD, "F:1:1: resources is missing"},
    {HEAD "resources:\n", "F:3:1: resources: expected a list, found nothing"},
    {HEAD "resources: {}\n", "F:3:12: resources: expected a list, found a mapping"},
    {HEAD "resource: []\n", "F:3:1: unknown key (did you mean 'resources'?); expected one of: "
                            "apiVersion, kind, resources"},
    {HEAD "resources: [a]", "F:3:13: an entry of resources: expected keys and values (a mapping)"},
    {HEAD "resources: [{provider: []}]", "F:3:14: unknown key (did you mean 'providers'?); expec"},
    {HEAD "resources: [{resources: secrets}]", "F:3:25: resources: expected a list, found text"},
    {HEAD "resources: [{resources: [1]}]", "F:3:26: name of a resource: expected text, found a"},
    {HEAD "resources: [{providers: {}}]", "F:3:25: providers: expected a list, found a mapping"},
    {HEAD "resources: [{providers: []}]\nresources: []", "F:4:1: repeated key, first in line 3"},
    {ENTRY("kms"), "F:3:26: a provider: expected keys and values (a mapping), found text"},
    {ENTRY("{}"), "F:3:26: a provider needs exactly one of identity, aescbc, aesgcm, secretbox"},
    {ENTRY("{identity: {}, kms: {}}"), "F:3:26: a provider needs exactly one of"},
    {ENTRY("{aescgm: {}}"), "F:3:27: unknown key (did you mean 'aesgcm'?); expected one of: "
                            "identity, aescbc, aesgcm, secretbox, kms"},
    {ENTRY("{identity: }"), "F:3:27: identity: expected {}, found nothing"},
    {ENTRY("{identity: {a: 1}}"), "F:3:37: identity: expected {}, found a mapping"},
    {ENTRY("{identity: []}"), "F:3:37: identity: expected {}, found a list"},
    {ENTRY("{aescbc: }"), "F:3:27: aescbc: expected keys and values (a mapping), found nothing"},
    {ENTRY("{aescbc: {key: []}}"), "F:3:36: unknown key (did you mean 'keys'?); expected one of"},
    {ENTRY("{aescbc: {keys: {}}}"), "F:3:42: keys: expected a list, found a mapping"},
    {ENTRY("{aescbc: {keys: [a]}}"), "F:3:43: a key: expected keys and values (a mapping)"},
    {ENTRY("{aescbc: {keys: [{nam: a}]}}"), "F:3:44: unknown key (did you mean 'name'?)"},
    {ENTRY("{aescbc: {keys: [{name: 1}]}}"), "F:3:50: name of a key: expected text, found a num"},
    {ENTRY("{aescbc: {keys: [{secret: [x]}]}}"), "F:3:52: secret: expected text, found a list"},
    {ENTRY("{aescbc: {keys: [{secret: a, secret: b}]}}"), "F:3:55: repeated key, first in line 3"},
    {ENTRY("{kms: }"), "F:3:27: kms: expected keys and values (a mapping), found nothing"},
    {ENTRY("{kms: {apiversion: v2}}"),
     "F:3:33: unknown key (did you mean 'apiVersion'?); expected"},
    {ENTRY("{kms: {apiVersion: 2}}"), "F:3:45: apiVersion: expected text, found a number; put"},
    {ENTRY("{kms: {name: {}}}"), "F:3:39: name: expected text, found a mapping"},
    {ENTRY("{kms: {name: true}}"), "F:3:39: name: expected text, found true or false; put it in"},
    {ENTRY("{kms: {endpoint: [a]}}"), "F:3:43: endpoint: expected text, found a list"},
    {ENTRY("{kms: {timeout: 3}}"), "F:3:42: timeout: expected text, found a number; put it in"},
    {ENTRY("{kms: {timeout: \"3\"}}"), "F:3:42: timeout: expected a duration such as 3s or 500ms"},
    {ENTRY("{kms: {timeout: 3d}}"), "F:3:42: timeout: expected a duration"},
    {ENTRY("{kms: {cachesize: x}}"), "F:3:44: cachesize: expected a whole number without quotes"},
    {ENTRY("{kms: {cachesize: \"1\"}}"), "F:3:44: cachesize: expected a whole number"},
    {ENTRY("{kms: {cachesize: 1.5}}"), "F:3:44: cachesize: expected a whole number"},
    {ENTRY("{kms: {cachesize: 2147483648}}"), "F:3:44: cachesize: expected a whole number"},
    {ENTRY("{kms: {cachesize: []}}"), "F:3:44: cachesize: expected a whole number"},
    {ENTRY("{kms: &a {}}"), "F:3:32: anchors (&) are not allowed here"},
    {HEAD "resources: []\n---\n" HEAD, "F:4:1: a second document"},
    {HEAD "resources: [", "F:4:1: not valid YAML"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
        struct kerrinfo e = {0};
        struct encryption_config *c = NULL;
        enum kerr k = encryption_config_parse(bytes_of_text(bads[i].text), "F", &c, &e);
        if (k != KERR_CONFIG || strncmp(e.text, bads[i].message, strlen(bads[i].message)) != 0) {
            fail_msg("%s\ngot %s \"%s\"\nexpected \"%s\"", bads[i].text, kerr_name(k), e.text,
                     bads[i].message);
        }
        assert_null(c);
    }
}

/* `count` items between two texts, and one more, which is refused with `words`. */
static void check_limit(const char *begin, const char *item, const char *end, size_t count,
                        const char *words)
{
    struct kerrinfo e = {0};
    for (size_t extra = 0; extra < 2; extra++) {
        AUTO_ENCRYPTION_CONFIG c = NULL;
        AUTO_BUF text;
        buf_init(&text, ENCRYPTION_CONFIG_FILE_MAX);
        assert_ok(&e, buf_put_text(&text, begin, &e));
        for (size_t i = 0; i < count + extra; i++) {
            assert_ok(&e, buf_put_text(&text, item, &e));
        }
        assert_ok(&e, buf_put_text(&text, end, &e));
        if (extra == 0) {
            assert_ok(&e, encryption_config_parse(buf_view(&text), "F", &c, &e));
        } else {
            assert_refused(&e, KERR_CONFIG, words,
                           encryption_config_parse(buf_view(&text), "F", &c, &e));
        }
    }
}

static void test_limits(void **state)
{
    (void)state;
    check_limit(HEAD "resources: [", "{},", "]", ENCRYPTION_CONFIG_ENTRIES_MAX,
                "more than 64 entries in one file");
    check_limit(HEAD "resources: [{resources: [", "a,", "]}]", ENCRYPTION_CONFIG_RESOURCES_MAX,
                "more than 1024 resources in one file");
    check_limit(HEAD "resources: [{providers: [", "{identity: {}},", "]}]",
                ENCRYPTION_CONFIG_PROVIDERS_MAX, "more than 128 providers in one file");
}

/* The limit of keys counts over all providers of the file. */
static void test_keys_limit(void **state)
{
    (void)state;
    check_limit(HEAD "resources: [{providers: [{aescbc: {keys: [{name: a}]}}, {aesgcm: {keys: [",
                "{name: a},", "]}}]}]", ENCRYPTION_CONFIG_KEYS_MAX - 1,
                "more than 512 keys in one file");
}

static const char *const two_sockets =
    ENTRY("{kms: {name: a, endpoint: \"unix:///run/v1.sock\"}},"
          "{kms: {apiVersion: v2, name: b}},"
          "{kms: {apiVersion: v2, name: c, endpoint: \"unix:///run/v2.sock\"}},"
          "{kms: {apiVersion: v2, name: d, endpoint: \"unix:/run/short.sock\"}},"
          "{kms: {apiVersion: v2, name: e, endpoint: \"unix:///run/v2.sock\"}}");

static void test_find_kms(void **state)
{
    (void)state;
    AUTO_ENCRYPTION_CONFIG c = parse_good(two_sockets);
    const struct encryption_provider *p = encryption_config_find_kms(c, "/run/v2.sock");
    assert_ptr_equal(p, &c->entries[0].providers[2]);
    p = encryption_config_find_kms(c, "/run/short.sock");
    assert_string_equal(p->name.text, "d");
    assert_null(encryption_config_find_kms(c, "/run/v1.sock"));
    assert_null(encryption_config_find_kms(c, "/run/v2.soc"));
    assert_null(encryption_config_find_kms(c, "/run/v2.sock2"));
    assert_null(encryption_config_find_kms(c, "/RUN/v2.sock"));
    AUTO_ENCRYPTION_CONFIG empty = parse_good(HEAD "resources: []");
    assert_null(encryption_config_find_kms(empty, "/run/v2.sock"));
}

static void test_samples(void **state)
{
    (void)state;
    static const char *const samples[] = {"secrets.yaml", "secrets-configmaps.yaml",
                                          "secrets-only-kms.yaml"};
    struct kerrinfo e = {0};
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        char *path = test_path(TEST_SOURCE "/config/samples", samples[i]);
        AUTO_ENCRYPTION_CONFIG c = NULL;
        assert_ok(&e, encryption_config_read(path, &c, &e));
        assert_non_null(encryption_config_find_kms(c, "/run/etcdseal/kms.sock"));
        free(path);
    }
}

static void test_files(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_ENCRYPTION_CONFIG c = NULL;
    char *folder = test_folder_new();
    char *path = test_path(folder, "enc.yaml");
    assert_refused(&e, KERR_NOTFOUND, "enc.yaml", encryption_config_read(path, &c, &e));
    test_write_file(folder, "enc.yaml", bytes_of_text(""));
    assert_refused(&e, KERR_INPUT, "is empty", encryption_config_read(path, &c, &e));
    test_write_file(folder, "enc.yaml", bytes_of_text(everything));
    assert_ok(&e, encryption_config_read(path, &c, &e));
    assert_string_equal(c->file, path);
    encryption_config_free_at(&c);
    char *link = test_path(folder, "link");
    assert_int_equal(symlink("enc.yaml", link), 0);
    assert_refused(&e, KERR_DENIED, "symbolic link", encryption_config_read(link, &c, &e));
    static char large[ENCRYPTION_CONFIG_FILE_MAX + 1];
    memset(large, '#', sizeof large);
    test_write_file(folder, "enc.yaml", BYTES_OF(large));
    assert_refused(&e, KERR_LIMIT, "larger than 65536", encryption_config_read(path, &c, &e));
    free(link);
    free(path);
    test_folder_remove(folder);
    encryption_config_free(NULL);
}

/* ---- nothing stays behind ---- */

#define MARK_BYTES 40

/* The mark, each character xor 3. */
static const char hidden[] = "R4hN1sQ:wT7{Y2aM5u@0gE;dK6iO3pW4zV1bF7rH";

static void make_mark(char mark[MARK_BYTES])
{
    for (size_t i = 0; i < MARK_BYTES; i++) {
        mark[i] = (char)(hidden[i] ^ 3);
    }
}

static bool has_mark(const char *at, size_t len)
{
    for (size_t i = 0; i + MARK_BYTES <= len; i++) {
        size_t j = 0;
        while (j < MARK_BYTES && (at[i + j] ^ 3) == hidden[j]) {
            j++;
        }
        if (j == MARK_BYTES) {
            return true;
        }
    }
    return false;
}

/* Whether the mark lies in writable memory of this process. Huge mappings (a sanitizer's shadow)
 * are passed over. */
static bool is_in_memory(void)
{
    static char block[1 << 16];
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_true(mem >= 0 && maps != NULL);
    bool is_found = false;
    char line[512];
    while (fgets(line, sizeof line, maps) != NULL && !is_found) {
        /* "START-END rw-p …", in hexadecimal. */
        char *rest = NULL;
        unsigned long start = strtoul(line, &rest, 16);
        unsigned long end = strtoul(rest + 1, &rest, 16);
        if (rest[0] != ' ' || rest[2] != 'w' || end - start > (unsigned long)256 << 20) {
            continue;
        }
        for (unsigned long at = start; at < end && !is_found; at += sizeof block - MARK_BYTES) {
            size_t want = end - at < sizeof block ? end - at : sizeof block;
            bool is_own =
                at <= (unsigned long)block + sizeof block && at + want > (unsigned long)block;
            ssize_t n = is_own ? 0 : pread(mem, block, want, (off_t)at);
            is_found = n > 0 && has_mark(block, (size_t)n);
            secret_wipe(block, sizeof block);
        }
    }
    assert_int_equal(fclose(maps), 0);
    assert_int_equal(close(mem), 0);
    return is_found;
}

/* `form` with the mark in the place of each '@'. */
static void write_with_mark(const char *path, const char *form)
{
    char mark[MARK_BYTES];
    char text[1024] = "";
    size_t len = 0;
    make_mark(mark);
    for (const char *p = form; *p != 0; p++) {
        assert_true(len + MARK_BYTES < sizeof text);
        memcpy(text + len, *p == '@' ? mark : p, *p == '@' ? MARK_BYTES : 1);
        len += *p == '@' ? MARK_BYTES : 1;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    assert_int_equal(close(fd), 0);
    secret_wipe(text, sizeof text);
    secret_wipe(mark, sizeof mark);
}

static const char *const marked_forms[] = {
    ENTRY("{aescbc: {keys: [{name: a, secret: @}]}}"),
    ENTRY("{aescbc: {keys: [{name: a, secret: '@'}]}}"),
    ENTRY("{secretbox: {keys: [{secret: \"@\", name: a}]}}"),
    ENTRY("{aesgcm: {keys: [{secret: \"@\\x41\", name: \"\\x61\"}]}}"),
    HEAD "resources:\n- providers:\n  - aesgcm:\n      keys:\n      - name: a\n        secret: @\n",
    HEAD "resources:\n- providers:\n  - aesgcm:\n      keys:\n      - secret: |\n          @\n"
         "        name: a\n",
};

/* Typing errors, on whose way out the text must be gone as well. */
static const char *const refused_forms[] = {
    ENTRY("{aescbc: {keys: [{name: a, secrett: @}]}}"),
    ENTRY("{aescbc: {keys: [{name: a, secret: [@, \"@\"]}]}}"),
    ENTRY("{aescbc: {keys: [{name: a, @: secret}]}}"),
    ENTRY("{aescbc: {keys: [{name: a, secret: \"@}]}}"),
    ENTRY("{aescbc: {keys: [{name: a, secret: \"@\\q\"}]}}"),
    ENTRY("{aescbc: {keys: [{name: a, secret: &@ x}]}}"),
    HEAD "resources:\n- @\n  secret: @: @\n",
};

static void test_no_secret_stays_in_memory(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    char *folder = test_folder_new();
    char *path = test_path(folder, "enc.yaml");
    /* The search finds what is there: a check that can't fail would prove nothing. */
    char *planted = calloc(1, MARK_BYTES);
    assert_non_null(planted);
    make_mark(planted);
    assert_true(is_in_memory());
    secret_wipe(planted, MARK_BYTES);
    free(planted);
    assert_false(is_in_memory());
    for (size_t i = 0; i < ARRAY_LEN(marked_forms); i++) {
        write_with_mark(path, marked_forms[i]);
        AUTO_ENCRYPTION_CONFIG c = NULL;
        assert_ok(&e, encryption_config_read(path, &c, &e));
        assert_string_equal(c->entries[0].providers[0].keys[0].text, "a");
        assert_false(is_in_memory());
    }
    for (size_t i = 0; i < ARRAY_LEN(refused_forms); i++) {
        write_with_mark(path, refused_forms[i]);
        AUTO_ENCRYPTION_CONFIG c = NULL;
        assert_refused(&e, KERR_CONFIG, "", encryption_config_read(path, &c, &e));
        assert_false(is_in_memory());
    }
    free(path);
    test_folder_remove(folder);
}

int main(void)
{
    assert_int_equal(secret_start(SECRET_LOCK_BEST_EFFORT, NULL), KERR_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_providers),
        cmocka_unit_test(test_forms_that_kube_apiserver_reads),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_keys_limit),
        cmocka_unit_test(test_find_kms),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_no_secret_stays_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
