"""`clawsup denials` and proxy.filter = "report" in a running daemon: what is refused shows with the line that would allow
it, and that line does."""

import json

import pytest

from clawtest import IMAGE, http_request, wait_for
from test_reload import edit, reload, sandbox


def denials(d, slug, *args):
    return json.loads(d.clawsup("denials", slug, "--json", *args).stdout)


def groups(d, slug):
    return {(g["rule"], g["route"]): g for g in denials(d, slug)["denials"]}


def ask(d, slug, method, target, body=None):
    return http_request(d.proxy_sock(slug), method, target, body).status


@pytest.fixture
def acme(daemon):
    daemon.tenant("acme")
    daemon.tenant("beta")
    daemon.start()
    daemon.healthy()
    return daemon


def test_from_a_denial_to_its_remedy(acme):
    d = acme
    assert denials(d, "acme")["denials"] == []
    box = sandbox(d, "acme")
    for _ in range(3):
        assert ask(d, "acme", "POST", "/containers/%s/update" % box, {"Memory": 32 << 20}) == 403
    assert ask(d, "acme", "POST", "/v1.41/networks/create", {"Name": "x"}) == 403
    assert ask(d, "acme", "GET", "/containers/nobody/json") == 404
    assert ask(d, "acme", "POST", "/containers/create?name=openclaw-sbx-acme-2", {"Image": "alpine"}) == 403
    wait_for(lambda: len(groups(d, "acme")) == 4, 10)
    got = groups(d, "acme")
    g = got["allow-update", "container-update"]
    assert (g["denied"], g["reported"], g["status"], g["method"]) == (3, 0, 403, "POST"), g
    assert g["allowed_by"] == "proxy.allow.update = true" and "allow.update is off" in g["reason"]
    g = got["route-never", "networks/*"]
    assert g["path"] == "/v1.41/networks/create" and g["allowed_by"] is None
    assert got["not-own", "container-inspect"]["allowed_by"] is None
    assert got["create.Image", "container-create"]["allowed_by"] == 'proxy.images = [ ..., "IMAGE" ]'
    assert list(got)[0] == ("allow-update", "container-update")
    # the most frequent first, and no more than asked for
    j = denials(d, "acme", "--lines", "1")
    assert [x["rule"] for x in j["denials"]] == ["allow-update"] and j["groups"] == 4 and j["filter"] == "enforce"
    assert denials(d, "beta")["denials"] == []
    text = d.clawsup("denials", "acme").stdout
    assert "proxy.allow.update = true" in text and "cannot be allowed" in text

    # First only told, then allowed: the line that was shown.
    edit(d, "acme", ("proxy = {", 'proxy = { filter = "report";'))
    assert reload(d)["changed"] == ["acme"]
    wait_for(lambda: ask(d, "acme", "POST", "/containers/%s/update" % box, {"Memory": 32 << 20}) == 200, 20)
    assert ask(d, "acme", "POST", "/v1.41/networks/create", {"Name": "x"}) == 403
    wait_for(lambda: groups(d, "acme")["allow-update", "container-update"]["reported"] == 1, 10)
    assert denials(d, "acme")["filter"] == "report" and d.tenant_status("acme")["filter"] == "report"
    assert "reports only" in d.clawsup("status", "acme", check=False).stdout
    wait_for(lambda: d.tenant_status("acme")["proxy_requests"]["reported"] >= 1, 10)
    wait_for(lambda: 'clawsup_proxy_requests_total{tenant="acme",decision="reported"} 1' in d.metrics(), 10)
    edit(d, "acme", ('filter = "report";', ""), ("exec = true;", "exec = true; update = true;"))
    assert reload(d)["changed"] == ["acme"]
    wait_for(lambda: d.tenant_status("acme")["filter"] == "enforce", 10)
    assert ask(d, "acme", "POST", "/containers/%s/update" % box, {"Memory": 48 << 20}) == 200
    assert groups(d, "acme")["allow-update", "container-update"]["reported"] == 1


def test_refused_verbs(acme):
    p = acme.clawsup("denials", "amce", check=False)
    assert p.returncode == 64 and "did you mean 'acme'?" in p.stderr
    assert IMAGE and acme.clawsup("denials", check=False).returncode == 64
