#!/usr/bin/python3
"""Prints classified events, one JSON object a line, for run_stdin.py and whatever is compared with it."""

import argparse
import json

from adversary import Adversary
from config import Config
from semantics import step

FIELDS = (
    "partition offset stream_time now kind class reason rule status tenant recipient event_id message_id "
    "message_attempt retry_of action"
).split()


def events(seed, count, config=None, partitions=4, recipients=24):
    """Yields (event, stored state after, outputs)."""
    config = config or Config()
    adversary = Adversary(seed, config, partitions, recipients, count)
    offsets = dict.fromkeys(range(partitions), -1)
    stream_times = {}
    for _ in range(count):
        event = adversary.event()
        partition = event["partition"]
        # Gaps, as transaction markers leave them; now and then an offset comes again.
        step_width = adversary.rng.choices((1, 2, 5, 0, -3), (90, 4, 2, 2, 2))[0]
        event["offset"] = max(0, offsets[partition] + step_width)
        offsets[partition] = max(offsets[partition], event["offset"])
        stream_times[partition] = max(stream_times.get(partition, 0), event["now"])
        event["stream_time"] = stream_times[partition]
        before = adversary.states.get((event["tenant"], event["recipient"]))
        after, outputs = step(config, before, event)
        adversary.observe(event, after, outputs)
        yield event, after, outputs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--recipients", type=int, default=24)
    parser.add_argument("--config", default="{}", metavar="JSON")
    arguments = parser.parse_args()
    encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    config = Config(json.loads(arguments.config))
    for event, _, _ in events(arguments.seed, arguments.count, config, arguments.partitions, arguments.recipients):
        print(encode({name: event[name] for name in FIELDS}))


if __name__ == "__main__":
    main()
