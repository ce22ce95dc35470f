"""A tenant's life on a real engine: up from nothing, proxy and gateway failing in every way, our own end and return."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

from clawtest import DOCKER_CLIS, IMAGE, HttpConn, busybox_tar, http_request, import_image, wait_for


def events(d, slug, lines=200):
    return json.loads(d.clawsup("events", "--tenant", slug, "--lines", str(lines), "--json").stdout)["events"]


def test_up_from_nothing(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    c = daemon.inspect("openclaw-gw-a")
    assert c["Config"]["Labels"]["clawsup.tenant"] == "a"
    assert c["Config"]["Labels"]["clawsup.role"] == "gateway"
    assert "DOCKER_HOST=unix:///run/clawsup/docker.sock" in c["Config"]["Env"]
    assert c["HostConfig"]["Memory"] == 256 << 20
    assert c["HostConfig"]["MemorySwap"] in (256 << 20, -1)  # -1: this kernel cannot limit swap
    assert c["HostConfig"]["NanoCpus"] == 1000000000
    assert c["HostConfig"]["PidsLimit"] == 128
    assert c["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert c["HostConfig"]["PortBindings"]["18789/tcp"][0]["HostIp"] == "127.0.0.1"
    assert list(c["NetworkSettings"]["Networks"]) == ["clawsup-net-a"]
    sources = {m["Destination"]: (m["Source"], m["RW"]) for m in c["Mounts"]}
    assert sources[daemon.data("a")] == (daemon.data("a"), True)
    assert sources["/run/clawsup"] == (daemon.home + "/run/a", False)
    net = json.loads(daemon.engine.docker("network", "inspect", "clawsup-net-a"))[0]
    assert net["Labels"]["clawsup.tenant"] == "a" and not net["Internal"]
    # The engine's own socket is in no mount: only the proxy's is.
    assert not any("docker.sock" in m["Source"] for m in c["Mounts"])
    assert daemon.clawsup("status").returncode == 0


def test_the_gateway_is_started_after_the_proxy_serves(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    texts = [(e["component"], e["kind"], e["text"]) for e in events(daemon, "a")]
    served = next(i for i, t in enumerate(texts) if t[0] == "proxy" and t[1] == "state" and "-> healthy" in t[2])
    begun = next(i for i, t in enumerate(texts) if t[0] == "gateway" and t[1] == "action")
    assert served < begun, texts


def test_a_sandbox_through_the_proxy(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    box = daemon.docker("a", "create", "--name", "openclaw-sbx-a-1", "--network", "none", IMAGE, "sleep", "600").stdout.strip()
    daemon.docker("a", "start", box)
    assert daemon.docker("a", "exec", box, "echo", "hello").stdout == "hello\n"
    assert daemon.docker("a", "exec", "-i", box, "cat", input="through\n").stdout == "through\n"
    names = daemon.docker("a", "ps", "-a", "--format", "{{.Names}}").stdout.split()
    assert names == ["openclaw-sbx-a-1"]  # not the gateway, not anybody else's
    assert daemon.docker("a", "run", "--privileged", IMAGE, "true", check=False).returncode != 0
    real = daemon.inspect(box)
    assert real["HostConfig"]["PidsLimit"] == 64 and real["HostConfig"]["Memory"] == 64 << 20
    wait_for(lambda: 'clawsup_proxy_requests_total{tenant="a",decision="denied"} 0' not in daemon.metrics(), 15)
    daemon.docker("a", "rm", "-f", box)


def test_from_inside_the_gateway(daemon):
    """The stock command line in the gateway's own container finds its proxy by DOCKER_HOST alone."""
    image = import_image(daemon.engine, "clawtest-cli:1", busybox_tar([DOCKER_CLIS[0]]))
    daemon.tenant("a", gateway_image=image)
    daemon.start().healthy("a")

    def inside(*args):
        return daemon.engine.docker("exec", "openclaw-gw-a", "docker", *args)

    box = inside("create", "--name", "openclaw-sbx-a-1", "--network", "none", IMAGE, "sleep", "600")
    inside("start", box)
    assert inside("exec", box, "echo", "hello") == "hello"
    assert inside("ps", "--format", "{{.Names}}") == "openclaw-sbx-a-1"
    inside("rm", "-f", box)


