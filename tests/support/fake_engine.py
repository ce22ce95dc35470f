#!/usr/bin/python3
"""A Docker Engine on a unix socket for what a real one will not do on command: errors, half answers, stalls, a
narrow range of API versions, an event stream that breaks. Containers are entries in a table; nothing runs.

    fake_engine.py --socket PATH [--api 1.52] [--min 1.44] [--server 29.0.0]

Prints "ready" when it listens. It is driven over the same socket, below /_fake/ (never subject to faults):

    POST   /_fake/set       {"api": "1.44", "min": "1.24", "server": "..."}, any of them
    POST   /_fake/rules     [{"method": "GET", "path": REGEX, "fault": F, "times": N, ...}]: replaces all rules;
                            the first that matches (after the version prefix is cut off) applies; times 0 = for ever
                              status   answers "status" with {"message": "message"}
                              cut      the true answer, but only its first "bytes" bytes, then the end
                              close    no byte, then the end
                              stall    no byte for "seconds", then the end
                              delay    the true answer after "seconds"
                              garbage  the bytes "text" instead of an answer
                              body     200 with "text" as "type" (default application/json)
    POST   /_fake/die       {"id": ID-or-name, "exit": 1, "oom": false}: the container's process ends
    POST   /_fake/emit      {"text": "..."}: raw bytes into every event stream
    POST   /_fake/break     {"text": "...", "clean": false}: bytes, then every event stream ends; clean: as HTTP ends
    GET    /_fake/requests  ["GET /v1.44/containers/json?all=true", ...] seen since the start or the last DELETE
    DELETE /_fake/requests
    GET    /_fake/streams   {"open": N, "total": N}
    GET    /_fake/states    {NAME: "running", ...}: how the containers really are

A container whose label "fake.exit" is a number ends with that status as soon as it is started.
"""
import argparse
import json
import os
import queue
import re
import secrets
import signal
import socketserver
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

NEVER = "0001-01-01T00:00:00Z"
CONTAINER = r"^/containers/([^/]+)"


def now_text():
    t = time.time_ns()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t // 10**9)) + ".%09dZ" % (t % 10**9)


def version_key(text):
    return tuple(int(part) for part in text.split("."))


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message


