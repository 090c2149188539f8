#!/usr/bin/env python3
"""The port on Kafka: what src/stream/port.h promises, against a real broker (tests/kafka/port/)."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Scenario, main, wait_until

TOPICS = ["bounces", "recipients", "retries.delayed", "retries.due", "suppressions", "notices", "dead-letters"]
BROKER = {"log.cleaner.backoff.ms": 200, "log.initial.task.delay.ms": 100,
          "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000}


class Probe:
    """One scenario of port_probe in a process of its own."""

    def __init__(self, broker, name, missing=(), config=None):
        self.name = name
        self.broker = broker
        self.prefix = f"{name}."
        for topic in TOPICS:
            if topic not in missing:
                broker.create_topic(self.prefix + topic, 2, (config or {}).get(topic))
        self.popen = subprocess.Popen(  # pylint: disable=consider-using-with
            [kafka_read.tool_path("port_probe"), broker.bootstrap, self.prefix, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait_line(self, wanted):
        """Reads its output up to a line."""
        for line in self.popen.stdout:
            if line.decode().strip() == wanted:
                return
        self.finish()
        raise AssertionError(f"{self.name} never said {wanted}")

    def go_on(self):
        self.popen.stdin.write(b"go on\n")
        self.popen.stdin.flush()

    def finish(self, deadline_s=150):
        try:
            out, errors = self.popen.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            out, errors = self.popen.communicate()
            raise AssertionError(f"{self.name}: no end\n{out.decode()}{errors.decode()}") from None
        if self.popen.returncode != 0:
            raise AssertionError(f"{self.name}: exit {self.popen.returncode}\n{out.decode()}{errors.decode()}")
        return out.decode()


def run(broker, name, **options):
    began = time.monotonic()
    said = Probe(broker, name, **options).finish()
    print(f"       {name} ({time.monotonic() - began:.1f} s) {' | '.join(said.splitlines())}", flush=True)


def transactions(s: Scenario):
    broker = s.kafka(BROKER)
    for name in ("records_keep_what_was_sent", "aborted_records_are_not_read",
                 "offsets_and_certificates_come_back", "unstable_offsets_are_not_no_offsets",
                 "a_zombie_is_fenced", "a_dead_owner_holds_up_its_heir_no_longer",
                 "a_dead_stranger_holds_up_until_its_timeout"):
        run(broker, name)
    run(broker, "a_record_too_large_is_named", config={"notices": {"max.message.bytes": 1000}})
    run(broker, "a_missing_topic_is_told", missing=["dead-letters"])


def consuming(s: Scenario):
    broker = s.kafka(BROKER)
    for name in ("assign_is_followed_by_its_offset", "position_passes_what_is_not_returned",
                 "poll_waits_for_the_first_record_only", "a_second_member_takes_half",
                 "the_last_owner_of_an_instance_wins"):
        run(broker, name)


def tools(s: Scenario):
    broker = s.kafka(BROKER)
    run(broker, "topics_are_made_and_mended", missing=TOPICS)
    run(broker, "tools_read_what_tools_wrote")
    run(broker, "properties_that_matter_are_refused", missing=TOPICS)


def a_position_out_of_range_is_told(s: Scenario):
    broker = s.kafka(BROKER)
    probe = Probe(broker, "a_position_out_of_range_is_told")
    probe.wait_line("filled")
    broker.delete_records(probe.prefix + "bounces", {0: 5})
    probe.go_on()
    probe.finish()


def restoring_passes_compacted_records(s: Scenario):
    broker = s.kafka(BROKER)
    # Only closed segments are compacted: small ones, so that all but the last are.
    probe = Probe(broker, "restoring_passes_compacted_records", config={"recipients": {
        "cleanup.policy": "compact", "segment.bytes": 1048576, "segment.ms": 500,
        "min.cleanable.dirty.ratio": 0.01, "max.compaction.lag.ms": 500, "delete.retention.ms": 0}})
    probe.wait_line("filled")
    # A segment is closed by the next record written after its time.
    topic = probe.prefix + "recipients"

    def compacted():
        broker.produce(topic, [kafka_read.Record(partition=0, key=b"even", value=b"value")])
        return broker.count(topic) < 3000

    wait_until(compacted, 60, "the cleaner to run", every_s=0.7)
    probe.go_on()
    probe.finish()


def a_broker_that_restarts_loses_nothing(s: Scenario):
    for kill in (False, True):
        broker = s.kafka({**BROKER, "unclean.leader.election.enable": "true"})
        probe = Probe(broker, "a_broker_that_restarts_loses_nothing")
        probe.wait_line("half")
        broker.restart(kill=kill)
        print("      ", probe.finish().splitlines()[-1], flush=True)
        broker.stop()


if __name__ == "__main__":
    main(transactions, consuming, tools, a_position_out_of_range_is_told, restoring_passes_compacted_records,
         a_broker_that_restarts_loses_nothing)
