#!/usr/bin/env python3
"""The status page and the JSON API: counts against the recipients topic, recipients against `rimbalzo state`, and the
page as a browser shows it."""

import html.parser
import json
import os
import shutil
import sys
import threading
import urllib.parse
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import browser
import kafka_read
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import Pipeline, claim

PARTITIONS = 4
RECORDS = 8000
KILLED_AT = ("after-kafka-commit:6", "between-lmdb-commits:5", "mid-restore:1")
PAGE = (0xf5, 0xf6, 0xf8), (0x10, 0x13, 0x18)  # light, dark


def status(worker):
    code, text = worker.http("/api/v1/status")
    assert code == 200, (code, text)
    return json.loads(text)


def rows(s, worker):
    """Every recipient as `rimbalzo state list` tells it, by its name."""
    done = s.run("state", "list", "-o", "jsonl", config=worker)
    return {row["recipient"]: row for row in map(json.loads, done.stdout.splitlines())}


def stored(row):
    """The status in the store: a reader calls a suspension that has gone stale ACTIVE."""
    return "SUSPENDED" if row["lapsed"] else row["status"]


def check_counts(s, worker):
    """What the process counts is what the topic holds."""
    found = list(rows(s, worker).values())
    told = status(worker)["recipients"]
    assert told["complete"] and told["partitions"] == PARTITIONS, told
    assert told["total"] == len(found), (told, len(found))
    by_status = Counter(map(stored, found))
    assert {line["status"]: line["recipients"] for line in told["by_status"]} == {
        name: by_status[name] for name in ("ACTIVE", "SUSPENDED", "SUPPRESSED")}, (told, by_status)
    by_attempt = Counter(row["attempt"] for row in found if stored(row) == "SUSPENDED")
    assert {line["attempt"]: line["recipients"] for line in told["by_attempt"] if line["recipients"]} == by_attempt
    by_reason = Counter(row["suppressed_by"] for row in found if row["suppressed_by"])
    assert {line["reason"]: line["recipients"] for line in told["suppressed_by"]} == by_reason
    for name, count in by_status.items():
        assert worker.metric("rimbalzo_recipients", status=name) == count, name
    for attempt, count in by_attempt.items():
        assert worker.metric("rimbalzo_suspended_recipients", attempt=attempt) == count, attempt
    assert len(by_status) == 3 and len(by_attempt) > 1, "the input has too little in it to show anything"


