/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lock around plain counters: it is taken twice for each call and never held for long, and a
 * reader sees numbers that fit together.
 */
#include "plugin/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kms/kms.h"
#include "plugin/methods.h"

#define STATUS_COUNT METHOD_STATUS_COUNT
#define METHOD_OTHER KMS_METHOD_COUNT
#define METHOD_ROWS  (KMS_METHOD_COUNT + 1)

static const char *const refusal_names[METRICS_REFUSED_COUNT] = {
    [METRICS_REFUSED_PEER] = "peer",          [METRICS_REFUSED_FULL] = "full",
    [METRICS_REFUSED_GARBAGE] = "not_http2",  [METRICS_REFUSED_SILENT] = "no_preface",
    [METRICS_REFUSED_ERROR] = "system_error",
};

static const char *const reason_names[RELOAD_REASON_COUNT] = {
    [RELOAD_POLL] = "poll",     [RELOAD_RETRY] = "retry", [RELOAD_WATCH] = "watch",
    [RELOAD_SIGNAL] = "signal", [RELOAD_START] = "start",
};

static const char *const result_names[RELOAD_RESULT_COUNT] = {
    [RELOAD_UNCHANGED] = "unchanged",
    [RELOAD_CHANGED] = "changed",
    [RELOAD_FAILED] = "failed",
};

/* Key states, as providers name them; the last row takes any other. */
static const char *const state_names[] = {
    "staged", "primary", "retired", "disabled", "destroy-scheduled", "destroyed", "other",
};
#define STATE_COUNT     ARRAY_LEN(state_names)
#define STATE_DESTROYED 5 /* its row above */

/* Upper ends in µs: a local wrap takes about 50 µs, a healthy remote one 5 to 50 ms, and
 * kube-apiserver gives up after 3 s. */
static const uint64_t bucket_us[] = {50,    100,   250,    500,    1000,   2500,    5000,   10000,
                                     25000, 50000, 100000, 250000, 500000, 1000000, 3000000};
#define BUCKET_COUNT ARRAY_LEN(bucket_us)

struct histogram {
    uint64_t counts[BUCKET_COUNT + 1];
    uint64_t sum_ns;
};

struct key_row {
    char id[sizeof((struct provider_key){.state = NULL}).id];
    uint64_t by_state[STATE_COUNT];
    uint64_t last_s;
};

struct metrics {
    pthread_mutex_t lock;
    uint64_t requests[METHOD_ROWS][STATUS_COUNT];
    struct histogram durations[KMS_METHOD_COUNT];
    struct key_row keys[METRICS_KEYS_MAX];
    uint64_t auditor_unwrapped;
    uint64_t auditor_refused;
    uint64_t refused[METRICS_REFUSED_COUNT];
    uint64_t reloads[RELOAD_REASON_COUNT][RELOAD_RESULT_COUNT];
};

const char *metrics_refusal_name(enum metrics_refusal r)
{
    return refusal_names[r];
}

const char *reload_reason_name(enum reload_reason r)
{
    return reason_names[r];
}

enum kerr metrics_new(struct metrics **ret, struct kerrinfo *e)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for metrics");
    }
    (void)pthread_mutex_init(&m->lock, NULL);
    *ret = m;
    return KERR_OK;
}

void metrics_free(struct metrics *m)
{
    if (m != NULL) {
        (void)pthread_mutex_destroy(&m->lock);
        free(m);
    }
}

static void count_request(struct metrics *m, size_t method, int status)
{
    size_t row = method < KMS_METHOD_COUNT ? method : METHOD_OTHER;
    size_t code = status >= 0 && status < STATUS_COUNT ? (size_t)status : 2;
    m->requests[row][code]++;
}

void metrics_request(struct metrics *m, enum kms_method method, int status, uint64_t took_ns)
{
    size_t at = 0;
    while (at < BUCKET_COUNT && took_ns > bucket_us[at] * 1000) {
        at++;
    }
    (void)pthread_mutex_lock(&m->lock);
    count_request(m, method, status);
    m->durations[method].counts[at]++;
    m->durations[method].sum_ns += took_ns;
    (void)pthread_mutex_unlock(&m->lock);
}

