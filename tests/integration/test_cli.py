"""The command line without a daemon: usage, suggestions, help, check-config, explain, an absent or strange clawsupd;
and `status` and `events` against canned answers, checked to the character where scripts depend on it."""

import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading

import pytest

from clawtest import REPO, program

TENANT = """
tenant: {
  slug = "%(slug)s";
  data_root = "%(root)s/%(slug)s";
  proxy = { allow = { start = true; stop = true; restart = false; exec = true; };
            images = [ "openclaw-sandbox:bookworm-slim" ];
            bind_mount_from = [ "%(root)s/%(slug)s/workspace" ]; };
  gateway = { image = "openclaw:1"; health = { url = "http://127.0.0.1:%(port)d/healthz"; };
              publish = [ "127.0.0.1:%(port)d:18789" ]; };
  limits = { cpus = 1.0; memory = "1G"; pids = 256;
             sandbox = { cpus = 1.0; memory = "512M"; pids = 128; max_containers = 4; }; };
};
"""

VERBS = ["status", "top", "events", "logs", "denials", "init", "deploy", "diff", "remove", "restart", "redeploy", "pause", "resume", "release", "reload", "check-config", "explain",
         "import-compose", "capacity", "doctor", "version"]


def run(*args, input=None, env=None):
    base = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "CLAWSUP_SOCKET")}
    return subprocess.run([program("clawsup"), *args], input=input if input is not None else "", text=True,
                          capture_output=True, timeout=30, check=False, env={**base, **(env or {})})


@pytest.fixture
def tmp_path():
    """Shorter than pytest's own: socket names are short."""
    with tempfile.TemporaryDirectory(prefix="cli-") as d:
        yield pathlib.Path(d)


@pytest.fixture
def conf(tmp_path):
    (tmp_path / "tenants.d").mkdir()
    for port, slug in enumerate(("acme", "beta"), 18801):
        (tmp_path / "tenants.d" / (slug + ".conf")).write_text(TENANT % {"slug": slug, "root": tmp_path, "port": port})
    path = tmp_path / "clawsup.conf"
    path.write_text('runtime_dir = "%s/run";\n' % tmp_path)
    return str(path)


# ---------------------------------------------------------------- usage
def test_help_names_every_verb_and_exits_0():
    p = run("--help")
    assert p.returncode == 0 and p.stderr == ""
    for v in VERBS:
        assert re.search(r"^  %s +\S" % v, p.stdout, re.M), v


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(verb):
    for args in (("--help",), ("-h",)):
        p = run(verb, *args)
        assert p.returncode == 0, p.stderr
        assert p.stdout.startswith("Usage: clawsup %s" % verb)
        assert "Examples:\n  " in p.stdout and "--socket PATH" in p.stdout
    assert run("help", verb).stdout == run(verb, "--help").stdout


@pytest.mark.parametrize("args,text", [
    ((), "a verb is missing"),
    (("statsu",), "did you mean 'status'?"),
    (("relaod",), "did you mean 'reload'?"),
    (("frobnicate",), "clawsup --help lists the verbs"),
    (("stat",), "did you mean 'status'?"),
    (("check",), "did you mean 'check-config'?"),
    (("ps",), "did you mean 'status'?"),
    (("status", "--sort", "size"), "name, state, restarts, cpu, memory, disk"),
    (("status", "--state", "dwon"), "did you mean 'down'?"),
    (("status", "--state", "down,"), "no state ''"),
    (("status", "a", "b"), "too many arguments: 'b'"),
    (("restart",), "usage: clawsup restart TENANT"),
    (("restart", "a", "b", "c"), "too many arguments: 'c'"),
    (("status", "--jsn"), "did you mean '--json'?"),
    (("status", "--wach"), "did you mean '--watch'?"),
    (("status", "--follow"), "unknown option '--follow'"),
    (("status", "--json=yes"), "takes no value"),
    (("status", "--socket"), "needs a value: PATH"),
    (("status", "-x"), "unknown option '-x'"),
    (("pause", "a", "--for", "3"), "'3' is no time"),
    (("pause", "a", "--for", "25h"), "24h"),
    (("pause", "a", "--for", "0s"), "24h"),
    (("events", "--lines", "-1"), "--lines"),
    (("events", "--lines", "10001"), "--lines"),
    (("denials",), "usage: clawsup denials TENANT"),
    (("denials", "a", "--lines", "257"), "--lines"),
    (("logs",), "usage: clawsup logs TENANT"),
    (("logs", "a/b"), "no name of a tenant"),
    (("logs", "a", "--since", "x"), "2026-05-01T10:00:00Z"),
    (("top", "--interval", "1"), "'1' is no time"),
    (("top", "--count", "0"), "--count"),
    (("top", "--sort", "size"), "cpu, memory, disk"),
    (("top", "a"), "too many arguments"),
    (("events", "--since", "yesterday"), "2026-05-01T10:00:00Z"),
    (("events", "a", "--tenant", "b"), "two tenants"),
    (("rm", "a"), "did you mean 'remove'?"),
    (("init",), "usage: clawsup init TENANT"),
    (("init", "No"), "no name of a tenant"),
    (("remove", "../x"), "no name of a tenant"),
    (("deploy", "a", "--timeout", "5"), "'5' is no time"),
    (("explain", "acme"), "usage: clawsup explain TENANT"),
])
def test_usage_errors_exit_64_and_say_what_would_work(args, text):
    p = run(*args)
    assert p.returncode == 64, p
    assert p.stdout == ""
    assert text in p.stderr and p.stderr.startswith("clawsup")


