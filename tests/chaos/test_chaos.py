"""Seeded faults on a real engine (faults.py). At the end every tenant that can be healthy is, without anybody's help, the
hopeless ones are quarantined, nothing leaked, nothing was lost, no budget was exceeded, nothing was started more often
than clawsupd said, and no client was refused while anybody was there to hold its socket.

CHAOS_SEED (a number, or "random"), CHAOS_TENANTS (5) and CHAOS_SECONDS (45) choose the run; the seed is printed. By hand in
full: CHAOS_TENANTS=30 CHAOS_SECONDS=600."""

import errno
import os
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

import pytest

from clawd import Daemon
from clawtest import IMAGE, SplitEngine, busybox_tar, import_image, wait_for
from faults import Events, Faults, FaultyRelay

SEED = os.environ.get("CHAOS_SEED", "77")
SEED = random.SystemRandom().randrange(1 << 31) if SEED == "random" else int(SEED)
TENANTS = int(os.environ.get("CHAOS_TENANTS", "5"))
SECONDS = int(os.environ.get("CHAOS_SECONDS", "45"))
SCALE = max(1, TENANTS // 5)  # more tenants: each is probed and asked less often, the machine is the same
SETTLE = 120 + 6 * TENANTS
BUDGET = 30  # an hour, in clawd.py's configuration

# Refused or missing: what a client must never see of a proxy, whatever happens to the process behind the socket.
REFUSED = {errno.ECONNREFUSED, errno.ENOENT, errno.EACCES}
KEEPS_A_PORT = "only a restart of the engine gives it free"


@pytest.fixture
def own_engine():
    home = tempfile.mkdtemp(prefix="clawtest-chaos-")
    os.chmod(home, 0o755)
    e = SplitEngine(home)
    e.start()
    import_image(e, IMAGE, busybox_tar())
    yield e
    e.end()
    shutil.rmtree(home, ignore_errors=True)


class Clients:
    """One client a tenant that pings without a pause; counts answers and remembers refusals."""

    def __init__(self, d, slugs):
        self.refused, self.answers, self.stop = [], {s: 0 for s in slugs}, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(d.proxy_sock(s), s)) for s in slugs]
        for t in self.threads:
            t.start()

    def run(self, path, slug):
        while not self.stop.is_set():
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(30)
            try:
                s.connect(path)
                s.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
                if s.recv(4096):
                    self.answers[slug] += 1
            except OSError as e:  # cut while it was served: a crash; refused: a hole
                if e.errno in REFUSED:
                    self.refused.append((slug, time.monotonic(), repr(e)))
            finally:
                s.close()
            self.stop.wait(0.05 * SCALE)

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join()


def proxies_of(d):
    """The processes whose sockets are this daemon's, drained ones included."""
    n = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid) as f:
                args = f.read()
        except OSError:
            continue
        n += "clawsup-proxy" in args and "--engine-socket=" + d.sock in args
    return n


def within_budget(d):
    """Of no component more restarts were charged within an hour than its budget has. The store is the witness: level 1 to 3,
    neither refused nor cut short by the engine; the relaunch of a dead proxy is not bounded."""
    with sqlite3.connect(d.home + "/state/state.db") as db:
        rows = db.execute("SELECT tenant, at FROM actions WHERE component = 'gateway' AND level BETWEEN 1 AND 3 AND reason != "
                          "'operator' AND (result IS NULL OR result NOT IN (2, 4)) ORDER BY at").fetchall()
    for slug in {r[0] for r in rows}:
        at = [r[1] for r in rows if r[0] == slug]
        worst = max(sum(1 for y in at if x - 3600 * 10**6 < y <= x) for x in at)
        assert worst <= BUDGET, (slug, worst)


def actions_told(d, slug):
    """How many starts of the gateway the actions in the log may have made. The log, not the store: the store was full for a
    while. A redeploy starts the new one, and on its way back the old one."""
    n, name = 0, re.escape("%s/gateway" % slug)
    for line in d.log().splitlines():
        if re.search(r"\b%s: (bring-up|restart|restart-all) at L" % name, line):
            n += 1
        elif re.search(r"\b%s: (redeploy at L|an interrupted redeploy)" % name, line):
            n += 2
    return n


