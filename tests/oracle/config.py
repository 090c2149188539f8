"""The configuration as far as semantics go: the keys of the YAML file, as nested dictionaries."""

import re

UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

DEFAULTS = {
    "policies": {
        "default": {"delays": ["24h", "48h", "72h", "168h"], "max_attempts": 4, "contact_after": 2},
        "disabled-permanent": {
            "reasons": ["mailbox_disabled_permanent"],
            "delays": ["168h", "336h"],
            "max_attempts": 2,
            "contact_after": 1,
        },
    },
    "transient": {"delays": ["1h", "4h", "12h"]},
    "stale_after": "30d",
    "answer": {"tolerance": "5m"},
    "frequent": {"window": "180d"},
    "recipient": {"retention": "400d", "local_part": "lower"},
    "suppression": {"lift_on_delivery": True},
    "event": {"max_ahead": "5m"},
    "unknown": {"as": "unknown"},
}


def duration_ms(value):
    """`250ms`, `5m`, `24h`, `30d`, or a number of milliseconds."""
    if isinstance(value, int):
        return value
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", value).groups()
    return int(number) * UNITS_MS[unit]


class Policy:
    def __init__(self, name, keys):
        self.name = name
        self.reasons = frozenset(keys.get("reasons", ()))
        self.delays = [duration_ms(delay) for delay in keys["delays"]]
        self.max_attempts = keys["max_attempts"]
        self.contact_after = keys["contact_after"]

    def delay(self, attempt):
        """The delay before the given attempt (from 1); the last one repeats."""
        return self.delays[min(attempt, len(self.delays)) - 1]


class Config:
    """Overrides replace the defaults key by key; `policies` replaces the whole map when given."""

    def __init__(self, overrides=None):
        keys = merged(DEFAULTS, overrides or {})
        self.policies = {name: Policy(name, policy) for name, policy in keys["policies"].items()}
        self.default_policy = self.policies["default"]
        self.transient_delays = [duration_ms(delay) for delay in keys["transient"]["delays"]]
        self.stale_after = duration_ms(keys["stale_after"])
        self.tolerance = duration_ms(keys["answer"]["tolerance"])
        self.window = duration_ms(keys["frequent"]["window"])
        self.retention = duration_ms(keys["recipient"]["retention"])
        self.local_part = keys["recipient"]["local_part"]
        self.lift_on_delivery = keys["suppression"]["lift_on_delivery"]
        self.max_ahead = duration_ms(keys["event"]["max_ahead"])
        self.unknown_as = keys["unknown"]["as"].upper()

    def policy_for(self, reason):
        """First match by reason, in the order of the file; else the default."""
        for policy in self.policies.values():
            if reason in policy.reasons:
                return policy
        return self.default_policy

    def policy_named(self, name):
        """A state's policy; without one (or with one that the file no longer has) the default."""
        return self.policies.get(name, self.default_policy)


def merged(defaults, overrides):
    result = dict(defaults)
    for key, value in overrides.items():
        nested = isinstance(value, dict) and key != "policies"
        result[key] = {**defaults.get(key, {}), **value} if nested else value
    return result
