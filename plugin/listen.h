/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening unix sockets: passed by systemd, or made by ourselves.
 *
 * Passed (the norm): each must be a listening stream socket whose path is exactly one of those that
 * the daemon is configured for. Nothing is probed and nothing removed: path, mode and owner belong
 * to the socket unit.
 *
 * Self-made (tests, hosts without systemd): a lock file PATH.lock first; a live listener is
 * refused by name; a stale socket is replaced; anything else in the place is refused and never
 * deleted. Owner and mode are right before the socket listens. At the end it is removed only if it
 * is still the one that was made.
 *
 * One thread. Codes: CONFIG for a path that cannot work, BUSY when somebody else has it, EXISTS
 * when something else lies there, DENIED, NOTFOUND, IO.
 */
#ifndef ETCDSEAL_PLUGIN_LISTEN_H
#define ETCDSEAL_PLUGIN_LISTEN_H

#include <sys/types.h>

#include "base/file.h"

/* struct sockaddr_un: 108 bytes with the terminator (unix(7)). */
#define LISTEN_PATH_MAX 107
/* Connections that may wait to be accepted; more than connections_max, so that a client sees a
 * refusal and not a queue. */
#define LISTEN_BACKLOG 128

struct listener {
    int fd;       /* non-blocking, listening; -1: none */
    bool is_ours; /* made here: removed at the end */
    char path[LISTEN_PATH_MAX + 1];
    int lock_fd;
    dev_t dev; /* of the socket file */
    ino_t ino;
};
#define LISTENER_NONE ((struct listener){.fd = -1, .lock_fd = -1})

/* What a self-made socket shall be. Names or numbers. */
struct listen_spec {
    const char *path;
    mode_t mode;
    const char *owner;
    const char *group;
};

/* CONFIG unless the path is absolute and short enough. */
enum kerr listen_check_path(const char *path, struct kerrinfo *e) MUST_CHECK;
/* Makes the socket and listens. Process-wide: changes the umask for a moment, so one thread only.
 */
enum kerr listen_self(const struct listen_spec *spec, struct listener *ret,
                      struct kerrinfo *e) MUST_CHECK;
/* Closes it; removes the file if it is ours and still there. LISTENER_NONE is fine. */
void listener_close(struct listener *l);

/* One row for each path that may be passed. */
struct listen_wanted {
    const char *path;
    struct listener *to; /* LISTENER_NONE; filled when the path was passed */
};

/* Takes the sockets that systemd passed (LISTEN_FDS) and clears those variables. *ret_passed: how
 * many there were; 0 without activation. CONFIG when one is of another kind or path, or comes
 * twice: both paths are named. */
enum kerr listen_activated(const struct listen_wanted *wanted, size_t count, size_t *ret_passed,
                           struct kerrinfo *e) MUST_CHECK;

#endif
