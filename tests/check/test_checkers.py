# SPDX-License-Identifier: Apache-2.0
"""The checkers of tools/ find what is planted in a small tree, and nothing in it without that."""

import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
SPDX = "SPDX-License-Identifier: Apache-2.0"

TABLE = """<!-- SPDX-License-Identifier: Apache-2.0 -->
| level | room | job | may use | owns |
| --- | --- | --- | --- | --- |
| 0 | `base` | all | – | `sodium.h` (memory) |
| 1 | `crypto` | keys | base | `openssl/*`, `sodium.h` |
| 2 | `cli` | the tool | all but `crypto` | – |

After the table.
"""


@pytest.fixture
def tree(tmp_path):
    def put(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    put("docs/design.md", TABLE)
    put("README.md", f"<!-- {SPDX} -->\n[design](docs/design.md)\n\n```sh\ntrue\n```\n")
    for room, uses in (("base", ""), ("crypto", "USES base"), ("cli", "USES base")):
        put(f"{room}/CMakeLists.txt", f"# {SPDX}\netcdseal_room({room}\n    SOURCES x.c\n    {uses})\n")
        put(f"{room}/README.md", f"<!-- {SPDX} -->\n")
        put(f"{room}/{room}.h", f"/* {SPDX} */\n#include <stdint.h>\n#include \"base/base.h\"\n")
    put("crypto/x.c", f"/* {SPDX} */\n#include <openssl/evp.h>\n#include <sys/stat.h>\n")
    return put


def run(name, root):
    done = subprocess.run([TOOLS / name, "--root", root], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["check-rooms", "check-style", "check-docs"])
def test_a_clean_tree_passes(tree, tmp_path, name):
    code, text = run(name, tmp_path)
    assert code == 0 and "no findings" in text, text


@pytest.mark.parametrize("file, text, told", [
    ("base/x.c", '#include "crypto/crypto.h"', 'base must not include "crypto/crypto.h"'),
    ("cli/x.c", '#include "crypto/crypto.h"', 'cli must not include "crypto/crypto.h"'),
    ("base/x.c", "#include <openssl/evp.h>", "base must not include <openssl/evp.h>: crypto own"),
    ("crypto/y.h", "#  include <jansson.h>", "no room of the table owns it"),
    ("crypto/y.h", '#include "crypto.h"', "name the room"),
    ("crypto/CMakeLists.txt", "etcdseal_room(crypto\n SOURCES x.c)", "USES -, the table says base"),
    ("cli/CMakeLists.txt", "etcdseal_room(cli SOURCES x.c USES base crypto)", "USES base crypto"),
    ("new/CMakeLists.txt", "etcdseal_room(new SOURCES x.c)", "new is not in the table"),
    ("docs/design.md", TABLE.replace("| all | –", "| all | crypto"), "arrows point down"),
    ("docs/design.md", TABLE.replace("| keys | base", "| keys | bass"), "bass, which is no room"),
    ("docs/design.md", TABLE.replace("| 2 |", "| 2 | `more` | job | base | – |\n| 2 |"),
     "room more has no CMakeLists.txt"),
    ("docs/design.md", "nothing", "no table of rooms"),
])
def test_rooms(tree, tmp_path, file, text, told):
    tree(file, text + "\n")
    code, out = run("check-rooms", tmp_path)
    assert code == 1 and told in out, out


def test_rooms_wants_a_readme(tree, tmp_path):
    (tmp_path / "cli/README.md").unlink()
    assert "README.md" in run("check-rooms", tmp_path)[1]


BODY = "/* " + SPDX + " */\n"


@pytest.mark.parametrize("file, text, told", [
    ("base/x.c", "int x;\n", "no line"),
    ("tools/x", "#!/bin/sh\n", "no line"),
    ("base/x.c", BODY + "void f(void)\n{\n    strcpy(a, b);\n}\n", "strcpy is banned"),
    ("base/x.c", BODY + "void f(void)\n{\n    int x = atoi (a);\n}\n", "atoi is banned"),
    ("cli/x.c", BODY + "void f(void)\n{\n    system(a);\n}\n", "system is banned"),
    ("base/x.c", BODY + "void f(void)\n{\n    goto out;\n}\n", "goto"),
    ("base/x.c", BODY + "void f(void)\n{\n    exit(1);\n}\n", "rooms return causes"),
    ("base/x.c", BODY + "int x; // why\n", "comments are /* */"),
    ("base/x.c", BODY + "void f(void)\n{\n" + "    g();\n" * 59 + "}\n", "function of 61 lines"),
    ("base/x.c", BODY + "int x;\n" * 600, "601 lines"),
    ("base/x.c", BODY + "/* TO" + "DO: more */\n", "open an issue"),
])
def test_style(tree, tmp_path, file, text, told):
    tree(file, text)
    code, out = run("check-style", tmp_path)
    assert code == 1 and told in out, out


@pytest.mark.parametrize("text", [
    "void f(void)\n{\n" + "    g();\n" * 58 + "}\n",
    "/* strcpy(a, b); goto; http://x */\nchar *s = \"system(x) // y\";\n",
    "void f(void)\n{\n    my_system(1);\n    ops->exit(1);\n    snprintf(a, 1, b);\n}\n",
])
def test_style_is_content(tree, tmp_path, text):
    tree("base/x.c", BODY + text)
    code, out = run("check-style", tmp_path)
    assert code == 0, out


@pytest.mark.parametrize("text, told", [
    ("```bash\ntrue\n```\n", "commands are sh"),
    ("```\n$ true\n```\n", "without a language"),
    ("<!-- not-run: -->\n```sh\ntrue\n```\n", "wants a reason"),
    ("<!-- run-by: tests/nowhere.py -->\n```sh\ntrue\n```\n", "no such file"),
    ("<!-- not-run: it is not a command -->\n```yaml\na: 1\n```\n", "for blocks of language sh"),
    ("```sh\ntrue\n", "never ends"),
    ("[x](nowhere.md)\n", "a link to nowhere.md"),
])
def test_docs(tree, tmp_path, text, told):
    tree("docs/page.md", text)
    code, out = run("check-docs", tmp_path)
    assert code == 1 and told in out, out


def test_docs_are_content(tree, tmp_path):
    tree("docs/page.md", "<!-- not-run: needs a cluster -->\n```sh\nkubectl get x\n```\n\n"
         "<!-- run-by: README.md -->\n\n```sh\ntrue\n```\n`[x](y)` [up](../README.md#etcdseal)\n"
         "[out](https://example.com)\n```\n[x](y)\n```\n")
    code, out = run("check-docs", tmp_path)
    assert code == 0, out


# --- what an audit needs ---------------------------------------------------------------------------------

AUDIT = {
    "cli/cmd_audit.c": "void audit_begin(void); void cmd_audit(void); void cmd_audit(void) { audit_begin(); }",
    "cli/cmd_audit_keys.c": "void cmd_keys(void); void cmd_keys(void) {}",
    "audit/audit.c": "void etcd_range(void); void audit_begin(void); void audit_begin(void) { etcd_range(); }",
    "etcd/etcd.c": 'const char *m = "/etcdserverpb.KV/Range"; void etcd_range(void); void etcd_range(void) {}',
    "stored/stored.c": "int stored_x;", "kms/kms.c": "int kms_x;", "proto/etcd_rpc.c": "int proto_x;",
    "keystore/ks.c": "void ks_open(void); void ks_open(void) {}", "seal/seal.c": "int seal_x;",
    "provider/provider.c": "int provider_x;",
}


def audit_of(folder, **changed):
    for path, text in (AUDIT | {name: text for name, text in changed.items()}).items():
        source = folder / path
        source.parent.mkdir(exist_ok=True)
        source.write_text(text)
        made = source.with_suffix(".c.o")
        subprocess.run(["cc", "-c", source, "-o", made], check=True)
        subprocess.run(["ar", "rcs", source.parent / f"lib{source.parent.name}.a", made], check=True)
    done = subprocess.run(["/usr/bin/python3", Path(__file__).parent / "read_only.py", folder],
                          capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("path, text, told", [
    ("audit/audit.c", "void ks_open(void); void audit_begin(void); void audit_begin(void) { ks_open(); }",
     "audit needs keystore/ks.c.o, for ks_open in audit/audit.c.o"),
    ("audit/audit.c", "int unlink(const char *); void audit_begin(void);"
     "void audit_begin(void) { unlink(\"x\"); }", "audit/audit.c.o calls unlink"),
    ("stored/stored.c", "int sqlite3_wal_checkpoint_v2(void); int f(void);"
     "int f(void) { return sqlite3_wal_checkpoint_v2(); }", "calls sqlite3_wal_checkpoint_v2"),
    ("etcd/etcd.c", 'const char *m = "/etcdserverpb.KV/DeleteRange"; void etcd_range(void);'
     "void etcd_range(void) {}", "etcd names /etcdserverpb.KV/DeleteRange"),
    ("proto/etcd_rpc.c", "int etcdserverpb__put_request__init;", "a message that does not read"),
])
def test_an_audit_that_could_write(tmp_path, path, text, told):
    code, out = audit_of(tmp_path, **{path: text})
    assert code == 1 and told in out, out


def test_an_audit_of_nothing(tmp_path):
    code, out = audit_of(tmp_path)
    assert code == 1 and "looked at nothing" in out, out
