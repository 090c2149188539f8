#!/usr/bin/env python3
"""scripts/dev package: what is in the package, and that Debian's own checks find no fault."""

import glob
import os
import re

from support import main, need, path, read, rimbalzo, run, temporary

_BUILT = []


def package():
    """The path of the package, built once."""
    need("dpkg-deb", "cmake", "ninja", "scdoc", "file")
    if not _BUILT:
        run(path("scripts", "dev"), "package")
        _BUILT.extend(glob.glob(path("build-package", "rimbalzo_*.deb")))
    assert len(_BUILT) == 1, _BUILT
    return _BUILT[0]


def field(name):
    return run("dpkg-deb", "-f", package(), name).stdout.strip()


def lintian_finds_no_fault():
    need("lintian")
    done = run("lintian", "--fail-on", "error,warning", "--allow-root", package(), expect=None)
    assert done.returncode == 0 and not re.search(r"^[EW]:", done.stdout, re.M), done.stdout + done.stderr


def everything_is_in_its_place():
    listed = run("dpkg-deb", "-c", package()).stdout
    files = {line.split()[-1][1:]: line.split()[:2] for line in listed.splitlines()}
    wanted = """/usr/bin/rimbalzo /etc/rimbalzo/rimbalzo.yaml /usr/lib/systemd/system/rimbalzo-worker.service
        /usr/lib/systemd/system/rimbalzo-dispatcher.service /usr/lib/sysusers.d/rimbalzo.conf /usr/lib/tmpfiles.d/rimbalzo.conf
        /usr/share/man/man1/rimbalzo.1.gz /usr/share/man/man5/rimbalzo.yaml.5.gz
        /usr/share/bash-completion/completions/rimbalzo /usr/share/zsh/vendor-completions/_rimbalzo
        /usr/share/fish/vendor_completions.d/rimbalzo.fish /usr/share/doc/rimbalzo/copyright
        /usr/share/doc/rimbalzo/changelog.gz /usr/share/doc/rimbalzo/runbook.md /usr/share/doc/rimbalzo/README.md
        /usr/share/doc/rimbalzo/examples/sender.py
        /usr/share/rimbalzo/rimbalzo.rules.yaml /usr/share/rimbalzo/rimbalzo.schema.json
        /usr/share/rimbalzo/grafana/overview.json /usr/share/rimbalzo/schemas/BounceRecord.avsc
        /usr/share/rimbalzo/rules/default.yaml""".split()
    assert not [name for name in wanted if name not in files], [name for name in wanted if name not in files]
    assert all(owner == "root/root" for _, owner in files.values())
    assert "/etc/rimbalzo/rimbalzo.yaml" in run("dpkg-deb", "-I", package(), "conffiles").stdout.split()
    # Rules and units name the runbook where the package puts it.
    for name in ("deploy/prometheus/rimbalzo.rules.yaml", "deploy/systemd/rimbalzo-worker.service"):
        assert "file:///usr/share/doc/rimbalzo/runbook.md" in read(*name.split("/"))


def the_program_in_it_runs_with_what_the_package_depends_on():
    with temporary() as folder:
        run("dpkg-deb", "-x", package(), folder)
        program = os.path.join(folder, "usr", "bin", "rimbalzo")
        assert run(program, "version").stdout == rimbalzo("version").stdout
        needed = re.findall(r"Shared library: \[([^\]]+)\]", run("readelf", "-d", program).stdout)
        headers = run("readelf", "-d", program).stdout
        assert "RPATH" not in headers and "RUNPATH" not in headers
        linked = "librdkafka.so.1" in needed
        assert linked == ("librdkafka1" in field("Depends")), (needed, field("Depends"))
        # A librdkafka that is linked in brings its licences.
        licences = os.path.join(folder, "usr", "share", "doc", "rimbalzo", "librdkafka-licences.txt")
        assert linked != os.path.exists(licences)
        run(program, "config", "check", "-c", os.path.join(folder, "etc", "rimbalzo", "rimbalzo.yaml"))


def what_the_units_call_is_there():
    called = set(re.findall(r"^Exec\w+=[-+!]*(\S+)", read("deploy", "systemd", "rimbalzo-worker.service"), re.M))
    assert called == {"/usr/bin/rimbalzo", "/bin/kill"}, called
    assert "procps" in field("Depends"), field("Depends")


def versions_agree():
    version = rimbalzo("version").stdout.split()[1]
    assert field("Version") == version
    assert read("deploy", "debian", "changelog").startswith(f"rimbalzo ({version}) ")


def maintainer_scripts_are_clean():
    need("shellcheck")
    run("shellcheck", *[path("deploy", "debian", name) for name in ("postinst", "prerm", "postrm")])


def cmake_installs_the_same_below_a_prefix():
    package()
    with temporary() as folder:
        run("cmake", "--install", path("build-package"), "--prefix", folder, env={"DESTDIR": folder})
        below = folder + folder
        for name in ("bin/rimbalzo", "lib/systemd/system/rimbalzo-worker.service", "share/man/man1/rimbalzo.1.gz"):
            assert os.path.exists(os.path.join(below, name)), name


if __name__ == "__main__":
    main(lintian_finds_no_fault, everything_is_in_its_place, the_program_in_it_runs_with_what_the_package_depends_on,
         what_the_units_call_is_there, versions_agree, maintainer_scripts_are_clean,
         cmake_installs_the_same_below_a_prefix)
