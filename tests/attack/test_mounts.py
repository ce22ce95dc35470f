"""test_mounts.py: what a tenant can do with places that it may write to: mount targets behind links, archives of
containers with binds. Each of these ended on the host with the engine's own runtime, before it was refused."""

import io
import json
import os
import subprocess
import tarfile

import pytest

from clawtest import http_request, wait_for
from supervisor import Supervisor
from test_attacks import CREATE, bind_targets, host, refused


@pytest.fixture
def nested(relay, start_proxy, image, workspace):
    """Two roots, one in the other, as a gateway has its workspace and the skills in it."""
    inner = os.path.join(workspace, "d")
    os.mkdir(inner)
    os.symlink("/dev", os.path.join(workspace, "l"))
    os.symlink("/proc/sys/kernel/hostname", os.path.join(inner, "null"))
    p = start_proxy(engine_sock=relay.path, binds=[workspace, inner])
    p.workspace, p.inner = workspace, inner
    relay.forget()
    return p


def test_target_behind_a_link_in_another_bind(nested, relay, image):
    """/w/l is a link to /dev: the runtime would mount the tenant's directory there and write through its "null".
    Only a supervisor can put one bind into another, out of the runtime's sight."""
    w, d = nested.workspace, nested.inner
    for binds in ([w + ":/w", d + ":/w/l"], [d + ":/w/l:ro", w + ":/w:ro"]):
        r = nested.request("POST", CREATE, host(image, Binds=binds, ReadonlyRootfs=True))
        assert r.status == 403 and bind_targets(relay) == [], r
    refused(nested, relay, 403, "POST", CREATE, host(image, Binds=[w + ":/w"], Tmpfs={"/w/l": ""}))


def test_target_behind_a_link_of_the_container(nested, relay, image):
    """A container that may write to its root replaces /mnt by a link and is started again."""
    refused(nested, relay, 403, "POST", CREATE, host(image, Binds=[nested.inner + ":/mnt/l"]))
    r = nested.request("POST", CREATE, host(image, Binds=[nested.inner + ":/mnt/l"], ReadonlyRootfs=True))
    assert r.status == 201, r
    r = nested.request("POST", CREATE.replace("-x", "-y"), host(image, Binds=[nested.inner + ":/l"]))
    assert r.status == 201, r


# ---------------------------------------------------------------- archives
@pytest.fixture
def uploads(relay, image):
    """A proxy whose tenant may upload archives."""
    s = Supervisor(relay.path)
    s.start(allow_archive_put=True)
    relay.forget()
    yield s
    s.close()


def tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        t.addfile(tarfile.TarInfo("f"))
    return out.getvalue()


def put(s, full, body, path="/tmp"):
    return s.request("PUT", "/containers/%s/archive?path=%s" % (full, path), body, ["Content-Type: application/x-tar"])


def test_archives_of_a_container_with_binds(proxy, relay, image):
    """The engine mounts the binds once more to copy a file, and follows links that the container makes meanwhile."""
    full = proxy.request("POST", CREATE, host(image, Binds=[proxy.workspace + ":/w"])).json()["Id"]
    for method in ("GET", "HEAD"):
        relay.forget()
        r = proxy.request(method, "/containers/%s/archive?path=/etc/passwd" % full)
        assert r.status == 403 and relay.requests() == [], r


def test_archives_of_a_listed_container_with_binds(proxy, relay, start_proxy, image):
    full = proxy.request("POST", CREATE, host(image, Binds=[proxy.workspace + ":/w"])).json()["Id"]
    other = start_proxy(engine_sock=relay.path, binds=[proxy.workspace])
    refused(other, relay, 403, "GET", "/containers/%s/archive?path=/etc/passwd" % full)


COMPRESSED = {"gzip": b"\x1f\x8b\x08", "bzip2": b"BZh91AY&SY", "xz": b"\xfd7zXZ\0", "zstd": b"\x28\xb5\x2f\xfd",
              "zstd-skippable": b"\x50\x2a\x4d\x18", "text": b"hello"}


@pytest.mark.parametrize("kind", sorted(COMPRESSED))
def test_upload_is_a_plain_archive(uploads, relay, kind):
    """A compressed one is unpacked by a program that the engine takes from the container."""
    full = uploads.create("u").json()["Id"]
    for size in (len(COMPRESSED[kind]), 511, 512, 100000):
        relay.forget()
        r = put(uploads, full, COMPRESSED[kind].ljust(size, b"x"))
        assert r.status == 400 and "tar" in r.message, r
        assert relay.requests() == []
    uploads.request("DELETE", "/containers/%s?force=1" % full)


def test_upload_of_any_pieces(uploads, engine):
    full = uploads.create("u").json()["Id"]
    body = tar()
    for step in (1, 511, 512, 513):
        with uploads.connect() as c:
            c.send(b"PUT /containers/%s/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n"
                   b"Content-Type: application/x-tar\r\n\r\n" % full.encode())
            for i in range(0, len(body), step):
                c.send(b"%x\r\n%s\r\n" % (len(body[i:i + step]), body[i:i + step]))
            c.send(b"0\r\n\r\n")
            assert c.response().status == 200
    assert put(uploads, full, b"\0" * 1024).status == 200
    uploads.request("DELETE", "/containers/%s?force=1" % full)


