/* SPDX-License-Identifier: Apache-2.0 */
/* etcdseald.yaml(5) from config.def, and what the schema says to people. */
#include <stdio.h>
#include <string.h>

#include "base/mdoc.h"
#include "config/config_type.h"

/* Longest text of one key. */
#define TEXT_MAX 1024

static const struct {
    const char *name;
    uint64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

/* In the largest unit that leaves nothing over. */
static void put_duration(struct appender *a, uint64_t ms)
{
    size_t i = 0;
    while (ms % units[i].ms != 0) {
        i++;
    }
    if (ms == 0) {
        append_text(a, "0");
    } else {
        append_printf(a, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].name);
    }
}

static void put_range(struct appender *a, const struct config_row *row)
{
    if (row->type == CONFIG_TYPE_U32) {
        append_printf(a, " %llu to %llu.", (unsigned long long)row->min,
                      (unsigned long long)row->max);
    } else if (row->type == CONFIG_TYPE_TEXT || row->type == CONFIG_TYPE_NAME ||
               row->type == CONFIG_TYPE_SEGMENTS) {
        append_printf(a, " 1 to %llu bytes.", (unsigned long long)row->max);
    } else if (row->type == CONFIG_TYPE_PEERS || row->type == CONFIG_TYPE_UNSEAL ||
               row->type == CONFIG_TYPE_ADDRESSES) {
        append_printf(a, " At most %llu.", (unsigned long long)row->max);
    } else if (row->type == CONFIG_TYPE_DURATION) {
        append_text(a, " ");
        put_duration(a, row->min);
        append_text(a, " to ");
        put_duration(a, row->max);
        append_text(a, ".");
    }
}

void config_put_meaning(struct appender *a, const struct config_row *row)
{
    append_printf(a, "%s.", row->key.meaning);
    append_text(a, row->is_needed ? " Must be given." : "");
    put_range(a, row);
    append_text(a, row->key.needs_restart ? " A change needs a restart."
                                          : " A change is taken over by a reload.");
}

static void put_words(struct appender *a, const char *words)
{
    append_text(a, " Words: ");
    for (const char *p = words; *p != 0; p++) {
        append_printf(a, *p == '|' ? ", " : "%c", *p);
    }
    append_text(a, ".");
}

static void put_row(struct appender *page, const struct config_row *row)
{
    AUTO_BUF buf;
    const char *text = NULL;
    buf_init(&buf, TEXT_MAX);
    struct appender a = appender_on(&buf, page->e);
    config_put_meaning(&a, row);
    if (row->words != NULL) {
        put_words(&a, row->words);
    }
    if (row->key.preset != NULL) {
        append_printf(&a, " Default: %s", row->key.preset);
    }
    enum kerr k = a.k == KERR_OK ? buf_text(&buf, &text, page->e) : a.k;
    if (k != KERR_OK) {
        page->k = page->k == KERR_OK ? k : page->k;
        return;
    }
    append_text(page, ".It Ic");
    mdoc_word(page, row->key.path);
    append_text(page, "\n");
    mdoc_text(page, text);
}

static void put_span(struct appender *page, const struct config_span *span)
{
    for (size_t i = 0; i < span->count; i++) {
        put_row(page, &span->rows[i]);
    }
}

static void put_rows(struct appender *a)
{
    static const struct config_span none = {0};
    append_text(a, ".Sh KEYS\n.Bl -tag -width Ds\n");
    for (size_t i = 0; i < config_row_count; i++) {
        enum config_type type = config_rows[i].type;
        struct config_span peers = {config_peer_rows, config_peer_row_count};
        struct config_span vault = {config_vault_rows, config_vault_row_count};
        struct config_span auth = {config_auth_rows, config_auth_row_count};
        put_row(a, &config_rows[i]);
        put_span(a, type == CONFIG_TYPE_PEERS ? &peers : &none);
        put_span(a, type == CONFIG_TYPE_VAULT ? &vault : &none);
        put_span(a, type == CONFIG_TYPE_VAULT ? &auth : &none);
    }
    append_text(a, ".El\n");
}

static const char description[] =
    "What etcdseald does is said in this file. Every key has a default, but for some of the "
    "section "
    "vault, which only those write who use Vault or OpenBao; a file that takes them all is {}. A "
    "key with a dot is written below its section; those of peers[] belong to a row of peers.\n\n"
    "The file is YAML 1.2 or JSON, UTF-8, at most 64 KiB, one document, and not a symbolic link. "
    "Anchors, aliases, tags, merge keys, directives and texts over several lines are refused, and "
    "so are unknown keys, repeated keys and values of another type, with the place and what was "
    "expected.\n\n"
    "Durations have a unit: 500ms, 10s, 5m, 24h, 7d. Numbers stand without quotes, modes with.\n\n"
    "'etcdseal config check' says what is wrong with a file, 'etcdseal config print' shows it with "
    "its defaults, 'etcdseal config schema' prints a JSON Schema of it for editors. The daemon "
    "takes a changed file over when it gets SIGHUP; one that is refused changes nothing.";

static const char example[] = "socket:\n"
                              "  owner: kube-apiserver\n"
                              "peers:\n"
                              "  - { uid: 990, note: kube-apiserver }\n"
                              "  - { gid: 988, methods: [status], note: monitoring }\n"
                              "keystore:\n"
                              "  unseal: { boot: \"credential:etcdseal-boot\" }\n"
                              "metrics:\n"
                              "  listen: \"127.0.0.1:9655\"\n";

static const char vault_example[] =
    "provider: vault\n"
    "also_unwrap: [local]\n"
    "vault:\n"
    "  addresses: [ \"https://bao-1.example.org:8200\", \"https://bao-2.example.org:8200\" ]\n"
    "  ca_file: /etc/etcdseal/vault-ca.pem\n"
    "  key: kube\n"
    "  cluster_id: prod-1\n"
    "  auth:\n"
    "    approle:\n"
    "      role_id_file: /etc/etcdseal/role-id\n"
    "      secret_id_file: \"credential:secret-id\"\n";

enum kerr config_man(struct buf *ret, struct kerrinfo *e)
{
    struct mdoc_head head = {.name = "etcdseald.yaml",
                             .section = "5",
                             .date = ETCDSEAL_DATE,
                             .system = "etcdseal " ETCDSEAL_VERSION,
                             .about = "configuration of etcdseald"};
    struct appender a = appender_on(ret, e);
    mdoc_head(&a, &head);
    append_text(&a, ".Sh DESCRIPTION\n");
    mdoc_text(&a, description);
    put_rows(&a);
    append_text(&a, ".Sh FILES\n.Bl -tag -width Ds\n.It Pa " CONFIG_FILE_DEFAULT "\n");
    mdoc_text(&a, "The file that is read when no other is named.");
    append_text(&a, ".El\n.Sh EXAMPLES\n");
    mdoc_text(&a, "An API server that runs as its own user, a monitor that may only ask for the "
                  "status, a slot that is opened by a systemd credential, and metrics for a local "
                  "collector:");
    mdoc_literal(&a, example);
    mdoc_text(&a, "A Transit key of OpenBao wraps, and what the local keystore has wrapped stays "
                  "readable:");
    mdoc_literal(&a, vault_example);
    append_text(&a, ".Sh SEE ALSO\n.Xr etcdseal 1 ,\n.Xr etcdseald 8\n");
    return a.k;
}
