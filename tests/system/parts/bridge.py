# SPDX-License-Identifier: Apache-2.0
"""From a TCP port to somewhere else: for clients that speak TCP only, or that live in another network
namespace."""

import concurrent.futures
import ctypes
import os
import socket
import threading


def _pump(source, sink):
    """Until one side ends, in whatever way; the other then sees the end too."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class _Bridge:
    """As a context: `port` is open inside of it. `connect`: makes the socket to the other side."""

    def __init__(self, listener, connect):
        self._listener = listener
        self._connect = connect
        self.port = listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client):
        with client, self._connect() as server:
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join()


class Bridge(_Bridge):
    """From a port of the loopback to a unix socket."""

    def __init__(self, path):
        def connect():
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(path))
            return server
        super().__init__(socket.create_server(("127.0.0.1", 0)), connect)


CLONE_NEWNET = 0x40000000


def _listener_of(pid, address):
    """A listening socket in the network namespace of a process. Namespaces are the thread's."""
    def make():
        with open(f"/proc/{pid}/ns/net") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return socket.create_server(address)
    with concurrent.futures.ThreadPoolExecutor(1) as one:
        return one.submit(make).result()


class Doorway(_Bridge):
    """From an address and port that a process has in a network namespace of its own to a port of our
    loopback."""

    def __init__(self, pid, address, port):
        super().__init__(_listener_of(pid, address),
                         lambda: socket.create_connection(("127.0.0.1", port)))
