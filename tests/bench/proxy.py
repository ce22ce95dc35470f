#!/usr/bin/python3
"""proxy.py: what a request costs behind clawsup-proxy, beside the engine's own socket, a bare relay (socat) and HAProxy
with a section allowlist, as the common socket-proxy images have it. One run, one engine of our own, the four taking turns
in short rounds. A ratio is the median of the rounds' ratios, or, where other work shares the machine, that of each
target's best round: a round in which something else had the processors says nothing about a proxy. CPU time is the
process's own and its children's, per request. Nothing is asserted about time.

QUICK=1 shortens it. ROWS=ping,inspect names rows, ROUNDS and SECONDS set the length; see contrib/docs/performance.md.
Needs root, socat and haproxy."""

import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPO, "tests/support"))

from clawtest import IMAGE, Engine, busybox_tar, http_request, import_image, sidecar_env  # noqa: E402

BUILD = os.path.join(REPO, os.environ.get("CLAWSUP_BUILD", "build/release"))
QUICK = bool(os.environ.get("QUICK"))
ROUNDS = int(os.environ.get("ROUNDS", "2" if QUICK else "7"))
SECONDS = float(os.environ.get("SECONDS", "0.5" if QUICK else "1"))
ROWS = [r for r in os.environ.get("ROWS", "").split(",") if r]
CLIENTS = [1, 8, 64]
CONTAINERS, OWN = 200, 50
STREAM = 256 << 20 if QUICK else 1 << 30
FLEET = 50

# The sections of the API, each open or closed by one variable, as the images that wrap HAProxy do it.
SECTIONS = [("AUTH", "auth"), ("BUILD", "build"), ("COMMIT", "commit"), ("CONFIGS", "configs"), ("CONTAINERS", "containers"),
            ("DISTRIBUTION", "distribution"), ("EVENTS", "events"), ("EXEC", "exec"), ("GRPC", "grpc"), ("IMAGES", "images"),
            ("INFO", "info"), ("NETWORKS", "networks"), ("NODES", "nodes"), ("PING", "_ping"), ("PLUGINS", "plugins"),
            ("SECRETS", "secrets"), ("SERVICES", "services"), ("SESSION", "session"), ("SWARM", "swarm"),
            ("SYSTEM", "system"), ("TASKS", "tasks"), ("VERSION", "version"), ("VOLUMES", "volumes")]
OPEN = ["CONTAINERS", "EVENTS", "EXEC", "IMAGES", "PING", "VERSION", "POST"]
HAPROXY = """
global
    log stdout format raw daemon info
    maxconn 4000
defaults
    mode http
    log global
    option httplog
    option dontlognull
    option http-server-close
    option redispatch
    retries 3
    timeout http-request 10s
    timeout queue 1m
    timeout connect 10s
    timeout client 10m
    timeout server 10m
    timeout http-keep-alive 10s
    maxconn 3000
backend engine
    server engine unix@%(engine)s
backend engine-events
    server engine unix@%(engine)s
    timeout server 0
frontend clients
    bind unix@%(sock)s
    http-request deny unless METH_GET || { env(POST) -m bool }
%(rules)s
    http-request deny
    default_backend engine
    use_backend engine-events if { path,url_dec -m reg -i ^(/v[\\d\\.]+)?/events }
"""


def say(text=""):
    print(text, flush=True)


class Target:
    """Something that listens at `sock` and passes on to the engine."""

    def __init__(self, name, home, sock, argv=None, env=None):
        self.name, self.sock, self.argv, self.env, self.proc = name, sock, argv, env, None
        self.log = "%s/%s.log" % (home, os.path.basename(sock))

    def start(self):
        if self.argv:
            with open(self.log, "ab") as log:
                self.proc = subprocess.Popen(self.argv, env=self.env, stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, stderr=log)
        end = time.monotonic() + 15
        while not self.alive():
            if time.monotonic() > end or (self.proc and self.proc.poll() is not None):
                sys.exit("bench: %s does not answer; its log:\n%s" % (self.name, open(self.log, errors="replace").read()))
            time.sleep(0.02)
        return self

    def alive(self):
        try:
            return http_request(self.sock, "GET", "/_ping", timeout=3).status == 200
        except (OSError, EOFError, AssertionError):
            return False

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.terminate()
            self.proc.wait(15)
        self.proc = None

    def memory_kb(self):
        """RSS and PSS of the process."""
        got = {}
        with open("/proc/%d/smaps_rollup" % self.proc.pid) as f:
            for line in f:
                w = line.split()
                if w[0] in ("Rss:", "Pss:"):
                    got[w[0]] = int(w[1])
        return got["Rss:"], got["Pss:"]


