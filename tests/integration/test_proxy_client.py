"""test_proxy_client.py: what a gateway does with Docker, through a sidecar proxy on a real engine: each stock client, and
the wire where a client library would hide it."""

import json
import os
import socket
import subprocess
import threading
import time

import pytest

from clawtest import DOCKER_CLIS, HttpConn, build_request, http_request, program, sidecar_env, wait_for
from relay import Relay

NAME = "openclaw-sbx-a-c"
CREATE_ARGS = ["--init", "--label", "openclaw.sandbox=1", "--label", "openclaw.sessionKey=agent:main:main", "--label",
               "openclaw.createdAtMs=1700000000000", "--label", "openclaw.configHash=0123abcd", "--read-only", "--tmpfs",
               "/tmp", "--tmpfs", "/var/tmp", "--tmpfs", "/run", "--network", "none", "--cap-drop", "ALL",
               "--security-opt", "no-new-privileges", "--workdir", "/workspace", "--pids-limit", "50", "--memory", "64m",
               "--cpus", "0.25"]


@pytest.fixture
def proxy(start_proxy, image, workspace):
    p = start_proxy(binds=[workspace])
    p.workspace = workspace
    return p


@pytest.fixture
def sandbox(proxy, image):
    r = proxy.request("POST", "/containers/create?name=" + NAME, {"Image": image, "Cmd": ["sleep", "infinity"]})
    assert r.status == 201, r
    full = r.json()["Id"]
    assert proxy.request("POST", "/containers/%s/start" % full).status == 204
    return full


