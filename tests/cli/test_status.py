# SPDX-License-Identifier: Apache-2.0
"""etcdseal status: what a daemon says, what it means, and nonsense in its place."""

import json
import socket
import subprocess
import time

import pytest
import yaml

from conftest import program


def test_serving(daemon, store):
    key_id = store.key_in("primary")
    daemon.saw_decrypt(key_id, 60, count=7)
    out = store.unchanged("status").ok().out
    for word in ("serving", key_id, daemon.answer["provider"]["store_id"], "boot (file)", " 7 ",
                 daemon.answer["started_at"], "last reload"):
        assert word in out, out
    assert store.run("status", "-o", "json").json() == daemon.answer
    assert yaml.safe_load(store.run("status", "-o", "yaml").ok().out) == daemon.answer


def test_table_row_of_each_key(daemon, store):
    store.rotate()
    store.stage()
    daemon.load(store.listing())
    out = store.run("status").ok().out
    for key_id, state in store.states().items():
        (line,) = [line for line in out.splitlines() if line.startswith(key_id)]
        assert line.split() == [key_id, state, "0", "-"]


def test_more_than_the_daemon_lists(daemon, store):
    """256 keys are listed; the answer is longer than any that we make."""
    row = daemon.answer["provider"]["keys"][0]
    daemon.answer["provider"]["keys"] = [dict(row, id=f"es1-{n:026}") for n in range(256)]
    assert len(store.run("status").ok().out.splitlines()) > 256


@pytest.mark.parametrize("person, word", [(True, "a person must act"), (False, "still being tried")])
def test_sealed(daemon, store, person, word):
    daemon.seal(person, "slot boot: wrong secret")
    ran = store.unchanged("status")
    assert ran.code == 1 and "SEALED" in ran.out and word in ran.out, ran.told()
    assert "sealed: slot boot: wrong secret" in ran.err
    ran = store.run("status", "-o", "json")
    assert ran.code == 1 and json.loads(ran.out) == daemon.answer


def test_failed_reload(daemon, store):
    daemon.answer["last_reload"] |= {"ok": False, "code": "FORMAT", "message": "damaged"}
    ran = store.unchanged("status")
    assert ran.code == 1 and "serving" in ran.out and "FAILED: damaged" in ran.out
    assert "last reload failed: damaged" in ran.err


def test_warning(daemon, store):
    daemon.answer["provider"]["warning"] = "could not be written down"
    ran = store.unchanged("status").ok()
    assert "WARNING" in ran.out and "could not be written down" in ran.out


def test_no_reload_yet(daemon, store):
    daemon.answer["last_reload"] = {"at": None, "ok": False, "code": "OK", "message": None}
    assert "never" in store.run("status").ok().out


def test_backup(daemon, store):
    assert "last backup  NONE is known on this node" in store.run("status").ok().out
    daemon.answer["provider"]["backup"] = {"generation": 4, "at": "2026-11-24T02:31:40Z",
                                           "sha256": "0" * 64, "keys_missing": 0}
    out = store.run("status").ok().out
    assert "last backup  generation 4, 2026-11-24T02:31:40Z\n" in out
    daemon.answer["provider"]["backup"]["keys_missing"] = 2
    assert "NOT IN IT: 2 of the keys" in store.run("status").ok().out
    daemon.seal(True, "wrong secret")
    assert "last backup" not in store.run("status").out


def test_restart_needed(daemon, store):
    daemon.answer["restart_needed"] = ["socket.path", "provider"]
    out = store.run("status").ok().out
    assert "restart for  socket.path" in out and "provider" in out


def test_hostile_texts_are_shown_escaped(daemon, store):
    daemon.answer["provider"]["opened_by"] = "\033[31mred\nstate serving"
    daemon.answer["provider"]["keys"][0]["id"] = "\033[2J"
    daemon.answer["last_reload"] |= {"ok": False, "message": "\033]0;title\007\nfake"}
    ran = store.run("status")
    assert "\033" not in ran.out + ran.err and r"\x1b" in ran.out and "\nfake" not in ran.err


# --- nobody, or somebody else -------------------------------------------------------------------------


