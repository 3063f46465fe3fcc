/* SPDX-License-Identifier: Apache-2.0 */
/* What http.c and http_pool.c share. Private to http. */
#ifndef ETCDSEAL_HTTP_HTTP_POOL_H
#define ETCDSEAL_HTTP_HTTP_POOL_H

#include <curl/curl.h>
#include <pthread.h>

#include "base/file.h"
#include "http/http.h"

#define HTTP_FILES_COUNT 3

/* One libcurl handle with the connection that it keeps. */
struct http_handle {
    CURL *curl;
    uint64_t generation; /* of the files with which its connection was made */
    struct http_handle *next;
};

struct http_client {
    char *unix_path;
    char *files[HTTP_FILES_COUNT]; /* CA, certificate, key; NULL when there is none */
    bool allow_plain_secret;

    pthread_mutex_t lock; /* of what follows */
    struct file_stamp stamps[HTTP_FILES_COUNT];
    uint64_t generation; /* raised when a file has changed */
    struct http_handle *idle;
    size_t idle_count;
};

enum { HTTP_CA, HTTP_CERT, HTTP_KEY };

/* Loads libcurl, once; before any of its functions is called. UNSUP when it cannot be had. */
enum kerr http_load(struct kerrinfo *e) MUST_CHECK;

/* A handle with no option set, for the caller alone until it is given back. NOMEM. */
enum kerr http_take(struct http_client *c, struct http_handle **ret, struct kerrinfo *e) MUST_CHECK;
void http_give_back(struct http_client *c, struct http_handle *h);

#endif