class Chaos:
    def __init__(self, engine):
        self.rnd = random.Random(SEED)
        self.relay = FaultyRelay(engine.home + "/relay.sock", engine.sock)
        self.d = Daemon(engine, self.relay.path)
        self.slugs = ["t%d" % i for i in range(TENANTS)]
        self.hopeless = ["hopeless", "noprogram"]
        self.faults = Faults(self.d, self.relay, self.slugs, self.rnd)
        os.makedirs(self.d.home + "/state")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", self.d.home + "/state"], check=True)
        # What is tested is that every fault is mended, not where the ladder ends: a minute stands for hours.
        self.d.configure(host_recovery="mass_min_tenants = 1000; restarts_in_flight = 8;")
        for s in self.slugs + self.hopeless:
            self.tenant(s)
        self.d.flag("hopeless", "broken")

    def tenant(self, slug):
        broken = dict(command="exec /bin/there-is-no-such-program") if slug == "noprogram" else {}
        self.d.tenant(slug, recovery="flap_changes = 16; flap_window = \"1s\"; deescalate = \"5s\"; reset = \"10s\";", **broken)

    def engine_needed(self):
        """What an operator does who reads the status: an engine that keeps ports is restarted in peace."""
        for s in self.slugs:
            t = self.d.tenant_status(s)
            if t["state"] != "healthy" and KEEPS_A_PORT in str(t):
                return True
        return False

    def settle(self):
        """Until every tenant is healthy; True if the engine had to be restarted for it."""
        helped, end = False, time.monotonic() + SETTLE
        while time.monotonic() < end:
            bad = [t for t in self.d.status()["tenants"] if t["slug"] in self.slugs and t["state"] != "healthy"]
            if not bad:
                return helped
            if not helped and self.engine_needed():
                helped = True
                self.d.engine.stop()
                self.d.engine.start()
            time.sleep(0.5)
        raise AssertionError("seed %d: not healthy: %s\n%s\n%s" % (SEED, bad, self.faults.done, self.d.log()[-8000:]))


def test_chaos(own_engine):
    print("CHAOS_SEED=%d" % SEED)
    c = Chaos(own_engine)
    d, slugs, faults = c.d, c.slugs, c.faults
    events = Events(own_engine)
    try:
        d.start()
        for s in slugs:
            d.wait_state(s, "healthy", SETTLE)
        clients = Clients(d, slugs)
        try:
            faults.run(SECONDS, 2.0)
        finally:
            faults.end()
            clients.end()
        wait_for(d.answers, 60, d.log()[-3000:])
        helped = c.settle()
        refused = [r for r in clients.refused if not any(s == r[0] and a <= r[1] <= b for s, a, b in faults.excused)]
        assert not refused, (SEED, refused[:5], faults.done)
        assert all(clients.answers.values()), (SEED, clients.answers)
        for s in c.hopeless:
            d.wait_state(s, "quarantined", SETTLE)
        names = d.engine.docker("ps", "-a", "--format", "{{.Names}}").split()
        assert sorted(names) == sorted(d.gateway(s) for s in slugs + c.hopeless), (SEED, names)
        wait_for(lambda: proxies_of(d) == len(slugs) + len(c.hopeless), 30, "%d proxies" % proxies_of(d))
        for s in slugs + c.hopeless:
            assert events.starts.get(d.gateway(s), 0) <= actions_told(d, s), (SEED, s, events.starts, actions_told(d, s))
            assert not [x for x in d.tenant_status(s)["components"] if x["restarts_1h"] > x["budget_1h"] and x["name"] != "proxy"]
        if "the state cannot be written" in d.log():  # it is full for a while only, and not every while needs a write
            wait_for(lambda: d.log().rfind("the state can be written again") > d.log().rfind("the state cannot be written"), 60)
        d.stop()
        within_budget(d)
        print("%d faults: %s; %d pings answered, %d in an excused moment refused; %d OOM kills; engine restarted for a kept "
              "port: %s" % (len(faults.done), faults.counts(), sum(clients.answers.values()), len(clients.refused), events.ooms,
                            helped))
    finally:
        events.end()
        if os.environ.get("CHAOS_LOG"):  # what clawsupd wrote, for who wants to read it afterwards
            shutil.copy(d.log_path, os.environ["CHAOS_LOG"])
        d.cleanup()
        c.relay.close()