# ---------------------------------------------------------------- under clawsupd: a bind inside a bind
@pytest.fixture
def tenant(daemon):
    daemon.tenant("a")
    daemon.start()
    daemon.healthy()
    daemon.ws = daemon.data("a") + "/workspace"
    os.makedirs(daemon.ws + "/skills")
    os.makedirs(daemon.ws + "/d")
    return daemon


def create(daemon, image, binds, **more):
    return http_request(daemon.proxy_sock("a"), "POST", CREATE,
                        {"Image": image, "Cmd": ["sleep", "infinity"], "HostConfig": dict(Binds=binds, **more)})


def mounts_of(daemon):
    with open("/proc/self/mounts") as f:
        return [line.split()[1] for line in f if "/.supervisor/staging/a/" in line and line.split()[1].startswith(daemon.home)]


def test_skills_inside_the_workspace(tenant, engine, image):
    """What a gateway asks for: the workspace, and the skills in it read-only."""
    ws = tenant.ws
    r = create(tenant, image, [ws + ":/workspace:z", ws + "/skills:/workspace/skills:ro,z", ws + "/d:/workspace/new/d"])
    assert r.status == 201, r
    full = r.json()["Id"]
    sh = ("exec", full, "sh", "-c")
    for _ in range(2):
        tenant.docker("a", "start", full)
        assert tenant.docker("a", *sh, "touch /workspace/f /workspace/new/d/g").returncode == 0
        assert "Read-only" in tenant.docker("a", *sh, "touch /workspace/skills/x", check=False).stderr
        tenant.docker("a", "stop", "-t", "0", full)
    assert os.path.exists(ws + "/d/g") and not os.path.exists(ws + "/skills/x")
    shown = json.loads(tenant.docker("a", "inspect", full).stdout)[0]
    assert sorted((m["Source"], m["Destination"], m["RW"]) for m in shown["Mounts"]) == [
        (ws, "/workspace", True), (ws + "/d", "/workspace/new/d", True), (ws + "/skills", "/workspace/skills", False)]
    assert len(engine.docker("inspect", "-f", "{{range .Mounts}}{{.Destination}}\n{{end}}", full).split()) == 1
    assert len(mounts_of(tenant)) == 3
    tenant.docker("a", "rm", "-f", full)
    wait_for(lambda: mounts_of(tenant) == [], 10, "staged binds were left")


def test_swapped_for_a_link_at_any_time(tenant, engine, image):
    """The place inside is a link when it is asked for, or becomes one before a start."""
    ws = tenant.ws
    os.symlink("/dev", ws + "/l")
    os.symlink("/proc/sys/kernel/hostname", ws + "/d/null")
    r = create(tenant, image, [ws + ":/w", ws + "/d:/w/l"])
    assert r.status == 403 and "link" in r.message, r
    wait_for(lambda: mounts_of(tenant) == [], 10, "a refused bind stays staged")
    os.mkdir(ws + "/place")
    r = create(tenant, image, [ws + ":/w", ws + "/d:/w/place"])
    assert r.status == 201, r
    full = r.json()["Id"]
    engine.docker("exec", "openclaw-gw-a", "sh", "-c", "cd %s && mv place was && ln -s /dev place" % ws)
    tenant.docker("a", "start", full)
    assert tenant.docker("a", "exec", full, "sh", "-c", "test -c /dev/null && ls /w/was").stdout.split() == ["null"]
    assert sorted(os.listdir(ws + "/d")) == ["null"]


def test_nested_binds_come_back(tenant, engine, image):
    """After a reboot nothing is staged any more; a proxy that was replaced finds everything in place."""
    ws = tenant.ws
    full = create(tenant, image, [ws + ":/w", ws + "/skills:/w/skills:ro"]).json()["Id"]
    os.kill(tenant.proxy_pid("a"), 9)
    wait_for(lambda: http_request(tenant.proxy_sock("a"), "GET", "/_ping").status == 200, 10)
    tenant.docker("a", "start", full)
    tenant.docker("a", "kill", full)
    for path in sorted(mounts_of(tenant), reverse=True):
        subprocess.run(["umount", path], check=True)
        if path.count("/") == (tenant.home + "/run/.supervisor/staging/a/1").count("/"):
            os.rmdir(path)
    os.kill(tenant.proxy_pid("a"), 9)
    wait_for(lambda: http_request(tenant.proxy_sock("a"), "GET", "/_ping").status == 200, 10)
    tenant.docker("a", "start", full)
    assert "Read-only" in tenant.docker("a", "exec", full, "touch", "/w/skills/x", check=False).stderr
    assert len(mounts_of(tenant)) == 2
