"""clawsup redeploy --dry-run: says what a redeploy would do, what would be different and what stands in its way; does nothing."""

import json

from clawtest import IMAGE, wait_for


def test_dry_run(daemon):
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    before = d.inspect("openclaw-gw-a")

    p = d.clawsup("redeploy", "a", "--dry-run")
    assert "different from what is there: nothing" in p.stdout and "in the way: nothing" in p.stdout, p.stdout
    steps = [line.strip() for line in p.stdout.splitlines() if line.startswith("  ")]
    assert steps[0].startswith("1. inspect the old container: openclaw-gw-a")
    for a, b in zip(("check the image", "create the new", "rename the old", "stop the old", "start the new", "verify"),
                    ("create the new", "rename the old", "stop the old", "start the new", "verify", "remove the old")):
        assert p.stdout.index(a) < p.stdout.index(b), p.stdout
    j = json.loads(d.clawsup("redeploy", "a", "gateway", "--dry-run", "--json").stdout)
    assert (j["tenant"], j["component"], j["differences"], j["blocked"]) == ("a", "gateway", [], []) and len(j["steps"]) == 10

    # Another configuration, read at our start: what would become of it. A variable's value is never shown.
    d.stop()
    d.tenant("a", gateway='env = [ "COLOUR=secret" ]; user = "0:0"; mounts = ( { source = "/opt"; target = "/o"; read_only = true; } );',
             limits="")
    d.start().healthy("a")
    p = d.clawsup("redeploy", "a", "--dry-run")
    for line in ("Env COLOUR: new", "User: none -> 0:0", "Mount /o: none -> /opt (ro)"):
        assert "  " + line + "\n" in p.stdout, p.stdout
    assert "secret" not in p.stdout

    # What stands in the way: somebody's container under a name that is needed, a pause does not, a missing image does.
    d.engine.docker("create", "--name", "openclaw-gw-a.new", IMAGE, "true")
    p = d.clawsup("redeploy", "a", "--dry-run", check=False)
    assert p.returncode == 1 and "openclaw-gw-a.new exists that is not clawsup's" in p.stdout, p
    d.engine.docker("rm", "openclaw-gw-a.new")
    d.stop()
    d.tenant("a", gateway_image="clawtest-nowhere:1")
    d.start().healthy("a")
    p = d.clawsup("redeploy", "a", "--dry-run", check=False)
    assert p.returncode == 1 and "image clawtest-nowhere:1 is not on this host" in p.stdout, p
    assert "Image: %s -> clawtest-nowhere:1" % IMAGE in p.stdout, p.stdout
    p = d.clawsup("redeploy", "a", "proxy", "--dry-run", check=False)
    assert p.returncode == 1 and "no specification" in p.stderr

    now = d.inspect("openclaw-gw-a")
    assert (now["Id"], now["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert d.engine.docker("ps", "-aq", "--filter", "name=openclaw-gw-a").count("\n") == 0
    wait_for(lambda: d.component("a", "gateway")["restarts_1h"] == 0, 5)
