#!/usr/bin/env python3
"""How long a question for a name that exists waits while something else goes on: a flood of random names, or a reload.

    benches/latency.py                                floods and reloads beside 100,000 names
    benches/latency.py --names 1000000 --parts reload
    benches/latency.py --markdown benches/results.md

One client asks 500 signed questions a second for 1,000 names of the zone and takes the time of each. In turn, and in
rounds, nothing else goes on (calm), or dnsperf asks at a fixed rate: for those same names (busy), for names that do not
exist (nx), or for such below a wildcard (wild). So nx beside busy shows what signing for strangers costs the others, and
busy beside calm what the mere rate does. Every policy of `overload` has a server of its own in the same run. In the
other part the zone changes and is reloaded again and again while the client asks.

Figures are microseconds at the client, the machine's own delays included, so only their ratios within one run say
something: discard a run in which calm differs between the servers. The flooded servers run on core 0 with one thread, the clients on core 1; a server that reloads has both, as a
real one would. Servers listen on loopback, and everything that is started is stopped, by its id, after a time at most.
"""
import argparse
import os
import random
import select
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target/release/countersign"
POLICIES = ("auto", "truncate", "off")
FLOODS = ("calm", "busy", "nx", "wild")
A_SECOND = 500


def encoded(owner):
    return b"".join(bytes([len(label)]) + label.encode() for label in owner.rstrip(".").split(".")) + b"\0"


class Client:
    """Asks at a steady rate, without waiting for one answer before the next question."""

    def __init__(self, port, names):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        opt = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0"
        asked = random.Random(5).sample(range(names), min(names, 1000))
        self.questions = [encoded(f"h{n}.example.") + b"\0\x01\0\x01" + opt for n in asked]

    def measure(self, seconds):
        """Seconds that each answer took, in order of size, and how many did not come within a second."""
        took, waiting = [], {}
        began = time.perf_counter()
        sent, total = 0, int(seconds * A_SECOND)
        while sent < total or waiting:
            now = time.perf_counter()
            due = began + sent / A_SECOND
            if sent < total and now >= due:
                ident = sent & 0xffff
                packet = struct.pack(">6H", ident, 0, 1, 0, 0, 1) + self.questions[sent % len(self.questions)]
                waiting[ident] = time.perf_counter()
                self.socket.send(packet)
                sent += 1
                continue
            if sent >= total and now - began > seconds + 1:
                break
            readable, _, _ = select.select([self.socket], [], [], max(0.0, min(due - now, 0.05)) if sent < total else 0.05)
            if not readable:
                continue
            answer = self.socket.recv(4096)
            came = time.perf_counter()
            since = waiting.pop(struct.unpack(">H", answer[:2])[0], None)
            if since is not None:
                took.append(came - since)
        return sorted(took), len(waiting)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server of ours, with a policy and its cores."""

    def __init__(self, folder, zone, policy, cores):
        folder.mkdir()
        self.name, self.folder, self.port = f"countersign, {policy}", folder, free_port()
        port = self.port
        config = folder / "countersign.toml"
        config.write_text(
            f'listen = ["127.0.0.1:{port}"]\nstate = "{folder}/state"\nkeys = "{folder}/keys"\n[udp]\nthreads = 1\n'
            f'[[zone]]\norigin = "example."\nfile = "{zone}"\noverload = "{policy}"\nauto_keys = true\n')
        log = open(folder / "log", "w")
        self.process = subprocess.Popen(["taskset", "-c", cores, str(PROGRAM), "serve", "-c", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 300
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                sys.exit(f"the server did not start:\n{(folder / 'log').read_text()[-2000:]}")

    answers = peers.Server.answers
    cpu = peers.Server.cpu
    sign_ahead = peers.Server.sign_ahead
    schedule = staticmethod(peers.Server.schedule)
    settle = peers.Server.settle
    stop = peers.Server.stop

    def reload(self):
        return subprocess.Popen([str(PROGRAM), "reload", "--state", str(self.folder / "state")], stdout=subprocess.DEVNULL)


class Flood:
    """dnsperf at a fixed rate, until it is stopped."""

    def __init__(self, server, questions, rate, seconds):
        self.process = subprocess.Popen(
            ["taskset", "-c", "1", "dnsperf", "-s", "127.0.0.1", "-p", str(server.port), "-d", str(questions), "-D", "-e", "-c", "10",
             "-T", "1", "-q", "200", "-Q", str(rate), "-l", str(seconds)], stdout=subprocess.PIPE, text=True)

    def stop(self):
        self.process.send_signal(signal.SIGINT)  # it tells what it counted
        try:
            said, _ = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            said, _ = self.process.communicate()
        return next((float(line.split(":")[1]) for line in said.splitlines() if "Queries per second" in line), 0.0)


def percentile(sorted_values, part):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * part))]


def points(took):
    return tuple(percentile(took, part) * 1e6 for part in (0.5, 0.99, 0.999))


def alone():
    """What the client measures is to be the server's delay, not that of its own turn on a busy core."""
    os.sched_setaffinity(0, {1})
    try:
        # What it starts has the priority of others again.
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except (PermissionError, AttributeError):
        print("without the right to real-time priority the client waits for its turn beside dnsperf", file=sys.stderr)


