"""clawtest.py: fixtures for tests that need a real engine and the built programs.

One private dockerd per run (or the one that CLAWSUP_DOCKER_SOCK names), with an image made of busybox-static by
`docker import`. CLAWSUP_BUILD names the directory of the programs (default build/release), so that the same tests
run over the sanitizer build. Must not touch any engine, image or process that it did not start."""

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time

import pytest

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(REPO, os.environ.get("CLAWSUP_BUILD", "build/release"))
IMAGE = "clawtest-busybox:1"
V = "/v" + os.environ.get("CLAWTEST_API", "1.41")  # what the proxy and this engine have in common
SLOW = float(os.environ.get("CLAWTEST_SLOW", "1"))  # time-outs of a machine that is translated
VICTIM = "openclaw-sbx-b-v"  # of another tenant
DOCKER_CLIS = [p for p in ("/usr/bin/docker", "/usr/local/bin/docker") if os.access(p, os.X_OK)]


def program(name):
    path = os.path.join(BUILD, name)
    if not os.access(path, os.X_OK):
        pytest.fail("%s is missing: build it first, or set CLAWSUP_BUILD" % path)
    return path


def wait_for(what, seconds=10.0, text=""):
    """Calls `what` until it returns something true; fails the test after `seconds`."""
    end = time.monotonic() + seconds * SLOW
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError("timed out after %gs: %s" % (seconds, text or what))
        time.sleep(0.02)


# ---------------------------------------------------------------- HTTP over a unix socket, byte by byte
class Response:
    def __init__(self, status, headers, body, raw):
        self.status, self.headers, self.body, self.raw = status, headers, body, raw

    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        return self.json()["message"]

    def __repr__(self):
        return "<%s %r %r>" % (self.status, self.headers, self.body[:300])


class HttpConn:
    """A client connection that writes exactly the bytes it is given and reads answers strictly."""

    def __init__(self, path, timeout=10.0):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.settimeout(timeout * SLOW)
        self.s.connect(path)
        self.buf = b""

    def send(self, raw):
        self.s.sendall(raw)

    def shutdown_write(self):
        self.s.shutdown(socket.SHUT_WR)

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.close()

    def _more(self):
        try:
            d = self.s.recv(65536)
        except ConnectionResetError:
            d = b""
        self.buf += d
        return len(d) > 0

    def read_until(self, mark):
        while mark not in self.buf:
            if not self._more():
                raise EOFError("connection closed before %r; got %r" % (mark, self.buf))
        i = self.buf.index(mark) + len(mark)
        got, self.buf = self.buf[:i], self.buf[i:]
        return got

    def read_exact(self, n):
        while len(self.buf) < n:
            if not self._more():
                raise EOFError("connection closed; wanted %d bytes, got %r" % (n, self.buf))
        got, self.buf = self.buf[:n], self.buf[n:]
        return got

    def read_to_end(self):
        """Everything until the peer closes."""
        while self._more():
            pass
        got, self.buf = self.buf, b""
        return got

    def head(self):
        raw = self.read_until(b"\r\n\r\n")
        lines = raw[:-4].decode("latin-1").split("\r\n")
        proto, status = lines[0].split(" ", 2)[:2]
        assert proto == "HTTP/1.1", raw
        headers = {}
        for line in lines[1:]:
            k, v = line.split(":", 1)
            assert k.lower() not in headers, "header twice: %r" % raw
            headers[k.lower()] = v.strip()
        return int(status), headers, raw

    def response(self, method="GET"):
        status, headers, raw = self.head()
        body = b""
        if method == "HEAD" or status in (101, 204, 304) or 100 <= status < 200:
            pass
        elif headers.get("transfer-encoding") == "chunked":
            assert "content-length" not in headers, raw
            while True:
                line = self.read_until(b"\r\n")
                n = int(line, 16)
                body += self.read_exact(n)
                assert self.read_exact(2) == b"\r\n"
                if n == 0:
                    break
        elif "content-length" in headers:
            body = self.read_exact(int(headers["content-length"]))
        else:
            body = self.read_to_end()
        return Response(status, headers, body, raw)

    def request(self, method, target, body=None, headers=(), version="HTTP/1.1"):
        self.send(build_request(method, target, body, headers, version))
        return self.response(method)

    def closed(self, seconds=3.0):
        """True when the peer has closed and nothing more came."""
        self.s.settimeout(seconds * SLOW)
        try:
            return self.read_to_end() == b""
        except (TimeoutError, socket.timeout):
            return False


