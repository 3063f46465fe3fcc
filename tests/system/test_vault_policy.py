# SPDX-License-Identifier: Apache-2.0
"""What `etcdseal vault policy` prints, run by a shell against a real OpenBao that knows nothing yet:
etcdseald serves with each login, and the policy grants what it needs and nothing more."""

import os
import re
import subprocess

import pytest

from parts import places
from parts.daemon import Daemon
from parts.kms import Kms
from parts.openbao import BaoError, JwtIssuer, OpenBao, b64
from parts.vaulted import QUICK

KEY, MOUNT = "kube", "kms/transit"
NAME = f"etcdseal-{KEY}"


@pytest.fixture
def bao(workspace):
    return OpenBao(workspace)


class SetUp:
    """A node whose configuration has a section `vault`, and an administrator's shell."""

    def __init__(self, workspace, bao, auth, **more):
        self.workspace, self.bao = workspace, bao
        section = {"addresses": [bao.url], "ca_file": str(bao.ca_file), "mount": MOUNT, "key": KEY,
                   "cluster_id": "test-1", "state": str(workspace.folder("node/store") / "vault-keks"),
                   "auth": auth} | QUICK | more
        workspace.folder("node", 0o711)
        self.daemon = Daemon(workspace, "node", keystore=False,
                             config={"provider": "vault", "vault": section})
        bin_folder = workspace.folder("admin", 0o711)
        if not (bin_folder / "bao").exists():
            (bin_folder / "bao").symlink_to(places.real_part("openbao"))
        self.folder = bin_folder

    def printed(self, *words):
        return self.daemon.tool.run("vault", "policy", "--config", self.daemon.config_path, *words,
                                    keystore=False).ok().out

    def run(self, script, *replaced):
        """The files are made for etcdseald's user, which is ours here. Every command must work."""
        for old, new in (("chown etcdseal:etcdseal", f"chown {os.getuid()}:{os.getgid()}"), *replaced):
            assert old in script or "chown" in old, old
            script = script.replace(old, new)
        env = dict(os.environ) | {
            "PATH": f"{self.folder}:{os.environ['PATH']}", "HOME": str(self.folder),
            "BAO_ADDR": self.bao.url, "BAO_CACERT": str(self.bao.ca_file),
            "BAO_TOKEN": self.bao.root_token}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=env, cwd=self.folder,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"

    def serves(self):
        self.daemon.start()
        with Kms(self.daemon.socket) as kms:
            assert kms.unwrap(kms.encrypt(b"k" * 32)) == b"k" * 32


def approle(workspace, **more):
    folder = workspace.folder("node", 0o711)
    return {"approle": {"role_id_file": str(folder / "role-id"),
                        "secret_id_file": str(folder / "secret-id")} | more}


def test_approle(workspace, bao):
    setup = SetUp(workspace, bao, approle(workspace))
    setup.run(setup.printed())
    for name in ("role-id", "secret-id"):
        path = workspace.path("node", name)
        assert path.stat().st_mode & 0o777 == 0o600
        workspace.secret(path.read_bytes().strip())
    assert sorted(p.name for p in workspace.path("node").glob("*.new")) == []
    setup.serves()


def test_wrapped_secret_id(workspace, bao):
    setup = SetUp(workspace, bao, approle(workspace, secret_id_wrapped=True))
    setup.run(setup.printed())
    workspace.secret(workspace.path("node", "secret-id").read_bytes())
    setup.serves()


def test_token_without_the_policy_default(workspace, bao):
    file = workspace.folder("node", 0o711) / "token"
    setup = SetUp(workspace, bao, {"token": {"file": str(file)}})
    setup.run(setup.printed("--no-default-policy"))
    token = file.read_text()
    workspace.secret(token.encode())
    assert bao.api("GET", "auth/token/lookup-self", token=token)["data"]["policies"] == [NAME]
    bao.api("POST", "auth/token/renew-self", {}, token=token)
    bao.api("POST", "sys/capabilities-self", {"paths": ["x"]}, token=token)
    setup.serves()
    bao.api("POST", "auth/token/revoke-self", {}, token=token)


def test_certificate(workspace, bao):
    certificate, key = bao.ca.issue("node-1")
    workspace.secret(key)
    files = {"cert_file": str(workspace.write("node/client.pem", certificate)),
             "key_file": str(workspace.write("node/client.key", key))}
    setup = SetUp(workspace, bao, {"cert": files | {"role": "nodes"}})
    workspace.write("admin/ca.pem", bao.ca.pem, 0o644)
    setup.run(setup.printed())
    setup.serves()


