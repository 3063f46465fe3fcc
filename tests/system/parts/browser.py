# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven over a pipe by its DevTools protocol: nothing but the standard library."""

import base64
import json
import os
import select
import subprocess
import time
from urllib.parse import quote

PROGRAM = "chromium"
TIMEOUT = 60


class Browser:
    """One page. `events` keeps what the browser told unasked: requests, logs, dialogs."""

    def __init__(self, folder):
        commands, answers = os.pipe(), os.pipe()
        # By way of 103 and 104: one of the two may already be 3 or 4.
        argv = ["bash", "-c", f"exec 103<&{commands[0]} 104>&{answers[1]}; "
                'exec 3<&103 4>&104 103<&- 104>&-; exec "$@"', "bash", PROGRAM, "--headless=new",
                "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
                "--hide-scrollbars", f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"]
        self._log = open(f"{folder}.log", "wb")
        environment = os.environ | {"HOME": str(folder), "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
        self.process = subprocess.Popen(argv, pass_fds=(commands[0], answers[1]), stdin=subprocess.DEVNULL,
                                        stdout=self._log, stderr=self._log, env=environment)
        os.close(commands[0])
        os.close(answers[1])
        self._to, self._from, self._read = commands[1], answers[0], b""
        self._id, self._session, self.events = 0, None, []
        targets = self.call("Target.getTargets")["targetInfos"]
        (page,) = [target["targetId"] for target in targets if target["type"] == "page"]
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._to)
        os.close(self._from)
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _message(self, until):
        while b"\0" not in self._read:
            if not select.select([self._from], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            data = os.read(self._from, 1 << 20)
            if not data:
                raise EOFError("the browser has ended")
            self._read += data
        message, self._read = self._read.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self._id += 1
        message = {"id": self._id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + TIMEOUT
        while True:
            answer = self._message(until)
            if answer.get("id") == self._id:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def told(self, method):
        return [event["params"] for event in self.events if event.get("method") == method]

    # --- a page -----------------------------------------------------------------------------------

    def open(self, path):
        self.events.clear()
        self.call("Page.navigate", url="file://" + quote(str(path)))
        until = time.monotonic() + TIMEOUT
        while not self.told("Page.loadEventFired"):
            self.events.append(self._message(until))

    def look(self, scheme="light", media="", width=1100, height=900):
        self.call("Emulation.setEmulatedMedia", media=media,
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=False)

    def run(self, expression):
        """The value of a JavaScript expression, as the DevTools see the page."""
        made = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in made, made["exceptionDetails"]
        return made["result"].get("value")

    def picture(self, path, whole=False):
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def print(self, path):
        pdf = self.call("Page.printToPDF", preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(pdf["data"]))
