/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of etcdseal: its values, and the tables that describe it. */
#ifndef ETCDSEAL_CLI_OPTIONS_H
#define ETCDSEAL_CLI_OPTIONS_H

#include "base/opt.h"

/* Texts point into argv. */
struct options {
    const char *const *words; /* all of the command line; set by main */
    size_t word_count;
    const char *config;
    const char *keystore;
    const char *socket;
    const char *output;
    bool is_quiet;
    struct opt_list unseal;
    struct opt_list seals;
    struct opt_list roles;
    const char *suite;
    const char *passphrase_cost;
    const char *confirm;
    uint64_t after_ms;
    const char *backups;
    bool without_daemon;
    const char *fingerprint;
    struct opt_list lose;
    bool lose_slots;
    bool forget_record;
    bool watch;
    const char *encryption_config;
    bool is_strict;
    uint64_t stage;
    const char *kms_socket;
    const char *provider_name;
    struct opt_list resources;
    const char *manifest;
    const char *apiserver;
    struct opt_list other_apiservers;
    const char *cacert;
    const char *token_file;
    const char *cert;
    const char *key;
    bool fix;
    const char *program;
    const char *mount;
    const char *transit_key;
    const char *auth;
    bool no_default_policy;
    const char *snapshot;
    const char *data_dir;
    const char *object;
    const char *cluster;
    const char *kine;
    struct opt_list prefixes;
    struct opt_list demands;
    struct opt_list fail_on;
    uint64_t max_findings;
    const char *current_key;
    bool digest;
    const char *output_file;
    const char *report_dir;
    const char *diff;
    const char *sign;
    const char *public_key;
    bool prove;
    const char *unneeded;
    struct opt_list kms;
    struct opt_list endpoints;
    const char *user;
    const char *password_file;
    bool linearizable;
    uint64_t qps;
    uint64_t max_memory;
    bool member_snapshot;
};

extern const struct opt_program options_program;

#endif
