#!/usr/bin/env python3
"""The dispatcher against a real broker: what leaves and when, what it shows, when it refuses to start, how it ends."""

import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_dispatch import Dispatch, now_ms
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, Pipeline, claim
from kafka_read import Record

DAY_MS = 86_400_000
MINUTE_MS = 60_000
CONFIG_ERROR = 78


def each_kind_of_command(s: Scenario):
    """One of each, and what the metrics say of it."""
    dispatch = Dispatch(s, "kinds", partitions=3)
    dispatcher = dispatch.worker("d1").start()
    dispatcher.wait_ready()
    now = now_ms()
    headers = (("traceparent", b"00-1-2-01"), ("none", None), ("traceparent", b""), ("octets", b"\0\xff"))
    soon = dispatch.command("SCHEDULE", "soon@example.org", now + 1500, headers)
    records = [
        soon,
        soon,  # a repetition
        dispatch.command("SCHEDULE", "past@example.org", now - 5000),
        dispatch.command("SCHEDULE", "keyless@example.org", now + 500)._replace(key=None, partition=1),
        dispatch.command("SCHEDULE", "freed@example.org", now + 10 * MINUTE_MS),
        dispatch.command("SCHEDULE", "freed@example.org", now + 300 * DAY_MS),
        dispatch.command("RELEASE", "freed@example.org", now),
        dispatch.command("SCHEDULE", "cancelled@example.org", now + 10 * MINUTE_MS),
        dispatch.command("CANCEL", "cancelled@example.org", now),
        dispatch.command("CANCEL", "nobody@example.org", now),
        dispatch.command("SCHEDULE", "late@example.org", now + 401 * DAY_MS, headers),
        soon._replace(value=None),
    ]
    dispatch.produce(records)
    dispatch.wait_done([dispatcher])
    verdict = dispatch.verify()
    assert verdict.counts["left"] == 5 and verdict.counts["left early by RELEASE"] == 2, verdict
    assert verdict.counts["duplicates"] == 1 and verdict.counts["dead letters"] == 2, verdict

    due = dispatch.broker.read(dispatch.due)
    assert sorted(record.key or b"" for record in due) == sorted(
        [b"", b"freed@example.org", b"freed@example.org", b"past@example.org", b"soon@example.org"])
    found = next(record for record in due if record.key == soon.key)
    assert found.headers == headers and found.timestamp_ms >= now + 1500, found
    letters = {record.header("rimbalzo-reason"): record for record in dispatch.broker.read("kinds.dead-letters")}
    assert letters.keys() == {b"delay_too_long", b"malformed"}, letters
    assert letters[b"delay_too_long"].headers[:4] == headers
    assert b"dispatcher.delay_max" in letters[b"delay_too_long"].header("rimbalzo-text")
    assert letters[b"delay_too_long"].header("rimbalzo-topic") == b"kinds.retries.delayed"

    check_metrics(dispatcher)
    check_end(dispatch, dispatcher)


def check_metrics(dispatcher):
    outcomes = {name: dispatcher.metric("rimbalzo_dispatcher_commands_total", outcome=name)
                for name in ("scheduled", "duplicate", "replaced", "cancelled", "freed", "released", "void")}
    wanted = {"scheduled": 6, "duplicate": 1, "replaced": 0, "cancelled": 1, "freed": 2, "released": 3, "void": 1}
    # What was aborted counts again.
    assert outcomes == wanted or dispatcher.metric("rimbalzo_transactions_aborted_total") > 0, outcomes
    assert dispatcher.metric("rimbalzo_dead_letters_total", reason="delay_too_long") >= 1
    assert dispatcher.metric("rimbalzo_dispatcher_pending") == 0
    assert dispatcher.metric("rimbalzo_dispatcher_overdue_seconds") == 0
    assert dispatcher.metric("rimbalzo_partitions", role="dispatcher", state="running") == 3
    assert dispatcher.http("/readyz")[0] == dispatcher.http("/livez")[0] == 200


def check_end(dispatch, dispatcher):
    """SIGTERM: within seconds, with 0; and what it closed is taken up again as it is."""
    dispatch.produce([dispatch.command("SCHEDULE", "pending@example.org", now_ms() + 200 * DAY_MS)])
    wait_until(lambda: dispatcher.metric("rimbalzo_dispatcher_pending") == 1, 30, "the command to be taken in")
    began = time.monotonic()
    assert dispatcher.terminate() == 0, dispatcher.log_tail()
    took = time.monotonic() - began
    assert took < 10, f"it took {took:.1f} s to end"
    dispatcher.start()
    wait_until(lambda: len(re.findall("code=running .* restored=0", dispatcher.log_text())) == 3, 30,
               "all partitions to run without a restore", alive=[dispatcher])
    assert dispatcher.metric("rimbalzo_dispatcher_pending") == 1
    dispatch.produce([dispatch.command("RELEASE", "pending@example.org", 0)])
    dispatch.wait_done([dispatcher])
    assert dispatcher.terminate() == 0
    dispatch.verify()


def what_comes_at_random(s: Scenario):
    """Everything that a delayed topic may hold, while two dispatchers of two threads are at it."""
    dispatch = Dispatch(s, "random", partitions=4)
    dispatchers = [dispatch.worker(name, config={"dispatcher": {"threads": 2}}).start() for name in ("d1", "d2")]
    for dispatcher in dispatchers:
        dispatcher.wait_log("code=running", count=2)
    feeder = dispatch.feeder(6000, seed=111, recipients=300, delay_ms=3000)
    with dispatch.watched(every_s=0.1):
        while feeder.give(200):
            time.sleep(0.1)
        feeder.finish()
        dispatch.wait_done(dispatchers)
    for dispatcher in dispatchers:
        assert dispatcher.terminate() == 0, dispatcher.log_tail()
    verdict = dispatch.verify()
    assert verdict.counts["marks"] >= 3, verdict
    print(f"       {verdict}", flush=True)


