"""Child processes that cannot outlive their test, and waiting with a deadline; standard library only."""

import atexit
import contextlib
import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import time

LOG_TAIL_LINES = 40


class DeadlineExceeded(AssertionError):
    """Something did not happen in time."""


def wait_until(predicate, deadline_s=30, what="the condition", every_s=0.05, alive=()):
    """Calls predicate until it returns something true, and returns that.

    An AssertionError or OSError of the predicate counts as "not yet" and is shown when the deadline
    passes. Processes in `alive` must not end meanwhile.
    """
    end = time.monotonic() + deadline_s
    last = None
    while True:
        try:
            value = predicate()
            if value:
                return value
            last = value
        except (AssertionError, OSError) as error:
            last = error
        for process in alive:
            if not process.is_alive():
                raise DeadlineExceeded(f"{process.name} ended with {process.exit_code()} while waiting for "
                                       f"{what}\n{process.log_tail()}")
        if time.monotonic() > end:
            raise DeadlineExceeded(f"{what}: not within {deadline_s} s; last: {last!r}")
        time.sleep(every_s)


def free_port():
    """A port of the loopback nobody listens on, outside the range that outgoing connections use: a
    broker that restarts must find its port free."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        low, high = map(int, file.read().split())
    ports = [p for p in range(10000, 65000) if not low <= p <= high] or list(range(10000, 65000))
    for port in random.SystemRandom().sample(ports, 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise OSError("no free port found")


# ---- processes ----

_live = set()
_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_hooked = False


def _stop_all():
    for process in list(_live):
        with contextlib.suppress(OSError):
            process.kill()


def _hook():
    """Cleans up at exit, and makes signals an orderly exit."""
    global _hooked  # pylint: disable=global-statement
    if _hooked:
        return
    _hooked = True
    atexit.register(_stop_all)

    def leave(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


class Process:
    """A child in a process group of its own, with its output in a file."""

    def __init__(self, name, argv, log_path, env=None, cwd=None):
        _hook()
        self.name = name
        self.argv = [str(a) for a in argv]
        self.log_path = log_path
        parent = os.getpid()

        def child():
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        with open(log_path, "ab") as log:
            self._popen = subprocess.Popen(  # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})}, cwd=cwd, start_new_session=True, preexec_fn=child)
        _live.add(self)

    @property
    def pid(self):
        return self._popen.pid

    def exit_code(self):
        """None while it runs; negative: the number of the signal that killed it."""
        code = self._popen.poll()
        if code is not None:
            _live.discard(self)
        return code

    def is_alive(self):
        return self.exit_code() is None

    def signal(self, number):
        if self.is_alive():
            self._popen.send_signal(number)

    def pause(self):
        """SIGSTOP, and waits until the kernel has stopped it."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: self._state() in "Tt", 10, f"{self.name} to stop", 0.005)

    def resume(self):
        self.signal(signal.SIGCONT)

    def _state(self):
        with open(f"/proc/{self.pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    def terminate(self, deadline_s=30):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_exit(deadline_s)

    def kill(self):
        """SIGKILL to it and what it started; the exit code."""
        if self.is_alive():
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait(30)
        return self.exit_code()

    def wait_exit(self, deadline_s=30):
        """The exit code, once it has ended by itself."""
        try:
            self._popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise DeadlineExceeded(f"{self.name} did not exit within {deadline_s} s\n{self.log_tail()}") from None
        return self.exit_code()

    def log_text(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def log_lines(self):
        return self.log_text().splitlines()

    def log_tail(self, lines=LOG_TAIL_LINES):
        return "\n".join([f"--- {self.log_path}"] + self.log_lines()[-lines:])

    def wait_log(self, pattern, deadline_s=30, count=1):
        """Waits for the count-th line of the log that matches, and returns its match."""
        regex = re.compile(pattern)

        def find():
            matches = [m for m in map(regex.search, self.log_lines()) if m]
            return matches[count - 1] if len(matches) >= count else None

        return wait_until(find, deadline_s, f"{self.name} to log {pattern!r}", alive=[self])
