#!/usr/bin/python3
"""mutate.py [-n COUNT] [-s SEED] [FILE...]: is each condition of the filter held by a test? Takes random `if` conditions of
supervisor/filter (or of FILEs), makes each one never true in turn, and runs the unit tests and the fuzz corpora that look at that
part. A mutation that no test notices is printed as a survivor: either a test is missing, or the condition is not needed.

Needs `make unit-tests fuzz-targets` (build/release). Writes only to a temporary directory. By hand: minutes, not for every run."""

import argparse
import glob
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
B = "build/release"
# Which tests look at a file: by the beginning of its name; unit tests, then fuzz targets.
LOOK = [("create", ["create", "verify", "filter_memory"], ["create"]), ("exec", ["exec"], ["exec"]), ("update", ["exec"], ["exec"]),
        ("process", ["exec", "create"], ["exec", "create"]), ("fields", ["create", "exec"], ["create", "exec"]),
        ("names", ["names", "registry"], []), ("glob", ["names", "policy", "respond"], []), ("policy", ["policy", "settings"], []),
        ("respond", ["respond"], ["respond"]), ("decision", ["respond"], []), ("refusal", ["create", "respond"], []),
        ("route", ["route"], ["route"]), ("http1", ["http1"], ["http1"])]
# Not decisions: memory that runs out has tests of its own (test_filter_memory), which take minutes for each.
DULL = re.compile(r"^(r|k|n) ?(<|>=) ?0$|ENOMEM|^!\w+$|calloc|_new\(")


def conditions(text):
    """(start, end) of what stands in the parentheses of each `if`."""
    for m in re.finditer(r"\bif \(", text):
        depth, i = 1, m.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[i], 0)
            i += 1
        if not DULL.search(" ".join(text[m.end():i - 1].split())):
            yield m.end(), i - 1


def make_line(pattern, goal):
    """The command of a goal that looks like `pattern`, as make would run it."""
    out = subprocess.run(["make", "-s", "-n", "-B", "V=1", "WERROR=%s" % os.environ.get("WERROR", "0"), goal], cwd=ROOT, text=True,
                         capture_output=True, check=True).stdout
    return next(line for line in out.splitlines() if pattern in line)


class Bench:
    def __init__(self, tmp):
        self.tmp = tmp
        line = make_line(" -c -o ", B + "/obj/supervisor/filter/names.o")
        self.cc = [w for w in shlex.split(line)[:-1] if w not in ("-Werror", "-MMD", "-MP", "-c", "-o") and not w.endswith(".o")]
        self.cc = ["-O0" if w == "-O2" else w for w in self.cc if "FORTIFY" not in w] + ["-w"]
        self.libs = [w for w in shlex.split(make_line("-lcriterion", B + "/tests/unit/test_names")) if w.startswith("-l")]

    def compile(self, name, text):
        src, obj = os.path.join(self.tmp, name), os.path.join(self.tmp, "mutant.o")
        with open(src, "w") as f:
            f.write(text)
        p = subprocess.run([*self.cc, "-Isupervisor/filter", "-c", "-o", obj, src], cwd=ROOT, capture_output=True, check=False)
        return obj if p.returncode == 0 else None

    def run(self, objects, extra, archives, args):
        exe = os.path.join(self.tmp, "t")
        # The mutant first: what it defines is not looked for in the archive.
        subprocess.run(["gcc", "-pie", "-o", exe, *objects, "-Wl,--start-group", *archives, "-Wl,--end-group", *extra], cwd=ROOT,
                       check=True)
        try:
            return subprocess.run([exe, *args], cwd=ROOT, capture_output=True, timeout=120, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def survives(self, mutant, units, fuzz):
        every = sorted(glob.glob(os.path.join(ROOT, B, "lib*.a")))
        for t in units:
            if not self.run([mutant, "%s/obj/tests/unit/test_%s.o" % (B, t)], self.libs, every, ["-j1", "--fail-fast"]):
                return False
        for t in fuzz:
            objects = [mutant, "%s/obj/tests/fuzz/fuzz_%s.o" % (B, t), B + "/obj/tests/fuzz/replay.o"]
            if not self.run(objects, [lib for lib in self.libs if lib != "-lcriterion"], every, ["tests/fuzz/corpus/" + t]):
                return False
        return True


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("-n", type=int, default=40)
    ap.add_argument("-s", type=int, default=1)
    ap.add_argument("files", nargs="*")
    arg = ap.parse_args()
    files = arg.files or sorted(glob.glob(os.path.join(ROOT, "supervisor/filter/*.c")))
    places = []
    for path in files:
        with open(path) as f:
            text = f.read()
        look = next((row[1:] for row in LOOK if os.path.basename(path).startswith(row[0])), None)
        places += [(path, text, a, b, look) for a, b in conditions(text)] if look else []
    random.Random(arg.s).shuffle(places)
    survivors = built = 0
    with tempfile.TemporaryDirectory(prefix="clawsup-mutate-") as tmp:
        bench = Bench(tmp)
        for path, text, a, b, look in places[:arg.n]:
            mutant = bench.compile(os.path.basename(path), text[:a] + "0 && (" + text[a:b] + ")" + text[b:])
            if not mutant:
                continue
            built += 1
            if bench.survives(mutant, *look):
                survivors += 1
                print("SURVIVOR %s:%d: %s" % (os.path.relpath(path, ROOT), text.count("\n", 0, a) + 1, " ".join(text[a:b].split())),
                      flush=True)
    print("%d conditions of %d made never true: %d noticed, %d survived" % (built, len(places), built - survivors, survivors))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
