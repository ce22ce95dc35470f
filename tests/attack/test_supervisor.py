"""test_supervisor.py: what a tenant, or a proxy that was taken over, can make clawsupd do: its journal, its store, its
loop, the components of others."""

import json
import os
import subprocess
import threading
import time

import pytest

import clawtest
from clawtest import HttpConn, build_request, http_request, wait_for
from supervisor import Supervisor

CREATE = "/containers/create?name=openclaw-sbx-a-x"


def events(daemon, slug):
    return daemon.clawsup("events", slug).stdout.splitlines()


def denied(daemon, slug):
    key = 'clawsup_proxy_requests_total{tenant="%s",decision="denied"}' % slug
    return next((float(line.split()[-1]) for line in daemon.metrics().splitlines() if line.startswith(key)), 0)


def test_refusals_do_not_fill_journal_and_store(daemon, image):
    """A tenant that is refused a thousand times is told so a thousand times; the journal and the store are shared."""
    daemon.tenant("a")
    daemon.tenant("b")
    daemon.start()
    daemon.healthy()
    sock = daemon.proxy_sock("a")
    before, log = len(events(daemon, "a")), len(daemon.log())
    bind = {"Image": image, "HostConfig": {"Binds": [daemon.data("a") + "/workspace/absent:/w"]}}

    def flood(target, body, n):
        with HttpConn(sock) as c:
            for _ in range(n):
                assert c.request("POST", target, body).status == 403

    threads = [threading.Thread(target=flood, args=a) for a in
               [("/containers/prune", None, 1500)] * 4 + [(CREATE + str(i), bind, 100) for i in range(3)]]
    for t in threads:
        t.start()
    slowest = 0
    while any(t.is_alive() for t in threads):
        start = time.monotonic()
        assert daemon.component("b", "gateway")["state"] == "healthy"
        slowest = max(slowest, time.monotonic() - start)
    for t in threads:
        t.join()
    assert slowest < 2, slowest
    assert len(events(daemon, "a")) <= before + 2, events(daemon, "a")[-5:]
    lines = [line for line in daemon.log()[log:].splitlines() if " a/proxy: " in line and "debug" not in line]
    assert len(lines) < 300, len(lines)
    wait_for(lambda: denied(daemon, "a") >= 6300, 10, daemon.metrics())
    daemon.clawsup("status", "b")



# ---------------------------------------------------------------- records
@pytest.fixture
def sup(engine, image):
    s = Supervisor(engine.sock)
    s.start()
    yield s
    try:
        s.close()
    finally:
        engine.remove_containers("clawsup.tenant=a")


def decisions(sup, seconds=1.0):
    got = []
    end = time.monotonic() + seconds
    sup.control.settimeout(0.1)
    while time.monotonic() < end:
        try:
            m = sup.recv()
        except TimeoutError:
            continue
        if m["type"] == "decision":
            got.append(m)
    sup.control.settimeout(10)
    return got


def test_who_goes_away_is_recorded(sup):
    """The engine acts on a request whose client does not wait for the answer."""
    full = sup.create("g").json()["Id"]
    assert sup.request("POST", "/containers/%s/start" % full).status == 204
    decisions(sup)
    for target, body in (("/containers/%s/kill" % full, None), ("/containers/%s/exec" % full, {"Cmd": ["id"]})):
        with sup.connect() as c:
            c.send(build_request("POST", target, body))
            time.sleep(0.001)
        got = [d for d in decisions(sup, 1.5) if d.get("route") in ("container-kill", "exec-create")]
        assert len(got) == 1 and got[0]["object"] == full, (target, got)


def test_what_was_done_is_not_hidden_behind_refusals(sup):
    """The supervisor does not listen for a while; the tenant floods the queue and then acts."""
    full = sup.create("h").json()["Id"]
    decisions(sup)
    with sup.connect() as c:
        for _ in range(3000):
            assert c.request("POST", "/containers/prune").status == 403
    for _ in range(5):
        assert sup.request("POST", "/containers/%s/start" % full).status in (204, 304)
    got = decisions(sup, 3)
    assert len([d for d in got if d.get("route") == "container-start"]) == 5
    assert 0 < len([d for d in got if d["decision"] == "deny"]) < 3000


def test_a_record_is_one_line(sup):
    """No text of a client's makes a second line, in the record or in the log."""
    for target, body in (("/containers/create?name=openclaw-sbx-a-x", '{"Image":"x\\nnotice: forged"}'),
                         ("/containers/create?name=a%0aforged", "{}"),
                         ("/containers/create?name=openclaw-sbx-a-x", '{"Im\nage": forged\n}'),
                         ("/containers/json?filters=%7B%0Aforged", None)):
        sup.request("POST" if body else "GET", target, body)
    for d in decisions(sup):
        assert "\n" not in json.dumps(d) and "\\n" not in json.dumps(d), d
    assert not [line for line in sup.text().splitlines() if line.startswith(("forged", "notice"))]


