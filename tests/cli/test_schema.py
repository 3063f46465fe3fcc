# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of the configuration, held against `etcdseal config check` by python3-jsonschema.

Both judge the same files. Where they differ the table DIFFER says why; nothing else may differ."""

import json
import re

import jsonschema
import pytest
import yaml

from conftest import ROOT, pages
from samples import GIVEN, printed_leaves, vault_files


class Core(yaml.SafeLoader):
    """PyYAML reads YAML 1.1; these are the scalars of the core schema of YAML 1.2, as editors and
    etcdseald read them."""
    yaml_implicit_resolvers = {}

    def construct_number(self, node):
        text = node.value
        for mark, base in (("0o", 8), ("0x", 16)):
            if text.startswith(mark):
                return int(text[2:], base)
        return int(text)


for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
        ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
                  r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.0123456789"))):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)
Core.add_constructor("tag:yaml.org,2002:int", Core.construct_number)


@pytest.fixture(scope="module")
def schema():
    return json.loads((pages() / "etcdseald.schema.json").read_text())


@pytest.fixture(scope="module")
def accepts(schema):
    validator = jsonschema.Draft7Validator(schema)
    return lambda text: validator.is_valid(yaml.load(text, Core))


def judged(tool, text):
    """What the program says: True for good, False for refused."""
    path = tool.folder / "judged.yaml"
    path.write_text(text)
    ran = tool.run("config", "check", path, config=False)
    if ran.code != 0:
        ran.refused(2, str(path))
    return ran.code == 0


def each(section, key, *values):
    """A file for each value."""
    return [f"{section}: {{ {key}: {value} }}\n" if section else f"{key}: {value}\n"
            for value in values]


def vault(*lines, top="", addresses='[ "https://a:8200" ]', key="kube", auth="{ token: { file: /t } }"):
    """A file with a section `vault` for each line."""
    return [f"{top}vault: {{ addresses: {addresses}, key: {key}, auth: {auth}{line and ', '}{line} }}\n"
            for line in lines or [""]]


def addressed(*addresses):
    return [text for address in addresses for text in vault(addresses=f'[ "{address}" ]')]


def logged_in(*logins):
    return [text for login in logins for text in vault(addresses='[ "unix:/s" ]', auth=login)]


LONG = "/" + "d" * 94 + "/s"  # the folder leaves just room for status.sock
DEEP = "/" + "d" * 95 + "/s"
MANY = ", ".join(f"{{ uid: {i} }}" for i in range(16))
SLOTS = ", ".join(f"s{i}: \"file:/x\"" for i in range(32))

GOOD = [
    "{}\n",
    "# nothing but this\n{}\n",
    "socket: {}\n",
    '{"socket": {"path": "/run/x.sock"}, "peers": [{"gid": 5}]}\n',
    *each("socket", "path", "/run/etcdseal/kms.sock", "/x", "/a//b", "/.a", "/..a", "/a/...", "/a.",
          LONG, "/status.sock2", "/status.sock/x", '"/with blank/s"', '"/ü/s"'),
    *each("socket", "mode", '"0600"', '"0660"', '"600"', '"0000"', "'0770'"),
    *each("socket", "owner", "root", "kube-apiserver", "0", "4294967294", '"0"', '"4294967294"',
          '"007"', "a" * 32, "_x", "x$", "a.b", '"true"', "0x", "1a", "1.0"),
    *each("socket", "group", "root", "990"),
    *each("socket", "connections_max", "1", "64", "1024", "0064"),
    *each("", "peers", "[ { uid: 0 } ]", f"[ {MANY} ]", "[ { uid: 4294967294 }, { gid: 65533 } ]",
          "[ { uid: 1 }, { gid: 1 } ]", "[ { uid: 1, methods: [status] } ]",
          "[ { uid: 1, methods: [decrypt, encrypt, status], decrypt_rate: 1000000, note: x } ]",
          "[ { gid: 1, decrypt_rate: 0 } ]", f"[ {{ uid: 1, note: {'x' * 200} }} ]",
          '[ { uid: 1, note: "1" } ]', "[ { uid: 65535 } ]"),
    *each("", "provider", "local", '"local"'),
    *each("", "also_unwrap", "[]"),
    *each("", "kms_version", "v2", "v2beta1"),
    *each("keystore", "path", "/var/lib/x", '"/x y"', "/" + "x" * 4094),
    *each("keystore", "unseal", "{}", '{ boot: "file:/x" }', '{ b-1: "credential:boot" }',
          '{ 1: "passphrase:file=/x" }', f"{{ {SLOTS} }}", '{ a: "file:" }',
          f'{{ {"s" * 31}: "file:/x" }}'),
    *each("keystore", "poll", "1s", "10s", "3600s", "1000ms", "3600000ms", "1m", "60m", "1h", "010s",
          '"5m"', "59m", "2999999ms", "3599999ms", "3600s", "199s", "999s"),
    *vault("", "cluster_id: prod-1", "allow_plain_http: true", "ca_file: /ca.pem", "namespace: a/b.c",
           "mount: a/b-c/d_1", "mount: " + "m" * 128, "epoch: 255", "mode: direct", "state: /s",
           "poll: 1h", "stability: 0", "activation_delay: 24h", "offline_grace: 30d",
           "on_refused: grace", "kek_max_age: 45d", "kek_max_age: 1h", "kek_max_uses: 4294967295",
           "cluster_id: " + "c" * 64),
    *vault("cluster_id: a", top="provider: vault\nalso_unwrap: [local]\n"),
    *vault("cluster_id: a", top="also_unwrap: [vault]\n"),
    *vault(key="k" * 128), *vault(key="A.b_c-9"),
    *addressed("https://a", "https://a.b-c.example:1", "https://a_b:65535", "https://1a", "https://1.a",
               "https://127.0.0.1:8200", "https://[fd00::1]:80", "http://127.9.0.1", "http://[::1]:1",
               "http://localhost", "unix:/s", "unix:/a//b c", "unix:/" + "s" * 106,
               "https://" + ".".join(["a" * 63] * 3) + "." + "b" * 61),
    *vault(addresses="[" + ", ".join(f'"https://a{i}"' for i in range(8)) + "]"),
    *logged_in("{ none: {} }", "{ approle: { role_id_file: /r, secret_id_file: /s } }",
               '{ approle: { role_id_file: "credential:r", secret_id_file: "credential:s.1_x", '
               "secret_id_wrapped: true, mount: a/b } }",
               "{ cert: { cert_file: /c, key_file: /k } }",
               "{ cert: { cert_file: /c, key_file: /k, role: r, mount: c } }",
               "{ jwt: { role: r, file: /j } }", "{ jwt: { role: r, file: /j, mount: m } }",
               "{ token: { file: /t } }"),
    *each("keystore", "unseal", '{ a: "vault:" }', '{ a: "vault:/x.yaml" }'),
    *each("metrics", "listen", '"off"', "off", "127.0.0.1:9655", '"127.0.0.1:1"', "127.255.0.9:65535",
          '"[::1]:9655"', '"[127.0.0.1]:80"', "127.0.0.1:09655", "127.249.250.199:59999"),
    *each("log", "level", "error", "warn", "info", "debug"),
    *each("log", "format", "text", "json"),
    *each("log", "requests", "true", "false"),
    *each("", "memory_lock", "strict", "best-effort"),
    *each("", "shutdown_grace", "0", '"0"', "0s", "0ms", "5s", "60s", "60000ms", "1m", "0d", "0h",
          "00"),
]

BAD = [
    "",
    "null\n",
    "[]\n",
    "text\n",
    "socket:\n",
    "socket: []\n",
    "socket: /run/x\n",
    "sokcet: {}\n",
    "socket: { Path: /x }\n",
    "socket.path: /x\n",
    "keystore: { socket: {} }\n",
    *each("socket", "path", "", "~", "5", "true", '""', "x", "run/x", "/", "/a/", "/a/.", "/a/..",
          "/.", "/..", '"@x"', "/a/status.sock", "/status.sock", DEEP, "/" + "x" * 107, "[]",
          "{}"),
    *each("socket", "mode", "0600", "600", '"0606"', '"0601"', '"0800"', '"60"', '"00600"',
          '"1600"', '"rw"', "rw-", "true", "", '""'),
    *each("socket", "owner", "-1", '"-x"', "a/b", '"a b"', '""', "", "true", "4294967295",
          '"4294967295"', '"99999999999"', "a" * 33, "[]", "ü", '"42949672950"', "~"),
    *each("socket", "group", "a:b", "4294967296"),
    *each("socket", "connections_max", "0", "1025", "-1", '"64"', "x", "1.5", "", "true", "[64]"),
    *each("", "peers", "", "[]", "{}", "x", "[ {} ]", "[ x ]", "[ { uid: 0, gid: 0 } ]",
          "[ { note: x } ]", "[ { uid: 65534 } ]", "[ { gid: 65534 } ]", "[ { uid: 4294967295 } ]",
          "[ { uid: -1 } ]", '[ { uid: "0" } ]', "[ { uid: root } ]", "[ { uid: 0, user: x } ]",
          f"[ {MANY}, {{ gid: 1 }} ]", "[ { uid: 1, methods: [] } ]", "[ { uid: 1, methods: status } ]",
          "[ { uid: 1, methods: [Status] } ]", "[ { uid: 1, methods: [status, status] } ]",
          "[ { uid: 1, decrypt_rate: 1000001 } ]", "[ { uid: 1, decrypt_rate: -1 } ]",
          '[ { uid: 1, note: "" } ]', "[ { uid: 1, note: 5 } ]", "[ { uid: 1, note: } ]",
          f"[ {{ uid: 1, note: {'x' * 201} }} ]", "[ { uid: 1 }, { uid: 1 } ]"),
    *each("", "provider", "Vault", "Local", "1", ""),
    *each("", "also_unwrap", "", "local", "{}", "[tpm]", "[local, local]", "[1]"),
    *each("", "vault", "", "[]", "x", "{}", '{ addresses: [ "https://a" ], key: k }',
          '{ addresses: [ "https://a" ], auth: { none: {} } }', "{ key: k, auth: { none: {} } }"),
    *vault("token: x", "cluster_id: .a", 'cluster_id: ""', "cluster_id: a/b", "cluster_id: 5",
           "cluster_id: " + "c" * 65, "allow_plain_http: 1", "ca_file: ca.pem",
           'ca_file: "credential:x"', "namespace: /a", 'namespace: ""', "mount: a/", "mount: a//b",
           "mount: a/../b", "mount: a/.b", 'mount: "a b"', "mount: a%2f", "mount: " + "m" * 129,
           "epoch: 256", "epoch: -1", "mode: both", "state: s", "poll: 0", "poll: 61m",
           "stability: 61m", "activation_delay: 25h", "offline_grace: 31d", "on_refused: go",
           "kek_max_age: 46d", "kek_max_age: 59m", "kek_max_uses: 0", "kek_max_uses: 4294967296"),
    *vault(key="a/b"), *vault(key=".a"), *vault(key="-a"), *vault("mount: a/-b"), *vault(key='""'), *vault(key="k" * 129), *vault(key="ü"),
    *addressed("", "a:8200", "HTTPS://a", "ftp://a", "https://u@a", "https://a/", "https://a/v1",
               "https://a?b", "https://a#b", "https://", "https://:1", "https://-a", "https://a-.b",
               "https://a..b", "https://a.", "https://ä", "https://127.1", "https://0x7f.1", "https://9",
               "https://256.0.0.1", "https://1.2.3.04", "https://[]", "https://[::1", "https://::1",
               "https://a:", "https://a:0", "https://a:080", "https://a:65536", "https://a:b",
               "https://[::1]1", "https://[a%eth0]", "unix:", "unix:s", "unix:///s", "unix:@s", "unix:/",
               "unix:/a/", "unix:/a/..", "unix:/" + "s" * 107, "https://" + "a" * 64,
               "https://" + ".".join(["a" * 63] * 3) + "." + "b" * 62),
    *vault(addresses="[]"), *vault(addresses="https://a"), *vault(addresses="[ 5 ]"),
    *vault(addresses='[ "https://a", "https://a" ]'),
    *vault(addresses="[" + ", ".join(f'"https://a{i}"' for i in range(9)) + "]"),
    *logged_in("", "{}", "none", "{ none: }", "{ none: { file: /t } }", "{ none: {}, token: { file: /t } }",
               "{ kubernetes: {} }", "{ token: x }", "{ token: {} }", "{ token: { file: t } }",
               "{ token: { file: /t/ } }", "{ token: { token: x } }", '{ token: { file: "credential:" } }',
               '{ token: { file: "credential:a/b" } }', '{ token: { file: "credential:.a" } }',
               "{ approle: { role_id_file: /r } }", "{ approle: { secret_id_file: /s } }",
               "{ approle: { role_id_file: /r, secret_id: s } }",
               "{ approle: { role_id_file: /r, secret_id_file: /s, secret_id_wrapped: 1 } }",
               '{ approle: { role_id_file: /r, secret_id_file: /s, mount: "" } }',
               "{ cert: { cert_file: /c } }", "{ cert: { cert_file: /c, key_file: /k, role: a/b } }",
               "{ jwt: { file: /j } }", "{ jwt: { role: r } }"),
    *each("", "kms_version", "v1", "2", "v2 beta"),
    *each("keystore", "path", "x", "/", "/x/", "", "/x/..", "/" + "x" * 4095),
    *each("keystore", "unseal", "", "[]", "x", '{ B: "file:/x" }', '{ -b: "file:/x" }',
          '{ a_b: "file:/x" }', "{ a: /x }", '{ a: "tpm:x" }', '{ a: "FILE:/x" }', "{ a: 5 }",
          '{ a: "file" }', f"{{ {SLOTS}, more: \"file:/x\" }}", f'{{ {"s" * 32}: "file:/x" }}',
          '{ a: "" }', "{ a: }"),
    *each("keystore", "poll", "0", "0s", "999ms", "3600001ms", "3601s", "61m", "2h", "1d", "10", "s",
          "1.5s", "-1s", "10 s", "1S", "1m30s", "", '""', "10000000000000000000000s", "4000000ms"),
    *each("metrics", "listen", "on", "false", "9655", '":9655"', "127.0.0.1", "127.0.0.1:0",
          "127.0.0.1:65536", "0.0.0.0:9655", "10.0.0.1:80", "localhost:9655", "127.0.0.256:1",
          "127.0.1:80", "127.0.0.01:80", '"::1:9655"', '"[::]:9655"', '"[::1]"', '"[]:1"', '"OFF"',
          "127.0.0.1:-1", ""),
    *each("log", "level", "Info", "trace", "0", ""),
    *each("log", "format", "xml", "logfmt"),
    *each("log", "requests", "yes", "no", "on", "1", '"true"', ""),
    *each("", "memory_lock", "lax", "true", "best effort"),
    *each("", "shutdown_grace", "61s", "60001ms", "2m", "1h", "1", "5", ""),
]

# Files that the two judge in different ways: what the program says, and why a schema cannot.
SPELLING = "a number has one spelling in the program; a schema sees what YAML makes of it"
READER = "a schema sees the document, not how it is written down"
DIFFER = [
    # The schema judges values, after YAML has read them.
    (each("socket", "connections_max", "0x40", "6.4e1", "64.0", "+64", "0o100"), False, SPELLING),
    (each("", "peers", "[ { uid: 0x1 } ]", "[ { uid: +1 } ]"), False, SPELLING),
    (each("", "shutdown_grace", "0.0", "0x0", "+0", "-0"), False, SPELLING),
    (each("log", "requests", "True", "FALSE"), False, SPELLING),
    (each("socket", "owner", "1.5"), True, "a name of figures and a dot, which YAML takes for a number"),
    (["socket: {}\nsocket: {}\n", "socket: { path: /a, path: /b }\n"], False, READER),
    (["socket: &a {}\n", "kms_version: &a v2\n", "socket: !!map {}\n", "--- {}\n--- {}\n"], False, READER),
    (["# " + "x" * 65536 + "\n{}\n"], False, READER),
    # Rules between rows, and the units of lengths.
    (["peers: [ { uid: 1 }, { uid: 1, note: again } ]\n"], False, "a rule between rows"),
    (each("", "peers", f"[ {{ uid: 1, note: {'ü' * 101} }} ]"), False,
     "the program counts bytes, a schema characters"),
    (each("socket", "path", "/" + "ü" * 54), False, "the program counts bytes"),
    (each("", "provider", "vault") + each("", "also_unwrap", "[local]", "[vault]") +
     vault(top="provider: vault\n") + vault(top="also_unwrap: [vault]\n") +
     vault("cluster_id: a", top="provider: vault\nalso_unwrap: [vault]\n"), False,
     "what one key demands of another"),
    (addressed("http://a", "http://10.0.0.5:8200") + vault(auth="{ none: {} }"), False,
     "what one key demands of another"),
    (addressed("https://[:::]", "https://[1.2.3.4]"), False, "an address is more than its letters"),
    # Addresses have many spellings; the pattern knows the usual one.
    (each("metrics", "listen", '"[0:0:0:0:0:0:0:1]:80"', '"[::0001]:80"'), True,
     "other spellings of ::1"),
]


def differing():
    return [(text, verdict, why) for texts, verdict, why in DIFFER for text in texts]


def test_the_schema_is_one(schema):
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schema)


def test_the_program_prints_it(tool, schema):
    ran = tool.run("config", "schema", config=False).ok()
    assert ran.out.encode() == (pages() / "etcdseald.schema.json").read_bytes()
    # It is about all files, so a broken one does not matter.
    tool.config.write_text("nonsense: {}\n")
    assert tool.run("config", "schema").ok().out == ran.out
    tool.run("config", "schema", "x").refused(2, "unexpected argument 'x'")


@pytest.mark.parametrize("text", GOOD, ids=range(len(GOOD)))
def test_both_accept(tool, accepts, text):
    assert judged(tool, text), text
    assert accepts(text), text


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_both_refuse(tool, accepts, text):
    assert not judged(tool, text), text
    assert not accepts(text), text


@pytest.mark.parametrize("text, verdict, why", differing(), ids=range(len(differing())))
def test_where_they_differ(tool, accepts, text, verdict, why):
    """An entry that no longer differs goes to the tables above."""
    assert judged(tool, text) is verdict, f"{why}: {text}"
    try:
        said = accepts(text)
    except yaml.YAMLError:
        said = None  # for PyYAML it is no document at all
    assert said is not verdict, f"{why}: {text}"


def examples():
    yield "systemd/etcdseald.yaml", (ROOT / "systemd" / "etcdseald.yaml").read_text()
    page = (ROOT / "docs" / "configuration.md").read_text()
    for i, block in enumerate(re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S)):
        yield f"docs/configuration.md {i}", block


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in examples()])
def test_samples_are_accepted(tool, accepts, text):
    assert judged(tool, text)
    assert accepts(text)


def leaves(schema, path=()):
    for name, part in schema["properties"].items():
        if part.get("type") == "object" and "properties" in part:
            yield from leaves(part, path + (name,))
        else:
            yield path + (name,), part


def duration_ms(value):
    units = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000}
    found = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)", str(value))
    return int(found[1]) * units[found[2]] if found else value


def test_every_key_with_its_default(tool, schema, accepts):
    """As `config print` shows them; and what it prints is accepted."""
    known = dict(leaves(schema))
    seen = {("vault", "auth", "none")}
    for source in ["{}\n", *vault_files()]:
        tool.config.write_text(source)
        text = tool.run("config", "print").ok().out
        assert accepts(text)
        for path, value in printed_leaves(yaml.load(text, Core)):
            seen.add(path)
            if path != ("peers",) and "default" in known.get(path, {}):
                assert duration_ms(known[path]["default"]) == duration_ms(value), path
    assert seen == set(known) | {("vault", "auth", "none")}
    assert all(part["description"].endswith(".") for part in known.values())
    without = {path for path, part in known.items() if "default" not in part}
    assert {path[1] for path in without} == set(GIVEN) | {"auth"}
    printed = yaml.load(tool.run("config", "print", config=False).ok().out, Core)
    assert "vault" not in printed
    rows = dict(leaves(schema))[("peers",)]["items"]["properties"]
    assert set(rows) == set(printed["peers"][0]) | {"gid", "note"}
    assert jsonschema.Draft7Validator(schema).is_valid({"peers": [{"uid": 0}]})


def test_every_object_is_closed(schema):
    """So that an editor marks a key that is not known."""
    waiting, count = [schema], 0
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if isinstance(part.get("properties"), dict) and part.get("type") == "object":
                assert part["additionalProperties"] is False
                count += 1
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    assert count >= 5


def test_patterns_are_for_editors_too(schema):
    """ECMA 262 with the flag u: no escape but of a sign that has a meaning."""
    for pattern in re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps(schema)):
        for escaped in re.findall(r"\\(.)", json.loads(f'"{pattern}"')):
            assert escaped in ".[]", pattern
