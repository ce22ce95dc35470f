"""A changed configuration in a running daemon: what changed is put in force, what did not is not touched, and a bad file
changes nothing."""

import os
import signal
import subprocess
import threading
import time

from clawd import free_port
from clawtest import IMAGE, HttpConn, build_request, http_request, wait_for


def edit(d, slug, *changes):
    """Replaces text in a tenant's file; each old text must be there once."""
    path = d.home + "/tenants.d/%s.conf" % slug
    with open(path) as f:
        text = f.read()
    for old, new in changes:
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    with open(path, "w") as f:
        f.write(text)


def reload(d):
    """`clawsup reload`; what changed as lists of slugs."""
    import json
    return json.loads(d.clawsup("reload", "--json").stdout)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def identity(d, slug):
    """What must be the same for a tenant that was left alone."""
    c = d.inspect(d.gateway(slug))
    return (d.proxy_pid(slug), os.stat(d.proxy_sock(slug)).st_ino, c["Id"], c["State"]["StartedAt"],
            d.component(slug, "gateway")["restarts_1h"], d.starts(slug))


def sandbox(d, slug, name="1"):
    box = d.docker(slug, "create", "--name", "openclaw-sbx-%s-%s" % (slug, name), "--network", "none", "--init",
                   IMAGE, "sleep", "600").stdout.strip()
    d.docker(slug, "start", box)
    return box


