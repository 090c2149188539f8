#!/usr/bin/env python3
"""The dashboards: a list of panels each, and what all panels have in common said once.

usage: generate.py [--check]

Writes overview.json, worker.json and dispatcher.json beside this file; with --check it only says whether they
are what it would write.
"""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS, HEIGHT = 24, 8


def row(title):
    return {"row": title}


def panel(title, description, unit, *queries, kind="timeseries", width=8, **options):
    """queries: (expression, legend)."""
    return {"title": title, "description": description, "unit": unit, "queries": queries, "kind": kind,
            "width": width, "options": options}


def thresholds(*steps):
    """(from, colour): the first one has no beginning."""
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for value, colour in steps]}


def panel_json(number, spec, place):
    defaults = {"unit": spec["unit"], "min": 0}
    if spec["kind"] == "timeseries":
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never",
                              "stacking": {"mode": "normal" if spec["options"].get("stacked") else "none"}}
    if "thresholds" in spec["options"]:
        defaults["thresholds"] = spec["options"]["thresholds"]
    made = {
        "id": number, "type": spec["kind"], "title": spec["title"], "description": spec["description"],
        "datasource": SOURCE, "gridPos": place, "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expression, "legendFormat": legend,
                     "format": "heatmap" if spec["kind"] == "heatmap" else "time_series"}
                    for i, (expression, legend) in enumerate(spec["queries"])],
    }
    if spec["kind"] == "stat":
        made["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    elif spec["kind"] == "timeseries":
        made["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    elif spec["kind"] == "heatmap":
        made["options"] = {"calculate": False, "yAxis": {"unit": spec["unit"]}, "color": {"scheme": "Oranges"}}
    return made


def variable(name, label, query):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "query": query, "refresh": 2,
            "includeAll": True, "multi": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}}


def dashboard(uid, title, description, specs):
    panels, x, y, tallest = [], 0, 0, 0
    for number, spec in enumerate(specs, 1):
        if "row" in spec:
            y, x, tallest = y + tallest, 0, 0
            panels.append({"id": number, "type": "row", "title": spec["row"], "collapsed": False, "panels": [],
                           "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}})
            y += 1
            continue
        height = 4 if spec["kind"] == "stat" else HEIGHT
        if x + spec["width"] > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        panels.append(panel_json(number, spec, {"x": x, "y": y, "w": spec["width"], "h": height}))
        x, tallest = x + spec["width"], max(tallest, height)
    return {
        "uid": uid, "title": title, "description": description, "tags": ["rimbalzo"], "schemaVersion": 39,
        "editable": True, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "tags": ["rimbalzo"], "title": "rimbalzo", "asDropdown": True,
                   "includeVars": True, "keepTime": True}],
        "annotations": {"list": [{
            "name": "Alerts", "datasource": SOURCE, "enable": True, "iconColor": "red",
            "expr": 'ALERTS{alertname=~"Rimbalzo.*", alertstate="firing"}', "titleFormat": "{{alertname}}"}]},
        "templating": {"list": [
            {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}},
            variable("instance", "Instance", "label_values(rimbalzo_partitions, instance)")]},
        "panels": panels,
    }


def quantiles(histogram, selector, by=""):
    return [(f"histogram_quantile({q}, sum by (le{by}) (rate({histogram}_bucket{selector}[$__rate_interval])))", f"p{p}")
            for q, p in ((0.5, 50), (0.99, 99))]


