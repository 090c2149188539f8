#!/usr/bin/env python3
"""The example of a sender (deploy/examples/sender.py) against a real broker, a worker, a dispatcher and a mail server:
who is suspended is not written to, commands are answered, and the oracles hold."""

import os
import re
import socketserver
import subprocess
import sys
import threading
from collections import Counter, defaultdict

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
# pylint: disable=wrong-import-position
import kafka_read
from kafka_circle import ATTEMPTS, POLICY, Circle
from kafka_harness import Process, Scenario, main, wait_until
from kafka_pipeline import BROKER, claim

SENDER = os.path.join(kafka_read.ROOT, "deploy", "examples", "sender.py")
PYTHON = "/usr/bin/python3"  # the one that has Debian's modules
DISABLED = "450 4.2.1 The email account that you tried to reach is temporarily disabled"
UNKNOWN = "550 5.1.1 User unknown in virtual mailbox table"

# By the first letter of the recipient: what each of its attempts is answered with; the last answer stays.
ANSWERS = {"a": [None],  # accepts
           "b": [DISABLED, None],  # recovers at the first attempt to come back
           "c": [DISABLED] * 3 + [None],
           "d": [DISABLED],  # never
           "e": [UNKNOWN]}
EACH = 12
RECIPIENTS = [f"{letter}{i}@example.org" for letter in ANSWERS for i in range(EACH)]
# A delivery alone makes no state.
END = {a: "SUPPRESSED" if a[0] in "de" else "ACTIVE" for a in RECIPIENTS if a[0] != "a"}


class MailServer:
    """Speaks as much SMTP as smtplib does, and remembers who was sent what."""

    def __init__(self):
        self.sent = []  # (recipient, message id, accepted), in order
        self.tried = Counter()
        self.lock = threading.Lock()
        server = self

        class Handler(socketserver.StreamRequestHandler):
            """One connection."""

            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def handle(self):
                recipient = None
                self.say("220 mx.example.org")
                for line in self.rfile:
                    verb = line[:4].upper()
                    if verb == b"RCPT":
                        recipient = re.search(rb"<(.*?)>", line)[1].decode()
                        self.say(server.answer(recipient) or "250 2.1.5 ok")
                    elif verb == b"DATA":
                        self.say("354 go on")
                        server.took(recipient, b"".join(iter(self.rfile.readline, b".\r\n")))
                        self.say("250 2.0.0 taken")
                    elif verb == b"QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 ok")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server.server_address[1]}"

    def answer(self, recipient):
        with self.lock:
            answers = ANSWERS[recipient[0]]
            text = answers[min(self.tried[recipient], len(answers) - 1)]
            self.tried[recipient] += 1
            if text:
                self.sent.append((recipient, None, False))
            return text

    def took(self, recipient, octets):
        with self.lock:
            self.sent.append((recipient, re.search(rb"^Message-ID: <(.*?)@", octets, re.M | re.I)[1].decode(), True))

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def start_sender(s, circle, mail, number, messages):
    path = os.path.join(s.dir, f"messages{number}")
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(f"{recipient} {name}\n" for recipient, name in messages))
    return Process(f"sender {number}", [
        PYTHON, SENDER, "--bootstrap", s.broker.bootstrap, "--prefix", circle.dispatch.prefix, "--group", circle.mailers,
        "--smtp", mail.address, "--schemas", os.path.join(kafka_read.ROOT, "schemas"), "--send", path,
        "-X", "session.timeout.ms=3000", "-X", "heartbeat.interval.ms=500"], os.path.join(s.dir, f"sender{number}.log"))


