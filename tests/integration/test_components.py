"""Components beside proxy and gateway: brought up in the order of their `after`, each only when those that it waits for are
healthy; restarted alone, in order, and made anew; and out of the tenant's reach."""

import os
import signal

from clawd import GATEWAY, free_port
from clawtest import IMAGE, http_request, wait_for
from test_lifecycle import events


def place(d, slug, name):
    return "%s/components/%s.%s" % (d.home, slug, name)


def component(d, slug, name, more="", port=None):
    """One that is healthy as the gateway is, and keeps its files where the tenant cannot put links."""
    home = place(d, slug, name)
    os.makedirs(home, exist_ok=True)
    port = port or d.ports.setdefault(slug + "." + name, free_port())
    command = (GATEWAY % home).replace('"', '\\"').replace("\n", "; ")
    return """{ name = "%s"; image = "%s"; command = [ "sh", "-c", "%s" ]; stop_timeout = "1s"; %s
      mounts = ( { source = "%s"; target = "%s"; } ); publish = [ "127.0.0.1:%d:18789" ];
      health = { url = "http://127.0.0.1:%d/healthz"; expect_json = { ok = true; }; interval = "200ms"; timeout = "1s";
                 start_deadline = "5s"; }; }""" % (name, IMAGE, command, more, home, home, port, port)


def tenant(d, slug, components, after="[ ]"):
    d.tenant(slug, gateway="after = %s;" % after, more="  components = ( %s );\n" % ", ".join(components))


def starts(d, slug, name):
    try:
        with open(place(d, slug, name) + "/starts") as f:
            return len(f.readlines())
    except FileNotFoundError:
        return 0


def begun(d, slug):
    """The components in the order in which an action on them began, and in which they were healthy first."""
    action, healthy = [], []
    for e in events(d, slug):
        if e["kind"] == "action" and e["component"] not in action:
            action.append(e["component"])
        if e["kind"] == "state" and "-> healthy" in e["text"] and e["component"] not in healthy:
            healthy.append(e["component"])
    return action, healthy


