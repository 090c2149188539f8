#!/usr/bin/env python3
"""deploy/container: read as text, for there is no Docker where the tests run. What the image does with the package is
tried by tests/deploy/roots in plain Debian roots."""

import http.server
import json
import os
import re
import shutil
import threading

from support import main, need, need_module, path, read, rimbalzo, run, temporary

DOCKERFILE = read("deploy", "container", "Dockerfile")
OURS = ["worker-1", "worker-2", "dispatcher"]


def instructions():
    """(instruction, text) in order, continued lines joined."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.M))
    return [tuple(line.strip().split(None, 1)) for line in joined.splitlines() if line.strip()]


def compose():
    yaml = need_module("yaml")
    return yaml.safe_load(read("deploy", "container", "compose.yaml"))


def health_check():
    """What bash is given to run."""
    text = dict(instructions())["HEALTHCHECK"]
    command = json.loads(text[text.index("["):])
    assert command[:2] == ["/bin/bash", "-c"] and len(command) == 3, command
    return command[2]


def every_instruction_is_one():
    known = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "LABEL", "VOLUME", "USER", "ENV", "EXPOSE", "STOPSIGNAL",
             "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    found = instructions()
    assert found[0][0] in ("ARG", "FROM") and {name for name, _ in found} <= known, found
    names = [text.split(" AS ")[1] for name, text in found if name == "FROM" and " AS " in text]
    for source in re.findall(r"from=(\w+)", DOCKERFILE):
        assert source in names, source


def the_image_runs_the_package_as_a_user_without_rights():
    found = instructions()
    last = found[max(i for i, (name, _) in enumerate(found) if name == "FROM"):]
    final = dict(last)
    assert final["USER"] == "10001:10001" and final["STOPSIGNAL"] == "SIGTERM"
    assert "useradd --system --uid 10001" in final["RUN"] and "/package/rimbalzo_*.deb" in final["RUN"]
    assert not any(name in ("COPY", "ADD") for name, _ in last), "the build's files must not reach the image"
    assert final["ENTRYPOINT"] == '["/usr/bin/rimbalzo"]' and final["VOLUME"] == "/var/lib/rimbalzo"
    variable, value = final["ENV"].split("=", 1)
    assert f'listen: "{value}"' in rimbalzo("config", "show", env={variable: value}).stdout
    assert final["EXPOSE"] == value.rsplit(":", 1)[1]


def scripts_in_the_dockerfile_are_clean():
    need("shellcheck")
    for name, text in instructions():
        if name == "RUN":
            script = re.sub(r"--mount=\S+", "", text)
            run("shellcheck", "-s", "sh", "-", stdin=script + "\n")
    run("shellcheck", "-s", "bash", "-", stdin=health_check() + "\n")


def the_health_check_tells_live_from_dead():
    """Against a server that answers as the program does."""
    check = health_check()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *unused):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for status, code in ((200, 0), (503, 1)):
            server.status = status
            run("bash", "-c", check.replace("9464", str(server.server_address[1])), expect=code)
    finally:
        server.shutdown()


def images_have_the_version_of_the_program():
    version = rimbalzo("version").stdout.split()[1]
    assert f"rimbalzo:{version}" in DOCKERFILE
    assert compose()["services"]["worker-1"]["image"] == f"rimbalzo:{version}"
    for name, service in compose()["services"].items():
        assert re.search(r":v?\d+\.\d+", service["image"]), f"{name} has an image without a version"


def compose_describes_the_pipeline():
    services = compose()["services"]
    assert set(services) == {"kafka", "schema-registry", "topics", "tools", "prometheus", "grafana", *OURS}
    for name, service in services.items():
        for other in service.get("depends_on", []):
            assert other in services, (name, other)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert os.path.exists(path("deploy", "container", source)), (name, source)
            else:
                assert source in compose()["volumes"], (name, source)
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} listens beyond this machine"
    instances = [services[name]["environment"]["RIMBALZO_INSTANCE"] for name in OURS]
    assert len(set(instances)) == len(OURS)
    volumes = [services[name]["volumes"][0] for name in OURS]
    assert len(set(volumes)) == len(OURS) and all(v.endswith(":/var/lib/rimbalzo") for v in volumes)


def our_services_have_a_configuration_the_program_takes():
    services = compose()["services"]
    for name in OURS + ["topics", "tools"]:
        service = services[name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        rimbalzo("config", "check", env=service["environment"])
        if "command" in service:
            help_text = rimbalzo(service["command"][0], "--help").stdout
            assert "Usage: rimbalzo " + service["command"][0] in help_text
    assert services["topics"]["environment"]["RIMBALZO_TOPICS_REPLICATION"] == "1"


def prometheus_takes_its_configuration_and_finds_every_process():
    need("promtool")
    yaml = need_module("yaml")
    with temporary() as folder:
        shutil.copy(path("deploy", "container", "prometheus.yaml"), folder)
        shutil.copy(path("deploy", "prometheus", "rimbalzo.rules.yaml"), folder)
        run("promtool", "check", "config", os.path.join(folder, "prometheus.yaml"))
    scrape = yaml.safe_load(read("deploy", "container", "prometheus.yaml"))["scrape_configs"][0]
    assert scrape["job_name"] == "rimbalzo"  # what the alert rules look for
    assert scrape["static_configs"][0]["targets"] == [f"{name}:9464" for name in OURS]


if __name__ == "__main__":
    main(every_instruction_is_one, the_image_runs_the_package_as_a_user_without_rights,
         scripts_in_the_dockerfile_are_clean, the_health_check_tells_live_from_dead,
         images_have_the_version_of_the_program, compose_describes_the_pipeline,
         our_services_have_a_configuration_the_program_takes,
         prometheus_takes_its_configuration_and_finds_every_process)
