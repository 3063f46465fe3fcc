# SPDX-License-Identifier: Apache-2.0
"""Faults between a client and a real OpenBao: what a healthy server cannot be made to do."""

import http.client
import http.server
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

from .openbao import Api

# Of one connection, or made anew for the body that is sent.
NOT_PASSED_ON = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class _Fault:
    path: str = ""  # part of the paths that it is for
    hangs: bool = False
    seconds: float = 0
    change: callable = None  # answer -> what to send instead, or None; may change the answer
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass
class _Answer:
    path: str
    status: int
    headers: list
    body: bytes

    def head(self):
        reason = http.client.responses.get(self.status, "")
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{k}: {v}" for k, v in self.headers),
                 f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode()


class FaultProxy(Api):
    """Speaks TLS to both sides, with a certificate of the server's CA to the client, and HTTP/1.1 with
    kept connections. A certificate that the client shows does not reach the server.

    One fault at a time, until the next one or heal(). `path`: only requests whose path contains it.

    `server`: may be changed; counts from the next connection. `certificate`: as for present().
    `connections`: how many were accepted. `requests`: "METHOD /path" of each that came in, in order.
    """

    def __init__(self, workspace, server, certificate=None):
        self.server = server
        self.root_token, self.ca_file = server.root_token, server.ca_file
        self.port = workspace.free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.connections = 0
        self.requests = []
        self._workspace = workspace
        self._open = set()
        self.present(certificate)
        self._listener = None
        self._fault = _Fault()
        self.heal()
        workspace.at_end(self.refuse)

    # --- faults -------------------------------------------------------------------------------------

    def heal(self):
        self._set()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self):
        """The port is closed, and so are all connections, as when the server's process is gone."""
        self._set()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            listener.close()
        for connection in list(self._open):
            _shut(connection)

    def hang(self, path=""):
        """Accepts and never answers; without a path there is no TLS on new connections either. The
        request does not reach the server."""
        self._set(path=path, hangs=True)

    def delay(self, seconds, path=""):
        """The request waits before it reaches the server."""
        self._set(path=path, seconds=seconds)

    def present(self, certificate=None):
        """PEM of a certificate and of its key, for clients to see from now on; open connections end.
        None: one that is good."""
        pem, key = certificate or self.server.ca.issue("fault-proxy")
        self._workspace.secret(key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._workspace.write(f"fault-proxy-{self.port}.pem", pem + key))
        self._context = context
        for connection in list(self._open):
            _shut(connection)

    def drop(self, path=""):
        """The server does what it is asked; the connection ends without a byte of the answer."""
        self._set(path=path, change=lambda answer: b"")

    def cut(self, length, path=""):
        """The connection ends after so many bytes of the answer's body."""
        self._set(path=path, change=lambda answer: answer.head() + answer.body[:length])

    def rewrite(self, change, path=""):
        """`change(path, status, body)` of each answer gives status and body, or status, body and more
        headers, or None to leave it as it is, or bytes to send in place of any HTTP."""
        def apply(answer):
            made = change(answer.path, answer.status, answer.body)
            if isinstance(made, tuple):
                answer.status, answer.body, *headers = made
                for more in headers:
                    answer.headers += more.items()
                made = None
            return made
        self._set(path=path, change=apply)

    def _set(self, **fault):
        before, self._fault = self._fault, _Fault(**fault)
        before.ended.set()

    def fault_for(self, path):
        fault = self._fault
        return fault if fault.path in path else _Fault()

    # --- connections --------------------------------------------------------------------------------

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._open.add(connection)
            self.connections += 1
            if listener is not self._listener:  # refuse() has not seen this one
                _shut(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                self._speak(connection)
            except (OSError, http.client.HTTPException):
                pass  # one side has ended: the other one sees it too
            finally:
                self._open.discard(connection)

    def _speak(self, connection):
        fault = self._fault
        if fault.hangs and not fault.path:
            fault.ended.wait()
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._context.wrap_socket(connection.dup(), server_side=True) as tls:
            upstream = self.server.connection(timeout=60)
            try:
                _Relay(tls, self, upstream)
            finally:
                upstream.close()


class _Relay(http.server.BaseHTTPRequestHandler):
    """The requests of one connection, until it ends."""

    protocol_version = "HTTP/1.1"

    def __init__(self, tls, proxy, upstream):
        self._proxy = proxy
        self._upstream = upstream
        super().__init__(tls, None, None)

    def _relay(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._proxy.requests.append(f"{self.command} {self.path}")
        fault = self._proxy.fault_for(self.path)
        if fault.hangs:
            fault.ended.wait()
            self.close_connection = True
            return
        time.sleep(fault.seconds)
        answer = self._ask(body)
        instead = fault.change(answer) if fault.change else None
        if instead is not None:
            self.close_connection = True
        self.wfile.write(answer.head() + answer.body if instead is None else instead)

    def _ask(self, body):
        headers = {k: v for k, v in self.headers.items() if k.lower() not in NOT_PASSED_ON}
        self._upstream.request(self.command, self.path, body or None, headers)
        answer = self._upstream.getresponse()
        passed_on = [row for row in answer.getheaders() if row[0].lower() not in NOT_PASSED_ON]
        return _Answer(self.path, answer.status, passed_on, answer.read())

    do_GET = do_PUT = do_POST = do_DELETE = do_LIST = _relay

    def log_message(self, *_):
        pass


def _shut(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # its other side was first
