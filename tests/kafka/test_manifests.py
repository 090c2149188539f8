#!/usr/bin/env python3
"""The topics and users of deploy/kubernetes/components/strimzi, on a real broker: the topics are those that
`topics apply` makes, and the rights of the users suffice for what worker and dispatcher do."""

import os
import re
import sys

import yaml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
from kafka_harness import Kafka, Scenario, free_port, main, wait_until
from kafka_read import ROOT
from test_doctor import doctor, failed, found

MANIFESTS = os.path.join(ROOT, "deploy", "kubernetes", "components", "strimzi", "kafka.yaml")
RECORDS = 4000


def manifests(kind):
    """{name: spec}"""
    with open(MANIFESTS, encoding="utf-8") as file:
        return {d["metadata"]["name"]: d["spec"] for d in yaml.safe_load_all(file) if d and d["kind"] == kind}


def topics_are_as_topics_apply_makes_them(s: Scenario):
    broker = s.kafka()
    wanted = manifests("KafkaTopic")
    s.run("topics", "apply", "--yes", config=s.worker("w1"))
    listed = broker.tool("kafka.admin.ConfigCommand", "--bootstrap-server", broker.bootstrap, "--describe",
                         "--entity-type", "topics")
    made = {}
    for block in re.split(r"^Dynamic configs for topic ", listed, flags=re.M)[1:]:
        made[block.split(" ", 1)[0]] = dict(re.findall(r"^  ([a-z.]+)=(\S+) sensitive", block, re.M))
    made = {name: config for name, config in made.items() if not name.startswith("__")}  # the broker's own
    assert set(made) == set(wanted), set(made) ^ set(wanted)
    for name, spec in wanted.items():
        config = {key: str(value) for key, value in spec["config"].items()}
        # With the one replica that one broker can hold `topics apply` leaves it out.
        assert config.pop("min.insync.replicas") == "2" and spec["replicas"] == 3
        assert config == made[name], (name, config, made[name])
    widths = dict(re.findall(r"Topic: (\S+)\s.*PartitionCount: (\d+)", broker.topics("--describe")))
    assert {name: int(widths[name]) for name in wanted} == {name: spec["partitions"] for name, spec in wanted.items()}


def guarded_broker(s, users):
    """A broker with a second listener for users with passwords, where nothing is allowed that no ACL allows.
    Returns it and that listener's address; who comes by the first one may do everything."""
    port = free_port()
    names = " ".join(f'user_{name}="secret-of-{name}"' for name in users)
    plain = free_port()
    controller = free_port()
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},GUARDED://127.0.0.1:{port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},GUARDED://127.0.0.1:{port}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.guarded.plain.sasl.jaas.config":
            f"org.apache.kafka.common.security.plain.PlainLoginModule required {names};",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    broker = Kafka(os.path.join(s.dir, "guarded"), settings, port=plain)
    s.brokers.append(broker)
    return broker.start(), f"127.0.0.1:{port}"


def grant(broker, user, acls):
    """Those of the manifest, in as few calls as may be: each is a process of Java's."""
    options = {"topic": "--topic", "group": "--group", "transactionalId": "--transactional-id", "cluster": "--cluster"}
    calls = {}
    for acl in acls:
        resource = acl["resource"]
        key = (resource["type"], resource.get("patternType", "literal"), tuple(acl["operations"]))
        calls.setdefault(key, []).append(resource.get("name"))
    for (kind, pattern, operations), names in calls.items():
        arguments = [a for operation in operations for a in ("--operation", operation)]
        for name in names:
            arguments += [options[kind]] + ([name] if name else [])
        if kind != "cluster":
            arguments += ["--resource-pattern-type", "prefixed" if pattern == "prefix" else "literal"]
        broker.tool("org.apache.kafka.tools.AclCommand", "--bootstrap-server", broker.bootstrap, "--add",
                    "--allow-principal", f"User:{user}", *arguments)


def member(s, address, user, command):
    """The role as that user."""
    password = os.path.join(s.dir, f"{user}.password")
    with open(password, "w", encoding="ascii") as file:
        file.write(f"secret-of-{user}\n")
    return s.worker(f"{command}-of-{user}", command, config={
        "kafka": {"bootstrap.servers": address, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                  "sasl.username": user, "sasl.password_file": password}})


def check_rules_find_series(*processes):
    """What the rules of deploy/prometheus read is there, by the names and labels they read it by."""
    with open(os.path.join(ROOT, "deploy", "prometheus", "rimbalzo.rules.yaml"), encoding="utf-8") as file:
        rules = [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]
    told = {}

    def listen():
        for process in processes:
            for series in process.metrics():
                name, _, labels = series.partition("{")
                told.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
        return "rimbalzo_kafka_brokers_up" in told and "rimbalzo_lag_records" in told  # asked for every few seconds

    wait_until(listen, 30, "what the brokers tell to be among the metrics", alive=processes)
    looked_at = set()
    for rule in rules:
        for name, selector in re.findall(r"(?<![\w:])(rimbalzo_[a-z_]+)(?![\w:])(?:\{([^}]*)\})?", rule["expr"]):
            if name in ("rimbalzo_restore_remaining_records", "rimbalzo_registry_schemas"):
                continue  # nothing is restored here, and there is no registry: test_registry looks at that one
            looked_at.add(name)
            wanted = set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", selector))
            assert name in told and wanted <= told[name], (rule.get("alert") or rule["record"], name, told.get(name))
    assert len(looked_at) > 12, looked_at


