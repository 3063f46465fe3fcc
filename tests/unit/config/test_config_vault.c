/* SPDX-License-Identifier: Apache-2.0 */
/* config/config.h: the section `vault` and what belongs to it: read, printed, refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "tests/lib/testlib.h"

#define PRINTED_MAX 262144

static struct config *parse_good(const char *yaml)
{
    struct kerrinfo e = {0};
    struct config *c = NULL;
    enum kerr k = config_parse(bytes_of_text(yaml), "F", &c, &e);
    if (k != KERR_OK) {
        fail_msg("%s\n%s: %s", yaml, kerr_name(k), e.text);
    }
    return c;
}

/* The caller frees. */
static char *printed(const struct config *c)
{
    struct kerrinfo e = {0};
    AUTO_BUF b;
    buf_init(&b, PRINTED_MAX);
    assert_ok(&e, config_print(c, &b, &e));
    char *text = NULL;
    assert_ok(&e, text_dup(buf_view(&b), &text, &e));
    return text;
}

static const char least[] = "vault:\n"
                            "  addresses: [ \"https://bao.example:8200\" ]\n"
                            "  key: kube\n"
                            "  auth: { token: { file: /t } }\n";

static const char least_printed[] = "vault:\n"
                                    "  addresses: [\"https://bao.example:8200\"]\n"
                                    "  allow_plain_http: false\n"
                                    "  mount: \"transit\"\n"
                                    "  key: \"kube\"\n"
                                    "  epoch: 0\n"
                                    "  mode: hierarchy\n"
                                    "  state: \"/var/lib/etcdseal/vault-keks\"\n"
                                    "  poll: 10s\n"
                                    "  stability: 20s\n"
                                    "  activation_delay: 60s\n"
                                    "  offline_grace: 86400s\n"
                                    "  on_refused: stop\n"
                                    "  kek_max_age: 2592000s\n"
                                    "  kek_max_uses: 1000000\n"
                                    "  auth: { token: { file: \"/t\" } }\n";

static void test_defaults(void **state)
{
    (void)state;
    AUTO_CONFIG c = parse_good(least);
    const struct config_vault *v = &c->vault;
    assert_int_equal(c->provider, CONFIG_PROVIDER_LOCAL);
    assert_int_equal(v->address_count, 1);
    assert_string_equal(v->addresses[0], "https://bao.example:8200");
    assert_false(v->allow_plain_http);
    assert_null(v->ca_file);
    assert_null(v->namespace_path);
    assert_string_equal(v->mount, "transit");
    assert_string_equal(v->key, "kube");
    assert_null(v->cluster_id);
    assert_int_equal(v->epoch, 0);
    assert_int_equal(v->mode, CONFIG_VAULT_HIERARCHY);
    assert_string_equal(v->state_path, "/var/lib/etcdseal/vault-keks");
    assert_int_equal(v->poll_ms, 10000);
    assert_int_equal(v->stability_ms, 20000);
    assert_int_equal(v->activation_delay_ms, 60000);
    assert_int_equal(v->offline_grace_ms, 86400000);
    assert_int_equal(v->on_refused, CONFIG_ON_REFUSED_STOP);
    assert_int_equal(v->kek_max_age_ms, 2592000000);
    assert_int_equal(v->kek_max_uses, 1000000);
    assert_int_equal(v->auth.kind, CONFIG_LOGIN_TOKEN);
    assert_string_equal(v->auth.file, "/t");
    assert_null(v->auth.mount);
    char *text = printed(c);
    assert_non_null(strstr(text, least_printed));
    free(text);
}

