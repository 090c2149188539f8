"""A real Prometheus that scrapes the processes of a test under the rules of deploy/, in a time that runs 60 times
faster: a minute of the rules is a second here.

    prometheus = Prometheus(s.dir, {"w1": worker, "d1": dispatcher}).start()
    prometheus.value('sum(rimbalzo_lag_records{role="worker"})')
    prometheus.wait_firing("RimbalzoTargetDown")
"""

import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from kafka_metrics import prometheus_tool
from kafka_read import ROOT
from processes import Process, free_port, wait_until

RULES = os.path.join(ROOT, "deploy", "prometheus", "rimbalzo.rules.yaml")
FASTER = 60
UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

# What times look like in the rules: how long something must last, the windows, and how long records, partitions and
# commands may wait. The last are seconds that an expression compares with.
DURATION = re.compile(r"(for: |\[|offset )(\d+)([smhd])\b")
WAITING = re.compile(r"((?:lag|last_progress_timestamp|overdue)_seconds\S* > )(\d+)\b")


def faster_rules(text):
    """The rules with every time divided by FASTER, and nothing else changed."""
    def duration(match):
        return f"{match[1]}{int(match[2]) * UNITS_MS[match[3]] // FASTER}ms"

    text, durations = DURATION.subn(duration, text)
    text, waits = WAITING.subn(lambda match: f"{match[1]}{int(match[2]) / FASTER:g}", text)
    assert durations > 25 and waits == 3, f"the rules have another form: {durations} durations, {waits} waits"
    return text


class Prometheus:
    """One server on a free port of the loopback, with its own data; targets: {instance: Worker}."""

    def __init__(self, directory, targets):
        self.dir = os.path.join(directory, "prometheus")
        self.targets = targets
        self.port = free_port()
        self.process = None

    def _write_config(self):
        os.makedirs(self.dir)
        with open(RULES, encoding="utf-8") as file:
            rules = faster_rules(file.read())
        rules_path = os.path.join(self.dir, "rules.yaml")
        with open(rules_path, "w", encoding="utf-8") as file:
            file.write(rules)
        subprocess.run([prometheus_tool("promtool"), "check", "rules", rules_path], check=True,
                       stdout=subprocess.DEVNULL)
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules_path],
            "scrape_configs": [{"job_name": "rimbalzo", "static_configs": [
                {"targets": [f"127.0.0.1:{worker.http_port}"], "labels": {"instance": name}}
                for name, worker in self.targets.items()]}],
        }
        with open(os.path.join(self.dir, "prometheus.yaml"), "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)  # JSON is YAML

    def start(self, deadline_s=30):
        self._write_config()
        self.process = Process(
            "prometheus",
            [prometheus_tool("prometheus"), f"--config.file={self.dir}/prometheus.yaml",
             f"--storage.tsdb.path={self.dir}/data", f"--web.listen-address=127.0.0.1:{self.port}",
             f"--query.lookback-delta={300 // FASTER}s", "--log.level=warn"],
            os.path.join(self.dir, "prometheus.log"), cwd=self.dir)
        wait_until(lambda: self.query("count(up == 1)") == [({}, len(self.targets))], deadline_s,
                   "Prometheus to have scraped every target", alive=[self.process])
        return self

    def stop(self):
        assert self.process.terminate() == 0, self.process.log_tail()

    # -- its HTTP API --

    def get(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=10) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{url}: {error.code} {error.read().decode()}") from None
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        """[(labels, value)] of an expression, as of now."""
        data = self.get("query", query=expression)
        assert data["resultType"] == "vector", data
        return [(row["metric"], float(row["value"][1])) for row in data["result"]]

    def value(self, expression):
        """The one value of an expression; None: there is none."""
        found = self.query(expression)
        assert len(found) <= 1, f"{expression} has several: {found}"
        return found[0][1] if found else None

    def by(self, label, expression):
        """{value of a label: value} of an expression."""
        return {labels[label]: value for labels, value in self.query(expression)}

    def range(self, expression, start_s, end_s, step_s=1):
        """[(labels, [(seconds, value)])] over a time."""
        data = self.get("query_range", query=expression, start=start_s, end=end_s, step=step_s)
        return [(row["metric"], [(float(at), float(value)) for at, value in row["values"]]) for row in data["result"]]

    # -- alerts --

    def alerts(self, state):
        """The names of those that are "pending" or "firing"."""
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == state}

    def wait_firing(self, *names, deadline_s=60, alive=()):
        wait_until(lambda: set(names) <= self.alerts("firing"), deadline_s, f"{', '.join(names)} to fire",
                   every_s=0.2, alive=[self.process, *alive])

    def wait_clear(self, deadline_s=60, alive=()):
        """Until no alert is firing or about to."""
        def clear():
            left = self.alerts("firing") | self.alerts("pending")
            assert not left, left
            return True

        wait_until(clear, deadline_s, "all alerts to be over", every_s=0.2, alive=[self.process, *alive])

    def fired(self, start_s, end_s):
        """The names of all alerts that fired in a time."""
        return {labels["alertname"] for labels, _ in self.range('ALERTS{alertstate="firing"}', start_s, end_s)}
