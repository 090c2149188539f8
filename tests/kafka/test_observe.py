#!/usr/bin/env python3
"""What can be seen from outside: /metrics, /livez, /readyz and `rimbalzo lag`, against Kafka's own tool."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Scenario, main, wait_until
from kafka_metrics import Scrape, check_form
from kafka_pipeline import BROKER, Pipeline, claim

PARTITIONS = 4
UNREACHABLE = 69
# The brokers are asked every two seconds; what that takes, and a scrape on a slow machine, comes on top.
ONE_POLL_S = 2 + 2


def ms_now():
    return int(time.time() * 1000)


# -- rimbalzo lag --


def lag(s, worker, *arguments, expect=0):
    """{(role, partition): row} of `rimbalzo lag`, and what it said on stderr."""
    done = s.run("lag", "-o", "jsonl", *arguments, config=worker, expect=expect)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {(row["role"], row["partition"]): row for row in rows}, done.stderr


def same_as_kafkas_tool(s, pipeline, worker, role="worker"):
    """The rows of a role, which are those of ConsumerGroupCommand: every partition that it knows, the same numbers.
    The second entry of the group, its certificates, is in neither of ours."""
    group = f"{pipeline.app}-{role}"
    topic = pipeline.input if role == "worker" else pipeline.prefix + "retries.delayed"
    theirs = {row["partition"]: row for row in pipeline.broker.describe_group(group) if row["topic"] == topic}
    rows, _ = lag(s, worker, role)
    assert {row["topic"] for row in rows.values()} == {topic}, rows
    for partition, row in theirs.items():
        ours = rows[role, partition]
        assert ours["committed"] == row["current_offset"], (ours, row)
        assert ours["end"] == row["log_end_offset"], (ours, row)
        assert row["lag"] is None or ours["lag_records"] == row["lag"], (ours, row)
    return rows


def stamped(records, partition, first_ms, step_ms=1000):
    """Records for one partition, with timestamps that ascend."""
    return [kafka_read.Record(b"key", record.value, partition=partition, timestamp_ms=first_ms + i * step_ms)
            for i, record in enumerate(records)]


def check_seconds(rows, waiting_since, slack_s=3.0):
    """lag_seconds of each partition is the age of its first record; slack for the time that asking takes."""
    for partition, since_ms in waiting_since.items():
        row = rows["worker", partition]
        if since_ms is None:
            assert (row["lag_records"], row["lag_seconds"]) == (0, 0), row
        else:
            age = (ms_now() - since_ms) / 1000
            assert age - slack_s <= row["lag_seconds"] <= age, (row, age)


def lag_without_a_worker(s: Scenario):
    """A group that never was is behind by all there is; the first record's timestamp counts, not the last one's."""
    pipeline = Pipeline(s, "before", partitions=PARTITIONS)
    worker = pipeline.worker("w1")
    rows, said = lag(s, worker)
    assert len(rows) == 2 * PARTITIONS and all(row["group_state"] == "absent" for row in rows.values()), rows
    assert "group before-worker does not exist" in said and "group before-dispatcher does not exist" in said, said
    first = ms_now() - 600_000
    records = pipeline.stream(seed=901, count=30)
    pipeline.produce(stamped(records[:20], 0, first) + stamped(records[20:], 1, first + 300_000))
    rows, _ = lag(s, worker, "worker")
    assert [rows["worker", p]["lag_records"] for p in range(PARTITIONS)] == [20, 10, 0, 0], rows
    assert all(row["committed"] is None for row in rows.values()), rows
    check_seconds(rows, {0: first, 1: first + 300_000, 2: None, 3: None})
    # What retention has taken is not waited for.
    s.broker.delete_records(pipeline.input, {0: 5})
    rows, _ = lag(s, worker, "worker")
    assert (rows["worker", 0]["log_start"], rows["worker", 0]["lag_records"]) == (5, 15), rows
    check_seconds(rows, {0: first + 5000})


def lag_of_a_stopped_worker(s: Scenario):
    """Behind by what came since, since the first of it; on a transactionally produced input too, where the
    marks of transactions and aborted records are no lag once the worker has passed them."""
    pipeline = Pipeline(s, "stopped", partitions=PARTITIONS)
    records = pipeline.stream(seed=902, count=400)
    worker = pipeline.worker("w1").start()
    pipeline.produce(records[:200], transactional_id="stopped", batch=30)
    pipeline.produce(records[200:220], transactional_id="stopped", end="abort")
    pipeline.wait_done([worker])
    wait_until(lambda: told(worker) == {p: (0, 0) for p in range(PARTITIONS)}, ONE_POLL_S, "/metrics to have no lag",
               alive=[worker])
    rows = same_as_kafkas_tool(s, pipeline, worker)
    assert all((row["lag_records"], row["lag_seconds"]) == (0, 0) for row in rows.values()), rows
    assert told(worker) == {p: (0, 0) for p in range(PARTITIONS)}, told(worker)
    assert {row["owner"] for row in rows.values()} == {"stopped-w1-0"}, rows
    assert {row["group_state"] for row in rows.values()} == {"stable"}, rows
    assert worker.terminate() == 0
    first = ms_now() - 100_000
    for i in range(3):  # aborted ones come first, and are no records
        pipeline.produce(stamped(records[220:225], i, first - 50_000), transactional_id="stopped", end="abort")
        pipeline.produce(stamped(records[230:240], i, first + 10_000 * i), transactional_id="stopped")
    rows = same_as_kafkas_tool(s, pipeline, worker)
    # Ten records, five aborted ones, a mark each.
    assert [rows["worker", p]["lag_records"] for p in range(PARTITIONS)] == [17, 17, 17, 0], rows
    since = {0: first, 1: first + 10_000, 2: first + 20_000, 3: None}
    check_seconds(rows, since)
    pipeline.produce(stamped(records[240:300], 0, ms_now()), transactional_id="stopped")
    rows = same_as_kafkas_tool(s, pipeline, worker)
    assert rows["worker", 0]["lag_records"] == 17 + 61, rows
    check_seconds(rows, since)
    # Only aborted records: behind in offsets, and nothing waits.
    pipeline.produce(stamped(records[220:225], 3, first), transactional_id="stopped", end="abort")
    rows = same_as_kafkas_tool(s, pipeline, worker)
    assert (rows["worker", 3]["lag_records"], rows["worker", 3]["lag_seconds"]) == (6, 0), rows
    check_limits(s, worker, sum(row["lag_records"] for row in rows.values()), (ms_now() - first) / 1000)
    wait_until(lambda: lag(s, worker, "worker")[0]["worker", 0]["group_state"] == "empty", 20,
               "the static member to be forgotten")
    assert "has no members" in lag(s, worker, "worker")[1]
    worker.start()
    pipeline.wait_done([worker])
    rows = same_as_kafkas_tool(s, pipeline, worker)
    check_seconds(rows, {p: None for p in range(PARTITIONS)})
    lag(s, worker, "worker", "--fail-above", 0, "--fail-above", "1ms")
    assert worker.terminate() == 0


def check_limits(s, worker, behind, seconds):
    """--fail-above: 1 when above, 0 when not; in records and in time."""
    for limit, code in ((behind, 0), (behind - 1, 1), (f"{int(seconds) + 60}s", 0), (f"{int(seconds) - 20}s", 1),
                        ("1m", 1), ("1h", 0)):
        lag(s, worker, "worker", "--fail-above", limit, expect=code)
    lag(s, worker, "worker", "--fail-above", behind, "--fail-above", "1s", expect=1)
    done = s.run("lag", "--watch", "--fail-above", behind - 1, "worker", config=worker, expect=1)
    assert done.stdout.startswith("ROLE"), done.stdout


def lag_in_trouble(s: Scenario):
    """An open transaction, a group that rebalances, a broker that is not there: it is said."""
    pipeline = Pipeline(s, "trouble", partitions=PARTITIONS, config={"kafka": {"transaction.timeout.ms": "8000"}})
    first = pipeline.worker("w1")
    second = pipeline.worker("w2")
    pipeline.produce(pipeline.stream(seed=903, count=200))
    first.start()
    pipeline.wait_done([first])
    assert first.terminate() == 0
    committed = {p: row["committed"] for (_, p), row in lag(s, first, "worker")[0].items()}
    pipeline.produce(pipeline.stream(seed=904, count=200))
    first.start(failpoint="after-offsets:1")
    first.wait_exit(30)
    rows, said = lag(s, first, "worker")
    assert any(row["pending"] for row in rows.values()), rows
    assert "are unstable: a transaction that commits them is open" in said, said
    assert {p: row["committed"] for (_, p), row in rows.items()} == committed, (rows, committed)
    assert sum(row["lag_records"] for row in rows.values()) > 0, rows
    second.start()
    check_restoring_is_named(second)
    pipeline.wait_done([second])
    rows = same_as_kafkas_tool(s, pipeline, second)
    assert not any(row["pending"] for row in rows.values()), rows
    # A member that stands still keeps the group from settling, until its session has timed out.
    second.pause()
    first.start()
    said = wait_until(lambda: rebalancing(s, first), 30, "the group to be seen rebalancing", every_s=0)
    assert "is rebalancing" in said, said
    second.resume()
    pipeline.wait_done([first])
    for worker in (first, second):
        assert worker.terminate() == 0
    s.run("lag", "--set", "kafka.bootstrap.servers=127.0.0.1:1", config=first, expect=UNREACHABLE)


def rebalancing(s, worker):
    rows, said = lag(s, worker, "worker")
    return said if rows["worker", 0]["group_state"] == "rebalancing" else None


def check_restoring_is_named(worker):
    """While a predecessor's transaction is open, its partitions restore: that is being ready, and is told."""
    def restoring():
        status, text = worker.http("/readyz")
        ready = json.loads(text)
        return (status, ready) if ready["restoring"] else None

    status, ready = wait_until(restoring, 30, "a partition to be restoring", alive=[worker])
    assert status == 200 or not ready["connected"] or not ready["started"], (status, ready)
    place = ready["restoring"][0]
    assert place["role"] == "worker" and 0 <= place["partition"] < PARTITIONS, ready
    assert ready["partitions"]["restoring"] == len(ready["restoring"]), ready


