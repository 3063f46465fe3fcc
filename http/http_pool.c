/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static enum kerr copy(const char *from, char **ret, struct kerrinfo *e)
{
    return from == NULL ? KERR_OK : text_dup(bytes_of_text(from), ret, e);
}

static enum kerr check(const struct http_setup *s, struct kerrinfo *e)
{
    if (s->unix_path != NULL &&
        (s->unix_path[0] != '/' || strlen(s->unix_path) > HTTP_UNIX_PATH_MAX)) {
        return kerr_set(e, KERR_INPUT,
                        "socket %.200s: expected an absolute path of at most %d bytes",
                        s->unix_path, HTTP_UNIX_PATH_MAX);
    }
    if ((s->cert_file == NULL) != (s->key_file == NULL)) {
        return kerr_set(e, KERR_INPUT,
                        "a client certificate needs its key, and a key its "
                        "certificate");
    }
    return KERR_OK;
}

enum kerr http_client_new(const struct http_setup *s, struct http_client **ret, struct kerrinfo *e)
{
    enum kerr k = check(s, e);
    if (k != KERR_OK) {
        return k;
    }
    k = http_load(e);
    if (k != KERR_OK) {
        return k;
    }
    AUTO_HTTP_CLIENT c = calloc(1, sizeof *c);
    if (c == NULL) {
        return kerr_set(e, KERR_NOMEM, "no memory for HTTP");
    }
    (void)pthread_mutex_init(&c->lock, NULL);
    c->allow_plain_secret = s->allow_plain_secret;
    k = copy(s->unix_path, &c->unix_path, e);
    k = k != KERR_OK ? k : copy(s->ca_file, &c->files[HTTP_CA], e);
    k = k != KERR_OK ? k : copy(s->cert_file, &c->files[HTTP_CERT], e);
    k = k != KERR_OK ? k : copy(s->key_file, &c->files[HTTP_KEY], e);
    if (k != KERR_OK) {
        return k;
    }
    *ret = c;
    c = NULL;
    return KERR_OK;
}

static void free_handles(struct http_handle *h)
{
    while (h != NULL) {
        struct http_handle *next = h->next;
        curl_easy_cleanup(h->curl);
        free(h);
        h = next;
    }
}

void http_client_free(struct http_client *c)
{
    if (c == NULL) {
        return;
    }
    free_handles(c->idle);
    (void)pthread_mutex_destroy(&c->lock);
    for (size_t i = 0; i < HTTP_FILES_COUNT; i++) {
        free(c->files[i]);
    }
    free(c->unix_path);
    free(c);
}

void http_client_free_at(struct http_client **c)
{
    http_client_free(*c);
    *c = NULL;
}

/* Takes an idle handle out, NULL when there is none; when a file has changed, all go to `old`. A
 * handle made now reads its files later than they were looked at: a change between the two is seen
 * at the next request. */
static struct http_handle *take_idle(struct http_client *c, uint64_t *ret_generation,
                                     struct http_handle **old)
{
    struct file_stamp now[HTTP_FILES_COUNT];
    bool is_changed = false;
    for (size_t i = 0; i < HTTP_FILES_COUNT; i++) {
        now[i] = file_stamp(c->files[i]);
    }
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < HTTP_FILES_COUNT; i++) {
        is_changed = is_changed || !file_stamp_equal(&now[i], &c->stamps[i]);
        c->stamps[i] = now[i];
    }
    if (is_changed) {
        c->generation++;
        *old = c->idle;
        c->idle = NULL;
        c->idle_count = 0;
    }
    struct http_handle *h = c->idle;
    if (h != NULL) {
        c->idle = h->next;
        c->idle_count--;
        h->next = NULL;
    }
    *ret_generation = c->generation;
    (void)pthread_mutex_unlock(&c->lock);
    return h;
}

enum kerr http_take(struct http_client *c, struct http_handle **ret, struct kerrinfo *e)
{
    struct http_handle *old = NULL;
    uint64_t generation = 0;
    struct http_handle *h = take_idle(c, &generation, &old);
    free_handles(old);
    if (h == NULL) {
        h = calloc(1, sizeof *h);
        CURL *curl = h == NULL ? NULL : curl_easy_init();
        if (curl == NULL) {
            free(h);
            return kerr_set(e, KERR_NOMEM, "no memory for HTTP");
        }
        *h = (struct http_handle){.curl = curl, .generation = generation};
    }
    *ret = h;
    return KERR_OK;
}

void http_give_back(struct http_client *c, struct http_handle *h)
{
    curl_easy_reset(h->curl); /* keeps the connection, forgets what pointed to the caller */
    (void)pthread_mutex_lock(&c->lock);
    bool is_kept = h->generation == c->generation && c->idle_count < HTTP_IDLE_MAX;
    if (is_kept) {
        h->next = c->idle;
        c->idle = h;
        c->idle_count++;
    }
    (void)pthread_mutex_unlock(&c->lock);
    if (!is_kept) {
        free_handles(h);
    }
}
