/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a judge says of the facts. A judge that says nothing means ok. Private to doctor.
 */
#ifndef ETCDSEAL_DOCTOR_VERDICT_H
#define ETCDSEAL_DOCTOR_VERDICT_H

#include "doctor/facts.h"

/* Where a judge puts what it finds. */
struct verdict {
    struct doctor_report *report;
    struct texts *texts;
    struct doctor_row *row;
};

void verdict_ok(struct verdict *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
void verdict_skip(struct verdict *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
void verdict_unknown(struct verdict *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* `where` and `cure` are kept as they are. */
void verdict_found(struct verdict *v, const char *where, const char *cure, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* With a severity, a rule of the linter, a page and a reason of its own. */
void verdict_add(struct verdict *v, const struct doctor_finding *finding);
/* A text that lives as long as the report. */
const char *verdict_text(struct verdict *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "FILE:LINE:COLUMN", or the file alone. */
const char *verdict_place(struct verdict *v, const struct apiserver_value *at);

typedef void judge_fn(const struct facts *f, struct verdict *v);

/* What a host must have for a check to concern it: whether there is a row of it at all. */
enum check_scope { SCOPE_ALL, SCOPE_KEYSTORE, SCOPE_VAULT, SCOPE_VAULT_KEYS };

struct check {
    struct doctor_about about;
    judge_fn *judge;
    /* Checks that this one says nothing new about when they have found something or could not be
     * made: "config-loads,keystore-there"; NULL. */
    const char *after;
    enum check_scope scope;
};

extern const struct check doctor_checks[];
extern const size_t doctor_check_count;

/* Runs all of them. Pure. */
void doctor_judge(const struct facts *f, struct doctor_report *report, struct texts *texts);

#define JUDGE(name) void judge_##name(const struct facts *f, struct verdict *v)
JUDGE(config_loads);
JUDGE(config_mode);
JUDGE(keystore_there);
JUDGE(keystore_folder_mode);
JUDGE(keystore_file_mode);
JUDGE(seal_file_mode);
JUDGE(keystore_opens);
JUDGE(slots_one);
JUDGE(slots_untested);
JUDGE(seal_beside);
JUDGE(seal_unattended);
JUDGE(memory_lock);
JUDGE(memory_limit);
JUDGE(socket_there);
JUDGE(socket_folder);
JUDGE(socket_mode);
JUDGE(socket_listens);
JUDGE(socket_peers);
JUDGE(daemon_answers);
JUDGE(daemon_unsealed);
JUDGE(daemon_reload);
JUDGE(kms_version);
JUDGE(daemon_warning);
JUDGE(daemon_restart);
JUDGE(daemon_version);
JUDGE(daemon_keystore);
JUDGE(apiserver_found);
JUDGE(apiserver_flag);
JUDGE(apiserver_running);
JUDGE(apiserver_reload);
JUDGE(apiserver_config_mount);
JUDGE(apiserver_config_mount_file);
JUDGE(apiserver_socket_mount);
JUDGE(apiserver_socket_mount_file);
JUDGE(apiserver_probes);
JUDGE(rancher_encryption);
JUDGE(encryption_config_loads);
JUDGE(encryption_config);
JUDGE(encryption_config_endpoint);
JUDGE(apiserver_answers);
JUDGE(apiserver_health);
JUDGE(apiserver_config_loaded);
JUDGE(key_agreement_pending);
JUDGE(key_agreement);
JUDGE(nodes_agree);
JUDGE(clock_synchronised);
JUDGE(clock_future);
JUDGE(unit_enabled);
JUDGE(unit_order);
JUDGE(unit_socket);
JUDGE(unit_credential);
JUDGE(vault_credential);
JUDGE(vault_plain_http);
JUDGE(vault_answers);
JUDGE(vault_address);
JUDGE(vault_login);
JUDGE(vault_policy);
JUDGE(vault_policy_wide);
JUDGE(vault_key);
JUDGE(vault_key_guard);
JUDGE(vault_key_age);
JUDGE(vault_clock);
JUDGE(vault_state);
JUDGE(vault_key_changed);
JUDGE(vault_service);
JUDGE(vault_grace);
JUDGE(vault_key_id);
JUDGE(vault_key_pending);
JUDGE(vault_min_decryption);

#endif
