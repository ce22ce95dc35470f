"""Input and surroundings as they go wrong on real hosts: each is named in words, costs nobody else anything, and is over
by itself when it is put right."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest

from clawd import Daemon
from clawtest import IMAGE, Engine, busybox_tar, http_request, program, wait_for
from relay import Relay


def run(d, seconds=20):
    """A clawsupd that must end by itself: (exit code, what it said)."""
    p = subprocess.run([program("clawsupd"), "--config", d.conf], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=seconds, check=False)
    return p.returncode, p.stdout + p.stderr


def edit(path, old, new):
    with open(path) as f:
        text = f.read()
    assert text.count(old) == 1, (old, text)
    with open(path, "w") as f:
        f.write(text.replace(old, new))


def line_of(path, word):
    with open(path) as f:
        return next(i for i, line in enumerate(f, 1) if word in line)


def events(d, slug):
    return json.loads(d.clawsup("events", "--tenant", slug, "--lines", "500", "--json").stdout)["events"]


def actions(d, slug):
    return [e for e in events(d, slug) if e["kind"] == "action" and e["component"] == "gateway"]


def wait_reason(d, slug, text, component="gateway", seconds=20):
    """Waits until `status` says why; returns the component."""
    def found():
        c = d.component(slug, component)
        return c if text in c["reason"] else None

    try:
        return wait_for(found, seconds)
    except AssertionError:
        raise AssertionError("%s is not given as the reason: %s\n%s" % (text, d.component(slug, component), d.log()[-3000:]))


def bind(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.close()


@pytest.fixture
def own_engine():
    """An engine that a test may stop."""
    import tempfile
    import shutil
    home = tempfile.mkdtemp(prefix="clawtest-own-")
    os.chmod(home, 0o755)
    e = Engine(home + "/docker.sock", home=home)
    try:
        e.start()
        p = subprocess.run(["docker", "-H", "unix://" + e.sock, "import", "-c", 'CMD ["sh"]', "-c", "ENV PATH=/bin", "-", IMAGE],
                           input=busybox_tar(), capture_output=True, check=False)
        assert p.returncode == 0, p.stderr
        yield e
    finally:
        if e.proc and e.proc.poll() is None:
            e.proc.send_signal(signal.SIGCONT)
            ids = e.docker("ps", "-aq", check=False).split()
            if ids:
                e.docker("rm", "-f", *ids, check=False)
            e.stop()
        shutil.rmtree(home, ignore_errors=True)


# ---------------------------------------------------------------- what ends it at once
def test_refused_configurations(daemon):
    """Exit code 78, on which the unit does not restart, and FILE:LINE or the path."""
    d = daemon
    d.tenant("a")
    a = d.home + "/tenants.d/a.conf"
    good = d.conf

    def refused(*texts):
        code, said = run(d)
        assert code == 78, (code, said)
        for t in texts:
            assert t in said, (t, said)
        p = d.clawsup("check-config", check=False)
        assert p.returncode != 0 and texts[0] in p.stdout + p.stderr, p

    d.conf = d.home + "/absent.conf"
    refused(d.conf, "no such file")
    os.symlink(d.home + "/nowhere", d.conf)
    refused(d.conf, "no such file")
    os.unlink(d.conf)
    os.mkdir(d.conf)
    refused(d.conf)
    d.conf = good

    edit(a, 'slug = "a"', 'slug = "%s"' % ("x" * 70))
    refused("%s:%d" % (a, line_of(a, "slug")), "slug", "32")
    d.tenant("a", gateway='colour = "red";')
    refused("%s:%d" % (a, line_of(a, "colour")), "colour")
    d.tenant("a", gateway='stop_timout = "1s";')
    refused("stop_timout", "stop_timeout")  # what was meant is named
    d.tenant("a")
    d.ports["b"] = d.ports["a"]
    d.tenant("b")
    b = d.home + "/tenants.d/b.conf"
    refused("%s:%d" % (b, line_of(b, "publish")), str(d.ports["a"]), "a")
    del d.ports["b"]
    d.tenant("b")
    edit(b, 'slug = "b"', 'slug = "a"')
    refused(b, "a.conf")
    with open(b, "wb") as f:
        f.write(b"\x7fELF\0\0\0")
    refused(b)
    os.unlink(b)
    os.mkdir(b)
    refused(b)
    os.rmdir(b)
    with open(d.conf, "a") as f:
        f.write('tenants_dir = "%s/elsewhere";' % d.home)
    refused("elsewhere")


def test_refused_surroundings(daemon):
    """Exit code 1 and one line that says what to do; nothing was made or changed."""
    d = daemon
    d.tenant("a")

    def refused(*texts, host=""):
        d.configure(host=host)
        code, said = run(d)
        assert code == 1, (code, said)
        for t in texts:
            assert t in said, (t, said)

    os.mkdir(d.home + "/run")
    os.chmod(d.home + "/run", 0o777)
    refused("runtime_dir", d.home + "/run", "writable by nobody else")
    os.rmdir(d.home + "/run")
    with open(d.home + "/run", "w") as f:
        f.write("x")
    refused("runtime_dir", "not a directory")
    os.unlink(d.home + "/run")
    with open(d.home + "/state", "w") as f:
        f.write("x")
    refused("state_dir", "not a directory")
    os.unlink(d.home + "/state")
    refused("control_group", "nosuchgroup", host='control_group = "nosuchgroup";')
    os.unlink(d.home + "/run/control.sock") if os.path.exists(d.home + "/run/control.sock") else None
    with open(d.home + "/run/control.sock", "w") as f:
        f.write("kept")
    refused("control.sock", "not a socket")
    with open(d.home + "/run/control.sock") as f:
        assert f.read() == "kept"
    d.configure()
    edit(d.conf, '"nobody"', '"nosuchuser"')
    code, said = run(d)
    assert code == 1 and "proxy_user" in said and "nosuchuser" in said, said
    assert not d.engine.docker("ps", "-aq", "--filter", "name=openclaw-gw-a")


def test_a_second_daemon_is_refused(daemon):
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    pid, started = d.proxy_pid("a"), d.inspect("openclaw-gw-a")["State"]["StartedAt"]
    code, said = run(d)
    assert code == 1 and "pid %d" % d.proc.pid in said and d.home + "/run" in said, said
    d.healthy("a")
    assert d.proxy_pid("a") == pid and d.inspect("openclaw-gw-a")["State"]["StartedAt"] == started
    assert http_request(d.proxy_sock("a"), "GET", "/_ping").status == 200


# ---------------------------------------------------------------- what one tenant suffers from alone
def test_things_in_the_place_of_sockets(daemon):
    d = daemon
    d.tenant("a")
    d.tenant("b")
    os.makedirs(d.home + "/run/a")
    os.makedirs(d.home + "/run/b")
    bind(d.home + "/run/control.sock")  # left by one that was killed
    bind(d.proxy_sock("a"))
    with open(d.proxy_sock("b"), "w") as f:
        f.write("kept")
    d.start().healthy("a")
    wait_reason(d, "b", "not a socket", "proxy")
    for _ in range(20):  # probes go on and fail, and must not hide why it cannot be started
        c = d.component("b", "proxy")
        assert c["state"] != "backoff" or "not a socket" in c["reason"], c
        time.sleep(0.1)
    assert not d.engine.docker("ps", "-aq", "--filter", "name=openclaw-gw-b")  # no gateway without its proxy
    with open(d.proxy_sock("b")) as f:
        assert f.read() == "kept"
    os.unlink(d.proxy_sock("b"))
    d.healthy("b")
    assert d.starts("b") == 1


def test_an_image_that_comes_later(daemon):
    d = daemon
    d.tenant("a", gateway_image="clawtest-later:1")
    d.engine.docker("rmi", "clawtest-later:1", check=False)
    d.start()
    wait_reason(d, "a", "clawtest-later:1 is not on this host")
    assert d.clawsup("status", check=False).returncode in (1, 2)
    before = len(actions(d, "a"))
    time.sleep(3)
    tried = len(actions(d, "a")) - before
    assert 1 <= tried <= 6, tried  # 500 ms to 1 s apart: neither given up nor in a loop
    d.engine.docker("tag", IMAGE, "clawtest-later:1")
    d.healthy("a", seconds=10)
    assert d.starts("a") == 1 and d.component("a", "gateway")["restarts_1h"] == 0
    d.stop()
    d.engine.docker("rm", "-f", "openclaw-gw-a")
    d.engine.docker("rmi", "clawtest-later:1")


def test_a_gateway_that_ends_at_once(daemon):
    d = daemon
    d.tenant("a")
    d.flag("a", "broken")
    since = str(time.time())
    d.start().wait_state("a", "quarantined", 90)

    def starts():
        return len(d.engine.docker("events", "--since", since, "--until", str(time.time()), "--filter", "event=start",
                                   "--filter", "label=clawsup.tenant=a", "--format", "{{.Actor.Attributes.name}}").split())

    n = starts()
    assert 3 <= n <= 10, n
    time.sleep(3)
    assert starts() == n
    assert "exited" in d.component("a", "gateway")["reason"] or "code 3" in d.component("a", "gateway")["reason"]
    assert d.engine.docker("ps", "-aq", "--filter", "name=openclaw-gw-a").count("\n") == 0  # one container is left


def test_a_port_of_somebody_else(daemon):
    d = daemon
    d.tenant("a")
    with socket.socket() as s:
        s.bind(("127.0.0.1", d.ports["a"]))
        s.listen(1)
        d.start()
        c = wait_reason(d, "a", "is taken by a process")
        assert str(d.ports["a"]) in c["reason"]
        time.sleep(2)
        assert d.tenant_status("a")["state"] != "quarantined"
        assert len(d.engine.docker("ps", "-aq", "--filter", "name=openclaw-gw-a").split()) == 1
    d.healthy("a", seconds=15)
    assert d.component("a", "gateway")["restarts_1h"] == 0


def test_somebody_elses_container(daemon):
    d = daemon
    d.tenant("a")
    d.engine.docker("run", "-d", "--network", "none", "--name", "openclaw-gw-a", IMAGE, "sleep", "600")
    before = d.inspect("openclaw-gw-a")
    d.start()
    c = wait_reason(d, "a", "not clawsup's")
    assert "external" in c["reason"]
    p = d.clawsup("restart", "a", check=False)
    assert p.returncode == 1
    p = d.clawsup("redeploy", "a", check=False)
    assert p.returncode == 1
    time.sleep(2)
    now = d.inspect("openclaw-gw-a")
    assert (now["Id"], now["State"], now["Name"]) == (before["Id"], before["State"], before["Name"])
    assert now["HostConfig"] == before["HostConfig"]
    d.engine.docker("rm", "-f", "openclaw-gw-a")
    d.healthy("a", seconds=20)


def test_data_root_on_a_disk_that_is_not_mounted(daemon):
    d = daemon
    disk = d.home + "/disk"
    d.tenant("a", data=disk + "/a")
    d.start()
    wait_reason(d, "a", "data_root %s/a" % disk)
    assert not os.path.exists(disk)  # not made on the disk below
    assert not d.engine.docker("ps", "-aq", "--filter", "name=openclaw-gw-a")
    os.mkdir(disk)
    d.healthy("a", seconds=15)
    assert os.path.isdir(disk + "/a")


def test_env_file(daemon):
    d = daemon
    path = d.home + "/secret.env"
    d.tenant("a", gateway='env_file = "%s";' % path)
    d.start()
    wait_reason(d, "a", "env_file %s" % path)
    with open(path, "w") as f:
        f.write("# keys\nGOOD=hush-1\nhush-2 is no assignment\n")
    wait_reason(d, "a", "%s:3" % path)
    with open(path, "w") as f:
        f.write("# keys\n\nGOOD=hush-1\nEMPTY=\n")
    d.healthy("a", seconds=15)
    env = d.inspect("openclaw-gw-a")["Config"]["Env"]
    assert "GOOD=hush-1" in env and "EMPTY=" in env
    assert "hush" not in d.log() + json.dumps(d.status("a")) + json.dumps(events(d, "a"))
    with open(d.home + "/state/state.db", "rb") as f:
        assert b"hush" not in f.read()


# ---------------------------------------------------------------- the engine
def test_the_engine_comes_late(make_daemon, engine):
    path = "/tmp/clawtest-late-%d.sock" % os.getpid()
    d = make_daemon(path)
    d.tenant("a")
    d.start()
    wait_for(lambda: d.status()["host"]["state"] == "engine-down", 10, d.log()[-2000:])
    assert d.status()["host"]["engine"]["up"] is False
    assert path in d.log()
    assert d.clawsup("status", check=False).returncode == 1
    p = d.clawsup("restart", "a", check=False)
    assert p.returncode == 1 and "engine" in p.stderr
    time.sleep(1)
    relay = Relay(path, engine.sock)
    try:
        d.healthy("a", seconds=40)
        assert d.starts("a") == 1 and d.component("a", "gateway")["restarts_1h"] == 0
        assert d.component("a", "proxy")["restarts_1h"] <= 1
        d.stop()
    finally:
        relay.close()


def test_the_engine_goes_and_comes(own_engine):
    """Hung, then stopped: nothing is done while it is away, and what the engine took down with it comes back."""
    d = Daemon(own_engine)
    try:
        d.tenant("a")
        edit(d.home + "/tenants.d/a.conf", 'hold = "4s";', 'hold = "10m";')
        d.tenant("b")
        edit(d.home + "/tenants.d/b.conf", 'hold = "4s";', 'hold = "10m";')
        d.start().healthy("a", "b")
        before = {s: d.inspect(d.gateway(s))["State"]["StartedAt"] for s in "ab"}
        pids = {s: d.proxy_pid(s) for s in "ab"}

        own_engine.proc.send_signal(signal.SIGSTOP)
        wait_for(lambda: d.status()["host"]["state"] == "engine-down", 15)
        n = {s: len(actions(d, s)) for s in "ab"}
        time.sleep(4)
        assert {s: len(actions(d, s)) for s in "ab"} == n
        own_engine.proc.send_signal(signal.SIGCONT)
        wait_for(lambda: d.status()["host"]["state"] == "normal", 20)
        d.healthy("a", "b")
        assert {s: d.inspect(d.gateway(s))["State"]["StartedAt"] for s in "ab"} == before  # they had never been away
        assert {s: d.proxy_pid(s) for s in "ab"} == pids

        own_engine.stop()
        wait_for(lambda: d.status()["host"]["state"] == "engine-down", 15)
        n = {s: len(actions(d, s)) for s in "ab"}
        time.sleep(3)
        assert {s: len(actions(d, s)) for s in "ab"} == n
        wait_for(lambda: "clawsup_engine_up 0" in d.metrics(), 5)
        own_engine.start()
        d.healthy("a", "b", seconds=30)
        for s in "ab":
            c = d.component(s, "gateway")
            assert c["restarts_1h"] <= 1, c  # the one that brought it back
            assert d.tenant_status(s)["redeploys_24h"] == 0
            assert d.starts(s) == 2
            assert d.proxy_pid(s) == pids[s]
    finally:
        own_engine.proc.send_signal(signal.SIGCONT) if own_engine.proc.poll() is None else None
        d.cleanup()


# ---------------------------------------------------------------- our own files
def test_a_full_disk_below_the_state(daemon):
    d = daemon
    d.tenant("a")
    os.mkdir(d.home + "/state")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", d.home + "/state"], check=True)
    filler = d.home + "/state/filler"

    def fill():
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass

    def kill_gateway():
        n = d.starts("a")
        os.kill(d.inspect("openclaw-gw-a")["State"]["Pid"], signal.SIGKILL)
        wait_for(lambda: d.starts("a") == n + 1, 20, d.log()[-3000:])
        d.healthy("a")

    d.start().healthy("a")
    assert d.status()["host"]["state_store"] == "ok"
    fill()
    for _ in range(2):
        kill_gateway()
    wait_for(lambda: d.status()["host"]["state_store"] == "degraded", 10, d.log()[-3000:])
    wait_for(lambda: "clawsup_state_store_ok 0" in d.metrics(), 5)
    assert d.log().count("the state cannot be written") == 1
    os.unlink(filler)
    kill_gateway()
    assert d.status()["host"]["state_store"] == "ok"
    assert "the state can be written again" in d.log()
    used = d.component("a", "gateway")["restarts_1h"]
    assert used == 3
    # Full from the start on: everything works, and it is said.
    fill()
    d.stop()
    d.start().healthy("a")
    wait_for(lambda: d.status()["host"]["state_store"] == "degraded", 10, d.log()[-3000:])
    os.unlink(filler)
    kill_gateway()
    wait_for(lambda: d.status()["host"]["state_store"] == "ok", 10, d.log()[-3000:])


def test_a_damaged_state(daemon):
    d = daemon
    d.tenant("a")
    os.mkdir(d.home + "/state", 0o700)
    with open(d.home + "/state/state.db", "w") as f:
        f.write("this is no database\n" * 1000)
    d.start().healthy("a")
    assert d.status()["host"]["state_store"] == "ok"
    kept = [n for n in os.listdir(d.home + "/state") if ".corrupt-" in n]
    assert len(kept) == 1 and kept[0] in d.log()
    with open(d.home + "/state/" + kept[0]) as f:
        assert f.read().startswith("this is no database")


def test_a_metrics_directory_that_comes_later(daemon):
    d = daemon
    d.tenant("a")
    d.configure()
    edit(d.conf, d.home + "/clawsup.prom", d.home + "/metrics/clawsup.prom")
    d.start().healthy("a")
    time.sleep(2)
    assert d.log().count("metrics_file %s/metrics/clawsup.prom" % d.home) == 1
    os.mkdir(d.home + "/metrics")
    wait_for(lambda: os.path.exists(d.home + "/metrics/clawsup.prom"), 5)
