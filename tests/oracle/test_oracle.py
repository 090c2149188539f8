#!/usr/bin/python3
"""Tests of the oracle itself: every reference value of vectors.json, every line of src/domain/semantics.md section 6."""

import json
import pathlib
import unittest

import avro
import classify
import gen_events
import identity
from config import Config
from semantics import Fold, Record, step

VECTORS = json.loads((pathlib.Path(__file__).resolve().parents[1] / "data" / "vectors.json").read_text())

T0 = 1_700_000_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
CODES = {
    "SOFT": ("4.2.1", "mailbox_disabled", "oracle.disabled"),
    "HARD": ("5.1.1", "user_unknown", "oracle.unknown-user"),
    "TRANSIENT": ("4.4.1", "connect_refused", None),
    "POLICY": ("5.7.1", "policy", None),
    "UNKNOWN": ("5.0.0", "other", None),
}


class Story:
    """One recipient of partition 0 and what happens to it."""

    def __init__(self, config=None, tenant="", recipient="ada@example.com"):
        self.config = Config(config)
        self.address = {"tenant": tenant, "recipient": recipient}
        self.state = None
        self.offset = -1
        self.stream_time = 0

    def send(self, kind, now, **fields):
        self.offset += 1
        self.stream_time = max(self.stream_time, now)
        event = {
            "partition": 0, "offset": self.offset, "stream_time": self.stream_time, "now": now, "kind": kind,
            "event_id": f"e{self.offset}", "message_id": "m1", "message_attempt": 0, "retry_of": None, "rule": None,
            **self.address, **fields,
        }  # fmt: skip
        self.state, outputs = step(self.config, self.state, event)
        return outputs

    def bounce(self, now, kind="SOFT", **fields):
        status, reason, rule = CODES[kind]
        return self.send("bounce", now, **{"class": kind, "status": status, "reason": reason, "rule": rule, **fields})

    def deliver(self, now, **fields):
        return self.send("delivery", now, **fields)

    def override(self, action, now, **fields):
        return self.send("override", now, action=action, **fields)


def schedule_id(episode, opened_at, attempt, message="m1", message_attempt=0):
    return identity.output_id("command", "", "ada@example.com", episode, opened_at, attempt, message, message_attempt)


class Vectors(unittest.TestCase):
    def test_ids(self):
        for vector in VECTORS["ids"]:
            self.assertEqual(identity.output_id(*vector["fields"]), vector["id"])

    def test_keys_and_partitions(self):
        for vector in VECTORS["keys"]:
            key = identity.record_key(vector["tenant"], vector["recipient"])
            self.assertEqual(key, vector["key"])
            self.assertEqual(identity.murmur2(key.encode()) & 0x7FFFFFFF, vector["murmur2"])
            self.assertEqual(identity.partition_of(key, 4), vector["partition_of_4"])
            self.assertEqual(identity.partition_of(key, 12), vector["partition_of_12"])

    def test_canonical_forms(self):
        for vector in VECTORS["canonical"]:
            try:
                found = identity.canonical(vector["in"])
            except identity.Rejected as rejected:
                found = {"rejected": f"invalid_recipient: {rejected}"}
            self.assertEqual(found, vector["out"], vector["in"])

    def test_hashes(self):
        for vector in VECTORS["xxh3_64"]:
            self.assertEqual(identity.id_hash(vector["text"]), vector["signed"])

    def test_stories(self):
        for vector in VECTORS["stories"]:
            with self.subTest(vector["story"]):
                story = Story()
                for number, told in enumerate(vector["steps"]):
                    outputs = [self.told(output) for output in self.perform(story, told["step"])]
                    self.assertEqual(outputs, told["outputs"], f"step {number}")
                expected = dict(vector["state"])
                for name in ("recent_events", "recent_commands"):
                    expected[name] = [identity.id_hash(text) for text in expected[name]]
                self.assertEqual(json.loads(json.dumps(story.state)), expected)

    def perform(self, story, told):
        kind, *rest, fields = told
        self.assertEqual(fields, {})
        if kind == "deliver":
            return story.deliver(*rest)
        if kind == "override":
            return story.override(*rest)
        bounce_class, now, *message = rest
        return story.bounce(now, bounce_class.upper(), message_id=message[0] if message else "m1")

    def told(self, output):
        """An output with the names of the vectors: `kind` is the record's type, `notice` the notice's kind."""
        output = dict(output)
        notice = {"notice": output.pop("kind")} if "kind" in output else {}
        return {"kind": output.pop("type"), **notice, **output}


