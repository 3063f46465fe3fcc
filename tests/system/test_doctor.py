# SPDX-License-Identifier: Apache-2.0
"""etcdseal doctor on a whole host: nothing is found while all is well, and of each fault, made for
real, exactly its finding."""

import contextlib
import ctypes

import pytest

from parts.controlplane import (CONFIG, ENCRYPTION, FLAGS, KEY_FILE, MANIFEST, PASSPHRASE, PKI,
                                ControlPlane)
from parts.process import wait_until
from parts.workspace import Workspace


def is_clock_synchronised():
    """What the kernel says, asked without the doctor."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    return state != 5  # TIME_ERROR


STORE = "/var/lib/etcdseal"
SERVICE = "etcdseald.service"


@pytest.fixture(scope="module")
def host():
    made = Workspace()
    try:
        yield ControlPlane(made)
        made.end()
        assert not made.leaks(), f"a secret shows in {made.leaks()}"
    finally:
        made.close()


# The clock is the machine's own: what is found of it must be what the kernel says.
CLOCK = [] if is_clock_synchronised() else ["clock-synchronised"]


def check(host, *ids, words=(), code=1, prefix=()):
    done = host.doctor(*words, prefix=prefix)
    assert done.out, done.err
    assert done.found() == sorted([*ids, *CLOCK]), done.report()["findings"]
    assert done.unknown() == [], done.report()["checks"]
    assert done.code == code, done.err


def wait_healthy(host, seconds=60):
    """The daemon and the API server need a moment to notice that a fault is undone."""
    def is_healthy():
        found = host.doctor().found()
        if found != CLOCK:
            raise AssertionError(f"still found: {found}")
        return True
    wait_until("all is well again", is_healthy, seconds, every=0.5)


def replaced(old, new):
    return lambda text: text.replace(old, new)


def without(line):
    """Without the line of a text that holds this."""
    return lambda text: "".join(row for row in text.splitlines(True) if line not in row)


def flag_set(name, value):
    """Of the manifest: a flag with another value, or None for none."""
    def change(_, container):
        words = [word for word in container["command"] if not word.startswith(f"--{name}=")]
        container["command"] = words + ([f"--{name}={value}"] if value is not None else [])
    return change


def mount_changed(name, path):
    """Of the manifest: another folder or file in the place of a mounted one, or None for none."""
    def change(pod, container):
        for rows, key in ((pod["volumes"], "hostPath"), (container["volumeMounts"], "mountPath")):
            row = [row for row in rows if row["name"] == name][0]
            rows.remove(row)
            if path is not None:
                rows.append(dict(row, **{key: {"path": path} if key == "hostPath" else path}))
    return change


def liveness(path):
    def change(_, container):
        container["livenessProbe"]["httpGet"]["path"] = path
    return change


def startup(path):
    def change(_, container):
        container["startupProbe"]["httpGet"]["path"] = path
    return change


@contextlib.contextmanager
def stale_socket(host):
    """As after a crash: the file is there, nobody listens."""
    with host.moved("/run/etcdseal/kms.sock"):
        host.run("python3", "-c", "import os, socket; os.umask(0o177); "
                 "socket.socket(socket.AF_UNIX).bind('/run/etcdseal/kms.sock')")
        yield


@contextlib.contextmanager
def other_socket(host):
    """systemd drops a socket whose path is gone from its unit, so it is made anew afterwards."""
    try:
        with host.drop_in("etcdseald.socket",
                          "[Socket]\nListenStream=\nListenStream=/run/etcdseal/other.sock\n"):
            yield
    finally:
        host.run("systemctl", "stop", SERVICE, "etcdseald.socket")
        host.run("systemctl", "start", "etcdseald.socket", SERVICE)


@contextlib.contextmanager
def hung_daemon(host):
    pid = host.booted.show("etcdseald.service", "MainPID")
    host.run("kill", "-STOP", pid)
    try:
        yield
    finally:
        host.run("kill", "-CONT", pid)


@contextlib.contextmanager
def forgotten_reload(host):
    """A reload that failed, over a file that has been corrected since."""
    with host.config(lambda text: text + "nonsense: 1\n"):
        host.run("systemctl", "reload", SERVICE)
        # The tool would refuse the configuration itself.
        wait_until("the reload has failed", lambda: '"ok":false' in host.run(
            "curl", "--silent", "--unix-socket", "/run/etcdseal/status.sock", "http://x/status"))
    try:
        yield
    finally:
        host.run("systemctl", "reload", SERVICE)


@contextlib.contextmanager
def closed_to_root(host):
    """The running daemon has another list of peers than the file."""
    with host.config(replaced("uid: 0", "uid: 4711")):
        host.run("systemctl", "reload", SERVICE)
        wait_until("the reload was made", lambda: "4711" in host.run(
            "etcdseal", "status", "-o", "json", check=False))
    try:
        yield
    finally:
        host.run("systemctl", "reload", SERVICE)


@contextlib.contextmanager
def one_slot(host):
    host.run("etcdseal", "seal", "remove", "recovery", "--confirm", "recovery")
    try:
        yield
    finally:
        host.run("bash", "-c", "etcdseal seal add recovery=passphrase:fd=9 --passphrase-cost min "
                 f"9<<<'{PASSPHRASE}'")
        host.test_recovery()


@contextlib.contextmanager
def removed_slot(host):
    """Removing a slot leaves the others to be tested."""
    host.run("etcdseal", "seal", "add", "spare=file:/media/key/spare.key")
    host.run("etcdseal", "seal", "remove", "spare", "--confirm", "spare")
    try:
        yield
    finally:
        host.test_recovery()


@contextlib.contextmanager
def key_beside(host):
    """The key file copied to where the keystore lies, and opened from there."""
    key = "/var/lib/etcdseal/boot.key"
    host.run("cp", "-a", KEY_FILE, key)
    try:
        with host.file(f"{STORE}/keystore.unseal", change=replaced(KEY_FILE, key)):
            yield
    finally:
        host.run("rm", key)


@contextlib.contextmanager
def host_key_credential(host):
    """A credential that is encrypted with the host's key file alone, as without a TPM."""
    host.run("etcdseal", "seal", "add", "extra=credential:extra")
    try:
        with host.drop_in(SERVICE, "[Service]\nLoadCredentialEncrypted=extra\n"):
            yield
    finally:
        host.run("etcdseal", "seal", "remove", "extra", "--confirm", "extra")
        host.test_recovery()


