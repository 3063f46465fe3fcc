/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/doctor/healthy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "tests/lib/testlib.h"

const char manifest[] =
    "kind: Pod\n"
    "spec:\n"
    "  containers:\n"
    "  - command: [kube-apiserver, --encryption-provider-config=/etc/enc/config.yaml, "
    "--encryption-provider-config-automatic-reload=true]\n"
    "    image: kube-apiserver:v1.36.4\n"
    "    livenessProbe: {httpGet: {path: /livez}}\n"
    "    volumeMounts: [{name: e, mountPath: /etc/enc}, {name: r, mountPath: /run/etcdseal}]\n"
    "  volumes: [{name: e, hostPath: {path: /etc/enc}}, {name: r, hostPath: {path: "
    "/run/etcdseal}}]\n";

const char encryption[] =
    "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
    "  - resources: ['*.*']\n    providers:\n      - kms: {apiVersion: v2, name: etcdseal, "
    "endpoint: 'unix:///run/etcdseal/kms.sock'}\n";

struct facts f;
struct config *config;
struct doctor_question q;
struct ks_place place;

struct fact_file file_of(const char *path, mode_t mode, uid_t uid)
{
    return (struct fact_file){.path = path,
                              .look = LOOK_DONE,
                              .why = "",
                              .st = {.st_mode = mode, .st_uid = uid, .st_gid = uid, .st_nlink = 1}};
}

struct fact_unit unit_of(const char *name)
{
    return (struct fact_unit){.name = name,
                              .is_loaded = true,
                              .enabled = "enabled",
                              .before = "multi-user.target kubelet.service k3s.service",
                              .user = "etcdseal",
                              .listen = "/run/etcdseal/kms.sock (Stream)",
                              .credentials = ""};
}

void healthy_keystore(void)
{
    f.keystore = (struct fact_keystore){
        .path = "/var/lib/etcdseal/keystore",
        .folder = file_of("/var/lib/etcdseal", S_IFDIR | 0700, 990),
        .files = {file_of("/var/lib/etcdseal/keystore", S_IFREG | 0600, 990)},
        .file_count = 1,
        .clear_error = "",
        .store_id = "store",
        .generation = 7,
        .written_at_s = NOW - 100,
        .slots = {{.name = "boot", .tested_at_s = 1, .is_accepted = true},
                  {.name = "ops", .tested_at_s = 1, .is_accepted = true}},
        .slot_count = 2,
        .open_error = "",
        .newest_key_s = NOW - 200,
        .newest_key = "es1-x",
        .seals_error = "",
        .seals = {{.slot = "boot",
                   .spec = "file:/key",
                   .is_unattended = true,
                   .warning = "a key file",
                   .key = file_of("/key", S_IFREG | 0600, 990),
                   .credential = ""},
                  {.slot = "ops",
                   .spec = "passphrase:",
                   .warning = "",
                   .credential = "",
                   .key = {.path = ""}}},
        .seal_count = 2,
    };
}

void healthy_daemon(void)
{
    f.daemon = (struct fact_daemon){
        .look = LOOK_DONE,
        .why = "",
        .version = "9.9.9",
        .kms_version = "v2",
        .pid = 7,
        .is_ready = true,
        .store_id = "store",
        .generation = 7,
        .loaded_at_s = NOW - 1000,
        .key_id = "es1-x",
        .key_id_hash = HASH,
        .is_reload_ok = true,
        .reload_at_s = NOW - 1000,
        .reload_message = "",
        .warning = "",
        .restart_needed = "",
        .memory_policy = "strict",
        .config_file = "/c",
        .has_memlock = true,
        .memlock = 64 << 20,
        .service = {
            .state = "", .cause = "", .meaning = "", .cure = "", .login_cause = "", .old_key = ""}};
    f.socket = (struct fact_socket){
        .path = "/run/etcdseal/kms.sock",
        .folders = {file_of("/", S_IFDIR | 0755, 0), file_of("/run", S_IFDIR | 0755, 0),
                    file_of("/run/etcdseal", S_IFDIR | 0755, 0)},
        .folder_count = 3,
        .file = file_of("/run/etcdseal/kms.sock", S_IFSOCK | 0600, 0),
        .has_owner = true,
        .connect = CONNECT_ANSWERED,
        .connect_why = "",
    };
    f.units = (struct fact_units){
        .look = LOOK_DONE,
        .why = "",
        .ours = {unit_of("etcdseald.service"), unit_of("etcdseald.socket"),
                 unit_of("etcdseald-status.socket")},
        .callers = {unit_of("kubelet.service"), {.name = "k3s.service"}, {.name = "rke2"}},
        .has_user = true,
        .uid = 990,
        .gid = 990,
    };
}

