#!/usr/bin/env python3
"""What is pending comes back from the delayed topic alone; what became due meanwhile leaves in its order."""

import os
import random
import re
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_dispatch import Dispatch, now_ms
from kafka_harness import Scenario, main, wait_until
from kafka_pipeline import BROKER, claim

MINUTE_MS = 60_000
RECIPIENTS = 300


def pending(mark):
    """{partition: (n, d)} of the certificates."""
    found = {p: re.search(r"n=(\d+) d=(\w+)", text) for p, text in mark.certificates.items()}
    return {p: (int(match[1]), match[2]) for p, match in found.items()}


def restored(dispatcher):
    """{partition: records restored} of this start's log, as far as partitions run."""
    found = re.findall(r"code=running .*partition=(\d+) input_next=\d+ restored=(\d+)", dispatcher.log_text())
    return {int(partition): int(count) for partition, count in found}


def wait_running(dispatcher, count):
    wait_until(lambda: len(restored(dispatcher)) == count, 60, f"{dispatcher.name} to run {count} partitions",
               alive=[dispatcher])
    return restored(dispatcher)


def stop(dispatcher):
    assert dispatcher.terminate() == 0, dispatcher.log_tail()


def commands_of_every_age(dispatch, count):
    """Some that leave at once, many that stay, some of these cancelled."""
    rng = random.Random(count)
    now = now_ms()
    for number in range(count):
        recipient = f"r{rng.randrange(RECIPIENTS)}@example.org"
        if number % 100 == 99:
            yield dispatch.command("CANCEL", recipient, now)
        else:
            due_at = now + (rng.randrange(2000) if number % 3 == 0 else rng.randrange(10 * MINUTE_MS, 99 * MINUTE_MS))
            yield dispatch.command("SCHEDULE", recipient, due_at, [("number", b"%d" % number), ("none", None)])


def wiped_state_comes_back(s: Scenario):
    """The same commands by restore alone; a dispatcher with nothing takes half of them over."""
    dispatch = Dispatch(s, "wiped", partitions=4)
    dispatch.produce(list(commands_of_every_age(dispatch, 6000)))
    first = dispatch.worker("d1").start()
    dispatch.wait_taken_in([first])
    # What is due within two seconds leaves; what is left then stays for minutes.
    end = now_ms() + 2000
    wait_until(lambda: now_ms() > end and first.metric("rimbalzo_dispatcher_overdue_seconds") == 0, 30,
               "what is due to have left", alive=[first])
    dispatch.wait_taken_in([first])
    before, left = pending(dispatch.marks[-1]), dispatch.count_due()
    assert min(n for n, _ in before.values()) > 500 and left > 500, (before, left)
    stop(first)
    shutil.rmtree(first.state_dir)
    began = time.monotonic()
    first.start()
    counts = wait_running(first, 4)
    took = time.monotonic() - began
    assert all(counts[p] >= before[p][0] for p in range(4)), (counts, before)
    assert first.metric("rimbalzo_restored_records_total") == sum(counts.values())
    assert first.metric("rimbalzo_dispatcher_pending") == sum(n for n, _ in before.values())
    assert pending(dispatch.look()) == before
    print(f"       {sum(n for n, _ in before.values())} pending: {sum(counts.values())} records read again, "
          f"all partitions run {took:.1f} s after the start", flush=True)
    stop(first)
    first.start()  # with the state that was restored: nothing to read
    assert not any(wait_running(first, 4).values())

    second = dispatch.worker("d2").start()  # has nothing: takes partitions over by restore alone
    wait_until(lambda: restored(second), 60, "d2 to run partitions", alive=[first, second])
    moved = wait_running(second, 2)
    assert all(moved[p] >= before[p][0] for p in moved), (moved, before)
    assert pending(dispatch.look()) == before
    assert dispatch.count_due() == left, "a restore let something leave"

    # And they are the very commands: set free, each leaves once, as it was written.
    dispatch.produce([dispatch.command("RELEASE", f"r{number}@example.org", 0) for number in range(RECIPIENTS)])
    dispatch.wait_done([first, second])
    stop(second)
    stop(first)
    verdict = dispatch.verify()
    assert verdict.counts["left early by RELEASE"] == sum(n for n, _ in before.values()), (verdict, before)
    print(f"       {verdict}", flush=True)


def an_outage_is_made_up_for(s: Scenario):
    """Thousands become due while nobody is there: then they leave in the order of their times."""
    dispatch = Dispatch(s, "outage", partitions=4)
    dispatcher = dispatch.worker("d1").start()
    wait_running(dispatcher, 4)
    rng = random.Random(5)
    first_due, last_due = now_ms() + 7000, now_ms() + 10_000
    dispatch.produce([dispatch.command("SCHEDULE", f"r{rng.randrange(RECIPIENTS)}@example.org",
                                       rng.randrange(first_due, last_due)) for _ in range(5000)])
    mark = dispatch.wait_taken_in([dispatcher])
    assert sum(n for n, _ in pending(mark).values()) == 5000, "they were taken in too late for this test"
    stop(dispatcher)
    wait_until(lambda: now_ms() > last_due + 1000, 30, "all of them to be due")
    assert dispatch.count_due() == 0
    dispatcher.start(sets={"worker.batch_records_max": 100})  # so little at a time that it can be watched
    seen = []

    def made_up_for():
        metrics = dispatcher.metrics()
        seen.append(metrics.get("rimbalzo_dispatcher_overdue_seconds", 0))
        return metrics.get('rimbalzo_dispatcher_commands_total{outcome="released"}') == 5000

    wait_until(made_up_for, 60, "all to leave", alive=[dispatcher])
    assert max(seen) >= 2, seen
    dispatch.wait_done([dispatcher])
    assert dispatcher.metric("rimbalzo_dispatcher_overdue_seconds") == 0
    assert dispatcher.metric("rimbalzo_dispatcher_pending") == 0
    stop(dispatcher)
    verdict = dispatch.verify()
    places = {p: [] for p in range(4)}
    for command in sorted(verdict.comparison.matched, key=lambda command: command.left.offset):
        places[command.record.partition].append((command.due_at, command.offset))
    assert all(found == sorted(found) for found in places.values()), "not in the order of due times"
    print(f"       overdue_seconds {int(max(seen))} at most, then 0; {verdict}", flush=True)


def restore(s: Scenario):
    s.kafka(BROKER)
    for part in (wiped_state_comes_back, an_outage_is_made_up_for):
        with claim(part.__name__):
            part(s)


if __name__ == "__main__":
    main(restore)
