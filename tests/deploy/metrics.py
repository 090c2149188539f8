"""The metrics that rules and dashboards may read: those that the source names."""

import re

from support import files_under

# What Prometheus itself adds.
OF_PROMETHEUS = {"up", "ALERTS"}

HISTOGRAMS = {"rimbalzo_transaction_duration_seconds", "rimbalzo_bounce_age_seconds",
              "rimbalzo_dispatcher_release_delay_seconds", "rimbalzo_store_commit_duration_seconds"}


def families():
    """Names of the families of /metrics, as src/cli/observe*.c and src/ops/metrics*.c have them."""
    found = set()
    for source in files_under("src", ".c"):
        if "/cli/observe" in source or "/ops/metrics" in source:
            with open(source, encoding="utf-8") as file:
                found |= set(re.findall(r'"((?:rimbalzo|process)_[a-z_]+)"', file.read()))
    assert len(found) > 30 and HISTOGRAMS <= found, "the metrics have moved"
    return found


def metric_names():
    """Those of all series."""
    return (families() - HISTOGRAMS) | OF_PROMETHEUS | {
        name + suffix for name in HISTOGRAMS for suffix in ("_bucket", "_sum", "_count")}


def used_metrics(expression):
    """Names of series in an expression, recorded ones included."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', " ", expression)
    bare = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"(?<![\w:])((?:\w+:)?(?:rimbalzo|process)_\w+(?::\w+)?|up|ALERTS)(?![\w:(])", bare))
