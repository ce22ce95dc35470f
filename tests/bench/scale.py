#!/usr/bin/python3
"""scale.py: what clawsupd costs with 50, 500 and 2,000 tenants, each with an embedded proxy and a gateway that are probed
every 2 s, as by default. The proxies are real, the engine and the gateways are fleet.py. CPU time and memory are those of
clawsupd alone, out of /proc, so that other load on the machine does not count.

QUICK=1: 50 and 200 tenants for 10 s. FLEETS=50,500,2000 and SECONDS=60 choose the run. Needs root."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPO, "tests/support"))

from clawtest import BUILD  # noqa: E402

QUICK = bool(os.environ.get("QUICK"))
FLEETS = [int(n) for n in os.environ.get("FLEETS", "50,200" if QUICK else "50,500,2000").split(",")]
SECONDS = float(os.environ.get("SECONDS", "10" if QUICK else "60"))
FIRST_PORT = 20000
TICK = os.sysconf("SC_CLK_TCK")

HOST = """
runtime_dir = "%(home)s/run"; state_dir = "%(home)s/state"; engine_socket = "%(home)s/engine.sock";
metrics_file = "%(home)s/clawsup.prom"; proxy_user = "nobody"; log_level = "warning";
"""
TENANT = """
tenant: {
  slug = "%(slug)s"; data_root = "%(home)s/data/%(slug)s";
  proxy = { images = [ "sandbox:1" ]; };
  gateway = { image = "gateway:1"; publish = [ "127.0.0.1:%(port)d:18789" ];
              health = { url = "http://127.0.0.1:%(port)d/healthz"; expect_json = { ok = true; }; }; };
  limits = { cpus = 1.0; memory = "256M"; pids = 128;
             sandbox = { cpus = 0.5; memory = "64M"; pids = 64; max_containers = 4; }; };
};
"""


class Fleet:
    def __init__(self, n):
        self.n, self.home, self.daemon = n, tempfile.mkdtemp(prefix="clawsup-scale-"), None
        os.chmod(self.home, 0o755)
        os.makedirs(self.home + "/tenants.d")
        with open(self.home + "/clawsup.conf", "w", encoding="utf-8") as f:
            f.write(HOST % {"home": self.home})
        for i in range(n):
            os.makedirs(self.home + "/data/t%d" % i)
            with open(self.home + "/tenants.d/t%d.conf" % i, "w", encoding="utf-8") as f:
                f.write(TENANT % {"home": self.home, "slug": "t%d" % i, "port": FIRST_PORT + i})
        self.engine = subprocess.Popen([sys.executable, REPO + "/tests/bench/fleet.py", self.home + "/engine.sock",
                                        str(FIRST_PORT), str(n)], stdout=subprocess.PIPE, text=True)
        if self.engine.stdout.readline() != "ready\n":
            sys.exit("scale: fleet.py did not start")

    def start(self):
        with open(self.home + "/log", "wb") as log:
            self.daemon = subprocess.Popen([BUILD + "/clawsupd", "--config", self.home + "/clawsup.conf"],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def states(self):
        p = subprocess.run([BUILD + "/clawsup", "--socket", self.home + "/run/control.sock", "status", "--json"],
                           capture_output=True, text=True, check=False, timeout=120)
        try:
            return [c["state"] for t in json.loads(p.stdout)["tenants"] for c in t["components"]]
        except (ValueError, KeyError):
            return []

    def wait(self, seconds=600):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(2)
            s = self.states()
            if len(s) == 2 * self.n and all(x == "healthy" for x in s):
                return
            if self.daemon.poll() is not None:
                break
        with open(self.home + "/log", encoding="utf-8", errors="replace") as f:
            sys.exit("scale: %d of %d healthy, clawsupd %s\n%s" % (sum(x == "healthy" for x in s), 2 * self.n, self.daemon.poll(), f.read()[-3000:]))

    def cpu(self):
        with open("/proc/%d/stat" % self.daemon.pid, encoding="utf-8") as f:
            fields = f.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss_kb(self):
        with open("/proc/%d/status" % self.daemon.pid, encoding="utf-8") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def alarms(self):
        """Components that are not healthy, and actions that were taken, though nothing failed."""
        with open(self.home + "/log", encoding="utf-8", errors="replace") as f:
            return sum(x != "healthy" for x in self.states()), f.read().count("-> suspect")

    def stop(self):
        pids = []
        d = self.home + "/run/.supervisor/proxy"
        for name in os.listdir(d) if os.path.isdir(d) else []:
            if name.endswith(".pid"):
                with open(d + "/" + name, encoding="utf-8") as f:
                    pids.append(int(f.read().split()[0]))
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(60)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.engine.kill()
        self.engine.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("%8s %16s %12s %14s %10s %10s" % ("tenants", "CPU, % of core", "RSS, MB", "us per probe", "unhealthy", "suspicions"))
    for n in FLEETS:
        f = Fleet(n)
        try:
            f.start()
            f.wait()
            time.sleep(5)
            began, cpu = time.monotonic(), f.cpu()
            time.sleep(SECONDS)
            seconds, cpu = time.monotonic() - began, f.cpu() - cpu
            print("%8d %16.2f %12.1f %14.1f %10d %10d" % (n, 100 * cpu / seconds, f.rss_kb() / 1024,
                                                         1e6 * cpu / (seconds * n), *f.alarms()), flush=True)
        finally:
            f.stop()


if __name__ == "__main__":
    main()
