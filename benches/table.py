#!/usr/bin/env python3
"""The figures of the last `cargo bench`, as a Markdown table: what criterion measured, in order of name.

    cargo bench && benches/table.py            print it
    benches/table.py --into README.md          replace the table between the marks in a file
"""
import argparse
import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
MARKS = ("<!-- figures: made by `make bench` -->", "<!-- end of figures -->")


def readable(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def rows():
    for estimates in sorted((TARGET / "criterion").glob("**/new/estimates.json")):
        name = json.loads((estimates.parent / "benchmark.json").read_text())["full_id"]
        median = json.loads(estimates.read_text())["median"]
        low, high = (readable(median["confidence_interval"][f"{end}_bound"]) for end in ("lower", "upper"))
        yield name, readable(median["point_estimate"]), f"{low} – {high}"


def table():
    found = sorted(set(rows()))
    if not found:
        sys.exit("nothing was measured yet; run: cargo bench")
    lines = ["| what | median | 95 % |", "|---|---|---|"] + [f"| {name} | {median} | {span} |" for name, median, span in found]
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--into", type=Path, help="the file whose marked part is replaced")
    into = arguments.parse_args().into
    if not into:
        print(table())
        return
    begin, end = MARKS
    text = into.read_text()
    made, count = re.subn(f"{re.escape(begin)}.*?{re.escape(end)}", f"{begin}\n{table()}\n{end}", text, flags=re.S)
    if count != 1:
        sys.exit(f"{into} has no part between {begin} and {end}")
    into.write_text(made)


if __name__ == "__main__":
    main()