# -- /metrics --


PER_PARTITION = ("rimbalzo_committed_offset", "rimbalzo_end_offset", "rimbalzo_lag_records", "rimbalzo_lag_seconds",
                 "rimbalzo_last_progress_timestamp_seconds", "rimbalzo_store_entries", "rimbalzo_store_used_bytes",
                 "rimbalzo_store_map_bytes", "rimbalzo_restore_remaining_records")


def owned(worker, role="worker"):
    """The partitions that a process tells of, each by every metric that there is of a running one."""
    scrape = Scrape(worker)
    found = {name: scrape.labels(name, "partition", role=role) for name in PER_PARTITION}
    assert len(set(map(frozenset, found.values()))) == 1, found
    count = sum(value for _, value in scrape.all("rimbalzo_partitions", role=role))
    assert len(found["rimbalzo_lag_records"]) == count, (found, count)
    return found["rimbalzo_lag_records"]


def split(workers, role="worker"):
    """Whether each partition is told by exactly one of them."""
    each = [owned(worker, role) for worker in workers]
    assert sum(map(len, each)) == PARTITIONS, each
    assert set().union(*each) == {str(p) for p in range(PARTITIONS)}, each
    return each


def told(worker):
    """{partition: (records, seconds)} of the worker's lag on /metrics."""
    scrape = Scrape(worker)
    seconds = {found["partition"]: value for found, value in scrape.all("rimbalzo_lag_seconds", role="worker")}
    return {int(found["partition"]): (value, seconds.get(found["partition"]))
            for found, value in scrape.all("rimbalzo_lag_records", role="worker")}