def test_nobody(store):
    store.unchanged("status").refused(3, str(store.status_socket), "No such file")
    store.unchanged("status", "--socket", "/nowhere/kms.sock").refused(3, "/nowhere/status.sock")


def test_a_socket_that_nobody_listens_on(store):
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(store.status_socket))
    store.run("status").refused(3, str(store.status_socket), "refused")


def test_path_too_long(store):
    store.unchanged("status", "--socket", "/x" * 60 + "/kms.sock").refused(3, "107")
    store.unchanged("status", "--socket", "/x" * 2100).refused(2)
    store.unchanged("status", "--socket", "relative/kms.sock").refused(3, "absolute")
    store.unchanged("status", "--socket", "/run/etcdseal/").refused(2, "path of a file")


@pytest.mark.parametrize("raw", [
    b"", b"ok\n", b"[]", b"{}", b"null", b"\xff\xfe", b"x" * 300_000, b"[" * 100_000,
    b'{"version":"1","version":"2"}', b"{\"version\": 12345678901234567890}",
], ids=lambda raw: str(raw[:20]))
def test_nonsense(daemon, store, raw):
    daemon.raw = raw
    store.unchanged("status").refused(3, str(store.status_socket))


@pytest.mark.parametrize("path", [
    ["version"], ["started_at"], ["ready"], ["needs_a_person"], ["provider"],
    ["provider", "store_id"], ["provider", "generation"], ["provider", "loaded_at"],
    ["provider", "current_key_id"], ["provider", "opened_by"], ["provider", "warning"], ["provider", "keys"],
    ["last_reload"], ["last_reload", "ok"], ["last_reload", "at"], ["restart_needed"],
], ids=".".join)
def test_each_field_is_checked(daemon, store, path):
    *outer, last = path
    inner = daemon.answer
    for name in outer:
        inner = inner[name]
    for wrong in ([1.5], "\u0000x" if last == "started_at" else -5):
        inner[last] = wrong
        store.unchanged("status").refused(3, "does not answer as etcdseald")
    del inner[last]
    store.unchanged("status").refused(3, "does not answer as etcdseald")


def test_numbers_that_cannot_be_copied(daemon, store):
    daemon.answer["extra"] = {"load": 0.5}
    store.run("status").ok()
    store.unchanged("status", "-o", "json").refused(3, "not whole")


def test_nesting_that_cannot_be_copied(daemon, store):
    deep = []
    for _ in range(12):
        deep = [deep]
    daemon.answer["extra"] = deep
    for form in ("json", "yaml"):
        store.unchanged("status", "-o", form).refused(2, "deep")


def test_http_errors(daemon, store):
    daemon.code = 503
    store.unchanged("status").refused(3, "HTTP 503")


def test_a_daemon_that_hangs(daemon, store):
    daemon.delay = 10
    began = time.monotonic()
    store.unchanged("status").refused(3, "imeout")
    assert time.monotonic() - began < 6


def test_an_endless_answer(daemon, store):
    daemon.raw = b" " * 50_000_000
    store.unchanged("status").refused(3, "more than")


def test_no_proxy_is_used(daemon, store):
    env = {name: "http://127.0.0.1:9" for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY",
                                                    "all_proxy")}
    store.run("status", env=env).ok()


# --- watch ----------------------------------------------------------------------------------------------


class Watch:
    def __init__(self, tool, *words):
        self.process = subprocess.Popen(
            [program(), "status", "--watch", *words], stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"ETCDSEAL_CONFIG": str(tool.config)})

    def line(self):
        return self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()


def test_watch_prints_each_change(daemon, store):
    with Watch(store) as watch:
        assert "serving  generation 1" in watch.line()
        store.rotate()
        daemon.load(store.listing())
        assert f"generation 3  key {store.key_in('primary')}" in watch.line()
        daemon.answer["last_reload"] |= {"ok": False, "message": "damaged"}
        assert "last reload failed: damaged" in watch.line()
        daemon.raw = b"nonsense"
        assert "no answer" in watch.line()
        daemon.raw = None
        assert "serving" in watch.line()


def test_watch_prints_documents(daemon, store):
    with Watch(store, "-o", "json") as watch:
        assert json.loads(watch.line()) == daemon.answer
        daemon.answer["ready"] = False
        assert json.loads(watch.line())["ready"] is False
