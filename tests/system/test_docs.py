# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of README.md and docs/: all sh blocks of a page, in order, in one shell.

The shell runs as root in namespaces of its own: /etc/etcdseal, /var/lib/etcdseal and /run/etcdseal
are empty folders, there is a user etcdseal and a daemon of his that waits for a keystore, sudo does
nothing, etcdseal and etcdseald are in PATH, and the working folder shows what lies at the top of the
tree. Processes that a page leaves behind end with it. Which blocks are not run is marked in the
page: see tools/check-docs.
"""

import os
import re
import subprocess
import sys

import pytest
import yaml

from parts import places

sys.path.insert(0, str(places.ROOT / "tools" / "lib"))
import markdown  # noqa: E402

SANDBOX = """
set -eu
for folder in /etc/etcdseal /var/lib/etcdseal /run/etcdseal; do
    mkdir -p "$folder"
    mount -t tmpfs -o mode=0755 tmpfs "$folder"
done
for file in passwd group; do
    cp "/etc/$file" "$SCRATCH/$file"
    mount --bind "$SCRATCH/$file" "/etc/$file"
done
echo 'etcdseal:x:4999:4999::/var/lib/etcdseal:/usr/sbin/nologin' >> /etc/passwd
echo 'etcdseal:x:4999:' >> /etc/group
chown etcdseal:etcdseal /var/lib/etcdseal
chmod 0700 /var/lib/etcdseal
chown etcdseal /run/etcdseal
setpriv --reuid etcdseal --regid etcdseal --clear-groups etcdseald --config "$SCRATCH/daemon.yaml" \
    >"$SCRATCH/logs/etcdseald.log" 2>&1 &
until [ -S /run/etcdseal/status.sock ]; do
    kill -0 $!
    sleep 0.05
done
cd "$SCRATCH/tree"
exec sh -eux "$SCRATCH/commands"
"""

# Nobody types as fast as a shell reads: between two blocks the daemon takes up what has changed.
SETTLE = """
settle() {
    for _ in $(seq 100); do
        [ -e /var/lib/etcdseal/keystore ] && ! etcdseal status >/dev/null 2>&1 || return 0
        sleep 0.05
    done
} 2>/dev/null
"""

PAGES = [page for page in markdown.pages(places.ROOT) if markdown.commands_to_run(page)]


def test_there_are_pages_with_commands():
    assert places.ROOT / "README.md" in markdown.pages(places.ROOT)
    assert PAGES, "no page has a command that is run"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(places.ROOT)))
def test_commands(workspace, page):
    tree = workspace.folder("tree", 0o755)
    for path in places.ROOT.iterdir():
        if path.name != ".git":
            (tree / path.name).symlink_to(path)
    workspace.write("bin/sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
    workspace.write("sandbox", SANDBOX)
    workspace.write("daemon.yaml", "socket: { owner: etcdseal, group: etcdseal }\n", 0o644)
    commands = markdown.commands_to_run(page)
    workspace.write("commands", SETTLE + "\nsettle\n".join(commands))
    folders = [workspace.path("bin"), places.our_program("etcdseal").parent, "/usr/sbin",
               "/usr/bin", "/sbin", "/bin"]
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh",
         workspace.path("sandbox")],
        env={"SCRATCH": str(workspace.root), "PATH": ":".join(map(str, folders)),
             "HOME": str(workspace.root), "LANG": "C.UTF-8",
             "ETCDSEAL_CACHE": os.environ.get("ETCDSEAL_CACHE", "")},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=120)
    assert done.returncode == 0, f"{page}:\n{done.stdout}"


# --- docs/vault.md ----------------------------------------------------------------------------------

VAULT_PAGE = places.ROOT / "docs" / "vault.md"
CAUSE = re.compile(r'^VAULT_CAUSE\((\w+), "([^"]*)", (\w+), \w+,((?:\s*"[^"]*")+),((?:\s*"[^"]*")+)\)',
                   re.M)
# The status of a call, where it is not that of the class (call_code in provider/vault.c).
CODES = {"timeout": "DEADLINE_EXCEEDED", "ours": "RESOURCE_EXHAUSTED",
         "version-too-old": "FAILED_PRECONDITION", "ciphertext": "INVALID_ARGUMENT"}
CLASS_CODES = {"unreachable": "UNAVAILABLE", "refused": "PERMISSION_DENIED"}


def joined(literals):
    return "".join(re.findall(r'"([^"]*)"', literals))


def causes():
    """{word: (class, sentence, cure)} of vault/cause.def; "none" is no cause."""
    text = (places.ROOT / "vault" / "cause.def").read_text()
    rows = {word: (kind.lower(), joined(sentence), joined(cure))
            for _, word, kind, sentence, cure in CAUSE.findall(text)}
    assert len(rows) == len(re.findall(r"^VAULT_CAUSE\(", text, re.M))
    assert rows.pop("none")
    return rows


def table(first_column):
    """Rows of the page's table whose first column is called so."""
    text = VAULT_PAGE.read_text().split(f"\n| {first_column} |")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_vault_page_tells_of_every_cause():
    """In the words that the daemon uses, with what calls get."""
    told = {row[0].strip("`"): row[1:] for row in table("cause")}
    want = {word: [kind, sentence, f"`{CODES.get(word) or CLASS_CODES[kind]}`", cure or "–"]
            for word, (kind, sentence, cure) in causes().items()}
    assert told == want


