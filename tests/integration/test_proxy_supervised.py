"""test_proxy_supervised.py: the proxy as clawsupd runs it: descriptors, the control channel, staging, hand-over, and the
switches that only a policy file has. A real engine behind it."""

import io
import json
import os
import subprocess
import tarfile
import time

import pytest

from clawtest import DOCKER_CLIS, build_request, http_request, wait_for
from relay import Relay
from supervisor import Supervisor


@pytest.fixture
def sup(engine, image):
    s = Supervisor(engine.sock)
    yield s
    try:
        s.close()
    finally:
        engine.remove_containers("clawsup.tenant=a")


def docker(sup, *args, **kw):
    return subprocess.run([DOCKER_CLIS[-1], "-H", "unix://" + sup.sock, *args], capture_output=True, timeout=30,
                          check=False, **kw)


# ---------------------------------------------------------------- the channel
def test_hello_ready_records_stats(sup):
    sup.start()
    assert sup.hello["tenant"] == "a" and sup.hello["pid"] == sup.proc.pid and len(sup.hello["policy_sha"]) == 16
    assert sup.create("r", Env=["SECRET=x"]).status == 201
    m = sup.until("decision")
    assert (m["decision"], m["route"], m["method"], m["status"]) == ("allow", "container-create", "POST", 201), m
    assert m["tenant"] == "a" and len(m["object"]) == 64 and "uid=0" in m["peer"] and m["latency_us"] > 0
    assert "x" not in json.dumps(m.get("env", [])) and "SECRET" in json.dumps(m), m
    assert sup.create("r", HostConfig={"Privileged": True}).status == 403
    m = sup.until("decision")
    assert m["decision"] == "deny" and "Privileged" in m["rule"] and m["reason"], m
    m = sup.until("stats")
    assert (m["allowed"], m["denied"], m["errors"]) == (1, 1, 0) and m["connections"] >= 2, m


def test_refuses_to_start_without_its_descriptors(engine):
    from clawtest import program
    r = subprocess.run([program("clawsup-proxy"), "--supervised", "--listen-fds=1", "--engine-socket=" + engine.sock],
                       capture_output=True, text=True, timeout=10, check=False)
    assert r.returncode == 78 and "sealed" in r.stderr, r


def test_half_a_policy(sup):
    sup.start(wait=False, images=["*"], memory_bytes=0)
    assert sup.ended() == 78 and "memory" in sup.text()


# ---------------------------------------------------------------- staging
def test_staging(sup, engine, workspace):
    """Every bind is staged, a root too: the tenant may be able to rename it and to put a link in its place."""
    os.mkdir(workspace + "/project")
    places = {workspace: os.path.dirname(workspace) + "/staged-7", workspace + "/project":
              os.path.dirname(workspace) + "/staged-8"}
    for p in places.values():
        os.mkdir(p)
    sup.start(bind_mount_from=[workspace])
    with sup.connect() as c:
        c.send(build_request("POST", "/containers/create?name=openclaw-sbx-a-s", {
            "Image": "clawtest-busybox:1", "Cmd": ["sleep", "infinity"],
            "HostConfig": {"Binds": [workspace + ":/w", workspace + "/project:/p:ro"]}}))
        for source in places:
            m = sup.until("stage")
            assert m["source"] == source and m["root"] == workspace and "path" not in m, m
            sup.send(type="staged", id=m["id"], path=places[source])
        full = c.response().json()["Id"]
    mounts = {m["Destination"]: m for m in json.loads(engine.docker("inspect", full))[0]["Mounts"]}
    assert mounts["/p"]["Source"] == places[workspace + "/project"] and not mounts["/p"]["RW"]
    assert mounts["/w"]["Source"] == places[workspace] and mounts["/w"]["RW"]
    shown = sup.request("GET", "/containers/%s/json" % full).body.decode()
    assert "/staged-" not in shown and workspace + "/project" in shown
    assert sup.request("POST", "/containers/%s/start" % full).status == 204
    assert sup.request("DELETE", "/containers/%s?force=1" % full).status == 204
    assert {sup.until("unstage")["path"] for _ in places} == set(places.values())


