"""clawd.py: clawsupd under test: directories and an engine of its own, a configuration with short times, and the small
HTTP gateway that it supervises. Must not touch an engine, a process or a directory that it did not make."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

import check_schema
from clawtest import DOCKER_CLIS, IMAGE, REPO, HttpConn, http_request, program, wait_for

with open(os.path.join(REPO, "contrib/docs/status-schema.json"), encoding="utf-8") as schema_file:
    SCHEMA = json.load(schema_file)

# What the gateway does is told by files in its data root: "broken" ends it at once, "unwell" answers 503, "crash" ends
# it after two seconds.
GATEWAY = """D=%s; [ -e $D/broken ] && exit 3; [ -e $D/crash ] && { sleep 2; exit 4; }
mkdir -p /www; echo started >> $D/starts
while :; do [ -e $D/unwell ] && rm -f /www/healthz || { echo '{"ok":true,"status":"live"}' > /www/t; mv /www/t /www/healthz; }; sleep 0.1; done & exec httpd -f -p 18789 -h /www"""

HOST = """
runtime_dir = "%(home)s/run"; state_dir = "%(home)s/state"; engine_socket = "%(sock)s";
metrics_file = "%(home)s/clawsup.prom"; metrics_interval = "1s"; proxy_user = "nobody"; log_level = "debug";
relist_interval = "5s"; %(host)s
recovery = { observe = "0s"; settling = "1s"; safe_starts = 100; grace = "2s"; bucket_refill = "100ms"; %(host_recovery)s };
"""

TENANT = """
tenant: {
  slug = "%(slug)s"; data_root = "%(data)s";
  proxy = { allow = { start = true; stop = true; restart = true; exec = true; };
            bind_mount_from = [ "%(data)s/workspace" ]; images = [ "%(image)s" ];
            health = { interval = "200ms"; %(proxy_health)s }; %(proxy)s };
  gateway = { image = "%(gateway_image)s"; command = [ "sh", "-c", "%(command)s" ];
              publish = [ "127.0.0.1:%(port)d:18789" ]; stop_timeout = "1s";
              health = { url = "http://127.0.0.1:%(port)d/healthz"; expect_json = { ok = true; }; interval = "200ms";
                         timeout = "1s"; start_deadline = "5s"; %(health)s }; %(gateway)s };
  limits = { cpus = 1.0; memory = "256M"; pids = 128; %(limits)s
             sandbox = { cpus = 0.5; memory = "64M"; pids = 64; max_containers = 4; }; };
%(more)s  recovery = { l1 = { attempts = 3; delays = [ "0s", "500ms", "500ms" ]; stable = "2s"; };
               l2 = { attempts = 1; delays = [ "500ms" ]; stable = "2s"; };
               l3 = { attempts = 1; delays = [ "500ms" ]; stable = "2s"; min_gap = "1s"; };
               backoff = { base = "500ms"; cap = "1s"; };
               quarantine_probe = "1s"; half_open = "10m"; hold = "4s"; restarts_per_hour = 30; restarts_per_day = 60; %(recovery)s };
};
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    def __init__(self, engine, sock=None):
        self.engine = engine
        self.home = tempfile.mkdtemp(prefix="clawtest-d-")
        os.chmod(self.home, 0o755)
        self.sock = sock or engine.sock
        self.conf = self.home + "/clawsup.conf"
        self.log_path = self.home + "/log"
        self.slugs = []
        self.ports = {}
        self.proc = None
        os.makedirs(self.home + "/tenants.d")
        os.makedirs(self.home + "/data")
        self.configure()

    # ---- configuration
    def configure(self, host="", host_recovery=""):
        with open(self.conf, "w") as f:
            f.write(HOST % {"home": self.home, "sock": self.sock, "host": host, "host_recovery": host_recovery})

    def tenant(self, slug, write=True, **kw):
        """Writes (or rewrites) a tenant's file; extra text goes into the group that the keyword names."""
        data = self.data(slug)
        os.makedirs(data + "/workspace", exist_ok=True)
        self.ports.setdefault(slug, free_port())
        values = dict(slug=slug, data=data, image=IMAGE, gateway_image=IMAGE, port=self.ports[slug], proxy="",
                      proxy_health="", gateway="", health="", limits="", more="", recovery="",
                      command=(GATEWAY % data).replace('"', '\\"').replace("\n", "; "))
        values.update(kw)
        if write:
            with open(self.home + "/tenants.d/%s.conf" % slug, "w") as f:
                f.write(TENANT % values)
        if slug not in self.slugs:
            self.slugs.append(slug)

    def data(self, slug):
        return self.home + "/data/" + slug

    def flag(self, slug, name, on=True):
        path = os.path.join(self.data(slug), name)
        if on:
            open(path, "w").close()
        elif os.path.exists(path):
            os.unlink(path)

    def proxy_sock(self, slug):
        return "%s/run/%s/docker.sock" % (self.home, slug)

    def gateway(self, slug):
        return "openclaw-gw-" + slug

    # ---- life
    def start(self, wait=True, env=None):
        log = open(self.log_path, "ab")
        self.proc = subprocess.Popen([program("clawsupd"), "--config", self.conf], stdin=subprocess.DEVNULL, stdout=log,
                                     stderr=log, env=dict(os.environ, **(env or {})), start_new_session=True)
        log.close()
        if wait:
            wait_for(lambda: self.proc.poll() is not None or self.answers(), 20, "clawsupd did not answer: " + self.log())
            assert self.proc.poll() is None, self.log()
        return self

    def answers(self):
        return self.clawsup("version", check=False).returncode == 0

    def stop(self, sig=signal.SIGTERM, seconds=20):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(sig)
            try:
                self.proc.wait(seconds)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
                raise AssertionError("clawsupd did not end on %s: %s" % (sig, self.log()[-3000:]))
        return self.proc.returncode if self.proc else None

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def clawsup(self, *args, check=True, input=None, timeout=60):
        p = subprocess.run([program("clawsup"), "--socket", self.home + "/run/control.sock", "--config", self.conf, *args],
                           input=input, text=True, capture_output=True, timeout=timeout, check=False)
        if check and p.returncode != 0:
            raise AssertionError("clawsup %s: exit %d: %s%s" % (" ".join(args), p.returncode, p.stdout, p.stderr))
        return p

    def status(self, slug=None):
        p = self.clawsup("status", *([slug] if slug else []), "--json", check=False)
        assert p.stdout, p.stderr
        reply = json.loads(p.stdout)
        if reply["ok"]:  # each answer that any test looks at is held against the documented shape
            findings = check_schema.check(SCHEMA, reply)
            assert not findings, "\n".join(findings)
        return reply

    def tenant_status(self, slug):
        return self.status(slug)["tenants"][0]

    def component(self, slug, name):
        return next(c for c in self.tenant_status(slug)["components"] if c["name"] == name)

    def wait_state(self, slug, state, seconds=30):
        wait_for(lambda: self.tenant_status(slug)["state"] == state, seconds,
                 "%s never became %s: %s\n%s" % (slug, state, json.dumps(self.tenant_status(slug), indent=1), self.log()[-4000:]))

    def healthy(self, *slugs, seconds=40):
        for s in slugs or self.slugs:
            try:
                self.wait_state(s, "healthy", seconds)
            except AssertionError:
                raise AssertionError("%s never became healthy: %s\n%s" % (
                    s, json.dumps(self.tenant_status(s), indent=1), self.log()[-4000:]))

    def inspect(self, name):
        return json.loads(self.engine.docker("inspect", name))[0]

    def starts(self, slug):
        try:
            with open(self.data(slug) + "/starts") as f:
                return len(f.readlines())
        except FileNotFoundError:
            return 0

    def proxy_pid(self, slug):
        return self.component(slug, "proxy")["pid"]

    def metrics(self):
        with open(self.home + "/clawsup.prom") as f:
            return f.read()

    def docker(self, slug, *args, check=True, input=None, timeout=60):
        p = subprocess.run([DOCKER_CLIS[0], "-H", "unix://" + self.proxy_sock(slug), *args], text=True, input=input,
                           capture_output=True, timeout=timeout, check=False)
        if check and p.returncode != 0:
            raise AssertionError("docker %s: exit %d: %s%s" % (" ".join(args), p.returncode, p.stdout, p.stderr))
        return p

    def sanitizers_are_silent(self):
        text = self.log()
        for bad in ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer"):
            assert bad not in text, text[text.index(bad):][:4000]

    def cleanup(self):
        error = None
        try:
            self.stop()
            self.sanitizers_are_silent()
        except AssertionError as e:
            error = e
        self.kill_proxies()
        for s in self.slugs:
            if self.engine.alive():
                self.engine.remove_containers("clawsup.tenant=" + s)
                self.engine.docker("rm", "-f", self.gateway(s), self.gateway(s) + ".old", self.gateway(s) + ".new", check=False)
                self.engine.docker("network", "rm", "clawsup-net-" + s, check=False)
        self.unmount()
        shutil.rmtree(self.home, ignore_errors=True)
        if error:
            raise error

    def unmount(self):
        with open("/proc/self/mounts") as f:
            for line in f:
                if line.split()[1].startswith(self.home):
                    subprocess.run(["umount", "-l", line.split()[1]], check=False)

    def kill_proxies(self):
        """The proxies outlive clawsupd on purpose; each is named by its pid file."""
        d = self.home + "/run/.supervisor/proxy"
        for name in os.listdir(d) if os.path.isdir(d) else []:
            if not name.endswith(".pid"):
                continue
            with open(d + "/" + name) as f:
                pid = int(f.read().split()[0])
            try:
                with open("/proc/%d/cmdline" % pid) as c:
                    if "--supervised" in c.read():  # tests start others in its place
                        os.kill(pid, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass


@pytest.fixture
def daemon(engine, image):
    d = Daemon(engine)
    yield d
    d.cleanup()


@pytest.fixture
def make_daemon(engine, image):
    """A function that makes a daemon on another socket than the engine's (a relay, a fake engine)."""
    made = []

    def make(sock=None):
        made.append(Daemon(engine, sock))
        return made[-1]

    yield make
    for d in made:
        d.cleanup()
