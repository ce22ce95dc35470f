"""The tenant's bridge: without a way out, with the Docker API on its own address, and the sandboxes' part in it."""

import json

from clawd import Daemon
from clawtest import DOCKER_CLIS, IMAGE, busybox_tar, import_image, own_engine, wait_for


def bridge(d, slug):
    return json.loads(d.engine.docker("network", "inspect", "clawsup-net-" + slug))[0]


def test_an_internal_gateway_is_probed_on_its_bridge(daemon):
    """Nothing is published from a network without a way out; the probe asks the gateway at its own address."""
    daemon.tenant("a", gateway="internal = true;")
    path = daemon.home + "/tenants.d/a.conf"
    with open(path) as f:
        text = f.read()
    port = daemon.ports["a"]
    text = text.replace("http://127.0.0.1:%d/" % port, "http://gateway:18789/")
    text = text.replace('publish = [ "127.0.0.1:%d:18789" ];' % port, "")
    with open(path, "w") as f:
        f.write(text)
    daemon.start().healthy("a")
    assert bridge(daemon, "a")["Internal"] is True
    assert daemon.component("a", "gateway")["last_probes"][-1]["detail"] == "HTTP 200"


def test_the_api_on_the_bridges_address(daemon):
    image = import_image(daemon.engine, "clawtest-cli:1", busybox_tar([DOCKER_CLIS[0]]))
    daemon.tenant("a", gateway_image=image, gateway="docker_host_tcp = true;",
                  proxy='listen = [ "unix:%s/run/a/docker.sock", "tcp://10.213.7.1:2375" ];' % daemon.home)
    daemon.start().healthy("a")
    assert bridge(daemon, "a")["IPAM"]["Config"][0]["Gateway"] == "10.213.7.1"
    assert "DOCKER_HOST=tcp://10.213.7.1:2375" in daemon.inspect("openclaw-gw-a")["Config"]["Env"]
    assert daemon.engine.docker("exec", "openclaw-gw-a", "docker", "version", "--format", "{{.Server.Os}}") == "linux"


def test_sandboxes_on_the_tenants_network(daemon):
    daemon.tenant("a", proxy='sandbox_network = "tenant";')
    daemon.tenant("b")
    daemon.start().healthy("a", "b")
    box = daemon.docker("a", "create", "--name", "openclaw-sbx-a-1", "--network", "clawsup-net-a", IMAGE, "sleep",
                        "600").stdout.strip()
    daemon.docker("a", "start", box)
    assert list(daemon.inspect(box)["NetworkSettings"]["Networks"]) == ["clawsup-net-a"]
    assert daemon.inspect(box)["NetworkSettings"]["Networks"]["clawsup-net-a"]["NetworkID"] == bridge(daemon, "a")["Id"]
    p = daemon.docker("a", "create", "--name", "openclaw-sbx-a-2", "--network", "clawsup-net-b", IMAGE, "true", check=False)
    assert p.returncode != 0 and "not allowed" in p.stderr
    # b has none, whatever it asks for
    p = daemon.docker("b", "create", "--name", "openclaw-sbx-b-1", "--network", "clawsup-net-b", IMAGE, "true", check=False)
    assert p.returncode != 0
    # A restart of ours finds the network again and leaves the proxy alone.
    pid = daemon.proxy_pid("a")
    daemon.stop()
    daemon.start().healthy("a")
    assert daemon.proxy_pid("a") == pid
    daemon.docker("a", "rm", "-f", box)
    wait_for(lambda: daemon.docker("a", "ps", "-aq").stdout == "", 10)


def test_an_engine_without_addresses_left(image):
    """Docker's own pools give about thirty networks: whoever has more tenants must be told what to change."""
    with own_engine(pool="base=10.63.0.0/24,size=24") as e:
        import_image(e, image, busybox_tar())
        d = Daemon(e)
        try:
            d.tenant("a")
            d.start().healthy("a")
            d.tenant("b")
            assert d.clawsup("reload").returncode == 0
            wait_for(lambda: "default-address-pools" in d.component("b", "gateway")["reason"], 30)
            d.healthy("a")
        finally:
            d.cleanup()