void metrics_request_refused(struct metrics *m, size_t method, int status)
{
    (void)pthread_mutex_lock(&m->lock);
    count_request(m, method, status);
    (void)pthread_mutex_unlock(&m->lock);
}

static bool is_row_of(const struct key_row *row, struct bytes key_id)
{
    return key_id.len > 0 && bytes_equal_text(key_id, row->id);
}

/* Whether the key may still be needed: what is destroyed only refuses. */
static bool is_live(const struct key_row *row)
{
    uint64_t uses = 0;
    for (size_t s = 0; s < STATE_COUNT; s++) {
        uses += s == STATE_DESTROYED ? 0 : row->by_state[s];
    }
    return uses > 0;
}

static bool gives_way_before(const struct key_row *a, const struct key_row *b)
{
    return is_live(a) == is_live(b) ? a->last_s < b->last_s : is_live(b);
}

/* The key's row; else a free one or that of the key that is needed least, emptied. */
static struct key_row *row_for(struct metrics *m, struct bytes key_id)
{
    struct key_row *oldest = &m->keys[0];
    for (size_t i = 0; i < METRICS_KEYS_MAX; i++) {
        if (is_row_of(&m->keys[i], key_id)) {
            return &m->keys[i];
        }
        if (gives_way_before(&m->keys[i], oldest)) {
            oldest = &m->keys[i];
        }
    }
    *oldest = (struct key_row){.last_s = 0};
    memcpy(oldest->id, key_id.ptr, key_id.len);
    return oldest;
}

static size_t state_index(const char *state)
{
    for (size_t i = 0; i + 1 < STATE_COUNT; i++) {
        if (strcmp(state, state_names[i]) == 0) {
            return i;
        }
    }
    return STATE_COUNT - 1;
}

void metrics_decrypt(struct metrics *m, struct bytes key_id, const char *state, uint64_t now_s)
{
    if (key_id.len == 0 || key_id.len >= sizeof m->keys[0].id) {
        return; /* no key of the keystore has such an id */
    }
    (void)pthread_mutex_lock(&m->lock);
    struct key_row *row = row_for(m, key_id);
    row->by_state[state_index(state)]++;
    row->last_s = now_s > row->last_s ? now_s : row->last_s; /* wall clocks step back */
    (void)pthread_mutex_unlock(&m->lock);
}

void metrics_auditor(struct metrics *m, bool is_unwrapped)
{
    (void)pthread_mutex_lock(&m->lock);
    m->auditor_unwrapped += is_unwrapped;
    m->auditor_refused += !is_unwrapped;
    (void)pthread_mutex_unlock(&m->lock);
}

void metrics_refused(struct metrics *m, enum metrics_refusal r)
{
    (void)pthread_mutex_lock(&m->lock);
    m->refused[r]++;
    (void)pthread_mutex_unlock(&m->lock);
}

void metrics_reload(struct metrics *m, enum reload_reason reason, enum reload_result result)
{
    (void)pthread_mutex_lock(&m->lock);
    m->reloads[reason][result]++;
    (void)pthread_mutex_unlock(&m->lock);
}

struct metrics_key_use metrics_key_use(struct metrics *m, const char *key_id)
{
    struct metrics_key_use use = {0};
    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < METRICS_KEYS_MAX; i++) {
        if (is_row_of(&m->keys[i], bytes_of_text(key_id))) {
            for (size_t s = 0; s < STATE_COUNT; s++) {
                use.decrypts += m->keys[i].by_state[s];
            }
            use.last_s = m->keys[i].last_s;
        }
    }
    (void)pthread_mutex_unlock(&m->lock);
    return use;
}

/* Collects text; after a failure it does nothing more. */
struct out {
    struct buf *to;
    struct kerrinfo *e;
    enum kerr k;
};

