/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseal config …: the daemon's configuration. */
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/setup.h"
#include "config/encryption_config.h"

#define PRINT_MAX ((size_t)256 * 1024)

/* kube-apiserver finds the daemon by the endpoint alone. */
static enum kerr check_fit(const struct config *config, const char *path, struct kerrinfo *e)
{
    AUTO_ENCRYPTION_CONFIG ec = NULL;
    enum kerr k = secret_start(config->memory_lock, e);
    k = k == KERR_OK ? encryption_config_read(path, &ec, e) : k;
    if (k != KERR_OK) {
        return k;
    }
    if (encryption_config_find_kms(ec, config->socket_path) == NULL) {
        return kerr_set(e, KERR_DENIED,
                        "%.200s: no kms provider of apiVersion v2 has the endpoint unix://%.107s, "
                        "which is socket.path of the daemon",
                        path, config->socket_path);
    }
    return out_line(e, "%s: ok", path);
}

enum kerr cmd_config_check(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    struct options o = *(const struct options *)ctx;
    AUTO_CONFIG config = NULL;
    const char *path = NULL;
    if (call->arg_count > 0) {
        o.config = call->args[0];
    }
    enum kerr k = setup_config(&o, &config, &path, e);
    if (k != KERR_OK) {
        return k;
    }
    if (path == NULL) {
        k = out_line(e, "no %s: the defaults apply", CONFIG_FILE_DEFAULT);
    } else {
        k = out_line(e, "%s: ok", path);
    }
    return k == KERR_OK && o.encryption_config != NULL ? check_fit(config, o.encryption_config, e)
                                                       : k;
}

enum kerr cmd_config_print(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)call;
    AUTO_CONFIG config = NULL;
    const char *path = NULL;
    AUTO_BUF text;
    buf_init(&text, PRINT_MAX);
    enum kerr k = setup_config(ctx, &config, &path, e);
    k = k == KERR_OK ? config_print(config, &text, e) : k;
    return k == KERR_OK ? out_print(&text, e) : k;
}

enum kerr cmd_config_schema(void *ctx, const struct opt_call *call, struct kerrinfo *e)
{
    (void)ctx;
    (void)call;
    AUTO_BUF text;
    buf_init(&text, CONFIG_PAGE_MAX);
    enum kerr k = config_schema(&text, e);
    return k == KERR_OK ? out_print(&text, e) : k;
}
