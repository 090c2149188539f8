#!/usr/bin/env python3
"""The manual pages, made of what the program says of itself so that they cannot disagree with it.

usage: generate.py RIMBALZO FOLDER

Writes FOLDER/rimbalzo.1 and FOLDER/rimbalzo.yaml.5: the commands from each --help, the keys from the
JSON Schema of the configuration (which a test holds to the program), the rest from the *.scd.in beside
this file; all of it through scdoc.
"""

import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NOISE = "Mandatory or optional arguments to long options"


def escape(text):
    """Plain text for scdoc."""
    return re.sub(r"([\\*_#\[\]|<>~`])", r"\\\1", text)


def help_of(binary, *command):
    environment = {**os.environ, "ARGP_HELP_FMT": "rmargin=9999,opt-doc-col=29"}
    return subprocess.run([binary, *command, "--help"], check=True, stdout=subprocess.PIPE, text=True,
                          env=environment).stdout


def option(line):
    """(names, argument, description) of a line of argp's option list, or None."""
    match = re.match(r"^  (?:(-\S), |    )(--[a-z][a-z-]*)(?:=(\S+))?(?:  +(\S.*))?$", line)
    if not match:
        return None
    names = ", ".join(f"*{escape(name)}*" for name in match.groups()[:2] if name)
    return names + (f"=_{escape(match[3])}_" if match[3] else ""), match[4] or ""


def section(binary, name, summary):
    """A command as scdoc."""
    head, options, tail = [], [], []
    usages = []
    for line in help_of(binary, name).splitlines():
        found = option(line)
        usage = re.match(r"^(?:Usage:|  or: ) rimbalzo (.*)$", line)
        if usage:
            usages.append(usage[1].replace("[OPTION...]", "").split())
        elif found:
            if not found[0].endswith(("--help*", "--usage*")):
                options.append(found)
        elif line.strip() and not line.startswith(" ") and not line.startswith(NOISE):
            (tail if options or head and head[-1] == "" else head).append(line.strip())
        elif not line.strip() and head:
            head.append("")
        elif line.startswith(" " * 20) and options:  # a description below a long name
            options[-1] = (options[-1][0], (options[-1][1] + " " + line.strip()).strip())
    out = [f"## {escape(name)}", ""]
    for words in usages:
        out += ["*rimbalzo " + escape(words[0]) + "*" + "".join(f" {escape(word)}" for word in words[1:]) + "++"]
    out[-1] = out[-1].removesuffix("++")
    out += ["", *([escape(line) for line in head if line] or [escape(summary)]), ""]
    for names, description in options:
        out += [names, "\t" + escape(description), ""]
    for line in tail:
        out += [escape(line), ""]
    return "\n".join(out)


def commands(binary):
    listed = re.findall(r"^  ([a-z][a-z-]*) +(\S.*)$", help_of(binary), re.M)
    if not listed:
        sys.exit("generate.py: the help lists no commands")
    return "\n".join(section(binary, name, summary) for name, summary in listed)


def kind(schema):
    """What values a key takes, in words."""
    if "enum" in schema:
        return ", ".join(schema["enum"][:-1]) + " or " + schema["enum"][-1]
    if schema.get("type") == "integer":
        return f"{schema['minimum']} to {schema['maximum']}"
    if schema.get("type") == "array":
        reference = schema["items"].get("$ref", "")
        return "list of durations" if reference else "list"
    return {"#/$defs/duration": "duration", "#/$defs/size": "size"}.get(
        schema.get("$ref"), {"boolean": "true or false", "object": "map"}.get(schema.get("type"), "text"))


def shown(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    return str(value) if value != "" else '""'


def keys(node, prefix=""):
    out = []
    for name, schema in node["properties"].items():
        if schema.get("additionalProperties") is False:
            out += keys(schema, f"{prefix}{name}.")
            continue
        default = f", default {escape(shown(schema['default']))}" if "default" in schema else ""
        text = schema["description"].replace("`", "")
        out += [f"*{escape(prefix + name)}* ({escape(kind(schema))}{default})", "\t" + escape(text), ""]
    return out


def write(name, text, folder):
    page = subprocess.run(["scdoc"], input=text, text=True, stdout=subprocess.PIPE, check=True).stdout
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(page)


def template(name):
    with open(os.path.join(HERE, name + ".scd.in"), encoding="utf-8") as file:
        return file.read()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    binary, folder = sys.argv[1:]
    with open(os.path.join(HERE, "..", "config", "rimbalzo.schema.json"), encoding="utf-8") as file:
        schema = json.load(file)
    write("rimbalzo.1", template("rimbalzo.1").replace("@COMMANDS@", commands(binary).strip()), folder)
    policy = keys({"properties": schema["$defs"]["policy"]["properties"]})
    write("rimbalzo.yaml.5", template("rimbalzo.yaml.5").replace("@KEYS@", "\n".join(keys(schema)).strip())
          .replace("@POLICY_KEYS@", "\n".join(policy).strip()), folder)


if __name__ == "__main__":
    main()