@contextlib.contextmanager
def key_at_home(host):
    """The tool can read it there, the service (ProtectHome=) can't."""
    host.run("mkdir", "-p", "/root/keys")
    host.run("cp", "-a", KEY_FILE, "/root/keys/boot.key")
    try:
        with host.file(f"{STORE}/keystore.unseal", change=replaced(KEY_FILE, "/root/keys/boot.key")):
            host.run("systemctl", "restart", SERVICE)
            yield
    finally:
        host.run("rm", "-r", "/root/keys")
        host.run("systemctl", "restart", SERVICE)


@contextlib.contextmanager
def full_disk(host):
    """The daemon finds a change that it did not see happen, and cannot write down that it accepts
    it."""
    accepted = f"{STORE}/keystore.accepted"
    host.run("cp", "-a", accepted, "/run/accepted")
    host.run("systemctl", "stop", SERVICE)
    try:
        host.run("etcdseal", "key", "stage")
        host.run("cp", "-a", "/run/accepted", accepted)
        host.run("mount", "-o", "remount,size=1M", STORE)
        host.run("dd", "if=/dev/zero", f"of={STORE}/fill", "bs=4k", check=False)
        host.run("systemctl", "start", SERVICE)
        yield
    finally:
        host.run("rm", f"{STORE}/fill")
        host.run("mount", "-o", "remount,size=50%", STORE)
        host.run("systemctl", "restart", SERVICE)


