/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs on several threads at once: each value gets its own verdict, in the order in which it
 * came. What a kube-apiserver wrote, and plugins: tests/system/test_audit_prove.py. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "tests/lib/testlib.h"

#define VALUES 6000
#define PREFIX "k8s:enc:aesgcm:v1:k:"

static const uint8_t aes_key[32] = "0123456789abcdef0123456789abcdef";
static const char config_text[] =
    "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
    "- resources: [secrets]\n  providers:\n  - aesgcm:\n      keys:\n"
    "      - {name: k, secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}\n  - identity: {}\n";

static struct encryption_config *config;
static struct kerrinfo e;

struct stored {
    char key[64];
    uint8_t value[256];
    size_t len;
};
static struct stored stored[VALUES];

static int set_up(void **state)
{
    (void)state;
    char *folder = test_folder_new();
    char *path = test_path(folder, "enc.yaml");
    test_write_file(folder, "enc.yaml", bytes_of_text(config_text));
    assert_ok(&e, encryption_config_read_with_keys(path, &config, &e));
    free(path);
    test_folder_remove(folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    encryption_config_free(config);
    return 0;
}

/* As kube-apiserver seals {"metadata":…} under the etcd key `aad`. */
static void seal(struct stored *to, const char *aad, const char *name)
{
    char text[128];
    int text_len =
        snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"ns\"}}", name);
    size_t at = strlen(PREFIX);
    int len = 0;
    memcpy(to->value, PREFIX, at);
    memset(to->value + at, 9, 12);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, aes_key, to->value + at), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &len, (const uint8_t *)aad, (int)strlen(aad)), 1);
    assert_int_equal(
        EVP_EncryptUpdate(ctx, to->value + at + 12, &len, (const uint8_t *)text, text_len), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, to->value + at + 12 + len, &len), 1);
    to->len = at + 12 + (size_t)text_len;
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, to->value + to->len), 1);
    to->len += 16;
    EVP_CIPHER_CTX_free(ctx);
}

/* Of ten: one sealed for another key of etcd, one altered, one under another name. */
static void fill(void)
{
    for (int i = 0; i < VALUES; i++) {
        struct stored *s = &stored[i];
        char name[32];
        (void)snprintf(name, sizeof name, "s-%d", i);
        (void)snprintf(s->key, sizeof s->key, "/registry/secrets/ns/%s", name);
        seal(s, i % 10 == 3 ? "/registry/secrets/ns/other" : s->key, i % 10 == 7 ? "other" : name);
        if (i % 10 == 5) {
            s->value[s->len - 30] ^= 1;
        }
    }
}

static void run(unsigned threads, struct audit *a)
{
    const struct audit_wanted wanted = {.config = config, .is_proving = true, .threads = threads};
    assert_ok(&e, audit_begin(&wanted, a, &e));
    assert_ok(&e, audit_note_key(a, bytes_of_text("/registry/namespaces/default"), &e));
    assert_ok(&e, audit_take_prefixes(a, &e));
    for (size_t i = 0; i < VALUES; i++) {
        assert_ok(&e, audit_live(a, bytes_of_text(stored[i].key),
                                 bytes_of(stored[i].value, stored[i].len), i + 1, &e));
    }
    assert_ok(&e, audit_judge(a, &e));
}

static void each_value_its_own_verdict(void **state)
{
    (void)state;
    fill();
    for (unsigned threads = 1; threads <= 4; threads++) {
        AUTO_AUDIT a = {.tables = NULL};
        run(threads, &a);
        assert_int_equal(a.totals.keys, VALUES);
        assert_int_equal(a.totals.proved, VALUES / 10 * 8);
        assert_int_equal(a.totals.undecryptable, VALUES / 10 * 2);
        assert_int_equal(a.totals.unproved, 0);
        assert_int_equal(a.by_rule[AUDIT_RULE_UNDECRYPTABLE], VALUES / 10 * 2);
        assert_int_equal(a.by_rule[AUDIT_RULE_MOVED], VALUES / 10);
        uint64_t before = 0;
        for (size_t i = 0; i < a.finding_count; i++) {
            const struct audit_finding *f = &a.findings[i];
            uint64_t at = f->mod_revision == 0 ? 0 : f->mod_revision - 1;
            if (f->key.len == 0) {
                continue;
            }
            assert_true(f->mod_revision > before);
            before = f->mod_revision;
            assert_true(bytes_equal_text(f->key, stored[at].key));
            assert_int_equal(f->rule, at % 10 == 7 ? AUDIT_RULE_MOVED : AUDIT_RULE_UNDECRYPTABLE);
        }
        assert_true(before > VALUES - 10);
    }
}

static void larger_than_what_is_opened(void **state)
{
    (void)state;
    AUTO_AUDIT a = {.tables = NULL};
    size_t len = AUDIT_OBJECT_MAX + 100;
    uint8_t *value = calloc(1, len);
    assert_non_null(value);
    memcpy(value, PREFIX, strlen(PREFIX));
    const struct audit_wanted wanted = {.config = config, .is_proving = true, .threads = 2};
    assert_ok(&e, audit_begin(&wanted, &a, &e));
    assert_ok(&e, audit_note_key(&a, bytes_of_text("/registry/namespaces/default"), &e));
    assert_ok(&e, audit_take_prefixes(&a, &e));
    assert_ok(&e,
              audit_live(&a, bytes_of_text("/registry/secrets/ns/a"), bytes_of(value, len), 1, &e));
    assert_ok(&e, audit_judge(&a, &e));
    assert_true(a.totals.unproved == 1 && a.totals.undecryptable == 0);
    assert_int_equal(a.by_rule[AUDIT_RULE_UNPROVED], 0);
    assert_int_equal(a.by_rule[AUDIT_RULE_TOO_LARGE], 1);
    const struct audit_finding *f = &a.findings[0];
    assert_true(f->rule == AUDIT_RULE_TOO_LARGE && f->mod_revision == 1);
    assert_true(bytes_equal_text(f->key, "/registry/secrets/ns/a"));
    assert_false(a.is_met);
    free(value);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_its_own_verdict),
        cmocka_unit_test(larger_than_what_is_opened),
    };
    return secret_start(SECRET_LOCK_BEST_EFFORT, &e) == KERR_OK
               ? cmocka_run_group_tests(tests, set_up, tear_down)
               : 1;
}
