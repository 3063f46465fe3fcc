# SPDX-License-Identifier: Apache-2.0
"""etcdseal doctor: bad input, and API servers that are none. What it finds on a whole host is tested
in tests/system/test_doctor.py."""

import contextlib
import datetime
import http.server
import ipaddress
import json
import os
import socket
import ssl
import threading
import time

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conftest import fingerprint, needs_root

MANIFEST = """\
kind: Pod
spec:
  containers:
  - command: [kube-apiserver, --encryption-provider-config={config}]
    volumeMounts: [{{name: a, mountPath: {folder}}}]
  volumes: [{{name: a, hostPath: {{path: {folder}}}}}]
"""

BAD_FILES = {
    "not YAML": (b"kind: [Pod\n", 2, "not valid YAML"),
    "anchor": (b"kind: &a Pod\n", 2, ":1:7: anchors"),
    "tag": (b"kind: !!str Pod\n", 2, "tags"),
    "several documents": (b"kind: Pod\n---\nkind: Pod\n", 2, "second document"),
    "control character": (b"kind: P\x01od\n", 2, ":1:8: control character 0x01"),
    "not UTF-8": (b"kind: \xff\xfe\n", 2, "UTF-8"),
    "10 MB": (b"a: b\n" * (2 << 20), 2, "larger than"),
    "empty": (b"", 2, ""),
    "another kind": (b"apiVersion: v1\nkind: ConfigMap\n", 2, "not "),
}


def row(ran, name):
    (found,) = [row for row in json.loads(ran.out)["checks"] if row["id"] == name]
    return found["result"], found["about"]


@pytest.mark.parametrize("option", ["--manifest", "--encryption-config"])
@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file(store, option, kind):
    content, code, words = BAD_FILES[kind]
    path = store.folder / "file.yaml"
    path.write_bytes(content)
    if kind == "another kind" and option == "--encryption-config":
        words = ""
    ran = store.unchanged("doctor", option, path)
    if ran.out:  # readable, and found wanting by the linter
        assert kind == "another kind" and ran.code == 1
        assert "encryption-config-loads" in ran.out
    else:
        ran.refused(code, words)


@pytest.mark.parametrize("option", ["--manifest", "--encryption-config", "--token-file"])
def test_file_that_cannot_be_read(store, option):
    more = ["--apiserver", "https://127.0.0.1:1"]
    store.unchanged("doctor", option, store.folder / "absent", *more).refused(3, "No such file")
    store.unchanged("doctor", option, store.store, *more).refused(2, "not a regular file")
    if os.geteuid() == 0:
        fifo = store.folder / "fifo"
        os.mkfifo(fifo)
        store.run("doctor", option, fifo, *more).refused(2, "not a regular file")


@needs_root
@pytest.mark.parametrize("option", ["--manifest", "--encryption-config", "--token-file"])
def test_file_of_others(store, option):
    path = store.folder / "file"
    path.write_text("kind: Pod\n")
    path.chmod(0o600)
    store.prefix = ["setpriv", "--reuid", "4999", "--regid", "4999", "--clear-groups", "--"]
    store.unchanged("doctor", option, path, "--apiserver", "https://127.0.0.1:1").refused(
        3, "Permission denied")


@needs_root
def test_not_root(store):
    """What others may not look at is unknown, not wrong."""
    store.prefix = ["setpriv", "--reuid", "4999", "--regid", "4999", "--clear-groups", "--"]
    ran = store.unchanged("doctor", "-o", "json")
    assert "not run as root" in ran.err
    for name in ("keystore-there", "seal-unattended"):
        assert row(ran, name)[0] in ("unknown", "skipped"), ran.told()
    for name in ("keystore-file-mode", "seal-file-mode", "seal-beside"):
        assert row(ran, name)[0] in ("unknown", "skipped"), (name, ran.told())
    assert row(ran, "keystore-there")[0] == "unknown"


@pytest.mark.parametrize("words, message", [
    (("--cert", "/x"), "--cert and --key go together"),
    (("--key", "/x"), "--cert and --key go together"),
    (("--cert", "/x", "--key", "/x", "--token-file", "/x"), "not both"),
    (("--apiserver", "http://127.0.0.1:1"), "https://HOST:PORT"),
    (("--apiserver", "127.0.0.1:1"), "https://HOST:PORT"),
    (("--token", "x"), "--token"),
    (("-o", "sarif"), "sarif"),
    (("extra",), "extra"),
])
def test_wrong_words(store, words, message):
    store.unchanged("doctor", *words).refused(2, message)


