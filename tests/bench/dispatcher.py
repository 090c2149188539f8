#!/usr/bin/env python3
"""How late commands leave at a steady rate, on a real broker on this machine.

    tests/bench/dispatcher.py [--rate N] [--seconds N] [--ahead N] [--partitions N] [--threads N] [--waiting N]

Commands that come due evenly, --rate of them a second for --seconds, are written to the delayed topic beforehand,
--ahead seconds before the first is due; --waiting more are due long after and only fill the store. A read_committed
reader notes when each arrives. `stamped` is the record's own timestamp, the moment the dispatcher let it go; `arrived`
is when the reader had it, commit and fetch included. Milliseconds after the due time.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "oracle")]
# pylint: disable=wrong-import-position
import avro
import identity
import kafka_read
from kafka_harness import Producer, Scenario, main, wait_until

DELAYED, DUE = "bench.retries.delayed", "bench.retries.due"


def command(codec, number, due, now, partitions, dice):
    recipient = f"user{dice.randrange(10**6):06d}@example.org"
    fields = {"command_id": str(uuid.UUID(int=dice.getrandbits(128))), "action": "SCHEDULE", "tenant": "",
              "recipient": recipient, "message_id": f"<{number}@mail.example.org>", "episode": 1, "attempt": 1,
              "max_attempts": 4, "message_attempt": 0, "due_at": due, "issued_at": now, "status": "4.2.1",
              "reason": "mailbox_disabled", "source_partition": 0, "source_offset": number}
    key = recipient.encode()
    partition = (identity.murmur2(key) & 0x7FFFFFFF) % partitions
    return kafka_read.Record(key, codec.encode("RetryCommand", fields), (("due", str(due).encode()),), partition, now)


def bench(options):
    def dispatcher(s: Scenario):
        s.kafka(jvm=("-Xmx2g",))
        process = s.worker("d1", command="dispatcher", config={
            "app": "bench", "topics": {"prefix": "bench.", "partitions": options.partitions},
            "dispatcher": {"threads": options.threads}})
        s.run("topics", "apply", "--yes", config=process)
        process.start().wait_ready()
        codec, dice = avro.Codec(), random.Random(1)
        count = options.rate * options.seconds
        now = int(time.time() * 1000)
        first = now + options.ahead * 1000
        dues = [now + 86400000 + n for n in range(options.waiting)]
        dues += [first + n * 1000 // options.rate for n in range(count)]
        producer = Producer(s.broker.bootstrap, DELAYED)
        producer.send(command(codec, n, due, now, options.partitions, dice) for n, due in enumerate(dues))
        producer.close()
        left = first / 1000 - time.time()
        assert left > 2, f"the commands were not written in time, {-left:.0f} s late: use --ahead"
        reader = subprocess.Popen([kafka_read.tool_path("due_reader"), s.broker.bootstrap, DUE, str(count)],
                                  stdout=subprocess.PIPE)
        figures = json.loads(reader.communicate(timeout=options.seconds + left + 120)[0])
        wait_until(lambda: process.metric("rimbalzo_dispatcher_pending") == options.waiting, 30, "the rest to wait")
        print(f"{count} commands at {options.rate} due/s, {options.partitions} partitions, {options.threads} threads, "
              f"{options.waiting} waiting, {process.metric('rimbalzo_transactions_total', outcome='committed'):.0f} transactions")
        for what in ("stamped", "arrived"):
            print(f"{what:8} " + "  ".join(f"{name} {value} ms" for name, value in figures[what].items()), flush=True)
        assert figures["stamped"]["min"] >= 0
        assert process.terminate() == 0
    return dispatcher


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=10000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--ahead", type=int, default=45)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--waiting", type=int, default=0)
    arguments = parser.parse_args()
    sys.argv[1:] = []
    main(bench(arguments))