def test_jwt(workspace, bao):
    file = workspace.folder("node", 0o711) / "jwt"
    issuer = JwtIssuer(workspace, "openbao")
    setup = SetUp(workspace, bao, {"jwt": {"role": "nodes", "file": str(file)}})
    workspace.write("admin/issuer.pem", issuer.public_pem, 0o644)
    setup.run(setup.printed(), ("bound_subject=NODE", "bound_subject=node-1"))
    workspace.write("node/jwt", issuer.jwt(sub="node-1"))
    setup.serves()


def test_namespace(workspace, bao):
    bao.api("POST", "sys/namespaces/team", {})
    setup = SetUp(workspace, bao, approle(workspace), namespace="team")
    setup.run(setup.printed())
    workspace.secret(workspace.path("node", "secret-id").read_bytes())
    setup.serves()


# --- the policy ----------------------------------------------------------------------------------------


@pytest.fixture
def granted(workspace, bao):
    """A token with the printed policy alone, and that policy."""
    setup = SetUp(workspace, bao, approle(workspace))
    script = setup.printed("--no-default-policy")
    setup.run(script)
    workspace.secret(workspace.path("node", "secret-id").read_bytes())
    policy = re.search(r"<<'EOF'\n(.*?)^EOF$", script, re.M | re.S).group(1)
    return bao.token(NAME, no_default_policy=True), policy


def may(bao, token, method, path, body=None):
    status, _ = bao.call(method, path, body, token=token)
    assert status < 500
    return status != 403


def test_the_policy_is_the_least(bao, granted):
    """Each line is needed for its own call, and no other call of the engine is allowed."""
    token, policy = granted
    ciphertext = bao.encrypt(MOUNT, KEY, b"x", token=token)["ciphertext"]
    calls = {
        f"{MOUNT}/encrypt/{KEY}": ("POST", {"plaintext": b64(b"x")}),
        f"{MOUNT}/decrypt/{KEY}": ("POST", {"ciphertext": ciphertext}),
        f"{MOUNT}/keys/{KEY}": ("GET", None),
        "auth/token/lookup-self": ("GET", None),
        "auth/token/renew-self": ("POST", {}),
        "sys/capabilities-self": ("POST", {"paths": ["x"]}),
    }
    lines = policy.splitlines(keepends=True)
    assert len(lines) == len(calls) + 1  # revoke-self is the last call of all
    for path, (method, body) in calls.items():
        assert may(bao, token, method, path, body), path
        bao.write_policy(NAME, "".join(line for line in lines if f'"{path}"' not in line))
        assert not may(bao, token, method, path, body), path
    bao.write_policy(NAME, policy)


FORBIDDEN = [
    ("POST", f"{MOUNT}/encrypt/other", {"plaintext": "eA=="}),
    ("POST", f"{MOUNT}/decrypt/other", {"ciphertext": "vault:v1:eA=="}),
    ("POST", f"{MOUNT}/keys/other", {}),
    ("POST", f"{MOUNT}/keys/{KEY}", {}),
    ("POST", f"{MOUNT}/keys/{KEY}/rotate", {}),
    ("POST", f"{MOUNT}/keys/{KEY}/config", {"deletion_allowed": True}),
    ("POST", f"{MOUNT}/keys/{KEY}/trim", {"min_available_version": 1}),
    ("DELETE", f"{MOUNT}/keys/{KEY}", None),
    ("GET", f"{MOUNT}/keys?list=true", None),
    ("GET", f"{MOUNT}/export/encryption-key/{KEY}", None),
    ("GET", f"{MOUNT}/backup/{KEY}", None),
    ("POST", f"{MOUNT}/datakey/plaintext/{KEY}", {}),
    ("POST", f"{MOUNT}/rewrap/{KEY}", {"ciphertext": "vault:v1:eA=="}),
    ("POST", f"{MOUNT}/config/keys", {"disable_upsert": False}),
    ("GET", "sys/mounts", None),
    ("GET", f"sys/policies/acl/{NAME}", None),
    ("GET", f"auth/approle/role/{NAME}", None),
    ("POST", f"auth/approle/role/{NAME}/secret-id", {}),
    ("POST", "auth/token/create", {}),
    ("GET", "cubbyhole/x", None),
]


def test_nothing_else_is_allowed(bao, granted):
    allowed = [call for call in FORBIDDEN if may(bao, granted[0], *call)]
    assert allowed == []
    for call in FORBIDDEN:  # all are calls that the server knows
        status, answer = bao.call(*call)
        assert status not in (403, 405) and "unsupported path" not in str(answer), (call, answer)


def test_a_mistyped_key_is_no_new_key(bao, granted):
    """Even for who may create."""
    with pytest.raises(BaoError) as e:
        bao.encrypt(MOUNT, "kubes", b"x")
    assert e.value.status == 400 and "not found" in str(e.value)