def build_request(method, target, body=None, headers=(), version="HTTP/1.1"):
    lines = ["%s %s %s" % (method, target, version), "Host: docker"]
    if body is not None:
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        if not any(h.lower().startswith("content-type:") for h in headers):
            lines.append("Content-Type: application/json")
        lines.append("Content-Length: %d" % len(body))
    lines += headers
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def http_unix(sock, raw, timeout=10.0):
    """Sends `raw` on a new connection, closes the writing side and returns every byte that came back."""
    with HttpConn(sock, timeout) as c:
        try:
            c.send(raw)
            c.shutdown_write()
        except (BrokenPipeError, ConnectionResetError):
            pass
        return c.read_to_end()


def http_request(sock, method, target, body=None, headers=(), timeout=10.0):
    with HttpConn(sock, timeout) as c:
        return c.request(method, target, body, headers)


# ---------------------------------------------------------------- the engine
class Engine:
    def __init__(self, sock, proc=None, home=None, pool="base=10.64.0.0/10,size=24"):
        self.sock, self.proc, self.home, self.pool = sock, proc, home, pool

    def docker(self, *args, check=True, cli=None, input=None, timeout=60):
        """Runs the stock client against the engine itself; returns its standard output, stripped."""
        p = subprocess.run([cli or DOCKER_CLIS[0], "-H", "unix://" + self.sock, *args], input=input, text=True,
                           capture_output=True, timeout=timeout * SLOW, check=False)
        if check and p.returncode != 0:
            raise AssertionError("docker %s: exit %d: %s" % (" ".join(args), p.returncode, p.stderr))
        return p.stdout.strip()

    def request(self, method, target, body=None, headers=()):
        return http_request(self.sock, method, target, body, headers)

    def remove_containers(self, label):
        ids = self.docker("ps", "-aq", "--filter", "label=" + label).split()
        if ids:
            self.docker("rm", "-f", *ids)

    def alive(self):
        try:
            return http_request(self.sock, "GET", "/_ping", timeout=2).status == 200
        except (OSError, EOFError):
            return False

    def start(self, *args):
        log = open(os.path.join(self.home, "log"), "ab")
        self.proc = subprocess.Popen(
            ["dockerd", "--data-root", self.home + "/data", "--exec-root", self.home + "/exec", "-H",
             "unix://" + self.sock, "--pidfile", self.home + "/pid", "--bridge=none", "--iptables=false",
             "--ip6tables=false", "--default-address-pool", self.pool, *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True)
        log.close()
        wait_for(self.alive, 60, "dockerd did not answer; its log is %s/log" % self.home)

    def stop(self, sig=signal.SIGTERM):
        """Ends the engine; only one that this run has started."""
        assert self.proc, "not our engine"
        self.proc.send_signal(sig)
        self.proc.wait(60)

    def restart(self):
        self.stop()
        self.start()


class SplitEngine(Engine):
    """With a containerd of its own, as distributions install it: that one lives on when dockerd is killed."""

    def __init__(self, home):
        super().__init__(home + "/docker.sock", home=home)
        self.containerd = None

    def start(self, *args, live_restore=False):
        if not self.containerd:
            self.start_containerd()
        super().start("--containerd", self.home + "/c/sock", *(["--live-restore"] if live_restore else []), *args)

    def start_containerd(self):
        os.makedirs(self.home + "/c")
        with open(self.home + "/c/config.toml", "w", encoding="utf-8") as f:
            f.write('version = 2\nroot = "%s/c/root"\nstate = "%s/c/state"\n'
                    'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "%s/c/sock"\n' % ((self.home,) * 3))
        with open(self.home + "/c/log", "ab") as log:
            self.containerd = subprocess.Popen(["containerd", "-c", self.home + "/c/config.toml"], stdin=subprocess.DEVNULL,
                                               stdout=log, stderr=log, start_new_session=True)
        wait_for(lambda: os.path.exists(self.home + "/c/sock"), 60, "containerd did not listen")

    def end(self):
        """Removes what there is and ends both."""
        if not self.alive():
            self.start()
        ids = self.docker("ps", "-aq", check=False).split()
        if ids:
            self.docker("rm", "-f", *ids, check=False, timeout=300)
        self.stop()
        self.containerd.terminate()
        self.containerd.wait(60)
        # A dockerd that was killed leaves the mount that it makes of its data on itself.
        while os.path.ismount(self.home + "/data"):
            if subprocess.run(["umount", "-l", self.home + "/data"], check=False).returncode != 0:
                break


def busybox_tar(programs=()):
    """A root file system: busybox with a link for each of its applets, what a sandbox expects, and further dynamic
    programs with the libraries that they need."""
    busybox = shutil.which("busybox")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for d in ("bin", "tmp", "var", "var/tmp", "run", "etc", "proc", "sys", "dev", "workspace", "root"):
            i = tarfile.TarInfo(d)
            i.type, i.mode = tarfile.DIRTYPE, 0o1777 if d.endswith("tmp") else 0o755
            t.addfile(i)
        t.add(os.path.realpath(busybox), "bin/busybox")
        for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
            if name != "busybox":
                i = tarfile.TarInfo("bin/" + name)
                i.type, i.linkname = tarfile.SYMTYPE, "busybox"
                t.addfile(i)
        for name, text in (("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/workspace:/bin/sh\n"),
                           ("etc/group", "root:x:0:\nuser:x:1000:\n")):
            i = tarfile.TarInfo(name)
            i.size = len(text)
            t.addfile(i, io.BytesIO(text.encode()))
        for p in programs:
            t.add(os.path.realpath(p), "bin/" + os.path.basename(p))
            ldd = subprocess.run(["ldd", p], capture_output=True, text=True, check=False).stdout
            for lib in {w for w in ldd.split() if w.startswith("/")}:
                t.add(os.path.realpath(lib), lib[1:])
    return out.getvalue()


def import_image(engine, name, tar, command='CMD ["sh"]'):
    p = subprocess.run([DOCKER_CLIS[0], "-H", "unix://" + engine.sock, "import", "-c", command, "-c",
                        "ENV PATH=/bin", "-", name], input=tar, capture_output=True, check=False)
    assert p.returncode == 0, p.stderr
    return name


@pytest.fixture(scope="session")
def engine():
    sock = os.environ.get("CLAWSUP_DOCKER_SOCK")
    if sock:
        yield Engine(sock)
        return
    if not shutil.which("dockerd"):
        pytest.fail("dockerd is missing: install docker.io, or set CLAWSUP_DOCKER_SOCK")
    with own_engine() as e:
        yield e


@contextlib.contextmanager
def own_engine(**kw):
    """An engine of one's own, which goes with all that is in it."""
    home = tempfile.mkdtemp(prefix="clawtest-engine-")
    os.chmod(home, 0o755)
    e = Engine(home + "/docker.sock", home=home, **kw)
    try:
        e.start()
        yield e
    finally:
        if e.proc and e.proc.poll() is None:
            ids = e.docker("ps", "-aq", check=False).split()
            if ids:
                e.docker("rm", "-f", *ids, check=False)
            e.docker("network", "prune", "-f", check=False)  # or their bridges stay
            e.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def image(engine):
    """The name of a busybox image in the engine."""
    if not engine.docker("images", "-q", IMAGE):
        import_image(engine, IMAGE, busybox_tar())
    return IMAGE


@pytest.fixture
def workspace(tmp_path_factory):
    """A tenant's workspace whose parents only root may write, as a bind root must be."""
    d = tempfile.mkdtemp(prefix="clawtest-ws-")
    os.chmod(d, 0o755)
    ws = os.path.join(d, "workspace")
    os.mkdir(ws)
    yield ws
    shutil.rmtree(d, ignore_errors=True)


# ---------------------------------------------------------------- the proxy as a sidecar
class Proxy:
    def __init__(self, home, sock, engine_sock, env, args=()):
        self.home, self.sock, self.engine_sock = home, sock, engine_sock
        self.log = os.path.join(home, "proxy.log")
        env = dict(env, LISTEN="unix:" + sock, DOCKER_SOCKET=engine_sock, PATH="/usr/bin:/bin")
        for k, v in os.environ.items():
            if k.endswith("SAN_OPTIONS"):
                env[k] = v
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen([program("clawsup-proxy"), *args], env=env, stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log)

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def ready(self):
        if self.proc.poll() is not None:
            raise AssertionError("the proxy ended: exit %s: %s" % (self.proc.returncode, self.text()))
        try:
            return http_request(self.sock, "GET", "/_ping", timeout=5).status == 200
        except (OSError, EOFError):
            return False

    def docker(self, *args, cli=None, input=None, timeout=60, check=True):
        p = subprocess.run([cli or DOCKER_CLIS[0], "-H", "unix://" + self.sock, *args], input=input, text=True,
                           capture_output=True, timeout=timeout * SLOW, check=False)
        if check and p.returncode != 0:
            raise AssertionError("docker %s: exit %d: %s%s" % (" ".join(args), p.returncode, p.stdout, p.stderr))
        return p if not check else p.stdout.strip()

    def request(self, method, target, body=None, headers=(), timeout=10.0):
        return http_request(self.sock, method, target, body, headers, timeout)

    def stop(self):
        """Ends the proxy and fails if a sanitizer had something to say."""
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(15)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
                raise AssertionError("the proxy did not end on SIGTERM: " + self.text())
        assert "ERROR: AddressSanitizer" not in self.text(), self.text()
        assert "runtime error" not in self.text(), self.text()
        assert "ERROR: LeakSanitizer" not in self.text(), self.text()


def sidecar_env(tenant="a", images=IMAGE, binds=(), **more):
    """The environment of a sidecar that allows what an OpenClaw gateway needs."""
    env = {"TENANT": tenant, "NAMES": "scoped", "MATCH_CONTAINER_NAME": "openclaw-sbx-%s-*" % tenant,
           "ALLOW_START": "1", "ALLOW_STOP": "1", "ALLOW_RESTARTS": "1", "ALLOW_EXEC": "1",
           "ALLOW_IMAGES": images, "LIMIT_MEMORY": "256M", "LIMIT_CPUS": "0.5", "LIMIT_PIDS": "64",
           "LOG_LEVEL": "debug"}
    if binds:
        env["ALLOW_BIND_MOUNT_FROM"] = ",".join(binds)
    env.update({k: str(v) for k, v in more.items()})
    return {k: v for k, v in env.items() if v != ""}


@pytest.fixture
def start_proxy(engine):
    """A function that starts a sidecar: start_proxy(engine_sock=None, **env); all are ended with the test."""
    started, tenants = [], set()

    def start(engine_sock=None, wait=True, binds=(), **env):
        home = tempfile.mkdtemp(prefix="clawtest-proxy-")
        os.chmod(home, 0o755)
        p = Proxy(home, home + "/docker.sock", engine_sock or engine.sock, sidecar_env(binds=binds, **env))
        started.append(p)
        tenants.add(env.get("tenant", "a"))
        if wait:
            wait_for(p.ready, 15, "the proxy did not answer: " + p.text())
        return p

    yield start
    errors = []
    for p in started:
        try:
            p.stop()
        except AssertionError as e:
            errors.append(str(e))
        shutil.rmtree(p.home, ignore_errors=True)
    for t in tenants:
        engine.remove_containers("clawsup.tenant=" + t)
    assert not errors, errors


@pytest.fixture(params=DOCKER_CLIS, ids=lambda p: p.split("/")[2] if "local" in p else "debian")
def docker_cli(request):
    """Each stock docker command line that this machine has."""
    return request.param
