#!/usr/bin/env python3
"""deploy/kubernetes: what the chart and Kustomize render is valid, and is what the program needs.

Standard kinds are held to Kubernetes' own schemas, custom ones to schemas/KIND.json beside this file: the part of
each definition that is used here, nothing else allowed.
"""

import functools
import json
import os
import re

from support import TOOLS, Skipped, main, need, need_module, path, read, rimbalzo, run, temporary

CHART = path("deploy", "kubernetes", "chart")
VERSIONS = ["v1.27.0", "v1.37.0"]  # as scripts/tools fetches them
ALL = ["strimzi.enabled=true", "keda.enabled=true", "serviceMonitor.enabled=true", "prometheusRule.enabled=true",
       "dashboards.enabled=true"]
VARIANTS = [[], ALL, ["topics.init=apply", "worker.storage.enabled=false", "networkPolicy.enabled=false"],
            ["topics.init=none", "dispatcher.enabled=false", "worker.podDisruptionBudget.enabled=false"],
            ["fullnameOverride=bounces", "image.digest=sha256:" + "0" * 64, "worker.secretName=kafka-user",
             "config.app=other", "config.topics.prefix=mail.", "worker.nodeSelector.disk=ssd"] + ALL]
TOPICS = {"bounces": "bounces", "recipients": "recipients", "delayed": "retries.delayed", "due": "retries.due",
          "suppressions": "suppressions", "notices": "notices", "dead_letters": "dead-letters"}


@functools.lru_cache(maxsize=None)
def rendered(*command):
    """What a tool prints; each of them is run once."""
    return run(*command).stdout


def documents_of(text):
    yaml = need_module("yaml")
    return [document for document in yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if document]


def helm(*values):
    """The documents the chart renders."""
    need("helm")
    sets = [argument for value in values for argument in ("--set", value)]
    return documents_of(rendered("helm", "template", "rimbalzo", CHART, "--kube-version", VERSIONS[-1], *sets))


def kustomize(folder):
    need("kustomize")
    return documents_of(rendered("kustomize", "build", path("deploy", "kubernetes", folder)))


def only(documents, kind, name=None):
    found = [d for d in documents if d["kind"] == kind and name in (None, d["metadata"]["name"])]
    assert len(found) == 1, (kind, name, len(found))
    return found[0]


def container(stateful_set):
    return stateful_set["spec"]["template"]["spec"]["containers"][0]


class Validator:
    """Of one version of Kubernetes."""

    def __init__(self, version):
        self.jsonschema = need_module("jsonschema")
        self.folder = os.path.join(TOOLS, "kubernetes-schemas", version)
        if not os.path.isdir(self.folder):
            raise Skipped("the schemas of Kubernetes are absent (scripts/setup --with tests)")
        with open(os.path.join(self.folder, "_definitions.json"), encoding="utf-8") as file:
            self.definitions = json.load(file)

    def schema_of(self, document):
        own = path("tests", "deploy", "schemas", document["kind"] + ".json")
        if os.path.exists(own):
            return own
        group, _, version = document["apiVersion"].rpartition("/")
        suffix = f"-{group.split('.')[0]}-{version}" if group else f"-{version}"
        return os.path.join(self.folder, document["kind"].lower() + suffix + ".json")

    def faults(self, document):
        with open(self.schema_of(document), encoding="utf-8") as file:
            schema = json.load(file)
        base = schema.get("$id", "")
        resolver = self.jsonschema.RefResolver(base, schema, store={
            "https://kubernetes.io/api/_definitions.json": self.definitions})
        validator = self.jsonschema.Draft202012Validator(schema, resolver=resolver)
        return [f"{document['kind']} {document['metadata']['name']}: {'.'.join(map(str, error.absolute_path))}: "
                f"{error.message[:200]}" for error in validator.iter_errors(document)]


def assert_valid(documents):
    for version in VERSIONS:
        validator = Validator(version)
        found = [fault for document in documents for fault in validator.faults(document)]
        assert not found, f"Kubernetes {version}:\n" + "\n".join(found)


