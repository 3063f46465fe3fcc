# SPDX-License-Identifier: Apache-2.0
"""Dashboard, alerts and page against a real Prometheus that scrapes a real kube-apiserver and our
daemon."""

import json
import re
import subprocess
import sys

import grpc
import pytest
import yaml

from parts import places
from parts.apiserver import TOKEN, ApiServer
from parts.daemon import Daemon, key_id_hash
from parts.etcd import Etcd
from parts.kms import Kms, check_refused
from parts.process import wait_until
from parts.prometheus import Prometheus, QueryFailed
from parts.vaulted import VaultedDaemon, make_server

sys.path.insert(0, str(places.ROOT / "tools" / "lib"))
import markdown  # noqa: E402

PAGE = places.ROOT / "docs" / "observability.md"
RULES = places.ROOT / "deploy" / "prometheus" / "etcdseal-alerts.yaml"
GRAFANA = places.ROOT / "deploy" / "grafana"
DASHBOARD = json.loads((GRAFANA / "etcdseal.json").read_text())

# Panels without data in a cluster where nothing goes wrong, by title and letter of the query.
EMPTY_WHEN_WELL = {"Calls that fail A", "Connections B"}


def panels(row=None):
    """All, or those of a row."""
    found, title = [], ""
    for panel in DASHBOARD["panels"]:
        if panel["type"] == "row":
            title = panel["title"]
        elif row in (None, title):
            found.append(panel)
    return found


def panel_queries(row=None):
    """{title and letter: query} with what Grafana would put in for its variables."""
    found = {}
    for panel in panels(row):
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "10s")
            query = query.replace("$instance", ".*").replace("$provider", "etcdseal.*")
            assert "$" not in query, query
            found[f"{panel['title']} {target['refId']}"] = query
    return found


def alert_expressions():
    return {rule["alert"]: rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"]
            for rule in group["rules"]}


def page_blocks(language):
    return [block.text for block in markdown.blocks(PAGE) if block.language == language]


# --- the stack --------------------------------------------------------------------------------------


def scraped_daemon(workspace, make=Daemon):
    """With metrics on a loopback port."""
    port = workspace.free_port()
    daemon = make(workspace, config={"metrics": {"listen": f"127.0.0.1:{port}"}})
    daemon.config["keystore"]["poll"] = "1s"
    daemon.config_path = daemon.write_config()
    return daemon.start()


def watch(workspace, daemon, api=None, grace=None):
    """A Prometheus as the page says, every second. `grace`: instead of each rule's own."""
    (config,) = [yaml.safe_load(text) for text in page_blocks("yaml") if "scrape_configs" in text]
    rules = yaml.safe_load(RULES.read_text())
    for rule in rules["groups"][0]["rules"]:
        if grace is not None and "for" in rule:
            rule["for"] = grace
    assert config["rule_files"] == ["/usr/share/etcdseal/prometheus/etcdseal-alerts.yaml"]
    config["rule_files"] = [str(workspace.write("rules.yaml", yaml.safe_dump(rules)))]
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    ours, theirs = config["scrape_configs"]
    assert [ours["job_name"], theirs["job_name"]] == ["etcdseald", "kube-apiserver"]
    assert ours["static_configs"][0]["targets"] == ["127.0.0.1:9655"]
    ours["static_configs"][0]["targets"] = [daemon.config["metrics"]["listen"]]
    if api is None:
        config["scrape_configs"] = [ours]
    else:
        theirs["static_configs"][0]["targets"] = [f"127.0.0.1:{api.port}"]
        theirs["authorization"]["credentials_file"] = str(workspace.write("token", TOKEN))
        theirs["tls_config"]["ca_file"] = str(api.ca_file)
    prometheus = Prometheus(workspace, config)
    targets = len(config["scrape_configs"])
    wait_until("all targets were scraped", lambda: prometheus.value("sum(up)") == targets, 30, 0.2,
               prometheus.process)
    return prometheus