def counts_survive_kills(s, pipeline):
    """Killed at several places, then with SIGKILL at any, then without local state."""
    worker = pipeline.worker("w1")
    feeder = pipeline.feeder(pipeline.sample(RECORDS, seed=3, start="now", span_days=9))
    for point in KILLED_AT:
        feeder.give(RECORDS // 8)
        worker.start(failpoint=point)
        wait_until(lambda: not worker.is_alive() or pipeline.is_done(), 60, f"a kill at {point}")
        if worker.is_alive():
            worker.kill()
    worker.start()
    feeder.finish()
    worker.kill()
    worker.start()
    worker.wait_ready()
    pipeline.wait_done([worker])
    wait_until(lambda: status(worker)["state"] == "ok", 30, "all to be well", alive=[worker])
    check_counts(s, worker)
    worker.terminate()
    shutil.rmtree(worker.state_dir)
    worker.start()
    wait_until(lambda: status(worker)["state"] == "ok", 60, "a rebuilt state", alive=[worker])
    check_counts(s, worker)
    return worker


# -- recipients --


def ask(worker, recipient, tenant=None):
    query = "" if tenant is None else "?" + urllib.parse.urlencode({"tenant": tenant})
    code, text = worker.http(f"/api/v1/recipients/{urllib.parse.quote(recipient, safe='')}{query}")
    return code, json.loads(text)


def owned(worker):
    return [p["partition"] for role in status(worker)["roles"] for p in role["partitions"]
            if role["role"] == "worker" and p["state"] == "running"]


def one_owner_answers(s, workers):
    """Of two processes one has the recipient, and the other names its partition."""
    found = rows(s, workers[0])
    chosen = sorted(found)[::max(1, len(found) // 40)]
    for recipient in chosen:
        answers = sorted((ask(worker, recipient) for worker in workers), key=lambda answer: answer[0])
        assert [code for code, _ in answers] == [200, 421], (recipient, answers)
        assert answers[0][1] == found[recipient], (recipient, answers)
        assert answers[1][1]["error"] == "elsewhere"
        assert answers[1][1]["partition"] == found[recipient]["partition"], answers
    shouted = chosen[0].upper()
    assert sorted(ask(worker, shouted)[0] for worker in workers) == [200, 421], shouted
    assert sorted(ask(worker, "nobody@example.org")[0] for worker in workers) == [404, 421]
    assert sorted(ask(worker, chosen[0], tenant="acme")[0] for worker in workers) == [404, 421]
    assert ask(workers[0], "nobody")[0] == 400
    return chosen


def asked_while_partitions_come_and_go(workers, chosen):
    """A process dies and comes back while both are asked without a pause: each answer is one that is documented."""
    seen, stop = Counter(), threading.Event()

    def ask_on():
        while not stop.is_set():
            for recipient in chosen:
                try:
                    seen[ask(workers[0], recipient)[0]] += 1
                    status(workers[0])
                except OSError:
                    seen["gone"] += 1

    asker = threading.Thread(target=ask_on)
    asker.start()
    try:
        workers[1].kill()
        wait_until(lambda: len(owned(workers[0])) == PARTITIONS, 60, "the other's partitions", alive=[workers[0]])
        workers[1].start()
        wait_until(lambda: len(owned(workers[1])) > 0 and len(owned(workers[0])) + len(owned(workers[1])) == PARTITIONS,
                   60, "partitions to come back", alive=workers)
    finally:
        stop.set()
        asker.join()
    assert set(seen) <= {200, 421, 503} and seen[200] and seen[421], seen


# -- the page --


class Outline(html.parser.HTMLParser):
    """What matters of a page to those who do not see it, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.tags = Counter()
        self.ids, self.labels, self.loads, self.headings, self.bare = [], [], [], [], []
        self.language = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags[tag] += 1
        if tag == "html":
            self.language = attributes.get("lang")
        if tag in ("h1", "h2"):
            self.headings.append(attributes.get("id"))
        if tag == "th" and attributes.get("scope") not in ("col", "row"):
            self.bare.append(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if "aria-labelledby" in attributes:
            self.labels.append(attributes["aria-labelledby"])
        for name in ("src", "srcset", "action", "data"):
            if name in attributes:
                self.loads.append(attributes[name])
        if tag == "link":
            self.loads.append(attributes["href"])


def check_outline(text):
    outline = Outline(text)
    assert outline.language == "en" and outline.tags["h1"] == outline.tags["main"] == outline.tags["title"] == 1
    assert outline.tags["header"] == outline.tags["footer"] == 1
    assert len(set(outline.ids)) == len(outline.ids), outline.ids
    assert outline.labels and set(outline.labels) <= set(outline.ids), outline.labels
    assert outline.tags["section"] == len(outline.labels), "a section has no name"
    assert not outline.bare, outline.bare
    assert outline.tags["table"] == outline.tags["thead"] == outline.tags["tbody"]
    assert all(load.startswith("data:") for load in outline.loads), outline.loads


def the_page(s, process, headings):
    """Whole without JavaScript, alive with it, and without complaints."""
    if browser.command() is None:
        print("       SKIPPED: chromium is missing, run scripts/setup --with tests", flush=True)
        return
    url = f"http://127.0.0.1:{process.http_port}/"
    with browser.Browser(s.dir) as chromium:
        planted = chromium.open("data:text/html,<script>console.error('planted')</script>")
        assert len(planted.complaints) == 1, "the browser's console cannot be heard"
        still, alive = chromium.open(url, scripts=False), chromium.open(url)
        wait_until(lambda: alive.value("+document.documentElement.dataset.refreshes") > 0, 30, "the page to refresh itself")
        for page in (still, alive):
            text = page.document()
            check_outline(text)
            assert "All is well" in text and "unknown" not in text, text
            for heading in headings:
                assert f">{heading}</h2>" in text, heading
        assert "data-refreshes" not in still.document()
        take_pictures(chromium, url)
        process.terminate()
        alive.ask("Page.bringToFront")
        wait_until(lambda: alive.value("!document.getElementById('stale').hidden"), 30,
                   "the page to say that nobody answers any more")
        assert not still.complaints, still.complaints
        assert alive.complaints
        assert all("ERR_CONNECTION_REFUSED" in str(each) for each in alive.complaints), alive.complaints


def take_pictures(chromium, url):
    folder = os.path.join(kafka_read.build_dir(), "screenshots")
    os.makedirs(folder, exist_ok=True)
    for name, width, options in (("light", 1280, {}), ("dark", 1280, {"dark": True}), ("phone", 375, {}),
                                 ("no-scripts", 1280, {"scripts": False})):
        page = chromium.open(url, width, **options)
        path = os.path.join(folder, f"{name}.png")
        assert page.picture(path) == PAGE["dark" in options], name
        assert page.size()[0] == width, f"{name}: wider than the window"
        assert os.path.getsize(path) > 50000, f"{name} is as good as empty"
        assert not page.complaints, page.complaints


def due_adds_up(process):
    due = status(process)["due"]
    assert due["pending"] == due["within_week"] + due["later"] > 0, due
    assert due["overdue"] <= due["within_hour"] <= due["within_day"] <= due["within_week"], due
    assert process.metric("rimbalzo_dispatcher_pending") == due["pending"], due


def the_status(s: Scenario):
    s.kafka()
    pipeline = Pipeline(s, "shown", PARTITIONS)
    with claim("counts by status and attempt are those of the topic, whatever was killed"):
        worker = counts_survive_kills(s, pipeline)
    with claim("a recipient is told by the process that has it, and nothing but what is documented is answered"):
        other = pipeline.worker("w2").start()
        workers = [worker, other]
        wait_until(lambda: len(owned(worker)) == len(owned(other)) == PARTITIONS // 2, 60, "two to share", alive=workers)
        chosen = one_owner_answers(s, workers)
        asked_while_partitions_come_and_go(workers, chosen)
        for each in workers:
            each.terminate()
    with claim("the page is whole without JavaScript, refreshes itself with it, in light, dark and on a phone"):
        both = pipeline.worker("w1", command="run").start()

        def all_is_well():  # w2 keeps its place for its session; what is due is counted every few seconds
            told = status(both)
            return (told["state"] == "ok" and all(
                role["running"] == PARTITIONS and role["lag_records"] == 0 and role["lag_seconds"] is not None
                for role in told["roles"])
                    and told["due"]["pending"] == both.metric("rimbalzo_dispatcher_pending"))

        wait_until(all_is_well, 60, "all to be well", alive=[both])
        due_adds_up(both)
        check_counts(s, both)
        the_page(s, both, ("Throughput: worker", "Throughput: dispatcher", "Recipients", "Attempts of the suspended",
                           "Retries that wait", "Top reasons", "Recent errors", "Partitions: worker",
                           "Partitions: dispatcher"))
        both.terminate()
    pipeline.check_calm()


if __name__ == "__main__":
    main(the_status)
