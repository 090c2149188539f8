#!/usr/bin/env python3
"""deploy/grafana: the dashboards are sound, and read only metrics and labels that exist."""

import json
import re

from metrics import families, metric_names, used_metrics
from support import files_under, main, path, read, run

UNITS = {"short", "ops", "s", "bytes", "percentunit"}


def dashboards():
    found = {}
    for file in files_under("deploy/grafana", ".json"):
        name = file.rsplit("/", 1)[1]
        found[name] = json.loads(read("deploy", "grafana", name))
    assert set(found) == {"overview.json", "worker.json", "dispatcher.json"}
    return found


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def they_are_what_the_generator_writes():
    run("/usr/bin/python3", path("deploy", "grafana", "generate.py"), "--check")


def every_panel_reads_metrics_that_exist():
    for name, board in dashboards().items():
        for panel in panels(board):
            for target in panel["targets"]:
                used = used_metrics(target["expr"].replace("$__rate_interval", "5m"))
                assert used and used <= metric_names(), (name, panel["title"], used - metric_names())


def every_metric_is_shown_somewhere():
    shown = set()
    for board in dashboards().values():
        for panel in panels(board):
            for target in panel["targets"]:
                shown |= {re.sub(r"_(bucket|sum|count)$", "", used) for used in used_metrics(target["expr"])}
    wanted = {name for name in families() if name.startswith("rimbalzo_")}
    assert not wanted - shown, wanted - shown


def legends_name_labels_that_the_query_keeps():
    for name, board in dashboards().items():
        for panel in panels(board):
            for target in panel["targets"]:
                legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                kept = [set(re.split(r",\s*", match)) for match in re.findall(r"\bby \(([^)]+)\)", target["expr"])]
                if kept:
                    assert legend <= set.union(*kept), (name, panel["title"], legend)


def every_panel_has_a_unit_a_description_a_place_and_the_chosen_source():
    for name, board in dashboards().items():
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids), name
        taken = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            assert not cells & taken and place["x"] + place["w"] <= 24, (name, panel["title"])
            taken |= cells
        for panel in panels(board):
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, (name, panel["title"])
            assert len(panel["description"]) > 8, (name, panel["title"])
            assert panel["datasource"]["uid"] == "${datasource}", (name, panel["title"])
            assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
        assert [v["name"] for v in board["templating"]["list"]] == ["datasource", "instance"]


if __name__ == "__main__":
    main(they_are_what_the_generator_writes, every_panel_reads_metrics_that_exist, every_metric_is_shown_somewhere,
         legends_name_labels_that_the_query_keeps, every_panel_has_a_unit_a_description_a_place_and_the_chosen_source)