# ---------------------------------------------------------------- components of others
EXTERNAL = """
tenant: { slug = "b"; data_root = "%s";
  proxy = { images = [ "%s" ]; bind_mount_from = [ "%s/workspace" ]; };
  gateway = { mode = "external"; match_label = "app=gw-b"; health = { type = "docker"; interval = "200ms"; }; }; };
"""


def test_a_sandbox_is_no_component_of_anybody(daemon, engine, image):
    """A tenant labels its sandbox like the gateway that another tenant's Compose made, and keeps it stopped."""
    daemon.tenant("a")
    daemon.tenant("b")
    with open(daemon.home + "/tenants.d/b.conf", "w") as f:
        f.write(EXTERNAL % (daemon.data("b"), image, daemon.data("b")))
    gateway = engine.docker("run", "-d", "--name", "compose-gw-b", "--label", "app=gw-b", "--network", "none", image,
                            "sleep", "infinity")
    try:
        daemon.start()
        daemon.healthy()
        assert daemon.component("b", "gateway")["container"]["id"] == gateway
        r = http_request(daemon.proxy_sock("a"), "POST", CREATE,
                         {"Image": image, "Cmd": ["true"], "Labels": {"app": "gw-b", "com.docker.compose.service": "gw"}})
        assert r.status == 201, r
        mine = r.json()["Id"]
        time.sleep(8)  # a relist, and what would follow from it
        c = daemon.component("b", "gateway")
        assert c["container"]["id"] == gateway and c["state"] == "healthy", c
        assert engine.docker("inspect", "-f", "{{.State.Status}} {{.State.StartedAt}}", mine).startswith("created 0001")
    finally:
        engine.docker("rm", "-f", "compose-gw-b", check=False)


# ---------------------------------------------------------------- a socket on the tenant's bridge
NEIGHBOURS = """
import os, socket, sys
sys.path.insert(0, sys.argv[1])
from supervisor import Supervisor
s = Supervisor(sys.argv[2])
s.client = socket.create_server(("10.77.1.1", 2375))
s.start()
for source in ("10.77.1.1", "10.77.2.1"):
    c = socket.create_connection(("10.77.1.1", 2375), 5, (source, 0))
    c.sendall(b"GET /_ping HTTP/1.1\\r\\nHost: d\\r\\nConnection: close\\r\\n\\r\\n")
    print(source, c.recv(4096).split(b"\\r\\n")[0].decode())
s.close()
"""


def test_neighbours_do_not_reach_a_tcp_socket(engine, image):
    """Every bridge of the host leads to the addresses of all others: a gateway's Docker API has no password."""
    p = subprocess.run(["unshare", "-n", "sh", "-c", "ip link set lo up; ip addr add 10.77.1.1/24 dev lo; ip addr add "
                        "10.77.2.1/24 dev lo; exec /usr/bin/python3 -c \"$0\" \"$@\"", NEIGHBOURS,
                        os.path.dirname(clawtest.__file__), engine.sock],
                       capture_output=True, text=True, timeout=60, check=False)
    assert p.stdout.splitlines() == ["10.77.1.1 HTTP/1.1 200 OK", "10.77.2.1 HTTP/1.1 403 Forbidden"], p


# ---------------------------------------------------------------- a gateway against its own mounts
TAMPER = "cd /; p=$(dirname %(data)s); mkdir /gone; mv $p /gone/data && mkdir $p && ln -s /dev %(data)s; kill 1"


@pytest.mark.parametrize("way", ["dies", "hangs"])
def test_a_gateway_cannot_have_its_data_mounted_over_dev(daemon, engine, way):
    """Root in the gateway replaces a directory above its data root's mount by a link. At its next start the runtime
    would mount the data root over /dev, make devices in it, and open the "null" that lies there, as root."""
    daemon.tenant("a")
    daemon.start()
    daemon.healthy()
    os.symlink("/proc/sys/kernel/hostname", daemon.data("a") + "/null")
    old = daemon.inspect("openclaw-gw-a")
    script = TAMPER % {"data": daemon.data("a")}
    if way == "hangs":
        script = script.replace("; kill 1", "; kill -STOP 1; kill -STOP $(pidof httpd)")
    engine.docker("exec", "openclaw-gw-a", "sh", "-c", script, check=False)
    if way == "hangs":
        daemon.clawsup("restart", "a")

    def made_anew():
        now = engine.docker("inspect", "-f", "{{.Id}} {{.State.Running}}", "openclaw-gw-a", check=False).split()
        return len(now) == 2 and now[0] != old["Id"] and now[1] == "true"

    wait_for(made_anew, 40, daemon.log()[-3000:])
    daemon.healthy(seconds=60)
    assert sorted(set(os.listdir(daemon.data("a"))) & {"zero", "full", "tty", "fd", "urandom"}) == []
    assert "a link in the way" in daemon.log()
