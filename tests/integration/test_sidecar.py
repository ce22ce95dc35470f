"""test_sidecar.py: the proxy alone: what it takes and refuses at start, its health check, its records on standard output,
what it gives up, and how it ends."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest

from clawd import free_port
from clawtest import IMAGE, HttpConn, build_request, http_request, program, sidecar_env, wait_for

ASAN = "asan" in os.environ.get("CLAWSUP_BUILD", "")
NAME = "openclaw-sbx-a-c"


@pytest.fixture
def home():
    """A directory that the proxy, as nobody, can reach; binds below it would be allowed."""
    d = tempfile.mkdtemp(prefix="clawtest-s-")
    os.chmod(d, 0o755)
    yield d
    shutil.rmtree(d, ignore_errors=True)


def run(env, args=(), prefix=(), timeout=10):
    env = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")} | env
    return subprocess.run([*prefix, program("clawsup-proxy"), *args], env=env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=timeout, check=False)


def message(p):
    """The one error that it ended with."""
    found = re.findall(r"^\S+ clawsup-proxy error: (.*)$", p.stderr, re.M)
    assert len(found) == 1, p.stderr
    return found[0]


class Alone:
    """A sidecar whose standard output belongs to the test."""

    def __init__(self, home, engine_sock, stdout=subprocess.PIPE, prefix=(), args=(), close=(), **env):
        self.sock = home + "/p.sock"
        self.log = home + "/log"
        env = {"LISTEN": "unix:" + self.sock, "DOCKER_SOCKET": engine_sock, **sidecar_env(LOG_LEVEL="info"), **env}
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen([*prefix, program("clawsup-proxy"), *args], env=env, stdin=subprocess.DEVNULL,
                                         stdout=stdout, stderr=log,
                                         preexec_fn=lambda: [os.close(fd) for fd in close])
        try:
            wait_for(lambda: self.proc.poll() is not None or self.serves(), 15)
            assert self.proc.poll() is None, self.text()
        except AssertionError:
            self.kill()
            raise

    def serves(self):
        try:
            return http_request(self.sock, "GET", "/_ping").status == 200
        except OSError:
            return False

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def end(self, sig=signal.SIGTERM):
        """What was written to standard output, when that is a pipe."""
        self.proc.send_signal(sig)
        out = self.proc.communicate(timeout=15)[0]
        assert self.proc.returncode == 0, self.text()
        assert "Sanitizer" not in self.text() and "runtime error" not in self.text(), self.text()
        return out.decode() if out is not None else None


@pytest.fixture
def alone(home, engine, image):
    started = []

    def start(**kw):
        p = Alone(home, kw.pop("engine_sock", engine.sock), **kw)
        started.append(p)
        return p

    yield start
    for p in started:
        if p.proc.poll() is None:
            p.kill()
    engine.remove_containers("clawsup.tenant=a")


# ---------------------------------------------------------------- what it takes and refuses
SLUG = "1 to 32 of a-z, 0-9 and single '-', such as acme"
LISTEN = ("a list, separated by commas, of unix:/PATH (then mode=0660, uid=N or gid=N for it) and tcp://ADDRESS:PORT, "
          "where ADDRESS is an IP address, such as tcp://127.0.0.1:2375")
BAD = [
    ({}, "TENANT is not set: it takes " + SLUG),
    ({"TENANT": ""}, 'TENANT="" is not valid: it takes ' + SLUG),
    ({"TENANT": "Acme"}, 'TENANT="Acme" is not valid: it takes ' + SLUG),
    ({"TENANT": "a--b"}, 'TENANT="a--b" is not valid: it takes ' + SLUG),
    ({"LISTEN": ""}, 'LISTEN="" is not valid: it takes ' + LISTEN),
    ({"LISTEN": "tcp:127.0.0.1:2375"}, 'LISTEN="tcp:127.0.0.1:2375" is not valid: it takes ' + LISTEN),
    ({"LISTEN": "tcp://localhost:2375"}, 'LISTEN="tcp://localhost:2375" is not valid: it takes ' + LISTEN),
    ({"LISTEN": "unix:/a unix:/b"}, 'LISTEN="unix:/a unix:/b" is not valid: it takes ' + LISTEN),
    ({"DOCKER_SOCKET": "docker.sock"},
     'DOCKER_SOCKET="docker.sock" is not valid: it takes an absolute path of at most 107 bytes without ".."'),
    ({"DOCKER_GID": "docker"},
     'DOCKER_GID="docker" is not valid: it takes decimal digits: the group of the engine\'s socket, such as 998'),
    ({"DOCKER_GID": ""},
     'DOCKER_GID="" is not valid: it takes decimal digits: the group of the engine\'s socket, such as 998'),
    ({"NAMES": "any"}, 'NAMES="any" is not valid: it takes scoped or namespaced'),
    ({"MATCH_CONTAINER_NAME": "*"},
     'MATCH_CONTAINER_NAME matches "a": it would take other containers\' names; begin it with "openclaw-sbx-a-"'),
    ({"MATCH_CONTAINER_NAME": "regex:openclaw-sbx-a-("},
     "MATCH_CONTAINER_NAME: regular expression, byte 16: missing closing parenthesis"),
    ({"ALLOW_START": "yes"}, 'ALLOW_START="yes" is not valid: it takes 0 or 1'),
    ({"ALLOW_EXEC": ""}, 'ALLOW_EXEC="" is not valid: it takes 0 or 1'),
    ({"ALLOW_STRAT": "1"}, "ALLOW_STRAT is not a setting; did you mean ALLOW_START?"),
    ({"ALLOW_POST": "1"}, "ALLOW_POST is not a setting"),
    ({"ALLOW_EVERYTHING": "1"}, "ALLOW_EVERYTHING is not a setting"),
    ({"LIMIT_SWAP": "1G"}, "LIMIT_SWAP is not a setting"),
    ({"ALLOW_IMAGES": "a,,b"},
     'ALLOW_IMAGES="a,,b" is not valid: it takes at most 32 image references, separated by commas'),
    ({"ALLOW_BIND_MOUNT_FROM": "/data/../etc"}, 'ALLOW_BIND_MOUNT_FROM="/data/../etc" is not valid: it takes at most 32 '
     'absolute directories without "..", separated by commas'),
    ({"ALLOW_BIND_MOUNT_FROM": "/"}, "ALLOW_BIND_MOUNT_FROM: / would open /etc of the host"),
    ({"ALLOW_BIND_MOUNT_FROM": "/var/lib"}, "ALLOW_BIND_MOUNT_FROM: /var/lib would open /var/lib/docker of the host"),
    ({"LIMIT_MEMORY": "1M"}, 'LIMIT_MEMORY="1M" is not valid: it takes a size of at least 6M, such as 512M or 1.5G'),
    ({"LIMIT_CPUS": "-1"}, 'LIMIT_CPUS="-1" is not valid: it takes a number such as 0.5 or 2'),
    ({"LIMIT_PIDS": "0"}, 'LIMIT_PIDS="0" is not valid: it takes a number from 1 to 4194304'),
    ({"LIMIT_CONTAINERS": "many"}, 'LIMIT_CONTAINERS="many" is not valid: it takes a number from 1 to 10000'),
    ({"LOG_LEVEL": "loud"}, 'LOG_LEVEL="loud" is not valid: it takes error, warning, notice, info or debug'),
    ({"OTHER_TENANTS": "b,a"}, "OTHER_TENANTS names the tenant itself"),
    ({"GATEWAY_NAME": "/gw"}, "GATEWAY_NAME is written without '/'"),
]


@pytest.mark.parametrize("env,text", BAD, ids=[",".join("%s=%s" % kv for kv in e.items()) or "nothing" for e, _ in BAD])
def test_refused_environments(env, text):
    if env and "TENANT" not in env:
        env = {"TENANT": "a", **env}
    p = run(env)
    assert (p.returncode, message(p), p.stdout) == (78, text, "")


BAD_ARGS = [
    (["--allow-start=yes"], '--allow-start="yes" is not valid: it takes 0 or 1'),
    (["--allow-start"], "--allow-start needs a value: it takes 0 or 1"),
    (["--allow-strat=1"], "--allow-strat=1 is not an option; did you mean --allow-start? See --help"),
    (["--limit-pids=1", "--limit-pids=2"], "--limit-pids is given twice"),
    (["--supervised"], "--supervised needs --listen-fds=N"),
    (["--engine-socket=/x"], "--engine-socket (alone it is --docker-socket) goes with --supervised only"),
    (["--allow-images=a,a"], "--allow-images names a twice"),
    (["start"], "start is not an option. See --help"),
]


@pytest.mark.parametrize("args,text", BAD_ARGS, ids=[" ".join(a) for a, _ in BAD_ARGS])
def test_refused_flags(args, text):
    p = run({"TENANT": "a"}, args)
    assert (p.returncode, message(p), p.stdout) == (78, text, "")


GOOD = [
    {},
    {"NAMES": "namespaced", "MATCH_CONTAINER_NAME": ""},
    {"MATCH_CONTAINER_NAME": "regex:openclaw-sbx-a-[a-z0-9-]+"},
    {"ALLOW_START": "true", "ALLOW_STOP": "false", "ALLOW_RESTARTS": "0", "ALLOW_EXEC": "1"},
    {"ALLOW_ARCHIVE_PUT": "1", "ALLOW_EXPORT": "1", "ALLOW_UPDATE": "1", "ALLOW_RENAME": "1", "ALLOW_IMAGE_PULL": "1",
     "ALLOW_GATEWAY_EXEC": "1", "GATEWAY_NAME": "openclaw-gw-a"},
    {"LIMIT_MEMORY": "1.5G", "LIMIT_CPUS": "2", "LIMIT_PIDS": "4194304", "LIMIT_CONTAINERS": "10000"},
    {"OTHER_TENANTS": "a-b,b", "LOG_LEVEL": "debug", "SOMETHING_ELSE": "yes"},
]


@pytest.mark.parametrize("env", GOOD, ids=[",".join(e) or "plain" for e in GOOD])
def test_accepted_environments(alone, env):
    p = alone(stdout=subprocess.DEVNULL, **{k: v for k, v in env.items() if v})
    assert http_request(p.sock, "GET", "/version").status == 200
    p.end()


def test_nothing_is_on_that_was_not_switched_on(alone, home, engine):
    p = alone(stdout=subprocess.DEVNULL, ALLOW_START="0", ALLOW_STOP="0", ALLOW_RESTARTS="0", ALLOW_EXEC="0")
    p.end()
    env = {"TENANT": "a", "LISTEN": "unix:" + p.sock, "DOCKER_SOCKET": engine.sock}
    proc = subprocess.Popen([program("clawsup-proxy")], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(p.serves)
        assert http_request(p.sock, "POST", "/containers/create?name=" + NAME, {"Image": IMAGE}).status == 403
        for path, what in (("start", "start"), ("stop", "stop"), ("kill", "stop"), ("restart", "restart"),
                           ("update", "update"), ("rename?name=x", "rename"), ("exec", "exec")):
            r = http_request(p.sock, "POST", "/containers/x/" + path)
            assert r.status == 403 and "allow.%s is off" % what in r.message, r
    finally:
        proc.kill()
        proc.wait()


def test_flags_alone_and_flags_win(alone, home, engine):
    args = ["--tenant=b", "--listen", "unix:%s/f.sock" % home, "--allow-start=0"]
    p = Alone.__new__(Alone)
    p.sock, p.log = home + "/f.sock", home + "/log"
    with open(p.log, "ab") as log:
        p.proc = subprocess.Popen([program("clawsup-proxy"), *args, "--docker-socket=" + engine.sock], stderr=log,
                                  stdout=subprocess.DEVNULL,
                                  env={"TENANT": "a", "LISTEN": "nonsense", "ALLOW_START": "1", "PATH": "/usr/bin"})
    try:
        wait_for(p.serves)
        assert http_request(p.sock, "GET", "/info").json()["ID"] == "clawsup-b"
        assert http_request(p.sock, "POST", "/containers/x/start").status == 403
        p.end()
    finally:
        if p.proc.poll() is None:
            p.kill()


# ---------------------------------------------------------------- the engine's group
def fake_engine(path, gid):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.bind(path)
    os.chown(path, 0, gid)
    os.chmod(path, 0o660)
    return s


def test_a_group_that_is_not_the_sockets(home):
    path = home + "/e.sock"
    with fake_engine(path, 4242):
        env = {"TENANT": "a", "DOCKER_SOCKET": path}
        p = run({**env, "DOCKER_GID": "4243"})
        assert (p.returncode, message(p)) == (78, "DOCKER_GID gives gid 4243, but %s belongs to gid 4242; set DOCKER_GID "
                                              "(docker_gid) to 4242" % path)
        p = run(env)
        assert p.returncode == 78 and message(p).endswith(
            "%s belongs to gid 4242; set DOCKER_GID (docker_gid) to 4242" % path), p
        p = run({**env, "DOCKER_SOCKET": home, "DOCKER_GID": "4242"})
        assert (p.returncode, message(p)) == (78, home + " is not a socket")


def test_no_docker_group(home):
    """A mount namespace of its own, whose /etc/group has none."""
    path, groups = home + "/e.sock", home + "/group"
    with open(groups, "w") as f:
        f.write("root:x:0:\n")
    prefix = ["unshare", "-m", "sh", "-c", 'mount --bind %s /etc/group && exec "$@"' % groups, "-"]
    env = {"TENANT": "a", "DOCKER_SOCKET": path, "PATH": "/usr/bin:/bin"}
    with fake_engine(path, 4242):
        p = run(env, prefix=prefix)
        assert (p.returncode, message(p)) == (78, 'there is no group "docker" and DOCKER_GID (docker_gid) is not set; set it '
                                              "to 4242, the group of " + path)
    p = run({**env, "DOCKER_SOCKET": home + "/absent"}, prefix=prefix)
    assert (p.returncode, message(p)) == (78, 'there is no group "docker" and DOCKER_GID (docker_gid) is not set; create the '
                                          "group or set DOCKER_GID to the group of the engine's socket")


def test_roots_group_only_when_forced(alone, home, engine):
    path = home + "/e.sock"
    with fake_engine(path, 0):
        p = run({"TENANT": "a", "DOCKER_SOCKET": path, "DOCKER_GID": "0"})
        assert (p.returncode, message(p)) == (78, "DOCKER_GID gives gid 0, which is root's group; give the socket to a group "
                                              "of its own, or force it with ALLOW_ROOT_GID (allow_root_gid)")
    os.unlink(path)
    relay = subprocess.Popen(["/usr/bin/python3", "-c", "import sys, socket, os\n"
                              "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o660)\n"
                              "s.listen(); c, _ = s.accept(); c.recv(9999); c.sendall(b'HTTP/1.1 500 No\\r\\n\\r\\n')", path])
    try:
        wait_for(lambda: os.path.exists(path) and stat.S_IMODE(os.stat(path).st_mode) == 0o660)
        env = {"TENANT": "a", "DOCKER_SOCKET": path, "DOCKER_GID": "0", "ALLOW_ROOT_GID": "1",
               "LISTEN": "unix:%s/p.sock" % home}
        proc = subprocess.Popen([program("clawsup-proxy")], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        relay.wait(10)  # it was asked: the proxy can open a socket of group 0
        proc.kill()
        proc.wait()
    finally:
        relay.kill()
        relay.wait()


def as_nobody(*groups):
    extra = ["--groups", ",".join(str(g) for g in groups)] if groups else ["--clear-groups"]
    return ["setpriv", "--reuid", "65534", "--regid", "65534", *extra]


def test_not_root_and_not_in_the_group(home, engine):
    gid = os.stat(engine.sock).st_gid
    p = run({"TENANT": "a", "DOCKER_SOCKET": engine.sock, "DOCKER_GID": str(gid)}, prefix=as_nobody())
    assert (p.returncode, message(p)) == (78, 'uid 65534 is not in group %d, which opens %s; add it: group_add: ["%d"] in '
                                          "Compose, supplementalGroups: [%d] in Kubernetes" % (gid, engine.sock, gid, gid))


def test_not_root_and_in_the_group(alone, home, engine):
    os.chown(home, 65534, 65534)
    open(home + "/log", "w").close()
    p = alone(prefix=as_nobody(os.stat(engine.sock).st_gid), stdout=subprocess.DEVNULL)
    assert http_request(p.sock, "GET", "/containers/json").json() == []
    p.end()


def test_an_engine_that_comes_later(alone, home, engine, monkeypatch):
    path = home + "/later.sock"
    monkeypatch.setattr(Alone, "serves", lambda self: os.path.exists(self.sock))
    p = alone(engine_sock=path, stdout=subprocess.DEVNULL)
    assert "%s: No such file or directory; going on, it may appear later" % path in p.text()
    assert http_request(p.sock, "GET", "/_ping").status == 503
    os.symlink(engine.sock, path)
    wait_for(lambda: http_request(p.sock, "GET", "/_ping").status == 200)
    p.end()


# ---------------------------------------------------------------- the directories of ALLOW_BIND_MOUNT_FROM
def test_bind_roots(home, engine):
    env = {"TENANT": "a", "DOCKER_SOCKET": engine.sock}
    os.makedirs(home + "/data/a/workspace")
    os.symlink(home + "/data", home + "/link")
    os.symlink("workspace", home + "/data/a/w")
    open(home + "/file", "w").close()
    say = lambda path, text: "ALLOW_BIND_MOUNT_FROM: %s%s" % (path, text)  # noqa: E731
    rows = [
        (home + "/data/a/w", say(home + "/data/a/w", " is a symbolic link; name what it points to")),
        (home + "/link/a/workspace", say(home + "/link/a/workspace", ": %s/link is a symbolic link; name the path behind it"
                                         % home)),
        (home + "/file", say(home + "/file", " is not a directory")),
    ]
    for path, text in rows:
        p = run({**env, "ALLOW_BIND_MOUNT_FROM": path})
        assert (p.returncode, message(p)) == (78, text)
    ws = home + "/data/a/workspace"
    others = ("can be written by others than root (uid %d, mode %s), who could put a link in the way; chown root and chmod "
              "go-w it, or name a directory elsewhere")
    for owner, mode in ((1000, 0o755), (0, 0o775), (0, 0o757)):
        os.chown(home + "/data/a", owner, 0)
        os.chmod(home + "/data/a", mode)
        p = run({**env, "ALLOW_BIND_MOUNT_FROM": ws})
        assert (p.returncode, message(p)) == (78, say(ws, ": %s/data/a " % home + others % (owner, "%04o" % mode)))


def test_bind_roots_as_they_should_be(alone, home):
    os.makedirs(home + "/data/a/workspace")
    os.chown(home + "/data/a/workspace", 1000, 1000)  # the root itself is the tenant's
    os.chmod(home + "/data", 0o1777)  # as /tmp: nobody can rename what is root's
    p = alone(stdout=subprocess.DEVNULL, ALLOW_BIND_MOUNT_FROM=home + "/data/a/workspace,/nowhere/at/all")
    assert "/nowhere/at/all is not in this mount namespace" in p.text()
    r = http_request(p.sock, "POST", "/containers/create?name=" + NAME,
                     {"Image": IMAGE, "HostConfig": {"Binds": [home + "/data/a/workspace:/w"]}})
    assert r.status == 201, r
    r = http_request(p.sock, "POST", "/containers/create?name=%s2" % NAME,
                     {"Image": IMAGE, "HostConfig": {"Binds": [home + "/data/a/workspace/sub:/w"]}})
    assert r.status == 403 and "without clawsupd only the directories of ALLOW_BIND_MOUNT_FROM" in r.message, r
    p.end()


# ---------------------------------------------------------------- where it listens
def tcp_status(family, address, port):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(5)
        s.connect((address, port))
        s.sendall(build_request("GET", "/_ping"))
        return s.recv(12)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def test_several_listeners(alone, home):
    port = free_port()
    listen = "unix:%s/p.sock,mode=0604,uid=1000,gid=1001,unix:%s/q.sock,tcp://127.0.0.1:%d" % (home, home, port)
    if has_ipv6():
        listen += ",tcp://[::1]:%d" % port
    p = alone(stdout=subprocess.DEVNULL, LISTEN=listen)
    st = os.stat(home + "/p.sock")
    assert (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (0o604, 1000, 1001)
    assert stat.S_IMODE(os.stat(home + "/q.sock").st_mode) == 0o660
    assert http_request(home + "/q.sock", "GET", "/_ping").status == 200
    assert tcp_status(socket.AF_INET, "127.0.0.1", port) == b"HTTP/1.1 200"
    if has_ipv6():
        assert tcp_status(socket.AF_INET6, "::1", port) == b"HTTP/1.1 200"
    assert "no loopback address" not in p.text()
    p.end()


def test_an_address_that_others_can_reach_is_said(alone, home):
    port = free_port()
    p = alone(stdout=subprocess.DEVNULL, LISTEN="unix:%s/p.sock,tcp://0.0.0.0:%d" % (home, port))
    assert "0.0.0.0:%d is no loopback address: whoever can reach it is tenant a, and nothing else is asked" % port in p.text()
    p.end()


def test_an_address_that_is_taken(home, engine):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        p = run({"TENANT": "a", "DOCKER_SOCKET": engine.sock, "LISTEN": "tcp://127.0.0.1:%d" % s.getsockname()[1]})
    assert p.returncode == 1 and message(p).endswith("Address already in use"), p
    p = run({"TENANT": "a", "DOCKER_SOCKET": engine.sock, "LISTEN": "unix:/nowhere/x.sock"})
    assert p.returncode == 1 and "No such file or directory" in message(p), p


# ---------------------------------------------------------------- the health check
def check(listen, args=(), timeout=10):
    t = time.monotonic()
    p = run({"LISTEN": listen} if listen else {}, ["--healthcheck", *args], timeout=timeout)
    return p.returncode, p.stderr.strip(), time.monotonic() - t


def test_health_of_a_proxy_that_serves(alone, home):
    port = free_port()
    p = alone(stdout=subprocess.DEVNULL, LISTEN="unix:%s/p.sock,tcp://0.0.0.0:%d" % (home, port))
    unix = "unix:%s/p.sock" % home
    for listen in (unix, unix + ",mode=0660", "tcp://127.0.0.1:%d" % port, "tcp://0.0.0.0:%d" % port,
                   "%s,tcp://127.0.0.1:1" % unix):
        assert check(listen)[:2] == (0, ""), listen
    assert check("tcp://127.0.0.1:1", ["--listen=" + unix])[:2] == (0, "")
    p.end()
    assert check(unix)[:2] == (1, "clawsup-proxy: %s/p.sock: no answer: Connection refused" % home)


def test_health_of_a_proxy_without_an_engine(alone, home, monkeypatch):
    monkeypatch.setattr(Alone, "serves", lambda self: os.path.exists(self.sock))
    p = alone(engine_sock=home + "/none.sock", stdout=subprocess.DEVNULL)
    assert check("unix:" + p.sock)[:2] == (1, "clawsup-proxy: %s: not healthy: status 503" % p.sock)
    p.end()


def test_health_of_nothing_and_of_nonsense(home):
    port = free_port()
    assert check("unix:%s/x.sock" % home)[:2] == (1, "clawsup-proxy: %s/x.sock: no answer: No such file or directory" % home)
    assert check("tcp://127.0.0.1:%d" % port)[:2] == (1, "clawsup-proxy: 127.0.0.1:%d: no answer: Connection refused" % port)
    assert check("nonsense")[0] == 78
    assert check(None, ["--listen=nonsense"])[0] == 78
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(home + "/mute.sock")
        s.listen(8)
        code, text, seconds = check("unix:%s/mute.sock" % home)
        assert (code, text) == (1, "clawsup-proxy: %s/mute.sock: no answer: Connection timed out" % home)
        assert 2.5 < seconds < 4.5, seconds
    for answer in (b"HTTP/1.1 200 OK\r\n\r\n", b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 20", b"HTTP/1.1 2000 OK\r\n"):
        path = home + "/odd%d.sock" % len(answer)
        server = subprocess.Popen(["/usr/bin/python3", "-c", "import sys, socket\ns = socket.socket(socket.AF_UNIX)\n"
                                   "s.bind(sys.argv[1]); s.listen(); c, _ = s.accept(); c.recv(999)\n"
                                   "c.sendall(sys.argv[2].encode())", path, answer.decode()])
        wait_for(lambda: os.path.exists(path))
        wait_for(lambda: "00010000" in open("/proc/net/unix").read().split(path)[0].splitlines()[-1])
        code, text, _ = check("unix:" + path)
        server.wait(10)
        if answer.startswith(b"HTTP/1.1 200 "):
            assert code == 0, text
        else:
            assert (code, text) == (1, "clawsup-proxy: %s: no answer: Protocol error" % path), answer


# ---------------------------------------------------------------- records
def records(text):
    return [json.loads(line) for line in text.splitlines()]


def test_records_are_json_lines(alone, image):
    p = alone()
    full = http_request(p.sock, "POST", "/containers/create?name=" + NAME,
                        {"Image": image, "Cmd": ["sleep", "600"], "Env": ["TOKEN=secret-value", "LANG=C"]}).json()["Id"]
    assert http_request(p.sock, "POST", "/containers/%s/start" % full).status == 204
    r = http_request(p.sock, "POST", "/containers/%s/exec" % full, {"Cmd": ["id", "-u"], "Env": ["KEY=secret-value"]})
    assert r.status == 201
    assert http_request(p.sock, "POST", "/containers/create?name=%s2" % NAME,
                        {"Image": image, "HostConfig": {"Privileged": True}}).status == 403
    assert http_request(p.sock, "GET", "/containers/someone/json").status == 404
    with HttpConn(p.sock) as c:
        c.send(b"GET /_ping HTTP/1.0\r\n\r\n")
        assert c.response().status == 505
    out = p.end()
    got = records(out)
    assert "secret-value" not in out and "secret-value" not in p.text()
    common = {"type", "time_us", "tenant", "peer", "decision", "status", "latency_us"}
    for r in got:
        assert common <= set(r) and r["type"] == "decision" and r["tenant"] == "a", r
        assert abs(r["time_us"] / 1e6 - time.time()) < 60 and 0 <= r["latency_us"] < 60e6
        assert re.fullmatch(r"uid=0 pid=[0-9]+", r["peer"]), r
    # The pings of a health check are no news.
    assert [r.get("route") for r in got] == ["container-create", "container-start", "exec-create", "container-create",
                                             "container-inspect", None]
    create, start, exec_create, denied, absent, malformed = got
    assert create["decision"] == "allow" and create["status"] == 201 and create["object"] == full
    assert (create["argv"], create["env"], create["image"]) == (["sleep", "600"], ["TOKEN", "LANG"], image)
    assert start["method"] == "POST" and start["object"] == full and "rule" not in start
    assert (exec_create["argv"], exec_create["env"]) == (["id", "-u"], ["KEY"])
    assert denied["decision"] == "deny" and denied["status"] == 403
    assert denied["rule"] == "create.HostConfig.Privileged" and denied["reason"]
    assert (absent["decision"], absent["status"], absent["rule"]) == ("deny", 404, "not-own")
    assert malformed["decision"] == "deny" and malformed["rule"] == "http" and malformed["status"] == 505


def test_records_arrive_at_once(alone):
    p = alone()
    assert http_request(p.sock, "POST", "/containers/prune").status == 403
    t = time.monotonic()
    assert json.loads(p.proc.stdout.readline())["rule"] == "route-never"
    assert time.monotonic() - t < 1
    p.end()


def flood(sock, n):
    """`n` refused requests, pipelined; every one is answered."""
    request = build_request("POST", "/containers/prune")
    with HttpConn(sock, timeout=60) as c:
        for _ in range(n // 100):
            c.send(request * 100)
            for _ in range(100):
                assert c.response().status == 403


def test_a_flood_blocks_nothing_and_is_counted(alone):
    p = alone()
    n = 10000
    flood(p.sock, n)  # nobody reads: pipe and queue are full long before the end
    assert http_request(p.sock, "GET", "/_ping").status == 200
    out = []
    fd = p.proc.stdout.fileno()
    os.set_blocking(fd, False)

    def drained():
        try:
            out.append(os.read(fd, 1 << 20))
        except BlockingIOError:
            pass
        return b'"dropped"' in b"".join(out)[-400:]

    wait_for(drained, 20)
    os.set_blocking(fd, True)
    assert http_request(p.sock, "POST", "/containers/prune").status == 403
    got = records(b"".join(out).decode() + p.end())
    kinds = [r["type"] for r in got]
    assert kinds.count("dropped") == 1 and kinds[-2:] == ["dropped", "decision"], kinds[-5:]
    dropped = got[-2]
    assert set(dropped) == {"type", "time_us", "tenant", "records"} and dropped["tenant"] == "a"
    assert dropped["records"] > 100 and kinds.count("decision") + dropped["records"] == n + 1
    assert "decision records were dropped" in p.text()


def test_a_reader_that_is_gone(alone):
    p = alone()
    p.proc.stdout.close()
    flood(p.sock, 200)
    wait_for(lambda: "decision records can no longer be written to standard output: Broken pipe" in p.text())
    flood(p.sock, 200)
    p.proc.terminate()
    assert p.proc.wait(10) == 0


def test_records_into_a_file(alone, home):
    with open(home + "/out", "ab") as f:
        f.write(b"before\n")
        f.flush()
        p = alone(stdout=f)
    flood(p.sock, 1000)
    p.end()
    with open(home + "/out") as f:
        lines = f.read().splitlines()
    assert lines[0] == "before" and len(lines) == 1001 and all(json.loads(line) for line in lines[1:])


def test_a_full_disk_drops_and_goes_on(alone, home):
    """A file system of 64 KiB: what does not fit waits, and comes when there is room."""
    os.mkdir(home + "/small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", home + "/small"], check=True)
    try:
        with open(home + "/small/out", "ab") as f:
            p = alone(stdout=f)
        flood(p.sock, 1000)
        assert os.path.getsize(home + "/small/out") <= 65536
        subprocess.run(["mount", "-o", "remount,size=4m", home + "/small"], check=True)
        wait_for(lambda: open(home + "/small/out").read().count("\n") == 1000, 5)
        p.end()
        with open(home + "/small/out") as f:
            assert len(records(f.read())) == 1000
    finally:
        subprocess.run(["umount", "-l", home + "/small"], check=True)


def test_records_into_a_socket(alone):
    ours, theirs = socket.socketpair()
    p = alone(stdout=theirs)
    theirs.close()
    flood(p.sock, 100)
    p.end()
    data = b""
    while True:
        d = ours.recv(65536)
        if not d:
            break
        data += d
    assert len(records(data.decode())) == 100


def test_a_closed_output_is_no_client(alone):
    """Otherwise the first socket would become descriptor 1, and records would go to a client."""
    p = alone(stdout=None, close=(0, 1))
    assert os.readlink("/proc/%d/fd/0" % p.proc.pid) == os.readlink("/proc/%d/fd/1" % p.proc.pid) == "/dev/null"
    flood(p.sock, 100)
    p.end()


def test_the_pipe_stays_blocking_for_others(alone):
    r, w = os.pipe()
    p = alone(stdout=w)
    flood(p.sock, 100)
    assert not fcntl.fcntl(w, fcntl.F_GETFL) & os.O_NONBLOCK
    p.end()
    os.close(w)
    with os.fdopen(r) as f:
        assert len(records(f.read())) == 100


# ---------------------------------------------------------------- what it gives up, and how it ends
def proc_status(pid):
    with open("/proc/%d/status" % pid) as f:
        return {k: v.split() for k, _, v in (line.partition(":") for line in f)}


def check_cage(pid, engine, uid="65534", gid="65534"):
    s = proc_status(pid)
    assert s["Uid"] == [uid] * 4 and s["Gid"] == [gid] * 4
    assert s["Groups"] == [str(os.stat(engine.sock).st_gid)]
    assert s["NoNewPrivs"] == ["1"] and s["Seccomp"] == (["0"] if ASAN else ["2"])
    for k in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(s[k][0], 16) == 0, (k, s[k])


def proc_limits(pid):
    with open("/proc/%d/limits" % pid) as f:
        return {line[:26].strip(): line[26:].split()[:2] for line in f}


def test_root_is_given_up(alone, engine):
    # A log in a regular file would have to grow.
    p = alone(stdout=subprocess.DEVNULL, prefix=["sh", "-c", 'exec "$@" 2>/dev/null', "-"])
    check_cage(p.proc.pid, engine)
    limits = proc_limits(p.proc.pid)
    assert limits["Max core file size"] == ["0", "0"]
    if not ASAN:
        assert limits["Max processes"] == ["0", "0"] and limits["Max file size"] == ["0", "0"]
        assert os.stat("/proc/%d/mem" % p.proc.pid).st_uid == 0  # not dumpable: not even its own uid may look
    # One descriptor opens the engine anew for each request: none is left from the start.
    names = [os.readlink("/proc/%d/fd/%s" % (p.proc.pid, n)) for n in os.listdir("/proc/%d/fd" % p.proc.pid)]
    assert not [n for n in names if n.startswith("/") and n != "/dev/null"], names
    p.end()


def test_another_user_keeps_only_the_group(alone, home, engine):
    os.chown(home, 1000, 1000)
    open(home + "/log", "w").close()
    gid = os.stat(engine.sock).st_gid
    p = alone(stdout=subprocess.DEVNULL, prefix=["setpriv", "--reuid", "1000", "--regid", "1000", "--groups", str(gid)])
    check_cage(p.proc.pid, engine, "1000", "1000")
    p.end()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_proxy_at_once(alone, sig):
    p = alone(stdout=subprocess.DEVNULL)
    with HttpConn(p.sock) as c:
        assert c.request("GET", "/_ping").status == 200
        t = time.monotonic()
        p.end(sig)
        assert time.monotonic() - t < 2 and c.closed()


def test_draining(alone, image):
    """What runs may end; nobody new is served; who does not end is cut after five seconds."""
    p = alone(stdout=subprocess.DEVNULL)
    full = http_request(p.sock, "POST", "/containers/create?name=" + NAME,
                        {"Image": image, "Cmd": ["sh", "-c", "while :; do date; sleep 0.2; done"]}).json()["Id"]
    assert http_request(p.sock, "POST", "/containers/%s/start" % full).status == 204
    with HttpConn(p.sock) as stream:
        stream.send(build_request("GET", "/containers/%s/logs?follow=1&stdout=1" % full))
        assert stream.head()[0] == 200
        t = time.monotonic()
        p.proc.terminate()
        wait_for(lambda: "draining" in p.text())
        with pytest.raises(OSError):
            http_request(p.sock, "GET", "/_ping")
        time.sleep(1)
        assert p.proc.poll() is None and stream.read_until(b"UTC")
        assert p.proc.wait(10) == 0 and 4.5 < time.monotonic() - t < 7
    assert "ending with 1 connections open" in p.text()


def test_a_second_signal_does_not_wait(alone, image):
    p = alone(stdout=subprocess.DEVNULL)
    with HttpConn(p.sock) as stream:
        stream.send(build_request("GET", "/events"))
        assert stream.head()[0] == 200
        p.proc.terminate()
        wait_for(lambda: "draining" in p.text())
        t = time.monotonic()
        p.proc.terminate()
        assert p.proc.wait(10) == 0 and time.monotonic() - t < 2


def test_few_descriptors(alone):
    """A hard limit below what the proxy would like is taken as it is."""
    p = alone(stdout=subprocess.DEVNULL, prefix=["prlimit", "--nofile=256:256"])
    assert http_request(p.sock, "GET", "/containers/json").status == 200
    assert proc_limits(p.proc.pid)["Max open files"] == ["256", "256"]
    p.end()


def test_sandboxes_on_a_network_of_their_own(alone, engine, image):
    """By its full id, by its name, or left open: always that one; every other is refused."""
    name = "clawtest-net-%d" % os.getpid()
    net = engine.docker("network", "create", "--internal", name)
    try:
        p = alone(stdout=subprocess.DEVNULL, ALLOW_IMAGES=image, SANDBOX_NETWORK_ID=net, SANDBOX_NETWORK_NAME=name,
                  ALLOW_NETWORK_READ="1")
        for i, mode in enumerate(("", "bridge", name, net, "none", "host")):
            r = http_request(p.sock, "POST", "/containers/create?name=openclaw-sbx-a-net%d" % i,
                             {"Image": image, "Cmd": ["true"], "HostConfig": {"NetworkMode": mode}})
            assert r.status == (403 if mode == "host" else 201), (mode, r)
            if r.status == 201:
                got = json.loads(engine.docker("inspect", r.json()["Id"]))[0]["HostConfig"]["NetworkMode"]
                assert got == ("none" if mode == "none" else net), (mode, got)
        assert http_request(p.sock, "GET", "/networks/" + name).json()["Id"] == net
        assert http_request(p.sock, "GET", "/networks/bridge").status == 404
        p.end()
    finally:
        engine.remove_containers("clawsup.tenant=a")
        engine.docker("network", "rm", name, check=False)
