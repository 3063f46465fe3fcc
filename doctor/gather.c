/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "doctor/facts.h"

struct fact_file gather_file(struct facts *f, const char *path)
{
    struct fact_file file = {.path = texts_keep(&f->texts, bytes_of_text(path)), .why = ""};
    if (lstat(path, &file.st) == 0) {
        file.look = LOOK_DONE;
    } else if (errno != ENOENT && errno != ENOTDIR) {
        file.look = LOOK_FAILED;
        file.why = texts_printf(&f->texts, "cannot look at %s: %s", path, strerror(errno));
    }
    return file;
}

bool gather_is_process(const char *pid, const char *comm)
{
    char path[300];
    char name[32];
    (void)snprintf(path, sizeof path, "/proc/%s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool is_read = fgets(name, sizeof name, file) != NULL;
    (void)fclose(file);
    return is_read && strcmp(name, comm) == 0;
}

/* What timedatectl shows as "System clock synchronized" (adjtimex(2)): reading needs no right. */
static void gather_clock(struct facts *f)
{
    struct timex now = {.modes = 0};
    int state = adjtimex(&now);
    f->now_s = clock_wall_s();
    f->is_clock_known = state >= 0;
    f->is_clock_synchronised = state >= 0 && state != TIME_ERROR && (now.status & STA_UNSYNC) == 0;
}

enum kerr facts_gather(const struct doctor_question *q, struct facts *ret, struct kerrinfo *e)
{
    ret->q = q;
    ret->is_root = geteuid() == 0;
    gather_clock(ret);
    if (q->config_file != NULL) {
        ret->config = gather_file(ret, q->config_file);
    }
    ret->socket.path = q->config->socket_path;
    gather_units(ret);
    gather_keystore(ret);
    enum kerr k = gather_apiserver(ret, e);
    if (k != KERR_OK) {
        return k;
    }
    gather_socket(ret);
    gather_daemon(ret);
    return gather_answers(ret, e);
}

void facts_done(struct facts *f)
{
    apiserver_free(f->apiserver.file);
    apiserver_free(f->apiserver.process);
    encryption_config_free(f->apiserver.config);
    lint_free_at(&f->apiserver.lint);
    texts_done(&f->texts);
}

const struct apiserver_spec *facts_spec(const struct facts *f)
{
    return f->apiserver.file != NULL ? f->apiserver.file : f->apiserver.process;
}
