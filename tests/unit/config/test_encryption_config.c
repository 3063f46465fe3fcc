/* SPDX-License-Identifier: Apache-2.0 */
/* config/encryption_config.h: structs with places, refusals, and that no secret stays behind. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "config/lint.h"
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
    assert_int_equal(p[0].cachesize.line, 0);
    check_provider(&p[1], ENCRYPTION_KMS, 11, 0);
    check_value(&p[1].api_version, "v1", 0, 0);
    check_value(&p[1].cachesize, "-5", 11, 61);
    assert_null(p[1].timeout.text);
    assert_int_equal(p[1].timeout_ns, 3000000000);
    check_provider(&p[2], ENCRYPTION_AESCBC, 12, 2);
    check_value(&p[2].keys[0].name, "key1", 14, 21);
    check_value(&p[2].keys[1].name, "key2", 16, 36);
    assert_int_equal(p[2].keys[0].secret, ENCRYPTION_SECRET_MEASURED);
    assert_int_equal(p[2].keys[0].secret_len, 16);
    assert_int_equal(p[2].keys[0].secret_line, 15);
    assert_int_equal(p[2].keys[0].secret_column, 23);
    assert_int_equal(p[2].keys[1].secret, ENCRYPTION_SECRET_NOT_BASE64);
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
    assert_string_equal(json->entries[0].providers[1].keys[0].name.text, "a");
    AUTO_ENCRYPTION_CONFIG old =
        parse_good("apiVersion: v1\nkind: EncryptionConfig\nresources: []\n");
    assert_int_equal(old->entry_count, 0);
    AUTO_ENCRYPTION_CONFIG numbers =
        parse_good(HEAD "resources: [{providers: [{kms: {cachesize: 1e3, timeout: '0'}}]}]");
    check_value(&numbers->entries[0].providers[0].cachesize, "1e3", 3, 44);
    assert_int_equal(numbers->entries[0].providers[0].timeout_ns, 0);
    AUTO_ENCRYPTION_CONFIG nulls = parse_good(
        HEAD "resources: [{providers: [{kms: {apiVersion: ~, name: null, timeout: }}]}]");
    const struct encryption_provider *p = &nulls->entries[0].providers[0];
    check_value(&p->api_version, "v1", 0, 0);
    assert_null(p->name.text);
    assert_true(p->is_timeout_read && p->timeout_ns == 3000000000);
}

struct bad {
    const char *text;
    const char *message; /* how it begins */
};

#define ENTRY(providers) HEAD "resources: [{resources: [a], providers: [" providers "]}]"

/* What is refused whole, and not judged. */
static const struct bad bads[] = {
    {"", "F:1:1: empty"},
    {"# nothing\n", "F:1:1: empty"},
    {ENTRY("{kms: &a {}}"), "F:3:48: anchors (&) are not allowed here"},
    {ENTRY("{kms: *a}"), "F:3:48: aliases (*) are not allowed here"},
    {ENTRY("{kms: !!map {}}"), "F:3:48: tags (!) are not allowed here"},
    {ENTRY("{<<: {}}"), "F:3:43: merge keys (<<) are not allowed here"},
    {"%YAML 1.1\n---\n" HEAD, "F:1:1: directives (%) are not allowed here"},
    {HEAD "resources: []\n---\n" HEAD, "F:4:1: a second document"},
    {HEAD "resources: [", "F:4:1: not valid YAML"},
    {HEAD "resources:\t[]\n", "F:3:11: a tab; use blanks"},
    {HEAD "# \xe2\x80\xa8\n", "F:3:3: a control character, line end or mark beyond ASCII"},
    {"\xef\xbb\xbf" HEAD, "F:1:1: a control character, line end or mark beyond ASCII"},
    {HEAD "# \xc2\x85\n", "F:3:3: a control character, line end or mark beyond ASCII"},
    {HEAD "resources: [{resources: [\"\\x61\"]}]", "F:3:26: a backslash in double quotes"},
    {HEAD "resources: [{resources: [\xc3\xa9]}]", "F:3:26: a name of a resource with letters"},
    {HEAD "null: x\n", "F:3:1: a key must be a word"},
    {HEAD "~: x\n", "F:3:1: a key must be a word"},
    {HEAD "[a]: x\n", "F:3:1: a key must be a word"},
    {ENTRY("{kms: {endpoint: \"unix://[::1]/x\"}}"), "F:3:59: an endpoint with a host in brackets"},
    {HEAD "resources:\n- providers:\n  - aescbc:\n      keys:\n      - secret: |\n          x\n",
     "F:8:1: a text over several lines"},
};

