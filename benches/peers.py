#!/usr/bin/env python3
"""Countersign beside NSD, Knot and PowerDNS: what a response costs the server's processes, in one run.

    benches/peers.py                                  100,000 names, all peers, all kinds of questions
    benches/peers.py --names 1000000 --kinds all      load time and memory at a million names
    benches/peers.py --markdown benches/results.md    the table of the benchmark book

Every server has one worker on core 0, dnsperf runs on core 1, and rounds alternate between the servers, so that a
busy neighbour hits all alike. The figure is user and system time of the server's processes, from /proc, divided by
responses; rates depend on what else the machine does and are not shown. Every round asks questions that no round
before it asked where the kind says "fresh". `echo` is a bare datagram echo (benches/echo.rs): the floor.
Servers listen on loopback and are stopped by the process that started them.
"""
import argparse
import json
import os
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "release/countersign"
TICKS = os.sysconf("SC_CLK_TCK")
NEEDED = {"nsd": "nsd", "knotd": "knot", "pdns_server": "pdns-server pdns-backend-bind", "dnsperf": "dnsperf",
          "dnssec-signzone": "bind9-utils", "taskset": "util-linux"}
KINDS = {
    "hot": "1,000 existing names, asked again and again",
    "all": "every name of the zone once, in random order",
    "nx": "names that do not exist, each asked once (fresh)",
    "wild": "names below a wildcard, each asked once (fresh)",
    "plain": "as hot, without the DO bit",
}


def zone_text(names):
    yield "$ORIGIN example.\n$TTL 3600\n@ SOA ns1 hostmaster 1 3600 600 864000 300\n@ NS ns1\nns1 A 192.0.2.1\n*.wild A 192.0.2.9\n"
    for n in range(names):
        yield f"h{n} A 10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}\nh{n} AAAA 2001:db8::{n >> 16:x}:{n & 0xffff:x}\n"


class Questions:
    """Files of questions for dnsperf. A fresh kind gets names that were never asked before."""

    def __init__(self, folder, names):
        self.folder, self.random, self.count = folder, random.Random(8901), 0
        order = list(range(names))
        self.random.shuffle(order)
        self.fixed = {"hot": [f"h{n}" for n in order[:1000]], "all": [f"h{n}" for n in order]}
        self.fixed["plain"] = self.fixed["hot"]

    def file(self, kind, seconds):
        if kind in self.fixed:
            path = self.folder / f"{kind}.questions"
            labels = self.fixed[kind]
        else:
            self.count += 1
            path = self.folder / f"{kind}-{self.count % 4}.questions"
            # More than any server answers in the time.
            number = int(seconds * 200_000)
            suffix = ".wild" if kind == "wild" else ""
            labels = (f"x{self.random.getrandbits(60):015x}{suffix}" for _ in range(number))
        if kind not in self.fixed or not path.exists():
            path.write_text("".join(f"{label}.example. A\n" for label in labels))
        return path


def nsd(folder, port, zone, signed):
    (folder / "nsd.conf").write_text(
        f"server:\n ip-address: 127.0.0.1@{port}\n server-count: 1\n username: \"\"\n zonesdir: \"{folder}\"\n pidfile: \"{folder}/pid\"\n"
        f" xfrdfile: \"{folder}/xfr\"\n zonelistfile: \"{folder}/list\"\n database: \"\"\n minimal-responses: yes\n"
        f"remote-control:\n control-enable: no\nzone:\n name: example.\n zonefile: {signed}\n")
    return ["nsd", "-d", "-c", str(folder / "nsd.conf")]


def knot(folder, port, zone, extra="", of_zone=""):
    (folder / "knot.conf").write_text(
        f"server:\n  listen: 127.0.0.1@{port}\n  rundir: {folder}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
        f"database:\n  storage: {folder}\n{extra}zone:\n- domain: example.\n  file: {zone}\n  zonefile-load: whole\n  zonefile-sync: -1\n"
        f"  journal-content: none\n{of_zone}")
    return ["knotd", "-c", str(folder / "knot.conf")]


def knot_presigned(folder, port, zone, signed):
    return knot(folder, port, signed)


def knot_online(folder, port, zone, signed):
    extra = ("policy:\n- id: p\n  algorithm: ecdsap256sha256\n  single-type-signing: on\n  manual: off\n"
             "mod-onlinesign:\n- id: o\n  policy: p\n")
    return knot(folder, port, zone, extra, "  module: mod-onlinesign/o\n")


def powerdns(folder, port, zone, signed):
    (folder / "named.conf").write_text(f'options {{ directory "{folder}"; }};\nzone "example." {{ type master; file "{zone}"; }};\n')
    (folder / "pdns.conf").write_text(
        f"launch=bind\nbind-config={folder}/named.conf\nbind-dnssec-db={folder}/dnssec.db\nlocal-address=127.0.0.1\nlocal-port={port}\n"
        f"receiver-threads=1\ndistributor-threads=1\nsocket-dir={folder}\nguardian=no\ndaemon=no\ndisable-syslog=yes\nloglevel=3\n"
        "consistent-backends=yes\nexpand-alias=no\n8bit-dns=no\nsecurity-poll-suffix=\n")
    for command in (["create-bind-db", str(folder / "dnssec.db")], ["secure-zone", "example."], ["rectify-zone", "example."]):
        subprocess.run(["pdnsutil", f"--config-dir={folder}", *command], check=True, capture_output=True)
    return ["pdns_server", f"--config-dir={folder}"]