def need_modules():
    done = subprocess.run([PYTHON, "-c", "import avro.schema, confluent_kafka"], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, "run scripts/setup --with tests: " + done.stderr.decode()


def sender(s: Scenario):
    """New messages and retries: everybody ends recovered or suppressed, by what the mail server says alone."""
    need_modules()
    s.kafka(BROKER)
    circle = Circle(s, "sender")
    circle.dispatch.apply()
    mail = MailServer()
    run = circle.worker("r1", command="run").start()
    run.wait_ready()
    with circle.dispatch.watched():
        with claim("the list is sent once; refusals come back as commands, which are answered until all is decided"):
            first = start_sender(s, circle, mail, 1, [(a, f"first-{a[:-12]}") for a in RECIPIENTS])
            wait_until(lambda: len(mail.tried) == len(RECIPIENTS), 60, "all of the list to be tried", alive=[first, run])
            suspended = [a for a in RECIPIENTS if a[0] in "bcd"]
            wait_until(lambda: states(s, run).keys() >= set(suspended), 60, "bounces to suspend", alive=[first, run])
            # Killed at any moment: what is not committed is done again, and counts once.
            first.kill()
            tried = Counter(mail.tried)
            second = start_sender(s, circle, mail, 2, [(a, f"second-{a[:-12]}") for a in RECIPIENTS])
            second.wait_log("ready: [1-9]", 30)
            wait_until(lambda: states(s, run) == END, 90, "everybody to be decided", every_s=0.5, alive=[second, run])
            circle.wait_done([second, run])
    with claim("who is suspended was not written to but by command, and got the second message when it was over"):
        check_mail(mail, tried)
        wait_until(lambda: set(re.findall(r"given up: (\S+) second", second.log_text()))
                   == {a for a in RECIPIENTS if a[0] in "de"}, 30, "the rest to be given up", alive=[second])
        assert second.terminate() == 0, second.log_tail()
    with claim("the oracles of worker and dispatcher find nothing wrong, and every answer names its command"):
        circle.wait_done([run])
        assert run.terminate() == 0
        print("      ", circle.worker_side.verify(texts=True), "\n      ", circle.dispatch.verify(), flush=True)
        check_answers(circle)
    mail.stop()
    assert POLICY["policies"]["default"]["max_attempts"] == ATTEMPTS


def states(s, run):
    """{recipient: status} as `state list` has it."""
    lines = s.run("state", "list", "-o", "tsv", config=run).stdout.splitlines()
    columns = lines[0].split("\t")
    rows = [dict(zip(columns, line.split("\t"))) for line in lines[1:]]
    return {row["recipient"]: row["status"] for row in rows}


def check_mail(mail, tried):
    accepted = defaultdict(list)
    for recipient, name, taken in mail.sent:
        if taken:
            accepted[recipient].append(name)
    for recipient in RECIPIENTS:
        names = accepted[recipient]
        if recipient[0] in "de":
            assert not names, (recipient, names)
        else:  # the same one twice is what a killed sender costs
            assert {name.split("-")[0] for name in names} == {"first", "second"}, (recipient, names)
        if recipient[0] == "d":  # the first try, the attempts, and no more: but for those a killed sender did not report
            assert ATTEMPTS + 1 <= mail.tried[recipient] <= ATTEMPTS + 2, (recipient, mail.tried[recipient])
        if recipient[0] == "e":
            assert mail.tried[recipient] == tried[recipient], recipient


def check_answers(circle):
    codec = circle.dispatch.codec
    due = {codec.decode(r.value)[1]["command_id"]: r for r in s_read(circle, "retries.due")}
    answers = defaultdict(set)
    for record in s_read(circle, "bounces"):
        fields = codec.decode(record.value)[1]
        if fields["retry_of"]:
            answers[fields["retry_of"]].add(fields["event_id"])
            cause = due[fields["retry_of"]]
            assert record.key == cause.key and record.partition == cause.partition, record
    assert len(due) > 3 * EACH
    for command in due:
        assert len(answers[command]) == 1, (command, answers[command])


def s_read(circle, name):
    return circle.broker.read(circle.dispatch.prefix + name)


if __name__ == "__main__":
    main(sender)
