"""test_sidecar_image.py: the proxy in a container: the image that contrib/compose makes, the Compose file, and what the
Kubernetes manifest says."""

import json
import os
import re
import subprocess
import time

import pytest
import yaml

from clawd import free_port
from clawtest import DOCKER_CLIS, IMAGE, REPO, busybox_tar, import_image, program, wait_for

ASAN = "asan" in os.environ.get("CLAWSUP_BUILD", "")
COMPOSE = os.path.join(REPO, "contrib/compose")
MANIFEST = os.path.join(REPO, "contrib/kubernetes/sidecar.yaml")
PROJECT = "clawtest"


@pytest.fixture(scope="module")
def proxy_image(engine):
    """What contrib/compose/import makes of the program under test: itself and the libraries that ldd names."""
    name = "clawtest-proxy:asan" if ASAN else "clawtest-proxy:1"
    p = subprocess.run([COMPOSE + "/import", program("clawsup-proxy"), name], capture_output=True, text=True, timeout=120,
                       env={"PATH": os.path.dirname(DOCKER_CLIS[0]) + ":/usr/bin:/bin", "DOCKER_HOST": "unix://" + engine.sock},
                       check=False)
    assert p.returncode == 0, p.stderr
    return name


@pytest.fixture
def boxes(engine):
    """A function that runs a container of the proxy's image; all are removed."""
    names = []

    def start(image, *args, name="clawtest-proxy"):
        engine.docker("rm", "-f", name, check=False)
        names.append(name)
        engine.docker("run", "-d", "--name", name, "--network", "none", "-v", engine.sock + ":/var/run/docker.sock",
                      "-e", "TENANT=a", *args, image)
        return name

    yield start
    for n in names:
        engine.docker("rm", "-f", n, check=False)
    engine.remove_containers("clawsup.tenant=a")


def gid(engine):
    return str(os.stat(engine.sock).st_gid)


def inspect(engine, name):
    return json.loads(engine.docker("inspect", name))[0]


def logs(engine, name):
    p = subprocess.run([DOCKER_CLIS[0], "-H", "unix://" + engine.sock, "logs", name], capture_output=True, text=True,
                       timeout=30, check=True)
    return p.stdout, p.stderr


def healthy(engine, name):
    state = inspect(engine, name)["State"]
    assert state["Running"], logs(engine, name)
    return state["Health"]["Status"] == "healthy"


# ---------------------------------------------------------------- the image
def test_image_is_what_the_dockerfile_says(engine, proxy_image):
    with open(COMPOSE + "/Dockerfile") as f:
        last = f.read().split("\nFROM scratch\n")[1]
    config = json.loads(engine.docker("image", "inspect", proxy_image))[0]["Config"]
    assert re.search(r"^USER (.*)$", last, re.M).group(1) == config["User"] == "65534:65534"
    assert json.loads(re.search(r"^ENTRYPOINT (.*)$", last, re.M).group(1)) == config["Entrypoint"]
    assert json.loads(re.search(r"CMD (\[.*\])$", last, re.M).group(1)) == config["Healthcheck"]["Test"][1:]
    assert set(re.findall(r"^([A-Z]+) ", last, re.M)) == {"COPY", "USER", "HEALTHCHECK", "ENTRYPOINT"}
    assert engine.docker("run", "--rm", "--network", "none", proxy_image, "--version").startswith("clawsup-proxy ")