def a_wrong_manifest_would_be_found():
    validator = Validator(VERSIONS[-1])
    documents = helm(*ALL)
    for kind, damage in {"StatefulSet": lambda d: container(d).update(arg=["x"]),
                         "Service": lambda d: d["spec"].update(clusterip="None"),
                         "PodDisruptionBudget": lambda d: d["spec"].update(maxUnavailable=[1]),
                         "KafkaUser": lambda d: d["spec"]["authorization"]["acls"][0].update(operation="Read"),
                         "ScaledObject": lambda d: d["spec"].update(maxReplicas=3)}.items():
        document = [d for d in documents if d["kind"] == kind][0]
        damage(document)
        assert validator.faults(document), f"nothing was found in a damaged {kind}"


def the_chart_renders_valid_resources_in_every_variant():
    for values in VARIANTS:
        documents = helm(*values)
        names = [(d["kind"], d["metadata"]["name"]) for d in documents]
        assert len(set(names)) == len(names), names
        assert_valid(documents)


def helm_finds_no_fault():
    need("helm")
    for values in VARIANTS:
        sets = [argument for value in values for argument in ("--set", value)]
        run("helm", "lint", "--strict", "--kube-version", VERSIONS[-1], CHART, *sets)


def the_chart_has_the_versions_of_the_program():
    version = rimbalzo("version").stdout.split()[1]
    yaml = need_module("yaml")
    chart = yaml.safe_load(read("deploy", "kubernetes", "chart", "Chart.yaml"))
    assert chart["appVersion"] == version, chart
    for name in ("base", "example"):
        images = yaml.safe_load(read("deploy", "kubernetes", name, "kustomization.yaml"))["images"]
        assert images[0]["newTag"] == version, images


def values_that_cannot_work_are_refused():
    for value in ("worker.replicas=0", "topics.init=perhaps", "config.instance=one", "terminationGracePeriodSeconds=10",
                  "worker.replica=2", "config.http.listen=", "config.dispatcher.delay_max=soon", "keda.minReplicas=0"):
        values = [value] + (["strimzi.enabled=true"] if "delay_max" in value else [])
        need("helm")
        assert run("helm", "template", "rimbalzo", CHART, "--kube-version", VERSIONS[-1],
                   *[a for v in values for a in ("--set", v)], expect=None).returncode != 0, value


def kustomize_builds_valid_resources():
    for folder in ("base", "example"):
        documents = kustomize(folder)
        assert_valid(documents)
        config = only(documents, "ConfigMap")["metadata"]["name"]
        assert re.fullmatch(r"rimbalzo-\w{10}", config)
        for stateful_set in (d for d in documents if d["kind"] == "StatefulSet"):
            volumes = stateful_set["spec"]["template"]["spec"]["volumes"]
            assert {"name": "config", "configMap": {"name": config}} in volumes


def what_kustomize_builds_on_is_what_the_chart_renders():
    need("helm")
    need_module("yaml")
    run("/usr/bin/python3", path("deploy", "kubernetes", "render"), "--check")


def everything_of_both():
    """(label, documents) of chart and Kustomize, with all components."""
    return [("chart", helm(*ALL)), ("kustomize", kustomize("example"))]


