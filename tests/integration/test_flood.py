"""Decision records under a flood: a supervisor that does not read its channel delays no request, what is lost is counted to
the last one, and neither the record of a deed nor the proxy's own questions are lost with the refusals."""

import os
import time

import pytest

from clawtest import IMAGE, build_request
from supervisor import Supervisor

REQUESTS = 6000


@pytest.fixture
def sup(engine, image):
    s = Supervisor(engine.sock)
    yield s
    try:
        s.close()
    finally:
        engine.remove_containers("clawsup.tenant=a")


def flood(sup, n):
    """`n` refused requests on one connection; how long each took."""
    took = []
    with sup.connect() as c:
        for _ in range(n):
            begin = time.monotonic()
            c.send(build_request("GET", "/networks"))
            assert c.response().status == 403
            took.append(time.monotonic() - begin)
    return sorted(took)


def drain(sup, until):
    """Reads the channel until `until(messages)`; all that came."""
    got = []
    while not until(got):
        got.append(sup.recv())
    return got


def test_a_channel_that_nobody_reads(sup, workspace):
    os.mkdir(workspace + "/p")
    sup.start(bind_mount_from=[workspace])
    took = flood(sup, REQUESTS)
    assert took[len(took) * 99 // 100] < 0.25 and took[-1] < 3, took[-5:]

    # What is done finds room for its record, and a bind for its question.
    full = sup.create("deed").json()["Id"]
    with sup.connect() as c:
        c.send(build_request("POST", "/containers/create?name=openclaw-sbx-a-bind", {
            "Image": IMAGE, "Cmd": ["true"], "HostConfig": {"Binds": [workspace + "/p:/p"]}}))
        got = drain(sup, lambda g: g and g[-1]["type"] == "stage")
        sup.send(type="staged", id=got[-1]["id"], path=workspace + "/p")
        assert c.response().status == 201
    records = [m for m in got if m["type"] == "decision"]
    assert [m for m in records if m["route"] == "container-create" and m["object"] == full], "the deed's record is lost"
    assert len(records) < REQUESTS, "nothing was lost: the flood was none"

    # Every refusal is either here or counted.
    got += drain(sup, lambda g: g and g[-1]["type"] == "stats" and g[-1]["denied"] == REQUESTS and g[-1]["allowed"] == 2)
    stats = got[-1]
    refused = [m for m in got if m["type"] == "decision" and m["decision"] == "deny"]
    assert stats["dropped"] == REQUESTS - len(refused) > 0, (stats, len(refused))
    assert "%d decision records were dropped" % stats["dropped"] in sup.text()


def test_no_reader_at_all(sup):
    """Without a supervisor every record is lost and counted; the next one hears the total."""
    sup.start()
    sup.control.close()
    took = flood(sup, 2000)
    assert took[-1] < 3, took[-5:]
    sup.adopt()
    stats = drain(sup, lambda g: g and g[-1]["type"] == "stats")[-1]
    assert stats["denied"] == 2000 and 1990 <= stats["dropped"] <= 2000, stats