class Engine:
    """The state. Every method is called with `lock` held."""

    def __init__(self, args):
        self.lock = threading.RLock()
        self.api, self.min, self.server = args.api, args.min, args.server
        self.containers, self.networks, self.execs = {}, {}, {}
        self.rules, self.requests, self.streams = [], [], []
        self.streams_total = 0
        self.subnet = 0
        self.gone = threading.Event()  # lets stalled answers end at exit
        self.add_network({"Name": "bridge"})

    # ------------------------------------------------------------ faults
    def match_rule(self, method, path):
        for rule in self.rules:
            if rule.get("method", method) == method and re.search(rule["path"], path):
                if rule.get("times"):
                    rule["times"] -= 1
                    if rule["times"] == 0:
                        self.rules.remove(rule)
                return rule
        return None

    # ------------------------------------------------------------ events
    def emit(self, action, c, **extra):
        attributes = dict(c["Config"]["Labels"], image=c["Config"]["Image"], name=c["Name"][1:], **extra)
        t = time.time_ns()
        event = {"status": action, "id": c["Id"], "from": c["Config"]["Image"], "Type": "container",
                 "Action": action, "Actor": {"ID": c["Id"], "Attributes": attributes}, "scope": "local",
                 "time": t // 10**9, "timeNano": t}
        self.send_streams(("data", json.dumps(event) + "\n"))

    def send_streams(self, item):
        for stream in self.streams:
            stream.put(item)

    # ------------------------------------------------------------ containers
    def find(self, ref):
        ref = urllib.parse.unquote(ref)
        for c in self.containers.values():
            if ref in (c["Id"], c["Name"][1:]) or (len(ref) >= 12 and c["Id"].startswith(ref)):
                return c
        raise Refused(404, "No such container: " + ref)

    def check_name_free(self, name):
        for c in self.containers.values():
            if c["Name"] == "/" + name:
                raise Refused(409, 'Conflict. The container name "/%s" is already in use by container "%s".'
                              % (name, c["Id"]))

    def create(self, name, body):
        if not body.get("Image"):
            raise Refused(400, "config.Image is required")
        self.image(body["Image"])
        name = name or "fake_" + secrets.token_hex(4)
        self.check_name_free(name)
        config = {k: v for k, v in body.items() if k not in ("HostConfig", "NetworkingConfig")}
        config["Labels"] = config.get("Labels") or {}
        host = body.get("HostConfig") or {}
        networks = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
        c = {"Id": secrets.token_hex(32), "Created": now_text(), "Path": "", "Args": [], "Name": "/" + name,
             "State": {"Status": "created", "Running": False, "Paused": False, "Restarting": False,
                       "OOMKilled": False, "Dead": False, "Pid": 0, "ExitCode": 0, "Error": "",
                       "StartedAt": NEVER, "FinishedAt": NEVER},
             "Image": "sha256:" + "0" * 64, "RestartCount": 0, "HostConfig": host, "Config": config,
             "Mounts": [], "NetworkSettings": {"Networks": networks, "Ports": {}}}
        self.containers[c["Id"]] = c
        self.emit("create", c)
        return c

    def start(self, c):
        s = c["State"]
        if s["Running"]:
            return 304
        s.update(Status="running", Running=True, OOMKilled=False, Pid=100000 + secrets.randbelow(100000), ExitCode=0,
                 StartedAt=now_text(), FinishedAt=NEVER)
        self.emit("start", c)
        if c["Config"]["Labels"].get("fake.exit", "").isdigit():
            self.die(c, int(c["Config"]["Labels"]["fake.exit"]))
        return 204

    def die(self, c, code, oom=False):
        if not c["State"]["Running"]:
            raise Refused(409, "container %s is not running" % c["Id"])
        c["State"].update(Status="exited", Running=False, Paused=False, OOMKilled=oom, Pid=0, ExitCode=code,
                          FinishedAt=now_text())
        if oom:
            self.emit("oom", c)
        self.emit("die", c, exitCode=str(code))

    def stop(self, c):
        if not c["State"]["Running"]:
            return 304
        self.emit("kill", c, signal="15")
        self.die(c, 143)
        self.emit("stop", c)
        return 204

    def kill(self, c, signal_name):
        if not c["State"]["Running"]:
            raise Refused(409, "Cannot kill container: %s: container is not running" % c["Id"])
        name = signal_name.upper() if signal_name else "SIGKILL"
        name = name if name.startswith("SIG") or name.isdigit() else "SIG" + name
        number = int(name) if name.isdigit() else getattr(signal, name, None)
        if number is None:
            raise Refused(400, "invalid signal: " + signal_name)
        self.emit("kill", c, signal=str(int(number)))
        if int(number) in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self.die(c, 128 + int(number))
        return 204

    def pause(self, c, on):
        s = c["State"]
        if not s["Running"] or s["Paused"] == on:
            raise Refused(409, "container %s is %s" % (c["Id"], "not running or paused" if on else "not paused"))
        s.update(Paused=on, Status="paused" if on else "running")
        self.emit("pause" if on else "unpause", c)
        return 204

    def remove(self, c, force):
        if c["State"]["Running"]:
            if not force:
                raise Refused(409, "cannot remove container \"%s\": container is running: stop the container before "
                              "removing or force remove" % c["Name"])
            self.emit("kill", c, signal="9")
            self.die(c, 137)
        del self.containers[c["Id"]]
        self.emit("destroy", c)
        return 204

    @staticmethod
    def wants(filters, key):
        v = filters.get(key) or []
        return [k for k in v if not isinstance(v, dict) or v[k]]

    def labels_match(self, filters, labels):
        for want in self.wants(filters, "label"):
            key, eq, value = want.partition("=")
            if key not in labels or (eq and labels[key] != value):
                return False
        return True

    def list(self, all_, filters):
        out = []
        for c in self.containers.values():
            names, ids, states = (self.wants(filters, k) for k in ("name", "id", "status"))
            s = c["State"]["Status"]
            if ((not all_ and not states and not c["State"]["Running"])
                    or (states and s not in states)
                    or (names and not any(re.search(n, c["Name"]) for n in names))
                    or (ids and not any(c["Id"].startswith(i) for i in ids))
                    or not self.labels_match(filters, c["Config"]["Labels"])):
                continue
            out.append({"Id": c["Id"], "Names": [c["Name"]], "Image": c["Config"]["Image"], "ImageID": c["Image"],
                        "Command": "", "Created": 0, "Ports": [], "Labels": c["Config"]["Labels"], "State": s,
                        "Status": s, "HostConfig": {"NetworkMode": c["HostConfig"].get("NetworkMode", "bridge")},
                        "NetworkSettings": {"Networks": c["NetworkSettings"]["Networks"]}, "Mounts": []})
        return out[::-1]

    # ------------------------------------------------------------ images and networks
    @staticmethod
    def image(name):
        name = urllib.parse.unquote(name)
        if "missing" in name:
            raise Refused(404, "No such image: " + name)
        return {"Id": "sha256:" + "0" * 64, "RepoTags": [name], "Config": {"Env": [], "Cmd": ["sh"], "Labels": None},
                "Architecture": "amd64", "Os": "linux", "Size": 1}

    def add_network(self, body):
        if not body.get("Name"):
            raise Refused(400, "network name is required")
        self.subnet += 1
        n = {"Name": body["Name"], "Id": secrets.token_hex(32), "Created": now_text(), "Scope": "local",
             "Driver": body.get("Driver") or "bridge", "Internal": bool(body.get("Internal")),
             "Labels": body.get("Labels") or {}, "Options": body.get("Options") or {}, "Containers": {},
             "IPAM": {"Driver": "default", "Config": [{"Subnet": "172.30.%d.0/24" % self.subnet,
                                                       "Gateway": "172.30.%d.1" % self.subnet}]}}
        self.networks[n["Id"]] = n
        return n

    def network(self, ref):
        ref = urllib.parse.unquote(ref)
        for n in self.networks.values():
            if ref in (n["Id"], n["Name"]):
                return n
        raise Refused(404, "network %s not found" % ref)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Docker"
    sys_version = ""

    def log_message(self, *args):
        pass

    def address_string(self):
        return "unix"

    # ------------------------------------------------------------ answers
    def answer(self, status, body=None, ctype="application/json"):
        """Collects the whole answer, so that a fault may cut it anywhere."""
        data = b"" if body is None else body if isinstance(body, bytes) else (json.dumps(body) + "\n").encode()
        head = ["HTTP/1.1 %d X" % status, "Api-Version: " + self.engine.api, "Server: Docker"]
        if status not in (204, 304):
            head += ["Content-Length: %d" % len(data)]
        if data:
            head += ["Content-Type: " + ctype]
        raw = ("\r\n".join(head) + "\r\n\r\n").encode() + (b"" if self.command == "HEAD" else data)
        rule = self.rule
        if rule and rule["fault"] == "cut":
            raw = raw[:rule["bytes"]]
            self.close_connection = True
        self.wfile.write(raw)
        self.wfile.flush()

    def raw(self, data):
        self.wfile.write(data)
        self.wfile.flush()
        self.close_connection = True

    def apply_fault(self):
        """True when the fault was the whole answer."""
        rule = self.rule
        fault = rule["fault"] if rule else None
        if fault in ("stall", "delay"):
            self.engine.gone.wait(rule.get("seconds", 3600))
        if fault in ("close", "stall"):
            self.close_connection = True
        elif fault == "garbage":
            self.raw(rule["text"].encode())
        elif fault == "status":
            self.answer(rule["status"], {"message": rule.get("message", "fault on command")})
        elif fault == "body":
            self.answer(200, rule["text"].encode(), rule.get("type", "application/json"))
        else:
            return False
        return True

    # ------------------------------------------------------------ dispatch
    def handle_any(self):
        self.engine = self.server.engine
        self.rule = None
        self.body = self.read_body()
        url = urllib.parse.urlsplit(self.path)
        self.query = {k: v[-1] for k, v in urllib.parse.parse_qs(url.query, keep_blank_values=True).items()}
        try:
            if url.path.startswith("/_fake/"):
                self.admin(url.path[len("/_fake"):])
                return
            path = self.strip_version(url.path)
            if not self.apply_fault():
                self.route(path)
        except Refused as r:
            self.answer(r.status, {"message": r.message})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                chunk = self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    break
                data += chunk
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return json.loads(data) if data.strip() else {}

    def strip_version(self, path):
        e = self.engine
        m = re.match(r"^/v([0-9]+\.[0-9]+)(/.*)$", path)
        with e.lock:
            e.requests.append(self.command + " " + self.path)
            self.rule = e.match_rule(self.command, m[2] if m else path)
        if not m:
            return path
        if version_key(m[1]) > version_key(e.api):
            raise Refused(400, "client version %s is too new. Maximum supported API version is %s" % (m[1], e.api))
        if version_key(m[1]) < version_key(e.min):
            raise Refused(400, "client version %s is too old. Minimum supported API version is %s, please upgrade "
                          "your client to a newer version" % (m[1], e.min))
        return m[2]

    def admin(self, path):
        e, b = self.engine, self.body
        with e.lock:
            out = {}
            if path == "/set":
                for key in ("api", "min", "server"):
                    setattr(e, key, b.get(key, getattr(e, key)))
            elif path == "/rules":
                e.rules = b or []
            elif path == "/die":
                e.die(e.find(b["id"]), b.get("exit", 1), b.get("oom", False))
            elif path == "/emit":
                e.send_streams(("data", b["text"]))
            elif path == "/break":
                e.send_streams(("end", b.get("text", ""), b.get("clean", False)))
            elif path == "/requests":
                out = list(e.requests)
                if self.command == "DELETE":
                    e.requests.clear()
            elif path == "/states":
                out = {c["Name"][1:]: c["State"]["Status"] for c in e.containers.values()}
            elif path == "/streams":
                out = {"open": len(e.streams), "total": e.streams_total}
            else:
                raise Refused(404, "no such admin route")
        self.answer(200, out)

    ROUTES = []

    def route(self, path):
        for method, pattern, fn in self.ROUTES:
            m = re.match(pattern, path)
            if m and (method == self.command or (method == "GET" and self.command == "HEAD")):
                fn(self, *m.groups())
                return
        raise Refused(404, "page not found")

    # ------------------------------------------------------------ routes
    def ping(self):
        self.answer(200, b"OK", "text/plain; charset=utf-8")

    def version(self):
        e = self.engine
        self.answer(200, {"Platform": {"Name": "fake"}, "Version": e.server, "ApiVersion": e.api,
                          "MinAPIVersion": e.min, "Os": "linux", "Arch": "amd64", "KernelVersion": "6.1.0"})

    def info(self):
        with self.engine.lock:
            running = sum(c["State"]["Running"] for c in self.engine.containers.values())
            total = len(self.engine.containers)
        self.answer(200, {"ID": "fake", "Containers": total, "ContainersRunning": running, "Driver": "overlay2",
                          "CgroupDriver": "cgroupfs", "CgroupVersion": "2", "ServerVersion": self.engine.server,
                          "OSType": "linux", "Architecture": "x86_64", "NCPU": 2, "MemTotal": 4 << 30,
                          "SecurityOptions": [], "LiveRestoreEnabled": True})

    def with_lock(fn):  # noqa: the body of a route that answers with (status, body)
        def run(self, *args):
            with self.engine.lock:
                result = fn(self, self.engine, *args)
            self.answer(*result)
        return run

    def filters(self):
        try:
            return json.loads(self.query.get("filters") or "{}")
        except ValueError:
            raise Refused(400, "invalid filter") from None

    def on(self, name):
        return self.query.get(name, "").lower() in ("1", "true")

    @with_lock
    def c_list(self, e):
        return 200, e.list(self.on("all"), self.filters())

    @with_lock
    def c_create(self, e):
        return 201, {"Id": e.create(self.query.get("name"), self.body)["Id"], "Warnings": []}

    @with_lock
    def c_inspect(self, e, ref):
        return 200, e.find(ref)

    @with_lock
    def c_start(self, e, ref):
        return (e.start(e.find(ref)),)

    @with_lock
    def c_stop(self, e, ref):
        return (e.stop(e.find(ref)),)

    @with_lock
    def c_restart(self, e, ref):
        c = e.find(ref)
        e.stop(c)
        e.start(c)
        e.emit("restart", c)
        return (204,)

    @with_lock
    def c_kill(self, e, ref):
        return (e.kill(e.find(ref), self.query.get("signal", "")),)

    @with_lock
    def c_pause(self, e, ref, un):
        return (e.pause(e.find(ref), not un),)

    @with_lock
    def c_rename(self, e, ref):
        c = e.find(ref)
        e.check_name_free(self.query["name"])
        old, c["Name"] = c["Name"], "/" + self.query["name"]
        e.emit("rename", c, oldName=old)
        return (204,)

    @with_lock
    def c_update(self, e, ref):
        c = e.find(ref)
        c["HostConfig"].update(self.body)
        e.emit("update", c)
        return 200, {"Warnings": None}

    @with_lock
    def c_remove(self, e, ref):
        return (e.remove(e.find(ref), self.on("force")),)

    @with_lock
    def c_logs(self, e, ref):
        e.find(ref)
        return 200, b"\x01\0\0\0\0\0\0\x05fake\n", "application/vnd.docker.multiplexed-stream"

    def c_wait(self, ref):
        e = self.engine
        while True:
            with e.lock:
                c = e.find(ref)
                state = c["State"]
            if not state["Running"]:
                self.answer(200, {"StatusCode": state["ExitCode"]})
                return
            if e.gone.wait(0.02):
                return

    @with_lock
    def x_create(self, e, ref):
        c = e.find(ref)
        if not c["State"]["Running"]:
            raise Refused(409, "container %s is not running" % c["Id"])
        if c["State"]["Paused"]:
            raise Refused(409, "Container %s is paused, unpause the container before exec" % c["Id"])
        x = {"ID": secrets.token_hex(32), "ContainerID": c["Id"], "Running": False, "ExitCode": None,
             "OpenStdin": bool(self.body.get("AttachStdin")), "Pid": 0, "ProcessConfig": self.body}
        e.execs[x["ID"]] = x
        return 201, {"Id": x["ID"]}

    def find_exec(self, xid):
        with self.engine.lock:
            if xid not in self.engine.execs:
                raise Refused(404, "No such exec instance: " + xid)
            return self.engine.execs[xid]

    def x_start(self, xid):
        x = self.find_exec(xid)
        tty = x["ProcessConfig"].get("Tty")
        out = b"ok\n" if tty else b"\x01\0\0\0\0\0\0\x03ok\n"
        kind = b"raw" if tty else b"multiplexed"
        x["ExitCode"] = 0
        if self.body.get("Detach"):
            self.answer(200)
            return
        head = (b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n" if self.headers.get("Upgrade") else
                b"HTTP/1.1 200 OK\r\n")
        self.raw(head + b"Content-Type: application/vnd.docker." + kind + b"-stream\r\n\r\n" + out)

    def x_inspect(self, xid):
        self.answer(200, self.find_exec(xid))

    def i_inspect(self, name):
        self.answer(200, self.engine.image(name))

    @with_lock
    def n_list(self, e):
        f = self.filters()
        return 200, [n for n in e.networks.values() if e.labels_match(f, n["Labels"])
                     and (not e.wants(f, "name") or any(re.search(w, n["Name"]) for w in e.wants(f, "name")))]

    @with_lock
    def n_create(self, e):
        return 201, {"Id": e.add_network(self.body)["Id"], "Warning": ""}

    @with_lock
    def n_inspect(self, e, ref):
        return 200, e.network(ref)

    @with_lock
    def n_remove(self, e, ref):
        del e.networks[e.network(ref)["Id"]]
        return (204,)

    @with_lock
    def n_connect(self, e, ref, dis):
        n, c = e.network(ref), e.find(self.body.get("Container", ""))
        if dis:
            n["Containers"].pop(c["Id"], None)
            c["NetworkSettings"]["Networks"].pop(n["Name"], None)
        else:
            n["Containers"][c["Id"]] = {"Name": c["Name"][1:]}
            c["NetworkSettings"]["Networks"][n["Name"]] = {"NetworkID": n["Id"]}
        return 200, b""

    def events(self):
        e, q = self.engine, queue.Queue()
        with e.lock:
            e.streams.append(q)
            e.streams_total += 1
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.wfile.flush()
            while True:
                kind, text, *rest = q.get()
                data = text.encode()
                if data:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                if kind == "end":
                    if rest[0]:
                        self.wfile.write(b"0\r\n\r\n")
                    break
                self.wfile.flush()
            self.wfile.flush()
        finally:
            with e.lock:
                e.streams.remove(q)
            self.close_connection = True


Handler.ROUTES = [
    ("GET", r"^/_ping$", Handler.ping), ("GET", r"^/version$", Handler.version), ("GET", r"^/info$", Handler.info),
    ("GET", r"^/events$", Handler.events),
    ("GET", r"^/containers/json$", Handler.c_list), ("POST", r"^/containers/create$", Handler.c_create),
    ("GET", CONTAINER + r"/json$", Handler.c_inspect), ("POST", CONTAINER + r"/start$", Handler.c_start),
    ("POST", CONTAINER + r"/stop$", Handler.c_stop), ("POST", CONTAINER + r"/restart$", Handler.c_restart),
    ("POST", CONTAINER + r"/kill$", Handler.c_kill), ("POST", CONTAINER + r"/(un)?pause$", Handler.c_pause),
    ("POST", CONTAINER + r"/rename$", Handler.c_rename), ("POST", CONTAINER + r"/update$", Handler.c_update),
    ("POST", CONTAINER + r"/wait$", Handler.c_wait), ("GET", CONTAINER + r"/logs$", Handler.c_logs),
    ("POST", CONTAINER + r"/exec$", Handler.x_create), ("DELETE", CONTAINER + r"$", Handler.c_remove),
    ("POST", r"^/exec/([^/]+)/start$", Handler.x_start), ("GET", r"^/exec/([^/]+)/json$", Handler.x_inspect),
    ("GET", r"^/images/(.+)/json$", Handler.i_inspect),
    ("GET", r"^/networks$", Handler.n_list), ("POST", r"^/networks/create$", Handler.n_create),
    ("GET", r"^/networks/([^/]+)$", Handler.n_inspect), ("DELETE", r"^/networks/([^/]+)$", Handler.n_remove),
    ("POST", r"^/networks/([^/]+)/(dis)?connect$", Handler.n_connect),
]


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (BrokenPipeError, ConnectionResetError)):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description="a Docker Engine that fails on command")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--api", default="1.52")
    parser.add_argument("--min", default="1.44")
    parser.add_argument("--server", default="29.0.0")
    args = parser.parse_args()
    if os.path.exists(args.socket):
        os.unlink(args.socket)
    server = Server(args.socket, Handler)
    server.engine = Engine(args)

    def end(signum, frame):
        # shutdown() waits for the loop that this very thread runs.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    # One write, even when Python does not buffer: who waits for it closes the pipe after the first bytes.
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.05)
    server.engine.gone.set()
    os.unlink(args.socket)


if __name__ == "__main__":
    main()