def test_staging_refused(sup, engine, workspace):
    sup.start(bind_mount_from=[workspace])
    with sup.connect() as c:
        c.send(build_request("POST", "/containers/create?name=openclaw-sbx-a-s", {
            "Image": "clawtest-busybox:1", "HostConfig": {"Binds": [workspace + "/link:/p"]}}))
        m = sup.until("stage")
        sup.send(type="staged", id=m["id"], error="a symbolic link is in the way")
        r = c.response()
    assert r.status == 403 and "symbolic link" in r.message, r
    assert engine.docker("ps", "-aq", "--filter", "name=openclaw-sbx-a-s") == ""


def test_client_leaves_while_staging(sup, workspace):
    sup.start(bind_mount_from=[workspace])
    with sup.connect() as c:
        c.send(build_request("POST", "/containers/create?name=openclaw-sbx-a-s", {
            "Image": "clawtest-busybox:1", "HostConfig": {"Binds": [workspace + "/p:/p"]}}))
        m = sup.until("stage")
    assert sup.request("GET", "/_ping").status == 200
    sup.send(type="staged", id=m["id"], path="/somewhere/7")
    assert sup.until("unstage")["path"] == "/somewhere/7"
    assert sup.create("s").status == 201  # the name and the place are free again


def test_restaged_before_a_start(sup, engine, workspace):
    """A proxy that did not make the mount itself asks for it again, at the path that the engine knows."""
    os.mkdir(workspace + "/p")
    staged = os.path.dirname(workspace) + "/staged-9"
    os.mkdir(staged)
    sup.start(bind_mount_from=[workspace])
    with sup.connect() as c:
        c.send(build_request("POST", "/containers/create?name=openclaw-sbx-a-s", {
            "Image": "clawtest-busybox:1", "Cmd": ["sleep", "infinity"],
            "HostConfig": {"Binds": [workspace + "/p:/p"]}}))
        sup.send(type="staged", id=sup.until("stage")["id"], path=staged)
        full = c.response().json()["Id"]
    sup.proc.kill()
    sup.proc.wait()
    sup.start(bind_mount_from=[workspace])
    with sup.connect() as c:
        c.send(build_request("POST", "/containers/%s/start" % full))
        m = sup.until("stage")
        assert (m["source"], m["root"], m["path"]) == (workspace + "/p", workspace, staged), m
        sup.send(type="staged", id=m["id"], path=staged)
        assert c.response().status == 204
    assert sup.request("POST", "/containers/%s/restart?t=0" % full).status == 204


# ---------------------------------------------------------------- hand-over
def test_serves_on_without_a_supervisor(sup, engine, workspace):
    sup.start(bind_mount_from=[workspace])
    sup.control.close()
    full = sup.create("k").json()["Id"]
    assert sup.request("POST", "/containers/%s/start" % full).status == 204
    r = sup.create("s", HostConfig={"Binds": [workspace + "/p:/p"]})
    assert r.status == 503 and "supervisor" in r.message, r

    hello, fds = sup.adopt()
    assert hello["tenant"] == "a" and hello["policy_sha"] == sup.hello["policy_sha"] and len(fds) == 2
    assert os.stat("/proc/self/fd/%d" % fds[1]).st_ino == os.fstat(sup.client.fileno()).st_ino
    for f in fds:
        os.close(f)
    sup.until("ready")
    with sup.connect() as c:
        c.send(build_request("POST", "/containers/create?name=openclaw-sbx-a-s", {
            "Image": "clawtest-busybox:1", "HostConfig": {"Binds": [workspace + "/p:/p"]}}))
        m = sup.until("stage")
        sup.send(type="staged", id=m["id"], error="no")
        assert c.response().status == 403


def test_staging_fails_when_the_supervisor_goes(sup, workspace):
    sup.start(bind_mount_from=[workspace])
    with sup.connect() as c:
        c.send(build_request("POST", "/containers/create?name=openclaw-sbx-a-s", {
            "Image": "clawtest-busybox:1", "HostConfig": {"Binds": [workspace + "/p:/p"]}}))
        sup.until("stage")
        sup.control.close()
        assert c.response().status in (403, 503)


def test_only_root_may_adopt(sup):
    sup.start()
    code = "import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\ns.settimeout(5)\n" \
           "s.connect(sys.argv[1])\nprint(s.recv(1000))"
    r = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", code,
                        sup.listener_path], capture_output=True, text=True, timeout=10, check=False)
    assert r.stdout.strip() == "b''" or "reset" in r.stderr, r
    assert sup.create("z").status == 201
    sup.until("decision")  # the first supervisor still has the channel