def each_pod_is_a_member_of_its_own_name_and_keeps_its_state():
    for label, documents in [("plain chart", helm()), *everything_of_both()]:
        for role in ("worker", "dispatcher"):
            found = only(documents, "StatefulSet", f"rimbalzo-{role}")
            spec, pod = found["spec"], found["spec"]["template"]["spec"]
            env = {e["name"]: e for e in container(found)["env"]}
            assert env["RIMBALZO_INSTANCE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name", label
            assert spec["podManagementPolicy"] == "Parallel"
            assert container(found)["args"] == [role, "--config=/etc/rimbalzo/rimbalzo.yaml"]
            mounts = {m["name"]: m["mountPath"] for m in container(found)["volumeMounts"]}
            state_dir = re.search(r"^state_dir: (\S+)", rimbalzo("config", "show").stdout, re.M)[1]
            assert mounts["state"] == state_dir and spec["volumeClaimTemplates"][0]["metadata"]["name"] == "state"
            # Its variables would be taken for configuration.
            assert pod["enableServiceLinks"] is False and pod["automountServiceAccountToken"] is False
            assert only(documents, "Service", spec["serviceName"])["spec"]["clusterIP"] == "None"


def pods_are_closed():
    for _, documents in everything_of_both():
        for found in (d for d in documents if d["kind"] == "StatefulSet"):
            pod = found["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] >= 10000
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            for each in pod["containers"] + pod.get("initContainers", []):
                assert each["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                   "capabilities": {"drop": ["ALL"]}}
                assert "memory" in each["resources"]["limits"] and each["resources"]["requests"]


def probes_ask_what_the_program_answers():
    routes = set(re.findall(r'^    \{"(/\w+)"', read("src", "cli", "observe.c"), re.M))
    for found in (d for d in helm() if d["kind"] == "StatefulSet"):
        probes = {name: container(found)[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
        assert {probe["path"] for probe in probes.values()} == {"/livez", "/readyz"} <= routes
        assert probes["readinessProbe"]["path"] == "/readyz"
        assert {"name": "http", "containerPort": 9464} in container(found)["ports"]


def the_time_to_end_suffices():
    stopping = int(re.search(r"STEP_MS_MAX_STOPPING (\d+)", read("src", "stream", "transaction.c"))[1])
    for found in (d for d in helm() if d["kind"] == "StatefulSet"):
        grace = found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert grace >= 4 * stopping / 1000 + 3 * 5


def topics_are_checked_before_a_worker_starts():
    for init, words in (("check", ["topics", "check"]), ("apply", ["topics", "apply", "--yes"])):
        pod = only(helm(f"topics.init={init}"), "StatefulSet", "rimbalzo-worker")["spec"]["template"]["spec"]
        assert pod["initContainers"][0]["args"] == words + ["--config=/etc/rimbalzo/rimbalzo.yaml"]
    pods = {d["metadata"]["name"]: d["spec"]["template"]["spec"] for d in helm("topics.init=none")
            if d["kind"] == "StatefulSet"}
    assert not any("initContainers" in pod for pod in pods.values())
    # It checks its own topics at the start.
    assert "initContainers" not in only(helm(), "StatefulSet", "rimbalzo-dispatcher")["spec"]["template"]["spec"]


def the_configuration_of_the_pods_passes_the_program():
    for label, documents in [("plain chart", helm()), *everything_of_both(), ("base", kustomize("base"))]:
        maps = [d for d in documents if d["kind"] == "ConfigMap" and "rimbalzo.yaml" in d["data"]]
        assert len(maps) == 1, label
        with temporary() as folder:
            for name, text in (("rimbalzo.yaml", maps[0]["data"]["rimbalzo.yaml"]), ("password", "secret\n")):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            for found in (d for d in documents if d["kind"] == "StatefulSet"):
                env = {e["name"]: e.get("value", "pod-0") for e in container(found)["env"]}
                if "RIMBALZO_KAFKA_SASL_PASSWORD_FILE" in env:
                    secret = {v["name"]: v for v in found["spec"]["template"]["spec"]["volumes"]}["secrets"]["secret"]
                    assert secret["secretName"] == env["RIMBALZO_KAFKA_SASL_USERNAME"], label
                    only(documents, "KafkaUser", secret["secretName"])
                    mount = {m["name"]: m["mountPath"] for m in container(found)["volumeMounts"]}["secrets"]
                    assert env["RIMBALZO_KAFKA_SASL_PASSWORD_FILE"] == mount + "/password"
                    env["RIMBALZO_KAFKA_SASL_PASSWORD_FILE"] = os.path.join(folder, "password")
                shown = rimbalzo("config", "show", "-c", os.path.join(folder, "rimbalzo.yaml"), env=env).stdout
                assert "instance: pod-0" in shown
                rimbalzo("config", "check", "-c", os.path.join(folder, "rimbalzo.yaml"), env=env)


def keda_scales_the_worker_alone_and_by_the_input_alone():
    for _, documents in everything_of_both():
        spec = only(documents, "ScaledObject")["spec"]
        assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "rimbalzo-worker"}
        trigger = spec["triggers"][0]["metadata"]
        # Without a topic, the certificates on the recipients topic would count as lag.
        assert trigger["topic"] == "rimbalzo.bounces" and trigger["consumerGroup"] == "rimbalzo-worker"
        topic = only(documents, "KafkaTopic", "rimbalzo.bounces")["spec"]
        assert spec["maxReplicaCount"] == topic["partitions"] and spec["minReplicaCount"] >= 1
        assert "replicas" not in only(documents, "StatefulSet", "rimbalzo-worker")["spec"]
        assert only(documents, "StatefulSet", "rimbalzo-dispatcher")["spec"]["replicas"] == 2
    spec = only(helm("keda.enabled=true", "config.worker.threads=4"), "ScaledObject")["spec"]
    assert spec["maxReplicaCount"] == 3


def names_follow_the_configuration():
    documents = helm(*ALL, "config.app=other", "config.topics.prefix=mail.", "config.topics.due=soon")
    assert {d["metadata"]["name"] for d in documents if d["kind"] == "KafkaTopic"} == {
        "soon" if part == "retries.due" else "mail." + part for part in TOPICS.values()}
    assert only(documents, "ScaledObject")["spec"]["triggers"][0]["metadata"]["consumerGroup"] == "other-worker"
    acls = only(documents, "KafkaUser", "rimbalzo-worker")["spec"]["authorization"]["acls"]
    assert {a["resource"].get("name") for a in acls} >= {"other-worker", "other-worker-", "mail.bounces", "soon"}
    single = [d for d in helm("strimzi.enabled=true", "config.topics.replication=1") if d["kind"] == "KafkaTopic"]
    assert len(single) == len(TOPICS) and not any("min.insync.replicas" in d["spec"]["config"] for d in single)


def monitoring_finds_the_pods():
    for _, documents in everything_of_both():
        monitor = only(documents, "ServiceMonitor")["spec"]
        services = [d for d in documents if d["kind"] == "Service"]
        for service in services:
            assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
            assert monitor["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]
            assert service["metadata"]["labels"][monitor["jobLabel"]] == "rimbalzo"


def the_rules_are_those_of_the_project():
    yaml = need_module("yaml")
    rules = yaml.safe_load(read("deploy", "prometheus", "rimbalzo.rules.yaml"))
    assert only(helm(*ALL), "PrometheusRule")["spec"] == rules
    moved = only(helm(*ALL, "prometheusRule.runbookUrl=https://example.org/runbook"), "PrometheusRule")["spec"]
    links = [r["annotations"]["runbook_url"] for g in moved["groups"] for r in g["rules"] if "alert" in r]
    assert links and all(link.startswith("https://example.org/runbook#") for link in links)


def the_dashboards_are_those_of_the_project():
    data = only(helm(*ALL), "ConfigMap", "rimbalzo-dashboards")["data"]
    assert len(data) == 3
    for name, text in data.items():
        assert json.loads(text) == json.loads(read("deploy", "grafana", name))


if __name__ == "__main__":
    main(a_wrong_manifest_would_be_found, the_chart_renders_valid_resources_in_every_variant, helm_finds_no_fault,
         the_chart_has_the_versions_of_the_program, values_that_cannot_work_are_refused,
         kustomize_builds_valid_resources, what_kustomize_builds_on_is_what_the_chart_renders,
         each_pod_is_a_member_of_its_own_name_and_keeps_its_state, pods_are_closed, probes_ask_what_the_program_answers,
         the_time_to_end_suffices, topics_are_checked_before_a_worker_starts,
         the_configuration_of_the_pods_passes_the_program, keda_scales_the_worker_alone_and_by_the_input_alone,
         names_follow_the_configuration, monitoring_finds_the_pods, the_rules_are_those_of_the_project,
         the_dashboards_are_those_of_the_project)