def test_version_and_options_anywhere():
    want = run("--version").stdout
    assert re.fullmatch(r"clawsup \d+\.\d+\.\d+\n", want)
    assert run("status", "--version").stdout == want
    assert run("--socket", "/nonexistent", "version", "--json").returncode == 3
    p = run("--json", "--socket=/nonexistent", "status")
    assert p.returncode == 3 and json.loads(p.stdout)["code"] == "unreachable"
    assert run("status", "--", "--watch", "--socket", "x").returncode == 64


# ---------------------------------------------------------------- no daemon
@pytest.mark.parametrize("args", [("status",), ("status", "a"), ("events",), ("events", "--follow"), ("denials", "a"), ("restart", "a"),
                                  ("redeploy", "a"), ("pause", "a"), ("resume", "a"), ("release", "a"), ("reload",), ("deploy", "a"), ("remove", "a", "--yes"),
                                  ("top",), ("diff",)])
def test_an_absent_daemon_is_3(args, tmp_path):
    p = run(*args, "--socket", str(tmp_path / "none"))
    assert p.returncode == 3
    assert "none: No such file or directory" in p.stderr and "systemctl status clawsupd" in p.stderr


def test_a_stale_socket_is_3(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
    p = run("status", "--socket", path)
    assert p.returncode == 3 and "Connection refused" in p.stderr


def test_the_socket_comes_from_the_option_then_the_environment_then_the_configuration(conf, tmp_path):
    assert "/opt: " in run("--socket", "/opt", "--config", conf, "status", env={"CLAWSUP_SOCKET": "/env"}).stderr
    assert "/env: " in run("--config", conf, "status", env={"CLAWSUP_SOCKET": "/env"}).stderr
    assert "%s/run/control.sock: " % tmp_path in run("--config", conf, "status").stderr
    # A file that clawsupd would refuse still tells where the running one is.
    with open(conf, "a") as f:
        f.write("nonsense_key = 1;\n")
    assert "%s/run/control.sock: " % tmp_path in run("--config", conf, "status").stderr


def test_version_without_a_daemon_still_tells_ours(tmp_path):
    p = run("version", "--socket", str(tmp_path / "none"))
    assert p.returncode == 3 and p.stdout.startswith("clawsup ") and "not reachable" in p.stdout


class Canned:
    """Answers each connection's requests with the given lines and keeps what was asked."""

    def __init__(self, path, *lines, linger=False):
        self.path, self.lines, self.asked, self.linger = path, lines, [], linger
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            try:
                with c, c.makefile("rb") as f:
                    self.asked.append(json.loads(f.readline()))
                    for text in self.lines:
                        c.sendall(text if isinstance(text, bytes) else (json.dumps(text) + "\n").encode())
                    if self.linger:
                        f.readline()
            except (OSError, ValueError):
                pass  # a client that went away in the middle

    def close(self):
        self.sock.close()


@pytest.fixture
def canned(tmp_path):
    made = []

    def make(*lines, **kw):
        made.append(Canned(str(tmp_path / ("s%d" % len(made))), *lines, **kw))
        return made[-1]
    yield make
    for c in made:
        c.close()


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b"", b'{"v":1,"ok":true'])
def test_a_strange_daemon_is_3(canned, line):
    d = canned(line)
    assert run("status", "--socket", d.path).returncode == 3


@pytest.mark.parametrize("code,exit_code", [("refused", 1), ("busy", 1), ("internal", 1), ("usage", 64)])
def test_a_refused_verb_says_why_and_what_would_work(canned, code, exit_code):
    d = canned({"v": 1, "ok": False, "code": code, "error": "no \x1b[2Jway", "hint": "try later"})
    p = run("restart", "a", "--socket", d.path)
    assert p.returncode == exit_code
    assert p.stderr == "clawsup restart: no ?[2Jway\n  try later\n"
    assert d.asked == [{"v": 1, "verb": "restart", "tenant": "a"}]


def test_a_mistyped_tenant_gets_a_suggestion(canned):
    d = canned({"v": 1, "ok": False, "code": "unknown-tenant", "error": "there is no tenant \"amce\"",
                "tenants": ["acme", "beta"]})
    p = run("status", "amce", "--socket", d.path)
    assert p.returncode == 64 and "did you mean 'acme'?" in p.stderr
    p = run("status", "zzz", "--socket", d.path)
    assert p.returncode == 64 and "tenants: acme beta" in p.stderr