def tells_the_same_as_kafkas_tool(pipeline, workers, role="worker"):
    """Committed offset, end and lag of every partition on /metrics, and those of ConsumerGroupCommand."""
    topic = pipeline.input if role == "worker" else pipeline.prefix + "retries.delayed"
    theirs = {str(row["partition"]): row for row in pipeline.broker.describe_group(f"{pipeline.app}-{role}")
              if row["topic"] == topic}
    assert len(theirs) == PARTITIONS, theirs
    for worker in workers:
        scrape = Scrape(worker)
        for partition in scrape.labels("rimbalzo_lag_records", "partition", role=role):
            of = {"role": role, "topic": topic, "partition": partition}
            ours = tuple(scrape.value(name, **of) for name in PER_PARTITION[:3])
            row = theirs.pop(partition)
            assert ours == (row["current_offset"], row["log_end_offset"], row["lag"]), (of, ours, row)
    assert not theirs, theirs
    return True


def check_sums(worker, dispatcher=False):
    """What a process has counted fits together: each record once by its outcome, each output once."""
    s = Scrape(worker)
    role = "dispatcher" if dispatcher else "worker"
    for name in ("transaction", "store_commit"):
        assert s.sum(f"rimbalzo_{name}_duration_seconds_count", role=role) == \
            s.value(f"rimbalzo_{name}_duration_seconds_bucket", role=role, le="+Inf")
    assert s.sum("rimbalzo_transactions_total", role=role) == \
        s.value("rimbalzo_transaction_duration_seconds_count", role=role)
    assert s.value("rimbalzo_kafka_brokers_up", role=role) == 1
    written = {found["topic"].split(".", 1)[1]: value
               for found, value in s.all("rimbalzo_produced_records_total", role=role)}
    assert written["dead-letters"] == s.sum("rimbalzo_dead_letters_total")
    if dispatcher:
        commands = {found["outcome"]: value for found, value in s.all("rimbalzo_dispatcher_commands_total")}
        assert written["retries.due"] == commands["released"] + commands["freed"], (written, commands)
        assert s.value("rimbalzo_dispatcher_release_delay_seconds_count") == commands["released"]
        gone = sum(commands[outcome] for outcome in ("cancelled", "freed", "released", "replaced"))
        assert commands["scheduled"] - gone == s.value("rimbalzo_dispatcher_pending") == \
            s.sum("rimbalzo_store_entries"), commands
        return s
    handled = s.sum("rimbalzo_outcomes_total") + s.sum("rimbalzo_dead_letters_total") + s.sum("rimbalzo_rerouted_total")
    assert s.value("rimbalzo_records_total", role=role) == handled
    assert s.value("rimbalzo_bounce_age_seconds_count") == s.sum("rimbalzo_bounces_total")
    for topic, name in (("retries.delayed", "commands"), ("suppressions", "suppressions"), ("notices", "notices"),
                        ("bounces", "rerouted")):
        assert written[topic] == s.sum(f"rimbalzo_{name}_total"), (topic, written)
    return s