def role_panels(role):
    """What the engine tells of a role."""
    sel = f'{{role="{role}", instance=~"$instance"}}'
    process = '{instance=~"$instance"}'

    return [
        row("Partitions"),
        panel("Partitions by state", "Failed ones have stopped and need somebody; restoring ones are not proven yet.",
              "short", (f"sum by (state) (rimbalzo_partitions{sel})", "{{state}}"), stacked=True),
        panel("Rebalances", "How often each process was given partitions, in five minutes. A restart makes some.",
              "short", (f"sum by (instance) (increase(rimbalzo_rebalances_total{sel}[5m]))", "{{instance}}")),
        panel("Records left to restore", "How far local state is from its certificate. Absent: nothing is restored.",
              "short", (f"sum by (partition) (rimbalzo_restore_remaining_records{sel})", "{{partition}}")),
        row("Lag"),
        panel("Records behind", "Up to the last stable offset of each partition. Absent: unknown.", "short",
              (f"sum by (topic, partition) (rimbalzo_lag_records{sel})", "{{topic}}-{{partition}}")),
        panel("Time behind", "Age of the oldest record that is not committed.", "s",
              (f"max by (topic, partition) (rimbalzo_lag_seconds{sel})", "{{topic}}-{{partition}}")),
        panel("Since the last progress", "Time since a partition last committed records.", "s",
              (f"time() - max by (topic, partition) (rimbalzo_last_progress_timestamp_seconds{sel})",
               "{{topic}}-{{partition}}")),
        row("Transactions"),
        panel("Transactions by outcome", "Aborted ones and those of unknown outcome are done again, exactly once.", "ops",
              (f"sum by (outcome) (rate(rimbalzo_transactions_total{sel}[$__rate_interval]))", "{{outcome}}"),
              stacked=True),
        panel("Duration of transactions", "From begin to commit. The broker aborts those beyond transaction.timeout.ms.",
              "s", *quantiles("rimbalzo_transaction_duration_seconds", sel)),
        panel("Errors by stage and code", "Each code has its place in the runbook.", "ops",
              (f"sum by (stage, code) (rate(rimbalzo_errors_total{sel}[$__rate_interval]))", "{{stage}} {{code}}")),
        panel("Producers rebuilt", "After errors that leave the outcome open; too many within ten minutes end the process.",
              "short", (f"sum by (instance) (increase(rimbalzo_producer_rebuilds_total{sel}[10m]))", "{{instance}}")),
        panel("Brokers connected", "As each client handle sees it.", "short",
              (f"min by (instance) (rimbalzo_kafka_brokers_up{sel})", "{{instance}}")),
        panel("Messages in librdkafka's queues", "Waiting to be sent, or fetched and not yet taken.", "short",
              (f"sum by (client) (rimbalzo_kafka_queued_messages{sel})", "{{client}}")),
        panel("Schema registry: requests", "By what came of them; nothing without a registry.", "ops",
              (f"sum by (outcome) (rate(rimbalzo_registry_requests_total{process}[$__rate_interval]))", "{{outcome}}")),
        panel("Schema registry: ids", "A partition stands still as long as it has records of a wanted one.", "short",
              (f"sum by (state) (rimbalzo_registry_schemas{process})", "{{state}}")),
        row("Local state"),
        panel("Entries", "Recipients, or commands that wait.", "short",
              (f"sum by (instance) (rimbalzo_store_entries{sel})", "{{instance}}")),
        panel("Used share of the files", "A file doubles when 75 % are used; more means that it cannot.", "percentunit",
              (f"rimbalzo_store_used_bytes{sel} / rimbalzo_store_map_bytes{sel}", "{{instance}} {{partition}}"),
              thresholds=thresholds((None, "green"), (0.75, "orange"), (0.9, "red"))),
        panel("Duration of local commits", "With store.durability disk it has the disk's fsync in it.", "s",
              *quantiles("rimbalzo_store_commit_duration_seconds", sel)),
        row("Output"),
        panel("Records produced by topic", "What the role writes.", "ops",
              (f"sum by (topic) (rate(rimbalzo_produced_records_total{sel}[$__rate_interval]))", "{{topic}}")),
        panel("Read to restore", "Records of changelog or delayed topic read to rebuild local state.", "ops",
              (f"sum by (instance) (rate(rimbalzo_restored_records_total{sel}[$__rate_interval]))", "{{instance}}")),
        panel("Committed and end", "Offsets of the input, summed over the partitions: they should rise together.", "short",
              (f"sum(rimbalzo_committed_offset{sel})", "committed"), (f"sum(rimbalzo_end_offset{sel})", "end")),
    ]


