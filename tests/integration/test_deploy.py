"""init, deploy and remove: a tenant's way in and out, on a real engine; and what each refuses."""

import json
import os
import re
import socket

import pytest

import check_schema
from clawtest import IMAGE, REPO, wait_for
from terminal import Terminal
from test_cli import conf, program, run, tmp_path  # noqa: F401

with open(os.path.join(REPO, "contrib/docs/cli-schema.json"), encoding="utf-8") as f:
    SCHEMA = json.load(f)


def checked(verb, text):
    reply = json.loads(text)
    assert check_schema.Checker(SCHEMA).check(SCHEMA["$defs"][verb], reply) == []
    return reply


# ---------------------------------------------------------------- init
def test_init_writes_a_file_that_passes_check_config(conf, tmp_path):
    p = run("init", "gamma", "--config", conf, "--memory", "512M", "--cpus", "0.5", "--pids", "100",
            "--data-root", str(tmp_path / "gamma"))
    assert p.returncode == 0, p.stderr
    path = tmp_path / "tenants.d/gamma.conf"
    assert str(path) in p.stdout and "clawsup deploy gamma" in p.stdout and "install -d" in p.stdout
    text = path.read_text()
    assert "# Image of the gateway" in text and path.stat().st_mode & 0o777 == 0o640
    assert run("check-config", conf).returncode == 0
    # Ports of the other two tenants are 18801 and 18802.
    assert int(re.search(r"127\.0\.0\.1:(\d+):18789", text).group(1)) > 18802
    p = run("init", "gamma", "--config", conf)
    assert p.returncode == 1 and "there is a tenant gamma" in p.stderr
    assert path.read_text() == text


def test_init_avoids_a_port_in_use_and_prints(conf):
    with socket.socket() as s:
        for port in range(18803, 18903):
            try:
                s.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        p = run("init", "x", "--config", conf, "--output", "-")
        assert p.returncode == 0 and "127.0.0.1:%d:" % port not in p.stdout
    full = run("init", "x", "--config", conf, "--output", "-", "--full").stdout
    assert "#expect_json = " in full and "#restarts_per_hour = 6;" in full and len(full) > 3 * len(p.stdout)
    reply = checked("init", run("init", "x", "--config", conf, "--output", "-", "--json").stdout)
    assert reply["slug"] == "x" and "written" not in reply


def test_init_full_is_valid_too(conf, tmp_path):
    assert run("init", "x", "--config", conf, "--full").returncode == 0
    p = run("check-config", conf)
    assert p.returncode == 0, p.stderr
    # ... also with what is commented out in force, as far as the examples go together.
    text = (tmp_path / "tenants.d/x.conf").read_text()
    text = re.sub(r"^( *)#((?:interval|timeout|fall|rise|names|filter|stop_timeout|cpu_weight|hold|reset) = )", r"\1\2", text, flags=re.M)
    (tmp_path / "tenants.d/x.conf").write_text(text)
    p = run("check-config", conf)
    assert p.returncode == 0, p.stderr


@pytest.mark.parametrize("args,text", [
    (("--memory", "lots"), "lots"), (("--port", "x"), "publish"), (("--data-root", "/etc"), "data_root"),
    (("--image", "no image"), "image"), (("--health", "a b"), "URL"), (("--port", "18801"), "18801")])
def test_init_writes_nothing_that_is_not_valid(conf, tmp_path, args, text):
    p = run("init", "gamma", "--config", conf, *args)
    assert p.returncode == 1 and text in p.stderr and "nothing was written" in p.stderr, p.stderr
    assert not (tmp_path / "tenants.d/gamma.conf").exists()


def test_init_asks_on_a_terminal(conf, tmp_path):
    t = Terminal(width=100)
    try:
        t.run(program("clawsup"), "init", "--config", conf, "--memory", "1G")
        t.until("Name of the tenant:")
        t.type("delta", "Enter")
        t.until("Image of the gateway", "[openclaw:latest]:")
        t.type("openclaw:9", "Enter")
        t.until("[/data/tenants/delta]:")
        t.type("Enter")
        t.until("[1000:1000]:")
        t.type("Enter", "Enter", "Enter", "Enter")
        t.until("CPUs of gateway")
        t.type("Enter")
        t.until("Processes and threads", gone=("Memory of both",))
        t.type("Enter")
        t.until("Disk space")
        t.type("10G", "Enter")
        t.until("Next:", "clawsup deploy delta")
    finally:
        t.close()
    text = (tmp_path / "tenants.d/delta.conf").read_text()
    assert 'image = "openclaw:9";' in text and 'memory = "1G";' in text and 'disk = "10G";' in text


# ---------------------------------------------------------------- deploy and remove
def aside(d, slug, **kw):
    """The tenant's file, outside of tenants.d."""
    d.tenant(slug, **kw)
    path = d.home + "/%s.draft" % slug
    os.rename(d.home + "/tenants.d/%s.conf" % slug, path)
    return path


