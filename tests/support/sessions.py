"""sessions.py: many clients of the tenants' proxies in one thread: each holds an exec session and pings, on a new
connection each time, until it is told to stop. Whatever goes wrong is kept, never retried. Must not know of clawsupd."""

import asyncio
import json
import threading

HEAD_END = b"\r\n\r\n"
PAUSE = 0.1


async def read_head(r):
    raw = await r.readuntil(HEAD_END)
    return int(raw.split(b" ", 2)[1]), raw.lower()


async def ask(path, method, target, body=None, reader_writer=None):
    """One request; (status, body). The connection is closed by the server."""
    r, w = reader_writer or await asyncio.open_unix_connection(path)
    data = b"" if body is None else json.dumps(body).encode()
    head = "%s %s HTTP/1.1\r\nHost: d\r\nConnection: close\r\n" % (method, target)
    if body is not None:
        head += "Content-Type: application/json\r\nContent-Length: %d\r\n" % len(data)
    w.write(head.encode() + b"\r\n" + data)
    raw = await r.read()
    w.close()
    head, _, body = raw.partition(HEAD_END)
    return int(head.split(b" ", 2)[1]), body


class Client:
    def __init__(self, crowd, path, box):
        self.crowd, self.path, self.box = crowd, path, box
        self.echoes = self.pings = 0

    async def open_session(self):
        status, body = await ask(self.path, "POST", "/v1.41/containers/%s/exec" % self.box,
                                 {"AttachStdin": True, "AttachStdout": True, "Cmd": ["cat"]})
        assert status == 201, (status, body)
        xid = body[body.index(b'"Id"'):].split(b'"')[3].decode()
        self.r, self.w = await asyncio.open_unix_connection(self.path)
        start = b'{"Detach":false,"Tty":false}'
        self.w.write(b"POST /v1.41/exec/%s/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                     b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (xid.encode(), len(start), start))
        status, raw = await read_head(self.r)
        assert status == 101, raw
        await self.echo()

    async def echo(self):
        line = b"%d\n" % self.echoes
        self.w.write(line)
        got = b""
        while len(got) < len(line):  # a frame of the engine's stream: eight bytes of head, the last four its length
            head = await self.r.readexactly(8)
            got += await self.r.readexactly(int.from_bytes(head[4:], "big"))
        assert got == line, got
        self.echoes += 1

    async def ping(self):
        status, body = await ask(self.path, "GET", "/_ping")
        assert status == 200 and body.endswith(b"OK"), (status, body)
        self.pings += 1

    async def run(self):
        try:
            async with self.crowd.doors:  # so many at a time start their session
                await self.open_session()
            self.crowd.ready += 1
            while not self.crowd.stopping:
                await self.ping()
                await self.echo()
                await asyncio.sleep(PAUSE)
            self.w.close()
        except Exception as e:  # noqa: BLE001: the finding itself
            self.crowd.failures.append("%s: %r" % (self.path, e))


class Crowd:
    """`places` is a list of (path of a proxy's socket, container in which to hold a session), one for each client."""

    def __init__(self, places):
        self.places, self.failures, self.ready, self.stopping = places, [], 0, False
        self.thread = threading.Thread(target=lambda: asyncio.run(self.main()))
        self.thread.start()

    async def main(self):
        self.doors = asyncio.Semaphore(8)
        self.clients = [Client(self, *p) for p in self.places]
        await asyncio.gather(*[c.run() for c in self.clients])

    def all_there(self):
        """Every client has its session and has been answered; or something went wrong already."""
        return self.failures or (self.ready == len(self.places) and all(c.pings for c in self.clients))

    def pings(self):
        return sum(c.pings for c in self.clients)

    def end(self):
        self.stopping = True
        self.thread.join()
