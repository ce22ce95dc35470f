#!/usr/bin/python3
"""Checks a Prometheus textfile for what `promtool check metrics` lets through: timestamps (one makes
node_exporter skip the whole file), duplicate series, families that are not in one piece, samples without a HELP
and TYPE before them, histograms that do not add up, labels that would explode (container ids, more than three).

Usage: check_metrics.py FILE [FAMILY...]; each FAMILY must be there with at least one sample. Prints one line per
finding and exits 1, or prints nothing and exits 0."""
import re
import sys

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)( \S+)?')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
LABELS_MAX = 3


def parse_labels(text):
    """[(name, value)] of the text between the braces; None when malformed."""
    labels, at = [], 0
    while at < len(text):
        m = LABEL.match(text, at)
        if not m:
            return None
        labels.append((m.group(1), m.group(2)))
        at = m.end()
    return labels


class Checker:
    def __init__(self):
        self.findings = []
        self.types = {}    # family -> type
        self.helps = set()
        self.closed = set()
        self.current = None
        self.seen = set()
        self.sampled = set()
        self.buckets = {}  # (family, labels without le) -> [(le, value)]
        self.counts = {}

    def fault(self, number, text):
        self.findings.append(f"line {number}: {text}")

    def enter(self, number, family):
        if family == self.current:
            return
        if family in self.closed:
            self.fault(number, f"{family} is not in one piece")
        if self.current:
            self.closed.add(self.current)
        self.current = family

    def family_of(self, name):
        for suffix in ("_bucket", "_sum", "_count"):
            base = name[:-len(suffix)]
            if name.endswith(suffix) and self.types.get(base) == "histogram":
                return base
        return name

    def comment(self, number, line):
        parts = line.split(" ", 3)
        if len(parts) < 4 or parts[1] not in ("HELP", "TYPE"):
            self.fault(number, "neither HELP nor TYPE")
            return
        self.enter(number, parts[2])
        if parts[1] == "HELP":
            if parts[2] in self.helps:
                self.fault(number, f"second HELP of {parts[2]}")
            self.helps.add(parts[2])
        else:
            if parts[2] in self.types:
                self.fault(number, f"second TYPE of {parts[2]}")
            self.types[parts[2]] = parts[3]

    def sample(self, number, line):
        m = SAMPLE.fullmatch(line)
        if not m:
            self.fault(number, "not a sample")
            return
        name, text, value, stamp = m.groups()
        labels = parse_labels(text or "")
        family = self.family_of(name)
        self.enter(number, family)
        self.sampled.add(family)
        if stamp:
            self.fault(number, "timestamp")
        if labels is None:
            self.fault(number, "malformed labels")
            return
        if family not in self.types or family not in self.helps:
            self.fault(number, f"{family} has no HELP and TYPE before it")
        self.check_labels(number, labels)
        key = (name, tuple(sorted(labels)))
        if key in self.seen:
            self.fault(number, "duplicate series")
        self.seen.add(key)
        self.check_value(number, name, family, labels, value)

    def check_labels(self, number, labels):
        names = [n for n, _ in labels]
        if len(set(names)) != len(names):
            self.fault(number, "a label twice")
        if len([n for n in names if n != "le"]) > LABELS_MAX:
            self.fault(number, "too many labels")
        for _, v in labels:
            if re.search(r"[0-9a-f]{12}", v):
                self.fault(number, f"looks like a container id: {v}")

    def check_value(self, number, name, family, labels, value):
        try:
            v = float(value)
        except ValueError:
            self.fault(number, f"not a number: {value}")
            return
        if self.types.get(family) in ("counter", "histogram") and v < 0:
            self.fault(number, "a negative counter")
        if self.types.get(family) == "histogram":
            key = (family, tuple(sorted(x for x in labels if x[0] != "le")))
            if name.endswith("_bucket"):
                le = dict(labels).get("le", "")
                self.buckets.setdefault(key, []).append((float(le.replace("+Inf", "inf") or "nan"), v))
            elif name.endswith("_count"):
                self.counts[key] = v

    def finish(self, wanted):
        for key, rows in self.buckets.items():
            bounds, values = [r[0] for r in rows], [r[1] for r in rows]
            if bounds != sorted(set(bounds)) or values != sorted(values):
                self.findings.append(f"{key[0]}: buckets do not rise")
            if not bounds or bounds[-1] != float("inf") or values[-1] != self.counts.get(key):
                self.findings.append(f"{key[0]}: +Inf is not the count")
        for family in self.types:
            if self.types[family] == "counter" and not family.endswith("_total"):
                self.findings.append(f"{family}: a counter ends in _total")
        for family in wanted:
            if family not in self.sampled:
                self.findings.append(f"{family}: missing")


def check(text, wanted=()):
    c = Checker()
    if not text.endswith("\n"):
        c.findings.append("the last line has no end")
    for number, line in enumerate(text.split("\n")[:-1], 1):
        if line.startswith("#"):
            c.comment(number, line)
        else:
            c.sample(number, line)
    c.finish(wanted)
    return c.findings


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 64
    with open(sys.argv[1], encoding="utf-8") as f:
        findings = check(f.read(), sys.argv[2:])
    for line in findings:
        print(line)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