# ---------------------------------------------------------------- the stock clients
def test_sequence_of_a_gateway(proxy, image, docker_cli):
    def d(*args, **kw):
        return proxy.docker(*args, cli=docker_cli, **kw)

    assert d("version", "--format", "{{.Server.Version}}")
    info = json.loads(d("info", "--format", "{{json .}}"))
    assert info["ID"] and info["OSType"] == "linux"
    r = d("inspect", "-f", "{{.State.Running}}", NAME, check=False)
    assert r.returncode == 1 and "No such object: " + NAME in r.stderr, r
    r = d("image", "inspect", "nothing:1", check=False)
    assert r.returncode == 1 and "no such image: nothing:1" in r.stderr.lower(), r
    assert d("image", "inspect", image, "--format", "{{.Id}}").startswith("sha256:")

    env_file = os.path.join(proxy.home, "env")
    with open(env_file, "w") as f:
        f.write("TOKEN=abc\nLANG=C.UTF-8\n")
    full = d("create", "--name", NAME, *CREATE_ARGS, "--env-file", env_file, "-v", proxy.workspace + ":/workspace:z",
             image, "sleep", "infinity")
    assert len(full) == 64
    assert d("start", full) == full
    assert d("inspect", "-f", "{{.State.Running}}", full) == "true"
    assert d("inspect", "-f", '{{index .Config.Labels "openclaw.configHash"}}', NAME) == "0123abcd"
    assert d("ps", "--format", "{{.Names}}") == NAME
    assert d("ps", "-q", "--filter", "label=openclaw.sandbox=1", "--no-trunc") == full

    assert d("exec", full, "sh", "-c", "echo $TOKEN; id -u; pwd") == "abc\n0\n/workspace"
    assert d("exec", "-i", full, "sh", "-c", "cat; echo end", input="in\n") == "in\nend"
    r = d("exec", full, "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (r.returncode, r.stdout, r.stderr.strip()) == (7, "out\n", "err")
    tty = subprocess.run(["script", "-qec", "%s -H unix://%s exec -it %s tty" % (docker_cli, proxy.sock, full),
                          "/dev/null"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert "/dev/pts/" in tty.stdout, tty
    assert d("exec", "-d", full, "sh", "-c", "echo x > /tmp/detached") == ""
    wait_for(lambda: d("exec", full, "sh", "-c", "cat /tmp/detached 2>/dev/null || true") == "x")
    with open(os.path.join(proxy.workspace, "f"), "w") as f:
        f.write("shared")
    assert d("exec", full, "cat", "/workspace/f") == "shared"

    assert d("port", full) == ""
    assert d("logs", full) == ""
    assert "sleep infinity" in d("top", full)
    assert d("kill", "-s", "KILL", full) == full
    assert d("wait", full) == "137"
    assert d("rm", "-f", full) == full
    assert d("ps", "-aq") == ""


def test_run_with_output(proxy, image, docker_cli):
    """`docker run` in the foreground: create, attach, wait, start on several connections."""
    out = proxy.docker("run", "--rm", "--name", NAME, image, "sh", "-c", "echo hello; exit 0", cli=docker_cli)
    assert out == "hello"
    out = proxy.docker("run", "--rm", "-i", "--name", NAME, image, "cat", cli=docker_cli, input="typed\n")
    assert out == "typed"
    wait_for(lambda: proxy.docker("ps", "-aq") == "")


def test_copy_out(proxy, image, docker_cli, sandbox):
    dest = os.path.join(proxy.home, "passwd")
    proxy.docker("cp", sandbox + ":/etc/passwd", dest, cli=docker_cli)
    with open(dest) as f:
        assert f.read().startswith("root:")
    r = proxy.docker("cp", dest, sandbox + ":/tmp/x", cli=docker_cli, check=False)
    assert r.returncode != 0 and "archive_put" in r.stderr, r


def test_switches(start_proxy, image):
    p = start_proxy(ALLOW_START="0", ALLOW_STOP="0", ALLOW_RESTARTS="0", ALLOW_EXEC="0")
    full = p.request("POST", "/containers/create?name=" + NAME, {"Image": image}).json()["Id"]
    for path, body in (("start", None), ("stop", None), ("kill", None), ("restart", None), ("exec", {"Cmd": ["id"]})):
        r = p.request("POST", "/containers/%s/%s" % (full, path), body)
        assert r.status == 403 and r.message.startswith("clawsup: "), r


def test_namespaced_names(start_proxy, engine, image):
    p = start_proxy(NAMES="namespaced", MATCH_CONTAINER_NAME="")
    full = p.docker("create", "--name", "agent", image, "true")
    assert json.loads(engine.docker("inspect", full))[0]["Name"] == "/openclaw-sbx-a-agent"
    assert p.docker("ps", "-a", "--format", "{{.Names}}") == "agent"
    assert p.docker("inspect", "-f", "{{.Name}}", "agent") == "/agent"
    r = p.docker("create", "--name", "agent", image, "true", check=False)
    assert 'name "/agent" is already in use' in r.stderr, r
    assert p.docker("rm", "agent") == "agent"


# ---------------------------------------------------------------- the wire
def test_ping(proxy):
    for method in ("GET", "HEAD"):
        r = proxy.request(method, "/_ping")
        assert r.status == 200 and r.headers["api-version"] == "1.41" and r.headers["ostype"] == "linux", r
        assert r.body == (b"OK" if method == "GET" else b"")


def test_keep_alive_and_pipelining(proxy, sandbox):
    with HttpConn(proxy.sock) as c:
        for _ in range(3):
            assert c.request("GET", "/_ping").status == 200
            assert c.request("GET", "/v1.41/containers/%s/json" % sandbox).json()["Id"] == sandbox
            assert c.request("GET", "/containers/absent-one/json").status == 404
            assert c.request("POST", "/containers/prune").status == 403
        c.send(build_request("GET", "/_ping") * 5)
        for _ in range(5):
            assert c.response().status == 200
        c.send(build_request("GET", "/_ping") * 2)
        c.shutdown_write()
        assert c.response().status == 200
        assert c.response().status == 200
        assert c.read_to_end() == b""


def test_byte_by_byte(proxy):
    with HttpConn(proxy.sock) as c:
        for b in build_request("GET", "/_ping"):
            c.send(bytes([b]))
        assert c.response().status == 200


def test_connection_close(proxy):
    with HttpConn(proxy.sock) as c:
        r = c.request("GET", "/_ping", headers=["Connection: close"])
        assert r.status == 200 and r.headers["connection"] == "close"
        assert c.read_to_end() == b""


def test_expect_continue(proxy, image):
    body = json.dumps({"Image": image}).encode()
    with HttpConn(proxy.sock) as c:
        c.send(build_request("POST", "/containers/create?name=" + NAME, b"", ["Expect: 100-continue"]).replace(
            b"Content-Length: 0", b"Content-Length: %d" % len(body)))
        assert c.head()[0] == 100
        c.send(body)
        assert c.response().status == 201


def test_large_and_chunked_bodies(proxy, image):
    with HttpConn(proxy.sock) as c:
        c.send(build_request("POST", "/containers/create?name=" + NAME, b"x" * (256 * 1024 + 1)))
        assert c.response().status == 413
    doc = json.dumps({"Image": image, "Cmd": ["true"]}).encode()
    with HttpConn(proxy.sock) as c:
        c.send(b"POST /containers/create?name=%s HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n" % NAME.encode())
        for i in range(0, len(doc), 7):
            piece = doc[i:i + 7]
            c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        c.send(b"0\r\n\r\n")
        assert c.response().status == 201


def exec_id(proxy, sandbox, cmd, **more):
    r = proxy.request("POST", "/containers/%s/exec" % sandbox,
                      dict({"Cmd": cmd, "AttachStdin": True, "AttachStdout": True, "AttachStderr": True}, **more))
    assert r.status == 201, r
    return r.json()["Id"]


def start_exec(c, e, upgrade=True, **more):
    headers = ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else []
    c.send(build_request("POST", "/v1.41/exec/%s/start" % e, dict({"Detach": False, "Tty": True}, **more), headers))
    return c.head()


def test_half_close_in_both_directions(proxy, sandbox):
    e = exec_id(proxy, sandbox, ["sh", "-c", "cat; echo done"], Tty=False)
    with HttpConn(proxy.sock) as c:
        status, headers, _ = start_exec(c, e, Tty=False)
        assert status == 101 and headers["upgrade"] == "tcp" and headers["connection"] == "Upgrade", headers
        c.send(b"one\n")
        assert c.read_exact(8 + 4)[8:] == b"one\n"
        c.send(b"two\n")
        c.shutdown_write()
        rest = c.read_to_end()
        assert b"two\n" in rest and rest.endswith(b"done\n"), rest
    assert proxy.request("GET", "/exec/%s/json" % e).json()["ExitCode"] == 0


def test_bytes_sent_with_the_request_are_held(proxy, sandbox):
    e = exec_id(proxy, sandbox, ["cat"], Tty=False)
    with HttpConn(proxy.sock) as c:
        c.send(build_request("POST", "/exec/%s/start" % e, {"Detach": False, "Tty": False},
                             ["Connection: Upgrade", "Upgrade: tcp"]) + b"early\n")
        assert c.head()[0] == 101
        assert c.read_exact(8 + 6)[8:] == b"early\n"
        c.shutdown_write()
        assert c.read_to_end() == b""


def test_exec_without_upgrade(proxy, sandbox):
    e = exec_id(proxy, sandbox, ["echo", "plain"], AttachStdin=False)
    with HttpConn(proxy.sock) as c:
        status, headers, _ = start_exec(c, e, upgrade=False, Tty=False)
        assert status == 200 and "upgrade" not in headers and "content-length" not in headers, headers
        assert c.read_to_end()[8:] == b"plain\n"


def test_tunnel_carries_much(proxy, sandbox):
    """8 MiB through `cat` and back, written and read at the same time."""
    e = exec_id(proxy, sandbox, ["cat"], Tty=False, AttachStderr=False)
    data = os.urandom(8 << 20)
    with HttpConn(proxy.sock, timeout=60) as c:
        assert start_exec(c, e, Tty=False)[0] == 101

        def feed():
            c.send(data)
            c.shutdown_write()

        t = threading.Thread(target=feed)
        t.start()
        raw = c.read_to_end()
        t.join()
    got, i = bytearray(), 0
    while i < len(raw):
        n = int.from_bytes(raw[i + 4:i + 8], "big")
        got += raw[i + 8:i + 8 + n]
        i += 8 + n
    assert bytes(got) == data


def test_resize(proxy, sandbox):
    e = exec_id(proxy, sandbox, ["sh", "-c", "read x; stty size"], Tty=True)
    with HttpConn(proxy.sock) as c:
        assert start_exec(c, e)[0] == 101
        assert proxy.request("POST", "/exec/%s/resize?h=40&w=111" % e).status == 200
        c.send(b"\n")
        assert b"40 111" in c.read_to_end()


def test_exec_outlives_a_client_that_leaves(proxy, sandbox):
    e = exec_id(proxy, sandbox, ["sh", "-c", "sleep 0.5; touch /tmp/after"], Tty=False, AttachStdin=False)
    with HttpConn(proxy.sock) as c:
        assert start_exec(c, e, Tty=False)[0] == 101
    wait_for(lambda: not proxy.request("GET", "/exec/%s/json" % e).json()["Running"])
    assert proxy.request("GET", "/_ping").status == 200


def test_wait_sends_its_head_at_once(proxy, sandbox):
    with HttpConn(proxy.sock) as c:
        c.send(build_request("POST", "/containers/%s/wait" % sandbox))
        status, headers, _ = c.head()
        assert status == 200 and headers["transfer-encoding"] == "chunked"
        assert proxy.request("POST", "/containers/%s/kill?signal=9" % sandbox).status == 204
        size = int(c.read_until(b"\r\n"), 16)
        assert json.loads(c.read_exact(size)) == {"StatusCode": 137}


def test_logs_follow_and_leaving(proxy, image):
    cmd = ["sh", "-c", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done"]
    full = proxy.request("POST", "/containers/create?name=" + NAME, {"Image": image, "Cmd": cmd}).json()["Id"]
    assert proxy.request("POST", "/containers/%s/start" % full).status == 204
    with HttpConn(proxy.sock) as c:
        c.send(build_request("GET", "/containers/%s/logs?follow=1&stdout=1&tail=all" % full))
        assert c.head()[0] == 200
        c.read_until(b"line 5")
    assert proxy.request("DELETE", "/containers/%s?force=1" % full).status == 204
    assert proxy.request("GET", "/containers/%s/json" % full).status == 404


def test_events(proxy, engine, image):
    foreign = "clawtest-foreign"
    engine.docker("rm", "-f", foreign, check=False)
    with HttpConn(proxy.sock) as c:
        c.send(build_request("GET", '/events?filters={"type":["container"]}'.replace("{", "%7B").replace("}", "%7D")
                             .replace('"', "%22").replace("[", "%5B").replace("]", "%5D")))
        assert c.head()[0] == 200
        engine.docker("create", "--name", foreign, image)
        full = proxy.request("POST", "/containers/create?name=" + NAME, {"Image": image}).json()["Id"]
        engine.docker("rm", "-f", foreign)
        assert proxy.request("DELETE", "/containers/%s?force=1" % full).status == 204
        seen = []
        while not seen or seen[-1]["Action"] != "destroy":
            size = int(c.read_until(b"\r\n"), 16)
            seen.append(json.loads(c.read_exact(size + 2)))
    assert {e["Actor"]["ID"] for e in seen} == {full}
    assert [e["Action"] for e in seen] == ["create", "destroy"]


def test_registry_follows_the_engine(proxy, engine, image, sandbox):
    """Removed behind our back: absent at once; a restarted proxy knows its own containers again."""
    engine.docker("rm", "-f", sandbox)
    wait_for(lambda: proxy.request("GET", "/containers/%s/json" % sandbox).status == 404)
    full = proxy.request("POST", "/containers/create?name=" + NAME, {"Image": image}).json()["Id"]
    proxy.proc.kill()
    proxy.proc.wait()
    proxy.__init__(proxy.home, proxy.sock, engine.sock, sidecar_env())
    wait_for(proxy.ready)
    for ref in (full, full[:12], NAME):
        assert proxy.request("GET", "/containers/%s/json" % ref).json()["Id"] == full


def test_max_containers_and_conflict(proxy, image, sandbox):
    r = proxy.request("POST", "/containers/create?name=" + NAME, {"Image": image})
    assert r.status == 409 and "is already in use by container" in r.message, r
    for i in range(64):
        r = proxy.request("POST", "/containers/create?name=openclaw-sbx-a-n%d" % i, {"Image": image})
        if r.status != 201:
            break
    assert r.status == 403 and "containers already" in r.message, r


def test_absent_image(proxy):
    r = proxy.request("POST", "/containers/create?name=" + NAME, {"Image": "nothing:1"})
    assert r.status in (403, 404), r


def test_allowed_image_that_is_not_there(start_proxy, image):
    p = start_proxy(images=image + ",nothing:1")
    r = p.request("POST", "/containers/create?name=" + NAME, {"Image": "nothing:1"})
    assert r.status == 404 and r.message == "No such image: nothing:1", r


# ---------------------------------------------------------------- the engine away, many clients, the end
def test_engine_missing_then_there(start_proxy, engine, image, tmp_path):
    for p in (tmp_path, *list(tmp_path.parents)[:-2]):
        p.chmod(0o755)
    sock = str(tmp_path / "engine.sock")
    p = start_proxy(engine_sock=sock, wait=False)
    wait_for(lambda: os.path.exists(p.sock))
    t = time.monotonic()
    r = http_request(p.sock, "GET", "/_ping")
    assert r.status == 503 and r.message.startswith("clawsup: ") and time.monotonic() - t < 2.5, r
    os.symlink(engine.sock, sock)
    wait_for(p.ready, 5)
    assert p.request("GET", "/containers/json").status == 200


def test_stalled_engine(start_proxy, tmp_path):
    """An engine that accepts and says nothing: a ping is answered with 503 in about two seconds."""
    for d in (tmp_path, *list(tmp_path.parents)[:-2]):
        d.chmod(0o755)
    relay = Relay(str(tmp_path / "engine.sock"), "/nowhere")
    relay.answer = lambda request: time.sleep(30) or b""
    p = start_proxy(engine_sock=relay.path, wait=False)
    wait_for(lambda: os.path.exists(p.sock))
    t = time.monotonic()
    r = http_request(p.sock, "GET", "/_ping")
    assert r.status == 503 and time.monotonic() - t < 5, r
    relay.close()


def test_many_connections(proxy):
    """A thousand clients at once; those above the limit hear so, and the others are served."""
    conns = []
    try:
        for _ in range(1000):
            c = HttpConn(proxy.sock, timeout=30)
            c.send(build_request("GET", "/version"))
            conns.append(c)
        assert [c.response().status for c in conns] == [200] * 1000
        for c in conns:
            c.send(build_request("GET", "/_ping"))
        assert [c.response().status for c in conns] == [200] * 1000
        codes = []
        for _ in range(40):
            c = HttpConn(proxy.sock)
            conns.append(c)
            try:
                codes.append(c.request("GET", "/version").status)
            except OSError:
                codes.append(503)  # turned away before it had sent its request
        assert codes == [200] * 24 + [503] * 16, codes
    finally:
        for c in conns:
            c.close()
    wait_for(lambda: proxy.request("GET", "/_ping").status == 200)


def resident(proxy):
    with open("/proc/%d/statm" % proxy.proc.pid) as f:
        return int(f.read().split()[1]) * 4096


def test_a_client_that_never_reads(proxy):
    """Answers that nobody takes are not piled up: the next request waits until the last answer is gone."""
    one = build_request("GET", "/version")
    with HttpConn(proxy.sock, timeout=20) as c:
        c.s.setblocking(False)
        sent, raw = 0, one * 2000
        end = time.monotonic() + 1
        while sent < len(raw) and time.monotonic() < end:
            try:
                sent += c.s.send(raw[sent:sent + 4096])
            except BlockingIOError:
                time.sleep(0.01)
        before = resident(proxy)
        assert proxy.request("GET", "/_ping").status == 200  # others are served
        if "asan" not in os.environ.get("CLAWSUP_BUILD", ""):
            assert before < 16 << 20, before
        c.s.settimeout(20)
        for _ in range(sent // len(one)):
            assert c.response().status == 200


def test_many_large_bodies(proxy):
    """A hundred clients that each hold a large body open: the proxy keeps within its bounds and says so."""
    conns = [HttpConn(proxy.sock) for _ in range(200)]
    try:
        for c in conns:
            c.send(build_request("POST", "/containers/create?name=" + NAME, b"x" * 250000)[:-10000])
        time.sleep(0.3)
        if "asan" not in os.environ.get("CLAWSUP_BUILD", ""):
            assert resident(proxy) < 80 << 20, resident(proxy)
        refused = 0
        for c in conns:
            c.s.settimeout(0.02)
            try:
                refused += c.response().status == 503
            except OSError:
                pass
        assert refused > 50, refused
    finally:
        for c in conns:
            c.close()
    assert proxy.request("GET", "/_ping").status == 200


def test_sandboxed(proxy):
    status = {}
    with open("/proc/%d/status" % proxy.proc.pid) as f:
        for line in f:
            k, _, v = line.partition(":")
            status[k] = v.split()
    assert status["Uid"] == ["65534"] * 4 and status["Gid"] == ["65534"] * 4
    assert len(status["Groups"]) == 1
    for k in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
        assert int(status[k][0], 16) == 0
    assert status["NoNewPrivs"] == ["1"]
    if "asan" not in os.environ.get("CLAWSUP_BUILD", ""):
        assert status["Seccomp"] == ["2"]


def test_bad_settings():
    for env, word in (({}, "TENANT"), ({"TENANT": "A B"}, "TENANT"), ({"TENANT": "a", "ALLOW_STRAT": "1"}, "ALLOW_START"),
                      ({"TENANT": "a", "ALLOW_START": "yes"}, "0 or 1"), ({"TENANT": "a", "LISTEN": "udp:1"}, "LISTEN"),
                      ({"TENANT": "a", "LIMIT_MEMORY": "1k"}, "LIMIT_MEMORY"),
                      ({"TENANT": "a", "ALLOW_BIND_MOUNT_FROM": "/a/../b"}, "ALLOW_BIND_MOUNT_FROM")):
        r = subprocess.run([program("clawsup-proxy")], env=env, capture_output=True, text=True, timeout=10, check=False)
        assert r.returncode == 78 and word in r.stderr, (env, r)


def test_healthcheck(proxy):
    env = {"TENANT": "a", "LISTEN": "unix:" + proxy.sock}
    assert subprocess.run([program("clawsup-proxy"), "--healthcheck"], env=env, timeout=10, check=False).returncode == 0
    env["LISTEN"] = "unix:/nowhere/x.sock"
    assert subprocess.run([program("clawsup-proxy"), "--healthcheck"], env=env, timeout=10, stderr=subprocess.DEVNULL,
                          check=False).returncode == 1


def tcp_ping(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            s.sendall(build_request("GET", "/_ping"))
            return s.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def test_tcp_listener(proxy):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    env = dict(sidecar_env(), DOCKER_SOCKET=proxy.engine_sock, LISTEN="tcp://127.0.0.1:%d" % port)
    proc = subprocess.Popen([program("clawsup-proxy")], env=env, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: tcp_ping(port), 10)
        out = subprocess.run([DOCKER_CLIS[0], "-H", "tcp://127.0.0.1:%d" % port, "version", "--format",
                              "{{.Server.Version}}"], capture_output=True, text=True, timeout=20, check=False)
        assert out.returncode == 0, out
    finally:
        proc.terminate()
        proc.wait(15)


def test_term_waits_for_streams_a_little(proxy, sandbox):
    e = exec_id(proxy, sandbox, ["sh", "-c", "sleep 1; echo late"], Tty=False, AttachStdin=False)
    with HttpConn(proxy.sock) as c, HttpConn(proxy.sock) as idle:
        assert idle.request("GET", "/_ping").status == 200
        assert start_exec(c, e, Tty=False)[0] == 101
        proxy.proc.terminate()
        assert idle.closed()
        assert c.read_to_end()[8:] == b"late\n"
    assert proxy.proc.wait(10) == 0

