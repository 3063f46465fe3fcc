# SPDX-License-Identifier: Apache-2.0
"""The alert rules under promtool: each fires when it shall and not when it shall not, and its tests
would notice if it did otherwise."""

import re
import subprocess

import pytest
import yaml

from parts import places

FOLDER = places.ROOT / "deploy" / "prometheus"
RULES = FOLDER / "etcdseal-alerts.yaml"
TESTS = FOLDER / "etcdseal-alerts.test.yaml"
PAGE = places.ROOT / "docs" / "observability.md"

ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"]
          for rule in group["rules"]}


def promtool(*words):
    done = subprocess.run([places.real_part("promtool"), *map(str, words)], capture_output=True,
                          text=True)
    return done.returncode, done.stdout + done.stderr


def check_tests_fail(folder, alert, **changes):
    """With a rule that was changed for the worse the tests of this alert must fail."""
    document = yaml.safe_load(RULES.read_text())
    for rule in document["groups"][0]["rules"]:
        if rule["alert"] == alert:
            rule.update(changes)
    (folder / RULES.name).write_text(yaml.safe_dump(document))
    tests = yaml.safe_load(TESTS.read_text())
    tests["tests"] = [group for group in tests["tests"]
                      if alert in {check["alertname"] for check in group["alert_rule_test"]}]
    (folder / TESTS.name).write_text(yaml.safe_dump(tests))
    code, text = promtool("test", "rules", folder / TESTS.name)
    assert code == 1 and f"alertname: {alert}," in text, f"{changes}: {text}"


def test_rules_are_valid():
    code, text = promtool("check", "rules", RULES)
    assert code == 0 and f"{len(ALERTS)} rules found" in text, text


def test_rules_do_what_their_tests_say():
    code, text = promtool("test", "rules", TESTS)
    assert code == 0, text


def test_each_alert_is_tested_firing_and_not_firing():
    firing, silent = set(), set()
    for group in yaml.safe_load(TESTS.read_text())["tests"]:
        for check in group["alert_rule_test"]:
            (firing if check["exp_alerts"] else silent).add(check["alertname"])
    assert firing == silent == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_the_tests_notice_a_broken_rule(tmp_path, alert):
    check_tests_fail(tmp_path, alert, expr="vector(0) > 1")  # never fires
    check_tests_fail(tmp_path, alert, expr="vector(1)")      # always
    if "for" in ALERTS[alert]:
        check_tests_fail(tmp_path, alert, **{"for": "0s"})   # no grace


@pytest.mark.parametrize("part, by", [
    (" > time() - 900", ""),                      # an entry that was removed
    ('provider_name=~"etcdseal.*"', ""),          # another provider's entry
    ("group_left () max by", "group_left () min by"),
    (" and on () count(etcdseal_current_key_id_hash) > 0", ""),
])
def test_each_part_of_the_join_is_needed(tmp_path, part, by):
    expression = ALERTS["EtcdsealKeyIdsDiffer"]["expr"]
    assert part in re.sub(r"\s+", " ", expression)
    changed = re.sub(r"\s+", " ", expression).replace(part, by)
    check_tests_fail(tmp_path, "EtcdsealKeyIdsDiffer", expr=changed)


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_what_it_means(alert):
    rule = ALERTS[alert]
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert all(len(text) > 10 for text in rule["annotations"].values())


@pytest.mark.parametrize("alert", ALERTS)
def test_the_page_says_what_to_do(alert):
    """Under a heading of the alert's name, which is where its runbook leads."""
    page = PAGE.read_text()
    assert ALERTS[alert]["annotations"]["runbook"] == f"docs/observability.md#{alert.lower()}"
    section = re.search(rf"^### {alert}\n\n(.+?)(?=^##|\Z)", page, re.M | re.S)
    assert section, "no heading"
    assert section[1].startswith(f"*{ALERTS[alert]['labels']['severity']}.* ")
    assert len(section[1]) > 80


def test_the_page_tells_of_no_other_alert():
    assert set(re.findall(r"^### (Etcdseal\w+)$", PAGE.read_text(), re.M)) == set(ALERTS)