def test_default_listener_health_and_records(engine, image, proxy_image, boxes):
    """Nothing set but the tenant and the group: tcp://127.0.0.1:2375 inside, which the image's own health check asks."""
    box = boxes(proxy_image, "-e", "DOCKER_GID=" + gid(engine), "--group-add", gid(engine), "--cap-drop", "ALL", "--read-only",
                "--security-opt", "no-new-privileges")
    wait_for(lambda: healthy(engine, box), 30)
    pid = inspect(engine, box)["State"]["Pid"]
    with open("/proc/%d/status" % pid) as f:
        status = {k: v.split() for k, _, v in (line.partition(":") for line in f)}
    assert status["Uid"] == ["65534"] * 4 and status["NoNewPrivs"] == ["1"]
    assert set(status["Groups"]) <= {gid(engine), "65534"}
    assert int(status["CapEff"][0], 16) == int(status["CapBnd"][0], 16) == 0 and status["Seccomp"] == ["2"]
    # Its network is reached from inside alone.
    p = subprocess.run(["nsenter", "-t", str(pid), "-n", "/usr/bin/python3", "-c", """
import http.client
for path, method in (("/containers/json", "GET"), ("/containers/prune", "POST")):
    c = http.client.HTTPConnection("127.0.0.1", 2375, timeout=10)
    c.request(method, path)
    print(c.getresponse().status)
"""], capture_output=True, text=True, timeout=30, check=True)
    assert p.stdout.split() == ["200", "403"]
    out, err = logs(engine, box)
    assert [json.loads(line)["decision"] for line in out.splitlines()] == ["allow", "deny"]
    assert "clawsup-proxy info: engine " in err
    engine.docker("stop", "-t", "10", box)
    assert inspect(engine, box)["State"]["ExitCode"] == 0


def test_what_a_container_can_get_wrong(engine, proxy_image, boxes):
    g = gid(engine)
    rows = [
        ([], 'there is no group "docker" and DOCKER_GID (docker_gid) is not set; set it to %s, the group of '
         "/var/run/docker.sock" % g),
        (["-e", "DOCKER_GID=1"], "DOCKER_GID gives gid 1, but /var/run/docker.sock belongs to gid %s; set DOCKER_GID "
         "(docker_gid) to %s" % (g, g)),
        (["-e", "DOCKER_GID=" + g], "uid 65534 is not in group %s, which opens /var/run/docker.sock; add it: group_add: "
         '["%s"] in Compose, supplementalGroups: [%s] in Kubernetes' % (g, g, g)),
        (["-e", "DOCKER_GID=" + g, "--user", "0", "--cap-drop", "ALL"], "setgroups: Operation not permitted; root without "
         "CAP_SETUID and CAP_SETGID cannot become another user: start it as one (user: \"65534:65534\" and group_add: "
         '["%s"] in Compose)' % g),
    ]
    for args, text in rows:
        box = boxes(proxy_image, *args)
        wait_for(lambda b=box: not inspect(engine, b)["State"]["Running"])
        assert inspect(engine, box)["State"]["ExitCode"] == 78, args
        assert logs(engine, box)[1].rstrip().endswith("clawsup-proxy error: " + text), logs(engine, box)


def test_as_root_in_the_container(engine, proxy_image, boxes):
    """Engine defaults, root: it gives up what it was given."""
    box = boxes(proxy_image, "--health-interval", "500ms", "-e", "DOCKER_GID=" + gid(engine), "--user", "0")
    wait_for(lambda: healthy(engine, box), 30)
    with open("/proc/%d/status" % inspect(engine, box)["State"]["Pid"]) as f:
        status = {k: v.split() for k, _, v in (line.partition(":") for line in f)}
    assert status["Uid"] == ["65534"] * 4 and status["Groups"] == [gid(engine)]
    assert int(status["CapEff"][0], 16) == int(status["CapPrm"][0], 16) == 0


def test_unhealthy_without_its_engine(engine, proxy_image, boxes, tmp_path):
    box = boxes(proxy_image, "-e", "DOCKER_GID=" + gid(engine), "--group-add", gid(engine), "-e",
                "DOCKER_SOCKET=/var/run/other.sock", "--health-interval", "1s", "--health-start-period", "1ms",
                "--health-retries", "1")
    wait_for(lambda: inspect(engine, box)["State"]["Health"]["Status"] == "unhealthy", 30)
    log = inspect(engine, box)["State"]["Health"]["Log"][-1]
    assert log["ExitCode"] == 1 and "127.0.0.1:2375: not healthy: status 503" in log["Output"]


