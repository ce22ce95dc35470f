"""Tenants that start while things go wrong: a proxy that takes its time, an engine that is not there yet or has hiccups, a
gateway that crashes when it finds no Docker API, or crashes anyway the first time. All of them end healthy, and no
gateway is ever started before its proxy serves: the fake engine itself asks through the tenant's socket at each start.

CHAOS_STARTS (60; by hand 1000) and CHAOS_SEED choose the run."""

import asyncio
import grp
import os
import random
import shutil
import tempfile
import threading

import pytest

import fake_engine
from clawd import Daemon
from clawtest import http_request, program, wait_for

STARTS = int(os.environ.get("CHAOS_STARTS", "60"))
TENANTS = min(50, STARTS // 2)
SEED = int(os.environ.get("CHAOS_SEED", "77").replace("random", "0")) or random.SystemRandom().randrange(1 << 31)

class Engine(fake_engine.Engine):
    """Containers of gateways that need Docker: one that is started when its proxy does not answer ends at once, as does,
    whatever its proxy does, one that is marked as clumsy."""

    def __init__(self, args):
        super().__init__(args)
        self.early, self.clumsy, self.started = [], set(), {}

    def look(self, c):
        """Called without the lock: the proxy asks this very engine."""
        name = c["Name"][1:]
        tenant = c["Config"]["Labels"]["clawsup.tenant"]
        source = next(m["Source"] for m in c["HostConfig"]["Mounts"] if m["Target"] == "/run/clawsup")
        try:
            with open("%s/../.supervisor/proxy/%s.pid" % (source, tenant), encoding="utf-8") as f:
                exe = os.readlink("/proc/%s/exe" % f.read().split()[0])
            assert exe.endswith("/clawsup-proxy"), exe  # not what sleeps before it becomes one
            # However long it waits for a processor; what matters is who answers.
            serves = http_request(source + "/docker.sock", "GET", "/_ping", timeout=60).status == 200
            assert serves
        except (OSError, EOFError, AssertionError) as e:
            self.early.append("%s: %r" % (name, e))
        self.started[name] = self.started.get(name, 0) + 1


class Handler(fake_engine.Handler):
    def c_start(self, ref):
        e = self.engine
        with e.lock:
            c = e.find(ref)
        e.look(c)
        with e.lock:
            status = e.start(c)
            if c["Name"][1:] in e.clumsy:
                e.clumsy.remove(c["Name"][1:])
                e.die(c, 1)
        self.answer(status)

    def c_restart(self, ref):
        with self.engine.lock:
            c = self.engine.find(ref)
        self.engine.look(c)
        super().c_restart(ref)


OURS = {fake_engine.Handler.c_start: Handler.c_start, fake_engine.Handler.c_restart: Handler.c_restart}
Handler.ROUTES = [(m, p, OURS.get(f, f)) for m, p, f in fake_engine.Handler.ROUTES]


class World:
    def __init__(self, args):
        self.home = tempfile.mkdtemp(prefix="clawtest-starts-")
        os.chmod(self.home, 0o755)
        self.args, self.sock, self.server = args, self.home + "/engine.sock", None
        self.engine = Engine(args)

    def listen(self):
        self.server = fake_engine.Server(self.sock, Handler)
        self.server.engine = self.engine
        try:
            os.chown(self.sock, 0, grp.getgrnam("docker").gr_gid)
        except KeyError:
            pass
        os.chmod(self.sock, 0o660)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            os.unlink(self.sock)
            self.server = None
        self.engine.gone.set()
        self.engine.send_streams(("end", "", True))

    def fresh(self):
        self.close()
        self.engine = Engine(self.args)


class Gateways:
    """Answers for every gateway, for as long as its container runs; one thread."""

    def __init__(self, world, ports):
        self.world, self.ports, self.loop = world, ports, asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.main(),))
        self.thread.start()

    async def main(self):
        self.over = asyncio.Event()
        servers = [await asyncio.start_server(lambda r, w, n=n: self.serve(n, r, w), "127.0.0.1", p)
                   for n, p in self.ports.items()]
        await self.over.wait()
        for s in servers:
            s.close()

    async def serve(self, name, r, w):
        try:
            while await r.readuntil(b"\r\n\r\n"):
                e = self.world.engine
                with e.lock:
                    runs = any(c["Name"] == "/" + name and c["State"]["Running"] for c in e.containers.values())
                body = b'{"ok":%s}' % (b"true" if runs else b"false")
                w.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            w.close()

    def end(self):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join()


@pytest.fixture
def world():
    w = World(type("Args", (), {"api": "1.52", "min": "1.44", "server": "29.0.0"}))
    yield w
    w.close()
    shutil.rmtree(w.home, ignore_errors=True)


def begin(rnd, d, w):
    """Starts clawsupd on an engine that is there, or is not yet, or answers nonsense for a while; what each gateway needs."""
    w.fresh()
    w.engine.clumsy = {d.gateway(s) for s in d.slugs if rnd.random() < 0.2}
    w.engine.rules = rnd.choice([
        [],
        [{"path": ".", "fault": "status", "status": 503, "message": "starting", "times": rnd.randrange(1, 60)}],
        [{"path": "_ping|version", "fault": "close", "times": rnd.randrange(1, 12)},
         {"method": "POST", "path": ".", "fault": "status", "status": 500, "message": "not now", "times": rnd.randrange(1, 40)}],
        [{"path": "/containers/", "fault": "delay", "seconds": 0.3, "times": rnd.randrange(1, 80)}]])
    late = rnd.choice([0, 0, 1.5])
    if late:
        threading.Timer(late, w.listen).start()
    else:
        w.listen()
    d.start()


def test_starts(world, engine):
    print("CHAOS_SEED=%d" % SEED)
    rnd = random.Random(SEED)
    d = Daemon(engine, world.sock)
    for name in ("tests/support/slow_proxy", "clawsup-proxy"):
        shutil.copy(program(name), world.home)
    d.configure(host='proxy_program = "%s/slow_proxy";' % world.home,
                host_recovery="mass_min_tenants = 1000; restarts_in_flight = 8; bucket_size = 100;")
    for i in range(TENANTS):
        d.tenant("s%d" % i, health="", proxy_health='timeout = "5s";')
    gateways = Gateways(world, {d.gateway(s): d.ports[s] for s in d.slugs})
    healthy = starts = 0
    try:
        while healthy < STARTS:
            begin(rnd, d, world)
            wait_for(lambda: all(t["state"] == "healthy" for t in d.status()["tenants"]), 180,
                     (SEED, [(t["slug"], t["state"]) for t in d.status()["tenants"] if t["state"] != "healthy"], d.log()[-4000:]))
            healthy += TENANTS
            starts += sum(world.engine.started.values())
            assert not world.engine.early, (SEED, world.engine.early[:5])
            assert set(world.engine.started) == {d.gateway(s) for s in d.slugs}
            d.stop()
            d.sanitizers_are_silent()
            d.kill_proxies()
            shutil.rmtree(d.home + "/state")
            os.unlink(d.log_path)
        print("%d tenants started, %d gateway starts, none before its proxy served" % (healthy, starts))
    finally:
        if os.environ.get("CHAOS_LOG") and os.path.exists(d.log_path):
            shutil.copy(d.log_path, os.environ["CHAOS_LOG"])
        gateways.end()
        world.close()
        d.cleanup()
