# SPDX-License-Identifier: Apache-2.0
"""Answers on a status socket as etcdseald would, or as it would not."""

import http.server
import json
import os
import socketserver
import threading
import time


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class FakeDaemon:
    """`answer`: the /status document, to be changed at will. `raw` (bytes), `code` and `delay`
    replace what is sent."""

    def __init__(self, path, listing):
        self.path = str(path)
        self.started = time.time() - 30 * 24 * 3600
        self.raw = None
        self.code = 200
        self.delay = 0
        self.answer = {}
        self.load(listing)

    def load(self, listing):
        """What `key list -o json` prints, as the daemon that has loaded it."""
        primary = [key["id"] for key in listing["keys"] if key["state"] == "primary"]
        self.answer = {
            "version": "0.1.0", "kms_version": "v2", "pid": 4711,
            "started_at": utc(self.started),
            "ready": True, "sealed": False, "needs_a_person": False,
            "provider": {
                "name": "local", "store_id": listing["store_id"],
                "generation": listing["generation"], "loaded_at": utc(time.time()),
                "current_key_id": primary[0], "current_key_id_hash": "sha256:" + "0" * 64,
                "opened_by": "boot (file)", "warning": None,
                "backup": {"generation": 0, "at": None, "sha256": None,
                           "keys_missing": len(listing["keys"])},
                "key_service": None, "slots_opened": 1, "key_count": len(listing["keys"]),
                "keys": [{"id": key["id"], "id_hash": "sha256:" + "0" * 64, "state": key["state"],
                          "version": 0, "created_at": key["created_at"], "promoted_at": None,
                          "decrypts": 0, "last_decrypt_at": None} for key in listing["keys"]],
            },
            "socket": {"path": "/x/kms.sock", "status_path": self.path, "activated": False},
            "connections": {"open": 1, "waiting": 0, "max": 64}, "calls_in_flight": 0,
            "peers": [{"uid": 0, "methods": ["status", "encrypt", "decrypt"], "decrypt_rate": 0,
                       "note": None}],
            "last_reload": {"at": utc(time.time()), "ok": True, "code": "OK", "message": None},
            "restart_needed": [],
            "memory_lock": {"policy": "strict", "unlocked_secrets": 0},
            "config_file": "/x/etcdseald.yaml",
        }

    def saw_decrypt(self, key_id, ago_s, count=1):
        (row,) = [row for row in self.answer["provider"]["keys"] if row["id"] == key_id]
        row["decrypts"] = count
        row["last_decrypt_at"] = utc(time.time() - ago_s)

    def seal(self, person, message):
        self.answer |= {"ready": False, "sealed": True, "needs_a_person": person}
        self.answer["provider"] |= {"store_id": None, "generation": 0, "loaded_at": None,
                                    "current_key_id": None, "current_key_id_hash": None,
                                    "opened_by": None, "warning": None, "backup": None,
                                    "keys": []}
        self.answer["last_reload"] |= {"ok": False, "code": "SEALED", "message": message}

    def __enter__(self):
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                time.sleep(fake.delay)
                body = fake.raw if fake.raw is not None else json.dumps(fake.answer).encode()
                self.send_response(fake.code if self.path == "/status" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self):
                return "unix"

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # the client went away

        self._server = Server(self.path, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,),
                                        daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        os.unlink(self.path)
