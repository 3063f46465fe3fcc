/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands. Each is an opt_command_fn whose ctx is a `const struct options *`; it prints its
 * result on standard output, remarks on standard error, and gives the cause of a failure to main.
 */
#ifndef ETCDSEAL_CLI_COMMANDS_H
#define ETCDSEAL_CLI_COMMANDS_H

#include "base/opt.h"

opt_command_fn cmd_init;

opt_command_fn cmd_key_list;
opt_command_fn cmd_key_stage;
opt_command_fn cmd_key_change; /* promote, disable, enable, destroy, cancel-destroy, compromise */

opt_command_fn cmd_seal_list;
opt_command_fn cmd_seal_add;
opt_command_fn cmd_seal_remove;
opt_command_fn cmd_seal_test;

opt_command_fn cmd_keystore_info;
opt_command_fn cmd_keystore_verify;
opt_command_fn cmd_keystore_backup;
opt_command_fn cmd_keystore_restore;

opt_command_fn cmd_status;

opt_command_fn cmd_doctor;

opt_command_fn cmd_config_check;
opt_command_fn cmd_config_print;
opt_command_fn cmd_config_schema;

opt_command_fn cmd_encryption_config_check;
opt_command_fn cmd_encryption_config_generate;

opt_command_fn cmd_vault_policy;
opt_command_fn cmd_vault_plan;

opt_command_fn cmd_audit;
opt_command_fn cmd_audit_keys;
opt_command_fn cmd_verify_report;

#endif
