"""Seeded faults on a real engine: processes killed and stopped, containers paused and removed, the engine killed and
started again, clawsupd itself killed. At the end every tenant that can be healthy is, the hopeless one is quarantined,
nothing leaked, nothing was lost, and no client was refused while anybody was there to hold its socket.

CHAOS_SEED (a number, or "random"), CHAOS_TENANTS (5) and CHAOS_SECONDS (45) choose the run; the seed is printed."""

import errno
import os
import random
import shutil
import signal
import socket
import tempfile
import threading
import time

import pytest

from clawd import Daemon
from clawtest import Engine, IMAGE, busybox_tar, import_image, wait_for

SEED = os.environ.get("CHAOS_SEED", "77")
SEED = random.SystemRandom().randrange(1 << 31) if SEED == "random" else int(SEED)
TENANTS = int(os.environ.get("CHAOS_TENANTS", "5"))
SECONDS = int(os.environ.get("CHAOS_SECONDS", "45"))

# Refused or missing: what a client must never see of a proxy, whatever happens to the process behind the socket.
REFUSED = {errno.ECONNREFUSED, errno.ENOENT, errno.EACCES}


@pytest.fixture
def own_engine():
    home = tempfile.mkdtemp(prefix="clawtest-chaos-")
    os.chmod(home, 0o755)
    e = Engine(home + "/docker.sock", home=home)
    e.start()
    import_image(e, IMAGE, busybox_tar())
    yield e
    if not e.alive():
        e.start()
    ids = e.docker("ps", "-aq", check=False).split()
    if ids:
        e.docker("rm", "-f", *ids, check=False)
    e.stop()
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
            self.stop.wait(0.05)

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join()


class Chaos:
    def __init__(self, d, slugs, rnd):
        self.d, self.slugs, self.rnd, self.done = d, slugs, rnd, []
        self.excused = []  # (slug, from, until)

    def gateway_pid(self, slug):
        out = self.d.engine.docker("inspect", "-f", "{{.State.Pid}}", self.d.gateway(slug), check=False)
        return int(out) if out.isdigit() and int(out) > 1 else None

    def proxy_pid(self, slug):
        try:
            with open("%s/run/.supervisor/proxy/%s.pid" % (self.d.home, slug)) as f:
                pid = int(f.read().split()[0])
            with open("/proc/%d/cmdline" % pid) as f:
                return pid if "clawsup-proxy" in f.read() else None
        except (OSError, ValueError, IndexError):
            return None

    def signal(self, pid, sig):
        if pid:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass

    def kill_proxy(self, slug):
        self.signal(self.proxy_pid(slug), signal.SIGKILL)

    def stop_proxy(self, slug):
        self.signal(self.proxy_pid(slug), signal.SIGSTOP)

    def kill_gateway(self, slug):
        self.signal(self.gateway_pid(slug), signal.SIGKILL)

    def pause_gateway(self, slug):
        self.d.engine.docker("pause", self.d.gateway(slug), check=False)

    def remove_gateway(self, slug):
        self.d.engine.docker("rm", "-f", self.d.gateway(slug), check=False)

    def unwell_for_a_while(self, slug):
        self.d.flag(slug, "unwell")
        threading.Timer(3, self.d.flag, (slug, "unwell", False)).start()

    def kill_clawsupd(self, _):
        # Here is no systemd that keeps sockets: a proxy that is down already (one that dies again and again waits before
        # its relaunch) leaves nobody to hold its socket while clawsupd is away. Every other client must be served.
        down, begun = [s for s in self.slugs if self.proxy_pid(s) is None], time.monotonic()
        self.d.stop(signal.SIGKILL)
        down += [s for s in self.slugs if self.proxy_pid(s) is None and s not in down]
        time.sleep(self.rnd.random())
        self.d.start()
        time.sleep(1.5)  # adoption is over: from here on the sockets are held again
        self.excused += [(s, begun, time.monotonic()) for s in down]

    def unexcused(self, refused):
        return [r for r in refused if not any(s == r[0] and a <= r[1] <= b for s, a, b in self.excused)]

    def kill_engine(self, _):
        # SIGKILL makes engine 20.10 forget to release a published port now and then ("port is already allocated",
        # until it is restarted in peace); CHAOS_KILL_ENGINE=1 asks for it all the same.
        self.d.engine.stop(signal.SIGKILL if os.environ.get("CHAOS_KILL_ENGINE") else signal.SIGTERM)
        time.sleep(1 + 2 * self.rnd.random())
        self.d.engine.start()

    def run(self, seconds):
        faults = ([self.kill_proxy] * 5 + [self.kill_gateway] * 5 + [self.stop_proxy] * 2 + [self.pause_gateway] * 2 +
                  [self.unwell_for_a_while] * 2 + [self.remove_gateway] + [self.kill_clawsupd] * 2 + [self.kill_engine])
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            fault, slug = self.rnd.choice(faults), self.rnd.choice(self.slugs)
            self.done.append((fault.__name__, slug))
            fault(slug)
            time.sleep(0.2 + 2 * self.rnd.random())


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


def test_chaos(own_engine):
    print("CHAOS_SEED=%d" % SEED)
    rnd = random.Random(SEED)
    d = Daemon(own_engine)
    slugs = ["t%d" % i for i in range(TENANTS)]
    # Budgets far above what the faults need: what is tested is that every fault is mended, not the ladder's end.
    d.configure(host_recovery="mass_min_tenants = 1000; restarts_in_flight = 8;")
    for s in slugs + ["hopeless"]:
        d.tenant(s, recovery="flap_changes = 16; flap_window = \"1s\";")
    d.flag("hopeless", "broken")
    try:
        d.start()
        for s in slugs:
            d.wait_state(s, "healthy", 120)
        clients = Clients(d, slugs)
        chaos = Chaos(d, slugs, rnd)
        try:
            chaos.run(SECONDS)
        finally:
            time.sleep(4)  # the last of unwell_for_a_while
            clients.end()
        if not d.answers():
            wait_for(d.answers, 30, d.log()[-3000:])
        for s in slugs:
            # Faults may have spent a ladder: what an operator would do then.
            wait_for(lambda: d.tenant_status(s)["state"] in ("healthy", "quarantined"), 120,
                     "%s: %s" % (chaos.done, d.log()[-6000:]))
            if d.tenant_status(s)["state"] == "quarantined":
                d.clawsup("release", s)
            d.wait_state(s, "healthy", 120)
        refused = chaos.unexcused(clients.refused)
        assert not refused, (SEED, refused[:5], chaos.done)
        assert all(n > SECONDS / 4 for n in clients.answers.values()), (SEED, clients.answers)
        d.wait_state("hopeless", "quarantined", 120)
        names = d.engine.docker("ps", "-a", "--format", "{{.Names}}").split()
        assert sorted(names) == sorted(d.gateway(s) for s in slugs + ["hopeless"]), (SEED, names)
        wait_for(lambda: proxies_of(d) == len(slugs) + 1, 30, "%d proxies" % proxies_of(d))
        for s in slugs:
            for c in d.tenant_status(s)["components"]:
                assert c["restarts_1h"] <= c["budget_1h"] or c["name"] == "proxy", (SEED, s, c)
        assert len(chaos.done) >= SECONDS / 4
        print(chaos.done)
    finally:
        d.cleanup()
