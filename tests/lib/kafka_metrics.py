"""What /metrics of a process says, as a test wants it; and what independent readers think of its form.

    scrape = Scrape(worker)
    scrape.value("rimbalzo_lag_records", role="worker", partition=3)
    scrape.labels("rimbalzo_lag_records", "partition")   # {"0", "3"}
"""

import os
import re
import shutil
import subprocess
import urllib.request

import kafka_broker

OPENMETRICS = "application/openmetrics-text;version=1.0.0"

SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-z_]+)="((?:\\.|[^"\\])*)"')


class Scrape:
    """All samples of one GET."""

    def __init__(self, worker):
        status, self.text = worker.http("/metrics")
        assert status == 200, f"/metrics of {worker.name}: {status}"
        self.samples = []
        for line in self.text.splitlines():
            if line.startswith("#"):
                continue
            match = SAMPLE.match(line)
            assert match, f"no sample: {line}"
            self.samples.append((match[1], dict(LABEL.findall(match[2] or "")), float(match[3])))

    def all(self, name, **labels):
        """The (labels, value) of each series with these labels."""
        wanted = {key: str(value) for key, value in labels.items()}
        return [(found, value) for bare, found, value in self.samples
                if bare == name and wanted.items() <= found.items()]

    def sum(self, name, **labels):
        """Of all series with these labels; 0: there is none."""
        return sum(value for _, value in self.all(name, **labels))

    def value(self, name, **labels):
        """The one series with these labels; None: there is none."""
        found = self.all(name, **labels)
        assert len(found) <= 1, f"{name}{labels} are several: {found}"
        return found[0][1] if found else None

    def labels(self, name, label, **labels):
        """The values of one label, over all series of a name."""
        return {found[label] for found, _ in self.all(name, **labels)}


def prometheus_tool(name):
    """The path of "prometheus" or "promtool", None: it is not installed."""
    cached = os.path.join(kafka_broker.cache_dir(), "tools", "bin", name)
    return shutil.which(name) or (cached if os.access(cached, os.X_OK) else None)


def check_form(worker):
    """promtool finds nothing to say about a scrape, and the reference parser reads its OpenMetrics form. Says
    which of them is not installed."""
    tool = prometheus_tool("promtool")
    if tool is None:
        print("       SKIPPED: promtool is missing, run scripts/setup --with tests", flush=True)
    else:
        done = subprocess.run([tool, "check", "metrics"], input=Scrape(worker).text.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0 and not done.stdout, f"{worker.name}: {done.stdout.decode()}"
    request = urllib.request.Request(f"http://127.0.0.1:{worker.http_port}/metrics", headers={"Accept": OPENMETRICS})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as response:
        kind, text = response.headers["Content-Type"], response.read().decode()
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8", kind
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
    except ImportError:
        print("       SKIPPED: python3-prometheus-client is missing, run scripts/setup --with tests", flush=True)
        return
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["rimbalzo_build"].type == "info", families["rimbalzo_build"]
    assert families["rimbalzo_records"].type == "counter", families["rimbalzo_records"]
