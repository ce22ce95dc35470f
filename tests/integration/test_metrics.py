"""The textfile of a running daemon, as node_exporter's collector and Prometheus take it."""

import os
import re
import signal
import stat
import subprocess
import time

from check_metrics import check
from clawtest import IMAGE, wait_for

FAMILIES = """clawsup_build_info clawsup_start_time_seconds clawsup_host_state clawsup_engine_up
clawsup_event_stream_reconnects_total clawsup_relist_divergence_total clawsup_loop_lag_seconds clawsup_actions_in_flight
clawsup_component_up clawsup_component_state clawsup_probes_total clawsup_probe_duration_seconds
clawsup_detection_seconds clawsup_recovery_seconds clawsup_actions_total clawsup_actions_suppressed_total
clawsup_tenant_level clawsup_quarantined clawsup_hold_until_timestamp_seconds clawsup_memory_usage_bytes
clawsup_memory_limit_bytes clawsup_oom_kills_total clawsup_cpu_usage_seconds_total clawsup_cpu_throttled_seconds_total
clawsup_pids clawsup_disk_usage_bytes clawsup_disk_limit_bytes clawsup_disk_inodes clawsup_disk_full clawsup_disk_full_total clawsup_disk_frozen clawsup_proxy_requests_total
clawsup_proxy_restarts_total""".split()


def own_disk(d, slug):
    """A file system of its own: what is used of the host's could not be told."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", d.data(slug)], check=True)
    os.mkdir(d.data(slug) + "/workspace")


def samples(text):
    """{series: value} of the text."""
    out = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            key, value = line.rsplit(" ", 1)
            out[key] = float(value)
    return out


def is_well_formed(text, *families):
    p = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (p.returncode, p.stdout, p.stderr) == (0, "", ""), p
    assert check(text, families) == []


def test_the_textfile(daemon):
    d = daemon
    path = d.home + "/clawsup.prom"
    d.tenant("a")
    own_disk(d, "a")
    d.tenant("b", gateway_image="clawtest-missing:1")  # one that is not well
    os.umask(0o077)  # whatever the daemon inherits
    try:
        d.start()
    finally:
        os.umask(0o022)
    d.healthy("a")
    began = time.time()

    # Whole at every moment, however often it is read: it is replaced, not rewritten.
    inodes, n = set(), 0
    while time.time() < began + 2.5:
        text = d.metrics()
        assert text.endswith("\n") and "clawsup_proxy_restarts_total" in text
        inodes.add(os.stat(path).st_ino)
        n += 1
    assert len(inodes) >= 2 and n > 50
    s = os.stat(path)
    assert stat.S_IMODE(s.st_mode) == 0o644 and time.time() - s.st_mtime < 1.6
    assert [f for f in os.listdir(d.home) if f.endswith(".prom")] == ["clawsup.prom"]  # no half-written one is collected

    wait_for(lambda: samples(d.metrics()).get('clawsup_memory_usage_bytes{tenant="a"}'), 10)
    text = d.metrics()
    is_well_formed(text, *FAMILIES)
    got = samples(text)

    # Everything that counts is there from the start, at 0: a rate over the first event is right.
    counters = {k: v for k, v in got.items() if re.match(r"[a-z_]+_total\b", k)}
    assert counters['clawsup_oom_kills_total{tenant="a"}'] == 0
    for result in ("failed", "refused", "rolled_back", "ok"):
        key = [k for k in counters if k.startswith("clawsup_actions_total{") and 'tenant="a"' in k and 'level="L3"' in k and
               result in k.replace("-", "_")]
        assert len(key) == 1 and counters[key[0]] == 0, (result, key)
    assert counters['clawsup_proxy_requests_total{tenant="a",decision="denied"}'] == 0
    assert {re.search('reason="([^"]+)"', k)[1] for k in counters if k.startswith('clawsup_proxy_restarts_total{tenant="a"')} \
        >= {"exited", "reload", "operator"}
    assert len([k for k in counters if k.startswith("clawsup_actions_suppressed_total{guard=")]) >= 8
    for c in ("proxy", "gateway"):
        for r in ("ok", "fail", "unknown"):
            assert 'clawsup_probes_total{component="%s",result="%s"}' % (c, r) in counters
        assert got['clawsup_probe_duration_seconds_count{component="%s"}' % c] > 0

    # And it is true.
    assert got["clawsup_engine_up"] == 1 and got['clawsup_host_state{state="normal"}'] == 1
    assert sum(v for k, v in got.items() if k.startswith("clawsup_host_state{")) == 1
    for t in "ab":
        for c in ("proxy", "gateway"):
            assert sum(v for k, v in got.items() if k.startswith('clawsup_component_state{tenant="%s",component="%s"' % (t, c))) == 1
    assert got['clawsup_component_up{tenant="a",component="gateway"}'] == 1
    assert got['clawsup_component_up{tenant="b",component="gateway"}'] == 0
    assert got['clawsup_memory_limit_bytes{tenant="a"}'] == 256 << 20
    assert 0 < got['clawsup_memory_usage_bytes{tenant="a"}'] < 256 << 20
    assert 1 <= got['clawsup_pids{tenant="a"}'] <= 128
    assert got['clawsup_disk_limit_bytes{tenant="a"}'] == 32 << 20
    assert 0 < got['clawsup_disk_usage_bytes{tenant="a"}'] < 1 << 20
    assert 'clawsup_disk_usage_bytes{tenant="b"}' not in got  # on the host's disk: not known
    assert abs(got["clawsup_start_time_seconds"] - began) < 60
    version = re.search(r'clawsup_build_info\{version="([^"]+)"\} 1\n', text)[1]
    assert version in d.clawsup("version").stdout


def test_what_happens_is_counted(daemon):
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    wait_for(lambda: "clawsup_probes_total" in d.metrics(), 5)
    before = samples(d.metrics())
    os.kill(d.inspect(d.gateway("a"))["State"]["Pid"], signal.SIGKILL)
    wait_for(lambda: d.starts("a") == 2, 20)
    d.healthy("a")
    pid = d.proxy_pid("a")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: d.proxy_pid("a") not in (None, pid), 10)
    d.healthy("a")
    assert d.docker("a", "run", "--privileged", IMAGE, "true", check=False).returncode != 0
    d.clawsup("pause", "a", "--for", "10m")

    def counted():
        got = samples(d.metrics())
        return (got['clawsup_actions_total{tenant="a",level="L1",result="ok"}'] >= 1 and
                got['clawsup_proxy_restarts_total{tenant="a",reason="exited"}'] == 1 and
                got['clawsup_proxy_requests_total{tenant="a",decision="denied"}'] >= 1 and
                got['clawsup_recovery_seconds_count{component="gateway"}'] >= 1 and
                got['clawsup_detection_seconds_count{component="gateway"}'] >= 1)

    wait_for(counted, 15, d.metrics())
    got = samples(d.metrics())
    # A counter never goes back, not even when what it counts is made anew.
    for k in before:
        if re.match(r"[a-z_]+_(total|count|sum|bucket)\b", k):
            assert got[k] >= before[k], k
    assert 590 < got['clawsup_hold_until_timestamp_seconds{tenant="a"}'] - time.time() < 610
    assert got['clawsup_detection_seconds_sum{component="gateway"}'] < 5
    is_well_formed(d.metrics())
    d.clawsup("resume", "a")
    wait_for(lambda: samples(d.metrics())['clawsup_hold_until_timestamp_seconds{tenant="a"}'] == 0, 5)