def floods(chosen, folder, zone):
    questions = peers.Questions(folder, chosen.names)
    servers, table = {}, {}
    try:
        for policy in POLICIES:
            servers[policy] = Server(folder / policy, zone, policy, "0")
        for server in servers.values():
            server.settle()
        for turn in range(chosen.rounds + 1):
            for policy, server in servers.items():
                for kind in FLOODS:
                    took, lost, rate = one(chosen, server, kind, questions)
                    if turn > 0:  # the first one warms up
                        row = table.setdefault((policy, kind), ([], [], []))
                        row[0].extend(took), row[1].append(lost), row[2].append(rate)
            print(f"floods: round {turn} of {chosen.rounds}", file=sys.stderr)
    finally:
        for server in servers.values():
            server.stop()
    return table


def one(chosen, server, kind, questions):
    client = Client(server.port, chosen.names)
    if kind == "calm":
        took, lost = client.measure(chosen.seconds)
        return took, lost, 0.0
    path = questions.file("hot" if kind == "busy" else kind, (chosen.seconds + 2) * chosen.rate / 200_000)
    flood = Flood(server, path, chosen.rate, chosen.seconds + 2)
    try:
        time.sleep(1.0)  # beyond the first second's worth of signatures
        took, lost = client.measure(chosen.seconds)
    finally:
        rate = flood.stop()
    return took, lost, rate


def reloads(chosen, folder, zone):
    server = Server(folder / "reloading", zone, "auto", "0,1")
    table = {}
    text = zone.read_text()
    try:
        server.settle(limit=30 + chosen.names / 20_000)
        client = Client(server.port, chosen.names)
        for turn in range(chosen.rounds):
            took, lost = client.measure(chosen.seconds)
            row = table.setdefault("calm", ([], [], []))
            row[0].extend(took), row[1].append(lost)
            zone.write_text(text.replace("hostmaster 1 ", f"hostmaster {turn + 2} ", 1) + f"new{turn} A 192.0.2.77\n")
            row = table.setdefault("reloading", ([], [], []))
            began, reloading = time.monotonic(), server.reload()
            while reloading.poll() is None and time.monotonic() - began < 120:
                took, lost = client.measure(0.5)
                row[0].extend(took), row[1].append(lost)
            if reloading.poll() is None:
                reloading.kill()
            row[2].append(time.monotonic() - began)
            print(f"reloads: round {turn + 1} of {chosen.rounds}", file=sys.stderr)
    finally:
        server.stop()
    return table


def report(chosen, flooded, reloading):
    lines = [f"\n### What a hot question waits: {chosen.names:,} names, {chosen.rounds} rounds\n"]
    if flooded:
        lines += [f"{A_SECOND} questions a second, beside {chosen.rate:,} a second from dnsperf.\n",
                  "| overload | beside | answered a second | median, µs | 99 % | 99.9 % | 99 % ÷ calm | 99.9 % ÷ calm | 99 % ÷ busy | lost |",
                  "|---|---|---|---|---|---|---|---|---|---|"]
        for (policy, kind), (took, lost, rates) in flooded.items():
            middle, high, highest = points(sorted(took))
            calm = points(sorted(flooded[policy, "calm"][0]))
            busy = points(sorted(flooded[policy, "busy"][0]))
            lines.append(f"| {policy} | {kind} | {statistics.median(rates):,.0f} | {middle:.0f} | {high:.0f} | {highest:.0f} | "
                         f"{high / calm[1]:.2f} | {highest / calm[2]:.2f} | {high / busy[1]:.2f} | {sum(lost)} |")
    if reloading:
        calm = points(sorted(reloading["calm"][0]))
        lines += ["\n| | median, µs | 99 % | 99.9 % | 99 % ÷ calm | 99.9 % ÷ calm | lost | a reload, s |", "|---|---|---|---|---|---|---|---|"]
        for what, (took, lost, spans) in reloading.items():
            middle, high, highest = points(sorted(took))
            span = f"{statistics.median(spans):.2f}" if spans else ""
            lines.append(f"| {what} | {middle:.0f} | {high:.0f} | {highest:.0f} | {high / calm[1]:.2f} | {highest / calm[2]:.2f} | "
                         f"{sum(lost)} | {span} |")
    return "\n".join(lines) + "\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--names", type=int, default=100_000)
    arguments.add_argument("--parts", default="flood,reload")
    arguments.add_argument("--rate", type=int, default=30_000, help="questions a second that dnsperf asks; one core must be able to answer them")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--markdown", type=Path, help="append the tables to this file")
    chosen = arguments.parse_args()
    for program in ("dnsperf", "taskset"):
        if not shutil.which(program):
            sys.exit(f"{program} is missing; run: make tools")
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bins"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="latency-") as name:
        folder = Path(name)
        zone = folder / "plain.zone"
        with open(zone, "w") as out:
            out.writelines(peers.zone_text(chosen.names))
        parts = chosen.parts.split(",")
        alone()
        reloading = reloads(chosen, folder, zone) if "reload" in parts else None
        flooded = None
        if "flood" in parts:
            flooded = floods(chosen, folder, zone)
    table = report(chosen, flooded, reloading)
    print(table)
    if chosen.markdown:
        with open(chosen.markdown, "a") as out:
            out.write(table)


if __name__ == "__main__":
    main()
