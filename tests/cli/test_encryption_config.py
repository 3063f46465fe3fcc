# SPDX-License-Identifier: Apache-2.0
"""etcdseal encryption-config: output, exit codes, refusals. What kube-apiserver makes of the same
files is in tests/system/test_encryption_config.py."""

import json
import os
import re

import pytest
import yaml

GOOD = """apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: ["*.*"]
    providers:
      - kms: { apiVersion: v2, name: etcdseal, endpoint: "unix:///run/etcdseal/kms.sock" }
"""
READABLE = GOOD + "      - identity: {}\n"
SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"  # its padding is missing
WRONG = GOOD.replace("apiVersion: v2, ", "") + f"""      - aescbc:
          keys:
            - name: key1
              secret: {SECRET}
            - name: key2
              secrett: {SECRET}=
  - resources: [Secrets]
    providers: [{{ identity: {{}} }}]
"""
CHECK = ["encryption-config", "check"]
GENERATE = ["encryption-config", "generate"]


@pytest.fixture
def run(tool):
    """Runs a command; the tool's own configuration names another socket, so it is left out."""
    def go(*words, config="socket: { path: /run/etcdseal/kms.sock }\n"):
        tool.config.write_text(config)
        return tool.run(*words)
    return go


@pytest.fixture
def file(tool):
    def write(text):
        path = tool.folder / "enc.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path
    return write


def test_clean_file(run, file):
    path = file(GOOD)
    for more in ([], ["--strict"]):
        ran = run(*CHECK, path, *more).ok()
        assert ran.out == ""
        assert ran.err == f"{path}: 0 errors, 0 warnings, 0 notes; kube-apiserver loads it\n"
    assert run(*CHECK, path, "-q").ok().err == ""


def test_lines_as_compilers_write_them(run, file):
    path = file(WRONG)
    ran = run(*CHECK, path)
    ran_lines = ran.out.splitlines()
    assert [re.sub(r" (error): .* \[", r" \1 [", line) for line in ran_lines[::2]] == [
        f"{path}:6:9: error [kms-version-missing]",
        f"{path}:10:23: error [key-base64]",
        f"{path}:11:15: error [key-secret]",
        f"{path}:12:15: error [unknown-field]",
        f"{path}:13:17: error [resource-masked]",
    ][:4] + [f"{path}:13:17: error [resource-capital]", f"{path}:13:17: error [resource-masked]"]
    assert all(line.startswith("    cure: ") for line in ran_lines[1::2])
    assert ran.code == 1 and SECRET not in ran.told()
    assert ran.err == (f"etcdseal: {path}: 6 errors, 0 warnings, 0 notes; kube-apiserver does not "
                       "load it; more on each: docs/encryption-config.md\n")


def test_strict_counts_warnings_and_notes(run, file):
    path = file(READABLE)
    ran = run(*CHECK, path).ok()
    assert "warning: plaintext is accepted" in ran.out and "1 warnings" in ran.err
    assert run(*CHECK, path, "--strict").code == 1
    path = file(GOOD.replace('"*.*"', "secrets"))
    assert "note: RBAC" in run(*CHECK, path).ok().out
    assert run(*CHECK, path, "--strict").code == 1


def test_json_and_yaml(run, file):
    path = file(READABLE)
    found = run(*CHECK, path, "-o", "json").json()
    assert found == {
        "file": str(path), "loads": True, "errors": 0, "warnings": 1, "notes": 0, "findings": [{
            "rule": "identity-readable", "severity": "warning", "line": 7, "column": 9,
            "message": "plaintext is accepted: who can write to etcd can plant it",
            "cure": "when all objects have been rewritten, take identity out",
            "refused_from": None, "page": "docs/encryption-config.md#identity-readable"}]}
    assert yaml.safe_load(run(*CHECK, path, "-o", "yaml").ok().out) == found
    ran = run(*CHECK, file(WRONG), "-o", "json")
    found = json.loads(ran.out)
    assert ran.code == 1 and not found["loads"] and found["errors"] == 6
    assert {row["refused_from"] for row in found["findings"]} == {"1.29", "1.31"}
    assert SECRET not in ran.told()


def test_sarif(run, file):
    path = file(WRONG)
    ran = run(*CHECK, path, "-o", "sarif")
    assert ran.code == 1 and SECRET not in ran.told()
    log = json.loads(ran.out)
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    driver, results = log["runs"][0]["tool"]["driver"], log["runs"][0]["results"]
    assert driver["name"] == "etcdseal" and len(results) == 6
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"] and rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
    for result in results:
        rule = driver["rules"][result["ruleIndex"]]
        assert result["ruleId"] == rule["id"]
        assert result["level"] == rule["defaultConfiguration"]["level"] and result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == f"file://{path}"
        assert place["region"]["startLine"] > 5 and place["region"]["startColumn"] > 5


def test_sarif_names_any_file(run, tool):
    path = tool.folder / "a b%é.yaml"
    path.write_text(READABLE)
    ran = run(*CHECK, path, "-o", "sarif").ok()
    place = json.loads(ran.out)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == f"file://{tool.folder}/a%20b%25%C3%A9.yaml"


def test_sarif_is_for_findings(store):
    store.unchanged("key", "list", "-o", "sarif").refused(2, "sarif", "encryption-config check")


def test_socket_of_the_configuration(run, file):
    path = file(GOOD)
    ran = run(*CHECK, path, config="socket: { path: /run/other.sock }\n").ok()
    assert "6:58: warning: no kms provider of apiVersion v2 has the endpoint unix:///run/other.sock" \
        in ran.out and "[socket-mismatch]" in ran.out
    assert "cure: write `endpoint: unix:///run/other.sock`" in ran.out