def test_requests_carry_their_fields(canned):
    d = canned({"v": 1, "ok": True, "text": "done"})
    assert run("restart", "a", "proxy", "--socket", d.path).stdout == "done\n"
    assert run("pause", "a", "--for", "30m", "--socket", d.path).returncode == 0
    assert run("reload", "--socket", d.path).returncode == 0
    assert d.asked == [{"v": 1, "verb": "restart", "tenant": "a", "component": "proxy"},
                       {"v": 1, "verb": "pause", "tenant": "a", "for_us": 1800000000},
                       {"v": 1, "verb": "reload"}]


def test_reload_prints_what_changed_or_every_finding(canned):
    d = canned({"v": 1, "ok": True, "text": "reloaded", "added": ["b"], "changed": [], "removed": ["a"]})
    assert run("reload", "--socket", d.path).stdout == "reloaded\n  added    b\n  removed  a\n"
    d = canned({"v": 1, "ok": False, "code": "refused", "error": "not loaded", "findings": ["f:1: x", "f:2: y"]})
    p = run("reload", "--socket", d.path)
    assert p.returncode == 1 and "  f:1: x\n  f:2: y\n" in p.stderr


# ---------------------------------------------------------------- status and events
def component(name, state="healthy", **kw):
    return {"name": name, "kind": "proxy" if name == "proxy" else "container", "mode": "managed", "state": state,
            "since": "2026-05-01T09:59:00Z", "reason": "", "held_by": None, "fails": 0, "oks": 5, "fall": 3, "rise": 2,
            "restarts_1h": 0, "restarts_24h": 0, "budget_1h": 6, "budget_24h": 20, "next": None, "container": None,
            "pid": 4242 if name == "proxy" else None, "last_probes": [], **kw}


def tenant(slug="acme", state="healthy", **kw):
    return {"slug": slug, "state": state, "level": "L0", "flapping": False, "redeploys_24h": 0,
            "quarantined_since": None, "hold_until": None,
            "components": [component("proxy"), component("gateway")],
            "resources": {"cpu_usage_usec": 1500000, "cpu_limit_nano": 1000000000, "memory_bytes": 327155712,
                          "memory_limit_bytes": 2147483648, "pids": 12, "pids_limit": 512, "disk_bytes": None,
                          "disk_limit_bytes": None, "level": "slice"},
            "proxy_requests": {"allowed": 10, "reported": 0, "denied": 2, "errors": 0, "records_dropped": 0},
            "filter": "enforce",
            "last_event": {"at": "2026-05-01T09:59:48Z", "kind": "state", "component": "gateway",
                           "text": "starting -> healthy"}, **kw}


def status(*tenants, **host):
    return {"v": 1, "ok": True, "now": "2026-05-01T10:00:00.000000Z", "version": "0.1.0", "tenants": list(tenants),
            "host": {"state": "normal", "since": "2026-05-01T09:00:00Z", "started_at": "2026-05-01T09:00:00Z",
                     "engine": {"up": True, "version": "20.10.24", "api_version": "1.41"}, "observing": False,
                     "actions_in_flight": 0, "limits_level": "slice", "state_store": "ok",
                     "config": {"file": "/etc/clawsup/clawsup.conf", "loaded_at": "2026-05-01T09:00:00Z",
                                "error": None}, **host}}


@pytest.mark.parametrize("reply,code", [
    (status(), 0),
    (status(tenant()), 0),
    (status(tenant(), tenant("b", "degraded")), 1),
    (status(tenant("a", "starting")), 1),
    (status(tenant("a", "paused")), 1),
    (status(tenant("a", "down"), tenant("b", "quarantined")), 2),
    (status(tenant(), state="engine-down"), 1),
    (status(tenant(), state_store="degraded"), 1),
    (status(tenant(), engine={"up": False, "version": None, "api_version": None}), 1),
    (status(tenant(), config={"file": "f", "loaded_at": "2026-05-01T09:00:00Z", "error": "f:3: x"}), 1),
])
def test_exit_codes_of_status(canned, reply, code):
    d = canned(reply)
    assert run("status", "--socket", d.path).returncode == code
    p = run("status", "--json", "--socket", d.path)
    assert p.returncode == code and json.loads(p.stdout) == reply


def test_status_for_scripts(canned):
    d = canned(status(tenant(), tenant("beta", "quarantined", level="L4", last_event=None)))
    p = run("status", "--plain", "--no-heading", "--socket", d.path)
    assert p.stdout == (
        "acme\thealthy\thealthy\thealthy\tL0\t0/0\t-\t312M/2G\t-\t12s ago: gateway starting -> healthy\n"
        "beta\tquarantined\thealthy\thealthy\tL4\t0/0\t-\t312M/2G\t-\t-\n")
    p = run("status", "--plain", "--socket", d.path)
    assert p.stdout.splitlines()[0].split("\t")[:3] == ["TENANT", "STATE", "PROXY"]


def test_status_has_no_escape_sequences_without_a_terminal(canned):
    d = canned(status(tenant(last_event={"at": "2026-05-01T09:59:48Z", "kind": "x", "text": "a\x1b]0;b\x07\nc"})))
    for args in ((), ("acme",), ("--plain",)):
        p = run("status", *args, "--socket", d.path)
        assert "\x1b" not in p.stdout and "\x07" not in p.stdout