# ---------------------------------------------------------------- Compose
class Compose:
    def __init__(self, engine, home, values):
        self.engine, self.env_file = engine, home + "/env"
        self.used = False
        with open(self.env_file, "w") as f:
            f.writelines("%s=%s\n" % kv for kv in values.items())

    def __call__(self, *args, check=True):
        self.used = self.used or args[0] == "up"
        p = subprocess.run(["docker-compose", "-p", PROJECT, "--env-file", self.env_file, "-f",
                            COMPOSE + "/docker-compose.yml", *args], capture_output=True, text=True, timeout=120,
                           env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "DOCKER_HOST": "unix://" + self.engine.sock},
                           stdin=subprocess.DEVNULL, check=False)
        assert not check or p.returncode == 0, p.stderr
        return p


@pytest.fixture
def compose(engine, image, proxy_image, workspace):
    """A function that gives a project of contrib/compose/docker-compose.yml with a gateway that has the docker command."""
    gateway = import_image(engine, "clawtest-gateway:1", busybox_tar([DOCKER_CLIS[0]]), 'CMD ["sh", "-c", "trap exit TERM; sleep 600 & wait"]')
    made = []

    def make(**more):
        values = {"TENANT": "a", "PROXY_IMAGE": proxy_image, "GATEWAY_IMAGE": gateway, "DOCKER_GID": gid(engine),
                  "DOCKER_SOCKET": engine.sock, "WORKSPACE": workspace, "ALLOW_IMAGES": IMAGE, "LIMIT_MEMORY": "128M",
                  "GATEWAY_ADDRESS": "127.0.0.1:%d" % free_port(), **more}
        made.append(Compose(engine, os.path.dirname(workspace), values))
        return made[-1]

    yield make
    engine.remove_containers("clawsup.tenant=a")
    for c in made:
        if c.used:
            c("down", "-v", "-t", "1")


def started(engine, name):
    return inspect(engine, name)["State"]["StartedAt"]


def test_compose_brings_a_tenant_up(engine, compose, workspace):
    c = compose()
    c("up", "-d")
    proxy, gateway = PROJECT + "_proxy_1", "openclaw-gw-a"
    assert healthy(engine, proxy)
    first_good = [e for e in inspect(engine, proxy)["State"]["Health"]["Log"] if e["ExitCode"] == 0][0]
    assert started(engine, gateway) > started(engine, proxy) and first_good

    def inside(*args):
        return engine.docker("exec", gateway, "docker", *args)

    # The gateway's own container, by the name that it has for itself; its environment is not shown.
    own = inside("inspect", engine.docker("exec", gateway, "hostname"))
    assert json.loads(own)[0]["Name"] == "/" + gateway and "DOCKER_HOST" not in own
    with open(workspace + "/f", "w") as f:
        f.write("from the workspace")
    box = inside("create", "--name", "openclaw-sbx-a-1", "--network", "none", "-v", workspace + ":/workspace", IMAGE,
                 "sleep", "600")
    inside("start", box)
    assert inside("exec", box, "cat", "/workspace/f") == "from the workspace"
    assert inspect(engine, box)["HostConfig"]["Memory"] == 128 << 20
    assert inside("ps", "-a", "--format", "{{.Names}}") == "openclaw-sbx-a-1"
    out, _ = logs(engine, proxy)
    routes = [json.loads(line)["route"] for line in out.splitlines()]
    assert "container-create" in routes and "exec-start" in routes

    # A proxy that dies comes back on the same path, and knows the tenant's containers again.
    before = started(engine, proxy)
    os.kill(inspect(engine, proxy)["State"]["Pid"], 9)
    wait_for(lambda: started(engine, proxy) != before and healthy(engine, proxy), 30)
    assert inside("ps", "--format", "{{.Names}}") == "openclaw-sbx-a-1"
    inside("rm", "-f", box)
    t = time.monotonic()
    c("stop", "-t", "10")
    assert inspect(engine, proxy)["State"]["ExitCode"] == 0 and time.monotonic() - t < 30


