"""A process that was stopped beyond its session and its transaction, and two that claim one identity: of any role.

`make(app, count)` gives a pipeline of two partitions and a feeder of so many records.
"""

import re
import time

from kafka_harness import DeadlineExceeded, wait_until
from kafka_pipeline import BROKER, claim

SHORT = {"kafka": {"session.timeout.ms": "2000", "heartbeat.interval.ms": "300", "transaction.timeout.ms": "3000"},
         "worker": {"commit_interval": "20ms"}, "dispatcher": {"commit_interval": "20ms"}}
FENCED = 78


def pause_inside_a_transaction(pipeline, worker, feeder, tries=40):
    """Stops the worker while its transaction is open (told by the last stable offset), input flowing."""
    for _ in range(tries):
        before = pipeline.ends(pipeline.changelog, "read_uncommitted")
        feeder.give(100)
        wait_until(lambda before=before: pipeline.ends(pipeline.changelog, "read_uncommitted") != before, 30,
                   "the worker to write", every_s=0.002)
        worker.pause()
        time.sleep(0.05)  # what was under way when it stopped arrives
        if pipeline.has_open_transaction():
            return True
        worker.resume()
    return False


def zombies_leave_no_trace(make, rounds):
    pipeline, feeder = make("zombie", 20000)
    first = pipeline.worker("w1", config=SHORT).start()
    first.wait_log("code=running", count=2)
    second = pipeline.worker("w2", config=SHORT)
    inside = 0
    for number in range(rounds):
        zombie, heir = (first, second) if number % 2 == 0 else (second, first)
        open_now = pause_inside_a_transaction(pipeline, zombie, feeder)
        inside += open_now
        if not open_now:
            zombie.pause()
        if not heir.is_alive():
            heir.start()
        feeder.give(1000)
        # The heir has both partitions, and works off all there is.
        pipeline.wait_done([heir])
        # Back again: what it still holds must come to nothing, and it must find its place by itself.
        began = len(re.findall("code=assigned", heir.log_text()))
        zombie.resume()
        feeder.give(500)
        wait_until(lambda heir=heir, began=began: len(re.findall("code=assigned", heir.log_text())) > began, 60,
                   "the group to take the zombie back", alive=[first, second])
        pipeline.wait_done([first, second])
        # The next round begins with one owner of both partitions.
        assert zombie.terminate() == 0, zombie.log_tail()
        wait_until(lambda heir=heir: pipeline_alone(pipeline, heir), 60, "the heir to be alone", alive=[heir])
    feeder.finish()
    survivor = first if first.is_alive() else second
    pipeline.wait_done([survivor])
    assert survivor.terminate() == 0
    print(f"       {inside} of {rounds} stopped inside a transaction; {pipeline.verify(calm=False)}", flush=True)
    pipeline.check_calm(allowed=("librdkafka",))  # which calls a lost session an error
    assert inside, "never stopped inside a transaction"


def pipeline_alone(pipeline, heir):
    """Whether the last assignment of the heir is all partitions."""
    counts = re.findall(r"code=assigned .*count=(\d+)", heir.log_text())
    return counts and int(counts[-1]) == pipeline.partitions


def a_short_stop_is_forgiven(make):
    """Stopped beyond the transaction's timeout but within the session: one rebuild, no exit, no trace."""
    pipeline, feeder = make("nap", 8000)
    worker = pipeline.worker("w1", config={**SHORT, "kafka": {"session.timeout.ms": "30000",
                                                              "transaction.timeout.ms": "2000"}}).start()
    worker.wait_log("code=running", count=2)
    assert pause_inside_a_transaction(pipeline, worker, feeder), "never stopped inside a transaction"
    wait_until(lambda: not pipeline.has_open_transaction(), 60, "the coordinator to abort the transaction")
    worker.resume()
    feeder.finish()
    pipeline.wait_done([worker])
    assert worker.terminate() == 0
    pipeline.verify()


def the_last_of_an_instance_wins(make):
    """The same instance twice: the first ends with 78 and says why, the second goes on."""
    pipeline, feeder = make("twice", 8000)
    first = pipeline.worker("w1").start()
    first.wait_log("code=running", count=2)
    feeder.give(2000)
    impostor = pipeline.worker("w2", config={"instance": "twice-w1"}).start()
    deadline = time.monotonic() + 60
    while first.is_alive() and time.monotonic() < deadline:
        feeder.give(20)
        time.sleep(0.05)
    try:
        code = first.wait_exit(1)
    except DeadlineExceeded:
        raise AssertionError(f"the first of two went on\n{first.log_tail()}") from None
    assert code == FENCED, f"exit {code}\n{first.log_tail()}"
    assert "code=instance_fenced" in first.log_text(), first.log_tail()
    feeder.finish()
    pipeline.wait_done([impostor])
    assert impostor.terminate() == 0
    pipeline.verify(calm=False)
    pipeline.check_calm(allowed=("instance_fenced",))


def zombie(s, make, rounds):
    s.kafka({**BROKER, "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500})
    for part, *more in ((zombies_leave_no_trace, rounds), (a_short_stop_is_forgiven,), (the_last_of_an_instance_wins,)):
        with claim(part.__name__):
            part(make, *more)