#define PUT(o, ...)                                                                                \
    do {                                                                                           \
        if ((o)->k == KERR_OK) {                                                                   \
            (o)->k = buf_printf((o)->to, (o)->e, __VA_ARGS__);                                     \
        }                                                                                          \
    } while (0)

#define U64(v) ((unsigned long long)(v))

static void put_head(struct out *o, const char *name, const char *type, const char *help)
{
    PUT(o, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const char *method_label(size_t row)
{
    return row < KMS_METHOD_COUNT ? methods[row].name : "other";
}

static void put_requests(struct out *o, const struct metrics *m)
{
    put_head(o, "etcdseal_requests_total", "counter",
             "KMS calls answered, by method and gRPC status.");
    for (size_t r = 0; r < METHOD_ROWS; r++) {
        for (size_t c = 0; c < STATUS_COUNT; c++) {
            /* Successes from the start on, so that rates work; of the failures those that were
             * seen. */
            if (m->requests[r][c] > 0 || (c == 0 && r < KMS_METHOD_COUNT)) {
                PUT(o, "etcdseal_requests_total{method=\"%s\",code=\"%s\"} %llu\n", method_label(r),
                    method_status_name((int)c), U64(m->requests[r][c]));
            }
        }
    }
}

static void put_durations(struct out *o, const struct metrics *m)
{
    static const char name[] = "etcdseal_request_duration_seconds";
    put_head(o, name, "histogram", "Time from a call's arrival in the daemon to its answer.");
    for (size_t r = 0; r < KMS_METHOD_COUNT; r++) {
        const struct histogram *h = &m->durations[r];
        const char *method = method_label(r);
        uint64_t sum = 0;
        for (size_t b = 0; b < BUCKET_COUNT; b++) {
            sum += h->counts[b];
            PUT(o, "%s_bucket{method=\"%s\",le=\"%g\"} %llu\n", name, method,
                (double)bucket_us[b] / 1e6, U64(sum));
        }
        sum += h->counts[BUCKET_COUNT];
        PUT(o, "%s_bucket{method=\"%s\",le=\"+Inf\"} %llu\n", name, method, U64(sum));
        PUT(o, "%s_sum{method=\"%s\"} %.9f\n", name, method, (double)h->sum_ns / 1e9);
        PUT(o, "%s_count{method=\"%s\"} %llu\n", name, method, U64(sum));
    }
}

static void put_decrypt_row(struct out *o, const char *key_id, const char *state, uint64_t count)
{
    char hash[KMS_KEY_ID_HASH_BYTES];
    kms_key_id_hash(bytes_of_text(key_id), hash);
    PUT(o, "etcdseal_decrypts_total{key_id_hash=\"%s\",state=\"%s\"} %llu\n", hash, state,
        U64(count));
}

static bool is_counted(const struct metrics *m, const struct provider_key *key)
{
    size_t state = state_index(key->state);
    for (size_t i = 0; i < METRICS_KEYS_MAX; i++) {
        if (is_row_of(&m->keys[i], bytes_of_text(key->id))) {
            return m->keys[i].by_state[state] > 0;
        }
    }
    return false;
}

/* Keys of the keystore that were not asked for stand at 0, so that the first time one is, a rate
 * over it sees that: kube-apiserver may ask but once. */
static void put_decrypts(struct out *o, const struct metrics *m, const struct provider_info *p)
{
    put_head(o, "etcdseal_decrypts_total", "counter",
             "Decrypt calls by hashed id of the key that they named and its state; a disabled or "
             "destroyed key refuses.");
    for (size_t i = 0; i < METRICS_KEYS_MAX; i++) {
        const struct key_row *row = &m->keys[i];
        for (size_t s = 0; s < STATE_COUNT; s++) {
            if (row->by_state[s] > 0) {
                put_decrypt_row(o, row->id, state_names[s], row->by_state[s]);
            }
        }
    }
    for (size_t i = 0; i < p->key_count && i < PROVIDER_INFO_KEYS; i++) {
        const struct provider_key *key = &p->keys[i];
        if (!is_counted(m, key)) {
            put_decrypt_row(o, key->id, state_names[state_index(key->state)], 0);
        }
    }
}

static void put_auditors(struct out *o, const struct metrics *m)
{
    static const char name[] = "etcdseal_auditor_decrypts_total";
    put_head(o, name, "counter",
             "Decrypt calls of peers that are auditors and not kube-apiserver, by how they ended.");
    PUT(o, "%s{result=\"unwrapped\"} %llu\n", name, U64(m->auditor_unwrapped));
    PUT(o, "%s{result=\"refused\"} %llu\n", name, U64(m->auditor_refused));
}

static void put_warning(struct out *o, const struct metrics_view *v)
{
    put_head(o, "etcdseal_keystore_warning", "gauge",
             "1 if keys are served but the keystore needs a person; the status page says why.");
    PUT(o, "etcdseal_keystore_warning %d\n", *v->provider->warning != 0);
}

static void put_reloads(struct out *o, const struct metrics *m, const struct metrics_view *v)
{
    put_head(o, "etcdseal_reloads_total", "counter",
             "Looks at the keystore and the configuration, by what caused them and how they "
             "ended.");
    for (size_t r = 0; r < RELOAD_REASON_COUNT; r++) {
        for (size_t s = 0; s < RELOAD_RESULT_COUNT; s++) {
            PUT(o, "etcdseal_reloads_total{result=\"%s\",reason=\"%s\"} %llu\n", result_names[s],
                reason_names[r], U64(m->reloads[r][s]));
        }
    }
    put_head(o, "etcdseal_last_reload_success", "gauge",
             "1 if the last look at the keystore and the configuration succeeded.");
    PUT(o, "etcdseal_last_reload_success %d\n", v->is_last_reload_ok);
    put_head(o, "etcdseal_last_reload_timestamp_seconds", "gauge",
             "Unix time at which the last look ended.");
    PUT(o, "etcdseal_last_reload_timestamp_seconds %llu\n", U64(v->last_reload_s));
    put_head(o, "etcdseal_restart_needed", "gauge",
             "1 if the configuration file has changes that only a restart takes up.");
    PUT(o, "etcdseal_restart_needed %d\n", v->is_restart_needed);
}

static void put_connections(struct out *o, const struct metrics *m, const struct metrics_view *v)
{
    put_head(o, "etcdseal_refused_connections_total", "counter",
             "Connections closed before they reached the gRPC library.");
    for (size_t r = 0; r < METRICS_REFUSED_COUNT; r++) {
        PUT(o, "etcdseal_refused_connections_total{reason=\"%s\"} %llu\n", refusal_names[r],
            U64(m->refused[r]));
    }
    put_head(o, "etcdseal_connections", "gauge", "Connections to the KMS socket.");
    PUT(o, "etcdseal_connections{state=\"waiting\"} %zu\n", v->connections_waiting);
    PUT(o, "etcdseal_connections{state=\"open\"} %zu\n", v->connections_open);
}

static void put_keystore(struct out *o, const struct metrics_view *v)
{
    const struct provider_info *p = v->provider;
    put_head(o, "etcdseal_sealed", "gauge", "1 while no key can be used.");
    PUT(o, "etcdseal_sealed %d\n", !p->is_serving);
    put_head(o, "etcdseal_keystore_generation", "gauge",
             "Generation of the keystore that is served; 0 while sealed. Of a key service: the "
             "version of the key.");
    PUT(o, "etcdseal_keystore_generation %llu\n", U64(p->generation));
    put_head(o, "etcdseal_current_key_id_hash", "gauge",
             "Always 1; the label is the primary key's id, hashed as kube-apiserver does.");
    if (*p->current_key_id != 0) {
        char hash[KMS_KEY_ID_HASH_BYTES];
        kms_key_id_hash(bytes_of_text(p->current_key_id), hash);
        PUT(o, "etcdseal_current_key_id_hash{key_id_hash=\"%s\"} 1\n", hash);
    }
    put_head(
        o, "etcdseal_keystore_info", "gauge",
        "Always 1; the label is the id of the keystore, or the cluster id of a key service: the "
        "same on all nodes.");
    if (*p->store_id != 0) {
        PUT(o, "etcdseal_keystore_info{store_id=\"%s\"} 1\n", p->store_id);
    }
}

/* A time that is not known is left out: 0 would look like a key of 1970. */
static void put_time(struct out *o, const char *name, const char *help, uint64_t at_s)
{
    put_head(o, name, "gauge", help);
    if (at_s != 0) {
        PUT(o, "%s %llu\n", name, U64(at_s));
    }
}

static void put_primary(struct out *o, const struct provider_info *p)
{
    put_time(o, "etcdseal_primary_key_created_timestamp_seconds",
             "Unix time at which the primary key was made.", p->primary_created_at_s);
    put_time(o, "etcdseal_primary_key_promoted_timestamp_seconds",
             "Unix time from which the primary key wraps.", p->primary_promoted_at_s);
}

static void put_backup(struct out *o, const struct provider_info *p)
{
    put_head(o, "etcdseal_keystore_backup_generation", "gauge",
             "Generation of the keystore's last backup that this node knows of; 0 for none.");
    if (p->keeps_backup) {
        PUT(o, "etcdseal_keystore_backup_generation %llu\n", U64(p->backup.generation));
    }
    put_time(o, "etcdseal_keystore_backup_timestamp_seconds",
             "Unix time of the last backup that this node knows of.", p->backup.at_s);
    put_head(o, "etcdseal_keystore_keys_without_backup", "gauge",
             "Keys of the keystore that are not in the last backup that this node knows of.");
    if (p->keeps_backup) {
        PUT(o, "etcdseal_keystore_keys_without_backup %zu\n", p->backup.keys_missing);
    }
}

static void put_number(struct out *o, const char *name, const char *type, const char *help,
                       uint64_t value)
{
    put_head(o, name, type, help);
    PUT(o, "%s %llu\n", name, U64(value));
}

static void put_link(struct out *o, const struct provider_remote *r)
{
    put_head(
        o, "etcdseal_key_service_state", "gauge",
        "Always 1; the labels are how it stands with the key service (starting, serving, grace, "
        "stopped) and the cause of the last failure.");
    PUT(o, "etcdseal_key_service_state{state=\"%s\",cause=\"%s\"} 1\n", r->state, r->cause);
    put_head(o, "etcdseal_key_service_login", "gauge",
             "Always 1; the label is why the last login or renewal failed, or none.");
    PUT(o, "etcdseal_key_service_login{cause=\"%s\"} 1\n", r->login_cause);
    put_time(o, "etcdseal_key_service_last_success_timestamp_seconds",
             "Unix time of the last look at the key service that found all in order.",
             r->last_answer_s);
    put_time(o, "etcdseal_key_service_grace_end_timestamp_seconds",
             "Unix time at which what is in memory ends to serve; only during an outage.",
             r->grace_ends_s);
    put_time(o, "etcdseal_key_service_token_expiry_timestamp_seconds",
             "Unix time at which the token ends unless it is renewed.", r->token_ends_at_s);
}

static void put_key_service(struct out *o, const struct provider_remote *r)
{
    if (!r->is_there) {
        return;
    }
    put_link(o, r);
    put_number(o, "etcdseal_key_service_key_version", "gauge",
               "Version of the key that wraps; 0 while none does.", r->version);
    put_number(o, "etcdseal_key_service_pending_version", "gauge",
               "Version that is known and not yet used; 0 for none.", r->pending_version);
    put_number(o, "etcdseal_key_service_requests_total", "counter",
               "Requests sent to the key service.", r->calls);
    put_number(o, "etcdseal_key_service_failures_total", "counter",
               "Requests that had no usable answer.", r->failures);
    put_number(o, "etcdseal_key_service_logins_total", "counter", "Logins.", r->logins);
    put_number(o, "etcdseal_key_service_renewals_total", "counter", "Renewals of the token.",
               r->renewals);
    put_number(o, "etcdseal_key_service_keks", "gauge", "Unwrapped KEKs in memory.",
               r->keks_cached);
    put_number(o, "etcdseal_key_service_kek_uses", "gauge",
               "Encrypt calls under the KEK that wraps, about.", r->kek_uses);
    put_time(o, "etcdseal_key_service_kek_created_timestamp_seconds",
             "Unix time at which the KEK that wraps was made.", r->kek_made_at_s);
    put_number(o, "etcdseal_key_service_annotations_refused_total", "counter",
               "Annotations refused without asking the key service.", r->unknown_refused);
}

static void put_daemon(struct out *o, const struct metrics_view *v)
{
    put_head(o, "etcdseal_build_info", "gauge", "Always 1; the label is the version.");
    PUT(o, "etcdseal_build_info{version=\"%s\"} 1\n", ETCDSEAL_VERSION);
    put_head(o, "etcdseal_memory_lock_info", "gauge",
             "Always 1; the label is the policy for memory that cannot be locked.");
    PUT(o, "etcdseal_memory_lock_info{policy=\"%s\"} 1\n",
        v->is_lock_strict ? "strict" : "best-effort");
    put_head(o, "etcdseal_unlocked_secrets_total", "counter",
             "Secrets whose memory could not be locked.");
    PUT(o, "etcdseal_unlocked_secrets_total %llu\n", U64(v->unlocked_secrets));
}

static void put_process(struct out *o, const struct metrics_view *v)
{
    const struct process_figures *p = &v->process;
    put_head(o, "process_cpu_seconds_total", "counter", "User and system CPU time.");
    PUT(o, "process_cpu_seconds_total %.6f\n", (double)p->cpu_us / 1e6);
    put_head(o, "process_resident_memory_bytes", "gauge", "Resident memory.");
    PUT(o, "process_resident_memory_bytes %llu\n", U64(p->resident_bytes));
    put_head(o, "process_virtual_memory_bytes", "gauge", "Virtual memory.");
    PUT(o, "process_virtual_memory_bytes %llu\n", U64(p->virtual_bytes));
    put_head(o, "process_locked_memory_bytes", "gauge", "Memory that is locked.");
    PUT(o, "process_locked_memory_bytes %llu\n", U64(p->locked_bytes));
    put_head(o, "process_open_fds", "gauge", "Open file descriptors.");
    PUT(o, "process_open_fds %llu\n", U64(p->open_fds));
    put_head(o, "process_max_fds", "gauge", "Limit of open file descriptors.");
    PUT(o, "process_max_fds %llu\n", U64(p->max_fds));
    put_head(o, "process_threads", "gauge", "Threads.");
    PUT(o, "process_threads %llu\n", U64(p->threads));
    put_head(o, "process_start_time_seconds", "gauge", "Unix time of the start.");
    PUT(o, "process_start_time_seconds %llu\n", U64(v->started_at_s));
}

enum kerr metrics_text(struct metrics *m, const struct metrics_view *v, struct buf *ret,
                       struct kerrinfo *e)
{
    struct out o = {.to = ret, .e = e};
    (void)pthread_mutex_lock(&m->lock);
    put_requests(&o, m);
    put_durations(&o, m);
    put_decrypts(&o, m, v->provider);
    put_auditors(&o, m);
    put_reloads(&o, m, v);
    put_warning(&o, v);
    put_connections(&o, m, v);
    (void)pthread_mutex_unlock(&m->lock);
    put_keystore(&o, v);
    put_primary(&o, v->provider);
    put_backup(&o, v->provider);
    put_key_service(&o, &v->provider->remote);
    put_daemon(&o, v);
    put_process(&o, v);
    return o.k;
}
