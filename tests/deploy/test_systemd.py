#!/usr/bin/env python3
"""deploy/systemd: the units are sound and closed, and the sandbox lets through what the program does."""

import os
import re

from support import Skipped, binary, files_under, main, need, path, read, rimbalzo, run, temporary

UNITS = ["rimbalzo-worker.service", "rimbalzo-dispatcher.service"]
EXPOSURE_MAX = 20  # in tenths: 2.0
SILENCE_S = 60  # TURN_MS_MAX of cli/observe_health.c: from then on /livez says no


def settings(unit):
    """{name: [values]} of a unit file."""
    found = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", read("deploy", "systemd", unit), re.M):
        found.setdefault(name, []).append(value)
    return found


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|min)", text).groups()
    return int(number) * {"s": 1, "min": 60}[unit]


def systemd_finds_no_fault():
    """With the binary where the package puts it."""
    need("systemd-analyze")
    with temporary() as root:
        for unit in UNITS:
            text = read("deploy", "systemd", unit).replace("/usr/bin/rimbalzo", binary())
            with open(os.path.join(root, unit), "w", encoding="utf-8") as file:
                file.write(text)
        done = run("systemd-analyze", "verify", "--man=no", *[os.path.join(root, unit) for unit in UNITS], expect=None)
        told = [line for line in done.stderr.splitlines() if "rimbalzo" in line]
        assert not told, told


def the_services_are_closed():
    need("systemd-analyze")
    for unit in UNITS:
        run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager",
            path("deploy", "systemd", unit))


def both_units_have_the_same_sandbox():
    own = {"Description", "ExecStart", "ExecReload", "EnvironmentFile", "Environment"}
    worker, dispatcher = ({k: v for k, v in settings(unit).items() if k not in own} for unit in UNITS)
    assert worker == dispatcher, [(k, worker.get(k), dispatcher.get(k)) for k in worker.keys() | dispatcher.keys()
                                  if worker.get(k) != dispatcher.get(k)]


def the_commands_of_the_units_exist_and_their_ports_differ():
    for unit in UNITS:
        command = settings(unit)["ExecStart"][0].split()
        assert command[0] == "/usr/bin/rimbalzo" and command[2:] == ["-c", "/etc/rimbalzo/rimbalzo.yaml"], command
        assert "Usage: rimbalzo " + command[1] in rimbalzo(command[1], "--help").stdout
    assert "Environment" not in settings(UNITS[0])
    name, value = settings(UNITS[1])["Environment"][0].split("=", 1)
    shown = rimbalzo("config", "show", env={name: value}).stdout
    assert 'listen: "127.0.0.1:9465"' in shown and 'listen: "127.0.0.1:9464"' in rimbalzo("config", "show").stdout


def the_timeouts_fit_the_program():
    health = read("src", "cli", "observe_health.c")
    assert int(re.search(r"TURN_MS_MAX (\d+)", health)[1]) == SILENCE_S * 1000
    stopping = re.search(r"STEP_MS_MAX_STOPPING (\d+)", read("src", "stream", "transaction.c"))
    extended = re.search(r"WAITING_S (\d+)", read("src", "cli", "notify.c"))
    for unit in UNITS:
        found = settings(unit)
        assert found["Type"] == ["notify"] and seconds(found["WatchdogSec"][0]) >= 10
        # Flush, offsets, commit and abort may each take that long, then consumer, producer and readers close.
        assert seconds(found["TimeoutStopSec"][0]) >= 4 * int(stopping[1]) / 1000 + 3 * 5
        assert seconds(found["TimeoutStartSec"][0]) >= int(extended[1])


def exit_codes_that_a_restart_cannot_mend_end_the_service():
    for unit in UNITS:
        assert settings(unit)["RestartPreventExitStatus"] == ["64 78"]
    rimbalzo("worker", "--set", "worker.threads=0", expect=78)
    rimbalzo("worker", "--no-such-option", expect=64)


def the_filter_lets_every_system_call_through():
    """Those of the whole demo: engine, stores, librdkafka and HTTP client code included."""
    need("strace", "systemd-analyze")
    allowed = set()
    for line in settings(UNITS[0])["SystemCallFilter"]:
        names = closure(line.lstrip("~").split())
        allowed = allowed - names if line.startswith("~") else allowed | names
    with temporary() as folder:
        log = os.path.join(folder, "calls")
        done = run("strace", "-f", "-qq", "-o", log, binary(), "demo", expect=None)
        if "ptrace" in done.stderr or "Operation not permitted" in done.stderr:
            raise Skipped("strace may not trace here")
        assert done.returncode == 0, done.stderr
        with open(log, encoding="utf-8", errors="replace") as file:
            made = set(re.findall(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)[( ]", file.read(), re.M))
    assert "sendmsg" in made and "mmap" in made, made
    assert not made - allowed, f"the filter refuses {sorted(made - allowed)}"


def closure(names):
    """The system calls of groups."""
    calls, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if not name.startswith("@"):
            calls.add(name)
            continue
        listed = run("systemd-analyze", "syscall-filter", "--no-pager", name).stdout.splitlines()
        waiting += [line.strip() for line in listed[1:] if line.strip() and not line.strip().startswith("#")]
    return calls


def the_user_and_the_folder_are_made():
    need("systemd-sysusers", "systemd-tmpfiles")
    with temporary() as root:
        os.makedirs(os.path.join(root, "etc"))
        os.makedirs(os.path.join(root, "var", "lib"))
        run("systemd-sysusers", f"--root={root}", path("deploy", "systemd", "rimbalzo.sysusers.conf"))
        with open(os.path.join(root, "etc", "passwd"), encoding="utf-8") as file:
            assert re.search(r"^rimbalzo:.*:/var/lib/rimbalzo:/usr/sbin/nologin$", file.read(), re.M)
        run("systemd-tmpfiles", f"--root={root}", "--create", path("deploy", "systemd", "rimbalzo.tmpfiles.conf"))
        mode = os.stat(os.path.join(root, "var", "lib", "rimbalzo")).st_mode
        assert mode & 0o777 == 0o750, oct(mode)


if __name__ == "__main__":
    assert len(files_under("deploy/systemd", ".service")) == len(UNITS)
    main(systemd_finds_no_fault, the_services_are_closed, both_units_have_the_same_sandbox,
         the_commands_of_the_units_exist_and_their_ports_differ, the_timeouts_fit_the_program,
         exit_codes_that_a_restart_cannot_mend_end_the_service, the_filter_lets_every_system_call_through,
         the_user_and_the_folder_are_made)
