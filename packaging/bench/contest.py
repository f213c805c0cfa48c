"""A timer for whole commands that take turns, and its table."""

import dataclasses
import os
import pathlib
import resource
import select
import signal
import statistics
import time

NOTHING_FOUND = {"maild": {3}, "mu": {2, 4}}  # exit codes that are no failure


class Failed(Exception):
    """A command failed or took too long; the text is one line."""


@dataclasses.dataclass
class Sample:
    """What one run took: seconds, seconds, octets."""
    wall: float = 0.0
    cpu: float = 0.0
    rss: int = 0


@dataclasses.dataclass
class Contender:
    """A command to measure, or several one after the other."""
    name: str
    steps: list
    env: dict
    prepare: object = None  # called before each run, not measured
    output: str = "lines"  # what to make of standard output: lines, number (a count is printed) or titled (a line of titles first)
    hits: object = "-"
    failure: str = ""
    samples: list = dataclasses.field(default_factory=list)

    @property
    def who(self):
        """The program, without what tells its commands apart."""
        return self.name.split()[0].strip(",")

    def slow(self, limit):
        return bool(self.samples) and self.samples[0].wall > limit

    def run(self, bench, stdout=os.devnull):
        total = Sample()
        for step in self.steps:
            one = bench.run(step, self.env, stdout, NOTHING_FOUND.get(self.who, set()))
            total = Sample(total.wall + one.wall, total.cpu + one.cpu, max(total.rss, one.rss))
        return total

    def count(self, path):
        text = pathlib.Path(path).read_text(errors="replace")
        if self.output == "number":
            return int(text or 0)
        return max(0, text.count("\n") - (self.output == "titled"))


class Bench:
    """Runs commands in the work directory and prints its tables."""

    def __init__(self, args, work):
        self.args, self.work = args, work
        self.env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(work / "home"), "LC_ALL": "C.UTF-8", "TZ": "UTC",
                    "XAPIAN_CJK_NGRAM": "1", "MAILDIR": ""}
        (work / "home").mkdir()

    def run(self, command, env, stdout=os.devnull, fine=frozenset()):
        """Runs a command to its end and says what it took."""
        errors = self.work / "stderr"
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_OPEN, 1, str(stdout), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                   (os.POSIX_SPAWN_OPEN, 2, str(errors), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
        name = " ".join(map(str, command))
        start = time.perf_counter()
        try:
            pid = os.posix_spawnp(command[0], [str(c) for c in command], env, file_actions=actions, setpgroup=0)
        except OSError as e:
            raise Failed(f"{name}: {e.strerror}") from None
        in_time = False
        try:
            watch = os.pidfd_open(pid)
            poll = select.poll()
            poll.register(watch, select.POLLIN)
            in_time = bool(poll.poll(self.args.timeout * 1000))
            os.close(watch)
        finally:
            if not in_time:
                os.killpg(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            wall = time.perf_counter() - start
        if not in_time:
            raise Failed(f"{name}: not done after {self.args.timeout} s; --timeout gives it longer")
        code = os.waitstatus_to_exitcode(status)
        if code != 0 and code not in fine:
            said = errors.read_text(errors="replace").strip().splitlines() or ["no word about it"]
            raise Failed(f"{name}: exit code {code}: {said[-1]}")
        return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)

    def race(self, contenders, rounds, before=None, each=None):
        """Measures the contenders in turns, each() before a round, before() before a run. One that fails, or is slow, is not run again."""
        for turn in range(rounds):
            if each:
                each()
            k = turn % len(contenders)
            order = contenders[k:] + contenders[:k]
            for c in order if turn % 2 == 0 else order[::-1]:
                if c.failure or c.slow(self.args.slow):
                    continue
                try:
                    if c.prepare:
                        c.prepare()
                    if before:
                        before()
                    c.samples.append(c.run(self))
                except Failed as e:
                    c.failure = str(e)

    def find(self, contenders):
        """One run each that is not measured: it warms, and counts what is found."""
        for c in contenders:
            try:
                c.run(self, self.work / "stdout")
                c.hits = c.count(self.work / "stdout")
            except (Failed, ValueError) as e:
                c.failure = str(e)

    def head(self, label="", more=()):
        """Prints the titles of a table's columns."""
        print(f"{label:<28}{'median':>10}{'min':>10}{'p90':>10}{'CPU':>10}{'RSS':>10}{'n':>4}{'x maild':>9}"
              + "".join(f"{m:>12}" for m in more), flush=True)

    def rows(self, contenders, more=lambda contender, median: ()):
        """Prints a line for each contender; more gives further cells."""
        # A process starts with the memory of the one that made it, so what needs less than this script cannot be told.
        floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        for c in contenders:
            if c.failure or not c.samples:
                print(f"  {c.name:<26}  {c.failure or 'not run'}", flush=True)
                continue
            walls = sorted(s.wall for s in c.samples)
            median = statistics.median(walls)
            base = statistics.median(s.wall for s in contenders[0].samples) if contenders[0].samples else 0
            rss = max(s.rss for s in c.samples)
            row = [seconds(median), seconds(walls[0]), seconds(walls[round(0.9 * (len(walls) - 1))]),
                   seconds(statistics.median(s.cpu for s in c.samples)),
                   f"{rss / 2**20:.0f} MiB" if rss > floor else f"<{floor / 2**20:.0f} MiB"]
            print(f"  {c.name:<26}" + "".join(f"{r:>10}" for r in row) + f"{len(walls):>4}"
                  + (f"{median / base:>9.2f}" if base else f"{'-':>9}") + "".join(f"{x:>12}" for x in more(c, median)), flush=True)


def seconds(s):
    return f"{s * 1000:.1f} ms" if s < 1 else f"{s:.2f} s"


def rate(n, s):
    return f"{n / s:,.0f}"
