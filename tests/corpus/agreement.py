#!/usr/bin/python3
"""Classes of real bounce mails against the labels that another project gave them.

    agreement.py [--ingest PROGRAM] RIMBALZO

The corpus is no part of this project: RIMBALZO_CORPUS names its folder (else ../shared/corpus), with the mails in eml/ and labels.tsv (file,
recipient_index, status, reply, reason, hard). Without it, or without `rimbalzo ingest`, it says so and exits with 77.

The mails are read by `ingest`, the facts it finds classified by RIMBALZO. Wanted are: 95 % agreement, at most 5 %
UNKNOWN among the replies with a text, no reply held against a recipient whose mailbox was not at fault, and every
disagreement listed with its reason in tests/data/corpus-disputes.tsv.
"""

import argparse
import csv
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DISPUTES = os.path.join(HERE, "../data/corpus-disputes.tsv")

# What a label can mean here. `filtered` is an unknown user, a switched-off mailbox or a filter; `blocked` and
# `badreputation` are rates where the reply is temporary.
MEANING = {
    "HARD": "userunknown hasmoved hostunknown notaccept filtered suspend",
    "SOFT": "mailboxfull suspend filtered hostunknown notaccept onhold",
    "TRANSIENT": "expired networkerror systemerror systemfull toomanyconn speeding ratelimited mailererror hostunknown "
                 "notaccept blocked badreputation failedstarttls",
    "POLICY": "blocked badreputation rejected authfailure requireptr policyviolation securityerror spamdetected "
              "virusdetected contenterror syntaxerror norelaying mesgtoobig exceedlimit emailtoolarge notcompliantrfc "
              "failedstarttls filtered mailererror",
    "UNKNOWN": "undefined onhold",
}
NO_BOUNCE = {"feedback", "delivered", "vacation"}
MAILBOX_AT_FAULT = set((MEANING["HARD"] + " " + MEANING["SOFT"] + " " + MEANING["UNKNOWN"]).split())


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def read_labels(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if row["reason"] not in NO_BOUNCE]


def read_disputes():
    with open(DISPUTES, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
    return {(name, int(index)): (label, found) for name, index, label, found, _why in rows}


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", **options)


def facts_by_file(program, folder):
    """The bounces of each mail, in the order of its recipients."""
    done = run([program, "ingest", "--from", "dsn", "-o", "jsonl", folder], stderr=subprocess.DEVNULL, check=False)
    if done.returncode == 64:
        skip(f"{program} has no ingest")
    found = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        if row["event_type"] == "bounce":
            found.setdefault(os.path.basename(row["file"]), []).append(row)
    return found


def classify(program, rows):
    names = {"diagnostic": "text", "reply_code": "reply_code", "status": "status", "remote_mta": "mx", "stage": "stage"}
    lines = [json.dumps({to: row[name] for name, to in names.items() if row.get(name)}) + "\n" for row in rows]
    done = run([program, "classify"], input="".join(lines), check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("rimbalzo")
    parser.add_argument("--ingest", metavar="PROGRAM", help="another build whose ingest reads the mails")
    options = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    corpus = os.environ.get("RIMBALZO_CORPUS") or os.path.join(here, "..", "..", "..", "shared", "corpus")
    if not os.path.isdir(corpus):
        skip(f"no corpus in {corpus} (RIMBALZO_CORPUS)")
    found = facts_by_file(options.ingest or options.rimbalzo, os.path.join(corpus, "eml"))
    labels, rows = [], []
    all_labels = read_labels(os.path.join(corpus, "labels.tsv"))
    for label in all_labels:
        recipients = found.get(label["file"], [])
        if int(label["recipient_index"]) < len(recipients):
            labels.append(label)
            rows.append(recipients[int(label["recipient_index"])])
    disputes = read_disputes()
    agreed = unknown = with_text = 0
    problems = []
    for label, row, verdict in zip(labels, rows, classify(options.rimbalzo, rows)):
        where = label["file"], int(label["recipient_index"])
        kind, what = verdict["class"], f'{label["reason"]} is {verdict["class"]} by {verdict["rule"]}'
        agrees = label["reason"] in MEANING[kind].split()
        agreed += agrees
        with_text += bool(row["diagnostic"])
        unknown += bool(row["diagnostic"]) and kind == "UNKNOWN"
        if kind in ("HARD", "SOFT") and label["reason"] not in MAILBOX_AT_FAULT:
            problems.append(f"{where[0]} {where[1]}: held against the recipient: {what}")
        elif not agrees and disputes.get(where) != (label["reason"], kind):
            problems.append(f"{where[0]} {where[1]}: not among the disputes: {what}")
        if agrees and where in disputes:
            problems.append(f"{where[0]} {where[1]}: a dispute no more")
    share = 100 * agreed / len(rows) if rows else 0
    share_unknown = 100 * unknown / with_text if with_text else 100
    print(
        f"{len(rows)} of {len(all_labels)} recipients are found: {share:.1f} % agree; "
        f"of {with_text} with a text {share_unknown:.1f} % are UNKNOWN"
    )
    if share < 95:
        problems.append("less than 95 % agree")
    if share_unknown > 5:
        problems.append("more than 5 % are UNKNOWN")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