def test_documents_are_the_same(store):
    one = json.loads(store.run("doctor", "-o", "json").out)
    other = yaml.safe_load(store.run("doctor", "-o", "yaml").out)
    assert one == other and one["errors"] > 0
    assert {"id", "rule", "severity", "what", "where", "why", "cure", "docs"} == set(
        one["findings"][0])
    table = store.run("doctor")
    assert table.code == 1 and table.err.strip().endswith(f"notes: {one['notes']}")
    for found in one["findings"]:
        assert found["what"] in table.out and found["cure"] in table.out and found["docs"] in table.out


def test_broken_configuration(store):
    """Is found, and nothing that depends on it is guessed."""
    store.config.write_text("socket: { path: 7 }\n")
    ran = store.unchanged("doctor", "-o", "json")
    report = json.loads(ran.out)
    assert [f["id"] for f in report["findings"]][:1] == ["config-loads"]
    assert f"{store.config}:1:" in report["findings"][0]["what"]
    for name in ("keystore-there", "keystore-opens", "socket-there", "daemon-answers"):
        assert row(ran, name) == ("skipped", "see config-loads")
    assert row(store.run("doctor", "-o", "json", "--config", store.folder / "absent"),
               "config-loads")[0] == "error"


def test_manifest_and_encryption_config_from_options(store):
    """The flag leads through the mount to the file."""
    config = store.folder / "encryption.yaml"
    manifest = store.folder / "kube-apiserver.yaml"
    config.write_text("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"
                      "resources:\n  - resources: ['*.*']\n    providers:\n      - kms: {apiVersion: "
                      f"v2, name: etcdseal, endpoint: 'unix://{store.folder}/kms.sock'}}\n")
    manifest.write_text(MANIFEST.format(config=config, folder=store.folder))
    ran = store.unchanged("doctor", "-o", "json", "--manifest", manifest)
    assert row(ran, "encryption-config-endpoint") == ("ok", f"unix://{store.folder}/kms.sock")
    assert row(ran, "apiserver-reload")[0] == "warning"
    link = store.folder / "link.yaml"
    link.symlink_to(manifest)
    assert row(store.run("doctor", "-o", "json", "--manifest", link), "apiserver-flag")[0] == "ok"
    alone = store.run("doctor", "-o", "json", "--encryption-config", config)
    assert row(alone, "encryption-config-loads") == ("ok", str(config))
    assert row(alone, "encryption-config-endpoint")[0] == "ok"


# --- API servers ----------------------------------------------------------------------------------


def certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "apiserver")])
    now = datetime.datetime.utcnow()
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
            .sign(key, hashes.SHA256()))
    cert_file, key_file = folder / "apiserver.crt", folder / "apiserver.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                           serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    return cert_file, key_file


class FakeApiServer:
    """`answers`: status and body by path; a body may be a list of pieces."""

    def __init__(self, folder, version=None):
        self.answers = {"/readyz/kms-providers": (200, b"ok"), "/metrics": (200, b"")}
        self.seen = []
        self.delay = 0
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                fake.seen.append((self.path, dict(self.headers)))
                time.sleep(fake.delay)
                status, body = fake.answers.get(self.path, (404, b""))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "https://127.0.0.1:1/elsewhere")
                self.end_headers()
                with contextlib.suppress(OSError):
                    for piece in body if isinstance(body, list) else [body]:
                        self.wfile.write(piece)

            def log_message(self, *_):
                pass

        self.cert, key = certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, key)
        if version is not None:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                  do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def api(store):
    with FakeApiServer(store.folder) as fake:
        yield fake


def ask(store, api, *words, **options):
    return store.run("doctor", "-o", "json", "--apiserver", api.url, "--cacert", api.cert, *words,
                     **options)


def test_token(store, api):
    """Sent as it stands in the file's first line, shown nowhere."""
    token = store.folder / "token"
    token.write_text("abc.DEF-123\nsecond line\n")
    ran = ask(store, api, "--token-file", token)
    assert row(ran, "apiserver-answers") == ("ok", api.url)
    assert [headers["Authorization"] for _, headers in api.seen] == ["Bearer abc.DEF-123"] * 2
    assert "abc.DEF" not in ran.out + ran.err


