"""Containers that somebody else made: a gateway as Compose leaves it, a proxy as a sidecar. They are found, restarted and
redeployed as they were, made again when somebody removed them, and never made from nothing."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time

import pytest

from clawd import GATEWAY, TENANT, free_port
from clawtest import IMAGE, http_request, program, wait_for

EXTERNAL = TENANT[:TENANT.index("  gateway = ")] + """
  gateway = { mode = "external"; %(gateway)s stop_timeout = "1s";
              health = { url = "http://127.0.0.1:%(port)d/healthz"; expect_json = { ok = true; }; interval = "200ms";
                         timeout = "1s"; start_deadline = "5s"; }; };
""" + TENANT[TENANT.index("  recovery = "):]


def external_tenant(d, slug, gateway):
    d.tenant(slug, write=False)
    with open(d.home + "/tenants.d/%s.conf" % slug, "w") as f:
        f.write(EXTERNAL % dict(slug=slug, data=d.data(slug), image=IMAGE, port=d.ports[slug], proxy="", proxy_health="",
                                gateway=gateway, recovery=""))


class Compose:
    """Makes what `docker compose up` would: two networks and a service with all that a service can have."""

    def __init__(self, engine, d, project="acme"):
        self.engine, self.d, self.project = engine, d, project
        self.name = project + "-gateway-1"
        self.networks = [project + "_default", project + "_back"]
        for n in self.networks:
            engine.docker("network", "create", "--label", "com.docker.compose.project=" + project, n)
        self.volume = project + "_memory"
        engine.docker("volume", "create", self.volume)

    def up(self, slug):
        d, data = self.d, self.d.data(slug)
        d.tenant(slug, write=False)
        os.makedirs(data, exist_ok=True)
        self.engine.docker(
            "run", "-d", "--name", self.name, "--label", "com.docker.compose.project=" + self.project, "--label",
            "com.docker.compose.service=gateway", "--label", "com.docker.compose.config-hash=abc123",
            "--network", self.networks[0], "--network-alias", "gateway", "--network-alias", "gw",
            "-p", "127.0.0.1:%d:18789" % d.ports[slug], "-v", data + ":" + data, "-v", self.volume + ":/memory:ro",
            "-v", "/cache", "--tmpfs", "/scratch:size=1m", "--memory", "128m", "--memory-swap", "128m", "--cpus", "0.5",
            "--pids-limit", "77", "--env", "COLOUR=red", "--workdir", "/workspace", "--stop-timeout", "3", "--init",
            "--cap-drop", "NET_RAW", "--security-opt", "no-new-privileges", "--ulimit", "nofile=1024:2048", "--shm-size", "8m",
            "--add-host", "files.internal:10.1.2.3", "--dns", "10.9.8.7", "--log-opt", "max-size=1m", "--health-cmd", "true",
            "--health-interval", "1h", "--health-retries", "5", "--user", "0:0", "--restart", "no", "--entrypoint",
            "/bin/sh", IMAGE, "-c", GATEWAY % data)
        self.engine.docker("network", "connect", "--alias", "gateway-back", self.networks[1], self.name)

    def down(self):
        ids = self.engine.docker("ps", "-aq", "--filter", "label=com.docker.compose.project=" + self.project).split()
        if ids:
            self.engine.docker("rm", "-fv", *ids)
        for n in self.networks:
            self.engine.docker("network", "rm", n, check=False)
        self.engine.docker("volume", "rm", self.volume, check=False)


@pytest.fixture
def compose(engine, daemon):
    c = Compose(engine, daemon)
    yield c
    daemon.stop()
    c.down()


def likeness(c):
    """What must survive a redeploy, of an inspect answer."""
    config = dict(c["Config"])
    config.pop("Hostname")  # the short id
    config["Labels"] = {k: v for k, v in config["Labels"].items() if not k.startswith("clawsup.")}
    host = dict(c["HostConfig"])
    host.pop("Mounts", None)  # compared as they are in force
    mounts = sorted((m["Type"], m.get("Name") or m["Source"], m["Destination"], m["RW"]) for m in c["Mounts"])
    networks = {n: sorted(a for a in e["Aliases"] or [] if not c["Id"].startswith(a))
                for n, e in c["NetworkSettings"]["Networks"].items()}
    ports = {k: v for k, v in c["NetworkSettings"]["Ports"].items() if v}
    return dict(name=c["Name"], config=config, host=host, mounts=mounts, networks=networks, ports=ports)


def test_a_gateway_by_name(daemon, compose):
    d = daemon
    compose.up("a")
    external_tenant(d, "a", 'name = "%s";' % compose.name)
    before = d.inspect(compose.name)
    d.start().healthy("a")
    now = d.inspect(compose.name)
    assert (now["Id"], now["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])  # adopted as it was
    assert not d.engine.docker("network", "ls", "-q", "--filter", "name=clawsup-net-a")
    c = d.component("a", "gateway")
    assert c["mode"] == "external" and c["container"]["name"] == compose.name
    os.kill(now["State"]["Pid"], signal.SIGKILL)
    wait_for(lambda: d.starts("a") == 2, 20, d.log()[-3000:])
    d.healthy("a")
    assert d.inspect(compose.name)["Id"] == before["Id"]
    d.engine.docker("stop", "-t", "1", compose.name)  # somebody's intent counts here, too
    d.wait_state("a", "held")
    d.engine.docker("start", compose.name)
    d.healthy("a")
    # An engine that restarts it by itself is left to it.
    d.engine.docker("update", "--restart", "on-failure", compose.name)
    time.sleep(0.5)  # seen by the inspect that the update's event causes
    os.kill(d.inspect(compose.name)["State"]["Pid"], signal.SIGKILL)
    wait_for(lambda: d.starts("a") >= 4, 20)
    d.healthy("a")
    time.sleep(1)
    assert d.starts("a") == 4, d.log()[-5000:]


def test_a_gateway_by_label_is_redeployed_as_it_was(daemon, compose):
    d = daemon
    compose.up("a")
    d.engine.docker("exec", compose.name, "sh", "-c", "echo precious > /cache/file")
    external_tenant(d, "a", 'match_label = "com.docker.compose.service=gateway";')
    d.start().healthy("a")
    before = d.inspect(compose.name)
    d.clawsup("redeploy", "a")
    d.healthy("a")
    now = d.inspect(compose.name)
    assert now["Id"] != before["Id"] and now["State"]["Running"]
    was, is_ = likeness(before), likeness(now)
    for key in was:
        assert is_[key] == was[key], key
    assert d.engine.docker("exec", compose.name, "cat", "/cache/file") == "precious"
    assert d.engine.docker("ps", "-aq", "--filter", "label=com.docker.compose.project=acme").count("\n") == 0
    # Again, and with our own end in the middle of it: one is left, and a copy of a copy is still the same.
    asked = subprocess.Popen([program("clawsup"), "--socket", d.home + "/run/control.sock", "redeploy", "a"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: d.engine.docker("ps", "-aq", "--filter", "name=" + compose.name + ".old"), 10)
    d.stop(signal.SIGKILL)
    asked.wait(10)
    d.start()
    wait_for(lambda: len(d.engine.docker("ps", "-aq", "--filter", "label=com.docker.compose.project=acme").split()) == 1, 20,
             d.log()[-3000:])
    d.healthy("a")
    assert likeness(d.inspect(compose.name)) == was
    # One that does not come up is put back.
    last = d.inspect(compose.name)["Id"]
    d.flag("a", "broken")
    p = d.clawsup("redeploy", "a", check=False)
    assert p.returncode == 1 and "rolled back" in p.stderr + p.stdout, p
    c = d.inspect(compose.name)
    assert c["Id"] == last and likeness(c)["networks"] == was["networks"]
    d.flag("a", "broken", False)
    d.healthy("a", seconds=60)


def test_two_with_one_label(daemon, compose):
    """One is supervised, the same one each time, and everybody is told of the other."""
    d = daemon
    compose.up("a")
    external_tenant(d, "a", 'match_label = "com.docker.compose.service=gateway";')
    time.sleep(1.1)  # the engine's list tells ages in seconds, and the older one is meant
    twin = d.engine.docker("run", "-d", "--name", "acme-gateway-2", "--label", "com.docker.compose.project=acme", "--label",
                           "com.docker.compose.service=gateway", "--network", "none", IMAGE, "sleep", "600")
    d.start().healthy("a", seconds=60)
    wait_for(lambda: "acme-gateway-2" in d.component("a", "gateway")["reason"], 30, d.component("a", "gateway"))
    for _ in range(2):
        c = d.component("a", "gateway")
        assert c["container"]["name"] == compose.name, c
        assert "several containers have the label com.docker.compose.service=gateway: %s is supervised, acme-gateway-2 not" % \
            compose.name in d.log()
        d.stop(signal.SIGKILL)
        d.start().healthy("a", seconds=60)
        wait_for(lambda: "acme-gateway-2" in d.component("a", "gateway")["reason"], 30, d.component("a", "gateway"))
    started = d.inspect(twin)["State"]["StartedAt"]
    d.engine.docker("kill", compose.name)
    wait_for(lambda: d.starts("a") == 2, 60, d.log()[-3000:])
    d.healthy("a", seconds=60)
    assert d.inspect(twin)["State"]["StartedAt"] == started
    d.engine.docker("rm", "-f", twin)
    wait_for(lambda: "acme-gateway-2" not in d.component("a", "gateway")["reason"], 60)


def test_one_that_is_not_there(daemon, compose):
    d = daemon
    external_tenant(d, "a", 'name = "%s";' % compose.name)
    external_tenant(d, "b", 'match_label = "com.docker.compose.service=other";')
    d.start()
    wait_for(lambda: "there is no container " + compose.name in d.component("a", "gateway")["reason"], 10,
             d.component("a", "gateway"))
    wait_for(lambda: "com.docker.compose.service=other" in d.component("b", "gateway")["reason"], 10,
             d.component("b", "gateway"))
    assert "external" in d.component("a", "gateway")["reason"]
    assert d.component("a", "gateway")["container"]["state"] == "missing"
    for s in "ab":
        assert d.clawsup("redeploy", s, check=False).returncode == 1
    time.sleep(2)
    assert not d.engine.docker("ps", "-aq")
    assert d.tenant_status("a")["state"] != "quarantined"
    compose.up("a")
    d.healthy("a", seconds=10)
    assert d.starts("a") == 1 and d.component("a", "gateway")["restarts_1h"] == 0
    # Removed after it was seen healthy: made again as it was, also when nobody looked while it went.
    before = d.inspect(compose.name)
    wait_for(lambda: "its description is kept" in json.dumps(d.tenant_status("a")) or "its description is kept" in d.log(), 30)
    d.engine.docker("rm", "-f", compose.name)
    wait_for(lambda: d.starts("a") == 2, 60, d.log()[-4000:])
    d.healthy("a", seconds=60)
    now = d.inspect(compose.name)
    assert now["Id"] != before["Id"]
    was, is_ = likeness(before), likeness(now)
    for key in was:
        assert is_[key] == was[key], key
    d.stop(signal.SIGKILL)
    d.engine.docker("rm", "-f", compose.name)
    d.start()
    wait_for(lambda: d.starts("a") == 3, 60, d.log()[-4000:])
    d.healthy("a", seconds=60)
    assert likeness(d.inspect(compose.name)) == was
    # What changes while it is healthy is kept as well.
    d.engine.docker("update", "--memory", "64m", "--memory-swap", "64m", compose.name)
    d.engine.docker("network", "disconnect", compose.networks[1], compose.name)
    wait_for(lambda: d.log().count("its description is kept") >= 3, 60, d.log()[-3000:])
    was = likeness(d.inspect(compose.name))
    time.sleep(1)
    d.engine.docker("rm", "-f", compose.name)
    wait_for(lambda: d.starts("a") == 4, 60, d.log()[-4000:])
    d.healthy("a", seconds=60)
    assert likeness(d.inspect(compose.name)) == was and was["host"]["Memory"] == 64 << 20 and len(was["networks"]) == 1
    # Never seen: never made.
    assert "there is no container" in d.component("b", "gateway")["reason"]


# ---------------------------------------------------------------- a proxy in a container
SIDECAR_IMAGE = "clawtest-sidecar:1"


@pytest.fixture(scope="session")
def sidecar_image(engine):
    """An image of clawsup-proxy and the libraries that it needs."""
    path = program("clawsup-proxy")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        t.add(path, "usr/bin/clawsup-proxy")
        for lib in set(re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], capture_output=True, text=True,
                                                               check=True).stdout)):
            t.add(os.path.realpath(lib), lib.lstrip("/"))
        for d in ("run", "tmp", "proc", "dev", "sys", "etc"):
            i = tarfile.TarInfo(d)
            i.type, i.mode = tarfile.DIRTYPE, 0o755
            t.addfile(i)
    p = subprocess.run(["docker", "-H", "unix://" + engine.sock, "import", "-c", 'CMD ["/usr/bin/clawsup-proxy"]', "-",
                        SIDECAR_IMAGE], input=out.getvalue(), capture_output=True, check=False)
    assert p.returncode == 0, p.stderr
    return SIDECAR_IMAGE


def test_a_proxy_in_a_container(daemon, engine, sidecar_image):
    d = daemon
    run = d.home + "/sidecar"
    sock = run + "/docker.sock"
    os.mkdir(run)
    env = {"TENANT": "a", "LISTEN": "unix:/run/a/docker.sock", "DOCKER_SOCKET": "/engine.sock",
           "DOCKER_GID": str(os.stat(engine.sock).st_gid), "NAMES": "scoped", "MATCH_CONTAINER_NAME": "openclaw-sbx-a-*",
           "ALLOW_START": "1", "ALLOW_IMAGES": IMAGE, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}
    d.engine.docker("create", "--name", "sidecar-a", "--network", "none", "-v", engine.sock + ":/engine.sock", "-v",
                    run + ":/run/a", *[x for k, v in env.items() for x in ("-e", k + "=" + v)], sidecar_image)
    try:
        d.tenant("a", proxy='mode = "external"; name = "sidecar-a";', proxy_health='unix_socket = "%s";' % sock)
        d.start().healthy("a")  # it was down: started, and then the gateway
        c = d.component("a", "proxy")
        assert c["mode"] == "external" and c["kind"] == "container" and c["pid"] is None
        assert http_request(sock, "GET", "/_ping").status == 200
        assert d.starts("a") == 1
        assert not os.path.exists(d.proxy_sock("a"))

        for how in ("kill", "pause"):
            started = d.inspect("sidecar-a")["State"]["StartedAt"]
            d.engine.docker(how, "sidecar-a")
            wait_for(lambda: d.inspect("sidecar-a")["State"]["StartedAt"] != started, 20, d.log()[-3000:])
            d.healthy("a")
            assert http_request(sock, "GET", "/_ping").status == 200
        assert d.starts("a") == 1  # the gateway was left alone
        assert "sidecar" in json.dumps(d.tenant_status("a"))
        d.clawsup("restart", "a", "proxy")
    finally:
        d.stop()
        d.engine.docker("rm", "-f", "sidecar-a", check=False)
        shutil.rmtree(run, ignore_errors=True)
