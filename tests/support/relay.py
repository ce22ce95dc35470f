"""relay.py: a recording relay between the proxy and the engine: the witness of what the engine was asked.

Every connection is copied byte for byte in both directions, half-closes included. Each request that the proxy wrote is
kept, in the order in which they came. Only GET and HEAD may have another request behind them on their connection, and
they end with their head: whatever comes after one is kept as a request of its own, so that a byte too many shows. Must
not change a byte, except where a test asks for a fault."""

import os
import grp
import socket
import threading


class Relay:
    def __init__(self, path, engine_sock):
        self.path, self.engine_sock = path, engine_sock
        self.lock = threading.Lock()
        self.seen = []  # bytes of each request, as the proxy wrote them
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
        at = [None]  # the index of the request that is on its way on this connection
        first = c.recv(65536)
        self.record(at, first)
        if self.lie(c, first):
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
        self.copy(c, e, at)
        back.join()
        with self.lock:
            self.live -= {c, e}
        c.close()
        e.close()

    def lie(self, c, request):
        canned = self.answer(request) if self.answer and request else None
        if canned is None:
            return False
        try:
            c.sendall(canned)
        except OSError:  # the proxy did not wait for it
            pass
        return True

    def record(self, at, data):
        with self.lock:
            while data:
                if at[0] is None:
                    at[0] = len(self.seen)
                    self.seen.append(b"")
                raw, data = self.seen[at[0]] + data, b""
                head, end, rest = raw.partition(b"\r\n\r\n")
                if end and head.startswith((b"GET ", b"HEAD ")):
                    self.seen[at[0]], at[0], data = head + end, None, rest
                else:
                    self.seen[at[0]] = raw

    def copy(self, a, b, at):
        while True:
            try:
                d = a.recv(65536)
            except OSError:
                d = b""
            if not d:
                break
            if at is not None:
                new = at[0] is None
                self.record(at, d)
                if new and self.lie(a, d):
                    break
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
        """(method, target, body) of every request so far, the proxy's own look at the engine left out: the version,
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
            self.seen = [b"FORGOTTEN /version HTTP/1.1\r\n\r\n"] * len(self.seen)

    def targets(self):
        return [m + " " + t for m, t, _ in self.requests()]
