"""What a real engine will not do on command: errors, half answers, stalls, versions that change, an event stream that
breaks. Nothing is done on an answer that was not understood, and nothing is done twice."""

import grp
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from clawtest import REPO, http_request, wait_for


class Fake:
    def __init__(self, home, *args):
        self.sock = home + "/engine.sock"
        self.proc = subprocess.Popen([sys.executable, REPO + "/tests/support/fake_engine.py", "--socket", self.sock, *args],
                                     stdout=subprocess.PIPE, text=True)
        assert self.proc.stdout.readline() == "ready\n"
        try:
            os.chown(self.sock, 0, grp.getgrnam("docker").gr_gid)
        except KeyError:
            pass
        os.chmod(self.sock, 0o660)

    def admin(self, method, path, body=None):
        r = http_request(self.sock, method, "/_fake" + path, body)
        assert r.status == 200, r
        return r.json()

    def rules(self, *rules):
        self.admin("POST", "/rules", list(rules))

    def posted(self, pattern):
        """How often clawsupd has asked for this since the start, or the last forget()."""
        return len([r for r in self.seen() if re.search(pattern, r)])

    def seen(self):
        return [r for r in self.admin("GET", "/requests") if re.match(r"[A-Z]+ /v[0-9.]+/", r)]

    def forget(self):
        self.admin("DELETE", "/requests")

    def changes(self):
        return [r for r in self.seen() if not r.startswith(("GET", "HEAD"))]

    def inspect(self, name):
        r = http_request(self.sock, "GET", "/containers/%s/json" % name)
        return r.json() if r.status == 200 else None

    def names(self):
        return sorted(n[1:] for c in http_request(self.sock, "GET", "/containers/json?all=1").json() for n in c["Names"])

    def die(self, name, code=1):
        self.admin("POST", "/die", {"id": name, "exit": code})


class Gateway:
    """Answers on the published port for as long as the fake container runs."""

    def __init__(self, fake, name, port):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                runs = fake.admin("GET", "/states").get(name) in ("running", "paused")
                body = b'{"ok":true}' if runs else b'{"ok":false}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def world(make_daemon):
    """world(*slugs, engine arguments) -> (daemon, fake engine), not started."""
    made = []

    def make(*slugs, args=(), **kw):
        home = tempfile.mkdtemp(prefix="clawtest-fake-")
        os.chmod(home, 0o755)
        fake = Fake(home, *args)
        d = make_daemon(fake.sock)
        with open(d.conf) as f:
            text = f.read()
        with open(d.conf, "w") as f:
            f.write(text.replace('relist_interval = "5s"', 'relist_interval = "1s"'))
        made.append((home, fake, []))
        for s in slugs or ("a",):
            d.tenant(s, **kw)
            made[-1][2].append(Gateway(fake, d.gateway(s), d.ports[s]))
        return d, fake

    yield make
    for home, fake, gateways in made:
        for g in gateways:
            g.close()
        fake.proc.terminate()
        fake.proc.wait(10)
        shutil.rmtree(home, ignore_errors=True)


def metric(d, name):
    for line in d.metrics().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return None


def versions(fake):
    return {tuple(int(n) for n in re.match(r"[A-Z]+ /v([0-9.]+)/", r)[1].split(".")) for r in fake.seen()}


def test_versions(world):
    """The newest that both know; asked again when the engine was replaced; a clear word when there is none."""
    d, fake = world(args=("--api", "1.52", "--min", "1.44"))
    d.start().healthy("a")
    assert versions(fake) == {(1, 52)}
    assert d.status()["host"]["engine"]["api_version"] == "1.52"

    fake.admin("POST", "/set", {"api": "1.44", "min": "1.24", "server": "25.0.0"})
    fake.admin("POST", "/break", {})
    wait_for(lambda: d.status()["host"]["engine"]["api_version"] == "1.44", 10)
    fake.forget()
    fake.die("openclaw-gw-a")
    wait_for(lambda: fake.posted(r"^POST .*/restart"), 10)
    d.healthy("a")
    assert versions(fake) == {(1, 44)}

    fake.admin("POST", "/set", {"api": "1.99", "min": "1.90", "server": "99.0.0"})
    fake.admin("POST", "/break", {})
    wait_for(lambda: "the engine speaks API 1.90 at least" in d.log(), 15, d.log()[-2000:])
    wait_for(lambda: d.status()["host"]["state"] == "engine-down", 15, d.status()["host"])
    assert d.status()["host"]["engine"]["up"] is False
    fake.forget()
    time.sleep(2)
    assert not fake.changes()
    fake.admin("POST", "/set", {"api": "1.52", "min": "1.44", "server": "29.0.0"})
    d.healthy("a")
    wait_for(lambda: d.status()["host"]["state"] == "normal", 30, d.status()["host"])
    assert fake.inspect("openclaw-gw-a")["State"]["Running"]


