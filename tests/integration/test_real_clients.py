"""test_real_clients.py: Debian's python3-docker, docker-compose and each docker command line through a sidecar: what people
do with them works, and what the filter refuses reaches them as an error that they understand."""

import io
import json
import os
import signal
import socket
import subprocess
import tarfile
import threading
import time

import docker
import pytest

from clawd import free_port
from clawtest import busybox_tar, import_image, program, sidecar_env, wait_for

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NAME = "openclaw-sbx-a-c"
FOREIGN = "clawtest-foreign"
LOOP = ["sh", "-c", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.1; done"]


@pytest.fixture
def foreign(engine, image):
    """A container that is nobody's: it must not show up anywhere."""
    engine.docker("rm", "-f", FOREIGN, check=False)
    full = engine.docker("run", "-d", "--name", FOREIGN, "--network", "none", image, "sleep", "600")
    yield full
    engine.docker("rm", "-f", FOREIGN, check=False)


@pytest.fixture
def proxy(start_proxy, foreign):
    return start_proxy()


@pytest.fixture
def putting(start_proxy, foreign):
    return start_proxy(ALLOW_ARCHIVE_PUT="1")


def sdk(proxy):
    return docker.DockerClient(base_url="unix://" + proxy.sock, version="auto", timeout=30)


@pytest.fixture
def client(proxy):
    c = sdk(proxy)
    yield c
    c.close()


# ---------------------------------------------------------------- python3-docker
def test_sdk_talks_to_the_engine(client):
    assert client.ping() and client.version()["ApiVersion"] == "1.41"
    assert client.info()["OSType"] == "linux"


def test_sdk_over_tcp(engine):
    port = free_port()
    proc = subprocess.Popen([program("clawsup-proxy")], env=dict(sidecar_env(), DOCKER_SOCKET=engine.sock,
                                                                 LISTEN="tcp://127.0.0.1:%d" % port),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port))
        c = docker.DockerClient(base_url="tcp://127.0.0.1:%d" % port, timeout=30)
        wait_for(c.ping)
        assert c.containers.list(all=True) == []
        c.close()
    finally:
        proc.terminate()
        proc.wait(15)


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_sdk_life_of_a_container(client, image):
    box = client.containers.create(image, ["sleep", "600"], name=NAME, environment={"A": "b"}, labels={"mine": "yes"},
                                   network_mode="none", mem_limit="64m", detach=True)
    assert (box.status, box.name, box.labels["mine"]) == ("created", NAME, "yes")
    box.start()
    box.reload()
    assert box.status == "running" and box.attrs["HostConfig"]["Memory"] == 64 << 20
    assert box.top()["Processes"] and "sleep 600" in json.dumps(box.top())
    assert box.exec_run(["sh", "-c", "echo $A; exit 3"]) == (3, b"b\n")
    out, err = box.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True).output
    assert (out, err) == (b"out\n", b"err\n")
    assert box.exec_run("id -u", user="1000").output == b"1000\n"
    assert b"".join(box.exec_run(["sh", "-c", "echo 1; echo 2"], stream=True).output) == b"1\n2\n"
    stats = box.stats(stream=False)
    assert stats["memory_stats"]["limit"] == 64 << 20 and stats["name"] == "/" + NAME
    stream = box.stats(decode=True)
    assert next(stream)["pids_stats"]["current"] >= 1
    stream.close()
    box.pause()
    box.reload()
    assert box.status == "paused"
    box.unpause()
    box.kill("TERM")
    box.kill()
    assert box.wait()["StatusCode"] == 137
    box.restart(timeout=1)
    box.stop(timeout=1)
    box.remove()
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(NAME)


def test_sdk_binds(start_proxy, image, workspace):
    p = start_proxy(binds=[workspace])
    c = sdk(p)
    with open(workspace + "/f", "w") as f:
        f.write("shared\n")  # the engine itself loses a last line without its end now and then
    # Not /w: the library takes letters of ":ro" and ":rw" off the end of a target.
    for volumes in ({workspace: {"bind": "/data", "mode": "ro"}}, [workspace + ":/data:ro"]):
        assert c.containers.run(image, ["cat", "/data/f"], name=NAME, network_mode="none", remove=True, volumes=volumes) == b"shared\n"
    mounts = [docker.types.Mount("/w", workspace, type="bind", read_only=True), docker.types.Mount("/t", None, type="tmpfs")]
    assert c.containers.run(image, ["cat", "/w/f"], name=NAME, network_mode="none", remove=True, mounts=mounts) == b"shared\n"
    c.close()


