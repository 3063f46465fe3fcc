# SPDX-License-Identifier: Apache-2.0
"""Every edge of the KMS v2 contract, by a client that is neither Go nor ours (grpcio), and by
hand-made HTTP/2 where no client library would go."""

import os
import random
import time

import grpc
import pytest

from parts import wire
from parts.daemon import Daemon
from parts.kms import MESSAGE, Kms, check_refused, refusal
from parts.process import wait_until

Code = grpc.StatusCode
SEED = bytes(range(32))

pytestmark = pytest.mark.sanitizer


def check_serves(daemon):
    """Whatever was done to it: it still answers a decent client."""
    with Kms(daemon.socket) as client:
        assert client.unwrap(client.encrypt(SEED)) == SEED


# --- what a decent client sees ------------------------------------------------------------------


def test_answers(daemon, kms):
    status = kms.status()
    assert (status.version, status.healthz) == ("v2", "ok")
    assert status.key_id == daemon.tool.primary()
    wrapped = kms.encrypt(SEED)
    assert wrapped.key_id == status.key_id
    assert 1 <= len(wrapped.ciphertext) <= 1024 and SEED not in wrapped.ciphertext
    assert kms.unwrap(wrapped) == SEED


def test_default_suite_adds_42_bytes(kms):
    assert len(kms.encrypt(SEED).ciphertext) == 74


def test_second_suite(daemon, kms):
    key_id = daemon.tool.stage("--suite", "kbkdf-aes-256-gcm")
    daemon.tool.promote(key_id)
    daemon.wait_key(key_id)
    wrapped = kms.encrypt(SEED)
    assert wrapped.key_id == key_id
    assert kms.unwrap(wrapped) == SEED


def test_same_plaintext_never_gives_the_same_ciphertext(kms):
    assert len({kms.encrypt(SEED).ciphertext for _ in range(500)}) == 500


def test_status_and_encrypt_agree(daemon, kms):
    for _ in range(3):
        daemon.tool.rotate()
        for _ in range(100):
            before, between, after = kms.status(), kms.encrypt(SEED), kms.status()
            assert between.key_id in (before.key_id, after.key_id)


def test_uid_is_not_bound(kms):
    wrapped = kms.encrypt(SEED, uid="one")
    for uid in ("another", "", "x" * 200, "\N{SNOWMAN}"):
        assert kms.decrypt(wrapped.ciphertext, wrapped.key_id, dict(wrapped.annotations),
                           uid) == SEED


def test_uid_is_logged(daemon, kms):
    kms.encrypt(SEED, uid="uid-to-be-found")
    kms.encrypt(SEED, uid='odd" uid\n{}' + "x" * 200)
    row = daemon.wait_event("request", uid="uid-to-be-found")
    assert (row["method"], row["code"], row["key_id"]) == ("Encrypt", "OK", kms.status().key_id)
    assert row["peer_uid"] == os.getuid()
    (odd,) = [e for e in daemon.events("request") if e.get("uid", "").startswith("odd")]
    assert len(odd["uid"]) <= 110


def test_v2beta1_is_a_version_string_only(workspace, idle_daemon):
    idle_daemon.config["kms_version"] = "v2beta1"
    idle_daemon.write_config()
    idle_daemon.start()
    with Kms(idle_daemon.socket) as client:
        assert client.status().version == "v2beta1"
        assert client.unwrap(client.encrypt(SEED)) == SEED


def test_fields_it_does_not_know_are_skipped(kms):
    extra = bytes([0x9a, 0x06, 3]) + b"abc"  # field 99, three bytes
    body = MESSAGE["EncryptRequest"](plaintext=SEED, uid="u").SerializeToString() + extra
    wrapped = MESSAGE["EncryptResponse"].FromString(kms.raw("Encrypt", body))
    assert kms.unwrap(wrapped) == SEED


# --- requests that are refused --------------------------------------------------------------------


