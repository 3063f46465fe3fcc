# SPDX-License-Identifier: Apache-2.0
"""The daemon, etcdseald: its configuration, its process, its status socket and its log."""

import hashlib
import http.client
import json
import os
import signal
import socket
import time

from . import places
from .process import ProcessFailed, wait_until
from .tool import Tool


def key_id_hash(key_id):
    """As kube-apiserver and the daemon show key ids in metrics."""
    return "sha256:" + hashlib.sha256(key_id.encode()).hexdigest()


def to_yaml(value, indent=0):
    """Block style for what is nested, JSON (which is YAML too) for the rest."""
    lines = []
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            lines += [f"{' ' * indent}{key}:", to_yaml(inner, indent + 2).rstrip("\n")]
        else:
            lines.append(f"{' ' * indent}{key}: {json.dumps(inner)}")
    return "\n".join(lines) + "\n"


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path, timeout=5):
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Daemon:
    """Made in a folder of the workspace, with a keystore that opens by a key file. Nothing runs
    before start()."""

    def __init__(self, workspace, name="etcdseald", seals=None, config=None, keystore=True):
        self.name = name
        self._workspace = workspace
        self.folder = workspace.folder(name, 0o711)
        self.run_folder = workspace.folder(f"{name}/run", 0o711)
        self.keystore = workspace.folder(f"{name}/store") / "keystore"
        self.socket = self.run_folder / "kms.sock"
        self.status_socket = self.run_folder / "status.sock"
        self.key_file = self.folder / "boot.key"
        self.tool = Tool(self.keystore)
        self.config = self._default_config() | (config or {})
        self.config_path = self.write_config()
        self.process = None
        if keystore:
            self.tool.init(*(seals or [f"boot=file:{self.key_file}"]))
            if self.key_file.exists():
                workspace.secret(self.key_file.read_bytes())

    def _default_config(self):
        return {
            "socket": {"path": str(self.socket), "mode": "0600", "owner": str(os.getuid()),
                       "group": str(os.getgid())},
            "peers": [{"uid": os.getuid()}],
            "keystore": {"path": str(self.keystore)},
            "log": {"format": "json"},
        }

    def write_config(self, text=None):
        """Replaces the file as a person's editor would: by rename."""
        name = f"{self.name}/etcdseald.yaml"
        new = self._workspace.write(f"{name}.new", text if text is not None
                                    else to_yaml(self.config), 0o644)
        path = self._workspace.path(name)
        new.rename(path)
        return path

    def write_encryption_config(self, name="enc.yaml", sample="secrets-2.yaml", provider="etcdseal",
                                socket_path=None):
        """A file of config/samples with our socket in it."""
        text = (places.SAMPLES / sample).read_text()
        standard = "unix:///run/etcdseal/kms.sock"
        assert standard in text, f"{sample} does not name {standard}"
        text = text.replace(standard, f"unix://{socket_path or self.socket}")
        return self._workspace.write(name, text.replace("name: etcdseal", f"name: {provider}"))

    # --- process ----------------------------------------------------------------------------------

    def argv(self):
        return [places.our_program("etcdseald"), "--config", self.config_path]

    def start(self, wait="ready", prefix=(), **options):
        """`wait`: "ready" (unsealed), "socket" (answers), or None."""
        self.process = self._workspace.start(self.name, [*prefix, *self.argv()], **options)
        if wait == "ready":
            self.wait_ready()
        elif wait == "socket":
            wait_until("the status socket answers", self.status, 10, alive=self.process)
        return self

    def wait_ready(self, seconds=20):
        wait_until("etcdseald is ready", lambda: self.http("/readyz")[0] == 200, seconds, 0.01,
                   self.process)

    def stop(self, number=signal.SIGTERM, seconds=15):
        """The exit code. A daemon that was told to go must go cleanly."""
        code = self.process.stop(number, seconds)
        if number == signal.SIGTERM and code != 0:
            raise ProcessFailed(f"etcdseald ended with {code}:\n{self.process.log_tail(40)}")
        return code

    def kill(self):
        self.process.stop(signal.SIGKILL)

    def restart(self):
        self.stop()
        self.start()

    def refuses_to_start(self, code, *words, **options):
        """Starts, expects the exit code and words in the log. Returns the log."""
        self.start(wait=None, **options)
        ended = self.process.wait(20)
        log = self.process.log()
        assert ended == code, f"exit code {ended}, not {code}\n{log}"
        for word in words:
            assert word in log, f"no {word!r} in\n{log}"
        return log

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    # --- what it tells ------------------------------------------------------------------------------

    def http(self, path, method="GET"):
        connection = UnixHTTP(self.status_socket)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def status(self):
        code, text = self.http("/status")
        assert code == 200, text
        return json.loads(text)

    def metrics_text(self):
        code, text = self.http("/metrics")
        assert code == 200, text
        return text

    def metrics(self):
        """Values by what stands before them: 'etcdseal_sealed', 'name{label="x"}'."""
        rows = [line.rpartition(" ") for line in self.metrics_text().splitlines()
                if line and not line.startswith("#")]
        return {sample: float(value) for sample, _, value in rows}

    def current_key(self):
        return self.status()["provider"]["current_key_id"]

    def wait_key(self, key_id, seconds=5):
        """Seconds until it serves the key."""
        began = time.monotonic()
        wait_until(f"etcdseald serves {key_id}", lambda: self.current_key() == key_id, seconds,
                   0.005, self.process)
        return time.monotonic() - began

    def generation(self):
        return self.status()["provider"]["generation"]

    def wait_generation(self, generation, seconds=5):
        wait_until(f"etcdseald serves generation {generation}",
                   lambda: self.generation() == generation, seconds, 0.01, self.process)

    def log(self):
        return self.process.log()

    def events(self, name=None):
        """Log lines as objects (log.format: json), of one event or all."""
        rows = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [row for row in rows if name is None or row["event"] == name]

    def wait_event(self, name, seconds=10, **values):
        def find():
            return [e for e in self.events(name) if all(e.get(k) == v for k, v in values.items())]
        return wait_until(f"the log tells {name} {values or ''}", find, seconds)[-1]