def test_sdk_run(client, image):
    assert client.containers.run(image, ["echo", "hello"], name=NAME, network_mode="none", remove=True) == b"hello\n"
    with pytest.raises(docker.errors.ContainerError) as e:
        client.containers.run(image, ["sh", "-c", "echo bad >&2; exit 7"], name=NAME, network_mode="none", remove=True)
    assert e.value.exit_status == 7 and b"bad" in e.value.stderr
    assert client.containers.list(all=True) == []


def test_sdk_logs(client, image):
    box = client.containers.run(image, LOOP, name=NAME, network_mode="none", detach=True)
    lines = box.logs(stream=True, follow=True)
    got = b""
    while b"line 3\n" not in got:
        got += next(lines)
    assert got.startswith(b"line 0\n")
    assert box.logs(tail=1).startswith(b"line ") and box.logs(stdout=False) == b""
    assert b"Z line 0" in box.logs(timestamps=True)
    box.remove(force=True)


def test_sdk_attach(client, image):
    box = client.containers.create(image, ["cat"], name=NAME, network_mode="none", stdin_open=True, tty=False)
    s = box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    box.start()
    s._sock.sendall(b"typed\n")
    s._sock.shutdown(socket.SHUT_WR)
    got = b""
    while b"typed\n" not in got:
        d = s._sock.recv(4096)
        assert d, got
        got += d
    s.close()
    box.remove(force=True)