static struct vault_version versions[2];

static void healthy_vault_parts(void)
{
    struct fact_vault *x = &f.vault;
    struct fact_question good = {.look = LOOK_DONE, .why = "", .cure = ""};
    versions[0] = (struct vault_version){.number = 1, .created_at_s = NOW - 9000};
    versions[1] = (struct vault_version){.number = 2, .created_at_s = NOW - 4000};
    *x = (struct fact_vault){
        .config = &config->vault,
        .is_provider = true,
        .login_files = {{.name = "vault.auth.approle.role_id_file",
                         .credential = "",
                         .file = file_of("/etc/r", S_IFREG | 0644, 0)},
                        {.name = "vault.auth.approle.secret_id_file",
                         .is_secret = true,
                         .credential = "",
                         .file = file_of("/etc/s", S_IFREG | 0600, 990)}},
        .login_file_count = 2,
        .server_count = 2,
        .no_login = "",
        .login = good,
        .capabilities = good,
        .described = good,
        .key = {.type = "aes256-gcm96",
                .latest = 2,
                .min_decryption = 1,
                .versions = versions,
                .version_count = 2},
        .files = {file_of("/v/vault-keks", S_IFREG | 0600, 990), {.path = "/v/vault-keks.prev"}},
        .state_error = "",
        .state = {.mark = {.number = 2, .created_at_s = NOW - 4000}},
        .choice = {.use = {.number = 2, .created_at_s = NOW - 4000}},
    };
    for (size_t i = 0; i < x->server_count; i++) {
        x->servers[i] = (struct fact_server){
            .address = config->vault.addresses[i],
            .look = LOOK_DONE,
            .why = "",
            .cure = "",
            .health = {.is_initialised = true, .version = "2.7.2", .server_time_s = NOW},
            .answered_at_s = NOW + 1};
    }
    struct fact_path path;
    for (size_t i = 0; facts_vault_path(x->config, i, &path); i++) {
        x->rights[i] = path.needed;
    }
}

void healthy_vault(void)
{
    static const char text[] =
        "provider: vault\n"
        "vault: { addresses: [ 'https://a:8200', 'https://b:8200' ], key: kube, cluster_id: c, "
        "auth: { approle: { role_id_file: /etc/r, secret_id_file: /etc/s } } }\n";
    struct kerrinfo e = {0};
    char id[VAULT_WIRE_ID_BYTES];
    config_free(config);
    config = NULL;
    assert_ok(&e, config_parse(bytes_of_text(text), "/etc/etcdseal/etcdseald.yaml", &config, &e));
    q.config = config;
    f.keystore = (struct fact_keystore){.path = "/none", .folder = {.path = ""}};
    healthy_daemon();
    healthy_vault_parts();
    vault_wire_key_id(&config->vault, &f.vault.state.mark, id);
    f.daemon.key_id = texts_keep(&f.texts, bytes_of_text(id));
    f.daemon.store_id = "c";
    f.daemon.service = (struct fact_service){.state = "serving",
                                             .cause = "none",
                                             .meaning = "nothing is wrong",
                                             .cure = "",
                                             .login_cause = "none",
                                             .version = 2,
                                             .min_version = 1,
                                             .old_key = ""};
}