def doctor_names_the_rights_that_are_missing(s, broker, address):
    worker = member(s, address, "rimbalzo-worker", "worker")
    rows = doctor(s, worker, "worker")
    # Those of the manifest suffice, and the version of the brokers is none of this user's business.
    assert not failed(rows) and found(rows, "broker.version")[0]["result"] == "unknown", rows
    # The other role's topics and groups are not its own.
    rows = doctor(s, worker, "dispatcher", expect=1)
    assert {("rights.topics", "rimbalzo.retries.delayed"), ("rights.topics", "rimbalzo.retries.due"),
            ("rights.groups", "rimbalzo-dispatcher"), ("transactions", "dispatcher")} <= failed(rows), failed(rows)
    assert "lacks READ, WRITE, which" in found(rows, "rights.topics", "rimbalzo.retries.due")[0]["finding"]

    # One right less, and one topic of which not even the existence may be known.
    broker.tool("org.apache.kafka.tools.AclCommand", "--bootstrap-server", broker.bootstrap, "--remove", "--force",
                "--allow-principal", "User:rimbalzo-worker", "--operation", "Write", "--topic", "rimbalzo.notices")
    lacking = wait_until(lambda: [row for row in doctor(s, worker, "worker", expect=None) if row["result"] == "fail"],
                         20, "the right to be gone")
    assert failed(lacking) == {("rights.topics", "rimbalzo.notices")}, lacking
    assert "lacks WRITE, which the worker needs" in lacking[0]["finding"], lacking
    broker.tool("org.apache.kafka.tools.AclCommand", "--bootstrap-server", broker.bootstrap, "--remove", "--force",
                "--allow-principal", "User:rimbalzo-worker", "--topic", "rimbalzo.suppressions", "--operation", "Write",
                "--operation", "Describe", "--operation", "DescribeConfigs")
    wait_until(lambda: ("rights.topics", "rimbalzo.suppressions") in failed(doctor(s, worker, "worker", expect=None)),
               20, "the rights to be gone")

    with open(os.path.join(s.dir, "rimbalzo-worker.password"), "w", encoding="ascii") as file:
        file.write("wrong\n")
    rows = doctor(s, worker, "worker", expect=77)
    assert failed(rows) == {("broker", address)} and "uthentication" in found(rows, "broker")[0]["finding"], rows


def the_rights_of_the_users_suffice_and_are_needed(s: Scenario):
    users = manifests("KafkaUser")
    broker, address = guarded_broker(s, users)
    assert broker.bootstrap != address
    admin = s.worker("admin", config={"topics": {"partitions": 4}})
    s.run("topics", "apply", "--yes", config=admin)
    for user, spec in users.items():
        grant(broker, user, spec["authorization"]["acls"])
    worker = member(s, address, "rimbalzo-worker", "worker").start()
    dispatcher = member(s, address, "rimbalzo-dispatcher", "dispatcher").start()
    # With dead letters and records in wrong partitions, which are written to the input again.
    s.run("produce-sample", "-n", RECORDS, "--start", "now", "--poison", "2", config=admin)

    def settled():
        delayed = broker.count("rimbalzo.retries.delayed")
        return (worker.metric("rimbalzo_records_total", role="worker") == broker.count("rimbalzo.bounces") > RECORDS
                and dispatcher.metric("rimbalzo_records_total", role="dispatcher") == delayed > 0)

    wait_until(settled, 90, "everything to be processed", alive=[worker, dispatcher], every_s=0.5)
    for topic in ("recipients", "retries.due", "suppressions", "notices", "dead-letters"):
        assert broker.count(f"rimbalzo.{topic}") > 0, topic
    check_rules_find_series(worker, dispatcher)
    for process in (worker, dispatcher):
        assert "code=auth" not in process.log_text(), process.log_tail()
        assert process.terminate() == 0, process.log_tail()
    doctor_names_the_rights_that_are_missing(s, broker, address)
    # A user of the other role gets nowhere.
    refused = member(s, address, "rimbalzo-dispatcher", "worker").start()
    assert refused.wait_exit(60) == 77, refused.log_tail()
    assert "code=auth" in refused.log_text() or "rimbalzo: " in refused.log_text()


if __name__ == "__main__":
    main(topics_are_as_topics_apply_makes_them, the_rights_of_the_users_suffice_and_are_needed)
