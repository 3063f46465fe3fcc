/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/out.h"

#define STATUS_NAME "status.sock"

enum kerr setup_config(const struct options *o, struct config **ret, const char **ret_path,
                       struct kerrinfo *e)
{
    const char *path = o->config != NULL ? o->config : getenv("ETCDSEAL_CONFIG");
    if (path != NULL && *path != 0) {
        *ret_path = path;
        return config_read(path, ret, e);
    }
    bool exists = false;
    enum kerr k = file_exists(NULL, CONFIG_FILE_DEFAULT, &exists, e);
    if (k != KERR_OK) {
        return k;
    }
    *ret_path = exists ? CONFIG_FILE_DEFAULT : NULL;
    return exists ? config_read(CONFIG_FILE_DEFAULT, ret, e)
                  : config_parse(bytes_of_text("{}"), "defaults", ret, e);
}

enum kerr setup_specs(const struct opt_list *list, const char *what,
                      struct seal_spec to[static KS_SLOTS_MAX], size_t *ret_count,
                      struct kerrinfo *e)
{
    if (list->count > KS_SLOTS_MAX) {
        return kerr_set(e, KERR_USAGE, "--%s was given more than %d times", what, KS_SLOTS_MAX);
    }
    for (size_t i = 0; i < list->count; i++) {
        enum kerr k = seal_spec_parse(list->items[i], &to[i], e);
        for (size_t j = 0; j < i && k == KERR_OK; j++) {
            if (strcmp(to[i].slot, to[j].slot) == 0) {
                k = kerr_set(e, KERR_INPUT, "two slots are called %s: name them, NAME=SPEC",
                             to[i].slot);
            }
        }
        if (k != KERR_OK) {
            kerr_prefix(e, "--%s, number %zu", what, i + 1);
            return k;
        }
    }
    *ret_count = list->count;
    return KERR_OK;
}

void setup_specs_done(struct seal_spec specs[static KS_SLOTS_MAX])
{
    for (size_t i = 0; i < KS_SLOTS_MAX; i++) {
        seal_spec_done(&specs[i]);
    }
}

/* "boot" and "file:/x" of the configuration are the SPEC "boot=file:/x". */
static enum kerr config_specs(struct setup *s, struct kerrinfo *e)
{
    const struct config *c = s->config;
    for (size_t i = 0; i < c->unseal_count && i < KS_SLOTS_MAX; i++) {
        AUTO_BUF spec;
        const char *text = NULL;
        buf_init(&spec, OPT_VALUE_MAX);
        enum kerr k = buf_printf(&spec, e, "%s=%s", c->unseal[i].slot, c->unseal[i].spec);
        if (k == KERR_OK) {
            k = buf_text(&spec, &text, e);
        }
        if (k == KERR_OK) {
            k = seal_spec_parse(text, &s->daemon[i], e);
        }
        if (k != KERR_OK) {
            kerr_prefix(e, "%s: keystore.unseal", c->file);
            return k;
        }
        s->place.daemon_spec_count = i + 1;
    }
    return KERR_OK;
}

/* Key files that are made must be readable by whom the keystore belongs to. */
static void set_owner(struct setup *s)
{
    AUTO_TEXT folder = NULL;
    AUTO_TEXT name = NULL;
    AUTO_DIR dir = FILE_DIR_NONE;
    s->place.env.owner = geteuid();
    s->place.env.group = getegid();
    if (file_split(s->place.path, &folder, &name, NULL) == KERR_OK &&
        file_dir_open(folder, &dir, NULL) == KERR_OK) {
        s->place.env.owner = dir.uid;
        s->place.env.group = dir.gid;
    }
}

static struct passphrase_cost cost_of(const char *word)
{
    return strcmp(word, "min") == 0   ? passphrase_cost_min
           : strcmp(word, "max") == 0 ? passphrase_cost_max
                                      : passphrase_cost_default;
}

/* The daemon's status socket always lies beside its KMS socket, under this name. */
static enum kerr set_status_socket(struct setup *s, struct kerrinfo *e)
{
    const char *given = s->options->socket != NULL ? s->options->socket : s->config->socket_path;
    AUTO_TEXT folder = NULL;
    AUTO_TEXT name = NULL;
    enum kerr k = file_split(given, &folder, &name, e);
    if (k != KERR_OK) {
        return k;
    }
    int len = snprintf(s->status_socket, sizeof s->status_socket, "%s/" STATUS_NAME,
                       strcmp(folder, "/") == 0 ? "" : folder);
    if (len < 0 || (size_t)len >= sizeof s->status_socket) {
        return kerr_set(e, KERR_LIMIT, "the socket's path is longer than %d bytes", SETUP_PATH_MAX);
    }
    return KERR_OK;
}

static void tell(void *ctx, const char *text)
{
    (void)ctx;
    out_warn("%s", text);
}

/* All else, once there is a configuration. */
static enum kerr setup_rest(const struct options *o, struct setup *ret, struct kerrinfo *e)
{
    ret->options = o;
    ret->prompt.is_quiet = o->is_quiet;
    enum kerr k = secret_start(ret->config->memory_lock, e);
    if (k != KERR_OK) {
        return k;
    }
    bool is_configured =
        o->keystore == NULL || strcmp(o->keystore, ret->config->keystore_path) == 0;
    ret->place = (struct ks_place){
        .path = o->keystore != NULL ? o->keystore : ret->config->keystore_path,
        .specs = ret->specs,
        .daemon_specs = ret->daemon,
        .tell = tell,
        .env = {.ask = prompt_ask,
                .busy = prompt_busy,
                .ask_ctx = &ret->prompt,
                .may_run_tools = true,
                .cost = cost_of(o->passphrase_cost)},
    };
    set_owner(ret);
    if (is_configured) {
        k = config_specs(ret, e);
    }
    if (k == KERR_OK && o->unseal.count > 0) {
        k = setup_specs(&o->unseal, "unseal", ret->specs, &ret->place.spec_count, e);
    } else if (k == KERR_OK) {
        ret->place.specs = ret->daemon;
        ret->place.spec_count = ret->place.daemon_spec_count;
    }
    return k == KERR_OK ? set_status_socket(ret, e) : k;
}

enum kerr setup_open(const struct options *o, struct setup *ret, struct kerrinfo *e)
{
    const char *path = NULL;
    enum kerr k = setup_config(o, &ret->config, &path, e);
    return k == KERR_OK ? setup_rest(o, ret, e) : k;
}

enum kerr setup_open_any(const struct options *o, struct setup *ret, const char **ret_path,
                         struct kerrinfo *why, struct kerrinfo *e)
{
    *ret_path = CONFIG_FILE_DEFAULT; /* whose absence alone leaves it unset */
    enum kerr k = setup_config(o, &ret->config, ret_path, why);
    if (k == KERR_NOMEM) {
        return kerr_set(e, k, "%s", why->text);
    }
    if (k != KERR_OK) {
        k = config_parse(bytes_of_text("{}"), "defaults", &ret->config, e);
    }
    return k == KERR_OK ? setup_rest(o, ret, e) : k;
}

void setup_done(struct setup *s)
{
    setup_specs_done(s->specs);
    setup_specs_done(s->daemon);
    config_free(s->config);
    s->config = NULL;
}
