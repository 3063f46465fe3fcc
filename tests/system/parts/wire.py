# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by hand, for what no client library would send: odd headers, half requests, garbage."""

import os
import socket
import struct

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CLOSED = (EOFError, ConnectionError)  # what a connection that the server has ended raises
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def message(body, length=None):
    """A gRPC message: flag, length, body. `length`: another one than is true."""
    return struct.pack(">BI", 0, len(body) if length is None else length) + body


class Wire:
    """One connection. Reads block for at most `timeout` seconds; a closed one reads as b''."""

    def __init__(self, path, timeout=5, preface=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self._decoder = hpack.Decoder()
        self._encoder = hpack.Encoder()
        self._buffer = b""
        self._stream = -1
        if preface:
            self.send(PREFACE + frame(SETTINGS, 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def headers(self, path, authority="localhost", extra=(), drop=()):
        rows = [(":method", "POST"), (":scheme", "http"), (":path", path),
                (":authority", authority), ("content-type", "application/grpc"),
                ("user-agent", "tests"), ("te", "trailers"), *extra]
        return self._encoder.encode([row for row in rows if row[0] not in drop])

    def start(self, path, body=None, end=True, **options):
        """Sends a request (without body: the headers alone). Returns the stream's number."""
        self._stream += 2
        self.send(frame(HEADERS, END_HEADERS, self._stream, self.headers(path, **options)))
        if body is not None:
            self.send(frame(DATA, END_STREAM if end else 0, self._stream, body))
        return self._stream

    def is_closed(self):
        """True once the other end has closed; what it still sends is thrown away."""
        try:
            while True:
                if not self.socket.recv(65536):
                    return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def _read(self, count):
        while len(self._buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("connection closed")
            self._buffer += data
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def next_frame(self):
        """kind, flags, stream, payload; SETTINGS and PING are answered on the way."""
        while True:
            head = self._read(9)
            length = int.from_bytes(head[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            payload = self._read(length)
            if kind in (SETTINGS, PING) and not flags & ACK:
                self.send(frame(kind, ACK, 0, payload if kind == PING else b""))
            return kind, flags, stream, payload

    def answer(self, stream):
        """Headers and trailers in one dict, and the body, of a stream that the server ends."""
        headers, body = {}, b""
        while True:
            kind, flags, number, payload = self.next_frame()
            if kind == GOAWAY:
                raise EOFError(f"GOAWAY {payload[8:]!r}")
            if kind == HEADERS:
                rows = dict(self._decoder.decode(payload))
                if number == stream:
                    headers |= rows
            if number != stream:
                continue
            if kind == DATA:
                body += payload
            if kind == RST_STREAM:
                return headers | {"reset": int.from_bytes(payload, "big")}, body
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                return headers, body

    def status(self, stream):
        """The gRPC status of a stream."""
        headers, _ = self.answer(stream)
        return int(headers["grpc-status"])

    def ping(self):
        """True when the server answers a PING."""
        data = os.urandom(8)
        self.send(frame(PING, 0, 0, data))
        while True:
            kind, flags, _, payload = self.next_frame()
            if kind == PING and flags & ACK and payload == data:
                return True