OVERVIEW = [
    panel("Records per second", "Input records of committed transactions.", "ops",
          ('sum(rate(rimbalzo_records_total{role="worker"}[$__rate_interval]))', "worker"), kind="stat", width=4),
    panel("Time behind", "Age of the oldest bounce that is not counted yet.", "s",
          ('max(rimbalzo_lag_seconds{role="worker"})', "worker"), kind="stat", width=4,
          thresholds=thresholds((None, "green"), (60, "orange"), (600, "red"))),
    panel("Retry overdue", "How long the retry that should have left first has been due.", "s",
          ("max(rimbalzo_dispatcher_overdue_seconds)", "dispatcher"), kind="stat", width=4,
          thresholds=thresholds((None, "green"), (10, "orange"), (60, "red"))),
    panel("Partitions failed", "Partitions that have stopped with an error.", "short",
          ('sum(rimbalzo_partitions{state="failed"})', "failed"), kind="stat", width=4,
          thresholds=thresholds((None, "green"), (1, "red"))),
    panel("Dead letters", "Share of the records that cannot be used, over 15 minutes.", "percentunit",
          ("sum(rate(rimbalzo_dead_letters_total[15m])) / sum(rate(rimbalzo_records_total[15m]))", "share"), kind="stat",
          width=4, thresholds=thresholds((None, "green"), (0.001, "orange"), (0.01, "red"))),
    panel("Suppressed in an hour", "Recipients taken off the list.", "short",
          ('sum(increase(rimbalzo_suppressions_total{action="SUPPRESS"}[1h]))', "suppressed"), kind="stat", width=4),
    row("What happens to recipients"),
    panel("Bounces by class", "HARD suppresses at once, SOFT follows the schedule, the others do not move attempts.", "ops",
          ("sum by (class) (rate(rimbalzo_bounces_total[$__rate_interval]))", "{{class}}"), stacked=True),
    panel("Suppressions by reason", "A spike of HARD_BOUNCE may be an outage at a provider.", "ops",
          ("sum by (action, reason) (rate(rimbalzo_suppressions_total[$__rate_interval]))", "{{action}} {{reason}}"),
          stacked=True),
    panel("Retry commands", "Scheduled, cancelled and released by the worker.", "ops",
          ("sum by (action) (rate(rimbalzo_commands_total[$__rate_interval]))", "{{action}}")),
    panel("Events by outcome", "What became of each event.", "ops",
          ("sum by (outcome) (rate(rimbalzo_outcomes_total[$__rate_interval]))", "{{outcome}}")),
    panel("Notices", "Other channel, or send less.", "ops",
          ("sum by (kind) (rate(rimbalzo_notices_total[$__rate_interval]))", "{{kind}}")),
    panel("Dead letters by reason", "Each reason has its place in the runbook.", "ops",
          ("sum by (reason) (rate(rimbalzo_dead_letters_total[$__rate_interval]))", "{{reason}}"), stacked=True),
    row("The pipeline"),
    panel("Records by role", "Input records of committed transactions.", "ops",
          ("sum by (role) (rate(rimbalzo_records_total[$__rate_interval]))", "{{role}}")),
    panel("Partitions by role and state", "All should be running.", "short",
          ("sum by (role, state) (rimbalzo_partitions)", "{{role}} {{state}}"), stacked=True),
    panel("Time behind by role", "Age of the oldest record that is not committed.", "s",
          ("max by (role) (rimbalzo_lag_seconds)", "{{role}}")),
    panel("Taken in", "What mail systems tell `ingest kafka:TOPIC`, for each recipient, by what became of it.", "ops",
          ("sum by (outcome) (rate(rimbalzo_ingest_entries_total[$__rate_interval]))", "{{outcome}}"), stacked=True),
    panel("Not taken in", "What is no event for us, by reason.", "ops",
          ("sum by (reason) (rate(rimbalzo_ingest_skipped_total[$__rate_interval]))", "{{reason}}"), stacked=True),
    row("Processes"),
    panel("Memory", "Resident memory; pages of the stores are the page cache's and count when they are mapped.", "bytes",
          ('process_resident_memory_bytes{instance=~"$instance"}', "{{instance}}")),
    panel("Processor", "Seconds of processor time per second.", "short",
          ('rate(process_cpu_seconds_total{instance=~"$instance"}[$__rate_interval])', "{{instance}}")),
    panel("Versions", "Processes by version of rimbalzo and librdkafka.", "short",
          ("count by (version, librdkafka) (rimbalzo_build_info)", "{{version}}, librdkafka {{librdkafka}}")),
]

