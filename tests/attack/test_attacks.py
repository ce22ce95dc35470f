"""test_attacks.py: the documented attacks, as raw bytes against the proxy, with a recording relay between the proxy and a
real engine. For a refused request the engine must have seen nothing at all: the relay proves it."""

import json
import os
from urllib.parse import quote

import pytest

from clawtest import V, VICTIM, HttpConn, build_request, busybox_tar, http_unix, import_image

OWN_LIST = V + "/containers/json?all=1&filters=" + quote('{"label":["clawsup.tenant=a"]}')
CREATE = V + "/containers/create?name=openclaw-sbx-a-x"


def body_with(image, **more):
    return dict({"Image": image, "Cmd": ["true"]}, **more)


def host(image, **more):
    return body_with(image, HostConfig=more)


def refused(proxy, relay, status, method, target, body=None, headers=()):
    """Sends it, expects the refusal and an engine that was asked nothing. The message is returned."""
    relay.forget()
    r = proxy.request(method, target, body, headers)
    assert r.status == status, r
    assert relay.requests() == [], "the engine saw a refused request"
    assert list(r.json()) == ["message"]
    return r.message


# ---------------------------------------------------------------- 1 to 14, 16, 17: creates that must not happen
def raw_duplicate_scalar(image):
    return '{"Image":"%s","HostConfig":{"Privileged":false,"privileged":true}}' % image


def raw_hostconfig_twice(image):
    return '{"Image":"%s","HostConfig":{"Memory":0},"HostConfig":{"Privileged":true}}' % image


