"""test_mounts.py: what a tenant can do with places that it may write to: mount targets behind links, archives of
containers with binds. Each of these ended on the host with the engine's own runtime, before it was refused."""

import os

import pytest

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
