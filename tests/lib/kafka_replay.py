"""What the tests of replay share: stories with a known end, the oracle's word under another policy, live states."""

import json
import os
import sys

import kafka_read

sys.path.insert(0, os.path.join(kafka_read.ROOT, "tests", "oracle"))
# pylint: disable=wrong-import-position
import avro
import semantics
from config import DEFAULTS, Config
from identity import partition_of, record_key

DAY_MS = 86400000
STORIES_AT = 1_000_000_000_000 - 30 * DAY_MS  # before the oracle's streams begin
STRICTER = {"policies": {**DEFAULTS["policies"], "default": {**DEFAULTS["policies"]["default"], "max_attempts": 3}}}
NOT_COMPARED = ("last_rule",)  # the oracle knows no names of rules


def rows(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def recipients(found):
    return {(row["tenant"], row["recipient"]) for row in found}


def tell(done):
    print("       " + done.stderr.strip().replace("\n", "\n       "), flush=True)


def stories(pipeline):
    """Mailboxes that are disabled for a while: 1 to 6 bounces, each after the waiting time is over."""
    codec, records = avro.Codec(), []
    for number in range(60):
        recipient = f"story{number}@example.org"
        partition = partition_of(recipient, pipeline.partitions)
        for bounce, day in enumerate((0, 1, 3, 6, 13, 20)[:number % 6 + 1]):
            records.append((day, kafka_read.Record(recipient.encode(), codec.encode("BounceRecord", {
                "event_id": f"{recipient}-{bounce}", "tenant": "", "recipient": recipient, "message_id": "m",
                "occurred_at": STORIES_AT + day * DAY_MS, "status": "4.2.1", "reply_code": None, "diagnostic": None,
                "remote_mta": None, "stage": None, "retry_of": None, "message_attempt": 0, "source": "",
                "attributes": {}}), (), partition)))
    return [record for _, record in sorted(records, key=lambda pair: pair[0])]


def fold_under(pipeline, changed):
    """The oracle's fold of the same input under another configuration."""
    config = Config({**{key: value for key, value in pipeline.config.items() if key in DEFAULTS}, **changed})
    inputs = sorted(pipeline.read()["bounces"], key=lambda record: (record.partition, record.offset))
    return semantics.fold(inputs, pipeline.partitions, config, avro.Codec().decode)


def counted(fold):
    return {address: {name: value for name, value in state.items() if name not in NOT_COMPARED}
            for address, state in fold.live_states().items()}


def expected_differences(before, after):
    before, after = counted(before), counted(after)
    return {address for address in before.keys() | after.keys() if before.get(address) != after.get(address)}


def policy_file(s):
    path = os.path.join(s.dir, "stricter.yaml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(STRICTER, file)
    return path


def live_states(pipeline):
    """What a reader of the recipients topic makes of it."""
    codec, last = avro.Codec(), {}
    for record in pipeline.read()["recipients"]:
        last[record.key] = record.value
    states = [codec.decode(value, ("RecipientState",))[1] for value in last.values() if value is not None]
    return {(state["tenant"], state["recipient"]): state for state in states}


def agree(pipeline, fold):
    """The recipients topic holds what the fold makes, as it counts at the stream time."""
    found, expected = live_states(pipeline), fold.live_states()
    assert expected.keys() <= found.keys(), sorted(expected.keys() - found.keys())
    for address, state in expected.items():
        seen = semantics.effective(fold.config, found[address], fold.stream_times[
            partition_of(record_key(*address), pipeline.partitions)])
        for name, value in state.items():
            value = list(value) if isinstance(value, tuple) else value
            assert name in NOT_COMPARED or seen[name] == value, (address, name, seen[name], value)
    for address in found.keys() - expected.keys():
        partition = partition_of(record_key(*address), pipeline.partitions)
        assert semantics.effective(fold.config, found[address], fold.stream_times[partition]) is None, address


def forge(pipeline):
    """Writes a state with a counter that is off by one into the recipients topic; the state as it was."""
    state = next(state for state in live_states(pipeline).values() if state["status"] == "SUPPRESSED")
    key = record_key(state["tenant"], state["recipient"])
    forged = avro.Codec().encode("RecipientState", {**state, "hard": state["hard"] + 1})
    pipeline.broker.produce(pipeline.changelog, [kafka_read.Record(
        key.encode(), forged, (), partition_of(key, pipeline.partitions))])
    return state
