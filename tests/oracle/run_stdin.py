#!/usr/bin/python3
"""Classified events on stdin, one JSON object a line; what the reference makes of each on stdout, one a line.

The state printed is the stored one after the event: null when the recipient is unknown, forgotten, or expired at the
event's stream time; after a duplicate the state as it was, its lapse not stored.
"""

import argparse
import json
import sys

from config import Config
from semantics import step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="{}", metavar="JSON", help="overrides of the default configuration")
    config = Config(json.loads(parser.parse_args().config))
    encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
    states = {}
    for line in sys.stdin:
        if not line.strip():
            continue
        event = json.loads(line)
        address = event["tenant"], event["recipient"]
        after, outputs = step(config, states.get(address), event)
        states[address] = after
        print(encode({"outputs": outputs, "state": after}))


if __name__ == "__main__":
    main()