@pytest.mark.parametrize("path", [
    "/v2.KeyManagementService/Rotate",
    "/v1beta1.KeyManagementService/Version",
    "/v1beta1.KeyManagementService/Encrypt",
    "/v2alpha1.KeyManagementService/Status",
    "/v2.KeyManagementService/status",
    "/grpc.health.v1.Health/Check",
    "/x",
])
def test_unknown_method(daemon, kms, path):
    kms.status()  # the connection stands
    began = time.monotonic()
    check_refused(Code.UNIMPLEMENTED, kms.raw, path, b"")
    assert time.monotonic() - began < 0.5
    check_serves(daemon)


def annotations(count, size):
    return {f"a{n}.example.com": bytes(size) for n in range(count)}


BAD_ENCRYPT = {
    "empty plaintext": dict(plaintext=b"", uid="u"),
    "nothing at all": dict(),
    "over the provider's limit": dict(plaintext=bytes(257)),
    "over the field's limit": dict(plaintext=bytes(1025)),
    "over the message's limit": dict(plaintext=bytes(3000)),
    "long uid": dict(plaintext=SEED, uid="x" * 257),
    "uid over the message's limit": dict(plaintext=SEED, uid="x" * 4000),
}


@pytest.mark.parametrize("fields", BAD_ENCRYPT.values(), ids=BAD_ENCRYPT)
def test_bad_encrypt(daemon, kms, fields):
    body = MESSAGE["EncryptRequest"](**fields).SerializeToString()
    check_refused(Code.INVALID_ARGUMENT, kms.raw, "Encrypt", body)
    check_serves(daemon)


@pytest.mark.parametrize("size", [1, 16, 32, 64, 256])
def test_plaintext_sizes_that_are_taken(kms, size):
    plain = os.urandom(size)
    assert kms.unwrap(kms.encrypt(plain)) == plain


BAD_DECRYPT = {
    "empty ciphertext": dict(ciphertext=b""),
    "one byte": dict(ciphertext=bytes(1)),
    "zeros": dict(ciphertext=bytes(74)),
    "ciphertext over the limit": dict(ciphertext=bytes(1025)),
    "empty key_id": dict(key_id=""),
    "long key_id": dict(key_id="x" * 1025),
    "an annotation of ours": dict(annotations={"kek.etcdseal.internal": b"x"}),
    "an empty annotation": dict(annotations={"a.example.com": b""}),
    "as many annotations as are read": dict(annotations=annotations(8, 10)),
    "one annotation too many": dict(annotations=annotations(9, 10)),
    "annotations over the limit": dict(annotations=annotations(4, 9000)),
    "annotations over the message's limit": dict(annotations=annotations(5, 9000)),
}


@pytest.mark.parametrize("change", BAD_DECRYPT.values(), ids=BAD_DECRYPT)
def test_bad_decrypt(daemon, kms, change):
    wrapped = kms.encrypt(SEED)
    fields = dict(ciphertext=wrapped.ciphertext, key_id=wrapped.key_id,
                  annotations=dict(wrapped.annotations), uid="u") | change
    body = MESSAGE["DecryptRequest"](**fields).SerializeToString()
    check_refused(Code.INVALID_ARGUMENT, kms.raw, "Decrypt", body)
    check_serves(daemon)


@pytest.mark.parametrize("key_id", ["es1-" + "a" * 26, "esv1-" + "a" * 26, "nothing like ours",
                                    "\N{SNOWMAN}"])
def test_unknown_key_id(kms, key_id):
    wrapped = kms.encrypt(SEED)
    check_refused(Code.NOT_FOUND, kms.decrypt, wrapped.ciphertext, key_id)