/* Nothing has its default. */
static const char everything[] = "provider: vault\n"
                                 "also_unwrap: [local]\n"
                                 "vault:\n"
                                 "  addresses:\n"
                                 "    - https://10.0.0.5:8200\n"
                                 "    - \"unix:/run/bao proxy.sock\"\n"
                                 "    - \"http://[fd00::5]\"\n"
                                 "  allow_plain_http: true\n"
                                 "  ca_file: /etc/etcdseal/vault-ca.pem\n"
                                 "  namespace: team-a/kube\n"
                                 "  mount: crypto/transit\n"
                                 "  key: kube_1.x-Y\n"
                                 "  cluster_id: prod-1\n"
                                 "  epoch: 255\n"
                                 "  mode: direct\n"
                                 "  state: /s\n"
                                 "  poll: 1s\n"
                                 "  stability: 0\n"
                                 "  activation_delay: 24h\n"
                                 "  offline_grace: 720h\n"
                                 "  on_refused: grace\n"
                                 "  kek_max_age: 45d\n"
                                 "  kek_max_uses: 4294967295\n"
                                 "  auth:\n"
                                 "    approle:\n"
                                 "      role_id_file: /etc/etcdseal/role-id\n"
                                 "      secret_id_file: \"credential:secret-id\"\n"
                                 "      secret_id_wrapped: true\n"
                                 "      mount: nodes/approle\n";

static void check_everything(const struct config *c)
{
    const struct config_vault *v = &c->vault;
    assert_int_equal(c->provider, CONFIG_PROVIDER_VAULT);
    assert_int_equal(c->also_unwrap, 1U << CONFIG_PROVIDER_LOCAL);
    assert_int_equal(v->address_count, 3);
    assert_string_equal(v->addresses[0], "https://10.0.0.5:8200");
    assert_string_equal(v->addresses[1], "unix:/run/bao proxy.sock");
    assert_string_equal(v->addresses[2], "http://[fd00::5]");
    assert_true(v->allow_plain_http);
    assert_string_equal(v->ca_file, "/etc/etcdseal/vault-ca.pem");
    assert_string_equal(v->namespace_path, "team-a/kube");
    assert_string_equal(v->mount, "crypto/transit");
    assert_string_equal(v->key, "kube_1.x-Y");
    assert_string_equal(v->cluster_id, "prod-1");
    assert_int_equal(v->epoch, CONFIG_VAULT_EPOCH_MAX);
    assert_int_equal(v->mode, CONFIG_VAULT_DIRECT);
    assert_string_equal(v->state_path, "/s");
    assert_int_equal(v->poll_ms, 1000);
    assert_int_equal(v->stability_ms, 0);
    assert_int_equal(v->activation_delay_ms, 86400000);
    assert_int_equal(v->offline_grace_ms, 2592000000);
    assert_int_equal(v->on_refused, CONFIG_ON_REFUSED_GRACE);
    assert_int_equal(v->kek_max_age_ms, 3888000000);
    assert_int_equal(v->kek_max_uses, 4294967295);
    assert_int_equal(v->auth.kind, CONFIG_LOGIN_APPROLE);
    assert_string_equal(v->auth.role_id_file, "/etc/etcdseal/role-id");
    assert_string_equal(v->auth.secret_id_file, "credential:secret-id");
    assert_true(v->auth.secret_id_wrapped);
    assert_string_equal(v->auth.mount, "nodes/approle");
}

static void test_everything_is_read_printed_and_read_again(void **state)
{
    (void)state;
    AUTO_CONFIG c = parse_good(everything);
    check_everything(c);
    char *text = printed(c);
    AUTO_CONFIG again = parse_good(text);
    check_everything(again);
    char *twice = printed(again);
    assert_string_equal(text, twice);
    free(twice);
    free(text);
}

/* A section in which one line is another. */
#define WITH_ADDRESSES(list) "vault: { key: k, auth: { token: { file: /t } }, addresses: " list " }"
#define WITH(line)                                                                                 \
    "vault: { key: k, auth: { token: { file: /t } }, addresses: [ \"https://a\" ], " line " }"
#define WITH_KEY(key)                                                                              \
    "vault: { auth: { token: { file: /t } }, addresses: [ \"https://a\" ], key: " key " }"
#define WITH_AUTH(auth) "vault: { key: k, addresses: [ \"unix:/s\" ], auth: " auth " }"
#define HERE            "F:1:60: vault.addresses: "

