# SPDX-License-Identifier: Apache-2.0
"""How the socket speaks HTTP/2, by h2spec: the daemon's own look at the preface, and gRPC C core.

What gRPC C core 1.51 does not do as RFC 9113 wants it is named here and not mended: the same cases
fail with a C core server that has no line of ours in it (bench/bare_server.c). All of them are
lenience towards the other end, which is kube-apiserver or was refused before its first byte.
"""

import itertools

import pytest

from parts.bridge import Bridge
from parts.h2spec import FAILED, PASSED, SKIPPED, H2spec
from parts.kms import Kms

CASES = 145
# h2spec judges by the frame that comes first. Where the answer to a request and the complaint about
# what follows it are on their way at once, that is a matter of luck.
TRIES = 10

# Why, and the cases.
NOT_AS_THE_RFC = {
    "a PING with other flags than ACK ends the connection, where unknown flags are to be ignored": [
        ("http2/4.1", "Sends a frame with undefined flag"),
        ("http2/4.1", "Sends a frame with reserved field bit"),
    ],
    "frames for a stream that is not open are skipped without a word": [
        ("http2/5.1", "idle: Sends a DATA frame"),
        ("http2/5.1", "idle: Sends a RST_STREAM frame"),
        ("http2/5.1", "idle: Sends a WINDOW_UPDATE frame"),
        ("http2/5.1", "half closed (remote): Sends a DATA frame"),
        ("http2/5.1", "half closed (remote): Sends a HEADERS frame"),
        ("http2/5.1", "closed: Sends a DATA frame after sending RST_STREAM frame"),
        ("http2/5.1", "closed: Sends a HEADERS frame after sending RST_STREAM frame"),
        ("http2/5.1", "closed: Sends a DATA frame"),
        ("http2/5.1", "closed: Sends a HEADERS frame"),
        ("http2/6.1", 'Sends a DATA frame on the stream that is not in "open" or '
                      '"half-closed (local)" state'),
        ("http2/6.4", "Sends a RST_STREAM frame on a idle stream"),
    ],
    "requests on an even stream, or on a lower one than before, are skipped without a word": [
        ("http2/5.1.1", "Sends even-numbered stream identifier"),
        ("http2/5.1.1", "Sends stream identifier that is numerically smaller than previous"),
    ],
    "priorities are not read": [
        ("http2/5.3.1", "Sends HEADERS frame that depend on itself"),
        ("http2/5.3.1", "Sends PRIORITY frame that depend on itself"),
        ("http2/6.3", "Sends a PRIORITY frame with 0x0 stream identifier"),
        ("http2/6.3", "Sends a PRIORITY frame with a length other than 5 octets"),
    ],
    "the stream number of a frame is not held against its kind": [
        ("http2/5.4.1", "Sends an invalid PING frame for connection close"),
        ("http2/6.1", "Sends a DATA frame with 0x0 stream identifier"),
        ("http2/6.2", "Sends a HEADERS frame with 0x0 stream identifier"),
        ("http2/6.4", "Sends a RST_STREAM frame with 0x0 stream identifier"),
        ("http2/6.7", "Sends a PING frame with a stream identifier field value other than 0x0"),
        ("http2/6.8", "Sends a GOAWAY frame with a stream identifier other than 0x0"),
    ],
    "padding is not supported: padded DATA ends the stream, that of HEADERS is read as headers": [
        ("http2/6.1", "Sends a DATA frame with invalid pad length"),
        ("http2/6.2", "Sends a HEADERS frame with invalid pad length"),
    ],
    "what a window grows to is not checked": [
        ("http2/6.9.1", "Sends multiple WINDOW_UPDATE frames increasing the flow control window "
                        "to above 2^31-1"),
        ("http2/6.9.1", "Sends multiple WINDOW_UPDATE frames increasing the flow control window "
                        "to above 2^31-1 on a stream"),
    ],
    "malformed headers end in a gRPC status or are ignored, not in an error of HTTP/2": [
        ("http2/8.1.2", "Sends a HEADERS frame that contains the header field name in uppercase "
                        "letters"),
        ("http2/8.1.2.1", "Sends a HEADERS frame that contains a unknown pseudo-header field"),
        ("http2/8.1.2.1", "Sends a HEADERS frame that contains the pseudo-header field defined "
                          "for response"),
        ("http2/8.1.2.1", "Sends a HEADERS frame that contains a pseudo-header field that appears "
                          "in a header block after a regular header field"),
        ("http2/8.1.2.2", "Sends a HEADERS frame that contains the connection-specific header "
                          "field"),
        ("http2/8.1.2.2", "Sends a HEADERS frame that contains the TE header field with any value "
                          'other than "trailers"'),
        ("http2/8.1.2.3", 'Sends a HEADERS frame with empty ":path" pseudo-header field'),
        ("http2/8.1.2.3", 'Sends a HEADERS frame that omits ":method" pseudo-header field'),
        ("http2/8.1.2.3", 'Sends a HEADERS frame that omits ":scheme" pseudo-header field'),
        ("http2/8.1.2.3", 'Sends a HEADERS frame that omits ":path" pseudo-header field'),
        ("http2/8.1.2.3", 'Sends a HEADERS frame with duplicated ":method" pseudo-header field'),
        ("http2/8.1.2.3", 'Sends a HEADERS frame with duplicated ":scheme" pseudo-header field'),
        ("http2/8.1.2.3", 'Sends a HEADERS frame with duplicated ":path" pseudo-header field'),
    ],
    "content-length is not compared with what comes": [
        ("http2/8.1.2.6", 'Sends a HEADERS frame with the "content-length" header field which '
                          "does not equal the DATA frame payload length"),
        ("http2/8.1.2.6", 'Sends a HEADERS frame with the "content-length" header field which '
                          "does not equal the sum of the multiple DATA frames payload length"),
    ],
    "kinds of frames that it does not know are skipped, PUSH_PROMISE among them": [
        ("http2/8.2", "Sends a PUSH_PROMISE frame"),
    ],
    "the padding of Huffman codes is not checked": [
        ("hpack/5.2", "Sends a Huffman-encoded string literal representation with padding longer "
                      "than 7 bits"),
        ("hpack/5.2", "Sends a Huffman-encoded string literal representation padded by zero"),
    ],
    "not wrong: h2spec waits for DATA, and its requests are refused with headers alone": [
        ("generic/2", "Sends a WINDOW_UPDATE frame on half-closed (remote) stream"),
        ("generic/2", "Sends a PRIORITY frame on half-closed (remote) stream"),
    ],
}
# For the same reason h2spec leaves these out by itself.
NOT_RUN = [
    ("http2/6.5.3", "Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE"),
    ("http2/6.9.1", "Sends SETTINGS frame to set the initial window size to 1 and sends HEADERS "
                    "frame"),
    ("http2/6.9.2", "Changes SETTINGS_INITIAL_WINDOW_SIZE after sending HEADERS frame"),
    ("http2/6.9.2", "Sends a SETTINGS frame for window size to be negative"),
]