def test_every_flipped_bit_is_refused_alike(kms):
    wrapped = kms.encrypt(SEED)
    texts = set()
    for at in range(len(wrapped.ciphertext) * 8):
        forged = bytearray(wrapped.ciphertext)
        forged[at // 8] ^= 1 << at % 8
        texts.add(check_refused(Code.INVALID_ARGUMENT, kms.decrypt, bytes(forged), wrapped.key_id,
                                dict(wrapped.annotations)))
    assert len(texts) == 1, f"the texts tell cases apart: {texts}"


def test_every_length_but_the_right_one_is_refused(kms):
    wrapped = kms.encrypt(SEED)
    for length in [*range(1, len(wrapped.ciphertext)), 75, 100, 1024]:
        forged = wrapped.ciphertext[:length].ljust(length, b"\0")
        check_refused(Code.INVALID_ARGUMENT, kms.decrypt, forged, wrapped.key_id)


def test_key_id_of_another_key(daemon, kms):
    old = kms.encrypt(SEED)
    new_id = daemon.tool.rotate()
    daemon.wait_key(new_id)
    new = kms.encrypt(SEED)
    assert new.key_id == new_id != old.key_id
    texts = {check_refused(Code.INVALID_ARGUMENT, kms.decrypt, old.ciphertext, new.key_id),
             check_refused(Code.INVALID_ARGUMENT, kms.decrypt, new.ciphertext, old.key_id)}
    assert len(texts) == 1
    assert kms.unwrap(old) == kms.unwrap(new) == SEED


def test_staged_key_unwraps_nothing_it_did_not_wrap(daemon, kms):
    wrapped = kms.encrypt(SEED)
    staged = daemon.tool.stage()
    daemon.wait_generation(2)
    check_refused(Code.INVALID_ARGUMENT, kms.decrypt, wrapped.ciphertext, staged)
    assert kms.status().key_id == wrapped.key_id


def test_keystores_do_not_read_each_other(workspace, kms):
    other = Daemon(workspace, "other").start()
    with Kms(other.socket) as stranger:
        wrapped = stranger.encrypt(SEED)
        check_refused(Code.NOT_FOUND, kms.unwrap, wrapped)


def test_disabled_and_destroyed_keys(daemon, kms):
    old = kms.encrypt(SEED)
    daemon.wait_key(daemon.tool.rotate())
    sure = ["--confirm", old.key_id, "--without-daemon"]
    for words, is_readable in [
        (["disable", old.key_id, *sure], False),
        (["enable", old.key_id], True),
        (["disable", old.key_id, *sure], False),
        (["destroy", old.key_id, "--after", "1s", *sure], False),
        (["cancel-destroy", old.key_id], False),
        (["enable", old.key_id], True),
        (["destroy", old.key_id, "--after", "1s", *sure], False),
        (["destroy", old.key_id, "--backups", "none left", *sure], False),
    ]:
        if "--backups" in words:
            time.sleep(1.2)
        daemon.tool.run("key", *words).ok()
        daemon.wait_generation(daemon.tool.generation())
        if is_readable:
            assert kms.unwrap(old) == SEED
        else:
            check_refused(Code.FAILED_PRECONDITION, kms.unwrap, old)
    assert daemon.tool.key_states()[old.key_id] == "destroyed"
    daemon.restart()
    with Kms(daemon.socket) as again:
        check_refused(Code.FAILED_PRECONDITION, again.unwrap, old)


NOISE = random.Random(1).randbytes(4096)  # the same in every run

NOT_A_MESSAGE = {
    "no tag": ("Encrypt", b"\xff"),
    "field longer than the message": ("Encrypt", b"\x0a\x05abc"),
    "endless length": ("Encrypt", b"\x0a" + b"\xff" * 10),
    "uid is not UTF-8": ("Encrypt", b"\x0a\x20" + SEED + b"\x12\x01\xff"),
    "groups in groups": ("Encrypt", b"\x0b" * 100),
    "key_id is not UTF-8": ("Decrypt", b"\x1a\x02\xc3\x28"),
    "annotation cut off": ("Decrypt", b"\x22\x02\x0a\x05"),
    "noise": ("Decrypt", NOISE[:2000]),
    "Status cut off": ("Status", b"\x0a\x05abc"),
    "Status over its limit": ("Status", bytes(65)),
    "Encrypt over its limit": ("Encrypt", bytes(2049)),
    "Decrypt over its limit": ("Decrypt", bytes(40961)),
}


@pytest.mark.parametrize("method, body", NOT_A_MESSAGE.values(), ids=NOT_A_MESSAGE)
def test_bytes_that_are_no_such_message(daemon, kms, method, body):
    code, _ = refusal(kms.raw, method, body)
    assert code == Code.INVALID_ARGUMENT
    check_serves(daemon)


@pytest.mark.parametrize("method", ["Status", "Encrypt", "Decrypt", "/v2.Other/Method"])
def test_oversized_messages(daemon, kms, method):
    """Far over every limit: refused whatever the library calls it, and nothing is kept."""
    code, _ = refusal(kms.raw, method, bytes(3_000_000))
    assert code in (Code.RESOURCE_EXHAUSTED, Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)
    check_serves(daemon)


def test_texts_for_clients_tell_nothing(daemon, kms):
    """No path, no address, nothing of the request."""
    wrapped = kms.encrypt(SEED)
    calls = [(kms.decrypt, b"x" * 74, wrapped.key_id), (kms.decrypt, wrapped.ciphertext, "nobody"),
             (kms.encrypt, b""), (kms.encrypt, bytes(300)), (kms.raw, "Encrypt", b"\xff")]
    for call, *args in calls:
        _, text = refusal(call, *args)
        for word in ("/", "etcdseal", "nobody", wrapped.key_id, str(daemon.keystore)):
            assert word not in text, text


# --- the wire ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("authority", [
    "localhost",                                   # kube-apiserver from 1.32 on
    "%2Frun%2Fetcdseal%2Fkms.sock",                # kube-apiserver 1.29 to 1.31
    "/run/etcdseal/kms.sock",
    "unix:///run/etcdseal/kms.sock",
    "passthrough:///run/kms.sock",
    "kms.sock",
    "127.0.0.1:443",
    "[::1]",
    "EXAMPLE.com.",
    "a" * 100,
    "",
])
def test_any_authority(daemon, authority):
    with wire.Wire(daemon.socket) as w:
        stream = w.start("/v2.KeyManagementService/Status", wire.message(b""), authority=authority)
        headers, body = w.answer(stream)
        assert headers["grpc-status"] == "0"
        assert MESSAGE["StatusResponse"].FromString(body[5:]).healthz == "ok"