static const char *const good_addresses[] = {
    "https://a",
    "https://a.b-c.example:1",
    "https://a_b:65535",
    "https://A.Example",
    "https://1a",
    "https://1.a",
    "https://127.0.0.1:8200",
    "https://255.255.255.255",
    "https://[::1]:8200",
    "https://[fd00::a:1]",
    "https://[::ffff:10.0.0.1]:1",
    "http://127.0.0.1",
    "http://127.9.9.9:8200",
    "http://[::1]",
    "http://localhost:8200",
    "unix:/s",
    "unix:/a//b/c d.sock",
};

static void test_good_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good_addresses); i++) {
        char yaml[256];
        (void)snprintf(yaml, sizeof yaml, WITH_ADDRESSES("[ \"%s\" ]"), good_addresses[i]);
        AUTO_CONFIG c = parse_good(yaml);
        assert_string_equal(c->vault.addresses[0], good_addresses[i]);
    }
}

static void test_logins(void **state)
{
    (void)state;
    static const struct {
        const char *auth;
        enum config_login kind;
        const char *line;
    } rows[] = {
        {"{ none: {} }", CONFIG_LOGIN_NONE, "auth: { none: {} }\n"},
        {"{ approle: { role_id_file: /r, secret_id_file: /s } }", CONFIG_LOGIN_APPROLE,
         "auth: { approle: { role_id_file: \"/r\", secret_id_file: \"/s\", secret_id_wrapped: "
         "false, mount: \"approle\" } }\n"},
        {"{ cert: { cert_file: /c, key_file: \"credential:k\" } }", CONFIG_LOGIN_CERT,
         "auth: { cert: { cert_file: \"/c\", key_file: \"credential:k\", mount: \"cert\" } }\n"},
        {"{ cert: { cert_file: /c, key_file: /k, role: r.1, mount: a/b } }", CONFIG_LOGIN_CERT,
         "key_file: \"/k\", role: \"r.1\", mount: \"a/b\" } }\n"},
        {"{ jwt: { role: r, file: /j } }", CONFIG_LOGIN_JWT,
         "auth: { jwt: { role: \"r\", file: \"/j\", mount: \"jwt\" } }\n"},
        {"{ token: { file: \"credential:t.1_x\" } }", CONFIG_LOGIN_TOKEN,
         "auth: { token: { file: \"credential:t.1_x\" } }\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char yaml[256];
        (void)snprintf(yaml, sizeof yaml, WITH_AUTH("%s"), rows[i].auth);
        AUTO_CONFIG c = parse_good(yaml);
        assert_int_equal(c->vault.auth.kind, rows[i].kind);
        char *text = printed(c);
        if (strstr(text, rows[i].line) == NULL) {
            fail_msg("no \"%s\" in\n%s", rows[i].line, text);
        }
        AUTO_CONFIG again = parse_good(text);
        assert_int_equal(again->vault.auth.kind, rows[i].kind);
        free(text);
    }
}

/* ---- what is refused ---- */

struct bad {
    const char *yaml;
    const char *message; /* how it begins */
};

static void check_bad(const struct bad *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct kerrinfo e = {0};
        struct config *c = NULL;
        enum kerr k = config_parse(bytes_of_text(rows[i].yaml), "F", &c, &e);
        if (k != KERR_CONFIG || strncmp(e.text, rows[i].message, strlen(rows[i].message)) != 0) {
            fail_msg("%s\ngot %s \"%s\"\nexpected \"%s\"", rows[i].yaml, kerr_name(k), e.text,
                     rows[i].message);
        }
        assert_null(c);
    }
}

