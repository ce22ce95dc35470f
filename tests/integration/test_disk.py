"""A tenant's disk as an image of its own, on real loop devices: full is its own affair, it survives clawsupd and an
unmount, and it never hides a file. Skipped where the machine has no loop devices."""

import os
import signal
import subprocess

import pytest
from clawtest import IMAGE, wait_for


def loop_works():
    try:
        os.close(os.open("/dev/loop-control", os.O_RDWR))
    except OSError:
        return False
    return os.path.exists("/usr/sbin/mkfs.ext4") or os.path.exists("/sbin/mkfs.ext4")


pytestmark = pytest.mark.skipif(not loop_works(), reason="no loop devices, or no e2fsprogs")
HOST = 'disk_reserve = "16M";'


def mounted(path):
    with open("/proc/self/mountinfo") as f:
        return [line for line in f if line.split()[4] == path]


def metric(d, name, slug):
    for line in d.metrics().splitlines():
        if line.startswith('clawsup_%s{tenant="%s"}' % (name, slug)):
            return float(line.split()[-1])
    return None


def disk(d, slug):
    return d.tenant_status(slug)["resources"]


def in_gateway(d, slug, script):
    return d.engine.docker("exec", d.gateway(slug), "sh", "-c", script, check=False)


def test_full_is_its_own_affair(daemon):
    d = daemon
    d.configure(host=HOST)
    d.tenant("a", limits='disk = "64M";')
    d.tenant("b")
    d.start().healthy("a", "b")
    line = mounted(d.data("a"))
    assert len(line) == 1 and "nosuid" in line[0] and "nodev" in line[0], line
    image = d.home + "/state/images/a.img"
    assert os.stat(image).st_mode & 0o7777 == 0o600 and os.stat(image).st_blocks * 512 >= 64 << 20
    assert disk(d, "a")["disk_level"] == "image" and disk(d, "b")["disk_level"] == "none"

    # An agent converts two hundred videos, in the gateway and in a sandbox on the same disk.
    box = d.docker("a", "create", "--name", "openclaw-sbx-a-1", "--network", "none", "--init", "-v",
                   d.data("a") + "/workspace:/w", IMAGE, "sleep", "600").stdout.strip()
    d.docker("a", "start", box)
    p = d.docker("a", "exec", box, "sh", "-c", "i=0; while [ $i -lt 200 ]; do "
                 "dd if=/dev/zero of=/w/video$i bs=64k count=16 || exit 9; i=$((i+1)); done", check=False)
    assert p.returncode == 9 and "No space left on device" in p.stderr, (p.stdout, p.stderr)
    wait_for(lambda: "its disk is full" in d.log(), 30)
    wait_for(lambda: metric(d, "disk_full", "a") == 1 and metric(d, "disk_full_total", "a") == 1, 30)
    assert metric(d, "disk_usage_bytes", "a") > 0.8 * metric(d, "disk_limit_bytes", "a")
    assert disk(d, "a")["disk_full"] is True
    assert "FULL" in d.clawsup("status", "a", check=False).stdout

    # Everybody else goes on.
    with open(d.data("b") + "/file", "wb") as f:
        f.write(b"x" * (8 << 20))
    assert d.component("b", "gateway")["state"] == "healthy"

    # Room again.
    d.docker("a", "exec", box, "sh", "-c", "rm /w/video*")
    wait_for(lambda: metric(d, "disk_full", "a") == 0, 30)
    assert "its disk has room again" in d.log()


def test_survives_clawsupd_and_an_unmount(daemon):
    d = daemon
    d.configure(host=HOST)
    d.tenant("a", limits='disk = "64M";')
    d.start().healthy("a")
    with open(d.data("a") + "/kept", "w") as f:
        f.write("kept")
    before = mounted(d.data("a"))
    started = d.inspect(d.gateway("a"))["State"]["StartedAt"]
    d.stop(signal.SIGKILL)
    assert mounted(d.data("a")) == before
    d.start().healthy("a")
    wait_for(lambda: disk(d, "a")["disk_level"] == "image" and not disk(d, "a")["disk_problem"], 30)
    assert mounted(d.data("a")) == before and d.inspect(d.gateway("a"))["State"]["StartedAt"] == started

    # As after a reboot: nothing runs, nothing is mounted. The disk comes first, then the gateway.
    d.stop()
    d.engine.docker("stop", "-t", "1", d.gateway("a"))
    subprocess.run(["umount", d.data("a")], check=True)
    assert not os.path.exists(d.data("a") + "/kept")
    d.start().healthy("a")
    assert len(mounted(d.data("a"))) == 1
    assert in_gateway(d, "a", "cat %s/kept" % d.data("a")).strip() == "kept"