class Stack:
    def __init__(self, workspace):
        self.daemon = scraped_daemon(workspace)
        self.api = ApiServer(workspace, Etcd(workspace), self.daemon.write_encryption_config())
        self.prometheus = watch(workspace, self.daemon, self.api)
        self.backups = workspace.folder("backups")

    def back_up(self, name):
        self.daemon.tool.run("keystore", "backup", self.backups / name).ok()

    def work(self):
        """Each kind of call, until all of it has been scraped."""
        for n in range(3):
            self.api.create_secret(f"observed-{n}", "x")
        self.back_up("first")
        with Kms(self.daemon.socket) as kms:
            def is_scraped():
                kms.unwrap(kms.encrypt())
                self.api.create_secret(f"more-{next(self.names)}", "x")
                return all(self.prometheus.query(query) for query in (
                    "etcdseal_keystore_backup_timestamp_seconds",
                    'sum(rate(etcdseal_requests_total{method="Decrypt"}[10s])) > 0',
                    "sum(rate(apiserver_envelope_encryption_kms_operations_latency_seconds_count"
                    "[10s])) > 0",
                    "rate(apiserver_envelope_encryption_key_id_hash_total[10s]) > 0"))
            self.names = iter(range(10**6))
            # The API server calls us about once a minute only.
            wait_until("all of it is scraped", is_scraped, 120, 0.5, self.prometheus.process)


@pytest.fixture
def stack(workspace):
    return Stack(workspace)


# --- with an API server -----------------------------------------------------------------------------


@pytest.mark.timeout(400)
def test_every_query_runs_and_finds_what_is_there(stack):
    """Panels, the dashboard's variable, alerts, the page's examples; then a key change."""
    stack.work()
    prometheus = stack.prometheus
    empty = {title for title, query in panel_queries().items() if not prometheus.query(query)}
    assert empty == EMPTY_WHEN_WELL | set(panel_queries("Key service"))
    (variable,) = [v for v in DASHBOARD["templating"]["list"] if v["type"] == "query"]
    name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
    assert prometheus.label_values(label, name) == ["node-1"]
    for alert, expression in alert_expressions().items():
        assert prometheus.query(expression) == [], f"{alert} on a healthy cluster"
    rules = prometheus.rules()
    assert set(rules) == set(alert_expressions())
    assert {rule["health"] for rule in rules.values()} == {"ok"}, rules
    examples = page_blocks("promql")
    assert len(examples) == 2
    for query in examples:
        rows = prometheus.query(query)
        assert [row[0]["instance"] for row in rows] == ["node-1"] and rows[0][1] >= 1, query
    check_values(stack)
    check_key_change(stack)


def check_values(stack):
    """Figures of the dashboard are those that the tool and the API server tell."""
    prometheus, daemon = stack.prometheus, stack.daemon
    queries = panel_queries()
    seen = key_id_hash(daemon.tool.primary())
    for title in ("Primary keys of the daemons A", "Keys that the API servers were told last A"):
        assert [row[0]["key_id_hash"] for row in prometheus.query(queries[title])] == [seen]
    assert prometheus.value(queries["Generation A"]) == daemon.tool.generation()
    assert prometheus.value(queries["Generation B"]) == daemon.tool.generation()
    assert 0 <= prometheus.value(queries["Age of the last backup A"]) < 300
    assert 0 <= prometheus.value(queries["Age of the primary key A"]) < 300
    assert prometheus.value(queries["API servers with another key A"]) == 0
    assert prometheus.value(queries["Memory A"]) > 1 << 20


def check_key_change(stack):
    """Until the API server knows the new key, the join says so; then it is quiet again. The new key
    has no backup until there is one."""
    prometheus = stack.prometheus
    key_id = stack.daemon.tool.rotate()
    stack.daemon.wait_key(key_id)
    prometheus.wait_alert("EtcdsealKeyIdsDiffer", "pending")
    prometheus.wait_alert("EtcdsealKeysNotBackedUp", "pending")
    differs = panel_queries()["API servers with another key A"]
    assert prometheus.value(differs) == 1
    stack.back_up("second")
    prometheus.wait_alert("EtcdsealKeysNotBackedUp", None)
    wait_until("the API server has been told the new key",
               lambda: stack.api.is_kms_healthy() and stack.api.has_seen_key(key_id_hash(key_id)),
               90, 0.5)
    prometheus.wait_alert("EtcdsealKeyIdsDiffer", None)
    assert prometheus.value(differs) == 0
    told = panel_queries()["Keys that the API servers were told last A"]
    assert [row[0]["key_id_hash"] for row in prometheus.query(told)] == [key_id_hash(key_id)]


# --- real faults ------------------------------------------------------------------------------------


