"""What the tests of deploy/ share. A test is a program:

    from support import main, need, run

    def the_units_are_hardened():
        need("systemd-analyze")
        ...

    if __name__ == "__main__":
        main(the_units_are_hardened, ...)

A test whose tool is absent is skipped and says so; scripts/setup --with tests installs the tools.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
DEPLOY = os.path.join(ROOT, "deploy")
TOOLS = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "rimbalzo", "tools")
os.environ["PATH"] = os.path.join(TOOLS, "bin") + os.pathsep + os.environ["PATH"]
EXIT_SKIPPED = 77


class Skipped(Exception):
    """Why a test cannot run here."""


def need(*commands):
    for command in commands:
        if shutil.which(command) is None:
            raise Skipped(f"{command} is absent (scripts/setup --with tests)")


def need_module(name):
    try:
        return __import__(name)
    except ImportError:
        raise Skipped(f"Python's module {name} is absent (scripts/setup --with tests)") from None


def path(*parts):
    return os.path.join(ROOT, *parts)


def read(*parts):
    with open(path(*parts), encoding="utf-8") as file:
        return file.read()


def files_under(folder, *endings):
    """Paths below a folder of the project, sorted; with endings, only those."""
    found = []
    for base, _, names in os.walk(path(folder)):
        found += [os.path.join(base, name) for name in names if not endings or name.endswith(endings)]
    return sorted(found)


def binary():
    found = os.environ.get("RIMBALZO_TEST_BINARY") or path("build", "rimbalzo")
    if not os.access(found, os.X_OK):
        raise AssertionError(f"{found} is missing: run scripts/dev build")
    return found


def run(*argv, expect=0, stdin="", env=None, cwd=None):
    """Runs to the end; returns the CompletedProcess with text. Fails on another exit code than expect
    (None: any)."""
    done = subprocess.run([str(a) for a in argv], input=stdin, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env={**os.environ, **(env or {})}, cwd=cwd, check=False)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"{' '.join(map(str, argv))}: exit {done.returncode}, expected {expect}\n"
                             f"{done.stdout}{done.stderr}")
    return done


def rimbalzo(*arguments, **options):
    """The product, with nothing of this machine's environment in its configuration."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RIMBALZO_")}
    done = subprocess.run([binary(), *map(str, arguments)], input=options.get("stdin", ""), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          env={**clean, **(options.get("env") or {})})
    expect = options.get("expect", 0)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"rimbalzo {' '.join(map(str, arguments))}: exit {done.returncode}, expected {expect}\n"
                             f"{done.stdout}{done.stderr}")
    return done


def commands():
    """{name: summary} of the subcommands, from the help."""
    return dict(re.findall(r"^  ([a-z][a-z-]*) +(\S.*)$", rimbalzo("--help").stdout, re.M))


def error_codes():
    """Every code of base/err.h but ok."""
    found = re.findall(r'X\(\w+, "(\w+)", DISPOSITION_\w+\)', read("src", "base", "err.h"))
    assert "ok" in found and len(found) > 20, "base/err.h has another form"
    return [code for code in found if code != "ok"]


def anchors(text):
    """Those that a Markdown reader makes of headings."""
    made = set()
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.M):
        made.add(re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-"))
    return made


def temporary():
    return tempfile.TemporaryDirectory(prefix="rimbalzo-deploy-")


def main(*tests):
    """Runs the tests; arguments choose among them by name. Exit 1 if one failed, 77 if all were skipped."""
    wanted = sys.argv[1:]
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        outcome, why = "ok", ""
        try:
            test()
        except Skipped as skipped:
            outcome, why = "skipped", f": {skipped}"
        except Exception:  # pylint: disable=broad-exception-caught
            traceback.print_exc()
            outcome = "FAILED"
        counts[outcome] += 1
        print(f"{outcome}{why} ({test.__name__})", flush=True)
    if counts["FAILED"]:
        sys.exit(1)
    sys.exit(0 if counts["ok"] else EXIT_SKIPPED)