def tar_of(name, data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        i = tarfile.TarInfo(name)
        i.size = len(data)
        t.addfile(i, io.BytesIO(data))
    return out.getvalue()


def test_sdk_archives(client, image):
    box = client.containers.create(image, ["true"], name=NAME, network_mode="none")
    stream, st = box.get_archive("/etc/passwd")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as t:
        assert t.extractfile("passwd").read().startswith(b"root:")
    assert st["name"] == "passwd"
    with pytest.raises(docker.errors.NotFound):
        box.get_archive("/absent")
    with pytest.raises(docker.errors.APIError) as e:
        box.put_archive("/tmp", tar_of("x", b"data"))
    assert e.value.status_code == 403 and "allow.archive_put is off" in e.value.explanation


def test_sdk_archive_put_when_allowed(putting, image):
    c = sdk(putting)
    box = c.containers.run(image, ["sleep", "600"], name=NAME, network_mode="none", detach=True)
    assert box.put_archive("/root", tar_of("x", b"data" * 100000))
    assert box.exec_run("cat /root/x").output == b"data" * 100000
    box.remove(force=True)
    c.close()


def test_sdk_lists(client, image, foreign):
    for i in range(3):
        client.containers.create(image, ["sleep", "600"], name="%s%d" % (NAME, i), labels={"n": str(i)}, network_mode="none")
    client.containers.get(NAME + "1").start()

    def names(**kw):
        return sorted(c.name for c in client.containers.list(**kw))

    assert names() == [NAME + "1"]
    assert names(all=True) == [NAME + "0", NAME + "1", NAME + "2"]
    assert names(all=True, filters={"label": "n=2"}) == [NAME + "2"]
    assert names(all=True, filters={"name": "c0"}) == [NAME + "0"]
    assert names(filters={"status": "running"}) == [NAME + "1"]
    assert names(all=True, filters={"ancestor": image}) == [NAME + "0", NAME + "1", NAME + "2"]
    assert names(all=True, filters={"name": FOREIGN}) == names(all=True, filters={"id": foreign}) == []
    assert names(limit=1) == [NAME + "2"]
    assert names(all=True, filters={"since": NAME + "0"}) == [NAME + "1", NAME + "2"]
    assert names(all=True, filters={"before": NAME + "1"}) == [NAME + "0"]
    for bad in (FOREIGN, foreign, "absent"):
        with pytest.raises(docker.errors.NotFound) as e:
            names(all=True, filters={"since": bad})
        assert e.value.explanation == "No such container: " + bad
        # The parameter of the same name does nothing in the engine, and is refused whatever it says.
        assert refused(names, all=True, since=bad) == (403, 'clawsup: the value of "since" is not allowed')
    assert [t for i in client.images.list() for t in i.tags] == [image]
    assert client.images.get(image).tags == [image]
    assert client.images.get(client.images.get(image).id).tags == [image]
    assert client.images.get(image).history()


def test_sdk_events(client, image, engine, foreign):
    seen, stream = [], client.events(decode=True, filters={"type": "container"})

    def read():
        for e in stream:
            seen.append(e)
            if e["Action"] == "destroy":
                return

    t = threading.Thread(target=read)
    t.start()
    time.sleep(0.3)
    engine.docker("restart", "-t", "0", FOREIGN)
    box = client.containers.run(image, ["true"], name=NAME, network_mode="none", detach=True)
    box.wait()
    box.remove()
    t.join(15)
    assert not t.is_alive() and {e["Actor"]["ID"] for e in seen} == {box.id}
    assert [e["Action"] for e in seen] == ["create", "start", "die", "destroy"]
    past = list(client.events(decode=True, since=int(time.time()) - 60, until=int(time.time()) + 1))
    ids = {e["Actor"]["ID"] for e in past}
    assert box.id in ids and foreign not in ids


def refused(call, *args, **kw):
    with pytest.raises(docker.errors.APIError) as e:
        call(*args, **kw)
    return e.value.status_code, e.value.explanation


def test_sdk_refusals(client, image):
    run = client.containers.create
    for kw, word in (({"privileged": True}, "Privileged"), ({"network_mode": "host"}, "network host is not allowed"),
                     ({"pid_mode": "host"}, "PidMode"), ({"volumes": {"/": {"bind": "/host", "mode": "rw"}}}, "outside the tenant's directories"),
                     ({"volumes": ["data:/data"]}, "named volumes"),  ({"cap_add": ["SYS_ADMIN"]}, "CapAdd"),
                     ({"devices": ["/dev/kmsg:/dev/kmsg"]}, "Devices"), ({"ports": {"80/tcp": 8080}}, "ExposedPorts"),
                     ({"security_opt": ["seccomp=unconfined"]}, "seccomp=unconfined"),
                     ({"restart_policy": {"Name": "always"}}, "always"), ({"sysctls": {"a": "b"}}, "Sysctls")):
        code, text = refused(run, image, ["true"], **{"name": NAME, "network_mode": "none", **kw})
        assert code == 403 and text.startswith("clawsup: ") and word in text, (kw, text)
    code, text = refused(client.api.create_container, image, ["true"], name=NAME, volumes=["/data"])
    assert (code, text) == (403, "clawsup: volume /data is not allowed")
    code, text = refused(run, image, ["true"], name="web", network_mode="none")
    assert code == 403 and "does not match the tenant's pattern" in text
    code, text = refused(run, "debian:12", ["true"], name=NAME, network_mode="none")
    assert code == 403 and "image debian:12 is not on the allowlist" in text
    for call in (client.networks.list, client.volumes.list, client.containers.prune, client.images.prune, client.df,
                 lambda: client.images.build(fileobj=io.BytesIO(b"FROM x")), lambda: client.swarm.init(),
                 lambda: client.images.pull("debian", tag="12"), lambda: client.volumes.create("x"),
                 lambda: client.networks.create("x")):
        assert refused(call)[0] == 403
    for call in (client.containers.get, client.images.get, client.networks.get, client.volumes.get):
        with pytest.raises(docker.errors.NotFound):
            call(FOREIGN)


def test_sdk_optional_calls(start_proxy, foreign, image):
    p = start_proxy(ALLOW_RENAME="1", ALLOW_UPDATE="1", ALLOW_EXPORT="1")
    c = sdk(p)
    box = c.containers.create(image, ["true"], name=NAME, network_mode="none")
    box.rename(NAME + "2")
    box.update(mem_limit=32 << 20, memswap_limit=32 << 20)
    box.reload()
    assert box.name == NAME + "2" and box.attrs["HostConfig"]["Memory"] == 32 << 20
    assert refused(box.update, mem_limit=10 << 30)[0] == 403
    assert refused(box.rename, "web")[0] == 403
    with tarfile.open(fileobj=io.BytesIO(b"".join(box.export()))) as t:
        assert "etc/passwd" in t.getnames()
    c.close()


# ---------------------------------------------------------------- the docker command line
def test_cli_life_of_a_container(proxy, image, docker_cli):
    def d(*args, **kw):
        return proxy.docker(*args, cli=docker_cli, **kw)

    full = d("create", "--name", NAME, "--network", "none", "--label", "n=1", image, *LOOP)
    assert d("start", NAME) == NAME
    assert "line" in d("top", NAME) or "sh" in d("top", NAME)
    stats = json.loads(d("stats", "--no-stream", "--format", "{{json .}}", NAME))
    assert stats["Name"] == NAME and stats["ID"] in (full, full[:12])
    assert d("stats", "--no-stream", "--format", "{{.Name}}") == NAME
    follow = subprocess.Popen([docker_cli, "-H", "unix://" + proxy.sock, "logs", "-f", NAME], stdout=subprocess.PIPE)
    got = b""
    while b"line 3\n" not in got:
        got += follow.stdout.readline()
    follow.send_signal(signal.SIGINT)
    follow.communicate(timeout=10)
    assert len(d("logs", "--tail", "2", NAME).splitlines()) >= 2
    for args, want in ((["--filter", "label=n=1"], NAME), (["--filter", "label=n=2"], ""),
                       (["--filter", "name=" + NAME], NAME), (["--filter", "name=" + FOREIGN], ""),
                       (["--filter", "status=exited"], ""), (["-a", "--filter", "ancestor=" + image], NAME),
                       (["-l"], NAME), (["-n", "5"], NAME)):
        assert d("ps", "--format", "{{.Names}}", *args) == want, args
    assert d("ps", "-a", "--format", "{{.Networks}} {{.Mounts}}").strip() == "none"
    assert d("pause", NAME) == NAME and d("unpause", NAME) == NAME
    assert d("diff", NAME) == ""
    waiter = subprocess.Popen([docker_cli, "-H", "unix://" + proxy.sock, "wait", NAME], stdout=subprocess.PIPE, text=True)
    time.sleep(0.2)
    assert d("stop", "-t", "1", NAME) == NAME
    assert waiter.communicate(timeout=15)[0].strip() == "137"
    assert d("restart", "-t", "1", NAME) == NAME
    assert d("rm", "-f", NAME) == NAME
    r = d("rm", NAME, check=False)
    assert "No such container: " + NAME in r.stderr, r


def script(cli, proxy, *args, text=""):
    """Runs a command of the client on a terminal; `text` is typed."""
    command = " ".join([cli, "-H", "unix://" + proxy.sock] + ["'%s'" % a for a in args])
    return subprocess.run(["script", "-qec", command, "/dev/null"], input=text, capture_output=True, text=True, timeout=60,
                          check=False)


def test_cli_terminal(proxy, image, docker_cli):
    p = script(docker_cli, proxy, "run", "--rm", "-it", "--name", NAME, "--network", "none", image, "sh", "-c",
               "tty; stty size; read x; echo got $x; exit 5", text="typed\n")
    assert "/dev/pts/0" in p.stdout and "got typed" in p.stdout and p.returncode == 5, p
    wait_for(lambda: proxy.docker("ps", "-aq") == "")
    proxy.docker("run", "-d", "--name", NAME, "--network", "none", image, "sleep", "600", cli=docker_cli)
    p = script(docker_cli, proxy, "exec", "-it", NAME, "sh", "-c", "tty; read x; echo got $x; exit 6", text="again\n")
    assert "got again" in p.stdout and p.returncode == 6, p


def test_cli_copies(proxy, putting, image, docker_cli):
    dest = os.path.join(proxy.home, "out")
    proxy.docker("create", "--name", NAME, "--network", "none", image, "true", cli=docker_cli)
    proxy.docker("cp", NAME + ":/etc", dest, cli=docker_cli)
    with open(dest + "/passwd") as f:
        assert f.read().startswith("root:")
    r = proxy.docker("cp", dest + "/passwd", NAME + ":/root/x", cli=docker_cli, check=False)
    assert r.returncode != 0 and "allow.archive_put is off" in r.stderr, r
    putting.docker("cp", dest + "/passwd", NAME + ":/root/x", cli=docker_cli)
    assert "root:x:0:0" in putting.docker("cp", NAME + ":/root/x", "-", cli=docker_cli)


def test_cli_events(proxy, image, engine, docker_cli):
    p = subprocess.Popen([docker_cli, "-H", "unix://" + proxy.sock, "events", "--format", "{{.Action}} {{.Actor.ID}}"],
                         stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    engine.docker("restart", "-t", "0", FOREIGN)
    full = proxy.docker("run", "-d", "--name", NAME, "--network", "none", image, "true", cli=docker_cli)
    proxy.docker("wait", NAME, cli=docker_cli)
    proxy.docker("rm", NAME, cli=docker_cli)
    got = []
    while not got or not got[-1].startswith("destroy"):
        got.append(p.stdout.readline().strip())
    p.terminate()
    p.wait(10)
    assert [g.split() for g in got] == [["create", full], ["start", full], ["die", full], ["destroy", full]]


def test_cli_image_with_a_volume(start_proxy, engine):
    image = import_image(engine, "clawtest-volume:1", busybox_tar(), "VOLUME /data")
    volumes = engine.docker("volume", "ls", "-q")
    p = start_proxy(images=image)
    r = p.docker("create", "--name", NAME, "--network", "none", image, "true", check=False)
    assert "clawsup: the image declares a volume at /data: mount a tmpfs or a bind there" in r.stderr, r
    assert len(p.docker("create", "--name", NAME, "--network", "none", "--tmpfs", "/data", image, "true")) == 64
    assert "ALARM" not in p.text() and engine.docker("volume", "ls", "-q") == volumes


def test_cli_refusals(proxy, image, docker_cli):
    for args, word in ((["run", "--privileged"], "Privileged"), (["run", "-v", "/:/h"], "outside the tenant's directories"),
                       (["run", "--net", "host"], "network host is not allowed"), (["run", "--pid", "host"], "PidMode")):
        r = proxy.docker(*args, "--name", NAME, image, "true", cli=docker_cli, check=False)
        assert r.returncode == 125 and "clawsup: " in r.stderr and word in r.stderr, r
    for args in (["system", "df"], ["network", "ls"], ["volume", "ls"], ["system", "prune", "-f"], ["pull", "debian:12"],
                 ["image", "rm", image], ["swarm", "init"], ["commit", NAME]):
        r = proxy.docker(*args, cli=docker_cli, check=False)
        assert r.returncode != 0 and ("clawsup: " in r.stderr or "No such" in r.stderr), (args, r)
    r = proxy.docker("inspect", FOREIGN, cli=docker_cli, check=False)
    absent = proxy.docker("inspect", "clawtest-absent", cli=docker_cli, check=False)
    assert r.returncode == 1 and r.stderr.replace(FOREIGN, "X") == absent.stderr.replace("clawtest-absent", "X")


# ---------------------------------------------------------------- docker-compose
PROJECT = """
services:
  web:
    image: %(image)s
    container_name: openclaw-sbx-a-web
    network_mode: none
    command: ["sh", "-c", "echo from web; exec sleep 600"]
    environment: {A: b}
    volumes: ["%(workspace)s:/w:ro"]
    tmpfs: [/tmp]
  job:
    image: %(image)s
    container_name: openclaw-sbx-a-job
    network_mode: none
    command: ["sh", "-c", "echo from job; exit 4"]
"""


@pytest.fixture
def compose(start_proxy, image, workspace):
    proxy = start_proxy(binds=[workspace])
    path = os.path.join(proxy.home, "docker-compose.yml")
    with open(path, "w") as f:
        f.write(PROJECT % {"image": image, "workspace": workspace})
    with open(workspace + "/f", "w") as f:
        f.write("from the workspace")

    def call(*args, check=True, text=None):
        p = subprocess.run(["docker-compose", "--ansi", "never", "-p", "box", "-f", path, *args], capture_output=True, text=True,
                           input=text if text is not None else "", timeout=120, check=False,
                           env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "DOCKER_HOST": "unix://" + proxy.sock})
        assert not check or p.returncode == 0, (args, p.stdout, p.stderr)
        return p

    call.proxy, call.path = proxy, path
    return call


def test_compose_project(compose, image):
    proxy = compose.proxy
    compose("up", "-d")
    assert proxy.docker("ps", "-a", "--format", "{{.Names}}").split() in (
        ["openclaw-sbx-a-web", "openclaw-sbx-a-job"], ["openclaw-sbx-a-job", "openclaw-sbx-a-web"])
    wait_for(lambda: "Exit 4" in compose("ps").stdout)
    assert "Up" in compose("ps").stdout
    assert "from web" in compose("logs").stdout and "from job" in compose("logs", "job").stdout
    assert compose("exec", "-T", "web", "sh", "-c", "echo $A; cat /w/f").stdout == "b\nfrom the workspace"
    assert "sleep 600" in compose("top").stdout
    assert image.split(":")[0] in compose("images").stdout
    compose("restart", "-t", "1", "web")
    compose("pause", "web")
    compose("unpause", "web")
    compose("kill", "web")
    compose("start", "web")
    compose("stop", "-t", "1")
    # To recreate, docker-compose renames the old container to ID_NAME, which is no name of a scoped tenant's.
    p = compose("up", "-d", "--force-recreate", "web", check=False)
    assert p.returncode != 0 and "rename is not allowed for this tenant" in p.stderr
    compose("rm", "-s", "-f")
    assert proxy.docker("ps", "-aq") == ""


def test_compose_recreates_with_names_of_its_own(start_proxy, compose, image):
    p = start_proxy(NAMES="namespaced", MATCH_CONTAINER_NAME="", ALLOW_RENAME="1")
    with open(compose.path, "w") as f:
        f.write("services:\n  web:\n    image: %s\n    network_mode: none\n    command: [sleep, '600']\n" % image)
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "DOCKER_HOST": "unix://" + p.sock}

    def call(*args):
        r = subprocess.run(["docker-compose", "-p", "box", "-f", compose.path, *args], env=env, capture_output=True,
                           check=False, timeout=120, stdin=subprocess.DEVNULL)
        assert r.returncode == 0, (args, r.stdout, r.stderr, p.text()[-3000:])
        return p.docker("ps", "--format", "{{.Names}} {{.ID}}").split("\n")

    first = call("up", "-d")
    second = call("up", "-d", "--force-recreate", "-t", "1")
    assert len(first) == len(second) == 1 and first != second
    assert first[0].split()[0] == second[0].split()[0] == "box_web_1"
    assert call("up", "-d", "-t", "1", "--scale", "web=3")[0] and len(p.docker("ps", "-q").split()) == 3
    assert call("down", "-t", "1") == [""]


def test_compose_foreground_and_exit_code(compose):
    p = compose("up", "--exit-code-from", "job", "-t", "1", check=False)
    assert p.returncode == 4 and "from job" in p.stdout, p


def test_compose_reports_what_is_refused(compose, image):
    proxy, path = compose.proxy, compose.path
    with open(path, "w") as f:
        f.write("services:\n  web:\n    image: %s\n    privileged: true\n    network_mode: none\n"
                "    container_name: openclaw-sbx-a-web\n" % image)
    p = compose("up", "-d", check=False)
    assert p.returncode != 0 and "clawsup: " in p.stderr and "Privileged" in p.stderr, p
    with open(path, "w") as f:
        f.write("services:\n  web:\n    image: %s\n    container_name: openclaw-sbx-a-web\n" % image)
    p = compose("up", "-d", check=False)  # a network of its own
    assert p.returncode != 0 and "clawsup: " in p.stderr, p
    assert proxy.docker("ps", "-aq") == ""
