"""A real one-node Kafka and real worker processes for the tests; standard library only.

A test is a program:

    from kafka_harness import Scenario, main

    def counts_once_across_a_kill(s):
        broker = s.kafka()
        broker.create_rimbalzo_topics(partitions=2)
        worker = s.worker("w1", failpoint="after-produce:3")
        worker.start()
        worker.wait_exit(30)
        ...

    if __name__ == "__main__":
        main(counts_once_across_a_kill, ...)

Nothing here sleeps and hopes: whatever must happen is waited for with a deadline. Everything that
was started is stopped at exit, on exceptions and on signals; if the test itself is killed with
SIGKILL, the kernel kills its children (start processes from the main thread: the kernel's promise
is tied to the thread). Only own processes are ever signalled, by their id.
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

import kafka_read
from kafka_broker import Kafka
from kafka_read import ToolError
from processes import LOG_TAIL_LINES, DeadlineExceeded, Process, free_port, wait_until

__all__ = ["DeadlineExceeded", "Kafka", "Process", "Producer", "Scenario", "ToolError", "Worker", "free_port",
           "main", "wait_until"]


class Producer:
    """A producer that stays: send() returns at once, close() when all is acknowledged."""

    def __init__(self, bootstrap, topic, settings=None):
        self.topic = topic
        self.sent = 0
        arguments = ["-b", bootstrap]
        for key, value in (settings or {}).items():
            arguments += ["-X", f"{key}={value}"]
        self._popen = subprocess.Popen(  # pylint: disable=consider-using-with
            [kafka_read.tool_path("topic_produce"), *arguments], stdin=subprocess.PIPE,
            stderr=subprocess.PIPE)

    def send(self, records):
        for record in records:
            record = record if isinstance(record, kafka_read.Record) else kafka_read.Record(*record)
            self._popen.stdin.write(kafka_read.pack(self.topic, record))
            self.sent += 1
        self._popen.stdin.flush()

    def close(self, deadline_s=120):
        """Waits until all is acknowledged; returns how many there were."""
        try:
            _, errors = self._popen.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            raise DeadlineExceeded(f"records of {self.topic} are not acknowledged") from None
        if self._popen.returncode != 0:
            raise ToolError(errors.decode("utf-8", "replace"))
        return self.sent


def binary_path():
    path = os.environ.get("RIMBALZO_TEST_BINARY") or os.path.join(kafka_read.build_dir(), "rimbalzo")
    if not os.access(path, os.X_OK):
        raise ToolError(f"{path} is missing: run scripts/dev build-test")
    return path


def merged(base, over):
    """over into base, section by section."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


class Worker:
    """One process of the product. It can be started, killed and started again, with the same
    configuration and state directory; each start has a log of its own."""

    def __init__(self, directory, bootstrap, instance, command="worker", arguments=(), config=None, sets=None,
                 failpoint=None, env=None):
        self.dir = directory
        self.instance = instance
        self.command = command
        self.arguments = arguments
        self.sets = dict(sets or {})
        self.failpoint = failpoint
        self.env = dict(env or {})
        self.process = None
        self.starts = 0
        self.http_port = free_port()
        self.state_dir = os.path.join(directory, f"state-{instance}")
        self.config_path = os.path.join(directory, f"{instance}.yaml")
        self.config = merged({
            "instance": instance,
            # A killed member must be missed soon; librdkafka wants three heartbeats in a session.
            "kafka": {"bootstrap.servers": bootstrap, "session.timeout.ms": "3000",
                      "heartbeat.interval.ms": "500"},
            "topics": {"replication": 1},
            "state_dir": self.state_dir,
            "http": {"listen": f"127.0.0.1:{self.http_port}"},
        }, config or {})

    def write_config(self):
        os.makedirs(self.state_dir, exist_ok=True)
        with open(self.config_path, "w", encoding="utf-8") as file:
            json.dump(self.config, file, indent=2)  # JSON is YAML

    def start(self, failpoint=None, sets=None, env=None):
        """Starts it; failpoint, sets and env are for this start only."""
        if self.process is not None and self.process.is_alive():
            raise ToolError(f"{self.instance} is running already")
        self.write_config()
        self.starts += 1
        environment = {**self.env, **(env or {})}
        point = failpoint if failpoint is not None else (self.failpoint if self.starts == 1 else None)
        environment["RIMBALZO_FAILPOINT"] = point or ""
        arguments = [*self.arguments,
                     *(a for k, v in {**self.sets, **(sets or {})}.items() for a in ("--set", f"{k}={v}"))]
        self.process = Process(f"{self.command} {self.instance}",
                               [binary_path(), self.command, "-c", self.config_path, *arguments],
                               os.path.join(self.dir, f"{self.instance}.{self.starts}.log"), env=environment)
        return self

    # What a Process can do, so can the running one.
    def is_alive(self):
        return self.process is not None and self.process.is_alive()

    @property
    def name(self):
        return f"{self.command} {self.instance}"

    @property
    def pid(self):
        return self.process.pid

    def exit_code(self):
        return self.process.exit_code()

    def signal(self, number):
        self.process.signal(number)

    def kill(self):
        return self.process.kill()

    def pause(self):
        self.process.pause()

    def resume(self):
        self.process.resume()

    def terminate(self, deadline_s=30):
        return self.process.terminate(deadline_s)

    def wait_exit(self, deadline_s=30):
        return self.process.wait_exit(deadline_s)

    def wait_log(self, pattern, deadline_s=30, count=1):
        return self.process.wait_log(pattern, deadline_s, count)

    def log_text(self):
        return self.process.log_text()

    def log_lines(self):
        return self.process.log_lines()

    def log_tail(self, lines=LOG_TAIL_LINES):
        return self.process.log_tail(lines)

    # -- HTTP --

    def http(self, path, timeout_s=5):
        """(status, text) of a GET; OSError while nobody listens."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.http_port}{path}", timeout=timeout_s) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait_ready(self, deadline_s=30):
        wait_until(lambda: self.http("/readyz")[0] == 200, deadline_s, f"{self.name} to be ready", alive=[self])
        return self

    def metrics(self):
        """{'name{labels}': value} of /metrics."""
        values = {}
        for line in self.http("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def metric(self, name, **labels):
        """The sum of a metric's series that have these labels; None if there is no such series."""
        found = []
        for series, value in self.metrics().items():
            bare = series.split("{", 1)[0]
            if bare == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
                found.append(value)
        return sum(found) if found else None


