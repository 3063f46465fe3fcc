# SPDX-License-Identifier: Apache-2.0
"""Completion scripts, run by bash and zsh: exactly the words that fit, and none of the tables is
missing."""

import subprocess
from pathlib import Path

import pytest

import tables
from conftest import pages
from shells import DEFAULT, Zsh, bash, bash_on_terminal

COMMON = ["--config", "--keystore", "--unseal", "--socket", "--quiet", "--help", "--version"]
KEY_VERBS = ["list", "stage", "promote", "disable", "enable", "destroy", "cancel-destroy",
             "compromise"]
FORMS = ["table", "wide", "json", "yaml", "sarif", "csv", "csv-keys", "csv-findings", "junit",
         "prometheus", "html"]
PACKAGE = "/usr/share/bash-completion/bash_completion"

# A line, what bash offers, and what zsh offers besides or instead. zsh offers letters too; files are
# those of its folder.
LINES = [
    ("etcdseal key ", KEY_VERBS, None),
    ("etcdseal key pro", ["promote"], None),
    ("etcdseal -q key pro", ["promote"], None),
    ("etcdseal -qo json key pro", ["promote"], None),
    ("etcdseal --unseal boot=file:/x key pro", ["promote"], None),
    ("etcdseal nonsense ", [], None),
    ("etcdseal key nonsense ", [], None),
    # values
    ("etcdseal key list --output ", FORMS, None),
    ("etcdseal key list --output js", ["json"], None),
    ("etcdseal key list --output=", FORMS, None),
    ("etcdseal key list --output=y", ["yaml"], None),
    ("etcdseal key list -o ", FORMS, None),
    ("etcdseal key list -qo t", ["table"], None),
    ("etcdseal key list --quiet=", [], None),
    ("etcdseal key list --nonsense=", [], None),
    ("etcdseal key destroy --after ", [], None),
    ("etcdseal init --seal ", [], None),
    ("etcdseal init --passphrase-cost ", ["min", "default", "max"], None),
    # files
    ("etcdseal --config ", [DEFAULT], ["some.yaml"]),
    ("etcdseal -c ", [DEFAULT], ["some.yaml"]),
    ("etcdseal --config=so", [DEFAULT], ["some.yaml"]),
    ("etcdseal config check ", [DEFAULT], ["some.yaml"]),
    ("etcdseal keystore backup ", [DEFAULT], ["some.yaml"]),
    ("etcdseal config check --encryption-config ", [DEFAULT], ["some.yaml"]),
    ("etcdseald --config ", [DEFAULT], ["some.yaml"]),
    # arguments that only a keystore knows
    ("etcdseal key promote ", [], None),
    ("etcdseal seal remove ", [], None),
    # options
    ("etcdseal --", COMMON, None),
    ("etcdseal key --", COMMON, None),
    ("etcdseal key promote --", COMMON, None),
    ("etcdseal key stage --s", ["--socket", "--suite"], None),
    ("etcdseal init --s", ["--socket", "--seal", "--suite"], None),
    ("etcdseal init --seal file:/x --seal boot=file:/y --s", ["--socket", "--seal", "--suite"],
     None),
    ("etcdseal status -w --", ["--config", "--keystore", "--unseal", "--socket", "--quiet",
                               "--output", "--help", "--version"], None),
    ("etcdseal key list --output=json --o", [], None),
    ("etcdseal key list -o json --o", [], None),
    ("etcdseal key list -ojson --o", [], None),
    ("etcdseal key list --c", ["--config"], None),
    ("etcdseal key list -c x --c", [], None),
    ("etcdseal key list --", COMMON[:5] + ["--output"] + COMMON[5:], None),
    ("etcdseal key list -- --", [], None),
    ("etcdseald --", ["--config", "--check-config", "--help", "--version"], None),
    ("etcdseald nonsense", [], None),
]