static const struct bad bad_together[] = {
    {"provider: vault", "F:1:11: provider: vault needs the section vault with addresses, key, "
                        "cluster_id and auth, which this file does not have"},
    {"also_unwrap: [vault]", "F:1:14: also_unwrap: vault needs the section vault with"},
    {"also_unwrap: [local]",
     "F:1:14: also_unwrap: the provider itself stands here; it unwraps anyway, name only others"},
    {"provider: vault\nalso_unwrap: [local, vault]", "F:2:14: also_unwrap: the provider itself"},
    {"also_unwrap: [vault, vault]", "F:1:22: also_unwrap: vault stands here a second time"},
    {"also_unwrap: vault", "F:1:14: also_unwrap: expected a list such as [local, vault], found te"},
    {"also_unwrap: [tpm]", "F:1:15: also_unwrap: 'tpm' is not known; allowed: local, vault"},
    {"provider: vault\nvault: { key: k, auth: { token: { file: /t } }, addresses: [\"https://a\"] "
     "}",
     "F:2:1: vault: cluster_id is missing; a provider vault needs one, equal on all nodes"},
    {"also_unwrap: [vault]\nvault: { key: k, auth: { token: { file: /t } }, addresses: "
     "[\"https://a\"] }",
     "F:2:1: vault: cluster_id is missing"},
    {"vault:", "F:1:1: vault: expected keys and values (a mapping), found nothing"},
    {"vault: {}", "F:1:1: vault: addresses is missing: servers of one cluster"},
    {"vault: { addresses: [\"https://a\"] }", "F:1:1: vault: key is missing: name of the Transit"},
    {"vault: { addresses: [\"https://a\"], key: k }",
     "F:1:1: vault: auth is missing: how to log i"},
    {"vault: { adresses: [] }", "F:1:10: unknown key 'adresses' (did you mean 'addresses'?)"},
    {"vault: { token: hvs.CAESISECRET }", "F:1:10: vault: secrets live in files, never in the "
                                          "configuration: write it to a file"},
};

static const struct bad bad_addresses[] = {
    {WITH_ADDRESSES("https://a"), HERE "expected a list such as [ \"https://10.0.0.5:8200\" ]"},
    {WITH_ADDRESSES("[]"), HERE "expected 1 to 8 addresses"},
    {WITH_ADDRESSES("[ 5 ]"),
     "F:1:62: vault.addresses: expected an address such as https://10.0.0.5:8200, found a number"},
    {WITH_ADDRESSES("[ \"https://a\", \"https://a\" ]"),
     "F:1:75: vault.addresses: this address stands here a second time"},
    {WITH_ADDRESSES("[\"http://a\"]"),
     "F:1:61: vault.addresses: http to another host lets everybody between read and change all; "
     "use https, or set vault.allow_plain_http: true"},
    {WITH_ADDRESSES("[ \"https://a\", \"http://10.0.0.5:8200\" ]"),
     "F:1:75: vault.addresses: http to another host"},
    {WITH_ADDRESSES("[\"http://127.0.0.1.example.org\"]"),
     "F:1:61: vault.addresses: http to anoth"},
    {WITH_ADDRESSES("[\"http://localhost.example.org\"]"),
     "F:1:61: vault.addresses: http to anoth"},
    {WITH_ADDRESSES("[\"http://[::2]:1\"]"), "F:1:61: vault.addresses: http to another host"},
    {WITH_ADDRESSES("[\"http://[::ffff:127.0.0.1]\"]"), "F:1:61: vault.addresses: http to another"},
    {WITH_ADDRESSES("[\"http://128.0.0.1\"]"), "F:1:61: vault.addresses: http to another host"},
};

