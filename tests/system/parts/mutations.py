# SPDX-License-Identifier: Apache-2.0
"""EncryptionConfigurations of all kinds, the same ones with the same seed: whole ones put together
from pieces, and those with a few bytes or values changed."""

import json
import random

KEY16, KEY24, KEY32 = "MDEyMzQ1Njc4OWFiY2RlZg==", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", \
    "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

# What is good, and what may not be.
RESOURCES = (["secrets", "secrets", "configmaps", "deployments.apps", "leases.coordination.k8s.io",
              "pandas.awesome.bears.example", "events", "'*.apps'"],
             ["'*.*'", "'*.'", "Secrets", "'*'", "'pods.*'", "events.events.k8s.io", "'*.extensions'",
              "apiserveripinfo", "serviceipallocations.x", "secrets.", "null", "''", "1", "yes",
              "0x1f", "'*.events.k8s.io'", "'.'", "'.*'", "'*.coordination.k8s.io'", "[a]", "{}",
              "1_0", "on", "nO", "12e03", "1e999", "2001-01-01", "'**.apps'", "'secrets '"])
NAMES = (["etcdseal", "a", "b", "c", "d", "e", "f", "g"],
         ["a:b", "''", "null", "1", "true", "y", "\"x y\"", "A", "[]", "~", "é", "1.5", "0o17",
          "0b101", ".5", "-", "'it''s'", ".inf", "etcdseal", "+1", "1_0", "0x", "08", "1e5", "no"])
VERSIONS = (["v2"], ["v1", "''", "null", "2", "v3", "V2", "v2beta1", "[v2]", "'v2 '", None])
ENDPOINTS = (["unix:///run/etcdseal/kms.sock", "unix:///var/run/kms.sock"], [
    "unix:/run/k.sock", "unix:run/k.sock", "unix://run/k.sock", "unix:///@abstract", "unix://",
    "unix:", "unix:///", "tcp://127.0.0.1:1", "/run/k.sock", "run/k.sock", "''", "null", "7", None,
    "UNIX:///run/k.sock", "unix:///run/%zz", "unix:///run/%41", "'unix:///a#b%'", "unix:///a?b%zz",
    "unix://u:p@h:1/x", "unix://h:x/x", "unix://h h/x", "unix://h%41/x", "unix://h%c3/x", "':a'",
    "'*'", "unix://a:b:1/x", "unix://u%zz@h/x", "unix://u[@h/x", "'unix:///a b'", "unix:///é",
    "'unix://h\"/x'", "unix://h^/x", "unix://h|/x", "http:///run/x", "unix+x:///y", "'un ix:///y'",
    "unix://@/x", "unix://:/x", "unix://h]/x", "{}", "unix://%/x", "'#'", "unix:///x%2", "unix://[/x",
    "unix://é/x", "unix://a:b@c@d/x", "unix://h%25/x", "'unix:///x#%41'", "unix://h:/x"])
TIMEOUTS = ([None, None, "3s", "500ms", "1m30s"],
            ["0s", "-1s", "3", "'3'", "1h", "1ms", "null", "''", "1.5s", "3d", "99999999h", "'0'",
             "1e3s", "+3s", ".5s", "5.s", "0.1ns", "[3s]", "3 s", "1us", "1µs", "3S", "0", "--1s"])
CACHESIZES = ([None], ["1000", "null", "0", "-1", "1e2", "'5'", "x", "99999999999", "~", "0x10"])
ODD_SECRETS = ["c2hvcnQ=", "''", "null", "12345678", "not base64", "MDEyMzQ1Njc4OWFiY2RlZg",
               KEY24 + KEY32, KEY24 + KEY24, "[x]", "yes", "MDEyMzQ1Njc4OWFiY2RlZg=", "====", "A===", "AA==",
               "MDEyMzQ1Njc4OWFiY2Rl-g==", "0" * 32, "1e999999999999999999999999999999", "~",
               "REPLACE-THIS", "1" * 19, "MDEyMzQ1Njc4OWFiY2RlZh==", "'MDEyMzQ1Njc4OWFiY2RlZg== '",
               f"'{KEY32}'", f'"{KEY16}"', None, KEY16, KEY24, KEY32]
KINDS = ([("apiserver.config.k8s.io/v1", "EncryptionConfiguration")],
         [("v1", "EncryptionConfig"), ("v1", "EncryptionConfiguration"), ("/v1", "EncryptionConfig"),
          ("apiserver.config.k8s.io/v1", "EncryptionConfig"), ("null", "null"), ("1", "[x]"),
          ("apiserver.config.k8s.io/v2", "EncryptionConfiguration"), ("v1", "Secret"), (None, "x"),
          ("apiserver.config.k8s.io/v1", "TracingConfiguration"), ("a/b/c", "x"), ("v1", None),
          ("apiserver.config.k8s.io/v1", "encryptionConfiguration")])


