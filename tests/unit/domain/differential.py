#!/usr/bin/python3
"""Feeds generated events to domain_fold and to the reference of tests/oracle; both must say the same, octet by octet.

    differential.py DOMAIN_FOLD [--seed N] [--count N] [--rounds N]

A difference prints the seed, the configuration, the recipient's events so far and both answers; exit 1.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../oracle"))
try:
    from config import Config
    from gen_events import FIELDS, events
except ImportError as missing:
    print(f"skipped: {missing}; scripts/setup --with tests installs it")
    sys.exit(77)

CONFIGS = [
    {},
    # Short windows: lapses and expiries everywhere.
    {"stale_after": "337h", "recipient": {"retention": "20d"}, "frequent": {"window": "3d"}},
    # One attempt only; every answer exhausts, the notice with it.
    {"policies": {"default": {"delays": ["1h"], "max_attempts": 1, "contact_after": 1}}, "answer": {"tolerance": "0ms"}},
    # More attempts than delays, a notice at the last, no lifting.
    {
        "policies": {
            "default": {"delays": ["1h", "30m"], "max_attempts": 5, "contact_after": 5},
            "full": {"reasons": ["mailbox_full", "moved"], "delays": ["6h", "1h"], "max_attempts": 3, "contact_after": 0},
        },
        "suppression": {"lift_on_delivery": False},
        "stale_after": "13h",
        "transient": {"delays": ["5m"]},
    },
    # A tolerance longer than the first delay; no retries of transient bounces.
    {
        "policies": {"default": {"delays": ["1m", "10m"], "max_attempts": 3, "contact_after": 1}},
        "transient": {"delays": []},
        "stale_after": "11m",
        "recipient": {"retention": "1h"},
        "frequent": {"window": "1h"},
    },
    # Everything within milliseconds.
    {
        "policies": {"default": {"delays": [2, 1, 3], "max_attempts": 4, "contact_after": 3}},
        "transient": {"delays": [1, 2, 3]},
        "stale_after": 4,
        "recipient": {"retention": 5},
        "frequent": {"window": 6},
        "answer": {"tolerance": 1},
    },
]

encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def history(inputs, index):
    who = inputs[index]["tenant"], inputs[index]["recipient"]
    return [event for event in inputs[: index + 1] if (event["tenant"], event["recipient"]) == who]


def answers_of(program, config, inputs):
    with tempfile.TemporaryFile("w+", encoding="utf-8") as lines:
        lines.writelines(encode(event) + "\n" for event in inputs)
        lines.seek(0)
        command = [program, "--config", config]
        done = subprocess.run(command, stdin=lines, stdout=subprocess.PIPE, check=True, encoding="utf-8")
    return done.stdout.split("\n")[:-1]


def compare(program, seed, count, overrides):
    config = json.dumps(overrides)
    inputs, expected = [], []
    for event, after, outputs in events(seed, count, Config(overrides)):
        inputs.append({name: event[name] for name in FIELDS})
        expected.append(encode({"outputs": outputs, "state": after}))
    answers = answers_of(program, config, inputs)
    if len(answers) != len(expected):
        sys.exit(f"seed {seed}, config {config}: {len(answers)} answers to {len(expected)} events")
    for index, (answer, reference) in enumerate(zip(answers, expected)):
        if answer != reference:
            for event in history(inputs, index):
                print(encode(event))
            where = f"seed {seed}, config {config}, event {index}"
            sys.exit(f"{where}:\n  domain    {answer}\n  reference {reference}")
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2500, help="events of a round")
    parser.add_argument("--rounds", type=int, default=42)
    arguments = parser.parse_args()
    total = 0
    for number in range(arguments.rounds):
        overrides = CONFIGS[number % len(CONFIGS)]
        total += compare(arguments.program, arguments.seed + number, arguments.count, overrides)
    print(f"{total} events, no difference")


if __name__ == "__main__":
    main()