def test_authority_as_host_header(daemon):
    """HTTP/2 allows a Host header in its place."""
    with wire.Wire(daemon.socket) as w:
        stream = w.start("/v2.KeyManagementService/Status", wire.message(b""), drop=(":authority",),
                         extra=[("host", "localhost")])
        assert w.status(stream) == 0


NOT_HTTP2 = {
    "one zero": b"\0",
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "almost the preface": b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    "noise": NOISE,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("garbage", NOT_HTTP2.values(), ids=NOT_HTTP2)
def test_garbage_instead_of_http2(daemon, garbage):
    with wire.Wire(daemon.socket, preface=False) as w:
        w.send(garbage)
        assert w.is_closed()
    assert daemon.metrics()['etcdseal_refused_connections_total{reason="not_http2"}'] == 1
    daemon.wait_event("connection-refused", reason="not_http2")
    check_serves(daemon)


BAD_FRAMES = {
    "noise": NOISE,
    "ones": b"\xff" * 64,
    "DATA on stream 0": wire.frame(wire.DATA, 0, 0, b"x"),
    "broken HPACK": wire.frame(wire.HEADERS, 4, 1, b"\xff" * 5),
    "an even stream": wire.frame(wire.HEADERS, 4, 2, b""),
    "a window of nothing": wire.frame(wire.WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
    "SETTINGS of an odd size": wire.frame(wire.SETTINGS, 0, 0, b"12345"),
    "a frame of 16 MB": b"\xff\xff\xff\0\0\0\0\0\1",
}


@pytest.mark.parametrize("garbage", BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_garbage_after_the_preface(daemon, garbage):
    with wire.Wire(daemon.socket) as w:
        w.send(garbage)
        check_serves(daemon)
        w.is_closed()
    check_serves(daemon)


def test_half_a_preface(daemon):
    """Neither spins nor blocks; gone after its time."""
    with wire.Wire(daemon.socket, preface=False) as w:
        w.send(wire.PREFACE[:10])
        check_serves(daemon)
        assert daemon.status()["connections"]["waiting"] == 1
        cpu = daemon.metrics()["process_cpu_seconds_total"]
        time.sleep(1)
        assert daemon.metrics()["process_cpu_seconds_total"] - cpu < 0.3
        w.send(wire.PREFACE[10:] + wire.frame(wire.SETTINGS, 0, 0))
        assert w.ping()


def test_silent_connections_end(daemon):
    with wire.Wire(daemon.socket, timeout=13, preface=False) as w:
        began = time.monotonic()
        assert w.is_closed()
        assert 8 < time.monotonic() - began < 13
    assert daemon.metrics()['etcdseal_refused_connections_total{reason="no_preface"}'] == 1


def test_preface_and_nothing_more(daemon):
    """A connection that stays open without a call holds up nobody."""
    with wire.Wire(daemon.socket) as w:
        check_serves(daemon)
        assert w.ping()


def test_call_that_never_ends(daemon):
    """A request whose end never comes is ended by the deadline that it named."""
    with wire.Wire(daemon.socket, timeout=8) as w:
        stream = w.start("/v2.KeyManagementService/Encrypt", b"\0\0\0\0\x20abc", end=False,
                         extra=[("grpc-timeout", "1S")])
        check_serves(daemon)
        try:
            headers, _ = w.answer(stream)
            assert headers.get("grpc-status", "4") == "4", headers
        except wire.CLOSED:
            pass
    check_serves(daemon)


def test_client_that_goes_away_in_the_middle(daemon):
    for body in (None, b"\0\0\0", wire.message(SEED, length=400)):
        with wire.Wire(daemon.socket) as w:
            w.start("/v2.KeyManagementService/Encrypt", body, end=False)
    check_serves(daemon)
    wait_until("the connections are forgotten",
               lambda: daemon.status()["connections"]["open"] == 0, 5)


ODD_HEADERS = {
    "timeout that is no time": ([("grpc-timeout", "nonsense")], ()),
    "longest timeout": ([("grpc-timeout", "99999999H")], ()),
    "encoding not used": ([("grpc-encoding", "gzip")], ()),
    "unknown encoding": ([("grpc-encoding", "no-such")], ()),
    "long name": ([("x" * 200, "y" * 200)], ()),
    "no te": ([], ("te",)),
    "no content-type": ([], ("content-type",)),
    "no scheme": ([], (":scheme",)),
    "no path": ([], (":path",)),
}


@pytest.mark.parametrize("extra, drop", ODD_HEADERS.values(), ids=ODD_HEADERS)
def test_odd_headers(daemon, extra, drop):
    """Whatever the answer is: it comes, and the daemon serves on."""
    with wire.Wire(daemon.socket) as w:
        stream = w.start("/v2.KeyManagementService/Status", wire.message(b""), extra=extra,
                         drop=drop)
        try:
            headers, _ = w.answer(stream)
            assert headers
        except wire.CLOSED:
            pass
    check_serves(daemon)


def test_metadata_over_the_limit(daemon):
    with wire.Wire(daemon.socket) as w:
        try:
            stream = w.start("/v2.KeyManagementService/Status", wire.message(b""),
                             extra=[("x-long", "~" * 15000)])
            headers, _ = w.answer(stream)
            assert headers.get("grpc-status") != "0", headers
        except wire.CLOSED:
            pass
    check_serves(daemon)


def test_deadline_that_has_passed(daemon):
    with wire.Wire(daemon.socket) as w:
        stream = w.start("/v2.KeyManagementService/Status", wire.message(b""),
                         extra=[("grpc-timeout", "1n")])
        headers, _ = w.answer(stream)
        assert headers.get("grpc-status", "4") == "4", headers
    check_serves(daemon)


def test_many_connections_are_capped(daemon):
    """socket.connections_max is 64: the next one is closed at once, a place is free again when one
    ends."""
    open_ones = [wire.Wire(daemon.socket) for _ in range(64)]
    try:
        assert all(w.ping() for w in open_ones)
        with wire.Wire(daemon.socket, preface=False) as one_more:
            assert one_more.is_closed()
        assert daemon.metrics()['etcdseal_refused_connections_total{reason="full"}'] >= 1
        open_ones.pop().close()
        check_serves(daemon)
    finally:
        for w in open_ones:
            w.close()