def test_status_on_a_terminal_has_colour_unless_no_color(canned):
    d = canned(status(tenant()))
    for env, colour in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        p = subprocess.run(["script", "-qec", "%s status --socket %s" % (program("clawsup"), d.path), "/dev/null"],
                           capture_output=True, timeout=30, check=False, text=True,
                           env={**os.environ, "TERM": "xterm", **env})
        assert ("\x1b[32m" in p.stdout) == colour, p.stdout


def test_the_host_is_mentioned_when_something_is_wrong_with_it(canned):
    assert "host" not in run("status", "--socket", canned(status(tenant())).path).stdout
    d = canned(status(tenant(), state="engine-down", since="2026-05-01T09:59:20Z"))
    out = run("status", "--socket", d.path).stdout
    assert out.startswith("host: engine-down for 40s; the Docker Engine does not answer")
    d = canned(status(tenant(), config={"file": "f", "loaded_at": "2026-05-01T09:00:00Z", "error": "f:3: bad"}))
    assert "configuration: f:3: bad" in run("status", "--socket", d.path).stdout


def test_one_tenant_in_detail(canned):
    gateway = component(
        "gateway", "backoff", reason="3 probes failed", fails=3, restarts_1h=1, restarts_24h=4,
        next={"action": "restart", "level": "L1", "attempt": 2, "attempts": 3, "at": "2026-05-01T10:00:04.100000Z"},
        container={"id": "0123456789abcdef", "name": "openclaw-gw-acme", "image": "openclaw:1", "state": "running",
                   "health": None, "restart_count": 0, "started_at": "2026-05-01T09:58:00Z", "exit_code": None},
        last_probes=[{"at": "2026-05-01T09:59:58Z", "result": "fail", "duration_us": 1234, "detail": "HTTP 503"}])
    t = tenant(state="down", level="L1", components=[component("proxy"), gateway],
               events=[{"at": "2026-05-01T09:59:58Z", "kind": "state", "component": "gateway", "text": "failed"}])
    out = run("status", "acme", "--socket", canned(status(t)).path).stdout
    assert out.startswith("acme: down\n")
    for text in ("[L1 restart]", "gateway: restart 2 of 3 in 4.1s", "clawsup restart acme", "clawsup pause acme",
                 "3 probes failed", "1/6", "4/20", "openclaw-gw-acme 0123456789ab, running for 2m, image openclaw:1",
                 "process 4242", "1.2ms", "HTTP 503", "2s ago", "312M/2G", "12/512", "limit 1 CPUs",
                 "10 allowed, 2 denied, 0 errors"):
        assert text in out, (text, out)


@pytest.mark.parametrize("state,hint", [
    ("quarantined", "clawsup release acme"), ("paused", "clawsup resume acme"), ("held", "clawsup resume acme"),
    ("degraded", "clawsup restart acme")])
def test_detail_says_what_the_operator_can_do(canned, state, hint):
    assert hint in run("status", "acme", "--socket", canned(status(tenant(state=state))).path).stdout
    assert hint not in run("status", "acme", "--socket", canned(status(tenant())).path).stdout


def test_detail_says_what_is_wrong_since_when_and_what_was_done(canned):
    gateway = component("gateway", "backoff", reason="3 probes failed", since="2026-05-01T09:59:50Z",
                        last_probes=[{"at": "2026-05-01T09:59:58Z", "result": "fail", "duration_us": 1, "detail": "HTTP 503"}])
    events = [{"at": "2026-05-01T09:50:00Z", "kind": "result", "component": "gateway", "text": "restart done: of long ago"},
              {"at": "2026-05-01T09:51:00Z", "kind": "state", "component": "gateway", "text": "verifying -> healthy"},
              {"at": "2026-05-01T09:58:00Z", "kind": "state", "component": "gateway", "text": "healthy -> suspect: HTTP 503"},
              {"at": "2026-05-01T09:58:30Z", "kind": "result", "component": "gateway", "text": "restart done: running again"},
              {"at": "2026-05-01T09:59:00Z", "kind": "state", "component": "gateway", "text": "verifying -> backoff"}]
    t = tenant(state="down", components=[component("proxy"), gateway], events=events)
    out = run("status", "acme", "--socket", canned(status(t)).path).stdout
    head = out[:out.index("\nComponents")]
    assert re.search(r"^  wrong +gateway backoff: 3 probes failed; HTTP 503$", head, re.M), out
    assert re.search(r"^  since +2m ago$", head, re.M), out
    assert re.search(r"^  done +1m30s ago: gateway restart done: running again$", head, re.M), out
    assert "long ago" not in head
    assert head.index("wrong") < head.index("since") < head.index("done") < head.index("next") < head.index("you can")
    assert "wrong" not in run("status", "acme", "--socket", canned(status(tenant())).path).stdout


