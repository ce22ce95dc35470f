# conftest.py: a proxy of tenant "a" in front of a recording relay, and a victim of tenant "b" behind it.
import pytest

from clawtest import VICTIM
from relay import Relay


@pytest.fixture
def relay(engine, tmp_path_factory):
    d = tmp_path_factory.mktemp("relay")
    for p in (d, *list(d.parents)[:-2]):  # the proxy gives up root before it connects
        p.chmod(0o755)
    r = Relay(str(d / "engine.sock"), engine.sock)
    yield r
    r.close()


@pytest.fixture
def proxy(relay, start_proxy, image, workspace):
    p = start_proxy(engine_sock=relay.path, binds=[workspace])
    p.workspace = workspace
    relay.forget()
    return p


@pytest.fixture(scope="module")
def victim(engine, image):
    """A running container of another tenant, made around the proxy; whatever is tried, it stays."""
    engine.docker("rm", "-f", VICTIM, check=False)
    full = engine.docker("run", "-d", "--name", VICTIM, "--network", "none", "--label", "clawsup.tenant=b", "--label",
                         "clawsup.role=sandbox", image, "sleep", "infinity")
    yield full
    engine.docker("rm", "-f", VICTIM, check=False)


@pytest.fixture
def own(proxy, relay, image):
    """An own running container, made through the proxy."""
    r = proxy.request("POST", "/containers/create?name=openclaw-sbx-a-own",
                      {"Image": image, "Cmd": ["sleep", "infinity"]})
    assert r.status == 201, r
    full = r.json()["Id"]
    assert proxy.request("POST", "/containers/%s/start" % full).status == 204
    relay.forget()
    return full
