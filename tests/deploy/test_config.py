#!/usr/bin/env python3
"""deploy/config: the example and the JSON Schema say what the program's table of keys says."""

import json
import re

from support import main, need_module, path, read, rimbalzo, temporary

SCHEMA = "deploy/config/rimbalzo.schema.json"
EXAMPLE = "deploy/config/rimbalzo.yaml"
UNITS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000,
         "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def program_keys():
    """{key: type} of the table in src/ops/config_keys.c."""
    text = read("src", "ops", "config_keys.c").split("const struct key config_keys[]")[1].split("};")[0]
    keys = dict(re.findall(r'\{(?:\.name = )?"([\w.]+)", (?:\.type = )?KEY_(\w+)', text))
    keys.update({f"topics.{name}": "NAME" for name in re.findall(r"TOPIC\((\w+)\)", text)})
    assert len(keys) > 40, "the table of keys has another form"
    return keys


def schema():
    return json.loads(read(*SCHEMA.split("/")))


def schema_keys(node, prefix=""):
    """{key: its schema} of the leaves; kafka and policies are leaves."""
    keys = {}
    for name, sub in node["properties"].items():
        full = prefix + name
        if sub.get("additionalProperties") is False and full != "policies":
            keys.update(schema_keys(sub, full + "."))
        else:
            keys[full] = sub
    return keys


def plain(value):
    """A value with durations and sizes as numbers, so that 24h and 1d are equal."""
    if isinstance(value, dict):
        return {key: plain(sub) for key, sub in value.items()}
    if isinstance(value, list):
        return [plain(sub) for sub in value]
    match = re.fullmatch(r"(\d+)([A-Za-z]+)", value) if isinstance(value, str) else None
    return int(match[1]) * UNITS[match[2]] if match and match[2] in UNITS else value


def at(document, key):
    for part in key.split("."):
        if not isinstance(document, dict) or part not in document:
            return None
        document = document[part]
    return document