def test_a_refused_keystore_fires(workspace):
    """Garbage in the keystore's place: the old state serves and exactly that is told; when the right
    file is back, it is over."""
    daemon = scraped_daemon(workspace)
    daemon.tool.run("keystore", "backup", workspace.path("copy")).ok()
    prometheus = watch(workspace, daemon, grace="2s")
    wait_until("nothing is wrong", lambda: prometheus.alerts() == {}, 20, 0.2)
    good = daemon.keystore.read_bytes()
    daemon.keystore.write_bytes(b"garbage")
    prometheus.wait_alert("EtcdsealReloadFailing", "firing")
    assert prometheus.alerts() == {"EtcdsealReloadFailing": {"firing"}}
    (told,) = prometheus.annotations("EtcdsealReloadFailing")
    assert told["summary"] == "etcdseald on node-1 serves an old state"
    with Kms(daemon.socket) as kms:
        kms.unwrap(kms.encrypt())
    daemon.keystore.write_bytes(good)
    prometheus.wait_alert("EtcdsealReloadFailing", None)


def test_a_sealed_and_a_gone_daemon_fire(workspace):
    daemon = scraped_daemon(workspace)
    prometheus = watch(workspace, daemon, grace="2s")
    daemon.stop()
    prometheus.wait_alert("EtcdsealdDown", "firing")
    daemon.keystore.rename(workspace.path("moved"))
    daemon.start(wait="socket")
    prometheus.wait_alert("EtcdsealSealed", "firing")
    prometheus.wait_alert("EtcdsealdDown", None)
    # Refused calls of a sealed daemon are no second alert.
    with Kms(daemon.socket) as kms:
        def is_counted():
            check_refused(grpc.StatusCode.FAILED_PRECONDITION, kms.status)
            return prometheus.query('rate(etcdseal_requests_total{code!="OK"}[5m]) > 0')
        wait_until("refused calls are scraped", is_counted, 20, 0.2)
    assert set(prometheus.alerts()) == {"EtcdsealSealed"}


def test_a_disabled_key_that_is_asked_for_fires_at_once(workspace):
    """One call is enough: kube-apiserver may not ask again."""
    daemon = scraped_daemon(workspace)
    first = daemon.tool.primary()
    with Kms(daemon.socket) as kms:
        wrapped = kms.encrypt()
        daemon.wait_key(daemon.tool.rotate())
        daemon.tool.run("key", "disable", first, "--confirm", first, "--without-daemon").ok()
        daemon.wait_generation(daemon.tool.generation())
        prometheus = watch(workspace, daemon)
        row = f'etcdseal_decrypts_total{{key_id_hash="{key_id_hash(first)}",state="disabled"}}'
        wait_until("the key's row was scraped", lambda: prometheus.value(row) == 0, 20, 0.2)
        assert "EtcdsealDisabledKeyInUse" not in prometheus.alerts()
        check_refused(grpc.StatusCode.FAILED_PRECONDITION, kms.unwrap, wrapped)
    prometheus.wait_alert("EtcdsealDisabledKeyInUse", "firing")
    (told,) = prometheus.annotations("EtcdsealDisabledKeyInUse")
    assert "is disabled" in told["summary"] and key_id_hash(first) in told["description"]


def test_a_key_service_that_goes_away_fires(workspace):
    """One alert for one outage, while what is in memory serves and when nothing does."""
    bao = make_server(workspace)
    daemon = scraped_daemon(workspace, lambda *a, **more: VaultedDaemon(*a, bao, **more))
    prometheus = watch(workspace, daemon, grace="2s")
    queries = panel_queries("Key service")
    wait_until("all panels but one show something",
               lambda: {title for title, query in queries.items() if not prometheus.query(query)} ==
               {"Grace left A"}, 30, 0.2)
    assert prometheus.alerts() == {}
    assert prometheus.value(queries["Key service A"]) == prometheus.value(queries["Login A"]) == 0
    bao.kill()
    prometheus.wait_alert("EtcdsealKeyServiceAway", "firing")
    assert prometheus.alerts() == {"EtcdsealKeyServiceAway": {"firing"}}
    assert prometheus.value(queries["Key service A"]) == 1
    assert 86000 < prometheus.value(queries["Grace left A"]) < 86400
    bao.start()
    bao.unseal()
    prometheus.wait_alert("EtcdsealKeyServiceAway", None)
    bao.kill()
    daemon.stop()
    daemon.start(wait="socket")
    prometheus.wait_alert("EtcdsealKeyServiceStopped", "firing")
    prometheus.wait_alert("EtcdsealdDown", None)
    prometheus.wait_alert("EtcdsealKeyServiceAway", None)
    assert prometheus.alerts() == {"EtcdsealKeyServiceStopped": {"firing"}}
    assert prometheus.value(queries["Key service A"]) == 2


