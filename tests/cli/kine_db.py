# SPDX-License-Identifier: Apache-2.0
"""kine's database as Python's SQLite writes it."""

import sqlite3

SCHEMA = """CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER,
    deleted INTEGER, create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB,
    old_value BLOB); CREATE INDEX kine_name_index ON kine (name);"""
HEAD = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret"
PLAINTEXT = HEAD + b"\x12\x05hello"
ENCRYPTED = b"k8s:enc:aescbc:v1:key1:" + bytes(64)
SECRET = "/registry/secrets/default/"


class Db:
    """kine's table in `path`. With `wal` all that is written stays in the log."""

    def __init__(self, path, wal=True, schema=SCHEMA):
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None)
        for pragma in (f"journal_mode={'WAL' if wal else 'DELETE'}", "wal_autocheckpoint=0",
                       "secure_delete=OFF", "synchronous=OFF"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.executescript(schema)

    def put(self, name, value):
        self.db.execute("INSERT INTO kine SELECT NULL, ?1, 0, 0, 0, coalesce(max(id), 0), 0, ?2, "
                        "(SELECT value FROM kine WHERE name = ?1 ORDER BY id DESC LIMIT 1) "
                        "FROM kine WHERE name = ?1", (name, value))
        return self

    def fill(self, count=100):
        for i in range(count):
            self.put(f"{SECRET}s-{i:03}", PLAINTEXT + b"x" * 500)
            self.put(f"{SECRET}s-{i:03}", ENCRYPTED)
        return self

    def close(self):
        """As kine when it is stopped: no log is left."""
        self.db.close()
        return self