def test_drain_finishes_streams(sup):
    sup.start()
    full = sup.create("d").json()["Id"]
    assert sup.request("POST", "/containers/%s/start" % full).status == 204
    e = sup.request("POST", "/containers/%s/exec" % full, {
        "Cmd": ["sh", "-c", "sleep 1; echo late"], "AttachStdout": True}).json()["Id"]
    with sup.connect() as c, sup.connect() as idle:
        assert idle.request("GET", "/_ping").status == 200
        c.send(build_request("POST", "/exec/%s/start" % e, {"Detach": False, "Tty": False},
                             ["Connection: Upgrade", "Upgrade: tcp"]))
        assert c.head()[0] == 101
        old = sup.proc
        sup.send(type="drain")
        assert idle.closed()
        waiting = sup.connect()  # in the backlog: nobody accepts
        waiting.send(build_request("GET", "/containers/%s/json" % full))
        sup.start()
        assert waiting.response().json()["Id"] == full
        waiting.close()
        assert c.read_to_end()[8:] == b"late\n"
    assert sup.ended(old) == 0
    hello, fds = sup.adopt()  # the successor answers on the listener
    assert hello["pid"] == sup.proc.pid
    for f in fds:
        os.close(f)


def test_drain_has_an_end(sup):
    """A stream that nobody ends does not keep a proxy for ever."""
    sup.start()
    full = sup.create("d").json()["Id"]
    assert sup.request("POST", "/containers/%s/start" % full).status == 204
    with sup.connect() as c:
        c.send(build_request("GET", "/containers/%s/logs?follow=1&stdout=1" % full))
        assert c.head()[0] == 200
        old = sup.proc
        sup.send(type="drain", limit_s=1)
        assert sup.ended(old) == 0
        c.read_to_end()


def test_killed_proxy_is_replaced_without_a_refusal(sup):
    sup.start()
    took = []
    for _ in range(5):
        sup.proc.kill()
        sup.proc.wait()
        t = time.monotonic()
        with sup.connect() as c:
            c.send(build_request("GET", "/_ping"))
            sup.start(wait=False)
            assert c.response().status == 200
        took.append(time.monotonic() - t)
        assert sup.recv()["type"] == "hello"
        sup.until("ready")
    print("next request served after %s ms" % [round(x * 1000) for x in took])
    assert min(took) < 0.5


def test_queue_is_bounded(sup):
    """A supervisor that never reads: the proxy serves on and counts what it drops."""
    sup.start()
    with sup.connect() as c:
        for _ in range(4000):
            assert c.request("GET", "/containers/absent/json").status == 404
    wait_for(lambda: "records were dropped" in sup.text(), 8)


# ---------------------------------------------------------------- the engine goes and comes back
def test_engine_restart(engine, image, tmp_path):
    for d in (tmp_path, *list(tmp_path.parents)[:-2]):
        d.chmod(0o755)
    relay = Relay(str(tmp_path / "engine.sock"), engine.sock)
    s = Supervisor(relay.path)
    try:
        s.start()
        full = s.create("e").json()["Id"]
        relay.close()
        relay.cut()
        r = s.request("GET", "/_ping")
        assert r.status == 503, r
        r = s.request("GET", "/containers/%s/json" % full)
        assert r.status == 503 and "not reachable" in r.message, r
        engine.docker("rm", "-f", full)  # while nobody looked
        other = engine.request("POST", "/containers/create?name=openclaw-sbx-a-o", {
            "Image": "clawtest-busybox:1", "Labels": {"clawsup.tenant": "a", "clawsup.role": "sandbox"}}).json()["Id"]
        relay.open()
        wait_for(lambda: s.request("GET", "/_ping").status == 200)
        wait_for(lambda: s.request("GET", "/containers/%s/json" % full).status == 404)
        wait_for(lambda: s.request("GET", "/containers/%s/json" % other).status == 200)
        assert [u for u in relay.seen if u.startswith(b"GET /version")][1:], "the version was not asked for again"
    finally:
        s.close()
        relay.close()
        engine.remove_containers("clawsup.tenant=a")