class Scenario:
    """One test with a directory, brokers and workers; a context manager.

    Everything is stopped at the end. The directory is removed after a success and kept after a
    failure, until the next run of the same test.
    """

    def __init__(self, name):
        self.name = name
        base = os.path.join(kafka_read.build_dir(), "kafka")
        os.makedirs(base, exist_ok=True)
        self._remove_old(base)
        self.dir = tempfile.mkdtemp(prefix=f"{name}-{os.getpid()}-", dir=base)
        self.brokers = []
        self.workers = []

    def _remove_old(self, base):
        for path in glob.glob(os.path.join(base, f"{glob.escape(self.name)}-*-*")):
            owner = path[len(os.path.join(base, self.name)) + 1:].split("-")[0]
            if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
                shutil.rmtree(path, ignore_errors=True)

    def kafka(self, settings=None, jvm=()):
        """A started broker."""
        broker = Kafka(os.path.join(self.dir, f"broker{len(self.brokers) + 1}"), settings, jvm)
        self.brokers.append(broker)
        return broker.start()

    @property
    def broker(self):
        return self.brokers[0]

    def worker(self, instance="w1", command="worker", **options):
        """A Worker (not started) against the first broker; options of Worker."""
        worker = Worker(self.dir, self.broker.bootstrap, instance, command, **options)
        self.workers.append(worker)
        return worker

    def run(self, *arguments, config=None, stdin=b"", env=None, deadline_s=60, expect=0):
        """Runs a subcommand of the product to its end. config: a Worker whose file is used, or a path.
        Returns the CompletedProcess with text; fails if the exit code is not expect (None: any)."""
        argv = [binary_path(), *map(str, arguments)]
        if isinstance(config, Worker):
            config.write_config()
            config = config.config_path
        if config is not None:
            argv += ["-c", config]
        done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, **(env or {})}, timeout=deadline_s, check=False)
        done.stdout = done.stdout.decode("utf-8", "replace")
        done.stderr = done.stderr.decode("utf-8", "replace")
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"{' '.join(argv)}: exit {done.returncode}, expected {expect}\n{done.stdout}"
                                 + done.stderr)
        return done

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        processes = [w.process for w in self.workers if w.process] + [b.process for b in self.brokers if b.process]
        if error is not None:
            for process in processes:
                print(process.log_tail(), file=sys.stderr)
            print(f"kept for diagnosis: {self.dir}", file=sys.stderr)
        for process in processes:
            process.kill()
        if error is None:
            shutil.rmtree(self.dir, ignore_errors=True)
        return False


def main(*tests):
    """Runs test functions, each with a Scenario of its name; arguments choose among them by name.
    Prints a line for each and exits with 1 if one failed."""
    wanted = sys.argv[1:]
    unknown = [name for name in wanted if name not in [t.__name__ for t in tests]]
    if unknown:
        print(f"no such test: {', '.join(unknown)}; there are: {', '.join(t.__name__ for t in tests)}",
              file=sys.stderr)
        sys.exit(64)
    failed = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        began = time.monotonic()
        try:
            with Scenario(test.__name__) as scenario:
                test(scenario)
            outcome = "ok"
        except Exception:  # pylint: disable=broad-exception-caught
            traceback.print_exc()
            outcome = "FAILED"
            failed += 1
        print(f"{outcome:6} {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
    sys.exit(1 if failed else 0)
