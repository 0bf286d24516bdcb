#!/usr/bin/env python3
"""Whether Countersign reaches what it is meant to: ratios to its peers, each within one run, a line and a verdict each.

    benches/targets.py                        all stages: about a quarter of an hour
    benches/targets.py --stages fast,threads  some of them
    benches/targets.py --markdown FILE        appends what it found to a file

| stage     | what it looks at |
|-----------|------------------|
| `fast`    | 100,000 names: hot and all, beside the echo and two presigned servers |
| `fresh`   | 100,000 names: names that do not exist, names below a wildcard, beside two servers that sign online |
| `threads` | two threads on two cores beside one on one |
| `start`   | 1,000,000 names: from start to first answer and memory, on the same unsigned text |
| `large`   | 1,000,000 names, every signature made: memory, and all names asked |
| `reload`  | 1,000,000 names: memory and time of a reload |

A response costs what the server's processes took of the processor, user and system, in microseconds; the median of rounds
that alternate between the servers. A round in which the echo moved (by more than 7 % from its median) is left out for
all of them. See benches/README.md.
"""
import argparse
import os
import platform
import re
import resource
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers

ECHO_MOVES = 0.07
SIGNATURES = 20_000
# Long enough to make three signatures for each of a million names at half of one core.
SETTLE = 300
# Seconds in which a flood uses up a budget of 4,000 signatures a second, and what was saved of it.
LEAD_IN = 1.5


OVERLOADED = ["countersign, overload with ranges", "countersign, overload with truncation"]


class Verdicts:
    """The lines, as they come: what it is, the figure, the reference, the ratio and what it may be."""

    def __init__(self):
        self.lines = []

    def add(self, stage, what, ours, reference, named, at_most):
        ratio = ours / reference
        verdict = "reached" if ratio <= at_most else f"missed by {100 * (ratio / at_most - 1):.0f} %"
        self.lines.append((stage, what, f"{ours:.4g}", f"{reference:.4g} ({named})", f"{ratio:.2f}", f"{at_most:g}", verdict))
        print(f"{stage}: {what}: {ours:.4g} / {reference:.4g} ({named}) = {ratio:.2f}, at most {at_most:g}: {verdict}", flush=True)

    def note(self, stage, what, figure):
        self.lines.append((stage, what, figure, "", "", "", ""))
        print(f"{stage}: {what}: {figure}", flush=True)

    def markdown(self):
        head = "| stage | what | ours | beside | ratio | at most | |\n|---|---|---|---|---|---|---|\n"
        return head + "".join("| " + " | ".join(line) + " |\n" for line in self.lines)


def signature_micros():
    """What one P-256 signature by ring takes."""
    def children():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def micros(count):
        before = children()
        program = peers.PROGRAM.parent / "examples/signature"
        subprocess.run(["taskset", "-c", "0", str(program), str(count)], check=True)
        return (children() - before) * 1e6

    return (micros(SIGNATURES) - micros(0)) / SIGNATURES


class Rounds:
    """Rounds of several kinds of questions, alternating between servers."""

    def __init__(self, chosen, questions, servers):
        self.chosen, self.questions, self.servers = chosen, questions, servers
        self.signatures, self.left_out = [], 0

    def of(self, kind, names, count=None):
        """The median cost by server, of the rounds in which the first of them, the echo, did not move."""
        servers = [self.servers[name] for name in names]
        turns = []
        for turn in range((count or self.chosen.rounds) + 1):
            path = self.questions.file(kind, self.chosen.seconds)
            costs = [self.cost(server, kind, path) for server in servers]
            if turn > 0:  # the first one warms up
                turns.append(costs)
            if kind in ("nx", "wild"):
                self.signatures.append(signature_micros())
        floor = statistics.median(costs[0] for costs in turns)
        steady = [costs for costs in turns if abs(costs[0] / floor - 1) <= ECHO_MOVES]
        self.left_out += len(turns) - len(steady)
        found = {name: statistics.median(costs[place] for costs in steady) for place, name in enumerate(names)}
        said = ", ".join(f"{name} {cost:.2f} ({min(c[place] for c in steady):.2f}–{max(c[place] for c in steady):.2f})"
                         for place, (name, cost) in enumerate(found.items()))
        print(f"{kind}: {said}; {len(steady)} of {len(turns)} rounds", file=sys.stderr, flush=True)
        return found


    def cost(self, server, kind, path):
        if server.name in OVERLOADED:
            # The budget is used up first, so that only what lies beyond it is measured. Other questions than those of
            # the round: what was signed is kept for a while.
            server.round(kind, self.questions.file(kind, LEAD_IN), LEAD_IN)
        return sum(server.round(kind, path, self.chosen.seconds))


