"""Class and reason of a bounce by its codes (src/domain/semantics.md, section 3), and the text phrases of x.2.1.

Deliberately small: the project's rule files know many more texts. Bounces of test streams carry either no text
or one that this table knows.
"""

import functools
import re

STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})")

HARD, SOFT, TRANSIENT, POLICY, UNKNOWN = "HARD", "SOFT", "TRANSIENT", "POLICY", "UNKNOWN"

# (subject, detail) -> (class of 4.x.x, class of 5.x.x, reason of 4.x.x, reason of 5.x.x)
TABLE = {}


def rows(subject, details, four, five, reason, reason_five=None):
    for detail in details:
        TABLE[subject, detail] = (four, five, reason, reason_five or reason)


rows(0, [0], UNKNOWN, UNKNOWN, "other")
rows(1, [0, 4], UNKNOWN, UNKNOWN, "other")
rows(1, [1], SOFT, HARD, "user_unknown")
rows(1, [2], TRANSIENT, HARD, "domain_unknown")
rows(1, [3], UNKNOWN, HARD, "address_syntax")
rows(1, [6], SOFT, HARD, "moved")
rows(1, [7, 8], POLICY, POLICY, "sender")
rows(1, [9], TRANSIENT, POLICY, "other")
rows(1, [10], TRANSIENT, HARD, "null_mx")
rows(2, [0], UNKNOWN, UNKNOWN, "other")
rows(2, [1], SOFT, SOFT, "mailbox_disabled", "mailbox_disabled_permanent")
rows(2, [2], SOFT, SOFT, "mailbox_full")
rows(2, [3], POLICY, POLICY, "message_too_big")
rows(2, [4], TRANSIENT, POLICY, "other")
rows(3, [0, 2, 5], TRANSIENT, TRANSIENT, "other")
rows(3, [1], TRANSIENT, TRANSIENT, "system_full")
rows(3, [3], TRANSIENT, POLICY, "other")
rows(3, [4], POLICY, POLICY, "message_too_big")
rows(4, [0, 2, 3, 5], TRANSIENT, TRANSIENT, "network")
rows(4, [1], TRANSIENT, TRANSIENT, "connect_refused")
rows(4, [4], TRANSIENT, SOFT, "network", "domain_unknown")
rows(4, [6], TRANSIENT, POLICY, "loop")
rows(4, [7], TRANSIENT, TRANSIENT, "expired")
rows(5, [0, 1, 2, 4, 5, 6], TRANSIENT, POLICY, "other")
rows(5, [3], TRANSIENT, TRANSIENT, "other")
rows(6, range(0, 11), POLICY, POLICY, "content")
rows(7, range(0, 31), POLICY, POLICY, "policy")
rows(7, [7, 8, *range(20, 27), 29], POLICY, POLICY, "authentication")
rows(7, [17, 18], HARD, HARD, "moved")
rows(7, [27], POLICY, POLICY, "sender")
rows(7, [28], TRANSIENT, POLICY, "rate_limited")

# Reply codes, for bounces without an enhanced code. 550, 551 and 553 are decided by their text alone.
REPLY_CODES = {
    421: (TRANSIENT, "other"),
    450: (TRANSIENT, "other"),
    451: (TRANSIENT, "other"),
    452: (TRANSIENT, "other"),
    552: (SOFT, "mailbox_full"),
    554: (POLICY, "policy"),
    556: (HARD, "null_mx"),
}

# Phrases of x.2.1, read before the code; nothing of this: the code's own class.
PHRASES_X21 = (
    (re.compile(r"\b(at a (lower )?rate|rate limit|too (fast|many messages))"), TRANSIENT, "rate_limited"),
    (re.compile(r"\b(user unknown|unknown user|no such (user|mailbox)|does not exist)\b"), HARD, "user_unknown"),
    (re.compile(r"\b(block ?list(ed)?|blacklist(ed)?|quarantine)"), POLICY, "policy"),
)


def classify(fields):
    """(class, reason, rule) of a BounceRecord; the rule is always None: the oracle has no rule file."""
    found = classify_codes(fields.get("status"), fields.get("reply_code"), fields.get("diagnostic") or "")
    return (*found, None)


@functools.lru_cache(maxsize=4096)
def classify_codes(status, reply_code, diagnostic):
    match = STATUS.fullmatch(status) if status else None
    if match is None:
        return REPLY_CODES.get(reply_code, (UNKNOWN, "other"))
    kind, subject, detail = (int(number) for number in match.groups())
    if (subject, detail) == (2, 1):
        for phrase, found, reason in PHRASES_X21:
            if phrase.search(diagnostic.lower()):
                return found, reason
    return by_code(kind, subject, detail)


def by_code(kind, subject, detail):
    """An unregistered detail falls back to X.subject.0, an unregistered subject to X.0.0."""
    if kind == 2:
        return UNKNOWN, "other"
    row = TABLE.get((subject, detail)) or TABLE.get((subject, 0)) or TABLE[0, 0]
    return (row[0], row[2]) if kind == 4 else (row[1], row[3])
