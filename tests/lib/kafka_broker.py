"""A real one-node Kafka broker, fetched once with Maven; standard library only.

As a program: `kafka_broker.py fetch` brings the broker into the cache, `serve [PORT]` runs one until
Ctrl-C.
"""

import fcntl
import glob
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

import kafka_read
from kafka_read import ROOT, ToolError
from processes import Process, free_port, wait_until

KAFKA_VERSION = "4.1.0"


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "rimbalzo")


def libs_dir():
    return os.path.join(cache_dir(), f"kafka-{KAFKA_VERSION}")


def fetch_with_maven(target, pom, what, prepare, quiet=False):
    """Brings what a pom names into the folder `target` of the cache, once; returns it. prepare(folder) checks and
    unpacks what Maven has fetched."""
    if os.path.isdir(target):
        return target
    for command in ("java", "mvn"):
        if shutil.which(command) is None:
            raise ToolError(f"{command} is missing: run scripts/setup --with kafka")
    os.makedirs(cache_dir(), exist_ok=True)
    with open(target + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(target):
            return target
        if not quiet:
            print(f"fetching {what} into {target}", file=sys.stderr)
        partial = tempfile.mkdtemp(prefix=os.path.basename(target) + ".", dir=cache_dir())
        try:
            copy = os.path.join(partial, "pom.xml")
            shutil.copy(pom, copy)
            done = subprocess.run(
                ["mvn", "-B", "-q", "-f", copy, "dependency:copy-dependencies", "-DincludeScope=runtime",
                 f"-DoutputDirectory={partial}/libs"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if done.returncode != 0:
                raise ToolError(f"Maven cannot fetch {what}:\n" + done.stdout.decode("utf-8", "replace")[-4000:])
            prepare(f"{partial}/libs")
            os.chmod(f"{partial}/libs", 0o755)
            os.rename(f"{partial}/libs", target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def fetch_kafka(quiet=False):
    """Brings the broker's jars into the cache with Maven, once; returns their folder."""
    def check(libs):
        if not glob.glob(f"{libs}/kafka_*-{KAFKA_VERSION}.jar"):
            raise ToolError(f"Maven has not fetched Kafka {KAFKA_VERSION}")

    pom = os.path.join(ROOT, "tests", "kafka", "broker-pom.xml")
    return fetch_with_maven(libs_dir(), pom, f"Kafka {KAFKA_VERSION}", check, quiet)


def java_argv(libs, log_config, *options):
    return ["java", *options, f"-Dlog4j2.configurationFile={log_config}", "-cp", f"{libs}/*"]


# A short-lived tool: start fast rather than run fast.
TOOL_JVM = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
BROKER_JVM = ("-Xms128m", "-Xmx512m", "-Djava.awt.headless=true")

LOG_CONFIG = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.target = {target}
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{{HH:mm:ss.SSS}} %p %c{{1}} %m%n
rootLogger.level = {level}
rootLogger.appenderRef.out.ref = out
"""

BROKER_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 2,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 2,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
    # After a SIGKILL the controller takes the dead broker for alive that long.
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    # How often the coordinator looks for transactions past their timeout (10 s by default).
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 2000,
}


class Kafka:
    """One broker and controller in one process, on the loopback, with its own data directory."""

    def __init__(self, directory, settings=None, jvm=(), port=None):
        self.dir = os.path.abspath(directory)
        self.settings = settings or {}
        self.jvm = jvm
        self.port = port or free_port()
        self.controller_port = free_port()
        self.process = None
        self.starts = 0
        self.libs = None

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def _path(self, name):
        return os.path.join(self.dir, name)

    def _write_settings(self):
        settings = {
            **BROKER_SETTINGS,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "log.dirs": self._path("data"),
            **self.settings,
        }
        with open(self._path("server.properties"), "w", encoding="utf-8") as file:
            file.writelines(f"{key}={value}\n" for key, value in settings.items())
        for name, target, level in (("broker", "SYSTEM_OUT", "info"), ("tool", "SYSTEM_ERR", "warn")):
            with open(self._path(f"{name}-log.properties"), "w", encoding="utf-8") as file:
                file.write(LOG_CONFIG.format(target=target, level=level))

    def start(self, deadline_s=60):
        """Starts it, for the first time or again, on the same port and data; waits until it answers."""
        if self.process is not None and self.process.is_alive():
            raise ToolError("the broker is running already")
        if self.libs is None:
            self.libs = fetch_kafka()
            os.makedirs(self.dir, exist_ok=True)
            self._write_settings()
        if not os.path.exists(self._path("data/meta.properties")):
            self.tool("kafka.tools.StorageTool", "format", "--cluster-id",
                      f"rimbalzo-{os.urandom(6).hex()}", "--config", self._path("server.properties"))
        self.starts += 1
        self.process = Process(
            "broker",
            [*java_argv(self.libs, self._path("broker-log.properties"), *BROKER_JVM, *self.jvm),
             "kafka.Kafka", self._path("server.properties")],
            self._path(f"broker.{self.starts}.log"), cwd=self.dir)
        wait_until(self.is_ready, deadline_s, "the broker to answer", alive=[self.process])
        return self

    def is_ready(self):
        """Whether it answers a request: it does so only at the end of its start."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            # ApiVersions, version 0, correlation id 7, no client id.
            connection.sendall(struct.pack(">ihhih", 10, 18, 0, 7, -1))
            head = connection.recv(8, socket.MSG_WAITALL)
            return len(head) == 8 and struct.unpack(">ii", head)[1] == 7

    def stop(self, deadline_s=60):
        """An orderly stop."""
        return self.process.terminate(deadline_s)

    def kill(self):
        """SIGKILL."""
        return self.process.kill()

    def restart(self, kill=False, deadline_s=60):
        if kill:
            self.kill()
        else:
            self.stop()
        return self.start(deadline_s)

    def pause(self):
        self.process.pause()

    def resume(self):
        self.process.resume()

    def tool(self, java_class, *arguments, deadline_s=120, check=True):
        """Runs one of Kafka's own command-line classes; returns its stdout."""
        done = subprocess.run(
            [*java_argv(self.libs, self._path("tool-log.properties"), *TOOL_JVM), java_class,
             *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=deadline_s,
            check=False)
        out = done.stdout.decode("utf-8", "replace")
        # Some of them report an error and exit with 0.
        failed = done.returncode != 0 or re.search(r"^Error", out, re.MULTILINE)
        if check and failed:
            raise ToolError(f"{java_class} {' '.join(map(str, arguments))}: exit {done.returncode}\n{out}"
                            + done.stderr.decode("utf-8", "replace"))
        return out

    # -- topics --

    def create_topic(self, topic, partitions=1, config=None):
        self.create_topics([topic], partitions, config)

    def create_topics(self, topics, partitions=1, config=None):
        """Creates topics of one kind and waits for their leaders."""
        settings = [a for key, value in (config or {}).items() for a in ("-c", f"{key}={value}")]
        kafka_read.run_tool("topic_create", "-b", self.bootstrap, "-p", partitions, *settings, *topics)

    def create_rimbalzo_topics(self, partitions=4, prefix="rimbalzo."):
        """All the topics of the product, of equal width, with retention that never interferes."""
        keep = {"retention.ms": -1}
        self.create_topics([prefix + n for n in ("bounces", "retries.delayed", "retries.due", "suppressions",
                                                 "notices", "dead-letters")], partitions, keep)
        self.create_topic(prefix + "recipients", partitions, {"cleanup.policy": "compact"})

    def topics(self, *arguments, **options):
        """Kafka's TopicCommand, for what create_topic cannot do."""
        return self.tool("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.bootstrap,
                         *arguments, **options)

    def configure_topic(self, topic, **config):
        """Alters a topic's settings; names with _ for the dots."""
        pairs = ",".join(f"{key.replace('_', '.')}={value}" for key, value in config.items())
        return self.tool("kafka.admin.ConfigCommand", "--bootstrap-server", self.bootstrap, "--alter",
                         "--entity-type", "topics", "--entity-name", topic, "--add-config", pairs)

    def delete_records(self, topic, before):
        """Moves the log start of partitions, as retention would: {partition: first offset kept}."""
        path = self._path("delete-records.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"version": 1, "partitions": [{"topic": topic, "partition": p, "offset": o}
                                                    for p, o in before.items()]}, file)
        return self.tool("org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", self.bootstrap,
                         "--offset-json-file", path)

    # -- groups --

    def groups(self, *arguments, **options):
        """Kafka's ConsumerGroupCommand."""
        return self.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server",
                         self.bootstrap, *arguments, **options)

    def describe_group(self, group):
        """The rows of --describe: [{"topic", "partition", "current_offset", "log_end_offset", "lag",
        "consumer_id", …}], "-" as None."""
        rows, names = [], None
        for line in self.groups("--describe", "--group", group).splitlines():
            fields = line.split()
            if fields[:2] == ["GROUP", "TOPIC"]:
                names = [f.lower().replace("-", "_") for f in fields]
            elif names and len(fields) == len(names):
                row = {name: None if field == "-" else field for name, field in zip(names, fields)}
                for name in ("partition", "current_offset", "log_end_offset", "lag"):
                    row[name] = None if row[name] is None else int(row[name])
                rows.append(row)
        return rows

    def generation(self, group):
        """How often a group has been put together since it exists, from the broker's log of this start."""
        found = re.findall(rf"Stabilized group {re.escape(group)} generation (\d+) ", self.process.log_text())
        return int(found[-1]) if found else 0

    def reset_offsets(self, group, topic, *how, deadline_s=60):
        """--reset-offsets, for example reset_offsets("g", "t:0", "--to-offset", 5). Kafka refuses while
        the group has members, static ones until their session ends: so it is asked until the deadline."""
        return wait_until(
            lambda: self.groups("--reset-offsets", "--group", group, "--topic", topic, *how, "--execute"),
            deadline_s, f"offsets of {group} to be reset", every_s=0.2)

    def delete_offsets(self, group, topic=None):
        """The whole group's, or those on one topic; waits until nobody is in it."""
        kafka_read.delete_offsets(self.bootstrap, group, topic)

    # -- records --

    def read(self, topic, **options):
        return kafka_read.read_topic(self.bootstrap, topic, **options)

    def count(self, topic, **options):
        return kafka_read.count_topic(self.bootstrap, topic, **options)

    def produce(self, topic, records, **options):
        kafka_read.produce(self.bootstrap, topic, records, **options)

    def committed(self, group, **options):
        return kafka_read.committed(self.bootstrap, group, **options)


def serve(arguments):
    """Runs a broker for a person until Ctrl-C."""
    port = int(arguments[0]) if arguments else None
    with tempfile.TemporaryDirectory(prefix="rimbalzo-kafka-") as directory:
        broker = Kafka(directory, {"auto.create.topics.enable": "true"}, port=port)
        try:
            broker.start()
            print(f"bootstrap.servers={broker.bootstrap}", flush=True)
            print(f"log: {broker.process.log_path}; Ctrl-C stops it and removes its data", file=sys.stderr)
            while broker.process.is_alive():
                time.sleep(0.2)
            print(broker.process.log_tail(), file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 0
        finally:
            if broker.process is not None:
                broker.process.kill()


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["fetch"]:
            fetch_kafka()
        elif sys.argv[1:2] == ["serve"] and len(sys.argv) <= 3:
            sys.exit(serve(sys.argv[2:]))
        else:
            print(__doc__, file=sys.stderr)
            sys.exit(64)
    except ToolError as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(1)
