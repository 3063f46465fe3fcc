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
    gather_vault(ret);
    return gather_answers(ret, e);
}

void facts_done(struct facts *f)
{
    apiserver_free(f->apiserver.file);
    apiserver_free(f->apiserver.process);
    encryption_config_free(f->apiserver.config);
    lint_free_at(&f->apiserver.lint);
    vault_key_done(&f->vault.key);
    config_free(f->vault.owned);
    texts_done(&f->texts);
}

bool facts_has_keystore(const struct facts *f)
{
    const struct config *c = f->q->config;
    return c->provider == CONFIG_PROVIDER_LOCAL ||
           (c->also_unwrap & (1U << CONFIG_PROVIDER_LOCAL)) != 0;
}

bool facts_has_vault(const struct facts *f)
{
    return f->vault.config != NULL;
}

bool facts_has_vault_keys(const struct facts *f)
{
    return f->vault.config != NULL && f->vault.is_provider;
}

uid_t facts_daemon_uid(const struct facts *f, gid_t *ret_gid)
{
    const struct fact_file *state = &f->vault.files[0];
    const struct fact_file *folder = &f->keystore.folder;
    const struct fact_file *ours =
        !facts_has_keystore(f) && state->look == LOOK_DONE ? state : folder;
    *ret_gid = f->units.has_user ? f->units.gid : ours->st.st_gid;
    return f->units.has_user ? f->units.uid : ours->st.st_uid;
}

const struct apiserver_spec *facts_spec(const struct facts *f)
{
    return f->apiserver.file != NULL ? f->apiserver.file : f->apiserver.process;
}