static void healthy_apiserver(void)
{
    struct kerrinfo e = {0};
    struct fact_apiserver *a = &f.apiserver;
    *a = (struct fact_apiserver){
        .file_error = "",
        .file_tried = "",
        .minor = 36,
        .config_inside = "/etc/enc/config.yaml",
        .config_path = "/etc/enc/config.yaml",
        .config_file = "/etc/enc/config.yaml",
        .config_look = LOOK_DONE,
        .config_error = "",
        .config_hash = HASH,
        .socket_inside = "/run/etcdseal/kms.sock",
        .url = "https://127.0.0.1:6443",
        .look = LOOK_DONE,
        .why = "",
        .health = 200,
        .health_text = "ok",
        .metrics_status = 200,
        .metrics = {.providers = {{.name = "etcdseal", .hash = HASH, .at_s = NOW - 30}},
                    .provider_count = 1,
                    .config_hash = HASH},
        .others = {{.url = "https://y", .why = "", .hash = HASH}},
        .other_count = 1,
    };
    assert_ok(&e, apiserver_parse_manifest(bytes_of_text(manifest), "/m.yaml", &a->file, &e));
    assert_ok(&e, encryption_config_parse(bytes_of_text(encryption), "/e.yaml", &a->config, &e));
    a->ours = &a->config->entries[0].providers[0];
}

int healthy(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    f = (struct facts){.q = &q,
                       .is_root = true,
                       .now_s = NOW,
                       .is_clock_known = true,
                       .is_clock_synchronised = true};
    assert_ok(&e, config_parse(bytes_of_text("{}"), "/etc/etcdseal/etcdseald.yaml", &config, &e));
    q = (struct doctor_question){.config_file = "/etc/etcdseal/etcdseald.yaml",
                                 .config_error = "",
                                 .config = config,
                                 .place = &place,
                                 .status_socket = "/run/etcdseal/status.sock",
                                 .version = "9.9.9"};
    f.config = file_of(q.config_file, S_IFREG | 0644, 0);
    healthy_keystore();
    healthy_daemon();
    healthy_apiserver();
    return 0;
}

int done(void **state)
{
    (void)state;
    f.vault.key = (struct vault_key){.versions = NULL}; /* its versions are static here */
    facts_done(&f);
    config_free(config);
    config = NULL;
    return 0;
}

/* ---- what is found ---- */

struct doctor_report report;
struct texts texts;

void judge(void)
{
    texts_done(&texts);
    texts = (struct texts){0};
    report = (struct doctor_report){0};
    doctor_judge(&f, &report, &texts);
}

void tell(void)
{
    for (size_t i = 0; i < report.finding_count; i++) {
        print_message("found %s: %s\n", report.findings[i].check->id, report.findings[i].what);
    }
    for (size_t i = 0; i < report.row_count; i++) {
        if (report.rows[i].result == DOCTOR_UNKNOWN) {
            print_message("unknown %s: %s\n", report.rows[i].check->id, report.rows[i].about);
        }
    }
}

/* Exactly one finding, of this id, that says these words and has all that a finding has. */
void found(const char *id, const char *words)
{
    judge();
    if (report.finding_count != 1 || report.unknown != 0 ||
        strcmp(report.findings[0].check->id, id) != 0) {
        tell();
        fail_msg("expected %s alone", id);
    }
    const struct doctor_finding *x = &report.findings[0];
    if (strstr(x->what, words) == NULL) {
        fail_msg("%s says: %s, expected %s", id, x->what, words);
    }
    assert_true(*x->why != 0 && *x->cure != 0 && x->where != NULL && strchr(x->what, '\n') == NULL);
    assert_non_null(strstr(x->docs, id));
    assert_int_equal(report.count[x->severity], 1);
}

void unknown(const char *id, const char *words)
{
    judge();
    size_t seen = 0;
    for (size_t i = 0; i < report.row_count; i++) {
        const struct doctor_row *row = &report.rows[i];
        bool is_it = row->result == DOCTOR_UNKNOWN && strcmp(row->check->id, id) == 0 &&
                     strstr(row->about, words) != NULL;
        seen += is_it;
    }
    if (report.finding_count != 0 || report.unknown != 1 || seen != 1) {
        tell();
        fail_msg("expected %s to be unknown, and nothing else: %s", id, words);
    }
}

int start(void **state)
{
    (void)state;
    return (int)secret_start(SECRET_LOCK_BEST_EFFORT, NULL);
}

int finish(void **state)
{
    (void)state;
    texts_done(&texts);
    return 0;
}