def countersign(denial="compact", threads=1, ahead=100, overload="off", signatures=4_000):
    """Without a budget of synthesised signatures, unless `overload` says what is done beyond `signatures` a second."""
    def start(folder, port, zone, signed):
        (folder / "countersign.toml").write_text(
            f'listen = ["127.0.0.1:{port}"]\nstate = "{folder}/state"\nkeys = "{folder}/keys"\n[udp]\nthreads = {threads}\nsignatures_per_second = {signatures}\n'
            f'[signing]\nahead = {ahead}\n'
            f'[[zone]]\norigin = "example."\nfile = "{zone}"\ndenial = "{denial}"\noverload = "{overload}"\nauto_keys = true\n')
        return [str(PROGRAM), "serve", "-c", str(folder / "countersign.toml")]
    return start


def echo(threads=1):
    return lambda folder, port, zone, signed: [str(PROGRAM.parent / "examples/echo"), str(port), str(threads)]


SERVERS = {"echo": echo(), "countersign": countersign(), "countersign, nsec": countersign("nsec"), "NSD, presigned": nsd,
           "Knot, presigned": knot_presigned, "Knot, online": knot_online, "PowerDNS, live": powerdns}
# Not in the table that is made when nothing is said.
MORE_SERVERS = {"echo, two threads": echo(2), "countersign, two threads": countersign(threads=2),
                "countersign, nothing ahead": countersign(ahead=0),
                "countersign, overload with ranges": countersign(overload="ranges"),
                "countersign, overload with truncation": countersign(overload="truncate")}


def descendants(pid):
    found, queue = [], [pid]
    while queue:
        pid = queue.pop()
        found.append(pid)
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                queue += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            pass
    return found


class Server:
    """One that has answered. With two threads it has both cores, and so has dnsperf; otherwise each has its own."""

    def __init__(self, name, folder, port, zone, signed):
        self.name, self.port, self.folder = name, port, folder
        self.threads = 2 if name.endswith("two threads") else 1
        folder.mkdir()
        command = (SERVERS | MORE_SERVERS)[name](folder, port, zone, signed)
        log = open(folder / "log", "w")
        began = time.monotonic()
        cores = "0,1" if self.threads == 2 else "0"
        self.process = subprocess.Popen(["taskset", "-c", cores, *command], stdout=log, stderr=log, cwd=folder)
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - began > 300:
                self.stop()
                sys.exit(f"{name} did not start:\n{(folder / 'log').read_text()[-2000:]}")
        self.load = time.monotonic() - began
        self.load_cpu = sum(self.cpu())
        self.memory_at_start = self.memory()

    def answers(self):
        question = struct.pack(">6H", 7, 0, 1, 0, 0, 0) + b"\x02h1\x07example\x00\x00\x01\x00\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.05)
            client.connect(("127.0.0.1", self.port))
            try:
                client.send(question)
                return client.recv(4096)[3] & 15 == 0
            except OSError:
                return False

    def cpu(self):
        user = system = 0
        for pid in descendants(self.process.pid):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            user, system = user + int(fields[11]), system + int(fields[12])
        return user / TICKS, system / TICKS

    def memory(self):
        """Proportional set size in MiB: what the processes share counts once."""
        total = 0
        for pid in descendants(self.process.pid):
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return total / 1024

    def peak(self):
        """The most that was resident since it was last forgotten, in MiB. Of several processes the sum."""
        total = 0
        for pid in descendants(self.process.pid):
            status = Path(f"/proc/{pid}/status").read_text()
            total += next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
        return total / 1024

    def forget_peak(self):
        for pid in descendants(self.process.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def settle(self, limit=90):
        """Waits until the server does nothing: what it signs ahead is neither counted nor cut short."""
        idle, deadline = 0, time.monotonic() + limit
        if self.name.startswith("countersign") and not self.name.endswith("nothing ahead"):
            self.sign_ahead(deadline)
        while idle < 4 and time.monotonic() < deadline:
            before = sum(self.cpu())
            time.sleep(0.25)
            idle = idle + 1 if sum(self.cpu()) - before < 0.02 else 0

    def sign_ahead(self, deadline):
        """Waits until every signature is made. The thread that makes them yields to all others, so on a machine that is
        busy with something else it is let run like them, where we may."""
        threads = [int(task.name) for task in Path(f"/proc/{self.process.pid}/task").iterdir()
                   if (task / "comm").read_text().strip() == "warm"]
        self.schedule(threads, os.SCHED_OTHER)
        while time.monotonic() < deadline:
            said = subprocess.run([str(PROGRAM), "status", "-c", "countersign.toml", "--json"], cwd=self.folder, capture_output=True)
            zones = json.loads(said.stdout)["zones"] if said.returncode == 0 else []
            if zones and all(zone["signatures"]["warm"] == zone["signatures"]["wanted"] for zone in zones):
                break
            time.sleep(1)
        else:
            print(f"{self.name}: not every signature was made in time", file=sys.stderr)
        self.schedule(threads, os.SCHED_IDLE)

    @staticmethod
    def schedule(threads, policy):
        for thread in threads:
            try:
                os.sched_setscheduler(thread, policy, os.sched_param(0))
            except PermissionError:
                pass

    def round(self, kind, questions, seconds):
        before = self.cpu()
        cores, senders = ("0,1", "2") if self.threads == 2 else ("1", "1")
        command = ["taskset", "-c", cores, "dnsperf", "-s", "127.0.0.1", "-p", str(self.port), "-d", str(questions), "-l", str(seconds),
                   "-c", "10", "-T", senders, "-q", "200", "-e"] + ([] if kind == "plain" else ["-D"])
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        after = self.cpu()
        completed = next(int(line.split(":")[1].split()[0]) for line in said.splitlines() if "Queries completed" in line)
        micro = [(b - a) * 1e6 / max(completed, 1) for a, b in zip(before, after)]
        return micro[0], micro[1]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--names", type=int, default=100_000)
    arguments.add_argument("--kinds", default=",".join(KINDS))
    arguments.add_argument("--only", default=";".join(SERVERS), help="servers, divided by semicolons")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=2)
    arguments.add_argument("--as-built", action="store_true", help="build nothing first")
    arguments.add_argument("--markdown", type=Path, help="append the tables to this file")
    chosen = arguments.parse_args()
    prepare(chosen.as_built)
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        table = measure(chosen, Path(folder))
    print(table)
    if chosen.markdown:
        with open(chosen.markdown, "a") as out:
            out.write(table)


