/* SPDX-License-Identifier: Apache-2.0 */
/* The KMS plugins that an audit with --prove asks. */
#ifndef ETCDSEAL_CLI_AUDIT_PLUGINS_H
#define ETCDSEAL_CLI_AUDIT_PLUGINS_H

#include "audit/audit.h"
#include "cli/options.h"

#define AUDIT_PLUGIN_TEXT 512 /* of a name and a path together; a socket's path has at most 107 */

/* What `struct audit_wanted` points to. */
struct audit_plugins {
    char texts[AUDIT_KMS_MAX][AUDIT_PLUGIN_TEXT];
    size_t count;
};

/* Those of --kms, and for providers that it does not name those of the configuration (NULL: none).
 * USAGE for one that can't be read, and for --kms without --prove. */
enum kerr audit_plugins_find(const struct options *o, const struct encryption_config *config,
                             struct audit_plugins *plugins, struct audit_wanted *to,
                             struct kerrinfo *e) MUST_CHECK;

#endif
