#!/usr/bin/env python3
"""The harness itself: what the other tests conclude from is only as good as this."""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_harness import DeadlineExceeded, Producer, Worker, main, wait_until
from kafka_read import Record, ToolError, end_offsets, latest_by_key

LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")


def murmur2(data):
    """As org.apache.kafka.common.utils.Utils has it."""
    mask = 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little") * 0x5BD1E995 & mask
        k = (k ^ k >> 24) * 0x5BD1E995 & mask
        h = (h * 0x5BD1E995 & mask) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * 0x5BD1E995 & mask
    h = (h ^ h >> 13) * 0x5BD1E995 & mask
    return h ^ h >> 15


def records_come_back_octet_for_octet(broker):
    broker.create_topic("octets", 2)
    sent = [
        Record(b"\x00\xff\n", bytes(range(256)), (("h", b"\x00"), ("h", None), ("é", b"")), 0, 1234567890123),
        Record(None, b"", (), 1, 1),
        Record(b"", None, (), 1, 2),
        Record(b"k", None, (("a", b"x"),), 1, 3),
    ]
    broker.produce("octets", sent)
    got = broker.read("octets")
    assert [r._replace(offset=-1, topic="") for r in got] == sent, got
    assert [(r.partition, r.offset) for r in got] == [(0, 0), (1, 0), (1, 1), (1, 2)]
    assert got[0].header("h") is None and got[3].header("a") == b"x"
    assert list(latest_by_key(got)) == [b"\x00\xff\n", None]


def keys_go_where_java_puts_them(broker):
    assert murmur2(b"21") == -973932308 & 0xFFFFFFFF
    broker.create_topic("keys", 4)
    keys = [f"someone{i}@example.org".encode() for i in range(200)]
    broker.produce("keys", [(key, b"v") for key in keys])
    got = broker.read("keys")
    assert sorted(r.key for r in got) == sorted(keys)
    for record in got:
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 4, record


def only_committed_records_are_read(broker):
    broker.create_topic("transactions", 1)
    broker.produce("transactions", [(b"k", b"committed")], transactional_id="t1")
    broker.produce("transactions", [(b"k", b"aborted")] * 3, transactional_id="t1", end="abort")
    assert [r.value for r in broker.read("transactions")] == [b"committed"]
    assert len(broker.read("transactions", isolation="read_uncommitted")) == 4
    broker.produce("transactions", [(b"k", b"open")], transactional_id="t2", end="open",
                   settings={"transaction.timeout.ms": 5000})
    broker.produce("transactions", [(b"k", b"behind it")])
    # 1 committed, 1 marker, 3 aborted, 1 marker, then the open transaction.
    assert end_offsets(broker.bootstrap, "transactions") == {0: 6}
    assert [r.value for r in broker.read("transactions", stable_s=0)] == [b"committed"]
    try:
        broker.read("transactions", stable_s=0.2)
        raise AssertionError("an open transaction was not noticed")
    except ToolError as error:
        assert "still open" in str(error), error
    assert [r.value for r in broker.read("transactions", stable_s=30)] == [b"committed", b"behind it"]
    assert broker.count("transactions") == 2
    broker.produce("transactions", [(b"k", b"%d" % i) for i in range(10)], transactional_id="t1", batch=3)
    assert broker.count("transactions", stable_s=30) == 12


def data_survive_restarts_of_the_broker(broker):
    broker.create_topic("restarts", 1)
    producer = Producer(broker.bootstrap, "restarts")
    producer.send((b"k", b"%d" % i) for i in range(100))
    port = broker.port
    broker.restart(kill=True)
    producer.send((b"k", b"%d" % i) for i in range(100, 200))
    broker.restart()
    assert broker.port == port
    assert producer.close() == 200
    assert [r.value for r in broker.read("restarts")] == [b"%d" % i for i in range(200)]


