#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the Grafana dashboard: deploy/grafana/dashboard.py > deploy/grafana/etcdseal.json

A panel is one row of ROWS below; what Grafana wants around it is made here. The queries run against
a real Prometheus in tests/system/test_observability.py.
"""

import json

OURS = 'instance=~"$instance"'
RATE = "[$__rate_interval]"

# The key that each API server was told last, as in the alert EtcdsealKeyIdsDiffer.
_TOLD = ("apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds"
         '{provider_name=~"$provider"}')
_SERVER = "job, instance, provider_name, apiserver_id_hash"
API_KEYS = (f"({_TOLD} == on ({_SERVER}) group_left () max by ({_SERVER}) ({_TOLD})"
            " > time() - 900)")

GREEN, RED = {"color": "green", "value": None}, "red"

# How it stands with a key service as a number.
LINK = (f'0 * etcdseal_key_service_state{{{OURS},state="serving"}}'
        f' or etcdseal_key_service_state{{{OURS},state="grace"}}'
        f' or 2 * etcdseal_key_service_state{{{OURS},state=~"starting|stopped"}}')
LOGIN = (f'0 * etcdseal_key_service_login{{{OURS},cause="none"}}'
         f' or etcdseal_key_service_login{{{OURS},cause!="none"}}')


def _steps(red_from):
    return [GREEN, {"color": RED, "value": red_from}]


def _words(**by_value):
    """What a number is shown as: _words(_0="serving", _1="SEALED")."""
    options = {value[1:]: {"text": text, "index": n}
               for n, (value, text) in enumerate(by_value.items())}
    return [{"type": "value", "options": options}]


def stat(title, what, *queries, unit="none", steps=None, mappings=(), legend="{{instance}}",
         shows_name=False):
    return {"type": "stat", "title": title, "description": what, "width": 8, "height": 4,
            "queries": [(query, legend) for query in queries], "instant": True,
            "fieldConfig": {"defaults": {"unit": unit, "mappings": list(mappings), "thresholds": {
                "mode": "absolute", "steps": steps or [GREEN]}}, "overrides": []},
            "options": {"colorMode": "background", "graphMode": "none",
                        "textMode": "name" if shows_name else "value_and_name",
                        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}}


def graph(title, what, *queries, unit="short"):
    return {"type": "timeseries", "title": title, "description": what, "width": 12, "height": 8,
            "queries": list(queries), "instant": False,
            "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {
                "fillOpacity": 10, "showPoints": "never"}}, "overrides": []},
            "options": {"legend": {"displayMode": "table", "placement": "bottom",
                                   "calcs": ["lastNotNull"]}, "tooltip": {"mode": "multi"}}}


def table(title, what, query):
    hidden = {"Time": True, "Value": True, "__name__": True, "job": True, "apiserver_id_hash": True}
    return {"type": "table", "title": title, "description": what, "width": 12, "height": 8,
            "queries": [(query, "")], "instant": True,
            "fieldConfig": {"defaults": {}, "overrides": []}, "options": {"showHeader": True},
            "transformations": [{"id": "organize", "options": {"excludeByName": hidden}}]}


def _quantile(share, name, by):
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({name}{RATE})))"


DURATION = "etcdseal_request_duration_seconds_bucket{" + OURS + "}"
KMS_LATENCY = ("apiserver_envelope_encryption_kms_operations_latency_seconds_bucket"
               '{provider_name=~"$provider"}')

ROWS = [
    ("State", [
        stat("Serving", "Sealed: no key can be used until a seal opens the keystore.",
             f"etcdseal_sealed{{{OURS}}}", steps=_steps(1),
             mappings=_words(_0="serving", _1="SEALED")),
        stat("Last reload", "Failed: an old state is being served.",
             f"etcdseal_last_reload_success{{{OURS}}}",
             steps=[{"color": RED, "value": None}, {"color": "green", "value": 1}],
             mappings=_words(_0="FAILED", _1="ok")),
        stat("API servers with another key",
             "API servers whose last Status named a key that is no daemon's primary key. For a few "
             "minutes after a key change that is normal.",
             f"count({API_KEYS} unless on (key_id_hash) etcdseal_current_key_id_hash) or vector(0)",
             steps=_steps(1), legend=""),
        stat("Locked memory", "What happens when memory for keys cannot be locked.",
             f"etcdseal_memory_lock_info{{{OURS}}}", legend="{{policy}}", shows_name=True),
        stat("Keys without a backup", "Keys of the keystore that are in no backup known here.",
             f"etcdseal_keystore_keys_without_backup{{{OURS}}}", steps=_steps(1)),
        stat("Age of the primary key", "Since it wraps. Change it every 90 days.",
             f"time() - etcdseal_primary_key_promoted_timestamp_seconds{{{OURS}}}", unit="s",
             steps=_steps(90 * 86400)),
        stat("Restart needed", "The configuration has changes that only a restart takes up.",
             f"etcdseal_restart_needed{{{OURS}}}", steps=_steps(1),
             mappings=_words(_0="no", _1="yes")),
        stat("Keys", "Warning: they are served, but etcdseal status has something to tell.",
             f"etcdseal_keystore_warning{{{OURS}}}", steps=_steps(1),
             mappings=_words(_0="ok", _1="WARNING")),
        stat("Version", "Of etcdseald.", f"etcdseal_build_info{{{OURS}}}",
             legend="{{instance}} {{version}}", shows_name=True),
    ]),
    ("Keys", [
        table("Primary keys of the daemons", "Hashed as kube-apiserver hashes key ids.",
              f"etcdseal_current_key_id_hash{{{OURS}}}"),
        table("Keys that the API servers were told last",
              "The hashes must be those of the daemons.", API_KEYS),
        graph("Decrypts by key", "A retired key that is asked for still has data under it; one that "
              "is disabled or destroyed refuses.",
              ("sum by (key_id_hash, state) (rate(etcdseal_decrypts_total"
               f"{{{OURS}}}{RATE}))", "{{state}} {{key_id_hash}}"), unit="reqps"),
        graph("Values written by key", "Objects that the API servers encrypted, by hashed key id.",
              ("sum by (key_id_hash) (rate(apiserver_envelope_encryption_key_id_hash_total"
               f'{{provider_name=~"$provider",transformation_type="to_storage"}}{RATE}))',
               "{{key_id_hash}}"), unit="wps"),
    ]),
    ("Calls", [
        graph("Calls", "KMS calls answered.",
              (f"sum by (instance, method) (rate(etcdseal_requests_total{{{OURS}}}{RATE}))",
               "{{instance}} {{method}}"), unit="reqps"),
        graph("Calls that fail", "By gRPC status; the event request in the log tells the cause.",
              (f'sum by (instance, method, code) (rate(etcdseal_requests_total{{{OURS},code!="OK"}}'
               f"{RATE}))", "{{instance}} {{method}} {{code}}"), unit="reqps"),
        graph("Time for a call, in the daemon", "From a call's arrival to its answer.",
              (_quantile(0.5, DURATION, "method"), "{{method}} p50"),
              (_quantile(0.99, DURATION, "method"), "{{method}} p99"), unit="s"),
        graph("Time for a call, in the API server", "The same calls, seen by the caller.",
              (_quantile(0.99, KMS_LATENCY, "method_name"), "{{method_name}} p99"), unit="s"),
    ]),
    ("Key service", [
        stat("Key service", "Of the provider vault. Grace: what is in memory serves on.", LINK,
             steps=[GREEN, {"color": "orange", "value": 1}, {"color": RED, "value": 2}],
             mappings=_words(_0="serving", _1="GRACE", _2="NO KEYS"),
             legend="{{instance}} {{cause}}"),
        stat("Grace left", "Until the keys are wiped; only while an outage lasts.",
             f"etcdseal_key_service_grace_end_timestamp_seconds{{{OURS}}} - time()", unit="s",
             steps=[{"color": RED, "value": None}, {"color": "orange", "value": 4 * 3600}]),
        stat("Login", "Whether the last login or renewal of the token worked.", LOGIN,
             steps=_steps(1), mappings=_words(_0="ok", _1="FAILING"),
             legend="{{instance}} {{cause}}"),
        stat("Key version", "That wraps. Equal on all nodes but for seconds after a rotation.",
             f"etcdseal_key_service_key_version{{{OURS}}}"),
        stat("Version not yet used", "0 but for the activation delay after a rotation.",
             f"etcdseal_key_service_pending_version{{{OURS}}}"),
        stat("Life of the token", "Until it ends, if nothing renews it.",
             f"etcdseal_key_service_token_expiry_timestamp_seconds{{{OURS}}} - time()", unit="s"),
        graph("Requests to the key service", "All, and those without a usable answer.",
              (f"rate(etcdseal_key_service_requests_total{{{OURS}}}{RATE})", "{{instance}} sent"),
              (f"rate(etcdseal_key_service_failures_total{{{OURS}}}{RATE})", "{{instance}} failed"),
              unit="reqps"),
        graph("Logins and renewals", "Of the token.",
              (f"rate(etcdseal_key_service_logins_total{{{OURS}}}{RATE})", "{{instance}} logins"),
              (f"rate(etcdseal_key_service_renewals_total{{{OURS}}}{RATE})",
               "{{instance}} renewals"), unit="ops"),
        graph("KEKs in memory", "Unwrapped local keys, of this node and of others.",
              (f"etcdseal_key_service_keks{{{OURS}}}", "{{instance}}")),
        graph("Annotations refused without asking",
              "Wrapped keys that cannot be ours. A rise: stored values were altered, or a flood.",
              (f"rate(etcdseal_key_service_annotations_refused_total{{{OURS}}}{RATE})",
               "{{instance}}"), unit="ops"),
        graph("Uses of the KEK that wraps", "It is replaced after vault.kek_max_uses.",
              (f"etcdseal_key_service_kek_uses{{{OURS}}}", "{{instance}}")),
        graph("Age of the KEK that wraps", "It is replaced after vault.kek_max_age.",
              (f"time() - etcdseal_key_service_kek_created_timestamp_seconds{{{OURS}}}",
               "{{instance}}"), unit="s"),
    ]),
    ("Keystore", [
        graph("Generation", "Of the keystore that is served, and of its last backup.",
              (f"etcdseal_keystore_generation{{{OURS}}}", "{{instance}} served"),
              (f"etcdseal_keystore_backup_generation{{{OURS}}}", "{{instance}} backup")),
        graph("Age of the last backup", "No line: this node knows of none.",
              (f"time() - etcdseal_keystore_backup_timestamp_seconds{{{OURS}}}", "{{instance}}"),
              unit="s"),
        graph("Looks at keystore and configuration", "By how they ended.",
              (f"sum by (instance, result) (rate(etcdseal_reloads_total{{{OURS}}}{RATE}))",
               "{{instance}} {{result}}"), unit="ops"),
        graph("Connections", "Open to the KMS socket, and those that were refused.",
              (f"etcdseal_connections{{{OURS}}}", "{{instance}} {{state}}"),
              (f"sum by (instance, reason) (rate(etcdseal_refused_connections_total{{{OURS}}}"
               f"{RATE})) > 0", "{{instance}} refused: {{reason}}")),
    ]),
    ("Process", [
        graph("Memory", "Resident, and locked for keys.",
              (f'process_resident_memory_bytes{{job="etcdseald",{OURS}}}', "{{instance}} resident"),
              (f'process_locked_memory_bytes{{job="etcdseald",{OURS}}}', "{{instance}} locked"),
              unit="bytes"),
        graph("Secrets that could not be locked", "Anything but 0 may have reached the swap.",
              (f"etcdseal_unlocked_secrets_total{{{OURS}}}", "{{instance}}")),
        graph("CPU", "Share of one core.",
              (f'rate(process_cpu_seconds_total{{job="etcdseald",{OURS}}}{RATE})', "{{instance}}"),
              unit="percentunit"),
        graph("File descriptors", "Open, and allowed.",
              (f'process_open_fds{{job="etcdseald",{OURS}}}', "{{instance}} open"),
              (f'process_max_fds{{job="etcdseald",{OURS}}}', "{{instance}} allowed")),
    ]),
]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def _targets(panel):
    return [{"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": query,
             "legendFormat": legend, "instant": panel["instant"], "range": not panel["instant"],
             "format": "table" if panel["type"] == "table" else "time_series"}
            for n, (query, legend) in enumerate(panel["queries"])]


def _panels():
    made, y = [], 0
    for title, panels in ROWS:
        made.append({"type": "row", "title": title, "collapsed": False, "panels": [],
                     "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        x, y, height = 0, y + 1, 0
        for panel in panels:
            if x + panel["width"] > 24:
                x, y, height = 0, y + height, 0
            known = {k: v for k, v in panel.items()
                     if k not in ("queries", "instant", "width", "height")}
            made.append(known | {"datasource": SOURCE, "targets": _targets(panel), "gridPos": {
                "x": x, "y": y, "w": panel["width"], "h": panel["height"]}})
            x, height = x + panel["width"], max(height, panel["height"])
        y += height
    for number, panel in enumerate(made, 1):
        panel["id"] = number
    return made


def _variables():
    nodes = "label_values(etcdseal_build_info, instance)"
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
        {"name": "instance", "type": "query", "label": "Node", "datasource": SOURCE,
         "query": {"query": nodes, "refId": "instance"}, "definition": nodes, "refresh": 2,
         "multi": True, "includeAll": True, "allValue": ".*",
         "current": {"text": ["All"], "value": ["$__all"]}},
        {"name": "provider", "type": "textbox", "label": "Name in EncryptionConfiguration",
         "query": "etcdseal.*", "current": {"text": "etcdseal.*", "value": "etcdseal.*"}},
    ]


def dashboard():
    return {"title": "etcdseal", "uid": "etcdseal", "tags": ["kubernetes", "encryption"],
            "schemaVersion": 37, "version": 1, "editable": True, "refresh": "1m",
            "time": {"from": "now-6h", "to": "now"}, "timezone": "browser",
            "templating": {"list": _variables()}, "annotations": {"list": []}, "links": [],
            "panels": _panels()}


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=1))