@contextlib.contextmanager
def other_keystore(host):
    """The configuration names another one, and nobody has restarted the daemon."""
    host.run("cp", "-a", STORE, "/var/lib/other")
    host.run("bash", "-c", "rm /var/lib/other/keystore*")
    host.run("mount", "-t", "tmpfs", "-o", "mode=0711", "tmpfs", "/mnt")
    host.run("bash", "-c", "etcdseal init --keystore /var/lib/other/keystore "
             "--seal boot=file:/mnt/other.key --seal ops=file:/mnt/ops.key")
    host.run("etcdseal", "seal", "test", "ops", "--keystore", "/var/lib/other/keystore")
    try:
        with host.config(replaced(f"{STORE}/keystore", "/var/lib/other/keystore")):
            yield
    finally:
        host.run("rm", "-r", "/var/lib/other")
        host.run("umount", "/mnt")


@contextlib.contextmanager
def old_program(host):
    """The daemon of another version."""
    program = host.path("/usr/bin/etcdseald").read_bytes()
    assert b"0.1.0" in program
    host.run("cp", "-a", "/usr/bin/etcdseald", "/run/etcdseald")
    try:
        host.run("systemctl", "stop", SERVICE)
        host.path("/usr/bin/etcdseald").write_bytes(program.replace(b"0.1.0", b"0.0.9"))
        host.run("systemctl", "start", SERVICE)
        yield
    finally:
        host.run("systemctl", "stop", SERVICE)
        host.run("cp", "-a", "/run/etcdseald", "/usr/bin/etcdseald")
        host.run("systemctl", "start", SERVICE)


@contextlib.contextmanager
def disabled_units(host):
    host.run("systemctl", "disable", SERVICE)
    try:
        yield
    finally:
        host.run("systemctl", "enable", SERVICE)


@contextlib.contextmanager
def unordered_unit(host):
    """Before= cannot be taken back by a drop-in: a unit of the operator's own."""
    unit = host.path("/usr/lib/systemd/system/etcdseald.service").read_text()
    host.write("/etc/systemd/system/etcdseald.service", without("Before=kubelet")(unit))
    host.run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        host.run("rm", "/etc/systemd/system/etcdseald.service")
        host.run("systemctl", "daemon-reload")


def rootless(pod, _):
    """kubeadm's RootlessControlPlane: an API server that is not root."""
    pod["securityContext"]["runAsUser"] = 4711