/* Of one address alone: the rest of the message is the same. */
static const struct bad bad_forms[] = {
    {"", "expected https://HOST:PORT or unix:/PATH"},
    {"a:8200", "expected https://HOST:PORT or unix:/PATH"},
    {"HTTPS://a", "expected https://HOST:PORT or unix:/PATH"},
    {"ftp://a", "expected https://HOST:PORT or unix:/PATH"},
    {"https:/a", "expected https://HOST:PORT or unix:/PATH"},
    {"https://user:pass@a", "expected an address without user or password; logins stand in"},
    {"https://a/", "expected an address without path, query or '/' at its end; the engine's path"},
    {"https://a:1/v1", "expected an address without path, query"},
    {"https://a?x=1", "expected an address without path, query"},
    {"https://a#x", "expected an address without path, query"},
    {"https://", "expected a host: a name, an IPv4 address, or an IPv6 address in brackets"},
    {"https://:8200", "expected a host"},
    {"https://-a", "expected a host"},
    {"https://a-.b", "expected a host"},
    {"https://a..b", "expected a host"},
    {"https://a.", "expected a host"},
    {"https://.a", "expected a host"},
    {"https://a b", "expected a host"},
    {"https://a%41", "expected a host"},
    {"https://\xc3\xa4", "expected a host"},
    {"https://127.1", "expected a host"},
    {"https://2130706433", "expected a host"},
    {"https://0x7f.1", "expected a host"},
    {"https://a.0x7f", "expected a host"},
    {"https://256.0.0.1", "expected a host"},
    {"https://1.2.3.04", "expected a host"},
    {"https://[]", "expected a host"},
    {"https://[::1", "expected a host"},
    {"https://[::1%eth0]", "expected a host"},
    {"https://[127.0.0.1]", "expected a host"},
    {"https://[a]", "expected a host"},
    {"https://::1", "expected a host"},
    {"https://fd00::1:8200", "expected nothing or a port"},
    {"https://a:", "expected nothing or a port from 1 to 65535 behind the host"},
    {"https://a:0", "expected nothing or a port"},
    {"https://a:080", "expected nothing or a port"},
    {"https://a:65536", "expected nothing or a port"},
    {"https://a:x", "expected nothing or a port"},
    {"https://a:1:2", "expected nothing or a port"},
    {"https://[::1]8200", "expected nothing or a port"},
    {"unix:", "expected unix:/PATH, an absolute path with one '/' before it"},
    {"unix:s", "expected unix:/PATH"},
    {"unix:///run/s", "expected unix:/PATH"},
    {"unix:@s", "expected unix:/PATH"},
    {"unix:/", "expected the path of a socket behind unix:"},
    {"unix:/a/", "expected the path of a socket"},
    {"unix:/a/..", "expected the path of a socket"},
};

static void test_bad_addresses(void **state)
{
    (void)state;
    check_bad(bad_addresses, ARRAY_LEN(bad_addresses));
    for (size_t i = 0; i < ARRAY_LEN(bad_forms); i++) {
        char yaml[256];
        char want[256];
        (void)snprintf(yaml, sizeof yaml, WITH_ADDRESSES("[ \"%s\" ]"), bad_forms[i].yaml);
        (void)snprintf(want, sizeof want, "F:1:62: vault.addresses: %s", bad_forms[i].message);
        check_bad(&(struct bad){yaml, want}, 1);
    }
}

static void test_address_limits(void **state)
{
    (void)state;
    struct kerrinfo e = {0};
    AUTO_CONFIG c = NULL;
    char name[300] = "";
    char yaml[512];
    /* Labels of 63, and 253 in all. */
    for (int i = 0; i < 253; i++) {
        name[i] = i % 64 == 63 ? '.' : 'a';
    }
    (void)snprintf(yaml, sizeof yaml, WITH_ADDRESSES("[ \"https://%s:65535\" ]"), name);
    assert_ok(&e, config_parse(bytes_of_text(yaml), "F", &c, &e));
    config_free_at(&c);
    name[252] = '.';
    name[253] = 'a';
    (void)snprintf(yaml, sizeof yaml, WITH_ADDRESSES("[ \"https://%s\" ]"), name);
    assert_refused(&e, KERR_CONFIG, "a host", config_parse(bytes_of_text(yaml), "F", &c, &e));
    (void)snprintf(yaml, sizeof yaml, WITH_ADDRESSES("[ \"https://%.63sa\" ]"), name);
    assert_refused(&e, KERR_CONFIG, "a host", config_parse(bytes_of_text(yaml), "F", &c, &e));
    memset(name, 'a', sizeof name);
    (void)snprintf(yaml, sizeof yaml, WITH_ADDRESSES("[ \"unix:/%.106s\" ]"), name);
    assert_ok(&e, config_parse(bytes_of_text(yaml), "F", &c, &e));
    config_free_at(&c);
    (void)snprintf(yaml, sizeof yaml, WITH_ADDRESSES("[ \"unix:/%.107s\" ]"), name);
    assert_refused(&e, KERR_CONFIG, "at most 107 bytes",
                   config_parse(bytes_of_text(yaml), "F", &c, &e));
    static const char nine[] = WITH_ADDRESSES(
        "[\"https://1.0.0.0\", \"https://1.0.0.1\", \"https://1.0.0.2\", \"https://1.0.0.3\", "
        "\"https://1.0.0.4\", \"https://1.0.0.5\", \"https://1.0.0.6\", \"https://1.0.0.7\", "
        "\"https://1.0.0.8\"]");
    assert_refused(&e, KERR_CONFIG, "F:1:213: vault.addresses: more than 8 addresses",
                   config_parse(bytes_of_text(nine), "F", &c, &e));
}

