#!/usr/bin/env python3
"""What a service manager hears from a worker (sd_notify's protocol) on a real broker."""

import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_harness import Scenario, main

WATCHDOG_S = 2


class Manager:
    """The socket that systemd would read."""

    def __init__(self, directory):
        # The path of a socket has room for 107 octets only; an abstract name is short.
        self.name = f"rimbalzo-manager-{os.getpid()}-{os.path.basename(directory)}"[:90]
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name)
        self.env = {"NOTIFY_SOCKET": "@" + self.name, "WATCHDOG_USEC": str(WATCHDOG_S * 1000000)}

    def wait(self, start, deadline_s=30):
        """Hears datagrams until one begins with `start`; returns it, and when it came."""
        end = time.monotonic() + deadline_s
        while True:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                heard = self.socket.recv(4096).decode()
            except socket.timeout:
                raise AssertionError(f"{start} was not told within {deadline_s} s") from None
            if heard.startswith(start):
                return heard, time.monotonic()


def start_life_and_end_are_told(s: Scenario):
    broker = s.kafka()
    broker.create_rimbalzo_topics(partitions=2)
    manager = Manager(s.dir)
    worker = s.worker("w1", env=manager.env)
    worker.start()
    manager.wait("READY=1")
    _, first = manager.wait("WATCHDOG=1")
    for _ in range(3):
        _, next_ping = manager.wait("WATCHDOG=1")
        assert next_ping - first < WATCHDOG_S, "the watchdog would have ended a healthy worker"
        first = next_ping
    worker.signal(15)
    manager.wait("STOPPING=1")
    assert worker.wait_exit(30) == 0, worker.log_tail()


def a_worker_without_a_broker_asks_for_time_and_is_not_ready(s: Scenario):
    broker = s.kafka()
    broker.create_rimbalzo_topics(partitions=2)
    broker.kill()
    manager = Manager(s.dir)
    worker = s.worker("w1", env=manager.env)
    worker.start()
    told, _ = manager.wait("", 60)
    assert told.startswith("EXTEND_TIMEOUT_USEC=") and "STATUS=Waiting: " in told, told
    broker.start()
    manager.wait("READY=1", 60)
    assert worker.terminate() == 0, worker.log_tail()


if __name__ == "__main__":
    main(start_life_and_end_are_told, a_worker_without_a_broker_asks_for_time_and_is_not_ready)
