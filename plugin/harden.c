/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/harden.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

bool harden_allow_descriptors(unsigned long wanted)
{
    struct rlimit fds;
    if (getrlimit(RLIMIT_NOFILE, &fds) != 0 || fds.rlim_cur >= wanted) {
        return true;
    }
    fds.rlim_cur = wanted < fds.rlim_max ? wanted : fds.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &fds) == 0 && fds.rlim_cur >= wanted;
}

enum kerr harden_process(struct kerrinfo *e)
{
    (void)umask(077);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) {
        return kerr_errno(e, errno, "cannot switch off core dumps");
    }
#ifndef ETCDSEAL_SANITIZED
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return kerr_errno(e, errno, "cannot make the process undumpable");
    }
#endif
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return kerr_errno(e, errno, "cannot set no_new_privs");
    }
    /* Writing to a log reader or client that has gone is an error to handle, not a death. */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return kerr_errno(e, errno, "cannot ignore SIGPIPE");
    }
    return KERR_OK;
}