def test_status_is_sorted_and_filtered_and_the_exit_code_is_that_of_all(canned):
    d = canned(status(tenant("a"), tenant("b", "quarantined"), tenant("c", "down"), tenant("d", "paused")))

    def shown(*args):
        p = run("status", "--plain", "--no-heading", "--socket", d.path, *args)
        assert p.returncode == 2
        return [line.split("\t")[0] for line in p.stdout.splitlines()]
    assert shown() == ["a", "b", "c", "d"]
    assert shown("--sort", "state") == ["b", "c", "d", "a"]
    assert shown("--state", "unhealthy") == ["b", "c", "d"]
    assert shown("--state", "down,healthy") == ["a", "c"]
    assert shown("--state", "held") == []
    p = run("status", "--json", "--state", "down", "--socket", d.path)
    assert p.returncode == 2 and [t["slug"] for t in json.loads(p.stdout)["tenants"]] == ["c"]


def test_a_tenant_whose_file_is_not_loaded_gets_that_hint(canned, conf):
    d = canned({"v": 1, "ok": False, "code": "unknown-tenant", "error": "there is no tenant \"beta\"", "tenants": ["acme"]})
    p = run("status", "beta", "--socket", d.path, "--config", conf)
    assert p.returncode == 64 and "tenants.d/beta.conf is there, but not loaded" in p.stderr


def test_a_held_back_action_names_its_guard(canned):
    c = component("gateway", "backoff", held_by="engine down",
                  next={"action": "restart-all", "level": "L2", "attempt": 1, "attempts": 2,
                        "at": "2026-05-01T09:59:59Z"})
    out = run("status", "acme", "--socket", canned(status(tenant(components=[c]))).path).stdout
    assert "gateway: restart with its dependents 1 of 2 now (held back: engine down)" in out


def test_half_an_answer_is_shown_not_crashed_on(canned):
    for reply in ({"v": 1, "ok": True}, {"v": 1, "ok": True, "tenants": [None, 7, {}], "host": 3, "now": "x"},
                  {"v": 1, "ok": True, "tenants": {"a": 1}}):
        for args in ((), ("acme",), ("--plain",)):
            assert run("status", *args, "--socket", canned(reply).path).returncode == 1


def test_events(canned):
    e = {"at": "2026-05-01T09:59:58.000001Z", "kind": "state", "tenant": "acme", "component": "gateway", "text": "x y",
         "seq": 7}
    d = canned({"v": 1, "ok": True, "events": [e, {"at": e["at"], "kind": "engine", "text": "down"}]})
    p = run("events", "acme", "--lines", "5", "--plain", "--socket", d.path)
    assert p.stdout == ("2026-05-01T09:59:58.000001Z\tacme/gateway\tstate\tx y\n"
                        "2026-05-01T09:59:58.000001Z\thost\tengine\tdown\n")
    assert d.asked[-1] == {"v": 1, "verb": "events", "tenant": "acme", "lines": 5, "follow": False}
    assert json.loads(run("events", "--tenant", "acme", "--json", "--socket", d.path).stdout)["events"][0] == e
    assert d.asked[-1]["tenant"] == "acme"


def test_events_since(canned):
    rows = [{"at": "20%02d-05-01T00:00:00Z" % y, "kind": "x", "tenant": "a", "component": None, "text": "of %d" % y} for y in (20, 21, 98)]
    d = canned({"v": 1, "ok": True, "events": rows})
    p = run("events", "--since", "2021-05-01T00:00:00Z", "--socket", d.path)
    assert re.findall(r"of \d+", p.stdout) == ["of 21", "of 98"] and d.asked[-1]["lines"] == 10000
    p = run("events", "--since", "1h", "--lines", "7", "--json", "--socket", d.path)
    assert [e["text"] for e in json.loads(p.stdout)["events"]] == ["of 98"] and d.asked[-1]["lines"] == 7


# ---------------------------------------------------------------- top
def loaded(slug, cpu_s, allowed, denied, memory=1 << 20):
    t = tenant(slug)
    t["resources"] = {**t["resources"], "cpu_usage_usec": int(cpu_s * 1e6), "memory_bytes": memory}
    t["proxy_requests"] = {**t["proxy_requests"], "allowed": allowed, "denied": denied}
    return t