class Place:
    """A zone of some size, its questions, and the servers that run on it, stopped at the end."""

    def __init__(self, folder, names, presigned=True):
        self.folder = folder / f"names-{names}"
        self.folder.mkdir()
        self.zone, self.signed = peers.zone_files(self.folder, names, presigned)
        self.questions = peers.Questions(self.folder, names)
        self.servers, self.number = {}, 0

    def start(self, name):
        self.number += 1
        server = peers.Server(name, self.folder / f"server-{self.number}", 5600 + self.number, self.zone, self.signed)
        self.servers[name] = server
        print(f"{name} answered after {server.load:.2f} s", file=sys.stderr, flush=True)
        return server

    def settle(self):
        for server in self.servers.values():
            server.settle(SETTLE)

    def stop(self, *names):
        for name in names or list(self.servers):
            self.servers.pop(name).stop()


def fast(chosen, place, verdicts):
    names = ["echo", "countersign", "Knot, presigned", "NSD, presigned"]
    rounds = Rounds(chosen, place.questions, {name: place.servers[name] for name in names})
    for kind in ("hot", "all"):
        costs = rounds.of(kind, names)
        best = min(("Knot, presigned", "NSD, presigned"), key=costs.get)
        verdicts.add("fast", f"{kind}, µs a response", costs["countersign"], costs[best], best, 0.93)
        verdicts.add("fast", f"{kind}, µs a response", costs["countersign"], costs["echo"], "the echo", 1.25)
    verdicts.note("fast", "rounds left out because the echo moved", str(rounds.left_out))


def fresh(chosen, place, verdicts):
    names = ["echo", "countersign", "PowerDNS, live", "Knot, online"]
    rounds = Rounds(chosen, place.questions, place.servers)
    hot = rounds.of("hot", ["echo", "countersign"])["countersign"]
    for kind in ("nx", "wild"):
        costs = rounds.of(kind, names)
        sum_of_both = hot + statistics.median(rounds.signatures)
        verdicts.add("fresh", f"{kind}, µs a response", costs["countersign"], sum_of_both, "a hot answer and a signature", 1.15)
        verdicts.add("fresh", f"{kind}, µs a response", costs["countersign"], costs["PowerDNS, live"], "PowerDNS, live", 0.4)
        verdicts.add("fresh", f"{kind}, µs a response", costs["countersign"], costs["Knot, online"], "Knot, online", 0.25)
    # Ranges are signed once a name, within the budget: as many seconds as 100,000 names at 4,000 a second take.
    place.servers[OVERLOADED[0]].round("nx", place.questions.file("nx", 28), 28)
    costs = rounds.of("nx", ["echo", *OVERLOADED])
    for name in OVERLOADED:
        verdicts.add("fresh", f"nx, {name.split(', ')[1]}, µs a response", costs[name], hot, "a hot answer", 1.3)
    verdicts.note("fresh", "one P-256 signature by ring, µs", f"{statistics.median(rounds.signatures):.1f}")


def threads(chosen, place, verdicts):
    rounds = Rounds(chosen, place.questions, place.servers)
    for kind in ("hot", "all"):
        costs = rounds.of(kind, ["echo", "echo, two threads", "countersign", "countersign, two threads"])
        verdicts.add("threads", f"{kind}, µs a response of two threads", costs["countersign, two threads"], costs["countersign"],
                     "one thread", 1.1)
        verdicts.note("threads", f"{kind}, the same ratio of the echo", f"{costs['echo, two threads'] / costs['echo']:.2f}")


def start(chosen, place, verdicts):
    """Starts alternate; the least of each is compared, for a neighbour only ever adds."""
    ours, theirs = [], []
    for _ in range(chosen.starts):
        for name, found in (("countersign, nothing ahead", ours), ("Knot, online", theirs)):
            server = place.start(name)
            found.append((server.load, server.memory_at_start, server.load_cpu))
            place.stop(name)
    (load, memory, cpu), (their_load, their_memory, their_cpu) = ([min(parts) for parts in zip(*found)] for found in (ours, theirs))
    verdicts.add("start", "seconds from start to first answer", load, their_load, "Knot, the same text", 1.0)
    verdicts.note("start", "processor seconds of that, ours and Knot's", f"{cpu:.2f} and {their_cpu:.2f}")
    verdicts.add("start", "MiB, unsigned", memory, their_memory, "Knot, online", 1.0)


def large(chosen, place, verdicts):
    names = ["echo", "countersign, nsec", "Knot, presigned"]
    for name in names:
        place.start(name)
    began = time.monotonic()
    place.settle()
    verdicts.note("large", "seconds until every signature was made, A, AAAA and NSEC", f"{time.monotonic() - began:.0f}")
    ours, theirs = place.servers["countersign, nsec"], place.servers["Knot, presigned"]
    verdicts.add("large", "MiB with every signature", ours.memory(), theirs.memory(), "Knot, presigned", 0.7)
    verdicts.note("large", "octets a name with every signature", f"{ours.memory() * 2**20 / LARGE:.0f}")
    rounds = Rounds(chosen, place.questions, place.servers)
    costs = rounds.of("all", names)
    verdicts.add("large", "all, µs a response", costs["countersign, nsec"], costs["Knot, presigned"], "Knot, presigned", 1.0)
    place.stop("echo")


LARGE = 1_000_000