/* Faults of the form: the file is read, and the first of them is this one. */
static const struct bad faults[] = {
    {"[]", "F:1:1: wrong-type: the file: expected keys and values (a mapping), found a list"},
    {"kind: EncryptionConfiguration\n",
     "F:1:1: file-kind: not an EncryptionConfiguration: expected "
     "apiVersion: apiserver.config.k8s.io/v1 and kind: Encryp"},
    {"apiVersion: v1\nresources: []", "F:1:1: file-kind: not an"},
    {"apiVersion: v1\nkind: Secret\nresources: []", "F:2:7: file-kind: not an"},
    {"apiVersion: v1\nkind: EncryptionConfiguration\nresources: []", "F:2:7: file-kind: not an"},
    {"apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfig\n", "F:2:7: file-kind: not"},
    {"apiVersion: apiserver.config.k8s.io/v2\nkind: EncryptionConfiguration\n", "F:1:13: file-kin"},
    {"apiVersion: 1\nkind: x\n", "F:1:13: wrong-type: apiVersion: expected text, found a number; "
                                 "put it in quotes"},
    {"apiVersion: v1\nkind: [x]\n", "F:2:7: wrong-type: kind: expected text, found a list"},
    {"apiVersion: v1\nkind: EncryptionConfig\nKind: []\n",
     "F:3:7: wrong-type: kind: expected text"},
    {"apiversion: v1\nkind: EncryptionConfig\n", "F:1:1: unknown-field: the file: unknown field"},
    {HEAD, "F:1:1: no-entries: resources without an entry"},
    {HEAD "resources:\n", "F:3:1: no-entries: resources without an entry"},
    {HEAD "resources: {}\n", "F:3:12: wrong-type: resources: expected a list, found a mapping"},
    {HEAD "resource: []\n", "F:3:1: unknown-field: the file: unknown field; expected one of: "
                            "apiVersion, kind, resources"},
    {HEAD "resources: [a]", "F:3:13: wrong-type: an entry of resources: expected keys and values"},
    {HEAD "resources: [{provider: []}]", "F:3:14: unknown-field: an entry of resources: unknown"},
    {HEAD "resources: [{resources: secrets}]",
     "F:3:25: wrong-type: resources: expected a list, fou"},
    {HEAD "resources: [{resources: [1]}]", "F:3:26: wrong-type: name of a resource: expected text"},
    {HEAD "resources: [{resources: [yes]}]",
     "F:3:26: wrong-type: name of a resource: expected tex"},
    {HEAD "resources: [{resources: [a], providers: {}}]",
     "F:3:41: wrong-type: providers: expected"},
    {HEAD "resources: [{resources: [a]}]", "F:3:13: no-providers: an entry without providers"},
    {HEAD "resources: [~]", "F:3:13: no-resources: an entry without resources"},
    {HEAD "resources: [{}]\nresources: [{}]",
     "F:4:1: repeated-field: the file: resources stands he"},
    {ENTRY("kms"),
     "F:3:42: wrong-type: a provider: expected keys and values (a mapping), found te"},
    {ENTRY("{}"), "F:3:42: provider-empty: a provider needs one of identity, aescbc, aesgcm, secr"},
    {ENTRY("~"), "F:3:42: provider-empty: a provider needs one of"},
    {ENTRY("{identity: {}, kms: {}}"), "F:3:42: provider-several: 2 providers in one element"},
    {ENTRY("{aescgm: {}}"), "F:3:43: unknown-field: a provider: unknown field; expected one of: "
                            "identity, aescbc, aesgcm, secretbox, kms"},
    {ENTRY("{identity: }"), "F:3:42: provider-empty: a provider needs one of"},
    {ENTRY("{identity: {a: 1}}"), "F:3:54: unknown-field: identity: unknown field; it has none"},
    {ENTRY("{identity: []}"), "F:3:53: wrong-type: identity: expected {}, found a list"},
    {ENTRY("{aescbc: x}"),
     "F:3:51: wrong-type: aescbc: expected keys and values (a mapping), foun"},
    {ENTRY("{aescbc: {key: []}}"), "F:3:52: unknown-field: aescbc: unknown field; expected one of"},
    {ENTRY("{aescbc: {keys: {}}}"), "F:3:58: wrong-type: keys: expected a list, found a mapping"},
    {ENTRY("{aescbc: {keys: []}}"), "F:3:43: no-keys: aescbc without keys"},
    {ENTRY("{aescbc: {keys: [a]}}"), "F:3:59: wrong-type: a key: expected keys and values (a mapp"},
    {ENTRY("{aescbc: {keys: [{nam: a}]}}"), "F:3:60: unknown-field: a key: unknown field"},
    {ENTRY("{aescbc: {keys: [{name: 1}]}}"), "F:3:66: wrong-type: name of a key: expected text, f"},
    {ENTRY("{aescbc: {keys: [{secret: [x]}]}}"),
     "F:3:68: wrong-type: secret: expected text, found"},
    {ENTRY("{aescbc: {keys: [{secret: 12}]}}"),
     "F:3:68: wrong-type: secret: expected text, found a"},
    {ENTRY("{aescbc: {keys: [{secret: a, secret: b}]}}"),
     "F:3:71: repeated-field: a key: secret s"},
    {ENTRY("{kms: x}"),
     "F:3:48: wrong-type: kms: expected keys and values (a mapping), found text"},
    {ENTRY("{kms: {apiversion: v2}}"),
     "F:3:49: unknown-field: kms: unknown field; expected one of"},
    {ENTRY("{kms: {apiVersion: 2}}"),
     "F:3:61: wrong-type: apiVersion: expected text, found a numb"},
    {ENTRY("{kms: {name: {}}}"), "F:3:55: wrong-type: name: expected text, found a mapping"},
    {ENTRY("{kms: {name: true}}"),
     "F:3:55: wrong-type: name: expected text, found true or false; "},
    {ENTRY("{kms: {endpoint: [a]}}"), "F:3:59: wrong-type: endpoint: expected text, found a list"},
    {ENTRY("{kms: {timeout: 3}}"),
     "F:3:58: wrong-type: timeout: expected text, found a number; pu"},
    {ENTRY("{kms: {cachesize: x}}"), "F:3:60: wrong-type: cachesize: expected a whole number with"},
    {ENTRY("{kms: {cachesize: []}}"), "F:3:60: wrong-type: cachesize: expected a whole number"},
    {"{}}", "F:1:3: json-form: the file begins with '{'"},
    {" {kind: x}", "F:1:3: json-form: the file begins with '{'"},
    {"{\"a\": 1} # x", "F:1:10: json-form: the file begins with '{'"},
};