def test_a_killed_proxy_refuses_nobody(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    bad, n, stop = [], [0], threading.Event()

    def client():
        while not stop.is_set():
            try:
                with HttpConn(daemon.proxy_sock("a"), timeout=10) as c:
                    r = c.request("GET", "/_ping", headers=["Connection: close"])
                    assert r.status == 200, r
                    n[0] += 1
            except (EOFError, BrokenPipeError, ConnectionResetError):
                pass  # accepted by the proxy that died: cut, as a crash is; never refused
            except Exception as e:  # noqa: BLE001
                bad.append(repr(e))

    threads = [threading.Thread(target=client) for _ in range(4)]
    [t.start() for t in threads]
    killed = set()
    for _ in range(5):
        pid = wait_for(lambda: daemon.proxy_pid("a"), 10)
        if pid not in killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        before = n[0]
        wait_for(lambda: n[0] > before + 20, 15, "nothing is served after the kill of %d\n%s" % (pid, daemon.log()[-3000:]))
    stop.set()
    [t.join() for t in threads]
    assert not bad, bad[:5]
    assert len(killed) >= 3
    daemon.healthy("a")
    assert daemon.starts("a") == 1  # the gateway was left alone


def test_a_killed_gateway_is_restarted(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    os.kill(daemon.inspect("openclaw-gw-a")["State"]["Pid"], signal.SIGKILL)
    wait_for(lambda: daemon.starts("a") == 2, 20, daemon.log()[-3000:])
    daemon.healthy("a")
    assert daemon.component("a", "gateway")["restarts_1h"] >= 1


def test_a_hung_gateway_is_restarted(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    daemon.engine.docker("pause", "openclaw-gw-a")
    wait_for(lambda: daemon.starts("a") == 2, 30, daemon.log()[-3000:])
    daemon.healthy("a")


def test_an_operators_stop_is_respected(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    daemon.engine.docker("stop", "-t", "1", "openclaw-gw-a")
    daemon.wait_state("a", "held")
    assert daemon.clawsup("status", check=False).returncode == 1
    time.sleep(1)
    assert daemon.starts("a") == 1
    daemon.healthy("a", seconds=30)  # the hold ends by itself
    assert daemon.starts("a") == 2


def test_a_removed_gateway_is_made_again(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    first = daemon.inspect("openclaw-gw-a")["Id"]
    daemon.engine.docker("rm", "-f", "openclaw-gw-a")
    wait_for(lambda: daemon.starts("a") == 2, 40, daemon.log()[-3000:])
    daemon.healthy("a")
    assert daemon.inspect("openclaw-gw-a")["Id"] != first


def test_hopeless_then_released(daemon):
    """Restarted, redeployed, rolled back, quarantined; never in a loop; released when it is mended."""
    daemon.tenant("a")
    daemon.start().healthy("a")
    original = daemon.inspect("openclaw-gw-a")["Id"]
    daemon.flag("a", "broken")
    os.kill(daemon.inspect("openclaw-gw-a")["State"]["Pid"], signal.SIGKILL)
    daemon.wait_state("a", "quarantined", 90)
    assert daemon.inspect("openclaw-gw-a")["Id"] == original  # rolled back, nothing lost
    assert daemon.engine.docker("ps", "-aq", "--filter", "name=openclaw-gw-a").count("\n") == 0  # no .old, no .new
    kinds = [e["text"] for e in events(daemon, "a")]
    assert any("rolled back" in k for k in kinds), kinds
    assert daemon.clawsup("status", check=False).returncode == 2
    text = daemon.clawsup("status", "a", check=False).stdout
    assert "release" in text
    before = daemon.inspect("openclaw-gw-a")["State"]["StartedAt"]
    time.sleep(3)
    assert daemon.inspect("openclaw-gw-a")["State"]["StartedAt"] == before  # left alone in quarantine
    assert 'clawsup_quarantined{tenant="a"} 1' in daemon.metrics()
    daemon.flag("a", "broken", False)
    daemon.clawsup("release", "a")
    daemon.healthy("a", seconds=60)
    assert daemon.clawsup("status").returncode == 0


def test_our_end_leaves_everything_running(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    pid, started = daemon.proxy_pid("a"), daemon.inspect("openclaw-gw-a")["State"]["StartedAt"]
    assert daemon.stop() == 0
    assert http_request(daemon.proxy_sock("a"), "GET", "/_ping").status == 200
    daemon.start().healthy("a")
    assert daemon.proxy_pid("a") == pid
    assert daemon.inspect("openclaw-gw-a")["State"]["StartedAt"] == started


def test_our_kill_cuts_nothing(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    box = daemon.docker("a", "create", "--name", "openclaw-sbx-a-1", "--network", "none", IMAGE, "sleep", "600").stdout.strip()
    daemon.docker("a", "start", box)
    session = subprocess.Popen(["docker", "-H", "unix://" + daemon.proxy_sock("a"), "exec", "-i", box, "cat"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    session.stdin.write("one\n")
    session.stdin.flush()
    assert session.stdout.readline() == "one\n"
    pid, started = daemon.proxy_pid("a"), daemon.inspect("openclaw-gw-a")["State"]["StartedAt"]
    daemon.stop(signal.SIGKILL)
    daemon.start().healthy("a")
    assert daemon.proxy_pid("a") == pid
    assert daemon.inspect("openclaw-gw-a")["State"]["StartedAt"] == started
    session.stdin.write("two\n")
    session.stdin.flush()
    assert session.stdout.readline() == "two\n"
    session.stdin.close()
    assert session.wait(10) == 0
    os.kill(pid, signal.SIGKILL)  # the adopted one is watched like a child
    wait_for(lambda: daemon.proxy_pid("a") not in (None, pid), 10)
    daemon.healthy("a")


def test_a_hung_proxy_of_a_former_daemon_is_replaced(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    pid = daemon.proxy_pid("a")
    daemon.stop(signal.SIGKILL)
    os.kill(pid, signal.SIGSTOP)
    daemon.start().healthy("a")
    assert daemon.proxy_pid("a") != pid
    wait_for(lambda: not os.path.exists("/proc/%d" % pid) or " Z " in open("/proc/%d/stat" % pid).read(), 5)


def test_budgets_survive_our_end(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    os.kill(daemon.inspect("openclaw-gw-a")["State"]["Pid"], signal.SIGKILL)
    wait_for(lambda: daemon.starts("a") == 2, 20)
    daemon.healthy("a")
    used = daemon.component("a", "gateway")["restarts_1h"]
    assert used >= 1
    daemon.stop(signal.SIGKILL)
    daemon.start().healthy("a")
    assert daemon.component("a", "gateway")["restarts_1h"] == used


def test_drift_of_limits_is_repaired(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    daemon.engine.docker("update", "--pids-limit", "999", "--memory", "512m", "--memory-swap", "512m", "openclaw-gw-a")
    wait_for(lambda: daemon.inspect("openclaw-gw-a")["HostConfig"]["PidsLimit"] == 128 and
             daemon.inspect("openclaw-gw-a")["HostConfig"]["Memory"] == 256 << 20, 15, daemon.log()[-3000:])
    assert any("drift" in e["text"] for e in events(daemon, "a"))


def test_operator_verbs(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    daemon.clawsup("restart", "a")
    wait_for(lambda: daemon.starts("a") == 2, 10)
    daemon.healthy("a")
    first = daemon.inspect("openclaw-gw-a")["Id"]
    daemon.clawsup("redeploy", "a")
    daemon.healthy("a")
    assert daemon.inspect("openclaw-gw-a")["Id"] != first
    pid = daemon.proxy_pid("a")
    daemon.clawsup("restart", "a", "proxy")
    wait_for(lambda: daemon.proxy_pid("a") not in (None, pid), 10)
    daemon.clawsup("pause", "a", "--for", "10m")
    daemon.wait_state("a", "paused")
    starts = daemon.starts("a")
    os.kill(daemon.inspect("openclaw-gw-a")["State"]["Pid"], signal.SIGKILL)
    time.sleep(3)
    assert daemon.starts("a") == starts  # observed, not acted upon
    daemon.clawsup("resume", "a")
    wait_for(lambda: daemon.starts("a") == starts + 1, 20)
    daemon.healthy("a")
    p = daemon.clawsup("restart", "b", check=False)
    assert p.returncode == 64 and "no tenant" in p.stderr
    p = daemon.clawsup("release", "a", check=False)
    assert p.returncode == 1 and "not quarantined" in p.stderr


def test_an_upgrade_cuts_nothing(daemon):
    """The program on disk takes over: the same process, the same proxies, sessions and pings go on."""
    daemon.tenant("a")
    daemon.start().healthy("a")
    box = daemon.docker("a", "create", "--name", "openclaw-sbx-a-1", "--network", "none", IMAGE, "sleep", "600").stdout.strip()
    daemon.docker("a", "start", box)
    sessions = []
    for i in range(5):
        s = subprocess.Popen([DOCKER_CLIS[0], "-H", "unix://" + daemon.proxy_sock("a"), "exec", "-i", box, "cat"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        s.stdin.write("one\n")
        s.stdin.flush()
        assert s.stdout.readline() == "one\n"
        sessions.append(s)
    bad, n, stop = [], [0], threading.Event()

    def client():
        while not stop.is_set():
            try:
                assert http_request(daemon.proxy_sock("a"), "GET", "/_ping").status == 200
                n[0] += 1
            except Exception as e:  # noqa: BLE001
                bad.append(repr(e))

    t = threading.Thread(target=client)
    t.start()
    pid, started = daemon.proxy_pid("a"), daemon.inspect("openclaw-gw-a")["State"]["StartedAt"]
    for _ in range(3):
        wait_for(lambda: daemon.status()["host"]["actions_in_flight"] == 0, 20)
        out = daemon.clawsup("upgrade").stdout
        assert "->" in out, out
        daemon.healthy("a")
    stop.set()
    t.join()
    assert daemon.proc.poll() is None  # the same process
    assert not bad and n[0] > 10, bad[:3]
    assert daemon.proxy_pid("a") == pid
    assert daemon.inspect("openclaw-gw-a")["State"]["StartedAt"] == started
    for s in sessions:
        s.stdin.write("two\n")
        s.stdin.close()
        assert s.stdout.read() == "two\n" and s.wait(10) == 0
    os.kill(pid, signal.SIGKILL)  # still a child, still watched
    wait_for(lambda: daemon.proxy_pid("a") not in (None, pid), 10)


def test_an_upgrade_that_refuses_the_configuration_changes_nothing(daemon):
    daemon.tenant("a")
    daemon.start().healthy("a")
    started = daemon.status()["host"]["started_at"]
    with open(daemon.conf, "a") as f:
        f.write("nonsense = 1;\n")
    p = daemon.clawsup("upgrade", check=False)
    assert p.returncode == 1 and "does not accept the configuration" in p.stderr, p.stderr
    assert daemon.status()["host"]["started_at"] == started


def test_a_port_that_is_taken(daemon):
    """No restart gives it free: nothing is charged, and who has it is named."""
    daemon.tenant("a")
    daemon.tenant("b")
    daemon.engine.docker("network", "create", "clawtest-net-holder")
    holder = daemon.engine.docker("run", "-d", "--name", "clawtest-holder", "--network", "clawtest-net-holder", "-p",
                                  "127.0.0.1:%d:80" % daemon.ports["a"], IMAGE, "sleep", "600")
    try:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", daemon.ports["b"]))
            s.listen(1)
            daemon.start()
            wait_for(lambda: "published by container clawtest-holder" in daemon.log(), 30, daemon.log()[-3000:])
            wait_for(lambda: "taken by a process that is no container" in daemon.log(), 30, daemon.log()[-3000:])
    finally:
        daemon.engine.docker("rm", "-f", holder)
        daemon.engine.docker("network", "rm", "clawtest-net-holder")
    daemon.healthy("a", "b")
    for slug in "ab":
        assert daemon.component(slug, "gateway")["restarts_1h"] == 0


def test_only_the_proxy_that_was_launched_is_adopted(daemon):
    """Whoever else answers on its control socket is told apart by the pid file; it is not killed on the word of a number."""
    daemon.tenant("a")
    daemon.start().healthy("a")
    pid, path = daemon.proxy_pid("a"), daemon.home + "/run/.supervisor/proxy/a.pid"
    daemon.stop(signal.SIGKILL)
    with open(path) as f:
        named, start = f.read().split()
    assert int(named) == pid
    with open(path, "w") as f:
        f.write("%s %d\n" % (named, int(start) + 1))  # the same number, another process
    try:
        daemon.start().healthy("a")
        assert daemon.proxy_pid("a") != pid
        assert "not adopted" in daemon.log()
        assert http_request(daemon.proxy_sock("a"), "GET", "/_ping").status == 200
        assert os.path.exists("/proc/%d" % pid)
    finally:
        os.kill(pid, signal.SIGKILL)
