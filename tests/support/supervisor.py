"""supervisor.py: plays clawsupd for one proxy: hands over descriptors and a policy, answers the control channel. For tests
of the proxy's side of that conversation; the real other side is tested with the daemon."""

import array
import fcntl
import grp
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time

from clawtest import IMAGE, HttpConn, http_request, program, wait_for

F_ADD_SEALS, ALL_SEALS = 1033, 0xF
HIGH = 100


def policy(tenant="a", **more):
    """The policy's JSON form with every member."""
    p = {"version": 1, "tenant": tenant, "other_tenants": [], "names": "scoped",
         "match_container_name": "openclaw-sbx-%s-*" % tenant, "name_prefix": "openclaw-sbx-%s-" % tenant,
         "allow_start": True, "allow_stop": True, "allow_restart": True, "allow_exec": True, "allow_update": False,
         "allow_rename": False, "allow_archive_put": False, "allow_export": False, "allow_image_pull": False,
         "allow_network_read": False, "allow_gateway_exec": False, "filter": "enforce", "images": [IMAGE], "bind_mount_from": [],
         "gateway_name": None, "network_id": None, "network_name": None, "cgroup_parent": None, "runtime": None,
         "security_opt": [], "cap_keep": [], "users": [], "readonly_rootfs": False, "memory_bytes": 256 << 20,
         "nano_cpus": 500000000, "pids": 64, "shm_bytes": 64 << 20, "tmpfs_bytes": 64 << 20, "max_containers": 4,
         "max_connections": 100, "api_version": ""}
    assert set(more) <= set(p), more
    p.update(more)
    return p


def high(fd):
    """A copy above every number that the proxy expects."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD, HIGH)


class Supervisor:
    """Sockets that outlive proxies, and the proxies started on them."""

    def __init__(self, engine_sock):
        self.home = tempfile.mkdtemp(prefix="clawtest-sup-")
        os.chmod(self.home, 0o755)
        self.engine_sock, self.sock = engine_sock, self.home + "/docker.sock"
        self.listener_path = self.home + "/control.sock"
        self.log = self.home + "/proxy.log"
        self.client = self.listen(self.sock, socket.SOCK_STREAM, 0o666)
        self.listener = self.listen(self.listener_path, socket.SOCK_SEQPACKET, 0o666)
        self.control, self.proc, self.procs = None, None, []

    @staticmethod
    def listen(path, kind, mode):
        s = socket.socket(socket.AF_UNIX, kind)
        s.bind(path)
        os.chmod(path, mode)
        s.listen(1024)
        return s

    def start(self, wait=True, **pol):
        text = json.dumps(policy(**pol)).encode()
        mem = os.memfd_create("policy", os.MFD_ALLOW_SEALING)
        os.write(mem, text)
        os.lseek(mem, 0, os.SEEK_SET)
        fcntl.fcntl(mem, F_ADD_SEALS, ALL_SEALS)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(30)
        fds = [high(f) for f in (mem, theirs.fileno(), self.listener.fileno(), self.client.fileno())]
        redirect = " ".join("%d<&%d %d<&-" % (3 + i, f, f) for i, f in enumerate(fds))
        try:
            gid = grp.getgrnam("docker").gr_gid
        except KeyError:
            gid = os.stat(self.engine_sock).st_gid
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen(
                ["bash", "-c", "exec setpriv --reuid=65534 --regid=65534 --groups=%d --no-new-privs -- %s --supervised "
                 "--listen-fds=1 --engine-socket=%s --log-level=debug %s" %
                 (gid, program("clawsup-proxy"), self.engine_sock, redirect)],
                pass_fds=fds, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.procs.append(self.proc)
        for f in fds:
            os.close(f)
        os.close(mem)
        theirs.close()
        if wait:
            self.hello = self.recv()
            assert self.hello["type"] == "hello", self.hello
            self.until("ready")
        return self.proc

    # ---- the channel
    def recv(self):
        return json.loads(self.control.recv(65536))

    def send(self, **message):
        self.control.send(json.dumps(message).encode())

    def until(self, kind):
        """The next message of that type; others are passed over."""
        while True:
            m = self.recv()
            if m["type"] == kind:
                return m

    def silent(self, kind, seconds=0.3):
        """True if no message of that type comes within the time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.control], [], [], end - time.monotonic())[0] and self.recv()["type"] == kind:
                return False
        return True

    def adopt(self):
        """A new supervisor: connects to the listener; returns the hello and the descriptors that came with it."""
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(30)
        self.control.connect(self.listener_path)
        data, anc, _, _ = self.control.recvmsg(65536, socket.CMSG_SPACE(17 * 4))
        fds = array.array("i")
        for level, kind, d in anc:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds.frombytes(d)
        return json.loads(data), list(fds)

    # ---- as a client
    def request(self, method, target, body=None, headers=(), timeout=10.0):
        return http_request(self.sock, method, target, body, headers, timeout)

    def connect(self):
        return HttpConn(self.sock)

    def create(self, name, **body):
        return self.request("POST", "/containers/create?name=openclaw-sbx-a-" + name,
                            dict({"Image": IMAGE, "Cmd": ["sleep", "infinity"]}, **body))

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def close(self):
        for p in self.procs:
            if p.poll() is None:
                p.terminate()
                p.wait(15)
        text = self.text()
        shutil.rmtree(self.home, ignore_errors=True)
        assert "Sanitizer" not in text and "runtime error" not in text, text

    def ended(self, proc=None, seconds=10):
        proc = proc or self.proc
        wait_for(lambda: proc.poll() is not None, seconds, "the proxy did not end: " + self.text())
        return proc.returncode