def test_errors_on_the_way_up(world):
    d, fake = world()
    fake.rules({"method": "POST", "path": "^/networks/create", "fault": "status", "status": 500, "message": "no more subnets",
                "times": 1},
               {"method": "POST", "path": "^/containers/create", "fault": "status", "status": 500, "message": "disk is full",
                "times": 2},
               {"method": "POST", "path": "/start$", "fault": "status", "status": 500, "message": "no such device", "times": 2})
    d.start()
    for text in ("no more subnets", "disk is full", "no such device"):
        wait_for(lambda: text in d.component("a", "gateway")["reason"] or text in d.log(), 10, text)
    d.healthy("a")
    assert fake.posted("^POST .*/networks/create") == 2
    assert fake.posted("^POST .*/containers/create") == 3
    assert fake.posted("^POST .*/start$") == 3
    assert fake.names() == ["openclaw-gw-a"]
    assert d.component("a", "gateway")["restarts_1h"] == 0


def test_errors_on_restart(world):
    d, fake = world()
    d.start().healthy("a")
    fake.rules({"method": "POST", "path": "/restart$", "fault": "status", "status": 500, "message": "cannot kill", "times": 2})
    fake.forget()
    fake.die("openclaw-gw-a")
    d.healthy("a")
    assert fake.posted("^POST .*/restart") == 3
    assert fake.posted("^POST .*/containers/create") == 0
    assert "cannot kill" in d.log()


def test_errors_for_ever(world):
    """Up the ladder and into quarantine, with what was there kept; out of it when the engine is mended."""
    d, fake = world()
    d.start().healthy("a")
    first = fake.inspect("openclaw-gw-a")["Id"]
    fake.rules({"method": "POST", "path": "/(re)?start$", "fault": "status", "status": 500, "message": "no such runtime"})
    fake.forget()
    fake.die("openclaw-gw-a")
    d.wait_state("a", "quarantined", 60)
    n = fake.posted("^POST .*/(re)?start")
    assert 4 <= n <= 12, fake.changes()
    assert fake.names() == ["openclaw-gw-a"] and fake.inspect("openclaw-gw-a")["Id"] == first
    time.sleep(2)
    assert fake.posted("^POST .*/(re)?start") == n
    assert "no such runtime" in json.dumps(d.tenant_status("a"))
    fake.rules()
    d.clawsup("release", "a")
    d.healthy("a")


def test_a_port_that_the_engine_keeps(world):
    """An engine that was killed may keep a port for nobody until it is restarted: said so, tried again, never charged."""
    d, fake = world()
    d.start().healthy("a")
    fake.rules({"method": "POST", "path": "/(re)?start$", "fault": "status", "status": 500, "message":
                "driver failed programming external connectivity on endpoint openclaw-gw-a (5f): Bind for 127.0.0.1:%d "
                "failed: port is already allocated" % d.ports["a"]})
    fake.die("openclaw-gw-a")
    fake.forget()
    wait_for(lambda: fake.posted("^POST .*/(re)?start") >= 9, 60, d.log()[-2000:])  # the ladder has seven
    gateway = d.component("a", "gateway")
    assert gateway["state"] in ("backoff", "recovering") and gateway["restarts_1h"] <= 1, gateway
    assert "only a restart of the engine gives it free" in d.log()
    assert fake.posted("^POST .*/containers/create") == 0
    fake.rules()
    d.healthy("a")


def test_a_program_that_cannot_be_run(world):
    """The runtime refuses to start the container: unlike a missing image this is its own fault, and ends in quarantine."""
    d, fake = world()
    fake.rules({"method": "POST", "path": "/start$", "fault": "status", "status": 400, "message":
                'failed to create shim task: OCI runtime create failed: exec: "gateway": executable file not found in $PATH'})
    d.start()
    d.wait_state("a", "quarantined", 60)
    assert "executable file not found" in json.dumps(d.tenant_status("a"))
    fake.rules()
    d.clawsup("release", "a")
    d.healthy("a")


GARBAGE = ['{"Id": 7, "State": "running"}', "[]", "null", '{"State": {"Status": "no such state", "Running": true}}',
           '{"State": {}}', "{" * 10000, '{"Id":"\\ud800"}', "\0\1\2", '{"Id": "x", "State": {"Running": 1e999}}', ""]


