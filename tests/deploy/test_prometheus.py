#!/usr/bin/env python3
"""deploy/prometheus: the rules are sound, every alert fires when it must, and says what to do."""

import re
import shutil

from support import anchors, main, need, need_module, path, read, run, temporary
from metrics import metric_names, used_metrics

RULES = ("deploy", "prometheus", "rimbalzo.rules.yaml")
TESTS = ("tests", "deploy", "rimbalzo.rules.test.yaml")
RUNBOOK = "file:///usr/share/doc/rimbalzo/runbook.md#"


def rules():
    yaml = need_module("yaml")
    return [rule for group in yaml.safe_load(read(*RULES))["groups"] for rule in group["rules"]]


def alerts():
    found = {rule["alert"]: rule for rule in rules() if "alert" in rule}
    assert len(found) > 15
    return found


def prometheus_takes_the_rules():
    need("promtool")
    run("promtool", "check", "rules", path(*RULES))


def every_alert_fires_when_it_must_and_not_else():
    """The texts are compared by none of the tests, so they run on rules without them."""
    need("promtool")
    yaml = need_module("yaml")
    document = yaml.safe_load(read(*RULES))
    for group in document["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations", None)
    with temporary() as folder:
        with open(folder + "/rimbalzo.rules.yaml", "w", encoding="utf-8") as file:
            yaml.safe_dump(document, file)
        shutil.copy(path(*TESTS), folder)
        run("promtool", "test", "rules", "rimbalzo.rules.test.yaml", cwd=folder)


def every_alert_is_tested_both_ways_and_names_only_labels_it_has():
    yaml = need_module("yaml")
    fired = {}
    for test in yaml.safe_load(read(*TESTS))["tests"]:
        for case in test.get("alert_rule_test", []):
            for alert in case.get("exp_alerts", []):
                fired.setdefault(case["alertname"], []).append(alert["exp_labels"])
    assert set(fired) == set(alerts()), set(fired) ^ set(alerts())
    for name, rule in alerts().items():
        used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        for labels in fired[name]:
            assert used <= set(labels), f"{name} names {used - set(labels)}, which the alert does not have"


def every_alert_has_a_severity_texts_and_its_place_in_the_runbook():
    known = anchors(read("deploy", "runbook", "runbook.md"))
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("warning", "critical"), name
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, name
        assert rule["annotations"]["runbook_url"] == RUNBOOK + name.lower(), name
        assert name.lower() in known, f"{name} has no place in the runbook"


def every_rule_reads_metrics_that_exist():
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        used = used_metrics(rule["expr"])
        unknown = used - metric_names() - recorded
        assert used and not unknown, (rule.get("alert") or rule["record"], unknown)


def recorded_rules_are_named_level_metric_operation():
    for rule in rules():
        if "record" in rule:
            assert re.fullmatch(r"(\w+:)?rimbalzo_\w+:\w+", rule["record"]), rule["record"]


if __name__ == "__main__":
    main(prometheus_takes_the_rules, every_alert_fires_when_it_must_and_not_else,
         every_alert_is_tested_both_ways_and_names_only_labels_it_has,
         every_alert_has_a_severity_texts_and_its_place_in_the_runbook, every_rule_reads_metrics_that_exist,
         recorded_rules_are_named_level_metric_operation)