class Maker:
    """Makes the text of one configuration after the other."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._oddness = 0

    def pick(self, values):
        return self._random.choice(values)

    def _is_odd(self, share=1.0):
        return self._random.random() < self._oddness * share

    def _of(self, lists):
        """A good value, seldom another one."""
        return self.pick(lists[self._is_odd()])

    def _number(self, *few):
        return 0 if self._is_odd(0.5) else self.pick(few)

    def _keys(self, kind):
        rows = []
        for number in range(self._number(1, 1, 2)):
            good = [KEY32] if kind == "secretbox" else [KEY16, KEY24, KEY32]
            rows.append(pairs(name=self._of(([f"key{number}"], ["''", "null", "5", None])),
                              secret=self._of((good, ODD_SECRETS))))
        return rows

    def _kms(self):
        row = pairs(apiVersion=self._of(VERSIONS), name=self._of(NAMES),
                    endpoint=self._of(ENDPOINTS), timeout=self._of(TIMEOUTS),
                    cachesize=self._of(CACHESIZES))
        if self._is_odd():
            row.append((self.pick(["apiversion", "Name", "time", "name", "endpoint"]), "x"))
        return row

    def _provider(self):
        kind = self.pick(["kms"] * 4 + ["identity"] * 2 + ["aescbc", "aesgcm", "secretbox"])
        if kind == "kms":
            return [(kind, self._kms())]
        if kind == "identity":
            return [(kind, self._of(([[]], ["null", "x", "[]", [("a", "1")]])))]
        return [(kind, [("keys", self._keys(kind))])]

    def _providers(self):
        out = [self._provider() for _ in range(self._number(1, 1, 2, 2, 3))]
        if out and self._is_odd(0.5):
            out[0] = out[0] + self._provider()
        if self._is_odd(0.5):
            out.append(self.pick(["null", "x", [("aescgm", [])], []]))
        return out

    def _entry(self):
        out = pairs(resources=[self._of(RESOURCES) for _ in range(self._number(1, 1, 1, 2, 3))],
                    providers=self._providers())
        if self._is_odd(0.5):
            out.append(("provider", "x"))
        if self._is_odd(0.5):
            out[self.pick([0, 1])] = (out[0][0], self.pick(["null", "x", "5"]))
        return out

    def tree(self):
        """Pairs for mappings, lists for lists, texts as they are to be written."""
        self._oddness = self.pick([0, 0.02, 0.05, 0.1, 0.3])
        version, kind = self._of(KINDS)
        out = pairs(apiVersion=version, kind=kind,
                    resources=[self._entry() for _ in range(self._number(1, 1, 2, 3))])
        if self._is_odd(0.5):
            out.append((self.pick(["metadata", "Resources", "apiversion", "KIND"]), "{}"))
        return out

    def yaml(self):
        return to_yaml(self.tree())

    def json(self):
        return json.dumps(plain(self.tree()), indent=1, ensure_ascii=self.pick([True, False]))

    def changed(self, text):
        """A few bytes or lines of the text taken out, doubled, swapped or replaced."""
        for _ in range(self.pick([1, 1, 2, 3])):
            at = self._random.randrange(len(text) + 1)
            kind = self._random.randrange(5)
            if kind == 0:
                text = text[:at] + self.pick(PIECES) + text[at:]
            elif kind == 1:
                text = text[:at] + text[at + self.pick([1, 1, 2, 5, 20]):]
            elif kind == 2:
                text = text[:at] + self.pick(PIECES) + text[at + 1:]
            else:
                lines = text.split("\n")
                row = self._random.randrange(len(lines))
                if kind == 3:
                    lines.insert(row, self.pick(lines))
                else:
                    other = self._random.randrange(len(lines))
                    lines[row], lines[other] = lines[other], lines[row]
                text = "\n".join(lines)
        return text


def pairs(**values):
    return [(key, value) for key, value in values.items() if value is not None]


PIECES = list("abkv12 :-\n'\"{}[],#&*!|>%@`?~\t=/.\\") + [
    "  ", ": ", "- ", "\n  ", "{}", "[]", "null", "yes", "---\n", "...\n", "# x\n", "\r\n", "\u00a0",
    "\u2028", "\ufeff", "é", "<<: ", "*a", "&a ", "!!str ", "'*.*'", "\\n", "\\/", "%YAML 1.1\n", "0"]


def to_yaml(value, indent=0):
    """Block style, with texts as they are."""
    pad = "  " * indent
    if isinstance(value, str):
        return f"{pad}{value}\n"
    if not value:
        return f"{pad}{{}}\n" if value == [] and indent else "{}\n"
    out = ""
    for item in value:
        if isinstance(item, tuple):
            key, inner = item
            if isinstance(inner, str):
                out += f"{pad}{key}: {inner}\n"
            elif not inner:
                out += f"{pad}{key}: {'[]' if key in ('resources', 'providers', 'keys') else '{}'}\n"
            else:
                out += f"{pad}{key}:\n{to_yaml(inner, indent + 1)}"
        else:
            inner = to_yaml(item, indent + 1)
            out += f"{pad}- {inner.lstrip(' ')}"
    return out


def plain(value):
    """The same tree for JSON, where the plain words of YAML that JSON has too keep their meaning."""
    if isinstance(value, str):
        if value in ("null", "~"):
            return None
        if value in ("true", "yes", "y", "on"):
            return True
        if value == "{}":
            return {}
        if value.startswith("["):
            return [value]
        if value.lstrip("-").isdigit() and len(value) < 18:
            return int(value)
        return value[1:-1] if value[:1] in ("'", '"') else value
    if value and isinstance(value[0], tuple):
        return {key: ({} if inner == [] and key not in ("resources", "providers", "keys")
                      else plain(inner)) for key, inner in value}
    return [plain(item) for item in value]