def validator():
    jsonschema = need_module("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


def faults(document):
    return [error.message for error in validator().iter_errors(document)]


def the_schema_has_the_keys_of_the_program_and_no_other():
    keys, described = program_keys(), schema_keys(schema())
    assert set(keys) == set(described), set(keys) ^ set(described)
    for key, kind in keys.items():
        sub = described[key]
        shape = {"DURATION": sub.get("$ref") == "#/$defs/duration", "SIZE": sub.get("$ref") == "#/$defs/size",
                 "NUMBER": sub.get("type") == "integer", "BOOL": sub.get("type") == "boolean", "CHOICE": "enum" in sub,
                 "DELAYS": sub.get("type") == "array"}.get(kind, sub.get("type") in ("string", "object"))
        assert shape, f"{key} is a {kind} in the program, not so in the schema"
        assert sub.get("description"), f"{key} has no description"


def the_schema_has_the_defaults_of_the_program():
    yaml = need_module("yaml")
    shown = yaml.safe_load(rimbalzo("config", "show").stdout)
    names = {"instance": None, **{f"topics.{n}": None for n in
                                  ("bounces", "recipients", "delayed", "due", "suppressions", "notices", "dead_letters")}}
    for key, sub in schema_keys(schema()).items():
        if key in names:
            assert "default" not in sub, f"{key} is made of other keys, so it has no default of its own"
        else:
            assert plain(sub.get("default")) == plain(at(shown, key)), (key, sub.get("default"), at(shown, key))


def the_schema_has_the_bounds_of_the_program():
    """Tried from outside: what the schema allows passes, one more or less does not."""
    for key, sub in schema_keys(schema()).items():
        trials = []
        if sub.get("type") == "integer":
            trials = [(sub["minimum"], 0), (sub["maximum"], 0), (sub["minimum"] - 1, 78), (sub["maximum"] + 1, 78)]
        elif "enum" in sub:
            trials = [(choice, 0) for choice in sub["enum"]] + [("other", 78)]
        elif sub.get("type") == "string" and "pattern" in sub and "maxLength" in sub and key != "topics.prefix":
            trials = [("a" * sub["maxLength"], 0), ("a" * (sub["maxLength"] + 1), 78), ("a b", 78)]
        elif sub.get("$ref"):
            unit = "ms" if sub["$ref"].endswith("duration") else "TiB"
            trials = [("5", 78), ("5 " + unit, 78), ("5w", 78)]
        for value, code in trials:
            rimbalzo("config", "check", "--set", f"{key}={value}", expect=code)
    delays = schema()["$defs"]["policy"]["properties"]["delays"]
    for count, code in ((delays["maxItems"], 0), (delays["maxItems"] + 1, 78), (delays["minItems"] - 1, 78)):
        rimbalzo("config", "check", "--set", f"policies.default.delays=[{', '.join(['1h'] * count)}]", expect=code)


def properties_of_librdkafka_that_are_refused_are_refused_by_both():
    refused = re.findall(r'^    \{"([\w.]+)", (?:"|BY_)', read("src", "kafka", "client.c").split("refused[]")[1]
                         .split("};")[0], re.M)
    assert len(refused) > 15, "the list in kafka/client.c has another form"
    assert sorted(schema()["properties"]["kafka"]["propertyNames"]["not"]["enum"]) == sorted(refused)


def every_key_stands_in_the_example_with_its_default():
    """Set or, where there is no default, in a comment."""
    yaml = need_module("yaml")
    text = read(*EXAMPLE.split("/"))
    example, shown = yaml.safe_load(text), yaml.safe_load(rimbalzo("config", "show").stdout)
    for key, sub in schema_keys(schema()).items():
        if "default" in sub:
            assert plain(at(example, key)) == plain(at(shown, key)), key
        else:
            assert re.search(rf"^ *# *{key.rsplit('.', maxsplit=1)[-1]}:", text, re.M), f"{key} is not in the example"


def the_example_passes_the_program_and_the_schema():
    yaml = need_module("yaml")
    rimbalzo("config", "check", "-c", path(EXAMPLE))
    assert not faults(yaml.safe_load(read(*EXAMPLE.split("/"))))
    assert not faults(yaml.safe_load(rimbalzo("config", "defaults").stdout))
    assert not faults(yaml.safe_load(rimbalzo("config", "show").stdout))


def what_the_schema_refuses_the_program_refuses_too():
    yaml = need_module("yaml")
    wrong = ["worker: {thread: 2}", "colour: red", "kafka: {acks: 1}", "policies: {a: {reasons: [mailbox_full]}}",
             "policies: {default: {reasons: [mailbox_full], delays: [1h]}}", "worker: {threads: two}",
             "stale_after: 30", "store: {map_size_initial: 64mb}", "http: {listen: nowhere}", "log: {addresses: maybe}",
             "transient: {delays: 1h}", "topics: {bounces: a/b}"]
    with temporary() as folder:
        for text in wrong:
            assert faults(yaml.safe_load(text)), f"the schema passes {text}"
            with open(folder + "/c.yaml", "w", encoding="utf-8") as file:
                file.write(text + "\n")
            rimbalzo("config", "check", "-c", folder + "/c.yaml", expect=78)


def what_is_commented_out_in_the_example_works_too():
    """Every commented line that is YAML, uncommented, except files that are not there."""
    text = re.sub(r"^( *)# ((?: {2})*(?:[a-z_.]+:(?: \S+)?))$", r"\1\2", read(*EXAMPLE.split("/")), flags=re.M)
    text = re.sub(r"^.*(?:password_file|ca\.location|/etc/rimbalzo/|^rules:).*\n", "", text, flags=re.M)
    assert "sasl.mechanism: SCRAM" in text and "\n  bounces: " in text
    text = re.sub(r"^rules:\n", "", text, flags=re.M)
    with temporary() as folder:
        with open(folder + "/c.yaml", "w", encoding="utf-8") as file:
            file.write(text)
        rimbalzo("config", "check", "-c", folder + "/c.yaml", "--set", "kafka.sasl.mechanism=PLAIN")


if __name__ == "__main__":
    main(the_schema_has_the_keys_of_the_program_and_no_other, the_schema_has_the_defaults_of_the_program,
         the_schema_has_the_bounds_of_the_program, properties_of_librdkafka_that_are_refused_are_refused_by_both,
         every_key_stands_in_the_example_with_its_default, the_example_passes_the_program_and_the_schema,
         what_the_schema_refuses_the_program_refuses_too, what_is_commented_out_in_the_example_works_too)