FORBIDDEN = [
    ("01-privileged", 403, lambda i: host(i, Privileged=True)),
    ("01-privileged-as-root", 403, lambda i: body_with(i, User="0", HostConfig={"Privileged": True})),
    ("02-privileged-on-top", 403, lambda i: body_with(i, Privileged=True)),
    ("03-other-spelling", 400, lambda i: '{"Image":"%s","hostconfig":{"privileged":true}}' % i),
    ("03-folding-spelling", 400, lambda i: '{"Image":"%s","Ho\u017ftConfig":{"Privileged":true}}' % i),
    ("03-escaped-spelling", 400, lambda i: '{"Image":"%s","HostConfig":{"\\u0070rivileged":true}}' % i),
    ("04-duplicate-scalar", 400, raw_duplicate_scalar),
    ("05-hostconfig-twice", 400, raw_hostconfig_twice),
    ("06-bind-root", 403, lambda i: host(i, Binds=["/:/h"])),
    ("06-bind-relative", 403, lambda i: host(i, Binds=["data:/h"])),
    ("06-bind-engine-socket", 403, lambda i: host(i, Binds=["/var/run/docker.sock:/s"])),
    ("09-volume-with-device", 403, lambda i: host(i, Mounts=[
        {"Type": "volume", "Target": "/h", "VolumeOptions": {"DriverConfig": {
            "Name": "local", "Options": {"type": "none", "o": "bind", "device": "/etc"}}}}])),
    ("10-network-host", 403, lambda i: host(i, NetworkMode="host")),
    ("11-network-of-victim", 403, lambda i: host(i, NetworkMode="container:" + VICTIM)),
    ("11-pid-of-victim", 403, lambda i: host(i, PidMode="container:" + VICTIM)),
    ("11-pid-host", 403, lambda i: host(i, PidMode="host")),
    ("11-ipc-host", 403, lambda i: host(i, IpcMode="host")),
    ("12-endpoint", 403, lambda i: body_with(i, HostConfig={"NetworkMode": "none"}, NetworkingConfig={
        "EndpointsConfig": {"clawsup-net-b": {"Aliases": ["gateway"]}}})),
    ("13-cap-add", 403, lambda i: host(i, CapAdd=["sys_admin"])),
    ("14-seccomp-equals", 403, lambda i: host(i, SecurityOpt=["seccomp=unconfined"])),
    ("14-seccomp-colon", 403, lambda i: host(i, SecurityOpt=["seccomp:unconfined"])),
    ("16-label", 403, lambda i: body_with(i, Labels={"clawsup.tenant": "b"})),
    ("devices", 403, lambda i: host(i, Devices=[
        {"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}])),
    ("unknown-field", 403, lambda i: host(i, BrandNewField=True)),
    ("image-not-listed", 403, lambda i: body_with("other:1")),
    ("trailing-text", 400, lambda i: '{"Image":"%s"} {"HostConfig":{"Privileged":true}}' % i),
]


@pytest.mark.parametrize("status,make", [f[1:] for f in FORBIDDEN], ids=[f[0] for f in FORBIDDEN])
def test_create_is_refused(proxy, relay, image, status, make):
    refused(proxy, relay, status, "POST", CREATE, make(image))


def test_07_bind_dotdot(proxy, relay, image):
    ws = proxy.workspace
    other = os.path.join(os.path.dirname(ws), "b")
    os.mkdir(other)
    refused(proxy, relay, 403, "POST", CREATE, host(image, Binds=[ws + "/../b:/h"]))
    refused(proxy, relay, 403, "POST", CREATE, host(image, Binds=[other + ":/h"]))
    refused(proxy, relay, 403, "POST", CREATE, host(image, Binds=[ws + "x:/h"]))


def bind_targets(relay):
    return [t for t in relay.targets() if not t.startswith("GET " + V + "/images/")]


def test_08_symlink_in_the_workspace(proxy, relay, image):
    os.symlink("/", os.path.join(proxy.workspace, "link"))
    for source in ("link", "link/etc"):
        relay.forget()
        r = proxy.request("POST", CREATE, host(image, Binds=["%s/%s:/h" % (proxy.workspace, source)]))
        assert r.status == 403, r
        assert bind_targets(relay) == []  # looking the image up is all that may happen


NAMES = ["openclaw-sbx-b-x", "xx", "openclaw-sbx-a", "openclaw-gw-a", "../openclaw-sbx-a-x"]


@pytest.mark.parametrize("name", NAMES)
def test_17_name(proxy, relay, image, name):
    refused(proxy, relay, 400 if "/" in name else 403, "POST", "/containers/create?name=" + name, body_with(image))


def test_17_no_name(proxy, relay, image):
    refused(proxy, relay, 403, "POST", "/containers/create", body_with(image))
    refused(proxy, relay, 403, "POST", "/containers/create?name=", body_with(image))


def test_15_limits_are_forced(proxy, relay, engine, image):
    r = proxy.request("POST", CREATE, host(image, PidsLimit=-1, Memory=0, MemorySwap=-1))
    assert r.status == 201, r
    hc = json.loads(engine.docker("inspect", r.json()["Id"]))[0]["HostConfig"]
    assert (hc["PidsLimit"], hc["Memory"], hc["MemorySwap"]) == (64, 256 << 20, 256 << 20)
    assert hc["NanoCpus"] == 500000000
    assert (hc["CapDrop"], hc["NetworkMode"], hc["Privileged"]) == (["ALL"], "none", False)


# ---------------------------------------------------------------- 18 to 20: others' containers do not exist
def reads(ref):
    return [("GET", "/containers/%s/json" % ref, None), ("GET", "/containers/%s/logs?stdout=1" % ref, None),
            ("GET", "/containers/%s/top" % ref, None), ("GET", "/containers/%s/stats" % ref, None),
            ("GET", "/containers/%s/archive?path=/etc" % ref, None),
            ("POST", "/containers/%s/exec" % ref, {"Cmd": ["id"], "AttachStdout": True}),
            ("POST", "/containers/%s/kill" % ref, None), ("POST", "/containers/%s/start" % ref, None),
            ("POST", "/containers/%s/stop" % ref, None), ("POST", "/containers/%s/wait" % ref, None),
            ("POST", "/containers/%s/attach?stream=1&stdout=1" % ref, None),
            ("DELETE", "/containers/%s?force=1" % ref, None)]


@pytest.mark.parametrize("pick", [lambda v: VICTIM, lambda v: v, lambda v: v[:4], lambda v: v[:12],
                                  lambda v: v.upper()], ids=["name", "id", "prefix4", "prefix12", "upper"])
def test_18_19_foreign_is_absent(proxy, relay, victim, pick):
    ref = pick(victim)
    absent = {n: ("f" if len(ref) > 4 else "e") * len(ref) if ref != VICTIM else "openclaw-sbx-b-q" for n in "x"}["x"]
    for (m, target, body), (_, target2, _) in zip(reads(ref), reads(absent)):
        relay.forget()
        a, b = proxy.request(m, target, body), proxy.request(m, target2, body)
        assert a.status == 404 and a.message == "No such container: " + ref, (m, target, a)
        assert a.raw.replace(ref.encode(), b"") == b.raw.replace(absent.encode(), b"")
        assert a.body.replace(ref.encode(), b"") == b.body.replace(absent.encode(), b"")
        assert relay.requests() == []


def test_20_lists_show_own_only(proxy, relay, engine, victim, own):
    rows = proxy.request("GET", "/containers/json?all=1").json()
    assert [r["Id"] for r in rows] == [own]
    assert victim not in json.dumps(rows)
    for key in ("before", "since"):
        answers = []
        for ref in (VICTIM, "openclaw-sbx-b-q"):
            r = proxy.request("GET", "/containers/json?filters=" + quote(json.dumps({key: [ref]})))
            answers.append((r.status, r.body.replace(ref.encode(), b"")))
        assert answers[0] == answers[1] and answers[0][0] in (403, 404), answers
    # lists carry our own filter and nothing of the client's
    assert {t for _, t, _ in relay.requests(lists=True)} == {OWN_LIST}


# ---------------------------------------------------------------- 21 to 25
def test_21_start_with_body(proxy, relay, own):
    refused(proxy, relay, 400, "POST", "/v1.24/containers/%s/start" % own, {"Privileged": True})
    refused(proxy, relay, 400, "POST", "/v1.23/containers/%s/start" % own, {"Privileged": True})


def test_22_exec_start_of_unknown_id(proxy, relay, victim):
    with HttpConn(proxy.sock) as c:
        c.send(build_request("POST", "/exec/" + "a" * 64 + "/start", {"Detach": False, "Tty": False},
                             ["Connection: Upgrade", "Upgrade: tcp"]))
        c.send(build_request("GET", "/containers/json?all=1"))
        r = c.response()
        assert r.status == 404, r
        assert c.read_to_end() == b""
    assert relay.requests(lists=True) == []


def smuggle(*lines, body=b""):
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


SMUGGLED = [
    ("23-both-framings", 400, smuggle("POST " + CREATE + " HTTP/1.1", "Host: d", "Content-Length: 4",
                                      "Transfer-Encoding: chunked", body=b"0\r\n\r\nGET /containers/json HTTP/1.1\r\n\r\n")),
    ("two-lengths", 400, smuggle("POST " + CREATE + " HTTP/1.1", "Host: d", "Content-Length: 2", "Content-Length: 2",
                                 body=b"{}")),
    ("obs-fold", 400, smuggle("GET /_ping HTTP/1.1", "Host: d", "X: a", " b")),
    ("bare-lf", 400, b"GET /_ping HTTP/1.1\nHost: d\n\n"),
    ("http-1.0", 505, smuggle("GET /_ping HTTP/1.0", "Host: d")),
    ("no-host", 400, smuggle("GET /_ping HTTP/1.1")),
    ("absolute-form", 400, smuggle("GET http://d/containers/json HTTP/1.1", "Host: d")),
    ("h2-preface", 400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("get-with-body", 400, smuggle("GET /containers/json HTTP/1.1", "Host: d", "Content-Length: 2", body=b"{}")),
    ("encoded-slash", 400, smuggle("GET /containers%2Fjson HTTP/1.1", "Host: d")),
    ("dot-segment", 400, smuggle("GET /containers/../containers/json HTTP/1.1", "Host: d")),
]


@pytest.mark.parametrize("status,raw", [s[1:] for s in SMUGGLED], ids=[s[0] for s in SMUGGLED])
def test_23_smuggling(proxy, relay, status, raw):
    answer = http_unix(proxy.sock, raw + b"GET /containers/json?all=1 HTTP/1.1\r\nHost: d\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert answer.count(b"HTTP/1.1 %d " % status) == 1 and answer.count(b"HTTP/1.1 2") == 0, "a second request was answered: %r" % answer
    assert relay.requests(lists=True) == []


def test_24_update(proxy, relay, own):
    for b in ({"PidsLimit": 0}, {"RestartPolicy": {"Name": "always"}}):
        refused(proxy, relay, 403, "POST", "/containers/%s/update" % own, b)


NEVER = [("POST", "/session"), ("POST", "/grpc"), ("POST", "/containers/prune"), ("POST", "/swarm/init"),
         ("GET", "/debug/vars"), ("GET", "/debug/pprof/heap"), ("POST", "/build"), ("POST", "/commit"),
         ("POST", "/auth"), ("GET", "/system/df"), ("POST", "/volumes/create"), ("POST", "/networks/create"),
         ("GET", "/secrets"), ("GET", "/nodes"), ("POST", "/images/load"), ("POST", "/images/x/push"),
         ("POST", "/plugins/pull"), ("GET", "/distribution/x/json"), ("GET", "/"), ("GET", "/nothing")]


@pytest.mark.parametrize("method,path", NEVER, ids=["%s%s" % n for n in NEVER])
def test_25_never(proxy, relay, method, path):
    refused(proxy, relay, 403, method, path)
    refused(proxy, relay, 400 if path == "/" else 403, method, V + path)


def test_25_with_upgrade(proxy, relay):
    for path in ("/session", "/grpc", "/_ping", "/containers/json"):
        with HttpConn(proxy.sock) as c:
            c.send(build_request("GET" if path[1] in "_c" else "POST", path, None,
                                 ["Connection: Upgrade", "Upgrade: tcp"]))
            assert c.response().status in (200, 403)
            c.send(build_request("POST", "/containers/prune"))
            rest = c.s.recv(65536)
            assert rest == b"" or rest.startswith(b"HTTP/1.1 403"), rest
    assert not [t for t in relay.targets() if "prune" in t or "session" in t or "grpc" in t]


# ---------------------------------------------------------------- what follows a tunnel, and the exec rules
def exec_create(proxy, own, cmd=("cat",), **more):
    r = proxy.request("POST", "/containers/%s/exec" % own,
                      dict({"Cmd": list(cmd), "AttachStdin": True, "AttachStdout": True}, **more))
    assert r.status == 201, r
    return r.json()["Id"]


def test_exec_is_single_use(proxy, relay, own):
    e = exec_create(proxy, own, ["true"])
    r = proxy.request("POST", "/exec/%s/start" % e, {"Detach": True})
    assert r.status == 200, r
    refused(proxy, relay, 409, "POST", "/exec/%s/start" % e, {"Detach": True})


def test_exec_privileged(proxy, relay, own):
    for b in ({"Cmd": ["id"], "Privileged": True}, '{"Cmd":["id"],"privileged":true}'):
        relay.forget()
        r = proxy.request("POST", "/containers/%s/exec" % own, b)
        assert r.status in (400, 403), r
        assert relay.requests() == []


def test_foreign_exec(proxy, relay, engine, victim):
    r = engine.request("POST", "/containers/%s/exec" % victim, {"Cmd": ["cat"], "AttachStdout": True})
    e = r.json()["Id"]
    for method, path in (("GET", "/exec/%s/json"), ("POST", "/exec/%s/start"), ("POST", "/exec/%s/resize?h=1&w=1")):
        message = refused(proxy, relay, 404, method, path % e, {} if path.endswith("start") else None)
        assert message == "No such exec instance: " + e


def test_engine_error_on_upgrade_closes(proxy, relay, own):
    """The engine answers an error to the start: nothing may pass afterwards."""
    e = exec_create(proxy, own)
    assert proxy.request("POST", "/containers/%s/kill" % own).status == 204
    with HttpConn(proxy.sock) as c:
        c.send(build_request("POST", "/exec/%s/start" % e, {"Detach": False, "Tty": False},
                             ["Connection: Upgrade", "Upgrade: tcp"]))
        c.send(build_request("GET", "/containers/json?all=1"))
        r = c.response()
        assert r.status >= 400, r
        assert c.read_to_end() == b""
    assert not [t for t in relay.targets() if "containers/json" in t]


def test_every_request_is_rewritten(proxy, relay, own):
    """Headers, version and reference of a client never reach the engine."""
    r = proxy.request("GET", "/v1.30/containers/openclaw-sbx-a-own/json",
                      headers=["X-Registry-Auth: abc", "User-Agent: evil", "Cookie: a=b"])
    assert r.status == 200
    raw = [s for s in relay.seen if b"/json HTTP/1.1" in s][-1]
    assert raw == b"GET %s/containers/%s/json HTTP/1.1\r\nHost: docker\r\n\r\n" % (V.encode(), own.encode())


def test_create_mismatch_is_removed(proxy, relay, engine, image):
    """An engine that gives something else than was asked for: the container goes, the client hears of it."""
    def lie(request):
        head = request.split(b"\r\n")[0]
        if head.startswith(b"POST ") and b"/containers/create?" in head:
            h, _, b = request.partition(b"\r\n\r\n")
            doc = json.loads(b)
            doc["HostConfig"]["Privileged"] = True
            r = engine.request("POST", head.split(b" ")[1].decode(), doc)
            return b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" \
                   b"Connection: close\r\n\r\n%s" % (len(r.body), r.body)
        return None

    relay.answer = lie
    r = proxy.request("POST", CREATE, body_with(image))
    assert r.status == 500 and "removed" in r.message, r
    assert engine.docker("ps", "-aq", "--filter", "name=openclaw-sbx-a-x") == ""
    assert proxy.request("GET", "/containers/openclaw-sbx-a-x/json").status == 404
    assert "ALARM" in proxy.text()


# ---------------------------------------------------------------- images by id
def test_an_image_by_id_is_shown_only_under_a_tag_of_the_list(proxy, relay, engine, image):
    own = engine.docker("image", "inspect", "-f", "{{.Id}}", image)
    secret = engine.docker("image", "inspect", "-f", "{{.Id}}", import_image(engine, "clawtest-secret:1", busybox_tar()))
    engine.docker("tag", image, "clawtest-secret:2")
    try:
        absent = "sha256:" + "0" * 64
        for path in ("/images/%s/json", "/images/%s/history"):
            assert proxy.request("GET", path % own).status == 200
            a, b = proxy.request("GET", path % secret), proxy.request("GET", path % absent)
            assert a.status == b.status == 404 and a.headers == b.headers
            assert a.body == b.body.replace(absent.encode(), secret.encode())
        assert proxy.request("GET", "/images/%s/json" % own).json()["RepoTags"] == [image]
        relay.forget()
        for ref in (secret[7:], secret[7:19], secret[:19], own[7:], own[7:19], "clawtest-secret:1", "sha256:" + "A" * 64):
            assert proxy.request("GET", "/images/%s/json" % ref).status == 404
        assert relay.targets() == []
    finally:
        engine.docker("rmi", "clawtest-secret:1", "clawtest-secret:2")
