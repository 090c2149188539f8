#!/usr/bin/env python3
"""The worker's throughput on a real broker on this machine, beside a pass-through of the same outputs.

    tests/bench/worker.py [--records N] [--recipients N] [--threads N] [--rounds N]

Speeds of one machine say little: the figure to watch is the ratio to the pass-through of the same run, which
consumes the same input and writes as many records of the same size in transactions over the same port. Both start
with an empty group; time counts from the first committed offset seen to the last, the start left out.
"""

import argparse
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_harness import Scenario, main, wait_until

OUTPUTS = {"recipients": "recipients", "delayed": "retries.delayed", "suppressions": "suppressions",
           "notices": "notices", "dead_letters": "dead-letters"}


def usage(pid):
    """CPU seconds so far, and the most memory ever resident in KiB, of a process."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), peak


def committed(broker, group):
    entries = broker.committed(group)
    return sum(entry.offset for (topic, _), entry in entries.items() if topic == "rimbalzo.bounces" and entry.offset > 0)


def run_worker(s, number, records, threads):
    app = f"bench{number}"
    worker = s.worker(f"w{number}", config={"app": app, "topics": {"prefix": "rimbalzo."},
                                            "worker": {"threads": threads}})
    group = f"{app}-worker"
    worker.start()
    began = time.monotonic()
    started = None

    def done():
        nonlocal started, began
        now = committed(s.broker, group)
        if started is None and now > 0:
            started, began = now, time.monotonic()
        return now >= records

    wait_until(done, 600, "the input to be processed", every_s=0.05, alive=[worker])
    seconds = time.monotonic() - began
    cpu, rss = usage(worker.process.pid)
    assert worker.terminate(deadline_s=60) == 0
    return {"rate": (records - started) / seconds, "cpu_seconds": cpu, "rss_kb": rss}


def run_pass_through(s, number, records, counts):
    outputs = [f"{role}:{count}:{octets:.0f}" for role, (count, octets) in counts.items() if count]
    answer = subprocess.run([kafka_read.tool_path("pass_through"), s.broker.bootstrap, "rimbalzo.bounces",
                             f"pass{number}", str(records), *outputs], check=True, stdout=subprocess.PIPE, timeout=600)
    figures = json.loads(answer.stdout)
    return {"rate": figures["records"] / figures["seconds"], **figures}


def output_counts(s, before):
    """{role: (records, mean octets of the value)} written since `before`."""
    counts = {}
    for role, name in OUTPUTS.items():
        found = kafka_read.read_topic(s.broker.bootstrap, "rimbalzo." + name)[before.get(role, 0):]
        size = sum(len(r.value or b"") for r in found) / max(1, len(found))
        counts[role] = (len(found), size)
    return counts


def bench(options):
    def worker(s: Scenario):
        s.kafka(jvm=("-Xmx2g",))
        fresh = s.worker("setup")
        s.run("topics", "apply", "--yes", "--set", "topics.partitions=4", config=fresh)
        s.run("produce-sample", "-n", str(options.records), "--recipients", str(options.recipients), config=fresh,
              deadline_s=600)
        records = options.records
        for number in range(options.rounds):
            for role, name in OUTPUTS.items():
                s.broker.topics("--delete", "--topic", "rimbalzo." + name)
            wait_until(lambda: "rimbalzo.notices" not in s.broker.topics("--list"), 60, "topics to go")
            s.run("topics", "apply", "--yes", "--set", "topics.partitions=4", config=fresh)
            mine = run_worker(s, number, records, options.threads)
            counts = output_counts(s, {})
            ceiling = run_pass_through(s, number, records, counts)
            for what, figures in (("worker", mine), ("pass-through", ceiling)):
                print(f"{what:13} {figures['rate'] / 1e6:6.3f} M records/s   {figures['cpu_seconds']:6.2f} CPU s   "
                      f"{figures['rss_kb'] / 1024:6.0f} MB RSS", flush=True)
            written = sum(count for count, _ in counts.values())
            print(f"ratio {mine['rate'] / ceiling['rate']:.2f}   ({records} records of {options.recipients} recipients, "
                  f"{written} outputs, {options.threads} threads)", flush=True)
    return worker


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1000000)
    parser.add_argument("--recipients", type=int, default=100000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    sys.argv[1:] = []
    main(bench(arguments))
