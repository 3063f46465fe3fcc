/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a kube-apiserver is started: the same bytes as a manifest, as a file of k3s and as a command
 * line. Every value can be walked and has a place, and no message about a file of k3s holds a piece
 * of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/apiserver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(const struct apiserver_value *v, bool has_place)
{
    if (v->text != NULL && (strlen(v->text) > APISERVER_FILE_MAX || v->file == NULL ||
                            (has_place && (v->line == 0 || v->column == 0)))) {
        abort();
    }
}

static void walk(const struct apiserver_spec *s)
{
    bool has_place = s->source != APISERVER_PROCESS;
    for (size_t i = 0; i < s->flag_count; i++) {
        check_value(&s->flags[i].value, has_place);
        if (s->flags[i].value.text == NULL || apiserver_flag(s, s->flags[i].name) == NULL) {
            abort();
        }
    }
    for (size_t i = 0; i < s->mount_count; i++) {
        check_value(&s->mounts[i].inside, true);
        if (s->mounts[i].host == NULL) {
            abort();
        }
    }
    for (size_t i = 0; i < APISERVER_PROBE_COUNT; i++) {
        check_value(&s->probes[i], true);
    }
    check_value(&s->image, true);
    check_value(&s->secrets_encryption, true);
}

static void check(enum kerr k, const struct apiserver_spec *s, const struct kerrinfo *e)
{
    if (k == KERR_OK) {
        walk(s);
    } else if ((k != KERR_CONFIG && k != KERR_LIMIT) || e->text[0] == 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_SECRET text = NULL;
    AUTO_APISERVER manifest = NULL;
    AUTO_APISERVER rancher = NULL;
    AUTO_APISERVER words = NULL;
    struct kerrinfo e = {0};
    if (secret_start(SECRET_LOCK_BEST_EFFORT, NULL) != KERR_OK || size == 0 ||
        secret_from_bytes(bytes_of(data, size), &text, NULL) != KERR_OK) {
        return 0;
    }
    enum kerr k = apiserver_parse_manifest(secret_view(text), "F", &manifest, &e);
    check(k, manifest, &e);
    kerr_clear(&e);
    k = apiserver_parse_rancher(secret_view(text), "F", APISERVER_RKE2, &rancher, &e);
    check(k, rancher, &e);
    /* The seeds hold this word as key and value, where a message could show it. */
    if (strstr(e.text, "Zq9w") != NULL) {
        abort();
    }
    kerr_clear(&e);
    k = apiserver_read_words(secret_view(text), "F", &words, &e);
    check(k, words, &e);
    return 0;
}
