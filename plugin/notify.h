/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd is told (sd_notify(3)). Does nothing without NOTIFY_SOCKET. One thread.
 */
#ifndef ETCDSEAL_PLUGIN_NOTIFY_H
#define ETCDSEAL_PLUGIN_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

void notify_ready(const char *status);     /* READY=1, STATUS= */
void notify_status(const char *status);    /* STATUS= */
void notify_reloading(const char *status); /* RELOADING=1; notify_ready ends it */
void notify_stopping(void);
void notify_watchdog(void); /* WATCHDOG=1 */
/* Interval in which systemd wants to hear the watchdog, halved as it advises; 0: none wanted. */
uint64_t notify_watchdog_ms(void);

#endif
