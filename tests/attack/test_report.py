"""test_report.py: a filter that only reports (FILTER=report) refuses every attack as one that enforces: what is loosened
are the opt-in switches, for own objects, within the caps. Each row of test_attacks.py is tried again."""

import json

import pytest

from clawtest import V, VICTIM, wait_for
from test_attacks import CREATE, FORBIDDEN, NAMES, NEVER, body_with, reads, refused

GATEWAY = "openclaw-gw-a"
SWITCHED = [("POST", "/containers/%s/update", {"Memory": 64 << 20}), ("POST", "/containers/%s/rename?name=openclaw-sbx-a-new", None),
            ("GET", "/containers/%s/export", None), ("PUT", "/containers/%s/archive?path=/tmp", b"\0" * 1024)]


@pytest.fixture
def proxy(relay, start_proxy, image, workspace):
    p = start_proxy(engine_sock=relay.path, binds=[workspace], FILTER="report", GATEWAY_NAME=GATEWAY)
    p.workspace = workspace
    relay.forget()
    return p


def records(proxy, decision):
    return [r for r in (json.loads(line) for line in proxy.text().splitlines() if line.startswith("{"))
            if r.get("decision") == decision]


@pytest.mark.parametrize("status,make", [f[1:] for f in FORBIDDEN], ids=[f[0] for f in FORBIDDEN])
def test_create_is_refused(proxy, relay, image, status, make):
    refused(proxy, relay, status, "POST", CREATE, make(image))


@pytest.mark.parametrize("name", NAMES)
def test_name(proxy, relay, image, name):
    refused(proxy, relay, 400 if "/" in name else 403, "POST", "/containers/create?name=" + name, body_with(image))


@pytest.mark.parametrize("method,path", NEVER, ids=["%s%s" % n for n in NEVER])
def test_never(proxy, relay, method, path):
    refused(proxy, relay, 403, method, path)


def test_foreign_is_absent(proxy, relay, victim):
    for ref in (VICTIM, victim, victim[:12], victim[:4]):
        absent = "openclaw-sbx-b-q" if ref == VICTIM else "e" * len(ref)
        for (m, target, body), (_, other, _) in zip(reads(ref), reads(absent)):
            a, b = proxy.request(m, target, body), proxy.request(m, other, body)
            assert a.status == 404 and a.raw.replace(ref.encode(), b"") == b.raw.replace(absent.encode(), b""), (m, target, a)
        for m, target, body in SWITCHED:
            assert proxy.request(m, target % ref, body).status == 404, (m, target)
    # A reference that looks like an id might be the gateway's: the engine is asked about that one, by its own name.
    assert {t for _, t, _ in relay.requests()} <= {V + "/containers/%s/json" % GATEWAY}
    assert records(proxy, "report") == []


def test_update_within_the_caps(proxy, relay, own):
    for b in ({"PidsLimit": 0}, {"RestartPolicy": {"Name": "always"}}, {"Memory": 1 << 40}, {"Privileged": True}):
        refused(proxy, relay, 403, "POST", "/containers/%s/update" % own, b)
    refused(proxy, relay, 403, "POST", "/containers/%s/rename?name=openclaw-sbx-b-x" % own)


def test_images_stay_a_list(proxy, relay):
    refused(proxy, relay, 403, "POST", "/images/create?fromImage=alpine&tag=latest")
    refused(proxy, relay, 404, "GET", "/images/alpine/json")
    refused(proxy, relay, 404, "GET", "/networks/bridge")


def test_what_is_on_by_default_is_no_opt_in(relay, start_proxy, image, own):
    p = start_proxy(engine_sock=relay.path, FILTER="report", ALLOW_STOP="", ALLOW_EXEC="", ALLOW_START="", ALLOW_RESTARTS="")
    wait_for(lambda: p.request("GET", "/containers/%s/json" % own).status == 200)
    for action in ("stop", "kill", "restart", "start"):
        refused(p, relay, 403, "POST", "/containers/%s/%s" % (own, action))
    refused(p, relay, 403, "POST", "/containers/%s/exec" % own, {"Cmd": ["id"], "AttachStdout": True})


def test_switches_that_are_off_report(proxy, own):
    """Done, and recorded with the rule that would have refused it."""
    for (m, target, body), status in zip(SWITCHED, (200, 204, 200, 200)):
        r = proxy.request(m, target % own, body, ["Content-Type: application/x-tar"] if m == "PUT" else ())
        assert r.status == status, (target, r)
    r = proxy.request("POST", "/images/create?fromImage=clawtest-busybox&tag=1")
    assert r.status != 403, r  # no registry is there to pull from; the request has passed
    wait_for(lambda: len(records(proxy, "report")) >= 5)
    got = {r["rule"]: r for r in records(proxy, "report")}
    assert set(got) == {"allow-update", "allow-rename", "allow-export", "allow-archive-put", "allow-image-pull"}, got
    assert got["allow-update"]["object"] == own and "allow.update is off" in got["allow-update"]["reason"]
    assert records(proxy, "deny") == []


def test_exec_in_the_gateway(proxy, engine, image):
    """Only exec, only in the gateway of the policy; both of its steps are reported."""
    engine.docker("rm", "-f", GATEWAY, check=False)
    full = engine.docker("run", "-d", "--name", GATEWAY, "--network", "none", image, "sleep", "infinity")
    try:
        r = proxy.request("POST", "/containers/%s/exec" % full, {"Cmd": ["true"], "AttachStdout": True})
        assert r.status == 201, r
        assert proxy.request("POST", "/exec/%s/start" % r.json()["Id"], {"Detach": True}).status == 200
        assert proxy.request("POST", "/containers/%s/exec" % full, {"Cmd": ["id"], "Privileged": True}).status == 403
        for m, target, body in SWITCHED:
            assert proxy.request(m, target % full, body).status in (403, 404), target
        assert proxy.request("DELETE", "/containers/%s?force=1" % full).status == 403
    finally:
        engine.docker("rm", "-f", GATEWAY, check=False)
    wait_for(lambda: len(records(proxy, "report")) >= 2)
    assert [(r["rule"], r["route"]) for r in records(proxy, "report")] == [("gateway-exec", "exec-create"), ("gateway-exec", "exec-start")]
