/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon from its configuration to its end.
 *
 * Threads: the caller's runs the control loop (connections, signals, timers, HTTP); one runs the
 * rpc server and answers calls; one loads keys. SIGTERM and SIGINT end it: no new connections,
 * calls in flight have shutdown_grace, then keys are wiped. A second one ends it at once: the
 * kernel takes the memory, calls in flight are cut. SIGHUP reloads.
 */
#ifndef ETCDSEAL_PLUGIN_DAEMON_H
#define ETCDSEAL_PLUGIN_DAEMON_H

#include "config/config.h"

/* Takes `config`, which was read from its `file`. Blocks these signals, in this thread and those it
 * starts. KERR_OK after a stop that was asked for; CONFIG when the configuration cannot work here;
 * any other code: could not start, or had to give up. */
enum kerr daemon_run(struct config *config, struct kerrinfo *e) MUST_CHECK;

#endif