def group_offsets_are_shown_and_reset(broker):
    broker.create_topic("grouped", 1)
    broker.produce("grouped", [(b"k", b"v")] * 5)
    broker.reset_offsets("g", "grouped", "--to-offset", 2)
    assert broker.committed("g")["grouped", 0].offset == 2
    row, = broker.describe_group("g")
    assert (row["topic"], row["partition"], row["current_offset"], row["lag"]) == ("grouped", 0, 2, 3), row
    broker.delete_records("grouped", {0: 4})
    assert [r.offset for r in broker.read("grouped")] == [4]


def the_broker_and_its_tools_work(s):
    broker = s.kafka()
    records_come_back_octet_for_octet(broker)
    keys_go_where_java_puts_them(broker)
    only_committed_records_are_read(broker)
    data_survive_restarts_of_the_broker(broker)
    group_offsets_are_shown_and_reset(broker)


CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from processes import Process
child = Process("child", ["sleep", "600"], sys.argv[2])
print(child.pid, flush=True)
if sys.argv[3] == "raise":
    raise RuntimeError("planted")
child.wait_exit(600)
"""


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def children_end_with_their_test(s):
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, "raise"):
        with subprocess.Popen([sys.executable, "-c", CHILD, LIB, os.path.join(s.dir, "child.log"), str(how)],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as test:
            child = int(test.stdout.readline())
            if how != "raise":
                assert is_running(child)
                test.send_signal(how)
            test.wait(30)
            wait_until(lambda pid=child: not is_running(pid), 10, f"the child to end after {how}")


FAKE = """#!/usr/bin/env python3
# Stands for the product: says what it was given, answers over HTTP, ends in three ways.
import http.server, json, os, signal, sys
config = json.load(open(sys.argv[sys.argv.index("-c") + 1]))
print("arguments", sys.argv[1], *sys.argv[4:], flush=True)
print("failpoint", os.environ["RIMBALZO_FAILPOINT"] or "none", flush=True)
if os.environ["RIMBALZO_FAILPOINT"]:
    os.kill(os.getpid(), signal.SIGKILL)

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path in ("/readyz", "/metrics")
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(b'# TYPE a counter\\na{p="0",q="x"} 2\\na{p="1",q="x"} 3\\nab 7\\n')

    def log_message(self, *_):
        pass

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
host, port = config["http"]["listen"].split(":")
http.server.HTTPServer((host, int(port)), Answer).serve_forever()
"""


def workers_are_driven(s):
    fake = os.path.join(s.dir, "fake")
    with open(fake, "w", encoding="utf-8") as file:
        file.write(FAKE)
    os.chmod(fake, 0o755)
    os.environ["RIMBALZO_TEST_BINARY"] = fake
    worker = Worker(s.dir, "127.0.0.1:1", "w1", sets={"worker.threads": 2}, failpoint="after-produce:3",
                    config={"kafka": {"session.timeout.ms": "9000"}})
    s.workers.append(worker)
    worker.start()
    assert worker.wait_exit(30) == -signal.SIGKILL
    assert worker.log_lines() == ["arguments worker --set worker.threads=2", "failpoint after-produce:3"]
    worker.start(sets={"a.b": "c"})
    worker.wait_ready()
    assert worker.log_lines() == ["arguments worker --set worker.threads=2 --set a.b=c", "failpoint none"]
    assert worker.config["kafka"] == {"bootstrap.servers": "127.0.0.1:1", "session.timeout.ms": "9000",
                                      "heartbeat.interval.ms": "500"}
    assert worker.http("/nothing")[0] == 404
    assert (worker.metric("a"), worker.metric("a", p=1), worker.metric("ab"), worker.metric("b")) == (5, 3, 7, None)
    worker.pause()
    try:
        worker.http("/readyz", timeout_s=0.3)
        raise AssertionError("a stopped process answered")
    except OSError:
        pass
    worker.resume()
    worker.wait_ready()
    assert worker.terminate() == 143
    try:
        wait_until(lambda: False, 30, "what never comes", alive=[worker])
        raise AssertionError("the end of a process was not noticed")
    except DeadlineExceeded as error:
        assert "ended with 143" in str(error), error
    del os.environ["RIMBALZO_TEST_BINARY"]


if __name__ == "__main__":
    main(children_end_with_their_test, workers_are_driven, the_broker_and_its_tools_work)
