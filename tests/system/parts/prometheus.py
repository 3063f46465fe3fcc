# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus on the loopback, asked over its HTTP API."""

import json
import urllib.error
import urllib.parse
import urllib.request

from . import places
from .process import wait_until


class QueryFailed(AssertionError):
    pass


class Prometheus:
    """`config`: what its configuration file says, as an object."""

    def __init__(self, workspace, config, name="prometheus"):
        self.url = f"http://127.0.0.1:{workspace.free_port()}"
        # JSON is YAML too.
        path = workspace.write(f"{name}.yml", json.dumps(config))
        self.process = workspace.start(name, [
            places.real_part("prometheus"), f"--config.file={path}",
            f"--storage.tsdb.path={workspace.folder(name)}",
            f"--web.listen-address={self.url.removeprefix('http://')}", "--log.level=warn"])
        wait_until("prometheus is ready", self._is_ready, 30, alive=self.process)

    def _is_ready(self):
        with urllib.request.urlopen(self.url + "/-/ready", timeout=2) as answer:
            return answer.status == 200

    def _get(self, path, **query):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise QueryFailed(f"{query}: {error.read().decode()}") from None

    def query(self, expression):
        """[(labels, value)] now."""
        rows = self._get("query", query=expression)["result"]
        return [(row["metric"], float(row["value"][1])) for row in rows]

    def value(self, expression):
        """Of the one sample that the expression must give."""
        ((_, value),) = self.query(expression)
        return value

    def label_values(self, label, match):
        return self._get(f"label/{label}/values", **{"match[]": match})

    def alerts(self):
        """The states of the alerts that are pending or firing: {name: {state}}."""
        found = {}
        for alert in self._get("alerts")["alerts"]:
            found.setdefault(alert["labels"]["alertname"], set()).add(alert["state"])
        return found

    def annotations(self, name):
        return [alert["annotations"] for alert in self._get("alerts")["alerts"]
                if alert["labels"]["alertname"] == name]

    def rules(self):
        """{name: rule} with the error of its last evaluation."""
        return {rule["name"]: rule for group in self._get("rules")["groups"]
                for rule in group["rules"]}

    def wait_alert(self, name, state, seconds=20):
        """`state`: pending, firing, or None for gone."""
        wait_until(f"the alert {name} is {state}",
                   lambda: self.alerts().get(name, {None}) == {state}, seconds, 0.2, self.process)