def test_wrong_configuration_of_the_daemon(run, file):
    ran = run(*CHECK, file(GOOD), config="soket: {}\n").refused(2, "etcdseald.yaml:1:1", "'socket'")
    assert ran.out == ""


# --- bad input --------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, told", [
    ("resources: [", "2:1: not valid YAML"),
    (b"\xff\xfe", "not UTF-8"),
    (b"a: \x00", "1:4: control character"),
    (GOOD.replace("kms: {", "kms: &a {"), "6:14: anchors (&)"),
    (GOOD.replace("kms: {", "kms: !!map {"), "6:14: tags (!)"),
    (GOOD + "---\n" + GOOD, "7:1: a second document"),
    (GOOD + "#" * (10 << 20), "larger than 65536 bytes"),
    ("[" * 100000, "larger than 65536 bytes"),
    ("[" * 1000, "nested more than"),
], ids=lambda value: str(value)[:20])
def test_not_judged(tool, run, file, text, told):
    path = file(text)
    before = path.read_bytes()
    ran = run(*CHECK, path).refused(2, "not judged: ", str(path), told)
    assert ran.out == "" and len(ran.err.splitlines()) == 1 and path.read_bytes() == before


def test_unreadable(tool, run, file):
    run(*CHECK, tool.folder / "none").refused(3, "none")
    run(*CHECK, tool.folder).refused(2, "not a regular file")
    run(*CHECK, file("")).refused(2, "is empty")
    (tool.folder / "link").symlink_to(file(GOOD))
    run(*CHECK, tool.folder / "link").refused(3, "symbolic link")
    os.mkfifo(tool.folder / "fifo")
    run(*CHECK, tool.folder / "fifo").refused(2, "not a regular file")


def test_messages_show_no_control_characters(run, tool):
    path = tool.folder / "a\033[31m\n.yaml"
    path.write_text(GOOD.replace("etcdseal,", "'\u00e9:', "))
    ran = run(*CHECK, path)
    assert ran.code == 1 and "\033" not in ran.out + ran.err and len(ran.out.splitlines()) == 2


# --- generate ---------------------------------------------------------------------------------------

KINDS = {"secrets": 3, "secrets-configmaps": 3, "everything": 3, "from-aescbc": 3, "from-aesgcm": 3,
         "from-secretbox": 3, "from-kms": 3, "leave": 2}


@pytest.mark.parametrize("kind", KINDS)
def test_generate(run, kind):
    for stage in range(1, KINDS[kind] + 1):
        made = yaml.safe_load(run(*GENERATE, kind, "--stage", stage).ok().out)
        assert made["kind"] == "EncryptionConfiguration" and len(made["resources"]) == 1
        kinds = [next(iter(row)) for row in made["resources"][0]["providers"]]
        old = {"secrets": "identity", "secrets-configmaps": "identity", "everything": "identity",
               "leave": "identity", "from-kms": "kms"}.get(kind, kind.removeprefix("from-"))
        wanted = [[old, "kms"], ["kms", old], ["kms"]]
        assert kinds == (wanted[2 - stage] if kind == "leave" else wanted[stage - 1])
    run(*GENERATE, kind, "--stage", KINDS[kind] + 1).refused(2, "stage" if kind != "leave" else "1 to 2")


def test_generate_takes_values(run):
    ran = run(*GENERATE, "everything", "--stage", "3", config="socket: { path: /run/x/y.sock }\n").ok()
    assert "endpoint: unix:///run/x/y.sock\n" in ran.out
    ran = run(*GENERATE, "secrets", "--stage=3", "--kms-socket", "/run/z.sock", "--provider-name", "one",
              "--resource", "pods", "--resource", "*.apps").ok()
    made = yaml.safe_load(ran.out)["resources"][0]
    assert made["resources"] == ["pods", "*.apps"]
    assert made["providers"] == [{"kms": {"apiVersion": "v2", "name": "one", "timeout": "3s",
                                          "endpoint": "unix:///run/z.sock"}}]


@pytest.mark.parametrize("words, told", [
    ([], "KIND"),
    (["secrets"], "--stage"),
    (["secrets", "--stage", "0"], "--stage"),
    (["everything", "--stage", "4"], "--stage"),
    (["leave", "--stage", "3"], "1 to 2"),
    (["all", "--stage", "1"], "secrets-configmaps, everything"),
    (["secrets", "--stage", "3", "--provider-name", "a:b"], "name of the provider"),
    (["secrets", "--stage", "3", "--provider-name", ""], "--provider-name"),
    (["secrets", "--stage", "3", "--provider-name", "n"], "no good file: name"),
    (["secrets", "--stage", "3", "--provider-name", "a\n  x: y"], "name of the provider"),
    (["secrets", "--stage", "3", "--kms-socket", "run/x"], "absolute path"),
    (["secrets", "--stage", "3", "--kms-socket", "/run/x y"], "absolute path"),
    (["secrets", "--stage", "3", "--kms-socket", "/" + "a" * 107], "at most 107"),
    (["secrets", "--stage", "3", "--resource", "Secrets"], "lower case"),
    (["secrets", "--stage", "3", "--resource", "secrets", "--resource", "*.*"], "overlap"),
    (["secrets", "--stage", "3", "--resource", "a b"], "resource 1"),
    (["secrets", "--stage", "3", "--resource", ""], "--resource"),
], ids=lambda value: str(value)[-30:])
def test_generate_refuses(run, words, told):
    ran = run(*GENERATE, *words).refused(2, told)
    assert ran.out == ""
