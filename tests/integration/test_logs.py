"""`clawsup logs` on a real engine: containers and the daemon in one order, followed through restarts and new sandboxes, with
nothing in it that a terminal would obey."""

import json
import os
import re
import subprocess

import check_schema
from clawtest import IMAGE, REPO, program, wait_for

with open(os.path.join(REPO, "contrib/docs/cli-schema.json"), encoding="utf-8") as f:
    SCHEMA = json.load(f)


def talk(d, slug, name, text):
    """A sandbox that says something and goes on."""
    box = d.docker(slug, "create", "--name", "openclaw-sbx-%s-%s" % (slug, name), "--network", "none", "--init", IMAGE, "sh", "-c",
                   "printf '%s'; echo to stderr >&2; sleep 600" % text).stdout.strip()
    d.docker(slug, "start", box)
    return box


def test_logs_of_all_of_a_tenant(daemon):
    d = daemon
    d.tenant("a")
    d.tenant("b")
    d.start().healthy("a", "b")
    talk(d, "a", "1", r"\033[31mred\033[0m \033]0;title\007plain\rend\nsecond line\n")
    talk(d, "b", "1", "of b\n")
    wait_for(lambda: {"stdout", "stderr"} <= {json.loads(x)["stream"] for x in d.clawsup("logs", "a", "--json").stdout.splitlines()}
             and "second line" in d.clawsup("logs", "a").stdout, 30, "no logs")
    p = d.clawsup("logs", "a")
    assert "\x1b" not in p.stdout and "\x07" not in p.stdout and "\r" not in p.stdout
    assert re.search(r"^\S+Z  openclaw-sbx-a-1  red plain\?end$", p.stdout, re.M), p.stdout
    assert "of b" not in p.stdout and "clawsupd/gateway" in p.stdout and "-> healthy" in p.stdout
    rows = [json.loads(x) for x in d.clawsup("logs", "a", "--json").stdout.splitlines()]
    for row in rows:
        assert check_schema.Checker(SCHEMA).check(SCHEMA["$defs"]["logs"], row) == []
    assert [r["at"] for r in rows] == sorted(r["at"] for r in rows)
    assert {("openclaw-sbx-a-1", "stdout"), ("openclaw-sbx-a-1", "stderr")} <= {(r["source"], r["stream"]) for r in rows}
    rows = [json.loads(x) for x in d.clawsup("logs", "a", "sandbox", "--json", "--lines", "1").stdout.splitlines()]
    assert len(rows) == 1 and rows[0]["source"] == "openclaw-sbx-a-1"
    assert all(r["source"].startswith("clawsupd") for r in map(json.loads, d.clawsup("logs", "a", "clawsupd", "--json").stdout.splitlines()))
    assert d.clawsup("logs", "a", "--since", "2098-01-01T00:00:00Z").stdout == ""
    p = d.clawsup("logs", "aa", check=False)
    assert p.returncode == 64 and "tenants: a b" in p.stderr or "did you mean" in p.stderr


def test_logs_are_followed(daemon):
    d = daemon
    d.tenant("a", command="echo begun; while [ ! -e %s/go ]; do sleep 0.1; done; echo gone on; exec httpd -f -p 18789 -h /tmp" % d.data("a"),
             health='type = "docker"; # ')
    # The health check of the template asks for a URL that this gateway does not have.
    path = d.home + "/tenants.d/a.conf"
    text = open(path).read()
    text = re.sub(r'url = "[^"]*"; expect_json = \{ ok = true; \};', "", text)
    open(path, "w").write(text.replace('type = "docker"; # ', 'type = "docker";'))
    d.start()
    wait_for(lambda: "begun" in d.clawsup("logs", "a", "gateway").stdout, 60, "the gateway says nothing: " + d.log()[-2000:])
    out = open(d.home + "/followed", "w+")
    p = subprocess.Popen([program("clawsup"), "--socket", d.home + "/run/control.sock", "--config", d.conf, "logs", "a", "--follow", "--plain"],
                         stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def said(word):
        return lambda: word in open(d.home + "/followed").read()
    try:
        wait_for(said("begun"), 60, "the beginning is not told")
        d.flag("a", "go")
        wait_for(said("gone on"), 60, "what comes is not told")
        talk(d, "a", "new", "of a new sandbox\n")
        wait_for(said("of a new sandbox"), 60, "new containers are not found")
        d.clawsup("restart", "a")
        wait_for(lambda: open(d.home + "/followed").read().count("gone on") == 2, 60, "a restarted container is not followed")
        assert p.poll() is None and open(d.home + "/followed").read().count("of a new sandbox") == 1
    finally:
        p.terminate()
        p.wait(30)
        out.close()


def test_logs_without_the_engine_or_the_daemon(daemon):
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    talk(d, "a", "1", "said before\n")
    wait_for(lambda: "said before" in d.clawsup("logs", "a").stdout, 30, "no logs")
    d.stop()
    assert "said before" in d.clawsup("logs", "a").stdout
    other = d.home + "/other.conf"
    with open(other, "w") as f:
        f.write('runtime_dir = "%s/nowhere"; engine_socket = "%s/none.sock";' % (d.home, d.home))
    p = subprocess.run([program("clawsup"), "--config", other, "logs", "a"], capture_output=True, text=True, timeout=60, check=False)
    assert p.returncode == 3 and "none.sock" in p.stderr and "group docker" in p.stderr, p.stderr