WORKER = [
    row("Decisions"),
    panel("Events by outcome", "What became of each event.", "ops",
          ('sum by (outcome) (rate(rimbalzo_outcomes_total{instance=~"$instance"}[$__rate_interval]))', "{{outcome}}")),
    panel("Bounces by class", "As the rules and codes say.", "ops",
          ('sum by (class) (rate(rimbalzo_bounces_total{instance=~"$instance"}[$__rate_interval]))', "{{class}}"),
          stacked=True),
    panel("Bounces by reason", "What class follows from, as the rules and codes say.", "ops",
          ('sum by (reason) (rate(rimbalzo_bounce_reasons_total{instance=~"$instance"}[$__rate_interval]))', "{{reason}}"),
          stacked=True),
    panel("Recipients by status", "In the state of the partitions that run.", "short",
          ('sum by (status) (rimbalzo_recipients{instance=~"$instance"})', "{{status}}"), stacked=True),
    panel("Suspended recipients by attempt", "How far those have come whose mailbox refuses.", "short",
          ('sum by (attempt) (rimbalzo_suspended_recipients{instance=~"$instance"})', "{{attempt}}"), stacked=True),
    panel("Age of bounces", "From the bounce to its decision: what producers and lag add up to.", "s",
          ('sum by (le) (increase(rimbalzo_bounce_age_seconds_bucket{instance=~"$instance"}[$__rate_interval]))', "{{le}}"),
          kind="heatmap"),
    panel("Records sent on", "To the partition of their key, because they came in another one.", "ops",
          ('sum by (instance) (rate(rimbalzo_rerouted_total{instance=~"$instance"}[$__rate_interval]))', "{{instance}}")),
    panel("Suspensions that lapsed", "Over without news for stale_after.", "ops",
          ('sum by (instance) (rate(rimbalzo_lapsed_total{instance=~"$instance"}[$__rate_interval]))', "{{instance}}")),
    panel("Recipients forgotten", "Without an event for recipient.retention.", "ops",
          ('sum by (instance) (rate(rimbalzo_expired_total{instance=~"$instance"}[$__rate_interval]))', "{{instance}}")),
] + role_panels("worker")

DISPATCHER = [
    row("Commands"),
    panel("Commands that wait", "On all partitions.", "short",
          ('sum by (instance) (rimbalzo_dispatcher_pending{instance=~"$instance"})', "{{instance}}"), stacked=True),
    panel("Commands by outcome", "Scheduled, released when due, freed or cancelled before.", "ops",
          ('sum by (outcome) (rate(rimbalzo_dispatcher_commands_total{instance=~"$instance"}[$__rate_interval]))',
           "{{outcome}}")),
    panel("Overdue", "How long the command that should have left first has been due.", "s",
          ('rimbalzo_dispatcher_overdue_seconds{instance=~"$instance"}', "{{instance}}"),
          thresholds=thresholds((None, "green"), (10, "orange"), (60, "red"))),
    panel("Delay of release", "From the due time to the due topic.", "s",
          *quantiles("rimbalzo_dispatcher_release_delay_seconds", '{instance=~"$instance"}'), width=12),
    panel("Delay of release, all of it", "The same as a heatmap.", "s",
          ('sum by (le) (increase(rimbalzo_dispatcher_release_delay_seconds_bucket{instance=~"$instance"}[$__rate_interval]))',
           "{{le}}"), kind="heatmap", width=12),
] + role_panels("dispatcher")

DASHBOARDS = {
    "overview.json": dashboard("rimbalzo-overview", "rimbalzo: overview",
                               "What happens to recipients, and whether the pipeline is well.", OVERVIEW),
    "worker.json": dashboard("rimbalzo-worker", "rimbalzo: worker", "Decisions, lag, transactions and local state.", WORKER),
    "dispatcher.json": dashboard("rimbalzo-dispatcher", "rimbalzo: dispatcher",
                                 "Commands that wait and leave, lag, transactions and local state.", DISPATCHER),
}


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    for name, content in DASHBOARDS.items():
        path, text = os.path.join(HERE, name), json.dumps(content, indent=1) + "\n"
        if sys.argv[1:]:
            with open(path, encoding="utf-8") as file:
                if file.read() != text:
                    sys.exit(f"{name} is not what deploy/grafana/generate.py writes: run it")
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


if __name__ == "__main__":
    main()
