"""Kills, members that come and go, and broker restarts while input flows; the oracle speaks at the end.

Deterministic as far as the seed goes: what happens and to whom. When a process dies is the moment it
passes its failpoint, or a random one.
"""

import random
import shutil
import signal
import sys
import time
from collections import Counter

from kafka_harness import wait_until
from kafka_pipeline import all_lines, codes

FAILPOINTS = ("after-begin", "after-stage", "after-produce", "before-offsets", "after-offsets", "during-commit",
              "after-kafka-commit", "between-lmdb-commits", "mid-restore", "on-revoke")

# So short that what a dead owner left open is over soon, and many small transactions.
CONFIG = {"kafka": {"transaction.timeout.ms": "6000"}, "worker": {"commit_interval": "40ms"},
          "dispatcher": {"commit_interval": "40ms"}}

TRICKLE = 10  # records a turn once an act has used its share, so that there are transactions all the same


class Chaos:
    """`acts` are the methods called by run(); each is one thing that goes wrong."""

    def __init__(self, pipeline, feeder, seed, acts, members=None, verbose=False, **verify):
        self.pipeline = pipeline
        self.broker = pipeline.broker
        self.rng = random.Random(seed)
        self.acts = acts
        self.verbose = verbose
        self.verify = verify  # options of the pipeline's verify
        self.members = members or [pipeline.worker(name, config=CONFIG) for name in ("w1", "w2")]
        self.guests = [pipeline.worker(name, config=CONFIG) for name in ("g1", "g2")]
        self.feeder = feeder
        self.share = max(1, feeder.total // (len(acts) + 1))
        self.chunk = max(TRICKLE, self.share // 10)
        self.budget = 0
        self.kills = Counter()
        self.events = Counter()
        self.began = time.monotonic()

    # -- the run --

    def run(self):
        for worker in self.members:
            worker.start()
        self.budget = self.share
        self.pump(lambda: all("running" in codes(w) for w in self.members), 60, "all members to run")
        for name, *arguments in self.acts:
            self.budget += self.share
            began = time.monotonic()
            what = getattr(self, name)(*arguments)
            self.check_alive()
            self.say(f"{what} ({time.monotonic() - began:.1f} s)")
        self.feeder.finish()
        self.pipeline.wait_done(self.members, deadline_s=180)
        for worker in self.members + self.guests:
            if worker.is_alive():
                code = worker.terminate()
                assert code == 0, f"{worker.name} ended with {code}\n{worker.log_tail()}"
        verdict = self.pipeline.verify(**self.verify)
        self.say(f"right: {verdict}")
        return verdict

    def say(self, text):
        if self.verbose:
            print(f"{time.monotonic() - self.began:7.1f} s  {self.feeder.given:7d} records  {text}", flush=True)

    def check_alive(self):
        for worker in self.members:
            if not worker.is_alive():
                raise AssertionError(f"{worker.name} ended by itself with {worker.exit_code()}\n{worker.log_tail()}")
        for worker in self.guests:
            if worker.process is not None and worker.exit_code() not in (None, 0, -signal.SIGKILL):
                raise AssertionError(f"{worker.name} ended with {worker.exit_code()}\n{worker.log_tail()}")

    def pump(self, predicate, deadline_s, what):
        """Waits, and gives input meanwhile: the act's share first, then a trickle."""
        def turn():
            if predicate():
                return True
            count = min(self.chunk, self.budget) if self.budget > 0 else TRICKLE
            given = self.feeder.give(count)
            self.budget -= given
            if not given:
                self.feeder.give_again(TRICKLE)
            return False

        wait_until(turn, deadline_s, what, every_s=0.05)

    def pass_time(self, seconds):
        end = time.monotonic() + seconds
        self.pump(lambda: time.monotonic() > end, seconds + 60, "time to pass")

    def kill(self, worker, what):
        if worker.is_alive():
            assert worker.kill() == -signal.SIGKILL, f"{worker.name} had ended before\n{worker.log_tail()}"
            self.kills[what] += 1

    # -- acts --

    def failpoint(self, name):
        """A member dies at a crash point; then it is started again."""
        victim = self.rng.choice(self.members)
        self.kill(victim, "for a restart")
        if name == "mid-restore":
            self.wipe(victim)
        count = 1 if name in ("mid-restore", "on-revoke") else self.rng.randrange(1, 5)
        victim.start(failpoint=f"{name}:{count}")
        if name == "on-revoke":
            self.pump(lambda: " code=running " in victim.log_text(), 60, f"{victim.name} to run")
            self.revoke_from(victim)
        self.pump(lambda: not victim.is_alive(), 60, f"{victim.name} to die at {name}:{count}")
        code = victim.exit_code()
        assert code == -signal.SIGKILL, f"{victim.name} ended with {code} instead of {name}\n{victim.log_tail()}"
        self.kills[name] += 1
        self.come_back(victim)
        return f"{victim.instance} died at {name}:{count}"

    def revoke_from(self, victim):
        """Changes the group until the victim dies of it."""
        for _ in range(3):
            self.rebalance()
            end = time.monotonic() + 10
            self.pump(lambda end=end: not victim.is_alive() or time.monotonic() > end, 60, "a rebalance")
            if not victim.is_alive():
                return

    def moment(self):
        """A member dies at a random moment."""
        victim = self.rng.choice(self.members)
        self.pass_time(self.rng.uniform(0, 1.5))
        wiped = self.rng.random() < 0.1
        self.kill(victim, "at random")
        if wiped:
            self.wipe(victim)
        self.come_back(victim)
        return f"{victim.instance} killed at a random moment" + (", its state wiped" if wiped else "")

    def all_at_once(self):
        """All members die within a moment."""
        self.pass_time(self.rng.uniform(0, 0.5))
        for victim in self.members:
            self.kill(victim, "at random")
        for victim in self.members:
            self.come_back(victim)
        return "all members killed"

    def come_back(self, victim):
        """At once, so that its place is still its own, or after its session has ended."""
        if self.rng.random() < 0.3:
            self.pass_time(self.rng.uniform(3, 5))
        victim.start()

    def guest(self):
        """A guest comes, or the one that is here leaves: in order, or killed."""
        self.rebalance()
        return "a guest came" if any(g.is_alive() for g in self.guests) else "a guest left"

    def rebalance(self):
        guest = next((g for g in self.guests if g.is_alive()), None)
        if guest is None:
            # The one that left longer ago: within its session a static member comes back to its old place unnoticed.
            self.guests.reverse()
            guest = self.guests[0]
            guest.start()
            self.events["joined"] += 1
            self.pump(lambda: not guest.is_alive() or "assigned" in guest.log_text(), 60, f"{guest.name} to join")
        elif self.rng.random() < 0.5:
            assert guest.terminate() == 0, guest.log_tail()
            self.events["left"] += 1
        else:
            self.kill(guest, "guests")
            self.events["left"] += 1

    def restart_broker(self, kill):
        self.pass_time(self.rng.uniform(0, 0.5))
        self.broker.restart(kill=kill)
        self.events["broker killed" if kill else "broker stopped"] += 1
        return "the broker was " + ("killed" if kill else "stopped") + " and started again"

    @staticmethod
    def wipe(worker):
        shutil.rmtree(worker.state_dir, ignore_errors=True)

    # -- what happened --

    def table(self, file=sys.stdout):
        """Prints counts of all that happened."""
        seen = Counter()
        for worker in self.members + self.guests:
            for line in all_lines(worker):
                for code in ("assigned", "restoring", "running", "state_discarded", "log_abortable", "log_fatal",
                             "producer_fenced", "log_unknown_outcome"):
                    seen[code] += f" code={code} " in line
        rows = [("kills at " + name, self.kills[name]) for name in FAILPOINTS if self.kills[name]]
        rows += [(f"kills {name}", count) for name, count in self.kills.items() if name not in FAILPOINTS]
        rows += [("kills in all", sum(self.kills.values()))]
        rows += [(f"guests {name}" if name in ("joined", "left") else name, n) for name, n in self.events.items()]
        rows += [("assignments received", seen.pop("assigned"))]
        rows += [(f"log lines {code}", n) for code, n in seen.items()]
        for name, count in rows:
            print(f"{name:36} {count:7d}", file=file)
        return dict(rows)