def test_deploy_and_remove(daemon):
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    other = d.inspect(d.gateway("a"))["Id"]
    draft = aside(d, "b")
    p = d.clawsup("deploy", "b", draft, timeout=120)
    assert "b: healthy after " in p.stdout and "-> healthy" in p.stdout, p.stdout
    assert d.tenant_status("b")["state"] == "healthy"
    reply = checked("deploy", d.clawsup("deploy", "b", "--json").stdout)
    assert reply["ok"] and reply["state"] == "healthy"

    box = d.docker("b", "create", "--name", "openclaw-sbx-b-1", "--network", "none", "--init", IMAGE, "sleep", "600").stdout.strip()
    d.docker("b", "start", box)
    with open(d.data("b") + "/workspace/kept", "w") as f:
        f.write("x")
    p = d.clawsup("remove", "b", check=False)
    assert p.returncode == 64 and "--yes" in p.stderr and d.tenant_status("b")["state"] == "healthy"
    p = d.clawsup("remove", "b", "--yes", timeout=180)
    assert "b removed: 2 containers and its network" in p.stdout, p.stdout + p.stderr
    assert d.engine.docker("ps", "-aq", "--filter", "label=clawsup.tenant=b").strip() == ""
    assert "clawsup-net-b" not in d.engine.docker("network", "ls")
    assert os.path.exists(d.data("b") + "/workspace/kept")
    assert os.path.exists(d.home + "/tenants.d/b.conf.removed") and not os.path.exists(d.home + "/tenants.d/b.conf")
    assert [t["slug"] for t in d.status()["tenants"]] == ["a"]
    # Again: nothing is left, and that is fine. The other tenant was not touched.
    assert "b removed: 0 containers" in d.clawsup("remove", "b", "--yes").stdout
    assert d.inspect(d.gateway("a"))["Id"] == other and d.tenant_status("a")["state"] == "healthy"


def test_purge_deletes_the_data_and_nothing_else(daemon):
    d = daemon
    d.tenant("a")
    d.tenant("b")
    d.start().healthy("a", "b")
    outside = d.home + "/outside"
    os.makedirs(outside + "/kept")
    os.symlink(outside, d.data("b") + "/workspace/link")
    os.symlink("/", d.data("b") + "/root")
    os.makedirs(d.data("b") + "/" + "/".join(["d" * 100] * 30))
    reply = checked("remove", d.clawsup("remove", "b", "--yes", "--purge", "--json", timeout=180).stdout)
    assert reply["purged"] and reply["containers"] == 1 and reply["network"] is True and "file" not in reply
    assert not os.path.exists(d.data("b")) and os.path.isdir(outside + "/kept")
    assert not os.path.exists(d.home + "/tenants.d/b.conf") and not os.path.exists(d.home + "/tenants.d/b.conf.removed")
    assert os.path.isdir(d.data("a"))


def test_deploy_says_why_not(daemon):
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    p = d.clawsup("deploy", "nobody", check=False)
    assert p.returncode == 64 and "there is no tenant" in p.stderr
    # A file that is not valid changes nothing.
    before = open(d.home + "/tenants.d/a.conf").read()
    bad = d.home + "/bad"
    with open(bad, "w") as f:
        f.write(before.replace('image = "%s"' % IMAGE, "image = 7"))
    p = d.clawsup("deploy", "a", bad, check=False)
    assert p.returncode == 1 and "gateway.image" in p.stderr and "nothing was changed" in p.stderr
    assert open(d.home + "/tenants.d/a.conf").read() == before
    # An image that is not there is told at once, not after ten minutes.
    draft = aside(d, "c", gateway_image="nobody/has:this")
    p = d.clawsup("deploy", "c", draft, check=False, timeout=120)
    assert p.returncode == 1 and "the engine does not have its image" in p.stderr and "never pulls" in p.stderr, p.stdout + p.stderr
    # One that never gets healthy.
    d.tenant("u")
    d.flag("u", "unwell")
    p = d.clawsup("deploy", "u", "--timeout", "3s", check=False, timeout=120)
    assert p.returncode in (1, 2) and "clawsup status u" in p.stderr, p.stdout + p.stderr


def test_remove_puts_the_file_back_when_the_configuration_is_refused(daemon):
    d = daemon
    d.tenant("a")
    d.tenant("b")
    d.start().healthy("a", "b")
    with open(d.home + "/tenants.d/z.conf", "w") as f:
        f.write("nonsense")
    p = d.clawsup("remove", "b", "--yes", check=False)
    assert p.returncode == 1 and "in its place again" in p.stderr and os.path.exists(d.home + "/tenants.d/b.conf")
    assert d.tenant_status("b")["state"] == "healthy"
    os.unlink(d.home + "/tenants.d/z.conf")


def test_the_daemon_removes_no_tenant_that_it_has(daemon):
    d = daemon
    d.tenant("a")
    d.start().healthy("a")
    s = socket.socket(socket.AF_UNIX)
    s.connect(d.home + "/run/control.sock")
    with s, s.makefile("rw") as f:
        def ask(**kw):
            f.write(json.dumps(dict({"v": 1, "verb": "remove"}, **kw)) + "\n")
            f.flush()
            return json.loads(f.readline())
        assert ask(tenant="a")["code"] == "refused"
        assert ask(tenant="../a")["code"] == "usage" and ask()["code"] == "usage" and ask(tenant="a", volumes=3)["code"] == "usage"
        # A network with the name but not the label is somebody else's.
        d.engine.docker("network", "create", "clawsup-net-x")
        try:
            reply = ask(tenant="x")
            assert reply["ok"] and reply["containers"] == 0 and reply["network"] is False
            assert "clawsup-net-x" in d.engine.docker("network", "ls")
        finally:
            d.engine.docker("network", "rm", "clawsup-net-x")
    wait_for(lambda: d.tenant_status("a")["state"] == "healthy", 30, "")
