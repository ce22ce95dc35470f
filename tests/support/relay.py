"""relay.py: a recording relay between the proxy and the engine: the witness of what the engine was asked.

Every connection is copied byte for byte in both directions, half-closes included. Each request head that the proxy wrote
is kept (one connection carries one request: the proxy says Connection: close or upgrades). Must not change a byte,
except where a test asks for a fault."""

import os
import grp
import socket
import threading


class Relay:
    def __init__(self, path, engine_sock):
        self.path, self.engine_sock = path, engine_sock
        self.lock = threading.Lock()
        self.seen = []  # bytes of each connection, as the proxy wrote them
        self.answer = None  # a test's function(request bytes) -> bytes to answer instead, or None
        self.listener = None
        self.live = set()
        self.open()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        try:
            os.chown(self.path, 0, grp.getgrnam("docker").gr_gid)
        except KeyError:
            pass
        os.chmod(self.path, 0o660)
        self.listener.listen(1024)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def close(self):
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
            os.unlink(self.path)

    def cut(self):
        """Breaks every connection, as an engine that ends does."""
        with self.lock:
            live = list(self.live)
        for s in live:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self, listener):
        while True:
            try:
                c, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        with self.lock:
            index = len(self.seen)
            self.seen.append(b"")
        first = c.recv(65536)
        self.record(index, first)
        if self.answer:
            canned = self.answer(first)
            if canned is not None:
                c.sendall(canned)
                c.close()
                return
        e = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            e.connect(self.engine_sock)
            e.sendall(first)
        except OSError:
            c.close()
            return
        with self.lock:
            self.live |= {c, e}
        back = threading.Thread(target=self.copy, args=(e, c, None), daemon=True)
        back.start()
        self.copy(c, e, index)
        back.join()
        with self.lock:
            self.live -= {c, e}
        c.close()
        e.close()

    def record(self, index, data):
        with self.lock:
            self.seen[index] += data

    def copy(self, a, b, index):
        while True:
            try:
                d = a.recv(65536)
            except OSError:
                d = b""
            if not d:
                break
            if index is not None:
                self.record(index, d)
            try:
                b.sendall(d)
            except OSError:
                break
        try:
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    # ---- what a test asks
    def requests(self, lists=False):
        """(method, target, body) of every connection so far, the proxy's own look at the engine left out: the version,
        the event stream and (unless `lists`: a client's list looks the same) the container list."""
        with self.lock:
            seen = list(self.seen)
        got = []
        for raw in seen:
            head, _, body = raw.partition(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ", 2)
            if target == "/version" or "/events?" in target or (
                    not lists and "/containers/json?all=1&filters=" in target):
                continue
            got.append((method, target, body))
        return got

    def forget(self):
        with self.lock:
            self.seen = [b"GET /version HTTP/1.1"] * len(self.seen)

    def targets(self):
        return [m + " " + t for m, t, _ in self.requests()]