def test_components_in_order(daemon):
    d = daemon
    parts = [component(d, "a", "watcher", 'after = [ "gateway" ];'), component(d, "a", "memory", 'after = [ "disk" ];'),
             component(d, "a", "disk")]
    tenant(d, "a", parts, after='[ "memory" ]')
    d.start().healthy("a", seconds=60)
    assert [c["name"] for c in d.tenant_status("a")["components"]] == ["proxy", "disk", "memory", "gateway", "watcher"]
    assert d.component("a", "gateway")["after"] == ["proxy", "memory"]
    text = [(e["component"], e["kind"], e["text"]) for e in events(d, "a")]
    for first, then in (("proxy", "gateway"), ("disk", "memory"), ("memory", "gateway"), ("gateway", "watcher")):
        healthy = next(i for i, t in enumerate(text) if t[0] == first and t[1] == "state" and "-> healthy" in t[2])
        acted = next(i for i, t in enumerate(text) if t[0] == then and t[1] == "action")
        assert healthy < acted, (first, then, text)
    c = d.inspect("clawsup-a.memory")
    labels = c["Config"]["Labels"]
    assert (labels["clawsup.tenant"], labels["clawsup.role"], labels["clawsup.component"]) == ("a", "component", "memory")
    assert "memory" in c["NetworkSettings"]["Networks"]["clawsup-net-a"]["Aliases"]
    assert not any(e.startswith("DOCKER_HOST=") for e in c["Config"]["Env"] or [])
    assert [m["Destination"] for m in c["Mounts"]] == [place(d, "a", "memory")]
    assert d.engine.docker("exec", "openclaw-gw-a", "wget", "-qO-", "http://memory:18789/healthz")
    # The tenant neither sees nor touches it.
    assert d.docker("a", "ps", "-aq").stdout == ""
    for args in (("inspect", "clawsup-a.memory"), ("rm", "-f", c["Id"]), ("exec", "clawsup-a.memory", "true")):
        p = d.docker("a", *args, check=False)
        assert "No such" in p.stderr or p.returncode != 0, (args, p)
    assert d.inspect("clawsup-a.memory")["Id"] == c["Id"]
    for name in ("disk", "memory", "watcher"):
        assert 'clawsup_component_up{tenant="a",component="%s"} 1' % name in wait_for(
            lambda: d.metrics() if 'component="%s"} 1' % name in d.metrics() else "", 15, d.metrics())
    # One that ends is restarted alone.
    os.kill(c["State"]["Pid"], signal.SIGKILL)
    wait_for(lambda: starts(d, "a", "memory") == 2, 30, d.log()[-3000:])
    d.healthy("a", seconds=60)
    assert d.starts("a") == 1 and starts(d, "a", "disk") == 1 and d.component("a", "memory")["restarts_1h"] == 1
    # A person's stop of it is honoured, and so are his verbs.
    d.engine.docker("stop", "-t", "1", "clawsup-a.memory")
    wait_for(lambda: d.component("a", "memory")["state"] == "held", 30, d.component("a", "memory"))
    d.clawsup("resume", "a")
    d.healthy("a", seconds=60)
    n = starts(d, "a", "memory")
    d.clawsup("restart", "a", "memory")
    assert starts(d, "a", "memory") == n + 1 or wait_for(lambda: starts(d, "a", "memory") == n + 1, 30)
    d.healthy("a", seconds=60)
    old = d.inspect("clawsup-a.memory")["Id"]
    d.clawsup("redeploy", "a", "memory")
    d.healthy("a", seconds=60)
    assert d.inspect("clawsup-a.memory")["Id"] != old and d.starts("a") == 1
    p = d.clawsup("restart", "a", "memry", check=False)
    assert p.returncode == 64 and "did you mean 'memory'?" in p.stderr, p
    p = d.clawsup("restart", "a", "zzzzzz", check=False)
    assert p.returncode == 64 and "components: proxy disk memory gateway watcher" in p.stderr, p
    # Its budget survives us, under its own name.
    used = d.component("a", "memory")["restarts_1h"]
    d.stop(signal.SIGKILL)
    d.start().healthy("a", seconds=60)
    assert d.component("a", "memory")["restarts_1h"] == used and d.starts("a") == 1
    # Another image's worth of words: it is made anew by itself; one that leaves is stopped and kept.
    old = d.inspect("clawsup-a.memory")["Id"]
    tenant(d, "a", [component(d, "a", "watcher", 'after = [ "gateway" ];'),
                    component(d, "a", "memory", 'after = [ "disk" ]; env = [ "COLOUR=red" ];'), component(d, "a", "disk")],
           after='[ "memory" ]')
    d.clawsup("reload")
    wait_for(lambda: "COLOUR=red" in d.inspect("clawsup-a.memory")["Config"]["Env"], 30, d.log()[-3000:])
    d.healthy("a", seconds=60)
    assert d.inspect("clawsup-a.memory")["Id"] != old
    tenant(d, "a", [component(d, "a", "memory")], after='[ "memory" ]')
    d.clawsup("reload")
    wait_for(lambda: not d.inspect("clawsup-a.watcher")["State"]["Running"], 30)
    wait_for(lambda: not d.inspect("clawsup-a.disk")["State"]["Running"], 30)
    d.healthy("a", seconds=60)
    assert d.starts("a") == 1 and d.inspect("clawsup-a.memory")["State"]["Running"]
    assert http_request(d.proxy_sock("a"), "GET", "/_ping").status == 200


def test_dependents_are_restarted_in_order(daemon):
    """L2, reached at once here: the tenant's components one after the other, each when those before it serve again."""
    d = daemon
    recovery = 'l1 = { attempts = 0; }; l2 = { attempts = 2; delays = [ "0s" ]; stable = "2s"; };'
    tenant(d, "a", [component(d, "a", "memory"), component(d, "a", "watcher", 'after = [ "gateway" ];')], after='[ "memory" ]')
    path = d.home + "/tenants.d/a.conf"
    with open(path) as f:
        text = f.read()
    head, tail = text.split("recovery = {", 1)
    with open(path, "w") as f:
        f.write(head + "recovery = { " + recovery + tail[tail.index("l3 = {"):])
    d.start().healthy("a", seconds=60)
    pid = d.proxy_pid("a")
    os.kill(d.inspect("clawsup-a.memory")["State"]["Pid"], signal.SIGKILL)
    wait_for(lambda: starts(d, "a", "watcher") == 2, 60, d.log()[-4000:])
    d.healthy("a", seconds=60)
    assert (starts(d, "a", "memory"), d.starts("a"), starts(d, "a", "watcher")) == (2, 2, 2)
    assert d.proxy_pid("a") != pid
    began = [d.inspect(n)["State"]["StartedAt"] for n in ("clawsup-a.memory", "openclaw-gw-a", "clawsup-a.watcher")]
    assert began == sorted(began), began
    assert any("restarted in order" in e["text"] for e in events(d, "a")), events(d, "a")