#define LETTERS                                                                                    \
    "expected names of the letters a-z A-Z 0-9 . _ - with '/' between them, none beginning with "  \
    "'.' or '-', no '/' at either end, at most 128 bytes"

static const struct bad bad_values[] = {
    {WITH("allow_plain_http: \"yes\""), "F:1:95: vault.allow_plain_http: expected true or false"},
    {WITH("ca_file: ca.pem"), "F:1:86: vault.ca_file: expected an absolute path"},
    {WITH("ca_file: \"credential:ca\""), "F:1:86: vault.ca_file: expected an absolute path"},
    {WITH("namespace: \"\""), "F:1:88: vault.namespace: " LETTERS},
    {WITH("namespace: team/"), "F:1:88: vault.namespace: " LETTERS},
    {WITH("mount: /transit"), "F:1:84: vault.mount: " LETTERS},
    {WITH("mount: a//b"), "F:1:84: vault.mount: " LETTERS},
    {WITH("mount: a/../b"), "F:1:84: vault.mount: " LETTERS},
    {WITH("mount: .."), "F:1:84: vault.mount: " LETTERS},
    {WITH("mount: a/.b"), "F:1:84: vault.mount: " LETTERS},
    {WITH("mount: \"a b\""), "F:1:84: vault.mount: " LETTERS},
    {WITH("mount: \"a?b\""), "F:1:84: vault.mount: " LETTERS},
    {WITH("mount: a%2fb"), "F:1:84: vault.mount: " LETTERS},
    {WITH("mount: \"a\\\"b\""), "F:1:84: vault.mount: " LETTERS},
    {WITH("mount: 5"), "F:1:84: vault.mount: expected a path such as a/b, found a number; put it"},
    {WITH_KEY("a/b"), "F:1:74: vault.key: expected 1 to 128 of the letters a-z A-Z 0-9 . _ -, the "
                      "first neither '.' nor '-'"},
    {WITH_KEY("-a"), "F:1:74: vault.key: expected 1 to 128 of the letters"},
    {WITH("mount: a/-b"), "F:1:84: vault.mount: " LETTERS},
    {WITH_KEY(".a"), "F:1:74: vault.key: expected 1 to 128 of the letters"},
    {WITH_KEY("\"\""), "F:1:74: vault.key: expected 1 to 128 of the letters"},
    {WITH_KEY("\"a;b\""), "F:1:74: vault.key: expected 1 to 128 of the letters"},
    {WITH_KEY("[]"), "F:1:74: vault.key: expected a name, found a list"},
    {WITH("cluster_id: \"a b\""), "F:1:89: vault.cluster_id: expected 1 to 64 of the letters"},
    {WITH("cluster_id: aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddde"),
     "F:1:89: vault.cluster_id: expected 1 to 64 of the letters"},
    {WITH("epoch: 256"), "F:1:84: vault.epoch: expected a whole number from 0 to 255"},
    {WITH("mode: indirect"),
     "F:1:83: vault.mode: 'indirect' is not known; allowed: hierarchy, dir"},
    {WITH("state: keks"), "F:1:84: vault.state: expected an absolute path"},
    {WITH("poll: 999ms"), "F:1:83: vault.poll: expected a duration"},
    {WITH("poll: 61m"), "F:1:83: vault.poll: expected a duration"},
    {WITH("stability: 61m"), "F:1:88: vault.stability: expected a duration"},
    {WITH("activation_delay: 25h"), "F:1:95: vault.activation_delay: expected a duration"},
    {WITH("offline_grace: 31d"), "F:1:92: vault.offline_grace: expected a duration"},
    {WITH("offline_grace: ever"), "F:1:92: vault.offline_grace: expected a duration"},
    {WITH("on_refused: retry"),
     "F:1:89: vault.on_refused: 'retry' is not known; allowed: stop, gr"},
    {WITH("kek_max_age: 59m"), "F:1:90: vault.kek_max_age: expected a duration"},
    {WITH("kek_max_age: 46d"), "F:1:90: vault.kek_max_age: expected a duration"},
    {WITH("kek_max_uses: 0"),
     "F:1:91: vault.kek_max_uses: expected a whole number from 1 to 429496"},
    {WITH("kek_max_uses: 4294967296"), "F:1:91: vault.kek_max_uses: expected a whole number"},
};