def test_no_file_is_hidden(daemon):
    d = daemon
    d.configure(host=HOST)
    for slug, mode in (("auto", "auto"), ("image", "image")):
        d.tenant(slug, limits='disk = "64M"; disk_mode = "%s";' % mode)
        with open(d.data(slug) + "/precious", "w") as f:
            f.write("data")
    d.start()
    # Whoever insists on an image is not started without; whoever does not, runs, and is told what that means.
    d.healthy("auto")
    wait_for(lambda: "has files already" in (disk(d, "image")["disk_problem"] or ""), 30)
    assert disk(d, "auto")["disk_level"] == "best-effort"
    assert "has files already" in disk(d, "auto")["disk_problem"]
    wait_for(lambda: "not started" in d.log(), 30)
    for slug in ("auto", "image"):
        assert not mounted(d.data(slug)) and os.path.exists(d.data(slug) + "/precious")
        assert not os.path.exists(d.home + "/state/images/%s.img" % slug)
    assert d.engine.docker("ps", "-aq", "--filter", "name=" + d.gateway("image")).strip() == ""

    # What the message says to do, done.
    aside = d.home + "/aside"
    os.rename(d.data("image"), aside)
    os.makedirs(d.data("image") + "/workspace")
    d.tenant("image", limits='disk = "65M"; disk_mode = "image";')
    d.clawsup("reload")
    wait_for(lambda: mounted(d.data("image")), 60)
    subprocess.run(["cp", "-a", aside + "/.", d.data("image")], check=True)
    d.healthy("image", seconds=60)
    assert in_gateway(d, "image", "cat %s/precious" % d.data("image")).strip() == "data"


def test_no_room_on_the_host(daemon):
    d = daemon
    d.configure(host='disk_reserve = "60T";')
    d.tenant("a", limits='disk = "64M"; disk_mode = "image"; enforce = "best-effort";')
    d.start().healthy("a")
    assert disk(d, "a")["disk_level"] == "best-effort" and "no room" in disk(d, "a")["disk_problem"]
    assert not os.path.exists(d.home + "/state/images/a.img")


def small_host(d, megabytes):
    """A file system of that size for the tenants' data, beside the real one."""
    image = d.home + "/host.img"
    with open(image, "wb") as f:
        f.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-b4096", "-m0", image], check=True, env={"PATH": "/usr/sbin:/sbin"})
    subprocess.run(["mount", "-o", "loop", image, d.home + "/data"], check=True)


def paused(d, name):
    return d.inspect(name)["State"]["Paused"]


def test_best_effort_freezes_who_grows(daemon):
    d = daemon
    small_host(d, 160)
    d.configure(host='disk_reserve = "64M";')
    for slug in ("a", "b"):
        d.tenant(slug, limits='disk = "64M"; disk_mode = "best-effort";')
        with open(d.data(slug) + "/ballast", "wb") as f:
            f.write(b"x" * (1 << 20))
    d.start().healthy("a", "b")
    box = d.docker("a", "create", "--name", "openclaw-sbx-a-1", "--network", "none", "--init", "-v",
                   d.data("a") + "/workspace:/w", IMAGE, "sh", "-c",
                   "i=0; while :; do [ -e /w/go ] && dd if=/dev/zero of=/w/v$i bs=64k count=16; i=$((i+1)); sleep 0.5; done"
                   ).stdout.strip()
    d.docker("a", "start", box)
    for slug in ("a", "b"):
        wait_for(lambda s=slug: disk(d, s)["disk_bytes"], 60)
        assert disk(d, slug)["disk_level"] == "best-effort"
    open(d.data("a") + "/workspace/go", "w").close()
    wait_for(lambda: disk(d, "a")["disk_frozen"], 120)
    assert "it grew most" in d.log() and "best-effort" in d.log()
    wait_for(lambda: paused(d, box) and paused(d, d.gateway("a")), 60)
    s = os.statvfs(d.data("a"))
    assert s.f_bavail * s.f_frsize > 1 << 20  # the host's disk never was full
    wait_for(lambda: metric(d, "disk_frozen", "a") == 1, 30)
    assert not disk(d, "b")["disk_frozen"] and not paused(d, d.gateway("b"))

    # A restarted clawsupd knows what it froze.
    d.stop()
    d.start()
    wait_for(lambda: disk(d, "a")["disk_frozen"], 30)

    # Room: it goes on by itself.
    os.unlink(d.data("a") + "/workspace/go")
    for name in os.listdir(d.data("a") + "/workspace"):
        os.unlink(d.data("a") + "/workspace/" + name)
    wait_for(lambda: not disk(d, "a")["disk_frozen"], 60)
    wait_for(lambda: not paused(d, box) and not paused(d, d.gateway("a")), 60)
    d.healthy("a", "b")