def both_roles_in_one_process(s: Scenario):
    """`rimbalzo run`: a bounce comes in, its command leaves when it is due."""
    config = {"policies": {"default": {"delays": ["1s"], "max_attempts": 4, "contact_after": 2}}}
    worker_side = Pipeline(s, "both", partitions=2, config=config)
    dispatch = Dispatch(s, "both", partitions=2, config=config, apply=False)
    process = dispatch.worker("r1", command="run").start()
    process.wait_ready()
    now = now_ms()
    bounce = {"event_id": "e1", "tenant": "", "recipient": "ada@example.org", "message_id": "m1", "occurred_at": now,
              "status": "4.2.1", "reply_code": 450, "diagnostic": None, "remote_mta": None, "stage": None,
              "retry_of": None, "message_attempt": 0, "source": "", "attributes": {}}
    worker_side.produce([Record(b"ada@example.org", dispatch.codec.encode("BounceRecord", bounce))])
    wait_until(lambda: dispatch.count_due() == 1, 30, "the command to leave", alive=[process])
    command = dispatch.codec.decode(dispatch.broker.read(dispatch.due)[0].value, ("RetryCommand",))[1]
    assert (command["message_id"], command["due_at"]) == ("m1", now + 1000), command
    for role in ("worker", "dispatcher"):
        assert process.metric("rimbalzo_partitions", role=role, state="running") == 2
    worker_side.wait_done([process])
    dispatch.wait_done([process])
    assert process.terminate() == 0, process.log_tail()
    worker_side.verify()
    dispatch.verify()


def three_topics_are_enough(s: Scenario):
    dispatch = Dispatch(s, "alone", partitions=2, apply=False)
    s.broker.create_topics(["alone.retries.delayed", "alone.retries.due", "alone.dead-letters"], 2,
                           {"retention.ms": -1})
    dispatcher = dispatch.worker("d1").start()
    dispatcher.wait_log("code=running", count=2)
    feeder = dispatch.feeder(1000, seed=112, recipients=50, delay_ms=1000)
    feeder.finish()
    dispatch.wait_done([dispatcher])
    assert dispatcher.terminate() == 0
    dispatch.verify()


def control_records_are_no_lag(s: Scenario):
    """Kafka's own tool says 0 of a delayed topic that is written in transactions, aborted records and all."""
    dispatch = Dispatch(s, "lag", partitions=2)
    dispatcher = dispatch.worker("d1").start()
    dispatcher.wait_log("code=running", count=2)
    source = dispatch.feeder(0, seed=113, recipients=50, delay_ms=2000).source
    for count, end in ((200, "commit"), (50, "abort")):
        dispatch.produce([source.next(now_ms()) for _ in range(count)], transactional_id="lag-producer", end=end)
    dispatch.wait_done([dispatcher])
    rows = [row for row in dispatch.broker.describe_group(dispatch.group) if row["topic"] == dispatch.input]
    assert len(rows) == dispatch.partitions, rows
    assert all(row["lag"] == 0 for row in rows), rows
    assert dispatcher.terminate() == 0
    dispatch.verify()


# -- refusals --


def wrong_topics_are_refused(s: Scenario):
    """Each wrong setting is named, with the command that mends it."""
    forgetful = Dispatch(s, "forgetful")
    s.broker.configure_topic(forgetful.input, retention_ms=406 * DAY_MS, retention_bytes=10**9,
                             cleanup_policy="compact")
    narrow = Dispatch(s, "narrow", apply=False)
    s.broker.create_topics([narrow.input, "narrow.dead-letters"], 4, {"retention.ms": -1})
    s.broker.create_topic(narrow.due, 3)
    for dispatch, *texts in (
        (forgetful, r"topic forgetful\.retries\.delayed has retention\.ms=\d+: a command must outlast",
         r"topic forgetful\.retries\.delayed has retention\.bytes=\d+: commands must not be dropped",
         r"topic forgetful\.retries\.delayed has cleanup\.policy=compact"),
        (narrow, r"topic narrow\.retries\.due has 3 partitions, not 4"),
    ):
        dispatcher = dispatch.worker("d1")
        wait_until(lambda dispatcher=dispatcher, texts=texts: refused(dispatcher, texts), 30, "a refusal")
        dispatch.apply()
        dispatcher.start()
        dispatcher.wait_log("code=assigned")
        assert dispatcher.terminate() == 0


def refused(dispatcher, texts):
    """Whether a start ends with 78 and these texts. What the broker was told shows there a moment later."""
    dispatcher.start()
    ended, lines = dispatcher.wait_exit(60), dispatcher.log_text()
    assert ended == CONFIG_ERROR, f"exit {ended}\n{lines}"
    for text in (*texts, "`rimbalzo topics apply` mends it"):
        assert re.search(text, lines), f"{text!r} is not said:\n{lines}"
    return True


def basics(s: Scenario):
    s.kafka(BROKER)
    for part in (each_kind_of_command, what_comes_at_random, both_roles_in_one_process, three_topics_are_enough,
                 control_records_are_no_lag, wrong_topics_are_refused):
        with claim(part.__name__):
            part(s)


if __name__ == "__main__":
    main(basics)
