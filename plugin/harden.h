/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process gives up before it reads its first file: core dumps, being looked at by other
 * processes (ptrace, /proc/PID/mem), privileges through execve, files readable by others.
 *
 * A build with a sanitizer stays dumpable, because LeakSanitizer attaches to its own process.
 *
 * System-call filter and Landlock rules belong where daemon_run calls nothing yet: behind the last
 * socket and before the first thread (plugin/README.md, "the place for a filter").
 */
#ifndef ETCDSEAL_PLUGIN_HARDEN_H
#define ETCDSEAL_PLUGIN_HARDEN_H

#include "base/kerr.h"

/* Once, first thing in main, while there is one thread. IO when the kernel refuses one of them. */
enum kerr harden_process(struct kerrinfo *e) MUST_CHECK;

/* Raises the soft limit of file descriptors to `wanted`, as far as the hard limit lets. False when
 * it stays below. */
bool harden_allow_descriptors(unsigned long wanted);

#endif