class Changing(Canned):
    """Each connection gets the next answer; the last one stays."""

    def __init__(self, path, *lines):
        super().__init__(path, lines[0])
        self.rest = list(lines[1:])

    def serve(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            with c, c.makefile("rb") as f:
                self.asked.append(json.loads(f.readline()))
                c.sendall((json.dumps(self.lines[0]) + "\n").encode())
                if self.rest:
                    self.lines = (self.rest.pop(0),)


def test_top_shows_rates_between_two_looks(tmp_path):
    a = {**status(loaded("a", 1, 10, 0), loaded("b", 1, 5, 5, 3 << 20)), "now": "2026-05-01T10:00:00.000000Z"}
    b = {**status(loaded("a", 2, 30, 10), loaded("b", 1.2, 5, 5, 3 << 20), loaded("new", 9, 0, 0)), "now": "2026-05-01T10:00:02.000000Z"}
    d = Changing(str(tmp_path / "s"), a, b)
    try:
        p = run("top", "--plain", "--interval", "100ms", "--socket", d.path)
    finally:
        d.close()
    rows = [line.split("\t") for line in p.stdout.splitlines()]
    assert p.returncode == 0 and rows[0] == ["TENANT", "STATE", "CPU", "MEMORY", "DISK", "REQ/S", "REFUSED/S", "PIDS", "REFUSED"]
    assert rows[1] == ["a", "healthy", "50%", "1M/2G", "-", "15.0", "5.0", "12", "10"]
    assert rows[2] == ["b", "healthy", "10%", "3M/2G", "-", "0.0", "0.0", "12", "5"]
    assert rows[3][:3] == ["new", "healthy", "-"], "one look gives no rate"
    d = Changing(str(tmp_path / "s2"), a, b)
    try:
        p = run("top", "--json", "--count", "2", "--sort", "memory", "--interval", "100ms", "--socket", d.path)
    finally:
        d.close()
    first, second = [json.loads(x) for x in p.stdout.splitlines()]
    assert [t["slug"] for t in first["tenants"]] == ["b", "a", "new"] and first["interval_us"] == 2000000
    assert second["interval_us"] == 0 and second["tenants"][0]["requests_per_s"] is None
    with open(os.path.join(REPO, "contrib/docs/cli-schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    import check_schema
    for reply in (first, second):
        assert check_schema.Checker(schema).check(schema["$defs"]["top"], reply) == []


def test_events_are_followed_until_the_daemon_goes(canned):
    e = {"at": "2026-05-01T09:59:58Z", "kind": "state", "tenant": "acme", "component": None, "text": "one"}
    d = canned({"v": 1, "ok": True, "events": [e]}, {"v": 1, "event": {**e, "text": "two"}})
    p = run("events", "--follow", "--json", "--socket", d.path)
    assert [json.loads(x)["text"] for x in p.stdout.splitlines()[:2]] == ["one", "two"]
    assert p.returncode == 3 and "it closed the connection" in p.stderr


def test_status_watch_goes_on_while_the_daemon_restarts(canned, tmp_path):
    d = canned(status(tenant()))
    p = subprocess.Popen([program("clawsup"), "status", "--watch", "--json", "--socket", d.path],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert json.loads(p.stdout.readline())["v"] == 1
        assert json.loads(p.stdout.readline())["v"] == 1
        os.unlink(d.path)
        assert "No such file" in p.stderr.readline()
        assert p.poll() is None
    finally:
        p.terminate()
        p.communicate(timeout=10)


# ---------------------------------------------------------------- denials
def denial(rule, denied, **kw):
    return {"rule": rule, "route": None, "denied": denied, "reported": 0, "first_at": "2026-05-01T09:00:00Z",
            "last_at": "2026-05-01T09:59:00Z", "method": "POST", "path": None, "status": 403, "reason": "no",
            "allowed_by": None, **kw}


def denials(*rows, **kw):
    return {"v": 1, "ok": True, "now": "2026-05-01T10:00:00.000000Z", "tenant": "a", "filter": "enforce", "since": "2026-05-01T08:00:00.000000Z",
            "groups": len(rows), "forgotten": 0, "denials": list(rows), **kw}


def test_denials(canned):
    d = canned(denials(
        denial("allow-update", 7, reported=2, route="container-update", allowed_by="proxy.allow.update = true"),
        denial("route-never", 1, route="networks/*", path="/v1.41/networks/create", reason="not \x1b[2Jfor tenants"),
        groups=3, forgotten=4))
    p = run("denials", "a", "--plain", "--socket", d.path)
    assert p.returncode == 0 and d.asked == [{"v": 1, "verb": "denials", "tenant": "a", "lines": 50}]
    rows = [line.split("\t") for line in p.stdout.splitlines()]
    assert rows[0] == ["REFUSED", "REPORTED", "LAST", "RULE", "ROUTE", "ALLOWED BY", "EXAMPLE"]
    assert rows[1:] == [
        ["7", "2", "1m ago", "allow-update", "container-update", "proxy.allow.update = true", "no"],
        ["1", "0", "1m ago", "route-never", "networks/*", "cannot be allowed", "POST /v1.41/networks/create: not ?[2Jfor tenants"]]
    p = run("denials", "a", "--lines", "2", "--socket", d.path)
    assert "1 more groups: --lines 256\n4 groups of long ago were forgotten\n" in p.stdout and d.asked[1]["lines"] == 2
    assert json.loads(run("denials", "a", "--json", "--socket", d.path).stdout)["forgotten"] == 4
    d = canned(denials())
    assert run("denials", "a", "--socket", d.path).stdout == "nothing was refused since 2026-05-01T08:00:00.000000Z\n"


# ---------------------------------------------------------------- check-config
def test_check_config_good(conf):
    p = run("check-config", conf)
    assert p.returncode == 0 and p.stdout == "%s: ok, 2 tenants\n" % conf and p.stderr == ""
    assert run("--config", conf, "check-config").stdout == p.stdout
    j = json.loads(run("check-config", conf, "--json").stdout)
    assert j == {"v": 1, "ok": True, "file": conf, "tenants": 2, "findings": [], "explained": []}


def test_check_config_names_file_and_line_of_every_finding(conf, tmp_path):
    bad = tmp_path / "tenants.d" / "bad.conf"
    bad.write_text('tenant: {\n  slug = "%s";\n  nonsense = 1;\n};\n' % ("x" * 70))
    p = run("check-config", conf)
    assert p.returncode == 1 and p.stdout == ""
    assert "%s:2: " % bad in p.stderr and "%s:3: " % bad in p.stderr
    j = json.loads(run("check-config", conf, "--json").stdout)
    assert not j["ok"] and len(j["findings"]) >= 2


def test_check_config_of_an_absent_file_is_1(tmp_path):
    p = run("check-config", str(tmp_path / "none.conf"))
    assert p.returncode == 1 and "none.conf" in p.stderr


def test_the_example_configuration_is_valid():
    p = run("check-config", os.path.join(REPO, "contrib/config/clawsup.conf"))
    assert p.returncode == 0, p.stderr


# ---------------------------------------------------------------- explain
BODY = {"Image": "openclaw-sandbox:bookworm-slim", "Cmd": ["sleep", "1"]}


def explain(conf, request, body=None, *args, slug="acme"):
    p = run("explain", "--config", conf, "--json", slug, request, *args,
            input=json.dumps(body) if isinstance(body, dict) else body)
    return p.returncode, json.loads(p.stdout)


def test_explain_an_allowed_create_shows_what_the_engine_would_be_asked(conf):
    code, j = explain(conf, "POST /containers/create?name=openclaw-sbx-acme-1", BODY, "--api", "1.41")
    assert code == 0 and j["allowed"] and j["route"] == "container-create"
    assert j["engine_target"] == "/v1.41/containers/create?name=openclaw-sbx-acme-1"
    h = j["engine_body"]["HostConfig"]
    assert h["Privileged"] is False and h["CapDrop"] == ["ALL"] and h["Memory"] == 512 << 20
    assert j["engine_body"]["Labels"]["clawsup.tenant"] == "acme"


@pytest.mark.parametrize("request_,body,status_,rule", [
    ("POST /containers/create?name=openclaw-sbx-acme-1", {**BODY, "HostConfig": {"Privileged": True}}, 403, "Privileged"),
    ("POST /containers/create?name=openclaw-sbx-acme-1", '{"Image":"a","image":"b"}', 400, "json"),
    ("POST /containers/create?name=openclaw-sbx-acme-1", {**BODY, "Image": "alpine"}, 403, "Image"),
    ("POST /containers/create?name=openclaw-sbx-beta-1", BODY, 403, "name"),
    ("POST /containers/create", BODY, 400, ""),
    ("POST /containers/create?name=openclaw-sbx-acme-1", None, 400, "body-missing"),
    ("POST /build", None, 403, "route-never"),
    ("GET /v1.99/info", None, 400, "version"),
    ("GET /containers//json", None, 400, "http"),
    ("GET /containers/%2e%2e/json", None, 400, "http"),
    ("PATCH /info", None, 405, ""),
    ("POST /containers/x/restart", None, 403, "allow-restart"),
    ("POST /containers/openclaw-gw-acme/stop", None, 403, "gateway"),
    ("POST /containers/openclaw-gw-acme/exec", {"Cmd": ["id"]}, 403, "gateway-exec"),
])
def test_explain_a_refusal_names_status_and_rule(conf, request_, body, status_, rule):
    code, j = explain(conf, request_, body)
    assert code == 1 and not j["allowed"], j
    assert j["status"] == status_ and rule in j["rule"] and j["message"], j
    assert "engine_target" not in j and "engine_body" not in j


@pytest.mark.parametrize("request_,target", [
    ("GET /containers/json?all=1", "/v1.41/containers/json"),
    ("POST /v1.41/containers/x/start", "/v1.41/containers/" + "0" * 64 + "/start"),
    ("GET /version", None),
    ("GET /containers/openclaw-gw-acme/json", "/v1.41/containers/" + "0" * 64 + "/json"),
])
def test_explain_what_depends_on_the_running_proxy_is_said(conf, request_, target):
    code, j = explain(conf, request_, None, "--api", "1.41")
    assert code == 0 and j["notes"], j
    assert (j.get("engine_target") or "").startswith(target or "")


def test_explain_in_words(conf):
    p = run("explain", "--config", conf, "acme", "POST /build")
    assert p.returncode == 1
    assert p.stdout.startswith("refused with 403 by rule route-never\n  clawsup: ") and "allowed by" not in p.stdout
    p = run("explain", "--config", conf, "acme", "POST /containers/x/restart")
    assert "  allowed by proxy.allow.restart = true\n" in p.stdout
    p = run("explain", "--config", conf, "acme", "GET /info")
    assert p.returncode == 0 and p.stdout.startswith("allowed by route info\n")


@pytest.mark.parametrize("request_,body,rule", [
    ("POST /containers/x/update", {"Memory": 64 << 20}, "allow-update"),
    ("GET /containers/x/export", None, "allow-export"),
    ("POST /containers/openclaw-gw-acme/exec", {"Cmd": ["id"]}, "gateway-exec"),
])
def test_explain_what_a_filter_that_reports_would_do(conf, tmp_path, request_, body, rule):
    code, j = explain(conf, request_, body)
    assert code == 1 and j["rule"] == rule and "reported" not in j
    f = tmp_path / "tenants.d" / "acme.conf"
    f.write_text(f.read_text().replace("proxy = {", 'proxy = { filter = "report";'))
    code, j = explain(conf, request_, body)
    assert code == 0 and j["allowed"] and j["reported"] and j["rule"] == rule and "is off" in j["message"], j
    p = run("explain", "--config", conf, "acme", request_, input=json.dumps(body) if body else None)
    assert "Only because the filter reports (proxy.filter); by rule %s\n" % rule in p.stdout
    for other in ("POST /containers/x/restart", "POST /build"):
        assert explain(conf, other, None)[0] == 1


def test_explain_reads_its_body_from_a_file(conf, tmp_path):
    f = tmp_path / "body.json"
    f.write_text(json.dumps(BODY))
    code, j = explain(conf, "POST /containers/create?name=openclaw-sbx-acme-1", None, "--body", str(f))
    assert code == 0 and j["allowed"]
    p = run("explain", "--config", conf, "acme", "POST /containers/create?name=x", "--body", str(tmp_path / "none"))
    assert p.returncode == 64 and "none: No such file" in p.stderr


@pytest.mark.parametrize("request_", ["junk", "GET info", "GET /a b", "GET /a\r\nX: y", " GET /a", ""])
def test_explain_wants_a_method_and_a_path(conf, request_):
    p = run("explain", "--config", conf, "acme", request_)
    assert p.returncode == 64 and "not a request" in p.stderr


def test_explain_of_a_mistyped_tenant_suggests_one(conf):
    p = run("explain", "--config", conf, "acmee", "GET /info")
    assert p.returncode == 64 and "did you mean 'acme'?" in p.stderr


def test_explain_with_a_bad_configuration_says_so(conf):
    with open(conf, "a") as f:
        f.write("nonsense_key = 1;\n")
    p = run("explain", "--config", conf, "acme", "GET /info")
    assert p.returncode == 1 and "nonsense_key" in p.stderr and "check-config" in p.stderr


# ---------------------------------------------------------------- doctor
def test_doctor_runs_without_daemon_and_configuration(tmp_path):
    p = run("doctor", "--json")
    assert p.returncode in (0, 1), p.stderr
    j = json.loads(p.stdout)
    assert j["v"] == 1 and j["checks"]
    for c in j["checks"]:
        assert c["state"] in ("ok", "degraded", "missing") and c["what"]
        assert c["todo"] or c["state"] == "ok", c
    assert (p.returncode == 0) == (j["state"] == "ok")
    p = run("doctor", "--config", str(tmp_path / "none.conf"))
    assert p.returncode == 1 and "none.conf" in p.stderr


# ---------------------------------------------------------------- what is explained
def cli_schema(verb, value):
    import check_schema
    with open(os.path.join(REPO, "contrib/docs/cli-schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    return check_schema.Checker(schema).check(schema["$defs"][verb], value)


@pytest.mark.parametrize("old,new,help_text,suggestion", [
    ('memory = "1G"', 'memory = "1X"', "Memory of gateway and sandboxes together.", 'memory = "2G";'),
    ('cpus = 1.0; memory = "1G"', 'cpu = 1.0; memory = "1G"', "Limits of the tenant",
     'limits = { cpus = 1.0; memory = "1G"; pids = 256;'),
    ('image = "openclaw:1"', "image = 7", "Image of the gateway", 'image = "...";'),
    ("start = true", 'start = "yes"', "Start own containers.", "start = true;"),
    ('"127.0.0.1:18801:18789"', '"0.0.0.0:18801:18789"', "Published ports", 'publish = [ "127.0.0.1:18801:18789" ];'),
])
def test_check_config_explains_and_suggests_a_line(conf, tmp_path, old, new, help_text, suggestion):
    path = tmp_path / "tenants.d/acme.conf"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    number = next(i for i, line in enumerate(path.read_text().splitlines(), 1) if new in line)
    p = run("check-config", conf)
    assert p.returncode == 1
    assert "%s:%d: " % (path, number) in p.stderr and "%6d | " % number in p.stderr and help_text in p.stderr, p.stderr
    assert "   try | %s\n" % suggestion in p.stderr, p.stderr
    assert p.stderr.endswith("1 finding\n")
    reply = json.loads(run("check-config", conf, "--json").stdout)
    assert cli_schema("check-config", reply) == [] and reply["explained"][0]["try"] == suggestion


def test_doctor_ends_with_what_to_do_first(conf):
    p = run("doctor", "--config", conf)
    assert p.returncode == 1
    assert re.search(r"\nFirst\n  engine(?:-api)?: .+\n$|\nFirst\n  \S+: .+\n$", p.stdout), p.stdout
    reply = json.loads(run("doctor", "--config", conf, "--json").stdout)
    assert cli_schema("doctor", reply) == []
    first = next(c for c in reply["checks"] if c["name"] == reply["first"])
    assert first["state"] == "missing" and not first["todo"].startswith("see the row")
    assert {"free-space", "inotify", "stale-mounts", "control-group", "unit"} <= {c["name"] for c in reply["checks"]}
