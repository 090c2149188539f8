#!/usr/bin/env python3
"""`report` on a real recipients topic: figures as counted from `state list`, and pages that a browser shows without a
complaint."""

import csv
import io
import json
import os
import re
import sys
import time
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import browser
import kafka_read
from kafka_harness import Scenario, main
from kafka_pipeline import BROKER, Pipeline

# pylint: disable=wrong-import-order
import avro
import identity

PARTITIONS = 2
DAY_MS = 86_400_000
KINDS = ("hygiene", "frequent", "domains")


def events(now_ms):
    """Bounces of ten ordinary domains, of one whose mailboxes are mostly disabled, and of one that falls silent now."""
    number = 0
    for domain in [f"mail{i}.example" for i in range(10)] + ["dead.example", "new.example"]:
        for person in range(80):
            recipient = f"user{person}@{domain}"
            if domain == "new.example":
                days = [1 + person % 20]
            elif domain == "dead.example":
                days = [20 + person % 5, 60][: 1 + person % 2]
            else:
                days = [150 - person % 30, 5 + person % 150] if person % 7 == 0 else [5 + person % 150]
            for ago in sorted(days, reverse=True):
                status = "5.1.1" if person % 40 == 3 else "4.2.1"
                yield bounce(number, recipient, now_ms - ago * DAY_MS, status)
                number += 1
                back = domain != "dead.example" and person % 5
                if back or ago == 60:
                    yield delivery(number, recipient, now_ms - ago * DAY_MS + DAY_MS // 2)
                    number += 1


def bounce(number, recipient, time_ms, status):
    return "BounceRecord", {
        "event_id": f"e{number}", "tenant": "", "recipient": recipient, "message_id": f"m{number}", "occurred_at": time_ms,
        "status": status, "reply_code": None, "diagnostic": None, "remote_mta": None, "stage": None, "retry_of": None,
        "message_attempt": 0, "source": "test", "attributes": {}}


def delivery(number, recipient, time_ms):
    return "DeliveryRecord", {"event_id": f"e{number}", "tenant": "", "recipient": recipient, "message_id": f"m{number}",
                              "occurred_at": time_ms, "retry_of": None, "source": "test"}


def feed(pipeline):
    codec, now_ms = avro.Codec(), time.time_ns() // 1_000_000
    made = sorted(events(now_ms), key=lambda event: event[1]["occurred_at"])
    pipeline.produce([kafka_read.Record(f["recipient"].encode(), codec.encode(name, f), (),
                                        identity.partition_of(f["recipient"], PARTITIONS)) for name, f in made])


def rows_of(s, worker, *arguments):
    found = s.run("report", *arguments, "-o", "jsonl", config=worker).stdout
    return [json.loads(line) for line in found.splitlines()]


def figures_are_those_of_the_states(s, worker):
    states = [json.loads(line) for line in s.run("state", "list", "-o", "jsonl", config=worker).stdout.splitlines()]
    hygiene = rows_of(s, worker, "hygiene")
    suppressed = {state["recipient"] for state in states if state["status"] == "SUPPRESSED"}
    assert {row["recipient"] for row in hygiene if row["finding"] == "suppressed"} == suppressed and suppressed
    found = Counter(row["finding"] for row in hygiene)
    long = [state for state in states if state["status"] == "SUSPENDED" and
            time.time() - as_time(state["episode_opened_at"]) >= 14 * 86400]
    assert found["suspended_long"] == len(long) > 50, (found, len(long))
    assert found["suspended_long"] > len(rows_of(s, worker, "hygiene", "--days", 60)) - len(suppressed) - found["often_disabled"]
    frequent = rows_of(s, worker, "frequent")
    assert frequent and all(row["episodes"] >= 2 for row in frequent)
    listed = list(csv.DictReader(io.StringIO(s.run("report", "frequent", "-o", "csv", config=worker).stdout, newline="")))
    assert [row["recipient"] for row in listed] == [row["recipient"] for row in frequent]
    return len(states)


def as_time(text):
    return time.mktime(time.strptime(text[:19] + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone


def domains_that_differ_are_found(s, worker):
    rows = {row["domain"]: row for row in rows_of(s, worker, "domains", "--all")}
    assert len(rows) == 12, rows.keys()
    assert {name for name, row in rows.items() if row["unusual"]} == {"dead.example"}, rows
    assert rows["new.example"]["trend"] == "rising", rows["new.example"]
    assert [row["domain"] for row in rows_of(s, worker, "domains")][0] == "dead.example"
    assert not rows_of(s, worker, "domains", "--min-recipients", 1000)


def pages_are_shown_without_a_complaint(s, worker):
    pages = {}
    for kind in KINDS:
        html = s.run("report", kind, "-o", "html", config=worker).stdout
        pages[kind] = os.path.join(s.dir, f"{kind}.html")
        with open(pages[kind], "w", encoding="utf-8") as file:
            file.write(html)
        urls = re.findall(r"""(?:href|src|srcset|action)=["']([^"']*)|url\(([^)]*)""", html)
        assert all(url[0].startswith("data:") for url in urls) and "<script" not in html, urls
    if browser.command() is None:
        print("       SKIPPED: chromium is missing, run scripts/setup --with tests", flush=True)
        return
    pictures = os.environ.get("RIMBALZO_TEST_PICTURES")
    with browser.Browser(s.dir) as chromium:
        for kind, path in pages.items():
            grounds = set()
            for dark, width in ((False, 1280), (True, 390)):
                page = chromium.open(f"file://{path}", width, dark=dark)
                assert not page.complaints, page.complaints
                assert page.size()[0] <= width, f"{kind} is wider than the window: {page.size()}"
                counts = page.value("[document.querySelectorAll('.chart rect').length, "
                                    "document.querySelectorAll('tbody tr').length, "
                                    "document.querySelectorAll('section').length]")
                assert counts[0] > 20 and counts[1] > 5 and counts[2] >= 4, (kind, counts)
                shown = page.value("[...document.querySelectorAll('.chart rect')].every(r => "
                                   "getComputedStyle(r).fill.startsWith('rgb'))")
                assert shown, "a bar without a colour"
                name = os.path.join(pictures or s.dir, f"report-{kind}-{width}{'-dark' if dark else ''}.png")
                grounds.add(page.picture(name))
            assert len(grounds) == 2, "light and dark look the same"
        still = chromium.open(f"file://{pages['domains']}")
        assert still.value("document.querySelectorAll('.unusual').length") == 1


def reports(s: Scenario):
    s.kafka(BROKER)
    pipeline = Pipeline(s, "report", partitions=PARTITIONS)
    feed(pipeline)
    worker = pipeline.worker("w1").start()
    pipeline.wait_done([worker])
    count = figures_are_those_of_the_states(s, worker)
    domains_that_differ_are_found(s, worker)
    pages_are_shown_without_a_complaint(s, worker)
    print(f"       {count} states")


if __name__ == "__main__":
    main(reports)
