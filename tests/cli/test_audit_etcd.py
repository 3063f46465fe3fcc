# SPDX-License-Identifier: Apache-2.0
"""What etcdseal audit says about a running etcd before it has asked one, and when nobody is there.
tests/system/test_audit_live.py has real ones."""

import os

import pytest

NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def files(tool):
    def make(name, content, mode=0o600):
        path = tool.folder / name
        path.write_text(content)
        path.chmod(mode)
        return path
    return make


def audit(tool, *words, env=None):
    return tool.run("audit", *words, env=env)


@pytest.mark.parametrize("words, said", [
    (["--endpoints", "https://a:2379"], ["endpoint 'https://a:2379'", "--cacert"]),
    (["--endpoints", "ftp://a"], ["expected https://HOST:PORT"]),
    (["--endpoints", "a:1,,b:1"], ["endpoint of 0 bytes"]),
    (["--endpoints", NOBODY, "--cert", "c"], ["--cert and --key together"]),
    (["--endpoints", NOBODY, "--cert", "c", "--key", "k"], ["--cacert too"]),
    (["--endpoints", NOBODY, "--password-file", "p"], ["needs --user"]),
    (["--endpoints", NOBODY, "--user", "me:secret"], ["--password-file"]),
    (["--endpoints", NOBODY, "--user", "me"], ["no password", "ETCDCTL_PASSWORD"]),
    (["--endpoints", NOBODY, "--snapshot", "s"], ["name one thing to audit", "--endpoints URL"]),
    (["--endpoints", NOBODY, "--qps", "0"], ["--qps"]),
])
def test_command_lines_that_make_no_sense(tool, words, said):
    ran = audit(tool, *words)
    ran.refused(2, *said)
    assert "secret" not in ran.err


def test_nobody_is_there(tool):
    audit(tool, "--endpoints", NOBODY).refused(3, NOBODY, "Connection refused")
    audit(tool, "--endpoints", f"{NOBODY},127.0.0.1:2").refused(3, "none of the others either")
    audit(tool, "--endpoints", NOBODY, "--endpoints", "127.0.0.1:2").refused(
        3, "none of the others either")
    audit(tool, "--endpoints", f"unix:{tool.folder}/none").refused(3, "No such file")


def test_the_environment_counts_where_no_option_does(tool, files):
    env = {"ETCDCTL_ENDPOINTS": NOBODY}
    audit(tool, env=env).refused(3, NOBODY)
    audit(tool, "--endpoints", "http://127.0.0.1:2", env=env).refused(3, "127.0.0.1:2:")
    audit(tool, "--snapshot", tool.folder / "none", env=env).refused(3, "none")
    audit(tool, env={"ETCDCTL_ENDPOINTS": ""}).refused(2, "name one thing to audit")
    audit(tool, env=env | {"ETCDCTL_CERT": "c"}).refused(2, "--cert and --key together")
    audit(tool, env=env | {"ETCDCTL_CACERT": str(files("ca", "none"))}).refused(3, "holds no PEM")
    ran = audit(tool, env=env | {"ETCDCTL_USER": "me:secret", "ETCDCTL_PASSWORD": "secret"})
    ran.refused(2, "user me: no password")
    assert "secret" not in ran.err
    # A proxy of the environment, and gRPC's own variables, are not for this.
    audit(tool, env=env | {"http_proxy": "http://127.0.0.1:3", "grpc_proxy": "http://127.0.0.1:3",
                           "GRPC_TRACE": "all", "GRPC_VERBOSITY": "DEBUG"}).refused(
        3, "127.0.0.1:1: Failed to connect")


def test_files_that_are_not_what_they_should_be(tool, files):
    to = ["--endpoints", NOBODY]
    audit(tool, *to, "--cacert", tool.folder / "none").refused(3, "none")
    audit(tool, *to, "--user", "me", "--password-file", files("p", "\n")).refused(3, "a password")
    audit(tool, *to, "--user", "me", "--password-file", files("p", "")).refused(3, "p")
    audit(tool, *to, "--user", "me", "--password-file", files("p", "x", 0o644)).refused(3, "p")
    audit(tool, *to, "--user", "me", "--password-file", files("p", "x" * 1025)).refused(3, "1024")
    if os.geteuid() == 0:
        os.chown(files("p", "x"), 12345, 0)
        audit(tool, *to, "--user", "me", "--password-file", tool.folder / "p").refused(3, "p")
