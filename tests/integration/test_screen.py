"""The command line as people see it: in a real terminal of 80 columns. What is compared is what stays the same: columns,
order, that nothing is wider than the screen, that the terminal is given back."""

import re
import shutil

import pytest

from clawtest import program, wait_for
from terminal import Terminal
from test_cli import Canned, canned, component, conf, status, tenant, tmp_path  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")


@pytest.fixture
def terminal():
    made = []

    def make(**kw):
        made.append(Terminal(**kw))
        return made[-1]
    yield make
    for t in made:
        t.close()


def clawsup(t, *args):
    t.run(program("clawsup"), *args)


def fits(screen, t):
    return all(len(line) <= t.width for line in screen.splitlines())


def down(slug):
    gateway = component("gateway", "backoff", reason="3 probes failed",
                        next={"action": "restart", "level": "L1", "attempt": 2, "attempts": 3, "at": "2026-05-01T10:00:04Z"})
    return tenant(slug, "down", components=[component("proxy"), gateway],
                  events=[{"at": "2026-05-01T09:58:00Z", "kind": "state", "component": "gateway", "text": "healthy -> suspect"}])


def test_the_overview_at_80_columns(terminal, canned):
    long = {"at": "2026-05-01T09:59:48Z", "kind": "state", "component": "gateway", "text": "healthy -> suspect: " + "x" * 200}
    d, t = canned(status(tenant(last_event=long), tenant("a-tenant-with-a-name"))), terminal()
    clawsup(t, "status", "--socket", d.path)
    out = t.until("LAST EVENT", "a-tenant-with-a-name", "ready$")
    rows = [line for line in out.splitlines() if re.match(r"(TENANT|acme|a-tenant)", line)]
    assert len(rows) == 3 and len(out.strip().splitlines()) <= 7, out  # nothing wraps
    assert rows[0].split() == ["TENANT", "STATE", "LEVEL", "1H/24H", "CPU", "MEMORY", "DISK", "LAST", "EVENT"]
    assert "12s ago: gat" in rows[1] and "312M/2G" in rows[1]


def test_the_overview_on_a_wide_terminal_has_every_column(terminal, canned):
    d, t = canned(status(tenant())), terminal(width=160)
    clawsup(t, "status", "--socket", d.path)
    out = t.until("LAST EVENT", "acme")
    assert "PROXY" in out and "RESTARTS 1H/24H" in out


def test_watch_redraws_in_place_and_gives_the_terminal_back(terminal, canned):
    d, t = canned(status(tenant("fine"), down("broken"))), terminal()
    t.run("echo", "what was here before")
    t.until("what was here before")
    clawsup(t, "status", "--watch", "--socket", d.path)
    out = t.until("broken", "q ends", gone=("what was here before",))
    assert out.index("broken") < out.index("fine"), "the worst comes first"
    asked = len(d.asked)
    t.until("broken", gone=("what was here before",))
    wait_for(lambda: len(d.asked) > asked + 1, 60, "it does not ask again")
    assert t.screen().count("TENANT") == 1 and not t.cursor_shown()
    t.type("q")
    t.until("what was here before", "ready$", gone=("q ends",))
    assert t.cursor_shown()


def test_watch_fits_a_small_and_a_resized_terminal(terminal, canned):
    d, t = canned(status(*(tenant("t%02d" % i) for i in range(40)))), terminal(height=12)
    clawsup(t, "status", "--watch", "--socket", d.path)
    out = t.until("t00", "more lines")
    assert fits(out, t) and "q ends" in out
    t.resize(100, 20)
    t.until("t14", "more lines")


def test_watch_ends_by_a_signal_and_by_a_wrong_tenant(terminal, canned):
    d, t = canned(status(tenant())), terminal()
    clawsup(t, "status", "--watch", "--socket", d.path)
    t.until("q ends", "acme")
    t.type("C-c")
    t.until("ready$", gone=("q ends",))
    assert t.cursor_shown()
    d = canned({"v": 1, "ok": False, "code": "unknown-tenant", "error": "there is no tenant \"amce\"", "tenants": ["acme"]})
    clawsup(t, "status", "amce", "--watch", "--socket", d.path)
    t.until("did you mean 'acme'?", "ready$")


def test_watch_waits_for_a_daemon_that_is_away(terminal, tmp_path):
    t, path = terminal(), str(tmp_path / "later")
    clawsup(t, "status", "--watch", "--socket", path)
    t.until("No such file", "waiting for it")
    d = Canned(path, status(tenant()))
    try:
        t.until("acme", gone=("waiting for it",))
        t.type("q")
        t.until("ready$", gone=("q ends",))
    finally:
        d.close()


def test_one_tenant_answers_in_the_first_lines(terminal, canned):
    d, t = canned(status(down("acme"))), terminal(height=60)
    clawsup(t, "status", "acme", "--socket", d.path)
    out = t.until("Last events", "ready$")
    for name in ("wrong", "since", "done", "next", "you can"):
        assert re.search("^  %s  " % name, out, re.M), out
    assert "gateway backoff: 3 probes failed" in out and "2m ago" in out and "restart 2 of 3 in 4s" in out


def test_top_is_live_and_ordered_by_keys(terminal, canned):
    big, small = tenant("big"), tenant("small")
    big["resources"] = {**big["resources"], "memory_bytes": 2 << 30, "cpu_percent": 1.0, "cpu_usage_usec": None}
    small["resources"] = {**small["resources"], "cpu_percent": 90.0, "cpu_usage_usec": None}
    d, t = canned(status(big, small)), terminal()
    clawsup(t, "top", "--socket", d.path, "--interval", "500ms")
    out = t.until("by cpu", "2 tenants, 2 healthy", "big")
    assert fits(out, t)
    t.type("m")
    out = t.until("by memory")
    assert out.index("big ") < out.index("small ")
    t.type("n")
    t.until("by name")
    t.type("q")
    t.until("ready$", gone=("by name",))
    assert t.cursor_shown()


def test_doctor_wraps_at_80_columns(terminal, conf):
    t = terminal(height=200)
    clawsup(t, "doctor", "--config", conf)
    out = t.until("First", "clawsupd ")
    table = out[out.index("CHECK"):out.index("To do")]
    assert fits(table, t)
    # What goes on in the next line stands below its column.
    begin = table.splitlines()[0].index("FOUND")
    assert all(line[:begin - 1].strip() == "" or re.match(r"\S+ +\S+ *$", line[:begin - 1]) for line in table.splitlines()), table