#define SECRETS                                                                                    \
    "secrets live in files, never in the configuration: write it to a file that only the "         \
    "daemon's "                                                                                    \
    "user can read and name that file in vault.auth"
#define FILE_EXPECTED                                                                              \
    "expected the file that holds it, an absolute path, or credential:NAME for a systemd "         \
    "credential"

static const struct bad bad_logins[] = {
    {WITH_AUTH("{}"), "F:1:50: vault.auth: expected one login, has none; choose one of none, "
                      "approle, cert, jwt, token"},
    {WITH_AUTH("{ none: {}, token: { file: /t } }"),
     "F:1:69: vault.auth: expected one login, has two; choose one of none, approle, cert"},
    {WITH_AUTH("token"), "F:1:50: vault.auth: expected keys and values (a mapping), found text"},
    {WITH_AUTH("{ tokn: {} }"), "F:1:52: unknown key 'tokn' (did you mean 'token'?); expected one "
                                "of: none, approle, cert, jwt, token"},
    {WITH_AUTH("{ kubernetes: {} }"), "F:1:52: unknown key 'kubernetes'; expected one of: none, "},
    {WITH_AUTH("{ token: hvs.SECRET }"), "F:1:52: vault.auth.token: " SECRETS},
    {WITH_AUTH("{ token: }"), "F:1:52: vault.auth.token: expected keys and values (a mapping)"},
    {WITH_AUTH("{ token: {} }"), "F:1:52: vault.auth.token: file is missing: file of the token"},
    {WITH_AUTH("{ token: { token: hvs.SECRET } }"), "F:1:61: vault.auth.token: " SECRETS},
    {WITH_AUTH("{ token: { file: hvs.SECRET } }"), "F:1:67: vault.auth.token.file: " FILE_EXPECTED},
    {WITH_AUTH("{ token: { file: \"credential:\" } }"),
     "F:1:67: vault.auth.token.file: " FILE_EXPECTED},
    {WITH_AUTH("{ token: { file: \"credential:../SECRET\" } }"),
     "F:1:67: vault.auth.token.file: " FILE_EXPECTED},
    {WITH_AUTH("{ token: { file: /a/ } }"), "F:1:67: vault.auth.token.file: " FILE_EXPECTED},
    {WITH_AUTH("{ token: { file: 5 } }"),
     "F:1:67: vault.auth.token.file: " FILE_EXPECTED ", found a number"},
    {WITH_AUTH("{ approle: { role_id_file: /r } }"),
     "F:1:52: vault.auth.approle: secret_id_file is missing: file of the secret id, or credential"},
    {WITH_AUTH("{ approle: { secret_id_file: /r } }"),
     "F:1:52: vault.auth.approle: role_id_file is missing"},
    {WITH_AUTH("{ approle: { role_id_file: /r, secret_id: SECRET } }"),
     "F:1:81: vault.auth.approle: " SECRETS},
    {WITH_AUTH("{ approle: { role_id: SECRET } }"), "F:1:63: vault.auth.approle: " SECRETS},
    {WITH_AUTH("{ approle: { role_id_file: 0b1f2c3d-SECRET } }"),
     "F:1:77: vault.auth.approle.role_id_file: " FILE_EXPECTED},
    {WITH_AUTH("{ approle: { role_id_file: /r, secret_id_file: /s, mount: \"\" } }"),
     "F:1:108: vault.auth.approle.mount: " LETTERS},
    {WITH_AUTH("{ cert: { cert_file: /c } }"), "F:1:52: vault.auth.cert: key_file is missing"},
    {WITH_AUTH("{ cert: { key_file: /c } }"), "F:1:52: vault.auth.cert: cert_file is missing"},
    {WITH_AUTH("{ jwt: { file: /j } }"), "F:1:52: vault.auth.jwt: role is missing: name of the ro"},
    {WITH_AUTH("{ jwt: { role: r } }"), "F:1:52: vault.auth.jwt: file is missing"},
    {WITH_AUTH("{ jwt: { role: r, jwt: SECRET } }"), "F:1:68: vault.auth.jwt: " SECRETS},
    {WITH_AUTH("{ none: { file: /t } }"), "F:1:60: vault.auth.none has no keys; write none: {}"},
    {"vault: { key: k, auth: { none: {} }, addresses: [ \"unix:/s\", \"https://a\" ] }",
     "F:1:62: vault.addresses: with vault.auth none an agent or proxy on this host logs in, so "
     "expected unix:/PATH or an address of the loopback; for a server name a login"},
};

