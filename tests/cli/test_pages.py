# SPDX-License-Identifier: Apache-2.0
"""The manual pages: mandoc accepts them, and nothing of the programs is missing in them."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

import tables
from conftest import ROOT, pages
from samples import printed_leaves, vault_files

PAGES = {"etcdseal": "etcdseal.1", "etcdseald": "etcdseald.8"}
ALL = [*PAGES.values(), "etcdseald.yaml.5"]

# What libraries read for us, by the call that makes them.
CALLS = {
    "sd_listen_fds": {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"},
    "sd_notify": {"NOTIFY_SOCKET"},
    "sd_watchdog_enabled": {"WATCHDOG_USEC", "WATCHDOG_PID"},
}
# Rooms whose code is in a program: docs/design.md.
ROOMS = {
    "etcdseal": ["base", "crypto", "json", "http", "config", "kms", "vault", "seal", "keystore",
                 "provider", "cli"],
    "etcdseald": ["base", "crypto", "json", "http", "config", "rpc", "kms", "vault", "seal", "keystore",
                  "provider", "plugin"],
}
# Read by a room of the program, in a function that it does not call: log_start is the daemon's.
UNUSED = {"etcdseal": {"JOURNAL_STREAM"}, "etcdseald": set()}


def shown(name):
    """The page as a reader sees it, lines joined."""
    done = subprocess.run(["mandoc", "-T", "ascii", "-O", "width=200", pages() / name],
                          capture_output=True, text=True, check=True)
    return re.sub(".\b", "", done.stdout)


def section(text, title):
    return re.search(rf"^{title}\n(.*?)(?=^[A-Z]|\Z)", text, re.M | re.S).group(1)


def lint(path):
    """mandoc looks for the pages of SEE ALSO in the system, where those of others may be missing."""
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "style", path], capture_output=True,
                          text=True)
    return [line for line in (done.stdout + done.stderr).splitlines()
            if "referenced manual not found" not in line and "outdated mandoc.db" not in line]


@pytest.mark.parametrize("name", ALL)
def test_mandoc_has_nothing_to_say(name):
    assert lint(pages() / name) == []


def test_mandoc_can_complain(tmp_path):
    page = tmp_path / "etcdseal.1"
    text = (pages() / "etcdseal.1").read_text()
    page.write_text(text.replace(".Sh OPTIONS", ".Sh OPTIONS\n.Xx"))
    assert any("Xx" in line for line in lint(page))
    page.write_text(text.replace(".Sh EXAMPLES", ".El\n.Sh EXAMPLES"))
    assert lint(page)


@pytest.mark.parametrize("name, page", PAGES.items())
def test_every_command_and_option_is_there(name, page):
    text = shown(page)
    found = tables.levels(name)
    common = found[0].names
    assert {"--help", "--version", "--config"} <= common
    options = section(text, "OPTIONS")
    for option in common:
        assert re.search(rf"^ +(-., )?{option}( |$)", options, re.M), option
    for level in found:
        if level.is_command:
            args = " " + level.args.replace("...", " ...") if level.args else ""
            begin = re.search(rf"^ +{name} {' '.join(level.words)}{re.escape(args)}$", text, re.M)
            assert begin, f"{level.words} {level.args} is not in the page"
            rest = text[begin.end():]
            end = re.search(rf"^(?:OPTIONS$|   [a-z]|     {name} )", rest, re.M)
            entry = rest[:end.start()]
            own = set(re.findall(r"^ +(?:-., )?(--[a-z-]+)(?= |$)", entry, re.M))
            assert own == level.names - common, level.words


def test_the_walk_finds_all():
    """The number of rows, so that a --help which the walk misreads is noticed."""
    rows = "".join((ROOT / "cli" / name).read_text() for name in ("commands.def", "options.c"))
    commands = [level for level in tables.levels("etcdseal") if level.is_command]
    assert len(commands) == rows.count(".fn = ") >= 20
    options = set().union(*(level.names for level in tables.levels("etcdseal")))
    assert len(options) - 2 == len(re.findall(r"\.offset = ", rows)) >= 15


@pytest.mark.parametrize("name, page", PAGES.items())
def test_environment_is_what_the_code_reads(name, page):
    read = set()
    for room in ROOMS[name]:
        for path in (ROOT / room).glob("*.c"):
            code = path.read_text()
            read |= set(re.findall(r'getenv\("([A-Z_]+)"\)', code))
            read |= set().union(*(names for call, names in CALLS.items() if call in code), set())
    told = set(re.findall(r"\b[A-Z]+_[A-Z_]+\b", section(shown(page), "ENVIRONMENT")))
    assert told == read - UNUSED[name]


def test_configuration_page_has_every_key(tool):
    keys = set(re.findall(r"^     ([a-z_\[\].]+)(?:  |$)", section(shown("etcdseald.yaml.5"), "KEYS"), re.M))
    want = {"peers[].uid", "peers[].gid", "peers[].methods", "peers[].decrypt_rate", "peers[].note",
            "vault", "vault.auth"}
    for text in ["{}\n", *vault_files()]:
        tool.config.write_text(text)
        printed = yaml.safe_load(tool.run("config", "print").ok().out)
        want |= {".".join(path) for path, _ in printed_leaves(printed)}
    assert want - {"vault.auth.none"} == keys


def test_pages_have_no_time_of_the_build():
    """Equal sources give equal pages: the date is that of the version, and no path is in them."""
    (date,) = re.findall(r'set\(ETCDSEAL_DATE "(.*)"\)', (ROOT / "CMakeLists.txt").read_text())
    for name in ALL:
        text = (pages() / name).read_text()
        assert f"\n.Dd {date}\n" in text
        assert str(ROOT) not in text


@pytest.mark.parametrize("program", ["etcdseal", "etcdseald"])
def test_made_again_they_are_the_same(program):
    maker = pages() / f"pages_{program}"
    for kind, name in (("man", PAGES[program]), ("config-schema", "etcdseald.schema.json"),
                       ("config-man", "etcdseald.yaml.5")):
        done = subprocess.run([maker, kind], capture_output=True, check=True, cwd="/",
                              env={"TZ": "Asia/Tokyo", "LANG": "C.UTF-8"})
        assert done.stdout == (pages() / name).read_bytes()


@pytest.mark.parametrize("words, code", [
    ([], 2), (["nonsense"], 2), (["man", "frame", "more"], 2), (["bash", "/nowhere"], 3)])
def test_the_maker_refuses(words, code):
    done = subprocess.run([pages() / "pages_etcdseal", *words], capture_output=True, text=True)
    assert done.returncode == code and done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_cross_compiling_makes_none(tmp_path):
    """And says so; nothing is left to be installed."""
    done = subprocess.run(["cmake", "-S", ROOT, "-B", tmp_path, "-G", "Ninja",
                           "-DCMAKE_SYSTEM_NAME=Linux", "-DETCDSEAL_TESTS=OFF"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "neither made nor installed" in " ".join(done.stderr.split())
    assert "pages_etcdseal" not in (tmp_path / "build.ninja").read_text()
    assert "share/man" not in (tmp_path / "pages/cmake_install.cmake").read_text()


def test_an_emulator_does_not_run_the_maker(tmp_path):
    """The valgrind preset names one, for the tests."""
    subprocess.run(["cmake", "-S", ROOT, "-B", tmp_path, "-G", "Ninja", "-DETCDSEAL_TESTS=OFF",
                    "-DCMAKE_CROSSCOMPILING_EMULATOR=/nowhere/emulator"], check=True,
                   capture_output=True)
    ninja = (tmp_path / "build.ninja").read_text()
    assert "pages/pages_etcdseal man " in ninja
    assert "/nowhere/emulator" not in ninja


def test_every_page_is_linted():
    assert {path.name for path in pages().glob("*.[0-9]")} == set(ALL)
    assert Path(pages() / "etcdseald.schema.json").is_file()