@pytest.fixture(scope="module")
def zsh(tmp_path_factory):
    shell = Zsh(tmp_path_factory.mktemp("zsh"))
    yield shell
    shell.close()


@pytest.mark.parametrize("line, words, _", LINES, ids=[line for line, *_ in LINES])
def test_bash(line, words, _):
    assert bash(line) == words


@pytest.mark.parametrize("line, words, instead", LINES, ids=[line for line, *_ in LINES])
def test_zsh(zsh, line, words, instead):
    assert sorted(zsh(line)) == sorted(words if instead is None else instead)


@pytest.mark.parametrize("line, words, _", LINES, ids=[line for line, *_ in LINES])
def test_bash_with_the_package(line, words, _):
    """The package changes options of the shell and brings functions; ours need none of them."""
    assert bash(line, prepare=f"set +u; source {PACKAGE}") == words


def test_bash_where_words_are_not_cut():
    """COMP_WORDBREAKS without = and :, as some have it: the whole word is replaced."""
    assert bash("etcdseal key list --output=js",
                words=["etcdseal", "key", "list", "--output=js"]) == ["--output=json"]


def test_bash_with_the_cursor_inside_of_a_word():
    line = "etcdseal key promote"
    prepare = "trap 'if [[ ${FUNCNAME[0]:-} == _etcdseal ]]; then COMP_POINT=15; fi' DEBUG"
    assert bash(line, prepare=f"set -o functrace; {prepare}") == ["promote"]
    assert bash(line.replace("promote", "nonsense")) == []


@pytest.mark.parametrize("name", ["etcdseal", "etcdseald"])
def test_nothing_is_missing(zsh, name):
    """Every level of commands, with the words and options that --help shows there."""
    count = 0
    for level in tables.levels(name):
        line = " ".join((name, *level.words))
        assert set(bash(f"{line} --")) == level.names, line
        assert set(zsh(f"{line} -")) == level.names | level.letters, line
        if level.next:
            assert bash(f"{line} ") == level.next
            assert zsh(f"{line} ") == level.next
        elif level.args.split(" ")[0].strip("[].") in ("FILE", "FOLDER", "PATH"):
            assert bash(f"{line} ") == [DEFAULT]
            assert zsh(f"{line} ") == ["some.yaml"]
        elif level.args:
            assert bash(f"{line} ") == []
            assert zsh(f"{line} ") == []
        else:
            assert set(bash(f"{line} ")) == level.names
            assert set(zsh(f"{line} ")) == level.names | level.letters
        count += 1
    assert count >= (25 if name == "etcdseal" else 1)


@pytest.mark.parametrize("line, ran", [
    ("etcdseal key pro", "<key><promote>"),
    ("etcdseal key list --output=js", "<key><list><--output=json>"),
    ("etcdseal key list -o y", "<key><list><-o><yaml>"),
    ("etcdseal config check 'a f", "<config><check><a file.yaml>"),
    ("etcdseal config check --encryption-config=oth", "<config><check>"
                                                     "<--encryption-config=other.yaml>"),
])
@pytest.mark.parametrize("others", [[], [PACKAGE]], ids=["alone", "package"])
def test_bash_on_a_terminal(tmp_path, line, ran, others):
    for name in ("a file.yaml", "other.yaml"):
        (tmp_path / name).touch()
    completions = [*others, pages() / "etcdseal.bash"]
    assert bash_on_terminal(tmp_path, line, completions) == f"{ran}END"


@pytest.mark.parametrize("name", ["etcdseal.bash", "etcdseald.bash"])
def test_shellcheck(name):
    done = subprocess.run(["shellcheck", pages() / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["_etcdseal", "_etcdseald"])
def test_zsh_reads_it(name):
    """#compdef is the first line: without it compinit passes the file over."""
    assert (pages() / name).read_text().startswith(f"#compdef {name[1:]}\n")
    done = subprocess.run(["zsh", "-n", pages() / name], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


def test_the_package_is_there():
    assert Path(PACKAGE).is_file()
