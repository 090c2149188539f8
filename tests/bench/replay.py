#!/usr/bin/env python3
"""How fast the state of a deployment is recomputed and proven, and with how much memory and disk.

    tests/bench/replay.py [--records N] [--recipients N] [--partitions N] [--threads N...]

A worker processes the input first; then `state verify` recomputes all of it and compares every recipient, with each
number of threads. Ten million records: --records 10000000 --recipients 1000000.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_harness import Scenario, binary_path, main, wait_until


def committed(broker, group):
    entries = broker.committed(group)
    return sum(entry.offset for (topic, _), entry in entries.items() if topic == "rimbalzo.bounces" and entry.offset > 0)


def size_of(folder):
    """Octets that the files below a folder take."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def verify(worker, threads, folder):
    """(seconds, records a second, recipients, peak of memory, of disk) of one run."""
    log = os.path.join(folder, "verify.log")
    peak_disk, done = 0, threading.Event()

    def watch():
        nonlocal peak_disk
        while not done.wait(0.2):
            peak_disk = max(peak_disk, size_of(folder))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    with open(log, "wb") as file:
        process = subprocess.Popen([binary_path(), "state", "verify", "-c", worker.config_path, "--tmp", folder,
                                    "--threads", str(threads)], stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    done.set()
    watcher.join()
    with open(log, encoding="utf-8") as file:
        text = file.read()
    assert os.waitstatus_to_exitcode(status) == 0 and "verified" in text, text
    told = re.search(r"(\d+) records of .* recomputed, (\d+) recipients compared, in [\d.]+ s \((\d+) records/s\)", text)
    return {"seconds": seconds, "records": int(told[1]), "recipients": int(told[2]), "rate": int(told[3]),
            "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss / 1024, "disk": peak_disk / 2**20}


def bench(options):
    def replay(s: Scenario):
        s.kafka(jvm=("-Xmx2g",))
        worker = s.worker("w1", config={"topics": {"partitions": options.partitions}, "worker": {"threads": 2}})
        s.run("topics", "apply", "--yes", config=worker)
        s.run("produce-sample", "-n", str(options.records), "--recipients", str(options.recipients), config=worker,
              deadline_s=3600)
        began = time.monotonic()
        worker.start()
        wait_until(lambda: committed(s.broker, "rimbalzo-worker") >= options.records, 3600, "the input to be processed",
                   every_s=0.5, alive=[worker])
        print(f"worker        {options.records / (time.monotonic() - began) / 1e6:6.3f} M records/s, start included",
              flush=True)
        assert worker.terminate(deadline_s=120) == 0
        for threads in options.threads:
            with tempfile.TemporaryDirectory(dir=s.dir) as folder:
                found = verify(worker, threads, folder)
            print(f"state verify  {found['rate'] / 1e6:6.3f} M records/s   {found['seconds']:6.1f} s   "
                  f"{found['cpu']:6.1f} CPU s   {found['rss']:6.0f} MB RSS   {found['disk']:6.0f} MB disk   "
                  f"({found['records']} records, {found['recipients']} recipients, {options.partitions} partitions, "
                  f"{threads} thread{'' if threads == 1 else 's'})", flush=True)
    return replay


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1000000)
    parser.add_argument("--recipients", type=int, default=100000)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    sys.argv[1:] = []
    main(bench(arguments))
