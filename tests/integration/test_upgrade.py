"""`clawsup upgrade` under load: CLAW_CLIENTS (200) clients hold exec sessions and ping through the proxies while clawsupd is
exchanged. No ping is refused, no session is cut."""

import os

from clawtest import IMAGE, wait_for
from sessions import Crowd

CLIENTS = int(os.environ.get("CLAW_CLIENTS", "200"))
TENANTS = 5


def test_an_upgrade_under_load_cuts_nothing(daemon):
    slugs = ["u%d" % i for i in range(TENANTS)]
    for s in slugs:
        daemon.tenant(s)
    daemon.start().healthy(*slugs)
    places = []
    for s in slugs:
        box = daemon.docker(s, "create", "--name", "openclaw-sbx-%s-1" % s, "--network", "none", IMAGE, "sleep",
                            "3600").stdout.strip()
        daemon.docker(s, "start", box)
        places += [(daemon.proxy_sock(s), box)] * (CLIENTS // TENANTS)
    pids = {s: daemon.proxy_pid(s) for s in slugs}
    started = {s: daemon.inspect(daemon.gateway(s))["State"]["StartedAt"] for s in slugs}
    crowd = Crowd(places)
    try:
        wait_for(crowd.all_there, 240, "%d of %d sessions" % (crowd.ready, len(places)))
        for _ in range(2):
            wait_for(lambda: daemon.status()["host"]["actions_in_flight"] == 0, 60)
            before, program_began = crowd.pings(), daemon.status()["host"]["started_at"]
            out = daemon.clawsup("upgrade").stdout
            assert "->" in out, out
            daemon.healthy(*slugs)
            assert daemon.status()["host"]["started_at"] != program_began
            wait_for(lambda: crowd.failures or crowd.pings() >= before + len(places), 60, "the clients stopped")
    finally:
        crowd.end()
    assert not crowd.failures, (len(crowd.failures), crowd.failures[:5])
    assert daemon.proc.poll() is None  # the same process
    assert {s: daemon.proxy_pid(s) for s in slugs} == pids
    assert {s: daemon.inspect(daemon.gateway(s))["State"]["StartedAt"] for s in slugs} == started
