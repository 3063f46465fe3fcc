# SPDX-License-Identifier: Apache-2.0
"""The systemd units and what `cmake --install` puts in place."""

import subprocess

import pytest

from parts import places
from parts.booted import install

UNITS = places.ROOT / "systemd"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A tree as a package would have it."""
    root = tmp_path_factory.mktemp("installed")
    install(places.our_program("etcdseald").parents[1], root)
    return root


def analyze(*words):
    done = subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("path, mode", [
    ("usr/bin/etcdseald", 0o755),
    ("usr/bin/etcdseal", 0o755),
    ("usr/lib/systemd/system/etcdseald.service", 0o644),
    ("usr/lib/systemd/system/etcdseald.socket", 0o644),
    ("usr/lib/systemd/system/etcdseald-status.socket", 0o644),
    ("usr/lib/systemd/system/etcdseal-audit.service", 0o644),
    ("usr/lib/systemd/system/etcdseal-audit.timer", 0o644),
    ("usr/lib/sysusers.d/etcdseal.conf", 0o644),
    ("usr/lib/tmpfiles.d/etcdseal.conf", 0o644),
    ("usr/share/man/man1/etcdseal.1", 0o644),
    ("usr/share/man/man5/etcdseald.yaml.5", 0o644),
    ("usr/share/man/man8/etcdseald.8", 0o644),
    ("usr/share/bash-completion/completions/etcdseal", 0o644),
    ("usr/share/bash-completion/completions/etcdseald", 0o644),
    ("usr/share/zsh/site-functions/_etcdseal", 0o644),
    ("usr/share/zsh/site-functions/_etcdseald", 0o644),
    ("usr/share/etcdseal/etcdseald.schema.json", 0o644),
    ("usr/share/etcdseal/audit.schema.json", 0o644),
    ("usr/share/etcdseal/prometheus/etcdseal-alerts.yaml", 0o644),
    ("usr/share/etcdseal/grafana/etcdseal.json", 0o644),
    ("usr/share/doc/etcdseal/etcdseald.yaml", 0o644),
])
def test_install(installed, path, mode):
    found = (installed / path).stat()
    assert found.st_mode & 0o777 == mode


def test_install_puts_nothing_else_anywhere(installed):
    tops = {p.relative_to(installed).parts[:2] for p in installed.rglob("*") if p.is_file()}
    assert tops <= {("usr", "bin"), ("usr", "lib"), ("usr", "share"), ("etc", "etcdseal")}, tops


def test_installed_programs_run(installed):
    for name in ("etcdseald", "etcdseal"):
        done = subprocess.run([installed / "usr/bin" / name, "--version"], capture_output=True,
                              text=True)
        assert done.returncode == 0 and name in done.stdout


def test_install_puts_no_maker_of_pages_anywhere(installed):
    assert [p.name for p in (installed / "usr/bin").iterdir()
            if p.name not in ("etcdseal", "etcdseald")] == []


def test_installed_pages_are_of_the_installed_programs(installed):
    """Made in a build without tests, from the same tables."""
    tool = installed / "usr/bin/etcdseal"
    schema = subprocess.run([tool, "config", "schema"], capture_output=True, check=True).stdout
    assert schema == (installed / "usr/share/etcdseal/etcdseald.schema.json").read_bytes()
    completions = installed / "usr/share/bash-completion/completions"
    for program in ("etcdseal", "etcdseald"):
        version = subprocess.run([installed / "usr/bin" / program, "--version"], check=True,
                                 capture_output=True, text=True).stdout.strip()
        (page,) = (installed / "usr/share/man").glob(f"man?/{program}.[18]")
        assert f"\n.Os {version}\n" in page.read_text()
        done = subprocess.run(["bash", "--norc", "-c", 'source "$1"; complete -p "$2"', "bash",
                               completions / program, program], capture_output=True, text=True)
        assert done.stdout == f"complete -F _{program} {program}\n", done.stderr


def unit_with_our_program(installed, tmp_path, name):
    """systemd looks for the program that a unit starts: show it the installed one."""
    text = (installed / "usr/lib/systemd/system" / name).read_text()
    text = text.replace("/usr/bin/", f"{installed}/usr/bin/")
    path = tmp_path / name
    path.write_text(text)
    return path


def test_verify(installed, tmp_path):
    units = [unit_with_our_program(installed, tmp_path, name)
             for name in ("etcdseald.service", "etcdseald.socket", "etcdseald-status.socket",
                          "etcdseal-audit.service", "etcdseal-audit.timer")]
    code, text = analyze("verify", "--man=no", *units)
    ours = [line for line in text.splitlines() if "etcdseal" in line]
    assert code == 0 and not ours, text


@pytest.mark.parametrize("name, section", [
    ("etcdseald.service", "Service"), ("etcdseald.socket", "Socket"),
    ("etcdseald-status.socket", "Socket"), ("etcdseal-audit.service", "Service"),
    ("etcdseal-audit.timer", "Timer")])
def test_verify_can_fail(installed, tmp_path, name, section):
    unit = unit_with_our_program(installed, tmp_path, name)
    unit.write_text(unit.read_text() + f"\n[{section}]\nNoSuchSetting=1\n")
    _, text = analyze("verify", "--man=no", unit)
    assert "NoSuchSetting" in text


@pytest.mark.parametrize("name, most", [
    ("etcdseald.service", 15),
    ("etcdseal-audit.service", 20),  # runs as root, which alone is 0.4
])
def test_exposure(installed, name, most):
    """Of 10; the threshold is in tenths."""
    unit = installed / "usr/lib/systemd/system" / name
    code, text = analyze("security", "--offline=true", f"--threshold={most}", unit)
    assert code == 0, text
    assert "PrivateUsers=" in text
    code, _ = analyze("security", "--offline=true", "--threshold=1", unit)
    assert code != 0, "a threshold that nothing can keep"


@pytest.mark.parametrize("unit, lines", [
    ("etcdseald.service", ["Type=notify", "Before=", "kubelet.service", "k3s.service",
                           "rke2-server.service", "LoadCredentialEncrypted=", "PrivateUsers=no",
                           "IPAddressDeny=any", "#IPAddressAllow="]),
    ("etcdseald.socket", ["ListenStream=/run/etcdseal/kms.sock", "SocketMode=0600"]),
    ("etcdseald-status.socket", ["ListenStream=/run/etcdseal/status.sock", "SocketMode=0600",
                                 "Service=etcdseald.service", "FileDescriptorName=status"]),
    ("etcdseal-audit.service", ["--prove", "--sign", "Group=etcdseal-audit", "UMask=0027",
                                "CapabilityBoundingSet=\n", "StateDirectoryMode=0750"]),
    ("etcdseal-audit.timer", ["OnCalendar=daily", "Persistent=yes"]),
])
def test_what_the_units_must_say(unit, lines):
    text = (UNITS / unit).read_text()
    for line in lines:
        assert line in text


def test_the_service_waits_for_no_network():
    """Provider vault asks again by itself: kubelet must not wait until a server can be reached."""
    lines = [line for line in (UNITS / "etcdseald.service").read_text().splitlines()
             if not line.startswith("#")]
    assert lines and not [line for line in lines if "network" in line or "nss-lookup" in line]


def test_sysusers_and_tmpfiles(installed, tmp_path):
    """They make the user and the folders, with the modes that the daemon wants."""
    for name in ("etc", "run", "var/lib"):
        (installed / name).mkdir(parents=True, exist_ok=True)
    for name in ("passwd", "group"):
        (installed / "etc" / name).write_text("root:x:0:0::/root:/bin/sh\n" if name == "passwd"
                                              else "root:x:0:\n")
    subprocess.run(["systemd-sysusers", f"--root={installed}", "etcdseal.conf"], check=True,
                   capture_output=True)
    assert "etcdseal:" in (installed / "etc/passwd").read_text()
    subprocess.run(["systemd-tmpfiles", f"--root={installed}", "--create", "etcdseal.conf"],
                   check=True, capture_output=True)
    uid = int([line for line in (installed / "etc/passwd").read_text().splitlines()
               if line.startswith("etcdseal:")][0].split(":")[2])
    store = (installed / "var/lib/etcdseal").stat()
    assert (store.st_uid, store.st_mode & 0o777) == (uid, 0o700)
    run = (installed / "run/etcdseal").stat()
    assert run.st_mode & 0o022 == 0