static void test_bad_together(void **state)
{
    (void)state;
    check_bad(bad_together, ARRAY_LEN(bad_together));
}

static void test_bad_values(void **state)
{
    (void)state;
    check_bad(bad_values, ARRAY_LEN(bad_values));
}

static void test_bad_logins(void **state)
{
    (void)state;
    check_bad(bad_logins, ARRAY_LEN(bad_logins));
}

/* No refusal shows what stands in the place of a secret. */
static void test_secrets_are_not_shown(void **state)
{
    (void)state;
    size_t seen = 0;
    for (size_t i = 0; i < ARRAY_LEN(bad_logins); i++) {
        struct kerrinfo e = {0};
        AUTO_CONFIG c = NULL;
        assert_int_equal(config_parse(bytes_of_text(bad_logins[i].yaml), "F", &c, &e), KERR_CONFIG);
        seen += strstr(bad_logins[i].yaml, "SECRET") != NULL ? 1 : 0;
        assert_null(strstr(e.text, "SECRET"));
    }
    assert_true(seen >= 7);
}

/* ---- restart ---- */

static void check_restart(const char *before, const char *after, const char *want)
{
    struct kerrinfo e = {0};
    AUTO_CONFIG running = parse_good(before);
    AUTO_CONFIG fresh = parse_good(after);
    AUTO_BUF names;
    buf_init(&names, 1024);
    assert_ok(&e, config_restart_needed(running, fresh, &names, &e));
    const char *text = NULL;
    assert_ok(&e, buf_text(&names, &text, &e));
    assert_string_equal(text, want);
}

static void test_restart_needed(void **state)
{
    (void)state;
    check_restart(least, least, "");
    check_restart(least, "{}", "vault");
    check_restart("{}", least, "vault");
    check_restart("{}", everything, "provider, also_unwrap, vault");
    check_restart(WITH("mount: transit"), WITH("poll: 10s"), "");
    check_restart(WITH("mount: transit"), WITH("mount: other"), "vault");
    check_restart(WITH_AUTH("{ token: { file: /a } }"), WITH_AUTH("{ token: { file: /b } }"),
                  "vault");
    check_restart(WITH_AUTH("{ none: {} }"), WITH_AUTH("{ token: { file: /b } }"), "vault");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything_is_read_printed_and_read_again),
        cmocka_unit_test(test_good_addresses),
        cmocka_unit_test(test_logins),
        cmocka_unit_test(test_bad_together),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_address_limits),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_bad_logins),
        cmocka_unit_test(test_secrets_are_not_shown),
        cmocka_unit_test(test_restart_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
