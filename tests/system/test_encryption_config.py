# SPDX-License-Identifier: Apache-2.0
"""etcdseal encryption-config, judged by kube-apiserver's own loader of three releases."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from parts import mutations, places
from parts.client import VERSIONS, Client
from parts.mutations import KEY16, KEY24, KEY32
from parts.tool import Tool

SEED = 20240611
HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
KMS = "{kms: {apiVersion: v2, name: a, endpoint: 'unix:///run/a.sock'}}"
KMS_B = KMS.replace("name: a", "name: b")
PLACEHOLDERS = {"PASTE-THE-OLD-SECRET": KEY32, "PASTE:THE:OLD:NAME": "old",
                "PASTE-THE-OLD-ENDPOINT": "unix:///run/old.sock"}


def entry(resources="'*.*'", providers=KMS):
    return f"- resources: [{resources}]\n  providers: [{providers}]\n"


def kms(fields):
    return HEAD + entry(providers="{kms: {%s}}" % fields)


def endpoint(text, more=""):
    return kms(f"apiVersion: v2, name: a, endpoint: {text}{more}")


def key(kind, row):
    return HEAD + entry(providers="%s, {%s: {keys: [%s]}}" % (KMS, kind, row))


# The fault of each rule.
FAULTS = {
    "file-kind": ["apiVersion: v1\nkind: Secret\n", "apiVersion: v1\nkind: EncryptionConfiguration\n"],
    "json-form": ["{kind: x}", '{"kind": "x",}'],
    "unknown-field": [HEAD + entry() + "metadata: {}\n", HEAD + entry() + "  provider: []\n",
                      kms("apiVersion: v2, name: a, endpoint: 'unix:///a', apiversion: v2"),
                      key("aescbc", f"{{name: a, secret: {KEY16}, note: x}}"),
                      HEAD + entry(providers="{identity: {a: 1}}"),
                      HEAD.replace("apiV", "apiv") + entry()],
    "repeated-field": [HEAD + entry() + "  resources: ['*.*']\n",
                       kms("apiVersion: v1, name: a, endpoint: 'unix:///a', apiVersion: v2")],
    "wrong-type": [endpoint("5"), endpoint("yes"), HEAD + entry("1_000"), HEAD + entry("0o7"),
                   HEAD + entry(providers="x"), "[]\n", "text\n", HEAD + "  a: b\n",
                   endpoint("'unix:///a'", ", timeout: 3"), key("aescbc", "{name: a, secret: 12}")],
    "no-entries": [HEAD, HEAD + "  []\n"],
    "no-resources": [HEAD + f"- providers: [{KMS}]\n", HEAD + entry("")],
    "no-providers": [HEAD + "- resources: [secrets]\n", HEAD + entry(providers="")],
    "provider-empty": [HEAD + entry(providers=f"{KMS}, {{identity: }}"),
                       HEAD + entry(providers="~"), HEAD + entry(providers="{}")],
    "provider-several": [HEAD + entry(providers=f"{{identity: {{}}, {KMS[1:]}")],
    "resource-capital": [HEAD + entry("Secrets"), HEAD + entry("secrets, deployments.Apps")],
    "resource-star": [HEAD + entry("'*'")],
    "resource-across-groups": [HEAD + entry("'secrets.*'")],
    "resource-group": [HEAD + entry("secrets, events.events.k8s.io"),
                       HEAD + entry("secrets, '*.extensions'")],
    "resource-internal": [HEAD + entry(f"secrets, {name}") for name in
                          ("apiserveripinfo", "serviceipallocations", "servicenodeportallocations")],
    "resource-duplicate": [HEAD + entry("secrets, secrets"), HEAD + entry("secrets, secrets.")],
    "resource-overlap": [HEAD + entry("secrets, '*.'"), HEAD + entry("'*.*', deployments.apps"),
                         HEAD + entry("'*.apps', '*.*'")],
    "resource-masked": [HEAD + entry("'*.'") + entry("secrets", KMS_B),
                        HEAD + entry("'*.*'") + entry("'*.apps'", KMS_B),
                        HEAD + entry("'*.apps'") + entry("'*.apps'", KMS_B)],
    "resource-empty": [HEAD + entry("''") + entry(providers=KMS_B), HEAD + entry("secrets, ~")],
    "no-keys": [HEAD + entry(providers=f"{KMS}, {{aesgcm: {{}}}}"), key("secretbox", "")],
    "key-name": [key("aescbc", f"{{secret: {KEY16}}}"), key("aescbc", f"{{name: '', secret: {KEY16}}}")],
    "key-secret": [key("aescbc", "{name: a}"), key("aesgcm", "{name: a, secret: ''}")],
    "key-base64": [key("aescbc", "{name: a, secret: a-b}"), key("aescbc", f"{{name: a, secret: {KEY16[:-1]}}}")],
    "key-length": [key("aescbc", "{name: a, secret: c2hvcnQ=}"),
                   key("secretbox", f"{{name: a, secret: {KEY16}}}"),
                   key("aesgcm", f"{{name: a, secret: {KEY24}{KEY24}}}"),
                   key("secretbox", f"{{name: a, secret: {KEY24}{KEY24}}}"),
                   key("secretbox", f"{{name: a, secret: {KEY24}}}")],
    "name-empty": [kms("apiVersion: v2, endpoint: 'unix:///a'"),
                   kms("apiVersion: v2, endpoint: 'unix:///a', name: ''")],
    "name-colon": [kms("apiVersion: v2, endpoint: 'unix:///a', name: 'a:b'")],
    "name-duplicate": [HEAD + entry("secrets") + entry(), HEAD + entry(providers=f"{KMS}, {KMS}")],
    "kms-version-missing": [kms("name: a, endpoint: 'unix:///a'"),
                            kms("name: a, endpoint: 'unix:///a', apiVersion: ''")],
    "kms-v1": [kms("name: a, endpoint: 'unix:///a', apiVersion: v1")],
    "kms-version": [kms("name: a, endpoint: 'unix:///a', apiVersion: v2beta1")],
    "kms-cachesize": [endpoint("'unix:///a'", ", cachesize: 100"), endpoint("'unix:///a'", ", cachesize: 0")],
    "timeout-invalid": [endpoint("'unix:///a'", f", timeout: {t}") for t in ("3d", "0s", "-1s", "'3'")],
    "timeout-long": [endpoint("'unix:///a'", ", timeout: 11s")],
    "timeout-short": [endpoint("'unix:///a'", ", timeout: 1ms")],
    "endpoint-missing": [kms("apiVersion: v2, name: a"), endpoint("''")],
    "endpoint-scheme": [endpoint("/run/a.sock"), endpoint("'tcp://127.0.0.1:1'"),
                        endpoint("'unix:///%zz'"), endpoint("'unix://h:x/a'")],
    "endpoint-path": [endpoint("'unix:run/a.sock'"), endpoint("'unix://'"), endpoint("'unix:///'")],
    "endpoint-dropped": [endpoint("'unix://run/a.sock'"), endpoint("'unix:///a?b'")],
    "endpoint-abstract": [endpoint("'unix:///@a'")],
    "socket-mismatch": [endpoint("'unix:///run/b.sock'")],
    "secrets-plaintext": [HEAD + entry("configmaps"), HEAD + entry("secret")],
    "identity-first": [HEAD + entry(providers="{identity: {}}"),
                       HEAD + entry(providers="{identity: {}}, " + KMS)],
    "identity-first-other": [HEAD + entry("configmaps", "{identity: {}}, " + KMS) + entry(providers=KMS_B)],
    "identity-readable": [HEAD + entry(providers=KMS + ", {identity: {}}")],
    "unauthenticated-provider": [key("aescbc", f"{{name: a, secret: {KEY24}}}"),
                                 key("secretbox", f"{{name: a, secret: '{KEY32}'}}")],
    "key-in-file": [key("aesgcm", f"{{name: a, secret: {KEY16}}}")],
    "partial-encryption": [HEAD + entry("secrets"), HEAD + entry("'*.'")],
}

# Refused by our reader on purpose, whatever kube-apiserver makes of it.
NOT_JUDGED = {
    "anchors (&)": HEAD + entry().replace("['*.*']", "&a ['*.*']"),
    "aliases (*)": HEAD + entry().replace("['*.*']", "&a ['*.*']").replace("&a ", "", 1)
    + entry("*a", KMS_B),
    "tags (!)": HEAD + entry("!!str secrets"),
    "merge keys (<<)": kms("apiVersion: v2, name: a, endpoint: 'unix:///a', <<: {}"),
    "a second document": HEAD + entry() + "---\n" + HEAD + entry(),
    "directives (%)": "%YAML 1.1\n---\n" + HEAD + entry(),
    "a text over several lines": HEAD + entry("secrets\n    ")
    .replace("secrets\n    ", "secrets").replace("resources: [secrets]", "resources:\n  - >-\n    secrets"),
    "a backslash in double quotes": HEAD + entry('"\\x73ecrets"'),
    "a tab": HEAD + entry() + "#\ttab\n",
    "a control character, line end or mark": HEAD + entry() + "# \u2028\n",
    "beyond ASCII": HEAD + entry("secrets, é"),
    "a host in brackets": endpoint("'unix://[::1]/a'"),
    "a key must be a word": HEAD + entry() + "? [a]\n: b\n",
    "larger than 65536 bytes": HEAD + entry() + "#" * 70000 + "\n",
    "more than 64 entries": HEAD + "".join(
        entry(f"a{n}", KMS.replace("name: a", f"name: a{n}")) for n in range(65)),
    "nested more than 12 levels": HEAD + entry() + "x: " + "[" * 13 + "]" * 13 + "\n",
    "longer than 320 bytes": HEAD + entry() + "y" * 330 + ": 1\n",
    "more than 64 keys": HEAD + entry() + "".join(f"k{n}: 1\n" for n in range(70)),
    "longer than 4096 bytes": kms("apiVersion: v2, name: a, endpoint: 'unix:///%s'" % ("a" * 4100)),
    "'' twice in a row": HEAD + entry("'a''''b'"),
    "not valid YAML": HEAD + entry() + "  - [\n",
    "a key without a name": HEAD + entry() + "'': x\n",
    "control character 0x01": HEAD + entry() + "# \x01\n",
    "empty": "# nothing\n",
    "more than": HEAD + entry(", ".join(f"r{n}" for n in range(1100))),
}
REASONS = re.compile("|".join(re.escape(reason) for reason in NOT_JUDGED) +
                     "|a control character or line end in a text|not UTF-8 text")


class Verdict:
    """What `etcdseal encryption-config check` says of a file."""

    def __init__(self, ran):
        self.code, self.err = ran.code, ran.err
        self.found = json.loads(ran.out) if ran.code in (0, 1) else None
        assert (self.found is None) == (ran.out == "") and ran.code in (0, 1, 2), (ran.code, ran.err)

    def rules(self):
        return {row["rule"] for row in self.found["findings"]}

    def loads(self, version):
        """In a release of Kubernetes, "1.29"."""
        return not any(row["refused_from"] and minor(row["refused_from"]) <= minor(version)
                       for row in self.found["findings"])


def minor(version):
    return int(version.split(".")[1])


def judge_all(files, *words):
    """Our verdicts, and those of the loaders: {version: {file: does it load}}."""
    names = "".join(f"{path}\n" for path in files)
    theirs = {}
    for version in VERSIONS:
        rows, is_ok = Client(version).run("judge", stdin=names)
        assert is_ok and len(rows) == len(files)
        theirs[version] = {row["file"]: row for row in rows}
    tool = Tool()
    with ThreadPoolExecutor(2) as pool:
        ours = list(pool.map(lambda path: Verdict(
            tool.run("encryption-config", "check", "-o", "json", path, *words)), files))
    return ours, theirs


def write_all(workspace, texts):
    return [workspace.write(f"c{number}", text) for number, text in enumerate(texts)]


def differences(files, ours, theirs):
    out = []
    for path, verdict in zip(files, ours):
        if verdict.found is None:
            continue
        is_json = path.read_text().lstrip(" \t\r\n").startswith("{")
        for version in VERSIONS:
            # Up to 1.30, JSON with a repeated field is a mixture of both.
            if version == "0.29" and is_json and "repeated-field" in verdict.rules():
                continue
            real = theirs[version][str(path)]
            if verdict.loads(f"1.{minor(version)}") != real["loads"]:
                out.append((version, path.read_text(), real.get("error"), verdict.found["findings"]))
    return out


def fill(text):
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return text


def generated():
    maker = mutations.Maker(SEED)
    samples = [fill(path.read_text()) for path in sorted(places.SAMPLES.glob("*.yaml"))]
    whole = [maker.yaml() for _ in range(220)] + [maker.json() for _ in range(80)]
    changed = [maker.changed(maker.pick(samples)) for _ in range(220)]
    return whole + changed + [maker.changed(maker.json()) for _ in range(40)]


def test_never_disagrees_with_the_loader(workspace):
    files = write_all(workspace, generated())
    ours, theirs = judge_all(files)
    assert differences(files, ours, theirs) == []
    judged = [(path, v) for path, v in zip(files, ours) if v.found is not None]
    for path, verdict in zip(files, ours):
        if verdict.found is None:
            assert REASONS.search(verdict.err), (path.read_text(), verdict.err)
    # The files are worth something: many load, many do not, and only few are not judged.
    loading = sum(theirs["0.36"][str(path)]["loads"] for path, _ in judged)
    assert loading > 120 and len(judged) - loading > 120, (loading, len(judged))
    not_judged = [path for path, v in zip(files, ours) if v.found is None]
    lost = sum(theirs["0.36"][str(path)]["loads"] for path in not_judged)
    assert lost < 15, f"{lost} files load and were not judged"


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """{rule: [(file, our verdict, does it load in each release)]}, with a daemon's configuration."""
    folder = tmp_path_factory.mktemp("faults")
    config = folder / "etcdseald.yaml"
    config.write_text("socket: { path: /run/a.sock }\n")
    rules = [rule for rule, texts in FAULTS.items() for _ in texts]
    files = [folder / f"{number}" for number in range(len(rules))]
    for path, text in zip(files, (text for texts in FAULTS.values() for text in texts)):
        path.write_text(text)
    ours, theirs = judge_all(files, "--config", config)
    assert differences(files, ours, theirs) == []
    found = {rule: [] for rule in FAULTS}
    for rule, path, verdict in zip(rules, files, ours):
        found[rule].append((path, verdict, {v: theirs[v][str(path)]["loads"] for v in VERSIONS}))
    return found