def prepare(as_built):
    """The peers are there, and our own programs are built, unless they are to be taken as they are."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    if missing:
        sys.exit("missing Debian packages: " + " ".join(missing) + "; run: make tools")
    if not as_built:
        subprocess.run(["cargo", "build", "--release", "--quiet", "--bins", "--examples"], cwd=ROOT, check=True)


def zone_files(folder, names, presigned):
    """The zone as text, and the same signed."""
    folder.chmod(0o755)
    zone, signed = folder / "plain.zone", folder / "signed.zone"
    with open(zone, "w") as out:
        out.writelines(zone_text(names))
    if presigned:
        print(f"signing {names:,} names for the presigned servers", file=sys.stderr)
        for flags in ([], ["-f", "KSK"]):
            subprocess.run(["dnssec-keygen", "-q", "-K", folder, "-a", "ECDSAP256SHA256", *flags, "example."], check=True, capture_output=True)
        subprocess.run(["dnssec-signzone", "-q", "-P", "-S", "-K", folder, "-o", "example.", "-O", "text", "-f", signed, zone],
                       check=True, capture_output=True, cwd=folder)
    return zone, signed


def measure(chosen, folder):
    names, kinds = chosen.only.split(";"), chosen.kinds.split(",")
    zone, signed = zone_files(folder, chosen.names, any("presigned" in name for name in names))
    questions, servers = Questions(folder, chosen.names), []
    try:
        for number, name in enumerate(names):
            servers.append(Server(name, folder / f"server-{number}", 5500 + number, zone, signed))
            print(f"{name} answered after {servers[-1].load:.2f} s", file=sys.stderr)
        for server in servers:
            server.settle()
        return report(chosen, servers, {kind: rounds(chosen, kind, servers, questions) for kind in kinds})
    finally:
        for server in servers:
            server.stop()


def rounds(chosen, kind, servers, questions):
    figures = {server.name: [] for server in servers}
    for turn in range(chosen.rounds + 1):
        path = questions.file(kind, chosen.seconds)
        for server in servers:
            micro = server.round(kind, path, chosen.seconds)
            if turn > 0:  # the first one warms up
                figures[server.name].append(micro)
        print(f"{kind}: round {turn} of {chosen.rounds}", file=sys.stderr)
    return figures


def report(chosen, servers, figures):
    lines = [f"\n### {chosen.names:,} names, {chosen.rounds} rounds of {chosen.seconds:g} s\n",
             "CPU µs a response of the server's processes, user + system, median (range of the sum).\n"]
    lines.append("| | " + " | ".join(figures) + " | start to first answer, s (CPU) | MiB at start → after |")
    lines.append("|---|" + "---|" * (len(figures) + 2))
    for server in servers:
        cells = []
        for kind in figures:
            runs = figures[kind][server.name]
            user, system = (statistics.median(run[part] for run in runs) for part in (0, 1))
            sums = [sum(run) for run in runs]
            cells.append(f"{statistics.median(sums):.2f} = {user:.1f} + {system:.1f} ({min(sums):.1f}–{max(sums):.1f})")
        lines.append(f"| {server.name} | " + " | ".join(cells) +
                     f" | {server.load:.2f} ({server.load_cpu:.2f}) | {server.memory_at_start:.0f} → {server.memory():.0f} |")
    lines.append("\n" + "; ".join(f"`{kind}`: {KINDS[kind]}" for kind in figures) + ".\n")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