def test_a_login_that_fails_fires(workspace):
    """The secret id is revoked: a short token ends, and the alert has named the reason before."""
    bao = make_server(workspace)
    daemon = scraped_daemon(workspace, lambda *a, **more: VaultedDaemon(
        *a, bao, knobs={"token_ttl": "12s", "token_max_ttl": "12s"}, **more))
    prometheus = watch(workspace, daemon, grace="0s")
    bao.revoke_secret_id(daemon.role, daemon.secret_id)
    prometheus.wait_alert("EtcdsealKeyServiceLoginFailing", "firing")
    assert prometheus.annotations("EtcdsealKeyServiceLoginFailing")[0]["summary"].endswith(": login")
    daemon.write_secret_id(bao.secret_id(daemon.role))
    prometheus.wait_alert("EtcdsealKeyServiceLoginFailing", None)


def test_a_wrong_query_is_noticed(workspace):
    prometheus = watch(workspace, scraped_daemon(workspace))
    with pytest.raises(QueryFailed):
        prometheus.query("etcdseal_sealed{")


# --- the page and the dashboard's file --------------------------------------------------------------


def families(text):
    """{name: (type, labels)} of a scrape."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    labels = {name: set() for name in kinds}
    for sample, row in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", text, re.M):
        name = sample if sample in kinds else re.sub("_(bucket|sum|count)$", "", sample)
        labels[name] |= set(re.findall(r'(\w+)="', row)) - {"le"}
    return {name: (kind, labels[name]) for name, kind in kinds.items()}


def families_of_the_page():
    """Those that are always there, and those of a key service."""
    section = PAGE.read_text().split("\n## Metrics\n")[1].split("\n## ")[0]
    found = []
    for part in section.split("\n### "):
        rows = re.findall(r"^\| `(\S+)` \| (\w+) \|([^|]*)\|", part, re.M)
        found.append({name: (kind, set(labels.replace(",", " ").split()))
                      for name, kind, labels in rows})
        assert len(found[-1]) == len(rows), "a row stands there twice"
    return found


def test_the_page_has_every_metric(daemon):
    """With its type and its labels, and none that is not there."""
    always, _ = families_of_the_page()
    daemon.tool.run("keystore", "backup", daemon.folder / "copy").ok()
    assert always == families(daemon.metrics_text())


def test_the_page_has_every_metric_of_a_key_service(workspace):
    daemon = VaultedDaemon(workspace, make_server(workspace)).start()
    with Kms(daemon.socket) as kms:
        kms.unwrap(kms.encrypt())
    always, more = families_of_the_page()
    assert always | more == families(daemon.metrics_text())


def test_rules_and_dashboard_name_metrics_that_exist():
    """Those of the page, which are those of the daemon."""
    known = set(re.findall(r"`((?:etcdseal|process|apiserver)_\w+)`", PAGE.read_text()))
    texts = [*panel_queries().values(), *alert_expressions().values()]
    used = {name for text in texts
            for name in re.findall(r"\b(?:etcdseal|process|apiserver)_\w+", text)}
    used = {re.sub("_bucket$", "", name) for name in used if name != "apiserver_id_hash"}
    assert used <= known, used - known
    assert len(used) > 20


def test_the_dashboard_is_what_its_program_prints():
    printed = subprocess.run([sys.executable, "-B", GRAFANA / "dashboard.py"], check=True,
                             capture_output=True, text=True).stdout
    assert (GRAFANA / "etcdseal.json").read_text() == printed, "run deploy/grafana/dashboard.py"


def test_the_dashboard_is_sound():
    """What Grafana would stumble over: ids, places, data sources; and no panel without words."""
    all_panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in all_panels}) == len(all_panels)
    taken = set()
    for panel in all_panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["description"] and panel["targets"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for part in (panel, *panel["targets"]):
            assert part["datasource"]["uid"] == "${datasource}"