# What is found, and how the fault is made.
FAULTS = {
    "config-loads": lambda h: h.config(lambda text: text + "nonsense: 1\n"),
    "config-mode": lambda h: h.mode(CONFIG, "0666"),
    "config-mode owner": lambda h: h.mode(CONFIG, owner="etcdseal"),

    "keystore-there damaged": lambda h: h.file(f"{STORE}/keystore", b"damaged"),
    "keystore-there absent": lambda h: h.file(f"{STORE}/keystore"),
    "keystore-folder-mode": lambda h: h.mode(STORE, "0750"),
    "keystore-folder-mode owner": lambda h: h.mode(STORE, owner="root"),
    "keystore-file-mode": lambda h: h.mode(f"{STORE}/keystore.unseal", "0640"),
    "keystore-file-mode owner": lambda h: h.mode(f"{STORE}/keystore", owner="root:root"),
    "keystore-opens": lambda h: h.file(f"{STORE}/keystore.accepted", b"forged"),
    "seal-file-mode": lambda h: h.mode(KEY_FILE, "0644"),
    "seal-file-mode owner": lambda h: h.mode(KEY_FILE, owner="root"),
    "seal-unattended": lambda h: h.file(f"{STORE}/keystore.unseal", "recovery: passphrase:\n"),
    "seal-beside": key_beside,
    "seal-beside credential": host_key_credential,
    "unit-credential": lambda h: h.file(
        f"{STORE}/keystore.unseal", change=replaced("passphrase:", "credential:recovery")),
    "slots-one": one_slot,
    "slots-untested": removed_slot,

    "unit-socket": other_socket,
    "socket-there": lambda h: h.moved("/run/etcdseal/kms.sock"),
    "socket-there no socket": lambda h: file_for_socket(h),
    "socket-listens stale": stale_socket,
    "socket-listens silent": hung_daemon,
    "socket-folder": lambda h: h.mode("/run/etcdseal", "0777"),
    "socket-folder above": lambda h: h.mode("/run", "0777"),
    "socket-mode": lambda h: h.mode("/run/etcdseal/kms.sock", "0666"),
    "socket-mode owner": lambda h: h.mode("/run/etcdseal/kms.sock", owner="etcdseal"),
    "socket-peers": lambda h: h.config(replaced("uid: 0", "uid: 4711")),
    "socket-peers running": closed_to_root,
    "socket-peers rootless": lambda h: h.manifest_changed(rootless),

    "daemon-answers": lambda h: h.moved("/run/etcdseal/status.sock"),
    "daemon-unsealed": key_at_home,
    "daemon-reload": forgotten_reload,
    "daemon-warning": full_disk,
    "daemon-restart": lambda h: h.config(
        lambda text: text.replace("socket:", "socket:\n  connections_max: 32"), "reload", SERVICE),
    "daemon-version": old_program,
    "daemon-keystore": other_keystore,
    "kms-version": lambda h: h.config(lambda text: text + "kms_version: v2beta1\n"),
    "memory-lock": lambda h: h.config(lambda text: text + "memory_lock: best-effort\n", "restart",
                                      SERVICE),
    "memory-limit": lambda h: h.drop_in(SERVICE, "[Service]\nLimitMEMLOCK=4M\n", "restart", SERVICE),

    "apiserver-found": lambda h: h.file(MANIFEST, "kind: ConfigMap\n"),
    "apiserver-flag": lambda h: h.manifest_changed(flag_set("encryption-provider-config", None)),
    "apiserver-flag relative": lambda h: h.manifest_changed(
        flag_set("encryption-provider-config", "encryption.yaml")),
    "apiserver-reload": lambda h: h.manifest_changed(
        flag_set("encryption-provider-config-automatic-reload", None)),
    "apiserver-reload off": lambda h: h.manifest_changed(
        flag_set("encryption-provider-config-automatic-reload", "false")),
    "apiserver-running": lambda h: flag_to_copy(h),
    "apiserver-config-mount": lambda h: h.manifest_changed(mount_changed("encryption", None)),
    "apiserver-config-mount-file": lambda h: h.manifest_changed(
        mount_changed("encryption", ENCRYPTION)),
    "apiserver-socket-mount": lambda h: h.manifest_changed(mount_changed("etcdseal", None)),
    "apiserver-socket-mount-file": lambda h: h.manifest_changed(
        mount_changed("etcdseal", "/run/etcdseal/kms.sock")),
    "apiserver-probes": lambda h: h.manifest_changed(liveness("/healthz")),
    "apiserver-probes startup": lambda h: h.manifest_changed(startup("/readyz?verbose")),

    "encryption-config-loads": lambda h: h.file(ENCRYPTION, "kind: EncryptionConfiguration\n"),
    "encryption-config-loads rule": lambda h: h.file(ENCRYPTION, change=without("apiVersion: v2")),
    "encryption-config-loads absent": lambda h: h.file(ENCRYPTION),
    "encryption-config-endpoint": lambda h: h.file(
        ENCRYPTION, change=replaced("/run/etcdseal/kms.sock", "/run/etcdseal/other.sock")),
    "apiserver-config-loaded": lambda h: h.file(ENCRYPTION, change=lambda text: text + "# new\n"),

    "unit-enabled": disabled_units,
    "unit-order": unordered_unit,
}


