/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what concerns us of kube-apiserver's metrics page (Prometheus text format 0.0.4), piece by
 * piece, because the page of a big cluster has megabytes. Private to doctor. Pure.
 *
 * Family names and labels: k8s.io/apiserver pkg/storage/value/encrypt/envelope/metrics/metrics.go
 * and pkg/server/options/encryptionconfig/metrics/metrics.go.
 */
#ifndef ETCDSEAL_DOCTOR_METRICS_H
#define ETCDSEAL_DOCTOR_METRICS_H

#include "base/bytes.h"

#define METRICS_LINE_MAX      4096 /* bytes; longer lines are passed over */
#define METRICS_PROVIDERS_MAX 32
#define METRICS_NAME_MAX      253
#define METRICS_HASH_MAX      71 /* "sha256:" and 64 digits */

/* The key id that a provider's last Status gave. */
struct metrics_provider {
    char name[METRICS_NAME_MAX + 1];
    char hash[METRICS_HASH_MAX + 1];
    double at_s;
};

struct metrics {
    struct metrics_provider providers[METRICS_PROVIDERS_MAX];
    size_t provider_count;
    char config_hash[METRICS_HASH_MAX + 1]; /* of the EncryptionConfiguration in force; "" */
    char line[METRICS_LINE_MAX];
    size_t line_len;
    bool is_too_long;
};

/* Takes a piece; a line may be cut anywhere. */
void metrics_take(struct metrics *m, struct bytes piece);
/* The newest hash of a provider, or NULL. */
const struct metrics_provider *metrics_provider(const struct metrics *m, const char *name);

#endif