def test_answers_that_are_not_understood(world):
    """Halves, garbage and lies in what is only looked at: nothing is done, and the truth counts again afterwards."""
    d, fake = world()
    d.start().healthy("a")
    real = fake.inspect("openclaw-gw-a")
    fake.forget()
    looks = "^/containers/[^/]+/json$"  # not the list, which the proxy cannot do without
    for n in (0, 10, 60, 200, 700):
        fake.rules({"method": "GET", "path": looks, "fault": "cut", "bytes": n})
        fake.admin("POST", "/emit", {"text": json.dumps(
            {"Type": "container", "Action": "start", "Actor": {"ID": real["Id"], "Attributes": {"name": "openclaw-gw-a"}},
             "timeNano": 1}) + "\n"})
        time.sleep(0.3)
    for text in GARBAGE:
        fake.rules({"method": "GET", "path": looks, "fault": "body", "text": text})
        fake.admin("POST", "/emit", {"text": json.dumps(
            {"Type": "container", "Action": "start", "Actor": {"ID": real["Id"], "Attributes": {"name": "openclaw-gw-a"}},
             "timeNano": 1}) + "\n"})
        time.sleep(0.2)
    for text in ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{", "SSH-2.0-OpenSSH_9\r\n", "HTTP/1.1 999 x\r\n\r\n"):
        fake.rules({"method": "GET", "path": looks, "fault": "garbage", "text": text})
        time.sleep(0.2)
    time.sleep(1.5)  # a relist, too
    assert not fake.changes(), fake.changes()
    assert d.proc.poll() is None and d.tenant_status("a")["state"] == "healthy", d.log()[-6000:]
    fake.rules()
    fake.die("openclaw-gw-a")
    wait_for(lambda: fake.posted("^POST .*/restart"), 15, d.log()[-2000:])
    d.healthy("a")


def test_half_an_answer_to_a_change(world):
    """It was done, and the answer was lost: found out by looking, not by doing it again."""
    d, fake = world()
    fake.rules({"method": "POST", "path": "^/containers/create", "fault": "cut", "bytes": 40, "times": 1})
    d.start().healthy("a")
    assert fake.posted("^POST .*/containers/create") == 1 and fake.names() == ["openclaw-gw-a"]
    first = fake.inspect("openclaw-gw-a")["State"]["StartedAt"]
    fake.forget()
    fake.rules({"method": "POST", "path": "/restart$", "fault": "cut", "bytes": 5, "times": 1})
    fake.die("openclaw-gw-a")
    wait_for(lambda: fake.posted("^POST .*/restart"), 10)
    d.healthy("a")
    assert fake.inspect("openclaw-gw-a")["State"]["StartedAt"] != first
    assert fake.posted("^POST .*/restart") == 1, fake.changes()


def test_a_restart_that_stalls(world):
    """It has a deadline, the stop time-out and 15 s; the other tenants do not wait for it."""
    d, fake = world("a", "b")
    d.start().healthy("a", "b")
    a = fake.inspect("openclaw-gw-a")["Id"]
    fake.rules({"method": "POST", "path": "^/containers/%s/restart" % a, "fault": "stall", "times": 1})
    fake.forget()
    began = time.monotonic()
    fake.die("openclaw-gw-a")
    wait_for(lambda: fake.posted("^POST .*/%s/restart" % a), 10)
    fake.die("openclaw-gw-b")
    wait_for(lambda: fake.posted("^POST .*/restart") == 2, 5, fake.changes())
    d.healthy("b", seconds=5)
    assert d.tenant_status("a")["state"] == "recovering"
    p = d.clawsup("restart", "a", check=False)
    assert p.returncode == 1 and "in flight" in p.stderr
    wait_for(lambda: d.tenant_status("a")["state"] == "healthy", 30, d.log()[-3000:])
    assert 15.5 < time.monotonic() - began < 25
    assert fake.posted("^POST .*/%s/restart" % a) == 2
    assert d.component("a", "gateway")["restarts_1h"] == 2  # the engine lived all the while: it counts


def test_the_event_stream_breaks(world):
    d, fake = world()
    d.start().healthy("a")
    wait_for(lambda: metric(d, "clawsup_event_stream_reconnects_total") == 0, 5)
    for n, how in enumerate(({"text": '{"Type":"container"'}, {"clean": True}, {"text": "this is no event\n"}), 1):
        fake.admin("POST", "/break", how)
        wait_for(lambda: metric(d, "clawsup_event_stream_reconnects_total") == n, 20, (n, how))
    # After a reconnect all is looked at; without one the list finds what the events did not tell, and counts it.
    assert metric(d, "clawsup_relist_divergence_total") == 0
    fake.rules({"method": "GET", "path": "^/events", "fault": "close"})
    fake.admin("POST", "/break", {})
    wait_for(lambda: fake.admin("GET", "/streams")["open"] == 0, 5)
    assert http_request(fake.sock, "POST", "/containers/openclaw-gw-a/pause").status == 204
    wait_for(lambda: d.component("a", "gateway")["container"]["state"] == "paused", 10)
    wait_for(lambda: metric(d, "clawsup_relist_divergence_total") == 1, 5)
    assert http_request(fake.sock, "POST", "/containers/openclaw-gw-a/unpause").status == 204
    d.healthy("a")
    assert not fake.posted("^POST .*/restart")
