/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/metrics.h"

#include <stdlib.h>
#include <string.h>

static const char status_family[] =
    "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds{";
static const char config_family[] = "apiserver_encryption_config_controller_last_config_info{";

/* The value of label `name` in `labels` ("a=\"b\",c=\"d\"}…"). Values with escapes are not ours: no
 * provider name or hash has a quote or a backslash. */
static bool label(const char *labels, const char *name, char *to, size_t size)
{
    size_t len = strlen(name);
    for (const char *p = labels; *p != 0 && *p != '}';) {
        bool is_it = strncmp(p, name, len) == 0 && p[len] == '=' && p[len + 1] == '"';
        const char *open = strchr(p, '"');
        size_t value = open == NULL ? 0 : strcspn(open + 1, "\"\\");
        if (open == NULL || open[1 + value] != '"') {
            return false;
        }
        if (is_it && value < size) {
            memcpy(to, open + 1, value);
            to[value] = 0;
            return true;
        }
        p = open + 1 + value + 1;
        p += *p == ',';
    }
    return false;
}

static struct metrics_provider *slot_for(struct metrics *m, const char *name)
{
    for (size_t i = 0; i < m->provider_count; i++) {
        if (strcmp(m->providers[i].name, name) == 0) {
            return &m->providers[i];
        }
    }
    return m->provider_count < METRICS_PROVIDERS_MAX ? &m->providers[m->provider_count++] : NULL;
}

static void take_status(struct metrics *m, const char *labels)
{
    struct metrics_provider row = {.at_s = 0};
    const char *value = strstr(labels, "} ");
    if (value == NULL || !label(labels, "provider_name", row.name, sizeof row.name) ||
        !label(labels, "key_id_hash", row.hash, sizeof row.hash)) {
        return;
    }
    row.at_s = strtod(value + 2, NULL);
    struct metrics_provider *to = slot_for(m, row.name);
    if (to != NULL && (*to->name == 0 || row.at_s > to->at_s)) {
        *to = row;
    }
}

static void take_line(struct metrics *m)
{
    if (strncmp(m->line, status_family, strlen(status_family)) == 0) {
        take_status(m, m->line + strlen(status_family));
    } else if (strncmp(m->line, config_family, strlen(config_family)) == 0) {
        (void)label(m->line + strlen(config_family), "hash", m->config_hash, sizeof m->config_hash);
    }
}

void metrics_take(struct metrics *m, struct bytes piece)
{
    for (size_t i = 0; i < piece.len; i++) {
        char c = (char)piece.ptr[i];
        if (c == '\n') {
            m->line[m->line_len] = 0;
            if (!m->is_too_long) {
                take_line(m);
            }
            m->line_len = 0;
            m->is_too_long = false;
        } else if (m->line_len == METRICS_LINE_MAX - 1 || c == 0) {
            m->is_too_long = true;
        } else {
            m->line[m->line_len++] = c;
        }
    }
}

const struct metrics_provider *metrics_provider(const struct metrics *m, const char *name)
{
    for (size_t i = 0; i < m->provider_count; i++) {
        if (strcmp(m->providers[i].name, name) == 0) {
            return &m->providers[i];
        }
    }
    return NULL;
}
