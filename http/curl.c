/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when the first client is made: it brings some twenty libraries, which cost each
 * start of a daemon that asks nobody 3 ms and 2 MiB. The functions here have its names, so that the
 * other files of this room use its header and the compiler checks of its macros as if it were
 * linked.
 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/wiped.h"
#include "http/http_pool.h"

#define LIBRARY "libcurl.so.4" /* its name since 2006; never another one without a new API */

#undef curl_easy_setopt
#undef curl_easy_getinfo

/* One row for each function: result, name, parameters. */
#define FUNCTIONS(F)                                                                               \
    F(CURLcode, curl_global_init_mem,                                                              \
      (long, curl_malloc_callback, curl_free_callback, curl_realloc_callback,                      \
       curl_strdup_callback, curl_calloc_callback))                                                \
    F(CURL *, curl_easy_init, (void))                                                              \
    F(void, curl_easy_cleanup, (CURL *))                                                           \
    F(void, curl_easy_reset, (CURL *))                                                             \
    F(CURLcode, curl_easy_setopt, (CURL *, CURLoption, ...))                                       \
    F(CURLcode, curl_easy_getinfo, (CURL *, CURLINFO, ...))                                        \
    F(CURLcode, curl_easy_perform, (CURL *))                                                       \
    F(const char *, curl_easy_strerror, (CURLcode))

static struct {
#define MEMBER(result, name, parameters) result(*name) parameters;
    FUNCTIONS(MEMBER)
#undef MEMBER
} lib;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_loaded;
static char problem[256];

/* dlsym gives an object pointer; POSIX promises that it holds a function's address. */
#define LOAD(result, name, parameters)                                                             \
    *(void **)&lib.name = dlsym(handle, #name);                                                    \
    is_whole = is_whole && lib.name != NULL;

static void load(void)
{
    bool is_whole = true;
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (handle != NULL) {
        FUNCTIONS(LOAD)
    }
    is_loaded = handle != NULL && is_whole &&
                lib.curl_global_init_mem(CURL_GLOBAL_DEFAULT, wiped_malloc, wiped_free,
                                         wiped_realloc, wiped_strdup, wiped_calloc) == CURLE_OK;
    const char *why = is_loaded ? NULL : dlerror();
    (void)snprintf(problem, sizeof problem, "%s", why == NULL ? "it does not start" : why);
}

enum kerr http_load(struct kerrinfo *e)
{
    (void)pthread_once(&once, load);
    return is_loaded ? KERR_OK
                     : kerr_set(e, KERR_UNSUP, "no HTTP: %s: %s; install it (Debian: libcurl4)",
                                LIBRARY, problem);
}

CURL *curl_easy_init(void)
{
    return lib.curl_easy_init();
}

void curl_easy_cleanup(CURL *c)
{
    lib.curl_easy_cleanup(c);
}

void curl_easy_reset(CURL *c)
{
    lib.curl_easy_reset(c);
}

/* What follows an option tells its number (curl.h, CURLOPTTYPE_*): a long below 10000, else a
 * pointer; none of ours is a curl_off_t (30000 on) or a blob. */
CURLcode curl_easy_setopt(CURL *c, CURLoption option, ...)
{
    va_list args;
    CURLcode rc;
    va_start(args, option);
    if (option < CURLOPTTYPE_OBJECTPOINT) {
        rc = lib.curl_easy_setopt(c, option, va_arg(args, long));
    } else {
        rc = lib.curl_easy_setopt(c, option, va_arg(args, void *));
    }
    va_end(args);
    return rc;
}

CURLcode curl_easy_getinfo(CURL *c, CURLINFO info, ...)
{
    va_list args;
    va_start(args, info);
    CURLcode rc = lib.curl_easy_getinfo(c, info, va_arg(args, void *));
    va_end(args);
    return rc;
}

CURLcode curl_easy_perform(CURL *c)
{
    return lib.curl_easy_perform(c);
}

const char *curl_easy_strerror(CURLcode code)
{
    return lib.curl_easy_strerror(code);
}
