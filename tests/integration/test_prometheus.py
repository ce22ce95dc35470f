"""Rules and dashboards against a real Prometheus that has scraped a running clawsupd through a real node_exporter."""

import json
import os
import re
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

from clawd import free_port
from clawtest import REPO, wait_for

RULES = os.path.join(REPO, "contrib/prometheus/clawsup.rules.yml")
DASHBOARDS = os.path.join(REPO, "contrib/grafana")


def test_each_alert_has_a_test_that_raises_it():
    with open(RULES, encoding="utf-8") as f:
        alerts = re.findall(r"- alert: (\w+)", f.read())
    with open(RULES.replace(".yml", ".test.yml"), encoding="utf-8") as f:
        tested = re.findall(r'expr: ALERTS\{alertname="(\w+)"', f.read())
    assert len(alerts) > 20 and sorted(alerts) == sorted(tested)
    with open(os.path.join(REPO, "contrib/docs/operations.md"), encoding="utf-8") as f:
        assert re.findall(r"^### (\w+)$", f.read(), re.M) == alerts
    p = subprocess.run(["promtool", "test", "rules", os.path.basename(RULES).replace(".yml", ".test.yml")],
                       cwd=os.path.dirname(RULES), capture_output=True, text=True, check=False)
    assert p.returncode == 0, p.stdout + p.stderr


def get(url):
    with urllib.request.urlopen(url, timeout=10) as r:
        return json.load(r)


@pytest.fixture
def prometheus(daemon):
    """A tenant that has had some life, scraped every second; query(expression) -> rows."""
    d = daemon
    node, port = free_port(), free_port()
    conf = d.home + "/prometheus.yml"
    with open(conf, "w") as f:
        f.write("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: ['%s']\nscrape_configs:\n"
                "  - job_name: node\n    static_configs: [{targets: ['127.0.0.1:%d']}]\n" % (RULES, node))
    log = open(d.home + "/prometheus.log", "ab")
    procs = [subprocess.Popen(c, stdout=log, stderr=log, stdin=subprocess.DEVNULL) for c in (
        ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
         "--collector.textfile.directory=" + d.home, "--web.listen-address=127.0.0.1:%d" % node],
        ["prometheus", "--config.file=" + conf, "--storage.tsdb.path=" + d.home + "/tsdb",
         "--web.listen-address=127.0.0.1:%d" % port])]
    log.close()

    def query(expr):
        return get("http://127.0.0.1:%d/api/v1/query?%s" % (port, urllib.parse.urlencode({"query": expr})))["data"]["result"]

    def up():
        try:
            return query("up == 1")
        except OSError:
            return []

    try:
        wait_for(up, 60)
        yield query
    finally:
        for p in procs:
            p.terminate()
        for p in procs:
            p.wait()


def expressions():
    for name in sorted(os.listdir(DASHBOARDS)):
        with open(os.path.join(DASHBOARDS, name), encoding="utf-8") as f:
            d = json.load(f)
        assert d["uid"] + ".json" == name
        for panel in d["panels"]:
            for t in panel["targets"]:
                yield "%s: %s: %s" % (name, panel["title"], t["refId"]), t["expr"]


def test_every_panel_shows_data(daemon, prometheus):
    d, query = daemon, prometheus
    d.tenant("a")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", d.data("a")], check=True)
    os.mkdir(d.data("a") + "/workspace")
    d.start().healthy("a")
    assert d.docker("a", "ps", check=False).returncode == 0
    assert d.docker("a", "volume", "ls", check=False).returncode != 0  # refused
    wait_for(lambda: query('clawsup_component_up{tenant="a"} == 1'), 60)
    d.engine.docker("kill", d.gateway("a"))
    wait_for(lambda: d.component("a", "gateway")["restarts_1h"] >= 1, 60)
    d.healthy("a")

    missing = [("?", "")]
    deadline = time.time() + 90  # a rate needs two scrapes, a rule two evaluations
    while missing and time.time() < deadline:
        missing = []
        for where, expr in expressions():
            for var in ("instance", "tenant"):
                expr = expr.replace('%s=~"$%s"' % (var, var), '%s=~".+"' % var)
            assert "$" not in expr, where
            if not query(expr):
                missing.append((where, expr))
        time.sleep(1)
    assert missing == []
    assert [r["metric"]["alertname"] for r in query('ALERTS{alertstate="firing"}')] == []