def kinds(outputs):
    return [output.get("kind") or output["action"] for output in outputs]


class Soft(unittest.TestCase):
    def test_old_news_counts_and_schedules_with_attempt_0_at_once(self):
        for moment in ("deliver", "override"):
            story = Story()
            story.bounce(T0, "POLICY")
            story.deliver(T0 + 10) if moment == "deliver" else story.override("REINSTATE", T0 + 10)
            (command,) = story.bounce(T0 + 9)
            self.assertEqual(command["command_id"], schedule_id(0, None, 0))
            self.assertEqual((command["attempt"], command["due_at"], command["max_attempts"]), (0, T0 + 9, 4))
            self.assertEqual((story.state["status"], story.state["soft"]), ("ACTIVE", 1))
            self.assertEqual(story.state["last_bounce_at"], T0 + 9)
            self.assertEqual(story.bounce(T0 + 9), [], "the id is remembered")

    def test_at_the_very_moment_of_the_delivery_it_is_news(self):
        story = Story()
        story.bounce(T0, "POLICY")
        story.deliver(T0 + 10)
        self.assertEqual(kinds(story.bounce(T0 + 10)), ["SCHEDULE"])
        self.assertEqual(story.state["status"], "SUSPENDED")

    def test_policy_is_chosen_by_the_opening_reason_and_kept(self):
        story = Story()
        (command,) = story.bounce(T0, reason="mailbox_disabled_permanent", status="5.2.1")
        self.assertEqual((command["due_at"], command["max_attempts"]), (T0 + 168 * HOUR, 2))
        notice, command = story.bounce(command["due_at"])
        self.assertEqual((notice["kind"], notice["attempt"]), ("CONTACT_ALTERNATIVE", 1))
        self.assertEqual((command["attempt"], command["reason"]), (2, "mailbox_disabled"))
        self.assertEqual(command["due_at"], T0 + (168 + 336) * HOUR)
        self.assertEqual(story.state["policy"], "disabled-permanent")
        self.assertEqual(story.state["reason"], "mailbox_disabled_permanent")
        suppression, cancel = story.bounce(command["due_at"])
        self.assertEqual((suppression["reason"], cancel["max_attempts"]), ("ATTEMPTS_EXHAUSTED", 2))
        self.assertEqual(cancel["reason"], "mailbox_disabled_permanent")

    def test_the_last_delay_repeats(self):
        story = Story({"policies": {"default": {"delays": ["1h", "2h"], "max_attempts": 5, "contact_after": 0}}})
        now, delays = T0, []
        for _ in range(5):
            (command,) = story.bounce(now)
            delays.append((command["due_at"] - now) // HOUR)
            now = command["due_at"]
        self.assertEqual(delays, [1, 2, 2, 2, 2])
        self.assertEqual(kinds(story.bounce(now)), ["SUPPRESS", "CANCEL"])

    def test_contact_notice_also_when_it_exhausts(self):
        story = Story({"policies": {"default": {"delays": ["1h"], "max_attempts": 1, "contact_after": 1}}})
        story.bounce(T0)
        outputs = story.bounce(T0 + HOUR)
        self.assertEqual(kinds(outputs), ["CONTACT_ALTERNATIVE", "SUPPRESS", "CANCEL"])
        self.assertEqual([output.get("attempt", output.get("attempts")) for output in outputs], [1, 1, 1])

    def test_answer_by_time_begins_at_the_tolerance(self):
        for early, attempt in ((5 * MINUTE + 1, 1), (5 * MINUTE, 2), (0, 2)):
            story = Story()
            story.bounce(T0)
            (command,) = story.bounce(T0 + DAY - early, message_id="m2", retry_of="nonsense")
            self.assertEqual((command["attempt"], story.state["attempt"]), (attempt, attempt))

    def test_due_at_never_goes_back(self):
        story = Story({"policies": {"default": {"delays": ["24h", "1ms"], "max_attempts": 4, "contact_after": 9}}})
        story.bounce(T0)
        (command,) = story.bounce(T0 + 1, retry_of=schedule_id(1, T0, 1))
        self.assertEqual((command["attempt"], command["due_at"]), (2, T0 + DAY))

    def test_answer_by_id_whatever_its_time_and_case(self):
        for moment in (T0 - DAY, T0 + 1):
            story = Story()
            story.bounce(T0)
            (command,) = story.bounce(moment, retry_of=schedule_id(1, T0, 1).upper())
            self.assertEqual(command["attempt"], 2)
            self.assertEqual(command["due_at"], max(T0 + DAY, moment + 48 * HOUR))

    def test_answer_to_a_transient_command_of_this_attempt(self):
        story = Story()
        story.bounce(T0)
        (transient,) = story.bounce(T0 + 1, "TRANSIENT")
        (command,) = story.bounce(T0 + 2, retry_of=transient["command_id"], message_attempt=1)
        self.assertEqual((command["attempt"], command["message_attempt"]), (2, 0))

    def test_no_answer_with_an_earlier_foreign_or_inconsistent_id(self):
        wrong = [
            {"retry_of": schedule_id(1, T0, 0)},
            {"retry_of": schedule_id(1, T0 + 1, 1)},
            {"retry_of": schedule_id(1, T0, 1), "message_id": "m2"},
            {"retry_of": schedule_id(1, T0, 1), "message_attempt": 1},
            {"retry_of": None},
        ]
        for fields in wrong:
            story = Story()
            story.bounce(T0)
            outputs = story.bounce(T0 + 1, **fields)
            self.assertEqual(story.state["attempt"], 1, fields)
            for command in outputs:
                self.assertEqual((command["attempt"], command["due_at"]), (1, T0 + DAY))

    def test_another_message_in_the_window_joins_the_attempt(self):
        story = Story()
        story.bounce(T0)
        (command,) = story.bounce(T0 + 1, message_id="m2", status="4.2.2", reason="mailbox_full")
        self.assertEqual((command["attempt"], command["due_at"]), (1, T0 + DAY))
        self.assertEqual((command["status"], command["reason"]), ("4.2.2", "mailbox_full"))
        self.assertEqual(story.state["reason"], "mailbox_disabled")
        self.assertEqual(story.bounce(T0 + 2, message_id="m2"), [])

    def test_a_remembered_command_is_not_refreshed(self):
        story = Story()
        for number in range(8):
            story.bounce(T0 + number, message_id=f"m{number}")
        self.assertEqual(story.bounce(T0 + 8, message_id="m0"), [])
        self.assertEqual(kinds(story.bounce(T0 + 9, message_id="m8")), ["SCHEDULE"])
        self.assertEqual(kinds(story.bounce(T0 + 10, message_id="m0")), ["SCHEDULE"], "m0 was the oldest and is gone")

    def test_suppressed_only_counts(self):
        story = Story()
        story.override("SUPPRESS", T0)
        self.assertEqual(story.bounce(T0 + 1), [])
        self.assertEqual((story.state["soft"], story.state["last_bounce_at"]), (1, T0 + 1))
        self.assertEqual((story.state["episode"], story.state["suppressed_by"]), (0, "MANUAL"))


class Frequency(unittest.TestCase):
    def opened(self, *moments):
        story = Story()
        for moment in moments:
            story.bounce(moment)
            found = story.state["frequency"]
            story.override("REINSTATE", story.state["last_event_at"])
        return story, found

    def test_openings_inside_the_window_lower_it(self):
        window = 180 * DAY
        self.assertEqual(self.opened(T0)[1], "NORMAL")
        self.assertEqual(self.opened(T0, T0 + window)[1], "NORMAL", "exactly at its start is outside")
        self.assertEqual(self.opened(T0, T0 + window - 1)[1], "HALF")
        self.assertEqual(self.opened(T0, T0 + 1, T0 + 2)[1], "QUARTER")
        self.assertEqual(self.opened(T0, T0 + 1, T0 + 2, T0 + 3)[1], "QUARTER")

    def test_notice_only_when_it_got_lower(self):
        story, _ = self.opened(T0)
        notice, command = story.bounce(T0 + DAY)
        self.assertEqual((notice["kind"], notice["episode"], notice["attempt"]), ("REDUCE_FREQUENCY", 2, 0))
        self.assertEqual((notice["frequency"], command["action"]), ("HALF", "SCHEDULE"))
        story, _ = self.opened(T0, T0 + 1, T0 + 2)
        self.assertEqual(kinds(story.bounce(T0 + 3)), ["SCHEDULE"])

    def test_eight_openings_are_kept_in_offset_order(self):
        story, _ = self.opened(*(T0 + number for number in range(10)))
        self.assertEqual(story.state["openings"], tuple(T0 + number for number in range(2, 10)))

    def test_a_delivery_recomputes_it_without_a_notice(self):
        story, _ = self.opened(T0, T0 + 1)
        self.assertEqual(story.deliver(T0 + 180 * DAY), [])
        self.assertEqual(story.state["frequency"], "NORMAL", "one opening is left inside")
        story, _ = self.opened(T0, T0 + 1)
        story.bounce(T0 + 180 * DAY, "POLICY")
        story.deliver(T0)
        self.assertEqual(story.state["frequency"], "NORMAL", "at the greatest event time, not at the delivery's")


class Hard(unittest.TestCase):
    def test_unknown_recipient_is_suppressed(self):
        story = Story()
        suppression, cancel = story.bounce(T0, "HARD")
        self.assertEqual((suppression["reason"], suppression["rule"]), ("HARD_BOUNCE", "oracle.unknown-user"))
        self.assertEqual((suppression["first_bounced_at"], suppression["last_bounced_at"]), (T0, T0))
        self.assertEqual((suppression["attempts"], suppression["episode"]), (0, 0))
        self.assertEqual((cancel["action"], cancel["reason"], cancel["max_attempts"]), ("CANCEL", "other", 4))
        self.assertEqual((cancel["message_id"], cancel["status"], cancel["message_attempt"]), (None, None, 0))
        self.assertEqual((cancel["due_at"], cancel["issued_at"]), (T0, T0))

    def test_old_news_only_counts_unless_suspended(self):
        story = Story()
        story.bounce(T0, "POLICY")
        story.deliver(T0 + 10)
        self.assertEqual(story.bounce(T0 + 9, "HARD"), [])
        self.assertEqual((story.state["hard"], story.state["last_bounce_at"]), (1, T0 + 9))
        story.bounce(T0 + 11)
        self.assertEqual(kinds(story.bounce(T0 + 9, "HARD")), ["SUPPRESS", "CANCEL"])

    def test_suppressed_only_counts_and_takes_over_from_exhaustion(self):
        changes = {"ATTEMPTS_EXHAUSTED": "HARD_BOUNCE", "MANUAL": "MANUAL", "HARD_BOUNCE": "HARD_BOUNCE"}
        for cause, after in changes.items():
            story = Story()
            story.override("SUPPRESS", T0)
            story.state["suppressed_by"] = cause
            self.assertEqual(story.bounce(T0 + 1, "HARD"), [])
            self.assertEqual((story.state["suppressed_by"], story.state["suppressions"]), (after, 1))


class Transient(unittest.TestCase):
    def test_delays_by_message_attempt(self):
        for before, delay in ((0, 1), (1, 4), (2, 12)):
            (command,) = Story().bounce(T0, "TRANSIENT", message_attempt=before)
            self.assertEqual((command["message_attempt"], command["due_at"]), (before + 1, T0 + delay * HOUR))
            self.assertEqual((command["episode"], command["attempt"]), (0, 0))
            self.assertEqual(command["command_id"], schedule_id(0, None, 0, "m1", before + 1))
        for before in (3, 4, 2**31 - 1):
            self.assertEqual(Story().bounce(T0, "TRANSIENT", message_attempt=before), [])

    def test_while_suspended_never_before_due_at(self):
        story = Story()
        story.bounce(T0)
        (command,) = story.bounce(T0 + 1, "TRANSIENT")
        self.assertEqual((command["due_at"], command["episode"], command["attempt"]), (T0 + DAY, 1, 1))
        (command,) = story.bounce(T0 + DAY, "TRANSIENT", message_id="m2")
        self.assertEqual(command["due_at"], T0 + DAY + HOUR)
        self.assertEqual((story.state["attempt"], story.state["due_at"]), (1, T0 + DAY))
        self.assertEqual(story.state["last_bounce_at"], T0)

    def test_none_while_suppressed(self):
        story = Story()
        story.override("SUPPRESS", T0)
        self.assertEqual(story.bounce(T0, "TRANSIENT"), [])
        self.assertEqual(story.state["transient"], 1)


class Counted(unittest.TestCase):
    def test_policy_and_unknown_are_counted(self):
        story = Story()
        self.assertEqual(story.bounce(T0, "POLICY"), [])
        self.assertEqual(story.bounce(T0 + 1, "UNKNOWN"), [])
        self.assertEqual((story.state["policy_bounces"], story.state["unknown"]), (1, 1))
        self.assertEqual((story.state["last_status"], story.state["last_bounce_at"]), ("5.0.0", None))

    def test_last_status_and_rule_follow_offset_order_null_included(self):
        story = Story()
        story.bounce(T0)
        story.bounce(T0 - DAY, "UNKNOWN", status=None)
        self.assertEqual((story.state["last_status"], story.state["last_rule"]), (None, None))
        self.assertEqual(story.state["last_event_at"], T0)


class Delivery(unittest.TestCase):
    def test_unknown_recipient_costs_nothing(self):
        story = Story()
        self.assertEqual((story.deliver(T0), story.state), ([], None))

    def test_releases_unless_older_than_the_last_bounce(self):
        for moment, status in ((T0 - 1, "SUSPENDED"), (T0, "ACTIVE")):
            story = Story()
            story.bounce(T0)
            outputs = story.deliver(moment)
            self.assertEqual(story.state["status"], status)
            self.assertEqual(kinds(outputs), [] if status == "SUSPENDED" else ["RELEASE"])
            self.assertEqual((story.state["deliveries"], story.state["last_delivery_at"]), (1, moment))

    def suppressed(self, config=None):
        keys = {"policies": {"default": {"delays": ["1h"], "max_attempts": 1, "contact_after": 0}}, **(config or {})}
        story = Story(keys)
        story.bounce(T0)
        story.bounce(T0 + HOUR)
        return story

    def test_lifts_exhaustion(self):
        story = self.suppressed()
        self.assertEqual(story.deliver(T0 + HOUR - 1), [], "older than the last bounce")
        (event,) = story.deliver(T0 + HOUR)
        self.assertEqual((event["action"], event["reason"]), ("REINSTATE", "DELIVERED"))
        self.assertEqual((event["status"], event["rule"], event["first_bounced_at"]), (None, None, None))
        self.assertEqual((event["last_bounced_at"], event["attempts"]), (T0 + HOUR, 0))
        self.assertEqual((story.state["status"], story.state["suppressed_by"]), ("ACTIVE", None))
        self.assertIsNone(story.state["reinstated_at"])

    def test_lifts_nothing_else(self):
        self.assertEqual(self.suppressed({"suppression": {"lift_on_delivery": False}}).deliver(T0 + DAY), [])
        for cause in ("HARD", "MANUAL"):
            story = Story()
            story.bounce(T0, "HARD") if cause == "HARD" else story.override("SUPPRESS", T0)
            self.assertEqual(story.deliver(T0 + DAY), [])
            self.assertEqual(story.state["status"], "SUPPRESSED")


class Override(unittest.TestCase):
    def test_reinstate(self):
        story = Story()
        self.assertEqual((story.override("REINSTATE", T0), story.state), ([], None))
        story.bounce(T0)
        self.assertEqual(kinds(story.override("REINSTATE", T0 - 10)), ["RELEASE"], "whatever its time")
        self.assertEqual(story.override("REINSTATE", T0 - 20), [])
        self.assertEqual((story.state["reinstated_at"], story.state["overrides"]), (T0 - 10, 2))
        story.bounce(T0 + 1, "HARD")
        (event,) = story.override("REINSTATE", T0 + 2)
        self.assertEqual((event["action"], event["reason"], event["last_bounced_at"]), ("REINSTATE", "MANUAL", T0 + 1))

    def test_suppress(self):
        story = Story()
        suppression, cancel = story.override("SUPPRESS", T0)
        self.assertEqual((suppression["reason"], suppression["status"], suppression["rule"]), ("MANUAL", None, None))
        self.assertEqual((suppression["first_bounced_at"], suppression["last_bounced_at"]), (None, None))
        self.assertEqual(cancel["action"], "CANCEL")
        self.assertEqual(story.override("SUPPRESS", T0 + 1), [])
        self.assertEqual((story.state["suppressions"], story.state["overrides"]), (1, 2))
        story.override("REINSTATE", T0 + 2)
        story.bounce(T0 + 3)
        suppression, cancel = story.override("SUPPRESS", T0 + 4)
        self.assertEqual((suppression["first_bounced_at"], suppression["attempts"]), (T0 + 3, 1))
        self.assertEqual((cancel["attempt"], cancel["episode"], cancel["reason"]), (1, 1, "mailbox_disabled"))
        self.assertEqual(
            [story.state[name] for name in ("attempt", "due_at", "episode_opened_at", "reason", "policy", "episode")],
            [0, None, None, None, None, 1],
        )

    def test_suppress_takes_over_from_other_causes(self):
        story = Story()
        story.bounce(T0, "HARD")
        self.assertEqual(story.override("SUPPRESS", T0 + 1), [])
        self.assertEqual(story.state["suppressed_by"], "MANUAL")

    def test_forget(self):
        story = Story()
        self.assertEqual((story.override("FORGET", T0), story.state), ([], None))
        story.bounce(T0, "HARD")
        (cancel,) = story.override("FORGET", T0 + 1)
        self.assertEqual((cancel["action"], cancel["reason"], story.state), ("CANCEL", "other", None))
        story.bounce(T0 + 2)
        self.assertEqual((story.state["episode"], story.state["hard"]), (1, 0), "a new life")


class BeforeAnEvent(unittest.TestCase):
    def test_lapse(self):
        for moment, status in ((T0 + 31 * DAY - 1, "SUSPENDED"), (T0 + 31 * DAY, "ACTIVE")):
            story = Story()
            story.bounce(T0)
            story.stream_time = moment
            self.assertEqual(story.bounce(T0 + 1, "POLICY"), [])
            self.assertEqual((story.state["status"], story.state["episode"]), (status, 1))
            self.assertEqual(story.state["attempt"], int(status == "SUSPENDED"))

    def test_lapse_comes_before_forget_and_delivery(self):
        story = Story()
        story.bounce(T0)
        self.assertEqual(story.deliver(T0 + 31 * DAY), [], "nothing is left to release")
        story.bounce(T0 + 31 * DAY)
        (cancel,) = story.override("FORGET", T0 + 62 * DAY)
        self.assertEqual((cancel["attempt"], cancel["reason"]), (0, "other"))

    def test_expiry(self):
        for moment, policy_bounces in ((T0 + 400 * DAY - 1, 2), (T0 + 400 * DAY, 1)):
            story = Story()
            story.bounce(T0, "POLICY")
            story.bounce(moment, "POLICY")
            self.assertEqual(story.state["policy_bounces"], policy_bounces)

    def test_a_lapsed_state_can_expire_a_suppressed_one_not(self):
        story = Story()
        story.bounce(T0)
        story.bounce(T0 + 400 * DAY)
        self.assertEqual(story.state["episode"], 1)
        story = Story()
        story.bounce(T0, "HARD")
        story.bounce(T0 + 4000 * DAY, "POLICY")
        self.assertEqual(story.state["hard"], 1)

    def test_an_expired_state_takes_its_memory_along(self):
        story = Story()
        story.bounce(T0, event_id="once")
        self.assertEqual(kinds(story.bounce(T0 + 400 * DAY, event_id="once")), ["SCHEDULE"])
        story.stream_time += 400 * DAY
        self.assertEqual((story.override("FORGET", T0), story.state), ([], None))

    def test_duplicates_by_id_and_offset(self):
        story = Story()
        story.bounce(T0, event_id="Once")
        before = story.state
        self.assertEqual(story.bounce(T0 + 1, "HARD", event_id="oNCE"), [])
        self.assertIs(story.state, before)
        for offset in (0, -1):
            self.assertEqual(story.bounce(T0 + 1, "HARD", event_id="new", offset=offset), [])
            self.assertIs(story.state, before)

    def test_a_duplicate_stores_no_lapse(self):
        story = Story()
        story.bounce(T0, event_id="once")
        before = story.state
        story.bounce(T0 + 40 * DAY, event_id="once")
        self.assertIs(story.state, before)

    def test_eight_event_ids_are_remembered_and_not_refreshed(self):
        story = Story()
        for number in range(8):
            story.bounce(T0, "POLICY", event_id=f"n{number}")
        story.bounce(T0, "POLICY", event_id="n0")
        self.assertEqual(story.state["policy_bounces"], 8)
        story.bounce(T0, "POLICY", event_id="n8")
        story.bounce(T0, "POLICY", event_id="n1")
        story.bounce(T0, "POLICY", event_id="n0")
        self.assertEqual(story.state["policy_bounces"], 10, "n8 and n0 are new, n1 is not")


class Input(unittest.TestCase):
    """Event time, stream time, poison and routing."""

    def setUp(self):
        self.fold = Fold(4, Config(), avro.Codec().decode, history=True)
        self.offset = 0

    def send(self, value=None, partition=1, timestamp=T0, headers=(), **fields):
        if value is None:
            value = {
                "type": "BounceRecord", "event_id": f"e{self.offset}", "tenant": "", "recipient": "Ada@Example.com",
                "message_id": "m1", "occurred_at": T0, "status": "4.2.1", "message_attempt": 0, **fields,
            }  # fmt: skip
        self.offset += 1
        outputs = self.fold.feed(Record(partition, self.offset - 1, timestamp, list(headers), b"any", value))
        return outputs

    def test_event_time_is_occurred_at_unless_it_is_too_far_ahead(self):
        for ahead, now in ((5 * MINUTE, T0 + 5 * MINUTE), (5 * MINUTE + 1, T0)):
            self.setUp()
            self.send(occurred_at=T0 + ahead)
            self.assertEqual(self.fold.stream_times, {1: now})
            self.assertEqual(self.fold.states["", "ada@example.com"]["last_event_at"], now)

    def test_the_smaller_timestamp_of_record_and_rerouted_header_counts(self):
        for own, header in ((T0, T0 + DAY), (T0 + DAY, T0)):
            self.setUp()
            self.send(occurred_at=T0 + 2 * DAY, timestamp=own, headers=[("rimbalzo-rerouted", b"0:7:%d" % header)])
            self.assertEqual(self.fold.stream_times, {1: T0})
        self.setUp()
        self.send(occurred_at=T0 + 2 * DAY, timestamp=T0 + DAY, headers=[("rimbalzo-rerouted", b"0:7:-5")])
        self.assertEqual(self.fold.stream_times, {1: T0 + DAY})

    def test_stream_time_counts_duplicates_but_no_dead_letters_and_no_reroutes(self):
        self.send(event_id="x")
        self.send(event_id="x", occurred_at=T0 + DAY, timestamp=T0 + DAY)
        self.send(event_id="", occurred_at=T0 + 9 * DAY, timestamp=T0 + 9 * DAY)
        self.send(tenant="acme", occurred_at=T0 + 9 * DAY, timestamp=T0 + 9 * DAY)
        self.assertEqual(self.fold.stream_times, {1: T0 + DAY})
        self.assertEqual((len(self.fold.dead_letters), len(self.fold.reroutes)), (1, 1))

    def test_misrouted(self):
        self.send(partition=2, headers=[("a", None), ("rimbalzo-rerouted", b"x")])
        (reroute,) = self.fold.reroutes
        self.assertEqual((reroute.partition, reroute.key), (1, b"ada@example.com"))
        self.assertEqual(reroute.headers[:2], [("a", None), ("rimbalzo-rerouted", b"x")])
        self.assertEqual(reroute.headers[2], ("rimbalzo-rerouted", b"2:0:%d" % T0))
        self.send(partition=2, headers=[("rimbalzo-rerouted", b"1:2:3")])
        self.assertEqual([letter.reason for letter in self.fold.dead_letters], ["misrouted"])
        self.assertEqual(self.fold.states, {})

    def test_poison_of_fields_and_its_order(self):
        cases = [
            ({"event_id": ""}, "invalid_field"),
            ({"message_attempt": -1}, "invalid_field"),
            ({"occurred_at": -1}, "invalid_field"),
            ({"occurred_at": 253402300800000}, "invalid_field"),
            ({"type": "RecipientOverride", "action": "UNKNOWN"}, "invalid_field"),
            ({"type": "RetryCommand"}, "unexpected_schema"),
            ({"tenant": "A"}, "invalid_tenant"),
            ({"tenant": "t" * 65}, "invalid_tenant"),
            ({"recipient": "ada"}, "invalid_recipient"),
            ({"event_id": "", "tenant": "A", "recipient": "ada"}, "invalid_field"),
            ({"tenant": "A", "recipient": "ada"}, "invalid_tenant"),
        ]
        for fields, reason in cases:
            self.send(**fields)
            self.assertEqual(self.fold.dead_letters[-1].reason, reason, fields)
        self.assertEqual(len(self.fold.dead_letters), len(cases))
        self.send(message_id="", occurred_at=0)
        self.assertEqual(len(self.fold.dead_letters), len(cases))

    def test_poison_of_octets(self):
        codec = avro.Codec()
        good = codec.encode("DeliveryRecord", {
            "event_id": "e", "tenant": "", "recipient": "ada@example.com", "message_id": "", "occurred_at": T0,
            "retry_of": None, "source": "s",
        })  # fmt: skip
        cases = [
            (b"", "malformed"), (good[:9], "malformed"), (good[:-1], "malformed"), (good + b"\0", "malformed"),
            (b"\xc3\x02" + good[2:], "malformed"), (b"\xc3\x01" + b"x" * 8 + good[10:], "unknown_schema"),
            (b"\0\0\0\0\1" + good[10:], "unknown_schema"), (codec.prefixes["RetryCommand"], "unexpected_schema"),
            (good.replace(b"ada@", b"ad\xff@"), "malformed"),
        ]  # fmt: skip
        for value, reason in cases:
            self.send(value)
            self.assertEqual(self.fold.dead_letters[-1].reason, reason, value)
        self.fold.feed(Record(1, 99, T0, [], None, None))
        self.assertEqual(self.fold.dead_letters[-1].reason, "malformed")
        self.assertEqual(len(self.fold.dead_letters), len(cases) + 1)
        self.send(good)
        self.assertEqual(len(self.fold.dead_letters), len(cases) + 1)

    def test_unknown_as_is_counted_in_the_class_it_is_taken_for(self):
        self.fold.config = Config({"unknown": {"as": "soft"}})
        self.send(status="5.0.0")
        self.assertEqual(self.fold.states["", "ada@example.com"]["soft"], 1)
        self.assertEqual(self.fold.states["", "ada@example.com"]["reason"], "other")


class Avro(unittest.TestCase):
    def test_fingerprints_of_the_specification(self):
        self.assertEqual(avro.fingerprint("null"), 0x63DD24E7CC258F8A)
        self.assertEqual(avro.fingerprint("int"), 0x7275D51A3F395C8F)

    def test_every_state_survives_encoding(self):
        codec = avro.Codec()
        for _, state, outputs in gen_events.events(5, 2000):
            if state is not None:
                decoded = codec.decode(codec.encode("RecipientState", state))[1]
                self.assertEqual(json.dumps(decoded), json.dumps(state))
            for output in outputs:
                name, decoded = codec.decode(codec.encode(output["type"], output))
                self.assertEqual({"type": name, **decoded}, output)

    def test_confluent_frames(self):
        codec = avro.Codec(registry={7: "RecipientOverride"})
        fields = {"event_id": "e", "tenant": "", "recipient": "a@b.c", "occurred_at": 1, "action": "FORGET"}
        fields.update(reason=None, actor=None)
        value = codec.encode_confluent("RecipientOverride", fields, 7)
        self.assertEqual(codec.decode(value), ("RecipientOverride", fields))


class Classes(unittest.TestCase):
    def test_codes(self):
        expected = {
            "4.2.1": ("SOFT", "mailbox_disabled"), "5.2.1": ("SOFT", "mailbox_disabled_permanent"),
            "4.1.1": ("SOFT", "user_unknown"), "5.1.1": ("HARD", "user_unknown"), "5.2.2": ("SOFT", "mailbox_full"),
            "5.4.4": ("SOFT", "domain_unknown"), "4.4.4": ("TRANSIENT", "network"), "4.4.9": ("TRANSIENT", "network"),
            "5.4.6": ("POLICY", "loop"), "4.7.28": ("TRANSIENT", "rate_limited"), "5.7.27": ("POLICY", "sender"),
            "5.7.99": ("POLICY", "policy"), "4.9.9": ("UNKNOWN", "other"), "5.7.17": ("HARD", "moved"),
            "5.7.13": ("POLICY", "policy"), "4.3.1": ("TRANSIENT", "system_full"), "5.1.10": ("HARD", "null_mx"),
        }  # fmt: skip
        for status, found in expected.items():
            self.assertEqual(classify.classify({"status": status})[:2], found, status)

    def test_reply_codes_and_texts(self):
        self.assertEqual(classify.classify({"reply_code": 552})[:2], ("SOFT", "mailbox_full"))
        self.assertEqual(classify.classify({"reply_code": 550})[:2], ("UNKNOWN", "other"))
        limited = {"status": "4.2.1", "diagnostic": "receiving mail at a rate"}
        self.assertEqual(classify.classify(limited)[0], "TRANSIENT")


if __name__ == "__main__":
    unittest.main()
