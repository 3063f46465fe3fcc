# SPDX-License-Identifier: Apache-2.0
"""A real etcd on the loopback, asked over its JSON gateway so that no client library is needed."""

import base64
import json
import urllib.request

from . import places
from .process import wait_until


def _b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def _range_end(prefix):
    """The first key behind all that begin with the prefix."""
    data = bytearray(prefix.encode())
    data[-1] += 1
    return bytes(data)


class Etcd:
    """`flags`: more of etcd's own. `part`: which release."""

    def __init__(self, workspace, name="etcd", flags=(), part="etcd", **options):
        port, peer_port = workspace.free_port(), workspace.free_port()
        self.url = f"http://127.0.0.1:{port}"
        peer_url = f"http://127.0.0.1:{peer_port}"
        self.process = workspace.start(name, [
            places.real_part(part), "--data-dir", workspace.folder(name),
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
            "--initial-cluster", f"default={peer_url}", "--log-level", "warn", *flags], **options)
        wait_until("etcd is healthy", self._is_healthy, 30, alive=self.process)

    def _is_healthy(self):
        with urllib.request.urlopen(self.url + "/health", timeout=2) as answer:
            return json.load(answer)["health"] == "true"

    def _call(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def values(self, prefix="", revision=0):
        """Raw values by key of everything below a prefix, or of everything; `revision`: as it was
        then."""
        everything = b"\0"
        body = {"key": _b64(prefix or everything),
                "range_end": _b64(_range_end(prefix) if prefix else everything),
                "revision": revision}
        rows = self._call("/v3/kv/range", body).get("kvs", [])
        return {base64.b64decode(row["key"]).decode(): base64.b64decode(row.get("value", ""))
                for row in rows}

    def mod_revisions(self, revision=0):
        """By key, of everything."""
        body = {"key": _b64(b"\0"), "range_end": _b64(b"\0"), "revision": revision, "keys_only": True}
        return {base64.b64decode(row["key"]).decode(): int(row["mod_revision"])
                for row in self._call("/v3/kv/range", body).get("kvs", [])}

    def value(self, key):
        rows = self._call("/v3/kv/range", {"key": _b64(key)}).get("kvs", [])
        return base64.b64decode(rows[0]["value"]) if rows else None

    def put(self, key, value):
        self._call("/v3/kv/put", {"key": _b64(key), "value": _b64(value)})

    def put_many(self, values):
        """Bytes by key, a hundred at a time."""
        rows = [{"requestPut": {"key": _b64(k), "value": _b64(v)}} for k, v in values.items()]
        for i in range(0, len(rows), 100):
            self._call("/v3/kv/txn", {"success": rows[i:i + 100]})

    def delete_many(self, keys):
        rows = [{"requestDeleteRange": {"key": _b64(key)}} for key in keys]
        for i in range(0, len(rows), 100):
            self._call("/v3/kv/txn", {"success": rows[i:i + 100]})

    def compact(self):
        """To the newest revision, which it returns."""
        revision = int(self._call("/v3/kv/range", {"key": _b64("x")})["header"]["revision"])
        self._call("/v3/kv/compaction", {"revision": revision, "physical": True})
        return revision

    def mod_revision(self, key):
        rows = self._call("/v3/kv/range", {"key": _b64(key)}).get("kvs", [])
        return int(rows[0]["mod_revision"])
