/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that does what may take seconds: provider_refresh (a passphrase seal alone takes a
 * second and 256 MiB). It is asked, works, and posts a result; requests that come while it works
 * are joined into one more turn, under the highest of their reasons.
 *
 * The functions are for one thread, that of the control loop.
 */
#ifndef ETCDSEAL_PLUGIN_LOADER_H
#define ETCDSEAL_PLUGIN_LOADER_H

#include "plugin/metrics.h"
#include "provider/provider.h"

struct loader;

struct loader_result {
    enum reload_reason reason;
    enum reload_result result;
    struct kerrinfo cause; /* of a failure */
    uint64_t took_ms;
};

/* Starts the thread. The provider must outlive the loader. */
enum kerr loader_new(struct provider *p, struct loader **ret, struct kerrinfo *e) MUST_CHECK;
/* Readable while a result waits. */
int loader_fd(const struct loader *l);
void loader_ask(struct loader *l, enum reload_reason reason);
/* The next result; false when there is none. */
bool loader_take(struct loader *l, struct loader_result *ret);
/* Asks the thread to end and waits for it, at most `wait_ms`. Frees and gives true when it has
 * ended; false while it still works: it cannot be interrupted, the provider must stay open and the
 * program can only exit. NULL is fine. */
bool loader_stop(struct loader *l, unsigned wait_ms);

#endif
