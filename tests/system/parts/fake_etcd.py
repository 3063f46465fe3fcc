# SPDX-License-Identifier: Apache-2.0
"""Something that answers like a member of etcd asked for its status and its database, and sends what a
test says. Real ones never send what is tried here."""

from concurrent import futures

import grpc

SERVICE = "etcdserverpb.Maintenance"


def _varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def _number(field, value):
    return _varint(field << 3) + _varint(value)


def _bytes(field, value):
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def piece(remaining, blob):
    return _number(2, remaining) + _bytes(3, blob)


def pieces(data, size=32768):
    """A file of 'etcdctl snapshot save' as etcd sends it."""
    pages, sha256 = data[:-32], data[-32:]
    cut = [pages[i:i + size] for i in range(0, len(pages), size)]
    sent, out = 0, []
    for part in cut:
        sent += len(part)
        out.append(piece(len(pages) - sent, part))
    return out + [piece(0, sha256)]


class FakeEtcd:
    """`sends`: messages, or a call that yields them; then `end`, a status of gRPC, if given."""

    def __init__(self, workspace, sends, end=None, db_size=1000):
        self._sends, self._end = sends, end
        self._status = (_bytes(1, _number(1, 77) + _number(2, 88) + _number(3, 5))
                        + _bytes(2, b"3.6.0") + _number(3, db_size) + _number(4, 88))
        self.asked = 0
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {
            "Status": grpc.unary_unary_rpc_method_handler(lambda request, context: self._status),
            "Snapshot": grpc.unary_stream_rpc_method_handler(self._snapshot)}),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.url = f"http://127.0.0.1:{port}"
        self._server.start()
        workspace.at_end(lambda: self._server.stop(0))

    def _snapshot(self, request, context):
        self.asked += 1
        yield from self._sends() if callable(self._sends) else self._sends
        if self._end is not None:
            context.abort(self._end, "etcdserver: it was stopped")
