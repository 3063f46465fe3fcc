/* SPDX-License-Identifier: Apache-2.0 */
/* doctor/metrics.h: a page as kube-apiserver writes it, cut anywhere; and pages that are not. */
#include <string.h>

#include "doctor/metrics.h"
#include "tests/lib/testlib.h"

#define STATUS "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds"
#define HASH_1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define HASH_2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

static const char page[] =
    "# HELP " STATUS " [ALPHA] The last time in seconds\n"
    "# TYPE " STATUS " gauge\n" STATUS "{apiserver_id_hash=\"sha256:9\",key_id_hash=\"" HASH_1
    "\",provider_name=\"etcdseal\"} 1.7954200941e+09\n" STATUS
    "{apiserver_id_hash=\"sha256:9\",key_id_hash=\"" HASH_2
    "\",provider_name=\"etcdseal\"} 1.7954201941e+09\n" STATUS
    "{apiserver_id_hash=\"sha256:9\",key_id_hash=\"" HASH_1
    "\",provider_name=\"other\"} 1.79542e+09\n"
    "apiserver_encryption_config_controller_last_config_info{apiserver_id_hash=\"sha256:9\",hash="
    "\"" HASH_2 "\"} 1\n"
    "apiserver_request_total{code=\"200\"} 7\n";

static struct metrics m;

static void test_page(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < 200; cut++) {
        memset(&m, 0, sizeof m);
        for (size_t at = 0; at < strlen(page); at += cut) {
            size_t left = strlen(page) - at;
            metrics_take(&m, bytes_of(page + at, left < cut ? left : cut));
        }
        assert_int_equal(m.provider_count, 2);
        assert_string_equal(metrics_provider(&m, "etcdseal")->hash, HASH_2); /* the newest */
        assert_string_equal(metrics_provider(&m, "other")->hash, HASH_1);
        assert_null(metrics_provider(&m, "none"));
        assert_string_equal(m.config_hash, HASH_2);
    }
}

static void take(const char *text)
{
    memset(&m, 0, sizeof m);
    metrics_take(&m, bytes_of_text(text));
}

static void test_order_does_not_matter(void **state)
{
    (void)state;
    take(STATUS "{provider_name=\"p\",key_id_hash=\"" HASH_2 "\"} 20\n" STATUS
                "{provider_name=\"p\",key_id_hash=\"" HASH_1 "\"} 10\n");
    assert_string_equal(metrics_provider(&m, "p")->hash, HASH_2);
}

static void test_nonsense(void **state)
{
    (void)state;
    static const char *const rows[] = {
        STATUS "{provider_name=\"p\"} 1\n",
        STATUS "{key_id_hash=\"" HASH_1 "\"} 1\n",
        STATUS "{provider_name=\"p\",key_id_hash=\"" HASH_1 "\"\n",
        STATUS "{provider_name=\"p\",key_id_hash=\"" HASH_1 "0\"} 1\n", /* too long */
        STATUS "{provider_name=\"p\\\"q\",key_id_hash=\"" HASH_1 "\"} 1\n",
        STATUS "{provider_name=\"p\n",
        STATUS "{\n",
        STATUS "\n",
        "{}\n",
        "",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        take(rows[i]);
        assert_null(metrics_provider(&m, "p"));
        assert_string_equal(m.config_hash, "");
    }
}

static void test_limits(void **state)
{
    (void)state;
    char line[2 * METRICS_LINE_MAX];
    memset(&m, 0, sizeof m);
    memset(line, 'x', sizeof line);
    metrics_take(&m, BYTES_OF(line));
    metrics_take(
        &m, bytes_of_text("\n" STATUS "{provider_name=\"p\",key_id_hash=\"" HASH_1 "\"} 10\n"));
    assert_string_equal(metrics_provider(&m, "p")->hash, HASH_1);
    metrics_take(&m, bytes_of("a\0b\n", 4));
    for (int i = 0; i < 2 * METRICS_PROVIDERS_MAX; i++) {
        char row[] = STATUS "{provider_name=\"00\",key_id_hash=\"" HASH_1 "\"} 10\n";
        char *name = strstr(row, "00");
        name[0] = (char)('a' + i / 26);
        name[1] = (char)('a' + i % 26);
        metrics_take(&m, bytes_of_text(row));
    }
    assert_int_equal(m.provider_count, METRICS_PROVIDERS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