def one_of_two_workers_dies(s: Scenario):
    """Two workers and a dispatcher; one worker is killed under load and comes back."""
    config = {"kafka": {"transaction.timeout.ms": "6000", "statistics.interval.ms": "500"}}
    pipeline = Pipeline(s, "seen", partitions=PARTITIONS, config=config)
    first, second = [pipeline.worker(name).start() for name in ("w1", "w2")]
    dispatcher = pipeline.worker("d1", command="dispatcher").start()
    everybody = [first, second, dispatcher]
    feeder = pipeline.feeder(pipeline.stream(seed=910, count=40000))
    feeder.give(8000)
    pipeline.wait_done(everybody)
    wait_until(lambda: split([first, second]), 30, "each partition to be told by one worker", alive=everybody)
    wait_until(lambda: tells_the_same_as_kafkas_tool(pipeline, [first, second]), 30, "the tool's lag", alive=everybody)
    with claim("nothing has died: every record of the input is counted once, and every output"):
        wait_until(lambda: check_sums(first) and check_sums(second), 10, "sums that fit", alive=everybody)
        counted = sum(Scrape(w).value("rimbalzo_records_total", role="worker") for w in (first, second))
        assert counted == pipeline.broker.count(pipeline.input), counted
        for topic in ("recipients", "retries.delayed", "suppressions", "notices", "dead-letters"):
            written = sum(Scrape(w).sum("rimbalzo_produced_records_total", topic=pipeline.prefix + topic)
                          for w in (first, second))
            assert written == pipeline.broker.count(pipeline.prefix + topic), topic
    with claim("killed under load: the survivor tells of all partitions"):
        feeder.give(4000)
        before = Scrape(first).value("rimbalzo_records_total", role="worker")
        wait_until(lambda: Scrape(first).value("rimbalzo_records_total", role="worker") > before, 30, "load")
        first.kill()
        feeder.give(4000)
        wait_until(lambda: split([second]), 60, "the survivor to have all", alive=[second, dispatcher])
        feeder.give(4000)
        pipeline.wait_done([second, dispatcher])
        wait_until(lambda: tells_the_same_as_kafkas_tool(pipeline, [second]), 30, "the tool's lag")
    with claim("taken away: the series are gone with the partition"):
        seen = len(second.log_lines())
        first.start()

        def told_after_revocation():
            lines = second.log_lines()[seen:]
            given = [line for line in lines if "code=assigned" in line]
            return Scrape(second) if given else None

        scrape = wait_until(told_after_revocation, 60, "a rebalance", every_s=0.01, alive=everybody)
        for name in PER_PARTITION:
            assert len(scrape.labels(name, "partition")) < PARTITIONS, (name, scrape.labels(name, "partition"))
        feeder.finish()
        pipeline.wait_done(everybody)
        wait_until(lambda: split([first, second]), 30, "each partition to be told by one worker", alive=everybody)
        wait_until(lambda: tells_the_same_as_kafkas_tool(pipeline, [first, second]), 30, "the tool's lag")
    with claim("all of it fits together, and its form is right"):
        for worker in (first, second):
            check_sums(worker)
        wait_until(lambda: tells_the_same_as_kafkas_tool(pipeline, [dispatcher], "dispatcher"), 60,
                   "the dispatcher to have no lag", alive=everybody)
        wait_until(lambda: check_sums(dispatcher, dispatcher=True), 10, "sums that fit", alive=everybody)
        assert Scrape(dispatcher).value("rimbalzo_dispatcher_overdue_seconds") < 5
        for worker in everybody:
            check_form(worker)
        same_as_kafkas_tool(s, pipeline, first)
        same_as_kafkas_tool(s, pipeline, first, "dispatcher")
    for worker in everybody:
        assert worker.terminate() == 0
    pipeline.verify(calm=False)