def recorded():
    """The outcome of each case that does not pass."""
    wrong = list(itertools.chain(*NOT_AS_THE_RFC.values()))
    outcomes = dict.fromkeys(wrong, FAILED) | dict.fromkeys(NOT_RUN, SKIPPED)
    assert len(outcomes) == len(wrong) + len(NOT_RUN), "a case is named twice"
    return outcomes


def place(case, cases):
    """Its number in its section, from 1."""
    return [c for c in cases if c[0] == case[0]].index(case) + 1


def stays_other(h2spec, case, number, wanted):
    return all(h2spec.again(case, number) != wanted for _ in range(TRIES))


@pytest.mark.timeout(600)
def test_h2spec(workspace, daemon):
    """Every case comes out as recorded, and the daemon answers afterwards."""
    with Bridge(daemon.socket) as bridge:
        h2spec = H2spec(bridge.port, workspace)
        outcomes = h2spec.all()
        wanted = dict.fromkeys(outcomes, PASSED) | recorded()
        assert len(outcomes) == CASES and wanted.keys() == outcomes.keys(), wanted.keys() ^ outcomes
        others = {case: outcome for case, outcome in outcomes.items()
                  if outcome != wanted[case] and
                  stays_other(h2spec, case, place(case, list(outcomes)), wanted[case])}
    assert not others, "not as recorded:\n" + "\n".join(
        f"{section}: {case}: {outcome}, not {wanted[section, case]}"
        for (section, case), outcome in others.items())
    with Kms(daemon.socket) as kms:
        assert kms.unwrap(kms.encrypt(b"a seed wrapped after all of that")) == (
            b"a seed wrapped after all of that")
    daemon.process.check_alive()
