"""test_exhaustion.py: what a tenant can use up that belongs to all: the engine's memory and watches, the supervisor's
look at the host."""

from clawtest import HttpConn, build_request


def exec_create(proxy, own, headers=()):
    return proxy.request("POST", "/containers/%s/exec" % own, {"Cmd": ["true"]}, headers)


def test_execs_that_are_never_started(proxy, relay, own):
    """The engine keeps each with its whole body for as long as the container lives."""
    ids = []
    for _ in range(128):
        r = exec_create(proxy, own)
        assert r.status == 201, r
        ids.append(r.json()["Id"])
    relay.forget()
    r = exec_create(proxy, own)
    assert r.status == 429 and relay.requests() == [], r
    assert proxy.request("POST", "/exec/%s/start" % ids[0], {"Detach": True}).status == 200
    assert exec_create(proxy, own).status == 201
    assert exec_create(proxy, own).status == 429


def test_execs_of_clients_that_go_away(proxy, relay, own):
    """Whether the engine made one is not known: it counts."""
    for _ in range(200):
        with HttpConn(proxy.sock) as c:
            c.send(build_request("POST", "/containers/%s/exec" % own, {"Cmd": ["true"]}))
    for _ in range(129):
        last = exec_create(proxy, own)
    assert last.status == 429, last
    assert len([t for t in relay.targets() if t.endswith("/exec")]) <= 128


def test_execs_that_the_engine_refuses(proxy, relay, own):
    """None is made in a paused container, so none counts."""
    assert proxy.request("POST", "/containers/%s/pause" % own).status == 204
    for _ in range(140):
        assert exec_create(proxy, own).status == 409
    assert proxy.request("POST", "/containers/%s/unpause" % own).status == 204
    assert exec_create(proxy, own).status == 201


def test_costly_requests_at_a_time(proxy, relay, own):
    """A followed log holds a watch of the kernel's that all of root's processes share."""
    conns = [HttpConn(proxy.sock) for _ in range(40)]
    for c in conns:
        c.send(build_request("GET", "/containers/%s/logs?follow=1&stdout=1" % own))
    status = sorted(c.head()[0] for c in conns)
    assert status == [200] * 32 + [429] * 8, status
    for kind in ("top", "changes", "stats", "archive?path=/etc", "json?size=1"):
        assert proxy.request("GET", "/containers/%s/%s" % (own, kind)).status == 429, kind
    for path in ("/events", "/containers/json?size=1"):
        assert proxy.request("GET", path).status == 429, path
    for path in ("/_ping", "/containers/json", "/containers/%s/json" % own):
        assert proxy.request("GET", path).status == 200, path
    for c in conns:
        c.close()
    end = proxy.request("GET", "/containers/%s/top" % own)
    assert end.status == 200, end