@pytest.mark.parametrize("content", ["\n", "a b\n", "a\rX-Evil: 1\n", "\N{SNOWMAN}\n", "x" * 16385])
def test_what_is_no_token(store, api, content):
    token = store.folder / "token"
    token.write_text(content)
    ran = ask(store, api, "--token-file", token)
    assert not api.seen
    if ran.out:
        assert row(ran, "apiserver-answers")[0] == "unknown" and "not a token" in ran.out
    else:
        ran.refused(2, "expected a token")


def test_redirects_are_not_followed(store, api):
    api.answers["/readyz/kms-providers"] = (302, b"")
    ran = ask(store, api)
    assert [path for path, _ in api.seen] == ["/readyz/kms-providers", "/metrics"]
    assert ran.code != 0


def test_hostile_answers_are_shown_escaped(store, api):
    api.answers["/readyz/kms-providers"] = (500, b"\033[31mred\nerror keystore-there\n")
    ran = store.run("doctor", "--apiserver", api.url, "--cacert", api.cert)
    assert "\033" not in ran.out + ran.err and "\nerror keystore-there" not in ran.out


def test_large_answers_end(store, api):
    """A page of metrics may be large, not endless; a health answer not even large."""
    lines = b"".join(b'apiserver_request_total{code="%d"} 1\n' % n for n in range(30000))
    api.answers["/metrics"] = (200, [lines] * 10)
    assert row(ask(store, api), "apiserver-answers")[0] == "ok"
    api.answers["/metrics"] = (200, [lines] * 100)
    result, about = row(ask(store, api), "apiserver-answers")
    assert result == "unknown" and "more than" in about
    api.answers["/readyz/kms-providers"] = (200, [b"x" * 4096] * 1000)
    result, about = row(ask(store, api), "apiserver-answers")
    assert result == "unknown" and "more than 4096 bytes" in about


@pytest.mark.parametrize("status", [401, 403, 500])
def test_refusals_of_the_api_server(store, api, status):
    api.answers["/metrics"] = (status, b"")
    result, about = row(ask(store, api), "apiserver-answers")
    assert result == "unknown" and f"HTTP {status}" in about


def test_another_certificate(store, api):
    other = store.folder / "other"
    other.mkdir()
    cert, _ = certificate(other)
    ran = store.run("doctor", "-o", "json", "--apiserver", api.url, "--cacert", cert)
    assert row(ran, "apiserver-answers")[0] == "unknown" and not api.seen
    ran = store.run("doctor", "-o", "json", "--apiserver", api.url.replace("127.0.0.1", "localhost"),
                    "--cacert", api.cert)
    assert row(ran, "apiserver-answers")[0] == "unknown" and not api.seen


OLD_TLS = """
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = old
[old]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
"""


def test_old_tls(store):
    """Not even where OpenSSL's configuration allows it."""
    config = store.folder / "openssl.cnf"
    config.write_text(OLD_TLS)
    env = {"OPENSSL_CONF": str(config)}
    with FakeApiServer(store.folder, ssl.TLSVersion.TLSv1_1) as old:
        assert row(ask(store, old, env=env), "apiserver-answers")[0] == "unknown" and not old.seen
    with FakeApiServer(store.folder, ssl.TLSVersion.TLSv1_2) as good:
        assert row(ask(store, good), "apiserver-answers")[0] == "ok"


def test_api_server_that_says_nothing(store):
    """The deadline holds for all of it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4)
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        before = fingerprint(store.folder)
        ran = store.run("doctor", "-o", "json", "--apiserver", url)
        assert 9 < time.monotonic() - began < 15
        assert row(ran, "apiserver-answers")[0] == "unknown"
        assert fingerprint(store.folder) == before


def test_other_api_servers(store, api):
    """What is asked of them needs a daemon: tests/system/test_doctor.py. Here who is asked, and how."""
    store.run("doctor", "--other-apiserver", "http://127.0.0.1:1").refused(2, "https://HOST:PORT")
    many = [word for _ in range(17) for word in ("--other-apiserver", api.url)]
    store.run("doctor", *many).refused(2, "more than 16")
    ask(store, api, "--other-apiserver", api.url + "/", "--other-apiserver", api.url)
    assert [path for path, _ in api.seen] == ["/readyz/kms-providers", "/metrics", "/metrics", "/metrics"]