class Bench:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="clawsup-bench-")
        os.chmod(self.home, 0o755)
        self.engine = Engine(self.home + "/engine.sock", home=self.home)
        self.targets, self.goals, self.started = [], [], []
        self.own = self.running = None

    # ---- the scene
    def proxy(self, tenant, index=""):
        sock = "%s/proxy-%s%s.sock" % (self.home, tenant, index)
        env = dict(sidecar_env(tenant=tenant, LOG_LEVEL="warning"), LISTEN="unix:" + sock, PATH="/usr/bin:/bin",
                   DOCKER_SOCKET=self.engine.sock)
        return Target("clawsup-proxy", self.home, sock, [BUILD + "/clawsup-proxy"], env)

    def socat(self, index=""):
        sock = "%s/socat%s.sock" % (self.home, index)
        return Target("socat", self.home, sock,
                      ["socat", "UNIX-LISTEN:%s,fork,backlog=128" % sock, "UNIX-CONNECT:" + self.engine.sock])

    def haproxy(self, index=""):
        sock, conf = "%s/haproxy%s.sock" % (self.home, index), "%s/haproxy%s.cfg" % (self.home, index)
        rules = ["    http-request allow if { path,url_dec -m reg -i ^(/v[\\d\\.]+)?/%s } { env(%s) -m bool }" % (path, var)
                 for var, path in SECTIONS]
        with open(conf, "w") as f:
            f.write(HAPROXY % {"engine": self.engine.sock, "sock": sock, "rules": "\n".join(rules)})
        env = dict({var: "0" for var, _ in SECTIONS}, **{var: "1" for var in OPEN})
        return Target("haproxy", self.home, sock, ["haproxy", "-f", conf], dict(env, PATH="/usr/bin:/bin:/usr/sbin"))

    def launch(self, target):
        self.started.append(target)
        return target.start()

    def create(self, tenant, n, cmd=("sleep", "infinity"), **more):
        """Without a log, which 1 GB of output would fill."""
        body = {"Image": IMAGE, "Cmd": cmd,
                "Labels": {"clawsup.tenant": tenant, "clawsup.role": "sandbox", "openclaw.sandbox": "1",
                           "openclaw.sessionKey": "agent:main:main"},
                "HostConfig": {"NetworkMode": "none", "Memory": 64 << 20, "LogConfig": {"Type": "none"}}, **more}
        r = self.engine.request("POST", "/v1.41/containers/create?name=openclaw-sbx-%s-%s" % (tenant, n), body)
        assert r.status == 201, r
        return r.json()["Id"]

    def start(self):
        self.engine.start()
        import_image(self.engine, IMAGE, busybox_tar())
        say("%d containers, %d of them tenant a's, 1 tenant b's" % (CONTAINERS, OWN))
        ids = [self.create("a" if n < OWN else "b" if n == OWN else "c", n) for n in range(CONTAINERS)]
        self.own, self.running = ids[0], ids[1]
        assert self.engine.request("POST", "/v1.41/containers/%s/start" % self.running).status == 204
        self.engine.docker("exec", self.running, "truncate", "-s", str(STREAM), "/zeros")
        self.targets = [Target("raw", self.home, self.engine.sock), self.launch(self.socat()), self.launch(self.haproxy()),
                        self.launch(self.proxy("a"))]
        self.b, self.d = self.launch(self.proxy("b")), self.launch(self.proxy("d"))

    def stop(self):
        for t in self.started:
            t.stop()
        if self.engine.proc and self.engine.proc.poll() is None:
            ids = self.engine.docker("ps", "-q", check=False).split()
            if ids:
                self.engine.docker("rm", "-f", *ids, check=False)
            self.engine.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    # ---- measuring
    def load(self, target, steps, clients, seconds=None, cycles=None):
        script = self.home + "/script"
        with open(script, "w") as f:
            for s in steps:
                f.write("\t".join(s) + "\n")
        argv = [BUILD + "/tests/bench/load", "-s", target.sock, "-c", str(clients)]
        argv += ["-n", str(cycles)] if cycles else ["-t", str(seconds), "-w", "0.2"]
        if target.proc:
            argv += ["-p", str(target.proc.pid)]
        p = subprocess.run(argv + [script], stdout=subprocess.PIPE, text=True, check=False)
        got = json.loads(p.stdout) if p.stdout else {}
        if not got or got["errors"]:
            sys.exit("bench: %s: %s failed: %s" % (target.name, steps, got))
        return got

    def row(self, name, steps, clients, what="rate", mine=None, cycles=None, rounds=ROUNDS, around=None):
        """One row of the table. `mine` replaces the steps and the target for clawsup-proxy: the same answer there.
        `around` prepares a load, and clears up behind it."""
        got = {t.name: [] for t in self.targets}
        for _ in range(rounds):
            for t in self.targets:
                target, s = (mine[0] or t, mine[1]) if mine and t.name == "clawsup-proxy" else (t, steps)
                with around(target) if around else contextlib.nullcontext():
                    got[t.name].append(self.load(target, s, clients, SECONDS, cycles))
        self.print_row(name, clients, got, what)

    def print_row(self, name, clients, got, what):
        def median(target, key):
            return statistics.median(r[key] for r in got[target])

        def ratio(a, b, of):
            v = [of(x, raw) / of(y, raw) for x, y, raw in zip(got[a], got[b], got["raw"]) if of(y, raw) > 0]
            return statistics.median(v) if v else float("nan")

        def best(target, key=what, pick=max):
            return pick(r[key] for r in got[target])

        rate = {o: ratio("clawsup-proxy", o, lambda x, raw: x[what]) for o in ("socat", "haproxy")}
        top = {o: best("clawsup-proxy") / best(o) if best(o) else float("nan") for o in rate}
        # What a proxy adds: where the bare relay adds less than 2 us, that is noise.
        base = {t: median(t, "p50_us") - median("raw", "p50_us") for t in got}
        for t in got:
            say("%-22s %3d  %-14s %10.1f %10.1f %10.1f %9.2f %9s" %
                (name, clients, t, median(t, "p50_us"), median(t, "p99_us"), median(t, what), median(t, "cpu_us"),
                 "" if t == "raw" else "%+.1f" % base[t]))
        added = base["clawsup-proxy"] / base["socat"] if base["socat"] > 2 else float("nan")
        say("%-22s %3d  clawsup-proxy : socat %s x%.2f (best x%.2f), added p50 x%.2f; : haproxy x%.2f (best x%.2f)" %
            (name, clients, "MB/s" if what == "mb_s" else "rate", rate["socat"], top["socat"], added, rate["haproxy"],
             top["haproxy"]))
        low = {t: best(t, "p50_us", min) - best("raw", "p50_us", min) for t in got}
        cpu = {t: median(t, "cpu_us") for t in got}
        self.goals.append((name, clients, rate["socat"], top["socat"], rate["haproxy"], top["haproxy"],
                           low["clawsup-proxy"], low["socat"], cpu["clawsup-proxy"], cpu["socat"], cpu["haproxy"]))

    def wanted(self, name):
        return not ROWS or name in ROWS

    # ---- the rows
    def requests(self):
        say("%-22s %3s  %-14s %10s %10s %10s %9s %9s" %
            ("row", "cli", "target", "p50 us", "p99 us", "rate /s", "cpu us", "p50-raw"))

        def filtered(tenant):
            return [("GET", '/v1.41/containers/json?all=1&filters=%%7B%%22label%%22%%3A%%5B%%22clawsup.tenant%%3D%s%%22%%5D%%7D'
                     % tenant, "-", "")]

        everything = [("GET", "/v1.41/containers/json?all=1", "-", "")]
        for c in CLIENTS:
            if self.wanted("ping"):
                self.row("GET /_ping", [("GET", "/_ping", "-", "")], c)
            if self.wanted("list1"):
                self.row("list, 1 own of 200", filtered("b"), c, mine=(self.b, everything))
            if self.wanted("list50"):
                self.row("list, 50 own of 200", filtered("a"), c, mine=(None, everything))
            if self.wanted("inspect"):
                self.row("GET /containers/ID", [("GET", "/v1.41/containers/%s/json" % self.own, "-", "")], c)

    def actions(self):
        body = json.dumps({"Image": IMAGE, "Cmd": ["sleep", "infinity"], "HostConfig": {"NetworkMode": "none"}})
        # Tenant d has no container yet: a sidecar's tenant may have eight, so that there are no more clients here.
        life = [("POST", "/v1.41/containers/create?name=openclaw-sbx-d-x{n}", "-", body),
                ("POST", "/v1.41/containers/{id}/start", "-", ""), ("DELETE", "/v1.41/containers/{id}?force=1", "-", "")]
        exec_body = json.dumps({"AttachStdout": True, "Cmd": ["true"]})
        trip = [("POST", "/v1.41/containers/%s/exec" % self.running, "-", exec_body),
                ("POST", "/v1.41/exec/{id}/start", "hijack", '{"Detach":false,"Tty":false}')]
        rounds = min(ROUNDS, 1 if QUICK else 3)
        for c in CLIENTS[:2] if QUICK else CLIENTS:
            cycles = 4 if c == 1 else 1
            if self.wanted("life") and c <= 8:
                self.row("create, start, rm", life, c, mine=(self.d, life), cycles=cycles, rounds=rounds)
            if self.wanted("exec"):
                self.row("exec round trip", trip, c, cycles=1 if c > 8 else cycles * 2, rounds=rounds)

    @contextlib.contextmanager
    def attachable(self, tenant, clients, size):
        """Containers that write `size` bytes once they get a line: one for each client."""
        ids = [self.create(tenant, "s%d-0" % n, ["sh", "-c", "read x; exec head -c %d /dev/zero" % size], OpenStdin=True)
               for n in range(clients)]
        try:
            for i in ids:
                assert self.engine.request("POST", "/v1.41/containers/%s/start" % i).status == 204
            time.sleep(0.2)  # until the proxy has heard of them
            yield
        finally:
            for i in ids:
                self.engine.request("DELETE", "/v1.41/containers/%s?force=1" % i)

    def streams(self):
        archive = [("GET", "/v1.41/containers/%s/archive?path=/zeros" % self.running, "close", "")]
        attach = [("POST", "/v1.41/containers/openclaw-sbx-d-s{n}/attach?stream=1&stdin=1&stdout=1", "attach", "")]
        for c in CLIENTS[:2] if QUICK else CLIENTS:
            size = STREAM // c
            body = json.dumps({"AttachStdout": True, "Tty": False, "Cmd": ["head", "-c", str(size), "/dev/zero"]})
            stream = [("POST", "/v1.41/containers/%s/exec" % self.running, "-", body),
                      ("POST", "/v1.41/exec/{id}/start", "hijack", '{"Detach":false,"Tty":false}')]
            rounds = min(ROUNDS, 2 if QUICK else 3)
            if self.wanted("stream"):
                self.row("exec, %d MB in all" % (STREAM >> 20), stream, c, "mb_s", cycles=1, rounds=rounds)
            if self.wanted("attach") and c <= 8:
                self.row("attach, %d MB in all" % (STREAM >> 20), attach, c, "mb_s", mine=(self.d, attach), cycles=1,
                         rounds=rounds, around=lambda _, c=c, size=size: self.attachable("d", c, size))
            if self.wanted("archive") and c == 1:
                self.row("archive, %d MB" % (STREAM >> 20), archive, c, "mb_s", cycles=1, rounds=rounds)

    def memory(self):
        say("%-22s %10s %10s %14s" % ("memory", "RSS kB", "PSS kB", "PSS of 50, kB"))
        for make in (self.socat, self.haproxy, lambda i: self.proxy("a", i)):
            fleet = [make("-m0").start()]
            one = fleet[0].memory_kb()
            fleet += [make("-m%d" % i).start() for i in range(1, FLEET)]
            each = statistics.mean(t.memory_kb()[1] for t in fleet)
            say("%-22s %10d %10d %14.0f   (mean of one among %d)" % (fleet[0].name, *one, each, FLEET))
            for t in fleet:
                t.stop()

    def ready(self):
        say("%-22s %10s %10s" % ("start to ready", "median ms", "worst ms"))
        for make in (self.socat, self.haproxy, lambda i: self.proxy("a", i)):
            t, got = make("-r"), []
            for _ in range(5 if QUICK else 20):
                if os.path.exists(t.sock):
                    os.unlink(t.sock)
                p = subprocess.run([BUILD + "/tests/bench/ready", t.sock, *t.argv], env=t.env, capture_output=True, text=True,
                                   check=False)
                if p.returncode:
                    sys.exit("bench: %s was not ready: %s" % (t.name, p.stderr))
                got.append(int(p.stdout.split()[-1]) / 1000)
            say("%-22s %10.2f %10.2f" % (t.name, statistics.median(got), max(got)))

    def summary(self):
        say("\nclawsup-proxy beside socat and HAProxy: ratios of rates (of the best rounds), p50 added to the raw socket's in the"
            "\nbest rounds, CPU time per cycle")
        say("%-24s %3s %14s %14s %18s %26s" % ("row", "cli", ": socat", ": haproxy", "added us: socat's", "cpu us: socat : haproxy"))
        for name, clients, s, s_top, h, h_top, low, s_low, cpu, s_cpu, h_cpu in self.goals:
            say("%-24s %3d %6.2f (%5.2f) %6.2f (%5.2f) %9.1f %8.1f %9.1f %8.1f %8.1f" %
                (name, clients, s, s_top, h, h_top, low, s_low, cpu, s_cpu, h_cpu))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended"))  # what was started is ended too
    for name in ("socat", "haproxy", "dockerd"):
        if not shutil.which(name):
            sys.exit("bench: %s is missing: contrib/deps run bench" % name)
    b = Bench()
    try:
        b.start()
        b.requests()
        b.actions()
        b.streams()
        if b.wanted("memory"):
            b.memory()
        if b.wanted("ready"):
            b.ready()
        if b.goals:
            b.summary()
    finally:
        b.stop()


if __name__ == "__main__":
    main()
