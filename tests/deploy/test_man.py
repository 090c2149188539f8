#!/usr/bin/env python3
"""deploy/man: the pages render cleanly and say what the program says of itself."""

import json
import os
import re
import sys

from support import commands, main, need, path, read, rimbalzo, run, temporary, binary

PAGES = ["rimbalzo.1", "rimbalzo.yaml.5"]


def rendered(page):
    """A page as man shows it, without a line break inside a paragraph's words."""
    need("scdoc", "man", "col")
    with temporary() as folder:
        run(sys.executable, path("deploy", "man", "generate.py"), binary(), folder)
        # Without hyphenation and adjustment, so that words can be found.
        done = run("man", "--nh", "--nj", "-l", os.path.join(folder, page),
                   env={"MANWIDTH": "1000", "MANROFFOPT": "-c", "LC_ALL": "C.UTF-8"})
        assert not done.stderr, done.stderr
        return run("col", "-bx", stdin=done.stdout).stdout


def groff_finds_no_fault():
    need("scdoc", "man")
    with temporary() as folder:
        run(sys.executable, path("deploy", "man", "generate.py"), binary(), folder)
        for page in PAGES:
            done = run("man", "--warnings", "-l", os.path.join(folder, page), env={"LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
            assert not done.stderr, done.stderr
            assert f"NAME\n       {page.rsplit('.', 1)[0]} - " in done.stdout


def every_command_and_option_has_its_place():
    text = rendered("rimbalzo.1")
    for name in commands():
        section = re.search(rf"^   {re.escape(name)}$(.*?)^(?:   \S|[A-Z])", text, re.M | re.S)
        assert section, f"{name} is missing"
        told = rimbalzo(name, "--help", env={"ARGP_HELP_FMT": "rmargin=9999"}).stdout
        for short, long in re.findall(r"^  (?:(-\S), |    )(--[a-z][a-z-]*)", told, re.M):
            if long not in ("--help", "--usage"):
                assert (f"{short}, " if short else "") + long in section[1], f"{name}: {short} {long} is missing"
        # What follows the options, and what stands before them, word for word.
        sentences = [line for line in told.splitlines() if len(line) > 60 and not line.startswith((" ", "Mandatory"))
                     and not line.startswith("Usage:")]
        shown = " ".join(section[1].split())
        for sentence in sentences:
            assert " ".join(sentence.split()) in shown, f"{name}: {sentence}"


def every_key_has_its_place_and_its_default():
    text = rendered("rimbalzo.yaml.5")
    schema = json.loads(read("deploy", "config", "rimbalzo.schema.json"))

    def leaves(node, prefix=""):
        for name, sub in node["properties"].items():
            if sub.get("additionalProperties") is False:
                yield from leaves(sub, f"{prefix}{name}.")
            else:
                yield prefix + name, sub

    for key, sub in leaves(schema):
        line = re.search(rf"^       {re.escape(key)} \((.*)\)$", text, re.M)
        assert line, f"{key} is missing"
        if not isinstance(sub.get("default"), (dict, list, bool, type(None))):
            assert f"default {sub['default']}" in line[1], (key, line[1])
    for key in schema["$defs"]["policy"]["properties"]:
        assert re.search(rf"^       {key} \(", text, re.M), key


def every_exit_code_has_its_place():
    text = rendered("rimbalzo.1").split("EXIT STATUS")[1].split("\nFILES")[0]
    codes = re.findall(r"EXIT_CODE_\w+ = (\d+),", read("src", "cli", "cli.h"))
    assert len(codes) > 8
    for code in codes:
        if code != "128":  # plus the number of a signal
            assert re.search(rf"^       {code}$", text, re.M), code


if __name__ == "__main__":
    main(groff_finds_no_fault, every_command_and_option_has_its_place, every_key_has_its_place_and_its_default,
         every_exit_code_has_its_place)