@contextlib.contextmanager
def file_for_socket(host):
    with host.moved("/run/etcdseal/kms.sock"):
        host.write("/run/etcdseal/kms.sock", "not a socket")
        yield


@contextlib.contextmanager
def flag_to_copy(host):
    """The manifest names a copy of the file that is in force."""
    copy = ENCRYPTION.replace("config.yaml", "copy.yaml")
    host.run("cp", "-a", ENCRYPTION, copy)
    try:
        with host.manifest_changed(flag_set("encryption-provider-config", copy)):
            yield
    finally:
        host.run("rm", copy)


def test_healthy(host):
    check(host, code=0)
    skipped = [row["id"] for row in host.doctor().report()["checks"] if row["result"] == "skipped"]
    assert skipped == ["rancher-encryption", "nodes-agree"]  # without --other-apiserver


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(host, fault):
    with FAULTS[fault](host):
        check(host, fault.split()[0])
    wait_healthy(host)


def test_api_server_that_does_not_answer(host):
    done = host.doctor("--apiserver", "https://127.0.0.1:1")
    assert done.code == 3 and done.found() == CLOCK and done.unknown() == ["apiserver-answers"]
    assert "could not be made: 1" in done.err


@pytest.mark.parametrize("words, unknown", [
    (("--cacert", f"{PKI}/sa.pub"), "certificate"),
    (("--cacert", f"{PKI}/apiserver-kubelet-client.crt"), "certificate"),
    (("--token-file", "/etc/hostname"), "401"),
], ids=["no certificate", "another CA", "another token"])
def test_api_server_that_must_not_be_believed_or_refuses(host, words, unknown):
    done = host.doctor(*words)
    assert done.code == 3 and done.found() == CLOCK and done.unknown() == ["apiserver-answers"]
    (row,) = [row for row in done.report()["checks"] if row["id"] == "apiserver-answers"]
    assert unknown in row["about"], row


def test_other_nodes(host):
    """Asked with the same files; that keys differ is judged in tests/unit/doctor."""
    later = ("faketime", "-f", "+10m")  # not judged within three minutes of a change
    here = ("--other-apiserver", "https://127.0.0.1:6443")
    check(host, words=here, prefix=later, code=0)
    check(host, "nodes-agree", words=here + ("--other-apiserver", "https://127.0.0.1:1"), prefix=later)


def test_clock_of_the_keystore(host):
    """Two days ago the keystore is from the future."""
    check(host, "clock-future", prefix=("faketime", "-f", "-2d"))


def test_rancher(host):
    """k3s and RKE2 say the same in files of their own."""
    arguments = [flag[2:] for flag in FLAGS]
    for source, more in (("k3s", ""), ("rke2", "kube-apiserver-extra-mount:\n"
                                                "  - /run/etcdseal:/run/etcdseal\n")):
        config = f"/etc/rancher/{source}/config.yaml"
        host.write(config, "token: K10secret::server:x\nkube-apiserver-arg:\n"
                   + "".join(f'  - "{word}"\n' for word in arguments) + more, 0o600)
        words = ("--manifest", config, "--apiserver", "https://127.0.0.1:6443", "--cacert",
                 f"{PKI}/ca.crt", "--cert", f"{PKI}/apiserver-kubelet-client.crt", "--key",
                 f"{PKI}/apiserver-kubelet-client.key")
        check(host, words=words, code=0)
        with host.file(config, change=lambda text: text + "secrets-encryption: true\n"):
            check(host, "rancher-encryption", words=words)
        if more:
            with host.file(config, change=replaced(more, "")):
                check(host, "apiserver-socket-mount", words=words)
        host.run("rm", config)