static void check_text(const char *text, const char *got, const char *expected)
{
    if (strncmp(got, expected, strlen(expected)) != 0) {
        fail_msg("%s\ngot      \"%s\"\nexpected \"%s\"", text, got, expected);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
        struct kerrinfo e = {0};
        struct encryption_config *c = NULL;
        enum kerr k = encryption_config_parse(bytes_of_text(bads[i].text), "F", &c, &e);
        assert_int_equal(k, k == KERR_OK ? KERR_BUG : KERR_CONFIG);
        check_text(bads[i].text, e.text, bads[i].message);
        assert_null(c);
    }
}

static void test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        AUTO_ENCRYPTION_CONFIG c = parse_good(faults[i].text);
        char got[LINT_TEXT_MAX + 64] = "none";
        if (c->faults->count > 0) {
            const struct lint_finding *f = &c->faults->items[0];
            (void)snprintf(got, sizeof got, "%s:%u:%u: %s: %s", c->file, f->line, f->column,
                           lint_rules[f->rule].id, f->message);
        }
        check_text(faults[i].text, got, faults[i].message);
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

static void test_keys(void **state)
{
    (void)state;
    static const char text[] =
        HEAD "resources:\n- resources: [secrets]\n  providers:\n  - aescbc:\n      keys:\n"
             "      - {name: a, secret: MDEyMzQ1Njc4OWFiY2RlZg==}\n      - {name: b}\n"
             "      - {name: c, secret: no-base64}\n  - secretbox:\n      keys:\n"
             "      - {name: d, secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}\n";
    struct kerrinfo e = {0};
    char *folder = test_folder_new();
    char *path = test_path(folder, "enc.yaml");
    test_write_file(folder, "enc.yaml", bytes_of_text(text));
    AUTO_ENCRYPTION_CONFIG without = NULL;
    AUTO_ENCRYPTION_CONFIG with = NULL;
    assert_ok(&e, encryption_config_read(path, &without, &e));
    assert_ok(&e, encryption_config_read_with_keys(path, &with, &e));
    for (size_t i = 0; i < 2; i++) {
        assert_null(without->entries[0].providers[i].keys[0].value);
    }
    const struct encryption_key *keys = with->entries[0].providers[0].keys;
    assert_true(bytes_equal_text(secret_view(keys[0].value), "0123456789abcdef"));
    assert_true(keys[1].value == NULL && keys[2].value == NULL);
    assert_true(bytes_equal_text(secret_view(with->entries[0].providers[1].keys[0].value),
                                 "0123456789abcdef0123456789abcdef"));
    free(path);
    test_folder_remove(folder);
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
    const char *end = at + len;
    while (end - at >= MARK_BYTES &&
           (at = memchr(at, hidden[0] ^ 3, (size_t)(end - at) - MARK_BYTES + 1)) != NULL) {
        size_t j = 0;
        while (j < MARK_BYTES && (at[j] ^ 3) == hidden[j]) {
            j++;
        }
        if (j == MARK_BYTES) {
            return true;
        }
        at++;
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
    "{\"apiVersion\":\"v1\",\"kind\":\"EncryptionConfig\",\"resources\":[{\"resources\":[\"a\"],"
    "\"providers\":[{\"aesgcm\":{\"keys\":[{\"secret\":\"@\\u0041\",\"name\":\"\\u0061\"}]}}]}]}",
    HEAD "resources:\n- providers:\n  - aesgcm:\n      keys:\n      - name: a\n        secret: @\n",
};

/* Typing errors, of which nothing must stay either. */
static const char *const fault_forms[] = {
    ENTRY("{aescbc: {keys: [{name: a, secrett: @}]}}"),
    ENTRY("{aescbc: {keys: [{name: a, secret: [@, \"@\"]}]}}"),
    ENTRY("{aescbc: {keys: [{name: a, @: secret}]}}"),
    ENTRY("{aescbc: {keys: [{name: a, secret: {@: @}}]}}"),
    ENTRY("{aescbc: @}"),
    HEAD "resources:\n- @: @\n",
};

static const char *const refused_forms[] = {
    ENTRY("{aescbc: {keys: [{name: a, secret: \"@}]}}"),
    ENTRY("{aescbc: {keys: [{name: a, secret: \"@\\q\"}]}}"),
    ENTRY("{aescbc: {keys: [{name: a, secret: &@ x}]}}"),
    HEAD "resources:\n- @\n  secret: @: @\n",
    HEAD "resources:\n- providers:\n  - aesgcm:\n      keys:\n      - secret: |\n          @\n"
         "        name: a\n",
};

static void check_nothing_stays(const char *path, const char *form, bool is_read)
{
    struct kerrinfo e = {0};
    AUTO_ENCRYPTION_CONFIG c = NULL;
    AUTO_LINT list = NULL;
    struct lint_facts facts = {.socket_path = NULL};
    write_with_mark(path, form);
    if (!is_read) {
        assert_refused(&e, KERR_CONFIG, "", encryption_config_read(path, &c, &e));
        assert_false(is_in_memory());
        return;
    }
    assert_ok(&e, encryption_config_read(path, &c, &e));
    assert_false(is_in_memory());
    assert_ok(&e, lint_encryption_config(c, &facts, &list, &e));
    assert_true(list->is_refused);
    assert_false(is_in_memory());
}

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
        assert_string_equal(c->entries[0].providers[0].keys[0].name.text, "a");
        assert_false(is_in_memory());
    }
    for (size_t i = 0; i < ARRAY_LEN(fault_forms); i++) {
        check_nothing_stays(path, fault_forms[i], true);
    }
    for (size_t i = 0; i < ARRAY_LEN(refused_forms); i++) {
        check_nothing_stays(path, refused_forms[i], false);
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
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_keys_limit),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_no_secret_stays_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
