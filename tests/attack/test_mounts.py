"""test_mounts.py: what a tenant can do with places that it may write to: mount targets behind links, archives of
containers with binds. Each of these ended on the host with the engine's own runtime, before it was refused."""

import io
import os
import tarfile

import pytest

from supervisor import Supervisor
from test_attacks import CREATE, host, refused


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
    """/w/l is a link to /dev: the runtime would mount the tenant's directory there and write through its "null"."""
    w, d = nested.workspace, nested.inner
    for binds in ([w + ":/w", d + ":/w/l"], [d + ":/w/l:ro", w + ":/w:ro"]):
        refused(nested, relay, 403, "POST", CREATE, host(image, Binds=binds, ReadonlyRootfs=True))
    refused(nested, relay, 403, "POST", CREATE, host(image, Binds=[w + ":/w"], Tmpfs={"/w/l": ""}))
    refused(nested, relay, 403, "POST", CREATE, host(image, Binds=[w + ":/w"], Mounts=[
        {"Type": "bind", "Source": d, "Target": "/w/l"}]))


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