def is_aged(worker, partition, records, first_ms):
    """Whether so many records wait, the first of them since then: as it was known a poll ago or later."""
    behind, seconds = told(worker).get(partition, (None, 0))
    age = (ms_now() - first_ms) / 1000
    return behind == records and seconds is not None and age - ONE_POLL_S <= seconds <= age


def a_failed_partition(s: Scenario):
    """What waits in a partition that has failed ages; its code is told, and that the process is not ready."""
    pipeline = Pipeline(s, "aging", partitions=PARTITIONS,
                        config={"kafka": {"topic.metadata.refresh.interval.ms": "1000", "metadata.max.age.ms": "3000"}})
    records = pipeline.stream(seed=911, count=100)
    worker = pipeline.worker("w1", command="run").start()
    pipeline.produce(records[:50])
    pipeline.wait_done([worker])
    wait_until(lambda: sorted(split([worker])[0]) and sorted(split([worker], "dispatcher")[0]), 30, "all to be told")
    check_form(worker)
    wait_until(lambda: [seconds for _, seconds in Scrape(worker).all("rimbalzo_lag_seconds", role="worker")]
               == [0] * PARTITIONS, 10, "nothing to wait", alive=[worker])
    s.broker.topics("--alter", "--topic", pipeline.input, "--partitions", PARTITIONS + 1)
    worker.wait_log("code=partition_count_changed", deadline_s=60)
    # No input: no lag. Input: within one poll it is what Kafka says, as old as the first record. No more input: it ages.
    # Input again: the first record still counts.
    wait_until(lambda: told(worker).get(2) == (0, 0), ONE_POLL_S, "no lag of a failed partition", alive=[worker])
    first = ms_now() - 30_000
    pipeline.produce(stamped(records[50:60], 2, first))
    wait_until(lambda: is_aged(worker, 2, 10, first), ONE_POLL_S, "the lag of a failed partition", alive=[worker])
    row, = [row for row in pipeline.broker.describe_group(pipeline.group)
            if (row["topic"], row["partition"]) == (pipeline.input, 2)]
    assert row["lag"] == 10, row
    older = told(worker)[2][1] + 2
    wait_until(lambda: told(worker).get(2, (0, 0))[1] > older, 2 + ONE_POLL_S, "the lag to age", alive=[worker])
    assert is_aged(worker, 2, 10, first), told(worker)
    pipeline.produce(stamped(records[60:65], 2, ms_now()))
    wait_until(lambda: is_aged(worker, 2, 15, first), ONE_POLL_S, "the input to have gone on", alive=[worker])
    scrape = Scrape(worker)
    assert scrape.value("rimbalzo_partitions", role="worker", state="failed") == PARTITIONS + 1
    assert scrape.value("rimbalzo_partitions", role="dispatcher", state="failed") == 0
    assert scrape.sum("rimbalzo_errors_total", stage="poll", code="partition_count_changed") == 1
    status, text = worker.http("/readyz")
    ready = json.loads(text)
    assert status == 503 and not ready["ready"] and ready["connected"], text
    assert {(place["role"], place["partition"], place["code"]) for place in ready["failed"]} == \
        {("worker", p, "partition_count_changed") for p in range(PARTITIONS + 1)}, text
    assert worker.http("/livez")[0] == 200
    assert worker.terminate() == 0