def test_compose_starts_no_gateway_behind_a_proxy_that_does_not_serve(engine, compose):
    c = compose(DOCKER_GID="1")
    p = c("up", "-d", check=False)
    assert p.returncode != 0 and "is unhealthy" in p.stderr, p.stderr
    assert engine.docker("ps", "-aq", "--filter", "name=openclaw-gw-a") == ""
    assert "set DOCKER_GID (docker_gid) to " + gid(engine) in logs(engine, PROJECT + "_proxy_1")[1]


@pytest.mark.parametrize("missing", ["TENANT", "DOCKER_GID", "WORKSPACE", "GATEWAY_IMAGE"])
def test_compose_says_what_is_missing(compose, missing):
    c = compose(**{missing: ""})
    p = c("config", check=False)
    assert p.returncode != 0 and missing in p.stderr, p.stderr


# ---------------------------------------------------------------- files against the program
def settings_of(env):
    """Does a proxy take this environment? A socket that is absent keeps it from going further than that."""
    env = {k: str(v) for k, v in env.items()}
    p = subprocess.run([program("clawsup-proxy")], env={**env, "LISTEN": "unix:/nonexistent/p.sock", "DOCKER_GID": "998",
                                                        "DOCKER_SOCKET": "/nonexistent/engine.sock"},
                       capture_output=True, text=True, timeout=10, check=False)
    return p.returncode, p.stderr


def expand(text, values):
    """What Compose makes of ${A}, ${A:-default} and ${A:?why}."""
    return re.sub(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}",
                  lambda m: values.get(m[1]) or (m[3] if m[2] == "-" else ""), text)


def test_environments_of_the_examples():
    with open(COMPOSE + "/example.env") as f:
        values = dict(line.strip().split("=", 1) for line in f if "=" in line and not line.startswith("#"))
    with open(COMPOSE + "/docker-compose.yml") as f:
        text = f.read()
    used = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert used - {"PROXY_IMAGE", "DOCKER_SOCKET"} == set(values)
    for v in (values, {k: values[k] for k in ("TENANT", "GATEWAY_IMAGE", "DOCKER_GID", "WORKSPACE")}):
        env = yaml.safe_load(expand(text, v))["services"]["proxy"]["environment"]
        code, err = settings_of(env)
        assert code == 1 and "/nonexistent/p.sock" in err, err


def test_manifest():
    with open(MANIFEST) as f:
        config, workload = yaml.safe_load_all(f)
    code, err = settings_of(config["data"])
    assert code == 1 and "/nonexistent/p.sock" in err, err
    pod = workload["spec"]["template"]["spec"]
    proxy, gateway = pod["initContainers"][0], pod["containers"][0]
    assert proxy["envFrom"][0]["configMapRef"]["name"] == config["metadata"]["name"]
    assert [int(config["data"]["DOCKER_GID"])] == pod["securityContext"]["supplementalGroups"]
    assert proxy["restartPolicy"] == "Always" and pod["enableServiceLinks"] is False
    for probe in ("startupProbe", "readinessProbe"):
        assert proxy[probe]["exec"]["command"] == ["/usr/bin/clawsup-proxy", "--healthcheck"]
    s = proxy["securityContext"]
    assert s["runAsNonRoot"] and s["readOnlyRootFilesystem"] and not s["allowPrivilegeEscalation"]
    assert s["capabilities"] == {"drop": ["ALL"]}
    mounts = {m["name"]: m["mountPath"] for m in proxy["volumeMounts"]}
    assert mounts == {"engine": "/var/run/docker.sock", "api": "/run/clawsup"}
    # The gateway gets the proxy's directory, never the engine's socket.
    assert "engine" not in {m["name"] for m in gateway["volumeMounts"]}
    listen = {e["name"]: e["value"] for e in proxy["env"]}["LISTEN"]
    assert listen.split(",")[0].replace("unix:", "unix://") == gateway["env"][0]["value"]