# ---------------------------------------------------------------- the gateway's own container
@pytest.fixture
def gateway(engine, image):
    name = "openclaw-gw-a"
    engine.docker("rm", "-f", name, check=False)
    full = engine.docker("run", "-d", "--name", name, "--network", "none", "-e", "TOKEN=secret", image, "sleep",
                         "infinity")
    yield full
    engine.docker("rm", "-f", name, check=False)


def test_gateway_is_seen_redacted(sup, gateway):
    sup.start(gateway_name="openclaw-gw-a")
    for ref in (gateway, gateway[:12], "openclaw-gw-a"):
        r = sup.request("GET", "/containers/%s/json" % ref)
        assert r.status == 200 and r.json()["Id"] == gateway and b"secret" not in r.body, r
    r = sup.request("POST", "/containers/%s/exec" % gateway[:12], {"Cmd": ["env"], "AttachStdout": True})
    assert r.status == 403 and "gateway" in r.message, r
    for method, path in (("POST", "stop"), ("POST", "kill"), ("GET", "logs?stdout=1"), ("POST", "attach?stdout=1")):
        assert sup.request(method, "/containers/%s/%s" % (gateway[:12], path)).status == 403
    assert sup.request("DELETE", "/containers/openclaw-gw-a?force=1").status == 403
    assert sup.request("GET", "/containers/json").json() == []


def test_gateway_exec_by_switch(sup, gateway):
    sup.start(gateway_name="openclaw-gw-a", allow_gateway_exec=True, allow_exec=False)
    r = docker(sup, "exec", gateway[:12], "echo", "inside")
    assert r.stdout == b"inside\n", r
    full = sup.create("x").json()["Id"]
    assert sup.request("POST", "/containers/%s/exec" % full, {"Cmd": ["id"]}).status == 403


def test_an_exec_of_another_policy(sup, gateway):
    """What was created while exec was allowed is not started when it is no more: the proxies hand their execs on."""
    sup.start()
    full = sup.create("x").json()["Id"]
    assert sup.request("POST", "/containers/%s/start" % full).status == 204
    e = sup.request("POST", "/containers/%s/exec" % full, {"Cmd": ["true"]}).json()["Id"]
    old = sup.proc
    sup.send(type="drain")
    execs = sup.until("execs")
    assert sup.ended(old) == 0
    sup.start(gateway_name="openclaw-gw-a", allow_gateway_exec=True, allow_exec=False)
    sup.send(**execs)
    r = wait_for(lambda: (lambda r: r if r.status != 404 else None)(
        sup.request("POST", "/exec/%s/start" % e, {"Detach": True})))
    assert r.status == 403 and "allow.exec" in r.message, r


# ---------------------------------------------------------------- switches that are off by default
def test_a_filter_that_reports(sup, engine):
    net = engine.docker("network", "create", "--internal", "clawtest-net-a")
    try:
        sup.start(filter="report", network_id=net, network_name="clawtest-net-a")
        full = sup.create("u").json()["Id"]
        assert sup.request("POST", "/containers/%s/update" % full, {"Memory": 64 << 20}).status == 200
        assert sup.request("GET", "/networks/clawtest-net-a").status == 200
        assert sup.request("GET", "/networks/host").status == 404
        got = [sup.until("decision") for _ in range(4)]
        assert [(m["decision"], m.get("rule")) for m in got] == [
            ("allow", None), ("report", "allow-update"), ("report", "allow-network-read"), ("deny", "not-own")], got
        m = sup.until("stats")
        assert (m["allowed"], m["reported"], m["denied"], m["dropped"]) == (1, 2, 1, 0), m
    finally:
        engine.remove_containers("clawsup.tenant=a")
        engine.docker("network", "rm", "clawtest-net-a")


def test_update_and_rename(sup, engine):
    sup.start(allow_update=True, allow_rename=True)
    full = sup.create("u").json()["Id"]
    assert sup.request("POST", "/containers/%s/update" % full, {"Memory": 64 << 20}).status == 200
    assert json.loads(engine.docker("inspect", full))[0]["HostConfig"]["MemorySwap"] == 64 << 20
    assert sup.request("POST", "/containers/%s/update" % full, {"Memory": 1 << 40}).status == 403
    assert sup.request("POST", "/containers/%s/rename?name=openclaw-sbx-b-u" % full).status == 403
    assert sup.request("POST", "/containers/%s/rename?name=openclaw-sbx-a-new" % full).status == 204
    assert sup.request("GET", "/containers/openclaw-sbx-a-new/json").json()["Id"] == full
    assert sup.request("GET", "/containers/openclaw-sbx-a-u/json").status == 404


