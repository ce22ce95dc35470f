#!/usr/bin/python3
"""fleet.py: a Docker Engine of N gateways and the gateways themselves, for the bench of clawsupd at scale: real enough for
probes, lists, inspects and starts, and one process, so that clawsupd's own time can be told from it.

    fleet.py SOCKET FIRST_PORT N

Gateway I, of tenant "tI", runs from the beginning and answers on 127.0.0.1:FIRST_PORT+I. Prints "ready"."""

import asyncio
import grp
import json
import os
import re
import resource
import secrets
import sys
import urllib.parse

MODE = 0o660


class Fleet:
    def __init__(self):
        self.containers, self.networks = {}, {}

    def create(self, name, body):
        cid = secrets.token_hex(32)
        config = {k: v for k, v in body.items() if k not in ("HostConfig", "NetworkingConfig")}
        self.containers[name] = {
            "Id": cid, "Name": "/" + name, "Created": "2026-01-01T00:00:00Z", "Path": "", "Args": [],
            "State": {"Status": "created", "Running": False, "Paused": False, "Restarting": False, "OOMKilled": False,
                      "Dead": False, "Pid": 0, "ExitCode": 0, "Error": "", "StartedAt": "2026-01-01T00:00:00Z",
                      "FinishedAt": "0001-01-01T00:00:00Z"},
            "Image": "sha256:" + "0" * 64, "RestartCount": 0, "HostConfig": body.get("HostConfig") or {}, "Config": config,
            "Mounts": [], "NetworkSettings": {"Networks": {}, "Ports": {}}}
        return 201, {"Id": cid, "Warnings": []}

    def running(self, slug):
        self.create("openclaw-gw-" + slug, {"Image": "gateway:1", "Labels": {"clawsup.tenant": slug, "clawsup.role": "gateway"},
                                            "HostConfig": {"RestartPolicy": {"Name": "no"}}})
        self.containers["openclaw-gw-" + slug]["State"].update(Status="running", Running=True, Pid=os.getpid())

    def find(self, ref):
        ref = urllib.parse.unquote(ref)
        if ref in self.containers:
            return self.containers[ref]
        return next((c for c in self.containers.values() if c["Id"] == ref), None)

    def row(self, c):
        return {"Id": c["Id"], "Names": [c["Name"]], "Image": c["Config"]["Image"], "ImageID": c["Image"], "Command": "",
                "Created": 0, "Ports": [], "Labels": c["Config"]["Labels"], "State": c["State"]["Status"], "Status": "Up",
                "HostConfig": {"NetworkMode": "bridge"}, "NetworkSettings": {"Networks": {}}, "Mounts": []}

    def list(self, query):
        """A proxy asks for its own tenant's only."""
        label = [x for x in json.loads(query.get("filters", "{}")).get("label", [])]
        rows = [self.row(c) for c in self.containers.values()
                if all("%s=%s" % (k, c["Config"]["Labels"].get(k)) == want for want in label for k in [want.split("=")[0]])]
        return 200, rows

    def answer(self, method, path, query, body):
        path = re.sub(r"^/v[0-9.]+", "", path)
        if path == "/version":
            return 200, {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"}
        if path == "/info":
            return 200, {"CgroupDriver": "cgroupfs", "CgroupVersion": "1", "ServerVersion": "20.10.24", "SecurityOptions": [],
                         "NCPU": 2, "MemTotal": 8 << 30, "OSType": "linux"}
        if path == "/containers/json":
            return self.list(query)
        if path == "/networks":
            return 200, list(self.networks.values())
        if path == "/networks/create":
            n = {"Id": secrets.token_hex(32), "Name": body["Name"], "Labels": body.get("Labels") or {}}
            self.networks[n["Name"]] = n
            return 201, {"Id": n["Id"]}
        if path.startswith("/networks/"):
            n = self.networks.get(path.split("/")[2])
            return (200, n) if n else (404, {"message": "network not found"})
        if path.startswith("/images/"):
            return 200, {"Id": "sha256:" + "0" * 64, "Config": {}}
        if path == "/containers/create":
            return self.create(query["name"], body)
        m = re.match(r"^/containers/([^/]+)/(json|start|update)$", path)
        c = self.find(m[1]) if m else None
        if not c:
            return 404, {"message": "No such container"}
        if m[2] == "start":
            c["State"].update(Status="running", Running=True, Pid=os.getpid())
            return 204, None
        if m[2] == "update":
            c["HostConfig"].update(body)
        return 200, c


async def serve_engine(fleet, r, w):
    try:
        while True:
            head = (await r.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, _ = head.split(" ", 2)
            url = urllib.parse.urlsplit(target)
            m = re.search(r"\r\ncontent-length: *(\d+)", head, re.I)
            raw = await r.readexactly(int(m[1])) if m else b""
            if url.path.endswith("/_ping"):
                w.write(b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n" +
                        (b"" if method == "HEAD" else b"OK"))
                continue
            if url.path.endswith("/events"):
                w.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
                await r.read()
                return
            query = {k: v[-1] for k, v in urllib.parse.parse_qs(url.query).items()}
            status, body = fleet.answer(method, url.path, query, json.loads(raw) if raw else {})
            data = b"" if body is None else json.dumps(body).encode()
            w.write(b"HTTP/1.1 %d X\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n" % status +
                    (b"Content-Length: %d\r\n" % len(data) if status != 204 else b"") + b"\r\n" + data)
            await w.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        w.close()


async def serve_gateway(r, w):
    body = b'{"ok":true,"status":"live"}'
    try:
        while await r.readuntil(b"\r\n\r\n"):
            w.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        w.close()


async def main(path, first, n):
    fleet = Fleet()
    await asyncio.start_unix_server(lambda r, w: serve_engine(fleet, r, w), path, backlog=4096)
    try:
        os.chown(path, 0, grp.getgrnam("docker").gr_gid)
    except KeyError:
        pass
    os.chmod(path, MODE)
    for i in range(n):
        fleet.running("t%d" % i)
        await asyncio.start_server(serve_gateway, "127.0.0.1", first + i, backlog=16)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
