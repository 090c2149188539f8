#!/usr/bin/env python3
"""deploy/runbook: every error code and every alert has its place, and every link leads somewhere."""

import re

from support import anchors, error_codes, main, read

TEXT = read("deploy", "runbook", "runbook.md")


def sections(level, below):
    """Headings of a level between the heading `below` and the next of its level."""
    part = re.split(r"^# ", TEXT, flags=re.M)
    body = [text for text in part if text.startswith(below)]
    assert len(body) == 1, below
    return re.findall(rf"^{'#' * level} (.+)$", body[0], re.M)


def every_error_code_has_its_place_and_no_other():
    assert sorted(sections(3, "Error codes")) == sorted(error_codes())


def every_alert_has_its_place_and_no_other():
    alerts = re.findall(r"- alert: (\w+)", read("deploy", "prometheus", "rimbalzo.rules.yaml"))
    assert sorted(sections(2, "Alerts")) == sorted(alerts)


def every_check_of_doctor_has_its_place_and_no_other():
    told = set()
    for name in ("cmd_doctor", "doctor_local", "doctor_broker", "doctor_topics"):
        text = read("src", "cli", f"{name}.c")
        told |= set(re.findall(r'doctor_report\(\s*doctor,\s*"([a-z_.]+)"', text))
        told |= set(re.findall(r'return (?:[^;]*\? )?"([a-z]+\.[a-z]+)"', text))
        told |= set(re.findall(r'return [^;]*: "([a-z]+\.[a-z]+)"', text))
        told |= set(re.findall(r'check\[\] = "([a-z.]+)"', text))
    rows = re.findall(r"^\| ((?:`[a-z_.]+`(?:, )?)+) \|", TEXT.split("# Checks of doctor")[1], re.M)
    named = [name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)]
    assert len(named) == len(set(named)) and set(named) == told, set(named) ^ told


def links_lead_to_headings_that_exist():
    known = anchors(TEXT)
    links = re.findall(r"\]\(#([^)]+)\)", TEXT)
    assert len(links) > 20 and not [link for link in links if link not in known]


def no_section_is_empty():
    for heading, body in re.findall(r"^#+ (.+)\n((?:(?!^#).*\n?)*)", TEXT, re.M):
        if heading not in ("Alerts", "Error codes"):
            assert len(body.split()) >= 5, heading


if __name__ == "__main__":
    main(every_error_code_has_its_place_and_no_other, every_alert_has_its_place_and_no_other,
         every_check_of_doctor_has_its_place_and_no_other, links_lead_to_headings_that_exist, no_section_is_empty)
