/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/metrics.h"
#include "tests/lib/testlib.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct kerrinfo e;
static struct metrics *metrics;
static struct provider_info info;
static struct metrics_view view;
static struct buf text;
static const char *shown;

static int setup(void **state)
{
    (void)state;
    assert_ok(&e, metrics_new(&metrics, &e));
    info = (struct provider_info){.name = "local"};
    view = (struct metrics_view){.provider = &info, .is_lock_strict = true};
    buf_init(&text, METRICS_TEXT_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    metrics_free(metrics);
    buf_done(&text);
    return 0;
}

static void render(void)
{
    text.len = 0;
    assert_ok(&e, metrics_text(metrics, &view, &text, &e));
    assert_ok(&e, buf_text(&text, &shown, &e));
}

/* The line that begins with `sample` (name and labels) and ends with this value. */
static void assert_sample(const char *sample, const char *value)
{
    char line[256];
    (void)snprintf(line, sizeof line, "\n%s %s\n", sample, value);
    if (strstr(shown, line) == NULL) {
        fail_msg("no line \"%s %s\" in\n%s", sample, value, shown);
    }
}

static void test_a_fresh_daemon(void **state)
{
    (void)state;
    render();
    assert_sample("etcdseal_build_info{version=\"" ETCDSEAL_VERSION "\"}", "1");
    assert_sample("etcdseal_requests_total{method=\"Status\",code=\"OK\"}", "0");
    assert_sample("etcdseal_requests_total{method=\"Decrypt\",code=\"OK\"}", "0");
    assert_sample("etcdseal_sealed", "1");
    assert_sample("etcdseal_keystore_generation", "0");
    assert_sample("etcdseal_last_reload_success", "0");
    assert_sample("etcdseal_memory_lock_info{policy=\"strict\"}", "1");
    assert_sample("etcdseal_reloads_total{result=\"failed\",reason=\"watch\"}", "0");
    assert_sample("etcdseal_refused_connections_total{reason=\"peer\"}", "0");
    assert_sample("etcdseal_auditor_decrypts_total{result=\"unwrapped\"}", "0");
    assert_sample("etcdseal_auditor_decrypts_total{result=\"refused\"}", "0");
    assert_null(strstr(shown, "etcdseal_current_key_id_hash{"));
    assert_null(strstr(shown, "etcdseal_decrypts_total{"));
    /* What is not known has no sample: a 0 would look like a fact. */
    assert_null(strstr(shown, "\netcdseal_keystore_info{"));
    assert_null(strstr(shown, "\netcdseal_primary_key_"));
    assert_null(strstr(shown, "\netcdseal_keystore_backup_"));
    assert_null(strstr(shown, "\netcdseal_keystore_keys_without_backup"));
}

static void test_requests(void **state)
{
    (void)state;
    metrics_request(metrics, KMS_DECRYPT, 0, 80000);  /* 80 µs */
    metrics_request(metrics, KMS_DECRYPT, 3, 100000); /* 100 µs: in the bucket that ends there */
    metrics_request(metrics, KMS_DECRYPT, 0, 9000000000); /* beyond the last */
    metrics_request_refused(metrics, KMS_DECRYPT, 7);
    metrics_request_refused(metrics, SIZE_MAX, 12);
    metrics_request_refused(metrics, 99, 12);
    metrics_request_refused(metrics, KMS_STATUS, 99);
    render();
    assert_sample("etcdseal_requests_total{method=\"Decrypt\",code=\"OK\"}", "2");
    assert_sample("etcdseal_requests_total{method=\"Decrypt\",code=\"INVALID_ARGUMENT\"}", "1");
    assert_sample("etcdseal_requests_total{method=\"Decrypt\",code=\"PERMISSION_DENIED\"}", "1");
    assert_sample("etcdseal_requests_total{method=\"other\",code=\"UNIMPLEMENTED\"}", "2");
    assert_sample("etcdseal_requests_total{method=\"Status\",code=\"UNKNOWN\"}", "1");
#define BUCKET(le) "etcdseal_request_duration_seconds_bucket{method=\"Decrypt\",le=\"" le "\"}"
    assert_sample(BUCKET("5e-05"), "0");
    assert_sample(BUCKET("0.0001"), "2");
    assert_sample(BUCKET("3"), "2");
    assert_sample(BUCKET("+Inf"), "3");
    assert_sample("etcdseal_request_duration_seconds_count{method=\"Decrypt\"}", "3");
    assert_sample("etcdseal_request_duration_seconds_sum{method=\"Decrypt\"}", "9.000180000");
    assert_sample("etcdseal_request_duration_seconds_count{method=\"Status\"}", "0");
}

static void test_keystore(void **state)
{
    (void)state;
    info.is_serving = true;
    info.generation = 7;
    (void)snprintf(info.current_key_id, sizeof info.current_key_id, "es1-abc");
    view.is_last_reload_ok = true;
    view.last_reload_s = 1795487500;
    view.is_restart_needed = true;
    view.is_lock_strict = false;
    view.unlocked_secrets = 3;
    view.connections_open = 2;
    view.connections_waiting = 1;
    metrics_reload(metrics, RELOAD_WATCH, RELOAD_CHANGED);
    metrics_reload(metrics, RELOAD_SIGNAL, RELOAD_FAILED);
    metrics_refused(metrics, METRICS_REFUSED_GARBAGE);
    render();
    assert_sample("etcdseal_sealed", "0");
    assert_sample("etcdseal_keystore_generation", "7");
    char hash[KMS_KEY_ID_HASH_BYTES];
    char sample[200];
    kms_key_id_hash(bytes_of_text("es1-abc"), hash);
    (void)snprintf(sample, sizeof sample, "etcdseal_current_key_id_hash{key_id_hash=\"%s\"}", hash);
    assert_sample(sample, "1");
    assert_sample("etcdseal_last_reload_success", "1");
    assert_sample("etcdseal_keystore_warning", "0");
    (void)snprintf(info.warning, sizeof info.warning, "could not be written down");
    render();
    assert_sample("etcdseal_keystore_warning", "1");
    assert_sample("etcdseal_last_reload_timestamp_seconds", "1795487500");
    assert_sample("etcdseal_restart_needed", "1");
    assert_sample("etcdseal_memory_lock_info{policy=\"best-effort\"}", "1");
    assert_sample("etcdseal_unlocked_secrets_total", "3");
    assert_sample("etcdseal_connections{state=\"open\"}", "2");
    assert_sample("etcdseal_connections{state=\"waiting\"}", "1");
    assert_sample("etcdseal_reloads_total{result=\"changed\",reason=\"watch\"}", "1");
    assert_sample("etcdseal_reloads_total{result=\"failed\",reason=\"signal\"}", "1");
    assert_sample("etcdseal_refused_connections_total{reason=\"not_http2\"}", "1");
}

static void test_a_key_service(void **state)
{
    (void)state;
    render();
    assert_null(strstr(shown, "key_service"));
    info.remote = (struct provider_remote){.is_there = true,
                                           .state = "grace",
                                           .cause = "sealed",
                                           .login_cause = "none",
                                           .version = 3,
                                           .grace_ends_s = 1795487500,
                                           .calls = 17,
                                           .unknown_refused = 5};
    render();
    assert_sample("etcdseal_key_service_state{state=\"grace\",cause=\"sealed\"}", "1");
    assert_sample("etcdseal_key_service_login{cause=\"none\"}", "1");
    assert_sample("etcdseal_key_service_grace_end_timestamp_seconds", "1795487500");
    assert_sample("etcdseal_key_service_key_version", "3");
    assert_sample("etcdseal_key_service_requests_total", "17");
    assert_sample("etcdseal_key_service_annotations_refused_total", "5");
    assert_null(strstr(shown, "\netcdseal_key_service_last_success_timestamp_seconds "));
}

static void test_ages_and_backup(void **state)
{
    (void)state;
    info.is_serving = true;
    info.primary_created_at_s = 1795487100;
    info.primary_promoted_at_s = 1795487200;
    info.keeps_backup = true;
    info.backup.keys_missing = 3;
    (void)snprintf(info.store_id, sizeof info.store_id, "uuid");
    render();
    assert_sample("etcdseal_keystore_info{store_id=\"uuid\"}", "1");
    assert_sample("etcdseal_primary_key_created_timestamp_seconds", "1795487100");
    assert_sample("etcdseal_primary_key_promoted_timestamp_seconds", "1795487200");
    assert_sample("etcdseal_keystore_backup_generation", "0");
    assert_sample("etcdseal_keystore_keys_without_backup", "3");
    assert_null(strstr(shown, "\netcdseal_keystore_backup_timestamp_seconds"));
    info.backup = (struct provider_backup){.generation = 4, .at_s = 1795487300};
    render();
    assert_sample("etcdseal_keystore_backup_generation", "4");
    assert_sample("etcdseal_keystore_backup_timestamp_seconds", "1795487300");
    assert_sample("etcdseal_keystore_keys_without_backup", "0");
}

/* Each key stands there with its state from the start, and once only after it was used. */
static void test_decrypts_begin_at_zero(void **state)
{
    (void)state;
    char hash[KMS_KEY_ID_HASH_BYTES];
    char primary[200];
    char retired[200];
    info.key_count = 1;
    info.keys[0].state = "primary";
    (void)snprintf(info.keys[0].id, sizeof info.keys[0].id, "a");
    kms_key_id_hash(bytes_of_text("a"), hash);
    (void)snprintf(primary, sizeof primary,
                   "etcdseal_decrypts_total{key_id_hash=\"%s\",state=\"primary\"}", hash);
    (void)snprintf(retired, sizeof retired,
                   "etcdseal_decrypts_total{key_id_hash=\"%s\",state=\"retired\"}", hash);
    render();
    assert_sample(primary, "0");
    metrics_decrypt(metrics, bytes_of_text("a"), "primary", 100);
    render();
    assert_sample(primary, "1");
    assert_null(strstr(strstr(shown, primary) + 1, primary));
    info.keys[0].state = "retired";
    render();
    assert_sample(primary, "1");
    assert_sample(retired, "0");
}

static void test_decrypts_by_key(void **state)
{
    (void)state;
    metrics_decrypt(metrics, bytes_of_text("a"), "primary", 100);
    metrics_decrypt(metrics, bytes_of_text("a"), "retired", 300);
    metrics_decrypt(metrics, bytes_of_text("a"), "retired", 200);
    metrics_decrypt(metrics, bytes_of_text("b"), "disabled", 50);
    metrics_decrypt(metrics, bytes_of_text("b"), "a state of another provider", 60);
    render();
    char hash[KMS_KEY_ID_HASH_BYTES];
    char sample[200];
    kms_key_id_hash(bytes_of_text("a"), hash);
    (void)snprintf(sample, sizeof sample,
                   "etcdseal_decrypts_total{key_id_hash=\"%s\",state=\"retired\"}", hash);
    assert_sample(sample, "2");
    kms_key_id_hash(bytes_of_text("b"), hash);
    (void)snprintf(sample, sizeof sample,
                   "etcdseal_decrypts_total{key_id_hash=\"%s\",state=\"other\"}", hash);
    assert_sample(sample, "1");
    struct metrics_key_use use = metrics_key_use(metrics, "a");
    assert_int_equal(use.decrypts, 3);
    assert_int_equal(use.last_s, 300);
    use = metrics_key_use(metrics, "never");
    assert_int_equal(use.decrypts, 0);
    assert_int_equal(use.last_s, 0);
    use = metrics_key_use(metrics, "");
    assert_int_equal(use.decrypts, 0);
}

/* Whatever ids come, the table keeps its size and the most recently used keys. */
static void test_keys_are_bounded(void **state)
{
    (void)state;
    char id[100];
    for (unsigned i = 1; i <= 10 * METRICS_KEYS_MAX; i++) {
        (void)snprintf(id, sizeof id, "es1-%u", i);
        metrics_decrypt(metrics, bytes_of_text(id), "retired", i);
    }
    (void)snprintf(id, sizeof id, "es1-%u", 10 * METRICS_KEYS_MAX);
    assert_int_equal(metrics_key_use(metrics, id).decrypts, 1);
    (void)snprintf(id, sizeof id, "es1-%u", 9 * METRICS_KEYS_MAX + 1);
    assert_int_equal(metrics_key_use(metrics, id).decrypts, 1);
    assert_int_equal(metrics_key_use(metrics, "es1-1").decrypts, 0);
    memset(id, 'x', sizeof id);
    id[sizeof id - 1] = 0;
    metrics_decrypt(metrics, bytes_of_text(id), "retired", 1);
    metrics_decrypt(metrics, bytes_of_text(""), "retired", 1);
    assert_int_equal(metrics_key_use(metrics, id).decrypts, 0);
    render();
    unsigned lines = 0;
    for (const char *at = shown; (at = strstr(at, "\netcdseal_decrypts_total{")) != NULL; at++) {
        lines++;
    }
    assert_int_equal(lines, METRICS_KEYS_MAX);
}

/* Whoever may call Decrypt can name every tombstone; the use of live keys is not forgotten by it.
 */
static void test_destroyed_keys_give_way_first(void **state)
{
    (void)state;
    char id[64];
    metrics_decrypt(metrics, bytes_of_text("es1-live"), "retired", 1);
    for (unsigned i = 0; i < 3 * METRICS_KEYS_MAX; i++) {
        (void)snprintf(id, sizeof id, "es1-gone-%u", i);
        metrics_decrypt(metrics, bytes_of_text(id), "destroyed", 1000 + i);
    }
    assert_int_equal(metrics_key_use(metrics, "es1-live").decrypts, 1);
    assert_int_equal(metrics_key_use(metrics, id).decrypts, 1);
    for (unsigned i = 0; i < METRICS_KEYS_MAX - 1; i++) {
        (void)snprintf(id, sizeof id, "es1-%u", i);
        metrics_decrypt(metrics, bytes_of_text(id), "retired", 2);
    }
    assert_int_equal(metrics_key_use(metrics, "es1-live").decrypts, 1);
}

static void test_the_fullest_text_fits(void **state)
{
    (void)state;
    static const char *const states[] = {
        "staged", "primary", "retired", "disabled", "destroy-scheduled", "destroyed", "other"};
    char id[64];
    memset(id, 'i', sizeof id);
    id[sizeof id - 1] = 0;
    for (unsigned k = 0; k < METRICS_KEYS_MAX; k++) {
        (void)snprintf(id, 4, "%03u", k);
        id[3] = 'i';
        for (size_t s = 0; s < ARRAY_LEN(states); s++) {
            metrics_decrypt(metrics, bytes_of_text(id), states[s], k + 1);
        }
    }
    for (size_t m = 0; m <= KMS_METHOD_COUNT; m++) {
        for (int status = 0; status < 17; status++) {
            metrics_request_refused(metrics, m, status);
        }
    }
    memcpy(info.current_key_id, id, sizeof id);
    memcpy(info.store_id, id, sizeof id);
    info.is_serving = true;
    info.primary_created_at_s = info.primary_promoted_at_s = UINT64_MAX;
    info.backup = (struct provider_backup){.generation = UINT64_MAX, .at_s = UINT64_MAX};
    info.key_count = PROVIDER_INFO_KEYS; /* others than those that were counted */
    for (size_t k = 0; k < PROVIDER_INFO_KEYS; k++) {
        info.keys[k].state = "destroy-scheduled";
        memset(info.keys[k].id, 'j', sizeof info.keys[k].id - 1);
    }
    view.process = (struct process_figures){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
                                            UINT64_MAX, UINT64_MAX, UINT64_MAX};
    render();
    assert_true(text.len > 40000);
    text.len = 0;
    text.max = 1000;
    assert_refused(&e, KERR_LIMIT, "", metrics_text(metrics, &view, &text, &e));
}

/* The rules of the text format that a parser relies on: HELP and TYPE before the samples of their
 * name, each name once, names of the allowed characters, the last line ended. */
static void check_line(const char *line, char *family, size_t size)
{
    if (strncmp(line, "# HELP ", 7) == 0) {
        size_t len = strcspn(line + 7, " ");
        assert_true(len < size);
        memcpy(family, line + 7, len);
        family[len] = 0;
        char again[300];
        (void)snprintf(again, sizeof again, "# HELP %s ", family);
        const char *first = strstr(shown, again);
        assert_null(strstr(first + 1, again));
        return;
    }
    if (*line == '#') {
        assert_int_equal(strncmp(line, "# TYPE ", 7), 0);
        assert_int_equal(strncmp(line + 7, family, strlen(family)), 0);
        return;
    }
    assert_int_equal(strncmp(line, family, strlen(family)), 0);
    size_t name = strcspn(line, "{ ");
    for (size_t i = 0; i < name; i++) {
        assert_true(islower((unsigned char)line[i]) || line[i] == '_');
    }
    const char *value = strrchr(line, ' ');
    assert_non_null(value);
    char *end = NULL;
    (void)strtod(value + 1, &end);
    assert_true(end != value + 1 && *end == 0);
}

static void test_format(void **state)
{
    (void)state;
    metrics_decrypt(metrics, bytes_of_text("a"), "primary", 100);
    (void)snprintf(info.current_key_id, sizeof info.current_key_id, "es1-abc");
    process_figures_get(&view.process);
    render();
    assert_true(text.len > 0 && shown[text.len - 1] == '\n');
    char *copy = strdup(shown);
    char family[128] = "";
    char *rest = copy;
    for (char *line = strsep(&rest, "\n"); rest != NULL; line = strsep(&rest, "\n")) {
        assert_true(*line != 0);
        check_line(line, family, sizeof family);
    }
    free(copy);
}

static void test_names_of_labels(void **state)
{
    (void)state;
    for (int r = 0; r < METRICS_REFUSED_COUNT; r++) {
        assert_non_null(metrics_refusal_name((enum metrics_refusal)r));
    }
    for (int r = 0; r < RELOAD_REASON_COUNT; r++) {
        assert_non_null(reload_reason_name((enum reload_reason)r));
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_fresh_daemon),
        TEST(test_requests),
        TEST(test_keystore),
        TEST(test_a_key_service),
        TEST(test_ages_and_backup),
        TEST(test_decrypts_begin_at_zero),
        TEST(test_decrypts_by_key),
        TEST(test_keys_are_bounded),
        TEST(test_destroyed_keys_give_way_first),
        TEST(test_the_fullest_text_fits),
        TEST(test_format),
        TEST(test_names_of_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
