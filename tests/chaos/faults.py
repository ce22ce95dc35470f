"""faults.py: what goes wrong: every fault of the chaos test, on a daemon and an engine of the test's own. A fault that lasts
has a function that ends it, called after its time and once more at the end of the run. Must not judge anything."""

import errno
import json
import os
import signal
import subprocess
import threading
import time

from relay import Relay


class FaultyRelay(Relay):
    """Copies what it is given, late when told so, and keeps nothing."""

    delay = 0.0

    def record(self, at, data):
        pass

    def lie(self, c, request):
        time.sleep(self.delay)
        return False

    def remove(self):
        os.rename(self.path, self.path + ".away")

    def put_back(self):
        if os.path.exists(self.path + ".away"):
            os.rename(self.path + ".away", self.path)


class Faults:
    def __init__(self, d, relay, slugs, rnd):
        self.d, self.relay, self.slugs, self.rnd = d, relay, slugs, rnd
        self.done = []      # (name, slug)
        self.lasting = []   # (until, function)
        self.excused = []   # (slug, from, until): nobody was there to hold its socket

    # ---- helpers
    def gateway_pid(self, slug):
        out = self.d.engine.docker("inspect", "-f", "{{.State.Pid}}", self.d.gateway(slug), check=False)
        return int(out) if out.isdigit() and int(out) > 1 else None

    def proxy_pid(self, slug):
        try:
            with open("%s/run/.supervisor/proxy/%s.pid" % (self.d.home, slug)) as f:
                pid = int(f.read().split()[0])
            with open("/proc/%d/cmdline" % pid) as f:
                return pid if "clawsup-proxy" in f.read() else None
        except (OSError, ValueError, IndexError):
            return None

    def signal(self, pid, sig):
        if pid:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass

    def later(self, seconds, fn):
        self.lasting.append((time.monotonic() + seconds, fn))

    def end_what_is_over(self, everything=False):
        now = time.monotonic()
        over = [x for x in self.lasting if everything or x[0] <= now]
        self.lasting = [x for x in self.lasting if x not in over]
        for _, fn in over:
            fn()

    # ---- processes
    def kill_proxy(self, slug):
        self.signal(self.proxy_pid(slug), signal.SIGKILL)

    def stop_proxy(self, slug):
        self.signal(self.proxy_pid(slug), signal.SIGSTOP)

    def kill_gateway(self, slug):
        self.signal(self.gateway_pid(slug), signal.SIGKILL)

    def stop_gateway(self, slug):
        self.signal(self.gateway_pid(slug), signal.SIGSTOP)

    def stop_clawsupd(self, _):
        p = self.d.proc
        p.send_signal(signal.SIGSTOP)
        time.sleep(1 + 2 * self.rnd.random())
        p.send_signal(signal.SIGCONT)

    def kill_clawsupd(self, _):
        # Here is no systemd that keeps sockets: a proxy that is down already (one that dies again and again waits before
        # its relaunch) leaves nobody to hold its socket while clawsupd is away. Every other client must be served.
        down, begun = [s for s in self.slugs if self.proxy_pid(s) is None], time.monotonic()
        self.d.stop(signal.SIGKILL)
        down += [s for s in self.slugs if self.proxy_pid(s) is None and s not in down]
        time.sleep(self.rnd.random())
        self.d.start()
        time.sleep(1.5)  # adoption is over: from here on the sockets are held again
        self.excused += [(s, begun, time.monotonic()) for s in down]

    # ---- containers
    def pause_gateway(self, slug):
        self.d.engine.docker("pause", self.d.gateway(slug), check=False)

    def remove_gateway(self, slug):
        self.d.engine.docker("rm", "-f", self.d.gateway(slug), check=False)

    def unwell_for_a_while(self, slug):
        self.d.flag(slug, "unwell")
        self.later(3, lambda: self.d.flag(slug, "unwell", False))

    def oom_gateway(self, slug):
        """The kernel is told to prefer the gateway's own process."""
        subprocess.Popen(["docker", "-H", "unix://" + self.d.engine.sock, "exec", self.d.gateway(slug), "sh", "-c",
                          "echo 1000 > /proc/1/oom_score_adj; tail /dev/zero"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    # ---- the engine
    def end_engine(self, sig):
        self.d.engine.stop(sig)
        time.sleep(1 + 2 * self.rnd.random())
        self.d.engine.start(live_restore=self.rnd.random() < 0.5)

    def restart_engine(self, _):
        self.end_engine(signal.SIGTERM)

    def kill_engine(self, _):
        self.end_engine(signal.SIGKILL)

    def remove_engine_socket(self, _):
        self.relay.remove()
        self.later(3, self.relay.put_back)

    def delay_engine(self, _):
        self.relay.delay = 0.3

        def end():
            self.relay.delay = 0.0

        self.later(4, end)

    def cut_connections(self, _):
        self.relay.cut()

    # ---- the disk
    def fill_state(self, _):
        """Kept full: what a new write-ahead log gives back would be room for another. clawsupd starts on it, too."""
        over = threading.Event()
        path = "%s/state/filler-%d" % (self.d.home, len(self.done))
        filler = threading.Thread(target=self.keep_full, args=(path, over))
        filler.start()

        def end():
            over.set()
            filler.join()
            os.unlink(path)

        self.later(5, end)
        self.kill_clawsupd(_)

    def keep_full(self, path, over):
        with open(path, "wb", buffering=0) as f:
            while not over.wait(0.001):
                try:
                    while not over.is_set():
                        f.write(b"x" * 4096)
                except OSError as e:
                    assert e.errno == errno.ENOSPC, e

    # ---- the run
    WEIGHTS = {"kill_proxy": 10, "kill_gateway": 8, "stop_proxy": 4, "stop_gateway": 4, "pause_gateway": 4,
               "unwell_for_a_while": 4, "remove_gateway": 2, "oom_gateway": 3, "kill_clawsupd": 3, "stop_clawsupd": 2,
               "restart_engine": 1, "kill_engine": 2, "remove_engine_socket": 2, "delay_engine": 2, "cut_connections": 2,
               "fill_state": 2}

    def inject(self, name):
        slug = self.rnd.choice(self.slugs)
        self.done.append((name, slug))
        getattr(self, name)(slug)

    def run(self, seconds, pause):
        """Each fault once, in a random order, and as many more as there is time for."""
        names = list(self.WEIGHTS)
        self.rnd.shuffle(names)
        end = time.monotonic() + seconds
        while names or time.monotonic() < end:
            self.end_what_is_over()
            self.inject(names.pop() if names else self.rnd.choices(list(self.WEIGHTS), self.WEIGHTS.values())[0])
            time.sleep(pause * (0.1 + self.rnd.random()))

    def end(self):
        while self.lasting:
            time.sleep(0.1)
            self.end_what_is_over()

    def counts(self):
        return json.dumps({n: sum(1 for f, _ in self.done if f == n) for n in self.WEIGHTS}, sort_keys=True)


class Events:
    """Follows the engine's own events, over its outages: what really was started, and what was killed for memory."""

    def __init__(self, engine):
        self.engine, self.starts, self.ooms, self.stopping, self.proc = engine, {}, 0, False, None
        self.thread = threading.Thread(target=self.follow)
        self.thread.start()

    def follow(self):
        while not self.stopping:
            self.proc = subprocess.Popen(
                ["docker", "-H", "unix://" + self.engine.sock, "events", "--filter", "event=start", "--filter", "event=oom",
                 "--format", "{{.Action}} {{.Actor.Attributes.name}}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True)
            for line in self.proc.stdout:
                action, _, name = line.strip().partition(" ")
                if action == "oom":
                    self.ooms += 1
                else:
                    self.starts[name] = self.starts.get(name, 0) + 1
            self.proc.wait()
            time.sleep(0.1)

    def end(self):
        self.stopping = True
        if self.proc:
            self.proc.terminate()
        self.thread.join()