def open_exec(d, slug, box):
    """A `docker exec` that echoes lines, through the tenant's proxy."""
    p = subprocess.Popen(["docker", "-H", "unix://" + d.proxy_sock(slug), "exec", "-i", box, "cat"], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert echo(p, "one") == "one\n"
    return p


def echo(p, word):
    p.stdin.write(word + "\n")
    p.stdin.flush()
    return p.stdout.readline()


def is_gone(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return ") Z " in f.read()
    except FileNotFoundError:
        return True


def test_come_change_and_go(daemon):
    d = daemon
    d.tenant("a")
    d.tenant("b")
    d.start().healthy("a", "b")
    a, b = identity(d, "a"), identity(d, "b")

    # Nothing changed: nothing happens.
    r = reload(d)
    assert (r["added"], r["changed"], r["removed"]) == ([], [], []), r
    d.proc.send_signal(signal.SIGHUP)
    wait_for(lambda: d.log().count("configuration loaded") == 2, 5)
    assert identity(d, "a") == a and identity(d, "b") == b

    # One comes, by a signal; the others do not notice.
    d.tenant("c")
    d.proc.send_signal(signal.SIGHUP)
    wait_for(lambda: len(d.status()["tenants"]) == 3, 5)
    d.healthy("c")
    assert identity(d, "a") == a and identity(d, "b") == b

    # One goes, with a sandbox of its own and somebody who uses it.
    box = sandbox(d, "c")
    session = open_exec(d, "c", box)
    with open(d.data("c") + "/kept", "w") as f:
        f.write("kept")
    c = identity(d, "c")
    os.unlink(d.home + "/tenants.d/c.conf")
    r = reload(d)
    assert (r["added"], r["changed"], r["removed"]) == ([], [], ["c"]), r
    assert [t["slug"] for t in d.status()["tenants"]] == ["a", "b"]
    for name in (d.gateway("c"), box):
        wait_for(lambda: d.inspect(name)["State"]["Status"] == "exited", 30, name)
    assert d.inspect(d.gateway("c"))["Id"] == c[2]
    session.stdin.close()
    session.wait(10)
    wait_for(lambda: is_gone(c[0]), 10, "the proxy of a tenant that left does not end: " + d.log()[-2000:])
    with open(d.data("c") + "/kept") as f:
        assert f.read() == "kept"
    assert os.path.isdir(d.data("c") + "/workspace")
    assert 'tenant="c"' not in wait_for(lambda: 'tenant="c"' not in d.metrics() and d.metrics(), 5)
    p = d.clawsup("status", "c", check=False)
    assert p.returncode == 64 and "no tenant" in p.stderr

    # It comes back: the very same containers, nothing lost.
    d.tenant("c")
    assert reload(d)["added"] == ["c"]
    d.healthy("c")
    assert d.inspect(d.gateway("c"))["Id"] == c[2]
    assert d.docker("c", "ps", "-a", "--format", "{{.Names}}").stdout.split() == ["openclaw-sbx-c-1"]
    assert identity(d, "a") == a and identity(d, "b") == b


def test_a_policy_change_cuts_no_stream(daemon):
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    box = sandbox(d, "a")
    session = open_exec(d, "a", box)
    pid, inode, *rest = identity(d, "a")
    assert d.docker("a", "exec", box, "echo", "x").stdout == "x\n"

    # Somebody asks all the while: the change refuses nobody.
    bad, n, stop = [], [0], threading.Event()

    def client():
        while not stop.is_set():
            try:
                with HttpConn(d.proxy_sock("a"), timeout=10) as c:
                    r = c.request("GET", "/_ping", headers=["Connection: close"])
                    assert r.status == 200, r
                    n[0] += 1
            except Exception as e:  # noqa: BLE001
                bad.append(repr(e))

    threads = [threading.Thread(target=client) for _ in range(2)]
    [t.start() for t in threads]
    edit(d, "a", ("exec = true;", "exec = false;"), ("pids = 64;", "pids = 33;"))
    r = reload(d)
    assert (r["added"], r["changed"], r["removed"]) == ([], ["a"], []), r
    wait_for(lambda: d.proxy_pid("a") not in (None, pid), 10)
    before = n[0]
    wait_for(lambda: n[0] > before + 20, 10)
    stop.set()
    [t.join() for t in threads]
    assert not bad, bad[:3]

    now = identity(d, "a")
    assert now[1] == inode and list(now[2:]) == rest  # the same socket, and the gateway was left alone
    p = d.docker("a", "exec", box, "echo", "x", check=False)
    assert p.returncode != 0 and "exec" in p.stderr and "clawsup" in p.stderr, p.stderr
    assert d.inspect(sandbox(d, "a", "2"))["HostConfig"]["PidsLimit"] == 33
    assert echo(session, "two") == "two\n"  # what was begun under the old policy goes on
    assert not is_gone(pid)
    session.stdin.close()
    assert session.wait(10) == 0, session.stderr.read() + d.log()[-3000:]
    wait_for(lambda: is_gone(pid), 10, "the old proxy does not end after its last stream: " + d.log()[-2000:])
    d.healthy("a")
    wait_for(lambda: 'clawsup_proxy_restarts_total{tenant="a",reason="reload"} 1' in d.metrics(), 5)


def test_sockets_change(daemon):
    """Another socket beside the first; then the first one is gone."""
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    started = d.inspect(d.gateway("a"))["State"]["StartedAt"]
    second = d.home + "/run/a/second.sock"
    listen = 'listen = [ "unix:%s", "unix:%s" ];' % (d.proxy_sock("a"), second)
    d.tenant("a", proxy=listen)
    reload(d)
    wait_for(lambda: os.path.exists(second) and http_request(second, "GET", "/_ping").status == 200, 10)
    assert http_request(d.proxy_sock("a"), "GET", "/_ping").status == 200
    d.healthy("a")
    assert d.inspect(d.gateway("a"))["State"]["StartedAt"] == started
    # A socket where there is something else is refused, and the old ones serve on.
    d.tenant("a", proxy='listen = [ "unix:%s", "unix:%s/run/a/file" ];' % (d.proxy_sock("a"), d.home))
    with open(d.home + "/run/a/file", "w") as f:
        f.write("x")
    d.clawsup("reload", check=False)
    wait_for(lambda: "not a socket" in d.log(), 5, d.log()[-2000:])
    assert http_request(d.proxy_sock("a"), "GET", "/_ping").status == 200
    with open(d.home + "/run/a/file") as f:
        assert f.read() == "x"


def test_a_changed_gateway_is_redeployed(daemon):
    d = daemon
    d.tenant("a")
    d.tenant("b")
    d.start().healthy("a", "b")
    box = sandbox(d, "a")
    a, b = identity(d, "a"), identity(d, "b")
    d.tenant("a", gateway='env = [ "COLOUR=red" ];')
    assert reload(d)["changed"] == ["a"]
    # For a moment of the redeploy nobody has the name.
    wait_for(lambda: d.engine.docker("inspect", "-f", "{{.Id}}", d.gateway("a"), check=False) not in ("", a[2]), 20,
             d.log()[-3000:])
    d.healthy("a")
    c = d.inspect(d.gateway("a"))
    assert "COLOUR=red" in c["Config"]["Env"] and c["State"]["Running"]
    wait_for(lambda: d.engine.docker("ps", "-aq", "--filter", "name=openclaw-gw-a").count("\n") == 0, 10)
    assert d.proxy_pid("a") == a[0]
    assert d.inspect(box)["State"]["Running"]
    assert identity(d, "b") == b
    # Two changes at once: the last one wins.
    d.tenant("a", gateway='env = [ "COLOUR=green" ];')
    reload(d)
    d.tenant("a", gateway='env = [ "COLOUR=blue" ];')
    reload(d)
    wait_for(lambda: "COLOUR=blue" in d.inspect(d.gateway("a"))["Config"]["Env"], 30, d.log()[-3000:])
    d.healthy("a")
    # A specification that cannot be had changes nothing.
    c = d.inspect(d.gateway("a"))
    d.tenant("a", gateway_image="clawtest-missing:1")
    reload(d)
    wait_for(lambda: "redeploy refused" in d.log(), 10, d.log()[-3000:])
    d.healthy("a")
    now = d.inspect(d.gateway("a"))
    assert (now["Id"], now["State"]["StartedAt"]) == (c["Id"], c["State"]["StartedAt"])


def test_limits_change_in_place(daemon):
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    a = identity(d, "a")
    edit(d, "a", ('memory = "256M"; pids = 128;', 'memory = "200M"; pids = 99;'), ("cpus = 1.0;", "cpus = 0.7;"))
    assert reload(d)["changed"] == ["a"]

    def applied():
        h = d.inspect(d.gateway("a"))["HostConfig"]
        return (h["PidsLimit"], h["Memory"], h["NanoCpus"]) == (99, 200 << 20, 700000000)

    wait_for(applied, 15, d.log()[-3000:])
    d.healthy("a")
    assert identity(d, "a") == a
    r = d.tenant_status("a")["resources"]
    assert (r["pids_limit"], r["memory_limit_bytes"], r["cpu_limit_nano"]) == (99, 200 << 20, 700000000)


def test_probes_and_ladder_change_in_place(daemon):
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    a = identity(d, "a")
    edit(d, "a", ("restarts_per_hour = 30;", "restarts_per_hour = 31; fall = 5;"))
    assert reload(d)["changed"] == ["a"]
    c = d.component("a", "gateway")
    assert (c["fall"], c["budget_1h"]) == (5, 31)
    d.healthy("a")
    assert identity(d, "a") == a
    # The probe looks for something else: the gateway is now wrong, is restarted, and good again when it is put back.
    edit(d, "a", ("expect_json = { ok = true; };", 'expect_json = { status = "dead"; };'))
    reload(d)
    wait_for(lambda: d.starts("a") > a[5], 20, d.log()[-3000:])
    edit(d, "a", ('expect_json = { status = "dead"; };', "expect_json = { ok = true; };"))
    reload(d)
    d.healthy("a")
    assert d.inspect(d.gateway("a"))["Id"] == a[2]


def test_a_bad_file_changes_nothing(daemon):
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    a = identity(d, "a")
    good = d.status()["host"]["config"]
    assert good["error"] is None
    d.tenant("b", gateway="colour = 7;")
    with open(d.home + "/tenants.d/b.conf") as f:
        line = next(i for i, text in enumerate(f, 1) if "colour" in text)
    where = "tenants.d/b.conf:%d: " % line
    p = d.clawsup("reload", check=False)
    assert p.returncode == 1
    assert where in p.stderr + p.stdout and "colour" in p.stderr + p.stdout, p
    assert "running configuration" in p.stderr + p.stdout, p
    c = d.status()["host"]["config"]
    assert where in c["error"] and "colour" in c["error"], c
    assert c["loaded_at"] == good["loaded_at"]
    assert [t["slug"] for t in d.status()["tenants"]] == ["a"]
    assert identity(d, "a") == a
    assert where in d.log()
    wait_for(lambda: "clawsup_config_ok 0" in d.metrics(), 5)
    # The same by a signal; then a file that does not even parse.
    with open(d.home + "/tenants.d/b.conf", "w") as f:
        f.write("tenant: {\n  slug = \"b\"\n  oops\n")
    d.proc.send_signal(signal.SIGHUP)
    wait_for(lambda: "b.conf:3" in (d.status()["host"]["config"]["error"] or "") or
             "b.conf:4" in (d.status()["host"]["config"]["error"] or ""), 5, d.status()["host"]["config"])
    assert d.clawsup("check-config", check=False).returncode != 0
    p = d.clawsup("status", check=False)  # the tenants are well, and it is said that the files are not in force
    assert p.returncode == 1 and "b.conf" in p.stdout + p.stderr and d.tenant_status("a")["state"] == "healthy"
    os.unlink(d.home + "/tenants.d/b.conf")
    reload(d)
    c = d.status()["host"]["config"]
    assert c["error"] is None and c["loaded_at"] > good["loaded_at"]
    assert identity(d, "a") == a
    wait_for(lambda: "clawsup_config_ok 1" in d.metrics(), 5)


def test_values_of_the_host(daemon):
    """What can change in a running daemon does; what cannot is refused, by name, and nothing else of the file is taken."""
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    a = identity(d, "a")
    other = d.home + "/other.prom"
    d.configure()
    with open(d.conf) as f:
        text = f.read()
    with open(d.conf, "w") as f:
        f.write(text.replace(d.home + "/clawsup.prom", other).replace('log_level = "debug"', 'log_level = "notice"'))
    reload(d)
    wait_for(lambda: os.path.exists(other), 5)
    with open(d.conf, "w") as f:
        f.write(text.replace(d.home + "/state", d.home + "/state2"))
    d.tenant("b")
    p = d.clawsup("reload", check=False)
    assert p.returncode == 1 and "state_dir" in p.stderr + p.stdout and "restart" in p.stderr + p.stdout, p
    error = d.status()["host"]["config"]["error"]
    assert "state_dir" in error and "restart" in error
    assert [t["slug"] for t in d.status()["tenants"]] == ["a"]
    assert not os.path.exists(d.home + "/state2")
    assert identity(d, "a") == a
    # After a restart it is in force. A gateway runs on as it is, and what differs is said.
    d.stop()
    d.tenant("a", gateway='env = [ "COLOUR=red" ];')
    d.start().healthy("a", "b")
    assert "another specification" in d.clawsup("events", "--tenant", "a").stdout
    assert "another specification" not in d.clawsup("events", "--tenant", "b").stdout
    assert os.path.exists(d.home + "/state2/state.db") and d.status()["host"]["config"]["error"] is None
    assert identity(d, "a")[:4] == a[:4]
    assert time.time() - os.stat(other).st_mtime > 0


def test_diff_tells_what_a_reload_would_do_and_changes_nothing(daemon):
    import json
    import check_schema
    from clawtest import REPO
    daemon.tenant("a")
    daemon.tenant("b", gateway='env = [ "TOKEN=one" ];')
    daemon.start().healthy("a", "b")
    before = identity(daemon, "a"), identity(daemon, "b")
    p = daemon.clawsup("diff")
    assert p.stdout == "no difference\n"
    edit(daemon, "a", ('memory = "256M"', 'memory = "300M"'), ("exec = true", "exec = false"))
    edit(daemon, "b", ("TOKEN=one", "TOKEN=two"))
    daemon.tenant("c")
    os.rename(daemon.home + "/tenants.d/c.conf", daemon.home + "/tenants.d/0.conf")
    p = daemon.clawsup("diff", check=False)
    assert p.returncode == 1
    for text in ("~ a (changed)", '- limits.memory = "256M"', '+ limits.memory = "300M"', "- proxy.allow.exec = true",
                 "+ proxy.allow.exec = false", "a new proxy on the same sockets", "limits change at once",
                 "~ b (changed)", "~ gateway.env\n", "redeployed", "+ c (added)"):
        assert text in p.stdout, (text, p.stdout)
    assert "TOKEN" not in p.stdout
    reply = json.loads(daemon.clawsup("diff", "--json", check=False).stdout)
    with open(os.path.join(REPO, "contrib/docs/cli-schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    assert check_schema.Checker(schema).check(schema["$defs"]["diff"], reply) == []
    assert [(x["tenant"], x["change"]) for x in reply["changes"]] == [("a", "changed"), ("b", "changed"), ("c", "added")]
    assert (identity(daemon, "a"), identity(daemon, "b")) == before
    with open(daemon.home + "/tenants.d/bad.conf", "w") as f:
        f.write("x")
    p = daemon.clawsup("diff", check=False)
    assert p.returncode == 1 and "bad.conf:1" in p.stdout
    for name in ("bad", "0"):
        os.unlink(daemon.home + "/tenants.d/%s.conf" % name)
    # What runs is not what was loaded: the container is gone.
    daemon.tenant("a")
    daemon.tenant("b", gateway='env = [ "TOKEN=one" ];')
    daemon.clawsup("pause", "a")
    daemon.engine.docker("stop", "-t", "0", daemon.gateway("a"))
    wait_for(lambda: "a/gateway: its container is exited" in daemon.clawsup("diff", check=False).stdout, 30, "no drift")


def test_streams_keep_only_a_few_old_proxies(daemon):
    """A client with a stream in each proxy that was replaced cannot have as many processes as there were changes."""
    daemon.tenant("a")
    daemon.start().healthy("a")
    conns, pids = [], []
    try:
        for i in range(7):
            conns.append(HttpConn(daemon.proxy_sock("a"), 60))
            conns[-1].send(build_request("GET", "/events"))
            assert conns[-1].head()[0] == 200
            pids.append(daemon.proxy_pid("a"))
            daemon.tenant("a", proxy="readonly_rootfs = %s;" % ("true" if i % 2 == 0 else "false"))
            reload(daemon)
            wait_for(lambda: daemon.proxy_pid("a") not in (None, pids[-1]), 30)
            daemon.healthy("a")
        assert len(set(pids)) == 7
        wait_for(lambda: [alive(p) for p in pids] == [False] * 3 + [True] * 4, 30)
    finally:
        for c in conns:
            c.close()
    wait_for(lambda: not any(alive(p) for p in pids), 30)


def test_a_tenant_that_left_while_we_were_down(daemon):
    d = daemon
    d.tenant("a")
    d.tenant("b")
    d.start().healthy("a", "b")
    box = d.docker("a", "run", "-d", "--name", "openclaw-sbx-a-1", "--network", "none", IMAGE, "sleep", "600").stdout.strip()
    proxy = d.proxy_pid("a")
    # Another clawsupd's tenant on the same engine is nobody's business here.
    other = d.engine.docker("run", "-d", "--label", "clawsup.tenant=zz", "--label", "clawsup.role=gateway", "--network", "none",
                            IMAGE, "sleep", "600")
    try:
        d.stop(signal.SIGKILL)
        os.unlink(d.home + "/tenants.d/a.conf")
        assert d.inspect("openclaw-gw-a")["State"]["Running"] and d.inspect(box)["State"]["Running"]
        d.start().healthy("b")
        wait_for(lambda: not d.inspect("openclaw-gw-a")["State"]["Running"], 60, d.log()[-3000:])
        wait_for(lambda: not d.inspect(box)["State"]["Running"], 60)
        wait_for(lambda: not os.path.exists("/proc/%d" % proxy) or " Z " in open("/proc/%d/stat" % proxy).read(), 60)
        assert "left the configuration while no clawsupd ran" in d.log()
        assert d.inspect("openclaw-gw-b")["State"]["Running"] and d.inspect(other)["State"]["Running"]
        # Stopped, not removed; and told once.
        wait_for(lambda: "a: left, and nothing of it runs any more" in d.log(), 60)
        d.stop()
        d.start().healthy("b")
        assert d.log().count("left the configuration while no clawsupd ran") == 1
        # It comes back as it was left.
        d.tenant("a")
        d.clawsup("reload")
        d.healthy("a", "b", seconds=60)
        assert d.starts("a") == 2
    finally:
        d.engine.docker("rm", "-f", other)