def test_vault_page_tells_what_each_class_means():
    """State, Status, log, metric and alert, in names that exist."""
    rows = {row[0]: " ".join(row[1:]) for row in table("class")}
    assert set(rows) == {kind for kind, _, _ in causes().values()}
    log = (places.ROOT / "docs" / "log-events.md").read_text()
    alerts = (places.ROOT / "deploy" / "prometheus" / "etcdseal-alerts.yaml").read_text()
    for name in re.findall(r"`(keys-[a-z-]+)`", " ".join(rows.values())):
        assert f"| `{name}` |" in log
    named = re.findall(r"Etcdseal\w+", VAULT_PAGE.read_text())
    assert len(named) > 8
    for name in named:
        assert f"- alert: {name}\n" in alerts, name


def test_vault_page_states_are_those_of_the_link():
    source = (places.ROOT / "provider" / "vault_link.c").read_text()
    words = re.search(r"words\[\] = \{(.*?)\}", source, re.S)[1]
    assert {row[0].split(",")[0].strip("`") for row in table("state")} == set(
        re.findall(r'"(\w+)"', words))
    modes = (places.ROOT / "provider" / "vault_modes.c").read_text()
    for sentence in re.findall(r'CONFIG_VAULT_\w+\] = \{"\w+", "([^"]+)"', modes):
        assert f"`{sentence}`" in VAULT_PAGE.read_text()


def test_vault_page_configurations_are_valid(workspace):
    """Each login and each step of a move, in the page's own whole configuration."""
    blocks = [yaml.safe_load(b.text) for b in markdown.blocks(VAULT_PAGE) if b.language == "yaml"]
    (whole,) = [block for block in blocks if "vault" in block]
    logins = [block["auth"] for block in blocks if "auth" in block]
    assert {next(iter(auth)) for auth in logins} == {"approle", "cert", "jwt", "token", "none"}
    wanted = [whole]
    for auth in logins:
        address = {"addresses": ["unix:/run/bao-proxy/bao.sock"]} if "none" in auth else {}
        wanted.append(whole | {"vault": whole["vault"] | address | {"auth": auth}})
    wanted += [whole | block for block in blocks if "also_unwrap" in block]
    assert len(wanted) == 10
    for n, config in enumerate(wanted):
        path = workspace.write(f"{n}.yaml", yaml.safe_dump(config), 0o644)
        done = subprocess.run([places.our_program("etcdseal"), "config", "check", path],
                              capture_output=True, text=True)
        assert done.returncode == 0, f"{config}: {done.stderr}"
