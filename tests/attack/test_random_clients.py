"""test_random_clients.py: two tenants at once on one engine, each through a proxy of its own, ask for whatever a seeded random
generator thinks of: valid, invalid, their own, each other's. After every step an oracle looks at the engine itself and at
the tenant's lists. CLAW_SEED repeats a run, CLAW_STEPS and CLAW_SECONDS change its length."""

import json
import os
import random
import threading
import time
from urllib.parse import quote

import pytest

from clawtest import http_request, wait_for

SEED = int(os.environ.get("CLAW_SEED") or random.SystemRandom().randrange(1 << 32))
STEPS = int(os.environ.get("CLAW_STEPS", "1500"))
SECONDS = float(os.environ.get("CLAW_SECONDS", "60"))
TENANTS = ("a", "b")
MEMORY, CPUS, PIDS, MAX = 64 << 20, 250000000, 32, 4

# Never to reach a container, whatever was asked.
POISON = [{"Privileged": True}, {"CapAdd": ["SYS_ADMIN"]}, {"NetworkMode": "host"}, {"PidMode": "host"}, {"IpcMode": "host"},
          {"Binds": ["/:/h"]}, {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x"}]},
          {"SecurityOpt": ["seccomp=unconfined"]}, {"CgroupParent": "/../x"}, {"UsernsMode": "host"}, {"Sysctls": {"a": "b"}},
          {"RestartPolicy": {"Name": "always"}}, {"VolumesFrom": ["x"]}, {"PublishAllPorts": True}, {"OomKillDisable": True},
          {"Mounts": [{"Type": "volume", "Target": "/v"}]}, {"Links": ["x:y"]}, {"MaskedPaths": []}, {"privileged": True}]
HARMLESS = [{}, {"Memory": 0}, {"Memory": 1 << 40, "MemorySwap": -1}, {"PidsLimit": -1}, {"NanoCpus": 10**12}, {"Init": True},
            {"CapDrop": ["ALL"]}, {"NetworkMode": "none"}, {"ReadonlyRootfs": True}, {"Tmpfs": {"/tmp": "size=1m"}},
            {"Privileged": False}, {"ShmSize": 1 << 40}]
NEVER = ["GET /networks", "POST /containers/prune", "POST /build", "GET /volumes", "GET /system/df", "POST /swarm/init", "GET /secrets",
         "DELETE /images/x", "POST /session", "GET /nothing", "POST /commit", "OPTIONS /info"]


class Violation(Exception):
    pass


def must(ok, *what):
    if not ok:
        raise Violation(*what)


class World:
    """What both clients share: the engine, and what each knows that the other must not reach."""

    def __init__(self, engine, image):
        self.engine, self.image = engine, image
        self.lock = threading.Lock()
        self.ids = {t: [] for t in TENANTS}  # every id that a tenant ever had
        self.execs = {t: [] for t in TENANTS}
        self.stop = threading.Event()
        self.before = set()  # containers that were there already and are nobody's here
        for t in TENANTS:
            engine.remove_containers("clawsup.tenant=" + t)
        self.before = {row["Id"] for row in self.rows()}

    def get(self, target):
        return http_request(self.engine.sock, "GET", target, timeout=30)

    def rows(self):
        r = self.get("/containers/json?all=1")
        must(r.status == 200, "the engine", r)
        return [row for row in r.json() if row["Id"] not in self.before]


def check_row(row):
    """Of a list: whose it is, and that its name says the same."""
    tenant = row["Labels"].get("clawsup.tenant")
    must(tenant in TENANTS and row["Labels"].get("clawsup.role") == "sandbox", "labels", row)
    must(all(n.startswith("/openclaw-sbx-%s-" % tenant) for n in row["Names"]), "name", row)
    must(row["HostConfig"]["NetworkMode"] == "none" and not row["Mounts"] and not row["Ports"], "network or mounts", row)
    return tenant


def check_inspect(j):
    h, c = j["HostConfig"], j["Config"]
    must(not h["Privileged"] and h["CapDrop"] == ["ALL"] and not h["CapAdd"], "privileges", h)
    must("no-new-privileges" in " ".join(h["SecurityOpt"]) and "unconfined" not in " ".join(h["SecurityOpt"]), "security", h)
    must(0 < h["Memory"] <= MEMORY and h["MemorySwap"] == h["Memory"] and 0 < h["NanoCpus"] <= CPUS, "memory, cpus", h)
    must(0 < h["PidsLimit"] <= PIDS and not h["OomKillDisable"] and h["ShmSize"] <= 64 << 20, "pids", h)
    must(h["NetworkMode"] == "none" and not h["PidMode"] and h["IpcMode"] == "private" and not h["UTSMode"]
         and not h["UsernsMode"], "namespaces", h)
    must(not h["Binds"] and not h.get("Mounts") and not h["Devices"] and not h["VolumesFrom"] and not h["Links"]
         and not h["PortBindings"] and not h["PublishAllPorts"] and not h.get("Sysctls"), "host's things", h)
    must(h["RestartPolicy"]["Name"] in ("", "no") and not h["CgroupParent"], "policy, cgroup", h)
    must(h["LogConfig"]["Type"] == "json-file" and len(h["MaskedPaths"]) > 3 and len(h["ReadonlyPaths"]) > 3, "paths", h)
    must(set(j["NetworkSettings"]["Networks"]) <= {"none"}, "networks", j["NetworkSettings"])
    must(c["Labels"]["clawsup.tenant"] in TENANTS and not c.get("Volumes"), "config", c)


class Client(threading.Thread):
    def __init__(self, world, tenant, proxy):
        super().__init__(daemon=True)
        self.world, self.tenant, self.proxy = world, tenant, proxy
        self.other = next(t for t in TENANTS if t != tenant)
        self.rng = random.Random("%d/%s" % (SEED, tenant))
        self.own = {}  # id -> name
        self.seen = set()  # inspected on the engine
        self.execs, self.count, self.statuses, self.step_name, self.error = [], 0, {}, "", None

    # ---- what it sends
    def ask(self, method, target, body=None, headers=()):
        r = http_request(self.proxy.sock, method, target, body, headers, timeout=60)
        self.step_name = "%s %s %s -> %s" % (method, target, json.dumps(body) if body is not None else "", r)
        self.statuses[r.status] = self.statuses.get(r.status, 0) + 1
        # 500 with a message of the engine's own is its refusal (a container that cannot be paused ...).
        must(r.status < 500 or (r.status == 500 and "clawsup" not in r.message), "the proxy failed")
        return r

    def version(self):
        return self.rng.choice(["", "", "/v1.24", "/v1.41", "/v1.40"])

    def pick(self):
        """An own container, by one of its names; None when there is none."""
        if not self.own:
            return None, None
        full = self.rng.choice(sorted(self.own))
        return full, self.rng.choice([full, full[:12], self.own[full]])

    def create(self):
        name = "openclaw-sbx-%s-%d" % (self.tenant, self.rng.randrange(8))
        body = {"Image": self.world.image, "Cmd": ["sleep", "60"], "HostConfig": dict(self.rng.choice(HARMLESS))}
        poisoned = self.rng.random() < 0.5
        if poisoned:
            what = self.rng.randrange(6)
            if what == 0:
                name = self.rng.choice(["openclaw-sbx-%s-%d" % (self.other, self.rng.randrange(8)), "x", "openclaw-gw-a", "abcd"])
            elif what == 1:
                body["Labels"] = {"clawsup.tenant": self.other}
            elif what == 2:
                body["Image"] = self.rng.choice(["alpine", "sha256:" + "0" * 64, ""])
            elif what == 3:
                body["NetworkingConfig"] = {"EndpointsConfig": {"clawsup-net-" + self.other: {}}}
            else:
                body["HostConfig"].update(self.rng.choice(POISON))
        r = self.ask("POST", "%s/containers/create?name=%s" % (self.version(), quote(name)), body)
        if r.status == 201:
            # An empty list of masks means none to the engine; the proxy never passes it on: the oracle looks.
            must(not poisoned or "MaskedPaths" in body["HostConfig"], "a poisoned create went through")
            full = r.json()["Id"]
            must(len(self.own) < MAX and name not in self.own.values(), "too many, or the name twice", self.own)
            self.own[full] = name
            with self.world.lock:
                self.world.ids[self.tenant].append(full)
        else:
            must(poisoned or len(self.own) >= MAX or name in self.own.values(), "an honest create was refused")

    def act(self):
        full, ref = self.pick()
        if not full:
            return self.create()
        action = self.rng.choice(["start", "stop?t=0", "kill", "restart?t=0", "pause", "unpause", "resize?h=1&w=1", "wait?condition=nope",
                                  "kill?signal=KILL", "stop?t=9999", "start?checkpoint=x"])
        self.ask("POST", "%s/containers/%s/%s" % (self.version(), ref, action))

    def remove(self):
        full, ref = self.pick()
        if full and self.ask("DELETE", "/containers/%s?force=1" % ref).status == 204:
            del self.own[full]

    def read(self):
        full, ref = self.pick()
        if not full:
            return
        what = self.rng.choice(["json", "json", "top", "logs?stdout=1&tail=1", "stats?stream=0&one-shot=1", "changes", "archive?path=/etc/passwd"])
        r = self.ask("GET", "%s/containers/%s/%s" % (self.version(), ref, what))
        if what == "json":
            must(r.status == 200 and r.json()["Id"] == full, "an own container is gone")

    def exec_(self):
        full, ref = self.pick()
        if not full:
            return
        body = {"Cmd": ["true"], "AttachStdout": True}
        bad = self.rng.random() < 0.4
        if bad:
            body.update(self.rng.choice([{"Privileged": True}, {"WorkingDir": "/proc/self/fd/7"}, {"Cmd": []}, {"privileged": True}]))
        r = self.ask("POST", "/containers/%s/exec" % ref, body)
        must(not bad or r.status in (400, 403), "a bad exec went through")
        if r.status == 201:
            e = r.json()["Id"]
            with self.world.lock:
                self.world.execs[self.tenant].append(e)
            self.ask("POST", "/exec/%s/start" % e, {"Detach": True})
            must(self.ask("POST", "/exec/%s/start" % e, {"Detach": True}).status in (404, 409), "an exec was started twice")

    def foreign(self):
        """What is the other's answers as what is not there, byte for byte."""
        with self.world.lock:
            ids, execs = list(self.world.ids[self.other]), list(self.world.execs[self.other])
        if not ids:
            return
        full = self.rng.choice(ids)
        if execs and self.rng.random() < 0.2:
            ref, absent, target, kind = self.rng.choice(execs), "%064x" % self.rng.getrandbits(256), "/exec/%s/json", "GET"
            body = None
        else:
            ref = self.rng.choice([full, full[:12], "openclaw-sbx-%s-%d" % (self.other, self.rng.randrange(8))])
            absent = "openclaw-sbx-%s-9" % self.other if "-" in ref else "%0*x" % (len(ref), self.rng.getrandbits(4 * len(ref)))
            kind, target, body = self.rng.choice([
                ("GET", "/containers/%s/json", None), ("POST", "/containers/%s/start", None), ("POST", "/containers/%s/kill", None),
                ("GET", "/containers/%s/logs?stdout=1", None), ("DELETE", "/containers/%s?force=1", None),
                ("POST", "/containers/%s/exec", {"Cmd": ["id"]}), ("POST", "/containers/%s/wait", None),
                ("GET", "/containers/%s/archive?path=/", None), ("POST", "/containers/%s/attach?stdout=1&stream=1", None)])
        a, b = self.ask(kind, target % ref, body), self.ask(kind, target % absent, body)
        must(a.status == 404 and a.raw.replace(ref.encode(), b"") == b.raw.replace(absent.encode(), b"")
             and a.body.replace(ref.encode(), b"") == b.body.replace(absent.encode(), b""), "foreign and absent differ", a, b)

    def never(self):
        method, path = self.rng.choice(NEVER).split()
        must(self.ask(method, self.version() + path).status in (400, 403), "a route that no tenant has")

    def lists(self):
        f = self.rng.choice([None, {"status": ["running"]}, {"label": ["clawsup.tenant=" + self.other]}, {"name": ["openclaw"]},
                             {"before": (self.world.ids[self.other] or ["x"])[:1]}, {"nonsense": ["1"]}])
        r = self.ask("GET", "%s/containers/json?all=1%s" % (self.version(), "&filters=" + quote(json.dumps(f)) if f else ""))
        if r.status == 200:
            must({x["Id"] for x in r.json()} <= set(self.own), "a list shows what is not own")

    def misc(self):
        method, target = self.rng.choice([("GET", "/version"), ("GET", "/info"), ("HEAD", "/_ping"), ("GET", "/images/json"),
                                          ("GET", "/images/alpine/json"), ("GET", "/containers//json"), ("GET", "/v1.99/info"),
                                          ("GET", "/events?since=1&until=2"), ("GET", "/containers/json?limit=x"),
                                          ("POST", "/containers/create?name=a;b"), ("GET", "/containers/%2e%2e/json")])
        self.ask(method, target)

    # ---- what it checks
    def oracle(self):
        """The engine has exactly what this tenant was given; nothing on it is forbidden; the proxy says the same."""
        mine = {}
        for row in self.world.rows():
            if check_row(row) == self.tenant:
                mine[row["Id"]] = row["Names"][0][1:]
        must(mine == self.own, "the engine has something else", mine, self.own)
        r = http_request(self.proxy.sock, "GET", "/containers/json?all=1", timeout=60)
        must(r.status == 200 and {x["Id"]: x["Names"][0][1:] for x in r.json()} == self.own, "the list", r, self.own)
        again = self.count % 50 == 0
        for full in self.own:
            if again or full not in self.seen:
                check_inspect(self.world.get("/containers/%s/json" % full).json())
                self.seen.add(full)

    STEPS = [("create", 4), ("act", 3), ("remove", 2), ("read", 10), ("exec_", 2), ("foreign", 25), ("never", 15), ("lists", 20),
             ("misc", 15)]

    def run(self):
        names, weights = zip(*self.STEPS)
        end = time.monotonic() + SECONDS
        try:
            while self.count < STEPS and time.monotonic() < end and not self.world.stop.is_set():
                getattr(self, self.rng.choices(names, weights)[0])()
                self.count += 1
                self.oracle()
        except Exception as e:  # a violation, or a connection that broke: both are findings
            self.error = e
            self.world.stop.set()


def test_two_random_tenants(engine, image, start_proxy):
    print("CLAW_SEED=%d" % SEED)
    world = World(engine, image)
    clients = [Client(world, t, start_proxy(tenant=t, LIMIT_MEMORY="64M", LIMIT_CPUS="0.25", LIMIT_PIDS=str(PIDS),
                                            LIMIT_CONTAINERS=str(MAX), OTHER_TENANTS=next(o for o in TENANTS if o != t)))
               for t in TENANTS]
    for c in clients:
        c.start()
    for c in clients:
        c.join(SECONDS + 120)
    for c in clients:
        print("%s: %d steps, answers %s" % (c.tenant, c.count, sorted(c.statuses.items())))
        if c.error:
            pytest.fail("CLAW_SEED=%d tenant %s, step %d: %r\nafter %s" % (SEED, c.tenant, c.count, c.error, c.step_name[:2000]))
        assert c.count > 100 and {200, 201, 204, 403, 404} <= set(c.statuses), "too little was tried: %s" % c.statuses
    for c in clients:
        wait_for(lambda: c.proxy.request("GET", "/_ping").status == 200)