def waits(server, is_over):
    """How long a hot question waits for its answer, in milliseconds, asked a thousand times a second at most, one after
    another, by this process on core 1; sorted. A lost one counts as the second it was waited for."""
    os.sched_setaffinity(0, {1})
    question = struct.pack(">6H", 7, 0, 1, 0, 0, 1) + b"\x02h1\x07example\0\0\x01\0\x01" + b"\0\0)\x04\xd0\0\0\x80\0\0\0"
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect(("127.0.0.1", server.port))
        while not is_over():
            began = time.perf_counter()
            try:
                client.send(question)
                client.recv(4096)
            except TimeoutError:
                pass
            found.append((time.perf_counter() - began) * 1e3)
            time.sleep(0.001)
    os.sched_setaffinity(0, {0, 1})
    return sorted(found)


def quantile(sorted_values, part):
    return sorted_values[min(int(len(sorted_values) * part), len(sorted_values) - 1)]


def reload(chosen, place, verdicts):
    """With every signature made, as `large` leaves them."""
    text = place.zone.read_text().replace("hostmaster 1 3600", "hostmaster 2 3600", 1)
    place.zone.write_text(text)
    place.signed.write_text(re.sub(r"\b1(\s+; serial)", r"2\1", place.signed.read_text(), count=1))
    peaks = {}
    for name, command in (("countersign, nsec", [str(peers.PROGRAM), "reload", "-c", "countersign.toml"]),
                          ("Knot, presigned", ["knotc", "-c", "knot.conf", "-b", "-t", "300", "zone-reload", "example."])):
        server = place.servers[name]
        before = server.memory()
        server.forget_peak()
        until = time.monotonic() + 10
        quiet = waits(server, lambda: time.monotonic() > until)
        began = time.monotonic()
        command = subprocess.Popen(["taskset", "-c", "0", *command], cwd=server.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        during = waits(server, lambda: command.poll() is not None)
        took = time.monotonic() - began
        if command.returncode != 0:
            sys.exit(f"{name} did not reload")
        freeing = time.monotonic() + 5
        during = sorted(during + waits(server, lambda: time.monotonic() > freeing))
        peaks[name] = server.peak()
        for part, said in ((0.5, "median"), (0.99, "99th percentile"), (0.999, "99.9th percentile")):
            verdicts.note("reload", f"{name}: {said} of a hot question's wait, ms: quiet, while it reloads",
                          f"{quantile(quiet, part):.2f}, {quantile(during, part):.2f}, "
                          f"{quantile(during, part) / quantile(quiet, part):.1f} times")
        verdicts.note("reload", f"{name}: seconds, MiB before, at the peak, 5 s after",
                      f"{took:.1f}, {before:.0f}, {peaks[name]:.0f}, {server.memory():.0f}")
    verdicts.note("reload", "MiB at the peak, ratio to Knot's", f"{peaks['countersign, nsec'] / peaks['Knot, presigned']:.2f}")


STAGES = {"fast": fast, "fresh": fresh, "threads": threads, "start": start, "large": large, "reload": reload}
SMALL = {"fast": ["countersign", "Knot, presigned", "NSD, presigned"],
         "fresh": ["countersign", *OVERLOADED, "PowerDNS, live", "Knot, online"],
         "threads": ["echo, two threads", "countersign", "countersign, two threads"]}


def machine():
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?")
    return f"{os.cpu_count()} cores of {model}, Linux {platform.release().split('-')[0]}, load {os.getloadavg()[0]:.1f} at the start"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--stages", default=",".join(STAGES))
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--seconds", type=float, default=2)
    arguments.add_argument("--starts", type=int, default=3)
    arguments.add_argument("--as-built", action="store_true", help="build nothing first")
    arguments.add_argument("--markdown", type=Path, help="append the lines to this file")
    chosen = arguments.parse_args()
    stages = chosen.stages.split(",")
    if not set(stages) <= set(STAGES):
        sys.exit(f"the stages are {', '.join(STAGES)}")
    if "reload" in stages and "large" not in stages:
        sys.exit("the stage reload goes on from large")
    peers.prepare(chosen.as_built)
    about, verdicts, began = machine(), Verdicts(), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="targets-"))
    folder.chmod(0o755)
    try:
        small = [stage for stage in SMALL if stage in stages]
        if small:
            run(chosen, Place(folder, 100_000), small, verdicts, ["echo"] + [name for stage in small for name in SMALL[stage]])
        big = [stage for stage in stages if stage not in SMALL]
        if big:
            run(chosen, Place(folder, LARGE, "large" in stages), big, verdicts, [])
    finally:
        shutil.rmtree(folder)
    text = f"{about}; {chosen.rounds} rounds of {chosen.seconds:g} s.\n\n{verdicts.markdown()}"
    print(f"\n{text}\nin {time.monotonic() - began:.0f} s")
    if chosen.markdown:
        with open(chosen.markdown, "a") as out:
            out.write(text)


def run(chosen, place, stages, verdicts, servers):
    try:
        for name in dict.fromkeys(servers):
            place.start(name)
        place.settle()
        for stage in stages:
            STAGES[stage](chosen, place, verdicts)
    finally:
        place.stop()


if __name__ == "__main__":
    main()