def a_broker_that_is_silent(s: Scenario):
    """Not ready, still alive, still answering at once; ready again by itself."""
    pipeline = Pipeline(s, "silent", partitions=PARTITIONS)
    worker = pipeline.worker("w1").start()
    pipeline.produce(pipeline.stream(seed=912, count=100))
    pipeline.wait_done([worker])
    wait_until(lambda: split([worker]), 30, "all to be told")
    worker.wait_ready()
    s.broker.pause()
    wait_until(lambda: worker.http("/readyz")[0] == 503, 40, "a silent broker to be noticed", alive=[worker])
    ready = json.loads(worker.http("/readyz")[1])
    assert not ready["connected"] and ready["started"] and not ready["failed"], ready
    began = time.monotonic()
    scrape = Scrape(worker)
    took = time.monotonic() - began
    assert took < 1, f"a scrape took {took:.1f} s"
    assert not scrape.all("rimbalzo_lag_records"), "a lag that nobody can know"
    assert worker.http("/livez")[0] == 200
    s.broker.resume()
    worker.wait_ready(60)
    wait_until(lambda: split([worker]), 60, "all to be told again", alive=[worker])
    assert worker.terminate() == 0


def observe(s: Scenario):
    s.kafka(BROKER)
    for part in (lag_without_a_worker, lag_of_a_stopped_worker, lag_in_trouble, one_of_two_workers_dies,
                 a_failed_partition, a_broker_that_is_silent):
        with claim(part.__name__):
            part(s)


if __name__ == "__main__":
    main(observe)
