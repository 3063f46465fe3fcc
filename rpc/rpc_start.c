/* SPDX-License-Identifier: Apache-2.0 */
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/rpc.h"

#define VARIABLES "GRPC_"
/* Longest name that is removed; a longer one cannot be one of gRPC's. */
#define VARIABLE_NAME_MAX 128

/* The library's own lines are about what peers did, at their pace; clients that are refused are
 * reported by the server, servers that fail by the status. What it says before it aborts must not
 * be lost; as with assert(3) there is nobody left to return it to. */
static void hear_library(gpr_log_func_args *line)
{
    if (strncmp(line->message, "assertion failed", 16) == 0) {
        (void)dprintf(STDERR_FILENO, "%s:%d: %s\n", line->file, line->line, line->message);
    }
}

/* unsetenv moves the list, so each removal starts from its head again. */
static bool forget_one(void)
{
    for (char **p = environ; p != NULL && *p != NULL; p++) {
        size_t len = strcspn(*p, "=");
        if (strncmp(*p, VARIABLES, sizeof VARIABLES - 1) != 0 || len >= VARIABLE_NAME_MAX) {
            continue;
        }
        char name[VARIABLE_NAME_MAX];
        memcpy(name, *p, len);
        name[len] = 0;
        return unsetenv(name) == 0;
    }
    return false;
}

void rpc_start(void)
{
    while (forget_one()) {
    }
    gpr_set_log_function(hear_library);
    grpc_init();
}

void rpc_stop(void)
{
    grpc_shutdown();
}