def tar(name, data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        i = tarfile.TarInfo(name)
        i.size = len(data)
        t.addfile(i, io.BytesIO(data))
    return out.getvalue()


def test_archive_upload(sup, engine):
    sup.start(allow_archive_put=True)
    full = sup.create("t").json()["Id"]
    data = os.urandom(3 << 20)
    body = tar("blob", data)
    r = sup.request("PUT", "/containers/%s/archive?path=/workspace" % full, body, ["Content-Type: application/x-tar"],
                    timeout=30)
    assert r.status == 200, r
    with sup.connect() as c:
        c.send(b"PUT /containers/%s/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n"
               b"Content-Type: application/x-tar\r\n\r\n" % full.encode())
        for i in range(0, len(body), 100000):
            piece = body[i:i + 100000]
            c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        c.send(b"0\r\n\r\n")
        assert c.response().status == 200
        assert c.request("GET", "/_ping").status == 200
    for path in ("/workspace/blob", "/tmp/blob"):
        r = sup.request("GET", "/containers/%s/archive?path=%s" % (full, path), timeout=30)
        assert tarfile.open(fileobj=io.BytesIO(r.body)).extractfile("blob").read() == data
    r = sup.request("HEAD", "/containers/%s/archive?path=/workspace/blob" % full)
    assert r.status == 200 and r.headers["x-docker-container-path-stat"], r
    with sup.connect() as c:
        c.send(build_request("PUT", "/containers/openclaw-sbx-a-none/archive?path=/", body,
                             ["Content-Type: application/x-tar"])[:70000])
        assert c.response().status == 404
    r = sup.request("PUT", "/containers/%s/archive?path=/absent" % full, tar("x", b""), ["Content-Type: application/x-tar"])
    assert r.status == 404 and "No such container" not in r.message, r


def test_export(sup):
    sup.start(allow_export=True)
    full = sup.create("x").json()["Id"]
    r = sup.request("GET", "/containers/%s/export" % full, timeout=30)
    assert r.status == 200 and "bin/busybox" in tarfile.open(fileobj=io.BytesIO(r.body)).getnames()


def test_network_read(sup, engine):
    name = "clawsup-net-a-test"
    engine.docker("network", "rm", name, check=False)
    net = engine.docker("network", "create", "--internal", name)
    try:
        sup.start(allow_network_read=True, network_id=net, network_name=name)
        for ref in (net, name):
            r = sup.request("GET", "/networks/" + ref)
            assert r.status == 200 and r.json()["Id"] == net, r
        assert sup.request("GET", "/networks/host").status == 404
        full = sup.create("n").json()["Id"]
        nets = json.loads(engine.docker("inspect", full))[0]["NetworkSettings"]["Networks"]
        assert list(nets) in ([name], ["none"])
    finally:
        engine.remove_containers("clawsup.tenant=a")
        engine.docker("network", "rm", name)


def test_slow_reader_holds_the_engine_back(sup, engine, image):
    """Back-pressure: a client that does not read a large answer costs the proxy a bounded amount of memory."""
    sup.start()
    full = sup.create("b", Cmd=["sh", "-c", "dd if=/dev/zero bs=1M count=32 of=/workspace/z; touch /workspace/done; sleep 100"]).json()["Id"]
    assert sup.request("POST", "/containers/%s/start" % full).status == 204
    wait_for(lambda: sup.request("HEAD", "/containers/%s/archive?path=/workspace/done" % full).status == 200)
    with sup.connect() as c:
        c.send(build_request("GET", "/containers/%s/archive?path=/workspace/z" % full))
        assert c.head()[0] == 200
        time.sleep(0.5)
        with open("/proc/%d/statm" % sup.proc.pid) as f:
            resident = int(f.read().split()[1]) * 4096
        if "asan" not in os.environ.get("CLAWSUP_BUILD", ""):
            assert resident < 16 << 20, resident
    assert http_request(sup.sock, "GET", "/_ping").status == 200