@pytest.mark.parametrize("rule", FAULTS)
def test_each_rule(faults, rule):
    """The fault of a rule, made for real: the loader refuses from the release that the rule names,
    and loads what the rule says is loaded."""
    assert faults[rule]
    for path, verdict, loads in faults[rule]:
        assert rule in verdict.rules(), (path.read_text(), verdict.found)
        row = next(row for row in verdict.found["findings"] if row["rule"] == rule)
        assert row["page"] == f"docs/encryption-config.md#{rule}" and row["cure"]
        assert verdict.code == any(r["severity"] == "error" for r in verdict.found["findings"])
        if row["refused_from"] == "1.31":
            assert loads == {"0.36": False, "0.31": False, "0.29": True}, path.read_text()
        elif row["refused_from"]:
            assert not any(loads.values()), path.read_text()
        else:
            assert verdict.found["loads"] and all(loads.values()), path.read_text()


def test_rules_are_all_here():
    """The list in SARIF is the list of rules."""
    ran = Tool().run("encryption-config", "check", "-o", "sarif", places.SAMPLES / "secrets-3.yaml")
    rules = json.loads(ran.ok().out)["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(FAULTS)


@pytest.mark.parametrize("reason", NOT_JUDGED)
def test_not_judged(workspace, reason):
    path = workspace.write("c", NOT_JUDGED[reason])
    ran = Tool().run("encryption-config", "check", path)
    ran.refused(2, "not judged", reason, str(path))
    assert ran.out == "" and len(ran.err.splitlines()) == 1


# --- samples --------------------------------------------------------------------------------------

END = {"partial-encryption"}
READABLE = END | {"identity-readable"}
LOCAL = END | {"key-in-file"}
UNBOUND = LOCAL | {"unauthenticated-provider"}
SAMPLES = {
    "secrets": [{"identity-first"}, READABLE, END],
    "secrets-configmaps": [{"identity-first"}, READABLE, END],
    "everything": [{"identity-first"}, {"identity-readable"}, set()],
    "from-aescbc": [UNBOUND, UNBOUND, END],
    "from-aesgcm": [LOCAL, LOCAL, END],
    "from-secretbox": [UNBOUND, UNBOUND, END],
    "from-kms": [END, END, END],
    "leave": [READABLE, {"identity-first"}],
}
STAGES = [(kind, stage, rules) for kind, stages in SAMPLES.items()
          for stage, rules in enumerate(stages, 1)]


def sample(kind, stage):
    return places.SAMPLES / f"{kind}-{stage}.yaml"


def test_samples_are_what_generate_prints():
    assert {p.name for p in places.SAMPLES.iterdir()} == {f"{k}-{s}.yaml" for k, s, _ in STAGES}
    for kind, stage, _ in STAGES:
        ran = Tool().run("encryption-config", "generate", kind, "--stage", stage).ok()
        assert sample(kind, stage).read_text() == \
            f"# SPDX-License-Identifier: Apache-2.0\n#\n{ran.out}", (kind, stage)


def test_samples_load_and_mean_what_they_say(workspace):
    files = write_all(workspace, [fill(sample(kind, stage).read_text()) for kind, stage, _ in STAGES])
    ours, theirs = judge_all(files)
    for path, verdict, (kind, stage, rules) in zip(files, ours, STAGES):
        assert verdict.rules() == rules, (kind, stage)
        assert verdict.code == ("identity-first" in rules)
        for version in VERSIONS:
            assert theirs[version][str(path)]["loads"], (version, kind, stage)


def test_placeholders_are_refused_until_they_are_filled_in():
    files = [sample(kind, stage) for kind, stage, _ in STAGES
             if fill(sample(kind, stage).read_text()) != sample(kind, stage).read_text()]
    assert len(files) == 8
    ours, theirs = judge_all(files)
    for path, verdict in zip(files, ours):
        assert verdict.code == 1 and not verdict.found["loads"]
        assert not any(theirs[version][str(path)]["loads"] for version in VERSIONS), path


def test_generated_with_other_values_loads(workspace):
    words = ["--kms-socket", "/run/other/kms.sock", "--provider-name", "other", "--resource",
             "secrets", "--resource", "deployments.apps", "--resource", "*.rbac.authorization.k8s.io"]
    texts = [fill(Tool().run("encryption-config", "generate", kind, "--stage", stage, *words).ok().out)
             for kind, stage, _ in STAGES]
    files = write_all(workspace, texts)
    for version in VERSIONS:
        for path in files:
            found = Client(version).ok("load", config=path)
            assert "other" in found["kms_providers"]
            assert found["resources"] == ["*.rbac.authorization.k8s.io", "deployments.apps", "secrets"]


@pytest.mark.parametrize("kind", [kind for kind in SAMPLES if kind != "leave"])
def test_stages_read_each_other(workspace, daemon, kind):
    """What is written in stage 2 is read in stage 1, by API servers that have not followed yet, and
    in stage 3. Our own daemon stands for the other plugin."""
    client = Client()

    def config(stage):
        text = fill(sample(kind, stage).read_text())
        for path in ("/run/etcdseal/kms.sock", "/run/old.sock"):
            text = text.replace(path, str(daemon.socket))
        return workspace.write(f"stage-{stage}", text)

    out = workspace.path("values")
    client.ok("write", config=config(2), out=out, count=20)
    for stage in (1, 3):
        client.ok("read", config=config(stage), **{"in": out})