MODES = [(CONFIG, "0666", None), (STORE, "0755", "root"), (f"{STORE}/keystore", "0644", "root:root"),
         (f"{STORE}/keystore.accepted", "0604", None), (KEY_FILE, "0644", "root:root"),
         ("/run/etcdseal", "0777", None), ("/run/etcdseal/kms.sock", "0666", "etcdseal:etcdseal")]


def look(host, name):
    st = host.path(name).stat()
    return st.st_uid, st.st_mode, host.path(name).read_bytes() if host.path(name).is_file() else b""


def test_fix(host):
    """Modes and owners of our files, and nothing else."""
    before = {name: look(host, name) for name, _, _ in MODES}
    others = {name: look(host, name) for name in (MANIFEST, ENCRYPTION)}
    with host.mode(ENCRYPTION, "0666"):
        for name, mode, owner in reversed(MODES):
            host.run("chmod", mode, name)
            if owner:
                host.run("chown", owner, name)
        done = host.doctor("--fix")
        assert len(done.report()["changed"]) == len(MODES), done.out
        for name, _, _ in MODES:
            assert look(host, name) == before[name], name
            assert any(line.startswith(f"{name}: owner ") for line in done.report()["changed"])
        assert host.path(ENCRYPTION).stat().st_mode & 0o777 == 0o666
    wait_healthy(host)
    assert {name: look(host, name) for name in others} == others
    assert host.doctor("--fix").report()["changed"] == []


def test_fix_leaves_links_alone(host):
    """Neither through a symbolic link nor by a second name is a file of others reached."""
    host.write("/var/lib/etcdseal/victim", "x", 0o644)
    victim = host.path("/var/lib/etcdseal/victim")
    before = victim.stat()
    for link in (["ln", "-s"], ["ln"]):
        host.run(*link, "/var/lib/etcdseal/victim", f"{STORE}/keystore.damaged")
        done = host.doctor("--fix")
        after = victim.stat()
        assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid), done.out
        host.run("rm", f"{STORE}/keystore.damaged")
    host.run("rm", "/var/lib/etcdseal/victim")
    wait_healthy(host)


# --- last, because the API server takes its time to notice --------------------------------------------


def test_encryption_config(host):
    """What the linter says of a file that the API server has loaded."""
    with host.file(ENCRYPTION, change=lambda text: text + "      - identity: {}\n"):
        wait_until("the API server has loaded it", lambda: "apiserver-config-loaded" not in
                   host.doctor().found(), 100, every=1)
        check(host, "encryption-config")
        (finding,) = [row for row in host.doctor().report()["findings"]
                      if row["id"] == "encryption-config"]
        assert finding["rule"] == "identity-readable" and finding["severity"] == "warning"
        assert finding["where"] == f"{ENCRYPTION}:11:9"
    wait_healthy(host, 100)


def test_key_change(host):
    """Right after a change the API server may differ for three minutes; after that it is wrong."""
    wait_healthy(host)
    key_id = host.run("etcdseal", "key", "stage").strip()
    host.run("etcdseal", "key", "promote", key_id)
    wait_until("the daemon serves it", lambda: key_id in host.run("etcdseal", "status"))
    check(host, "key-agreement-pending", code=0)
    check(host, "key-agreement-pending", words=("--strict",))
    check(host, "key-agreement", prefix=("faketime", "-f", "+10m"))
    wait_healthy(host, 90)


def test_health(host):
    """The API server's container sees a folder that was replaced: all is well but for it."""
    pid = host.apiserver_pid()
    inside = ("nsenter", "--target", str(pid), "--mount", "--root", "--wd", "--")
    host.run(*inside, "mount", "-t", "tmpfs", "tmpfs", "/run/etcdseal")
    try:
        host.run("systemctl", "restart", SERVICE)
        wait_until("the API server has noticed", lambda: host.get("/readyz")[0] == 500, 60, 0.5)
        check(host, "apiserver-health")
    finally:
        host.run(*inside, "umount", "/run/etcdseal")
    wait_healthy(host, 150)
