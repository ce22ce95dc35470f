"""test_filter_docs.py: what the documents say about the filter, held against its tables; every link in a document leads
somewhere."""

import glob
import os
import re

import pytest

from clawtest import REPO


def read(*path):
    with open(os.path.join(REPO, *path), encoding="utf-8") as f:
        return f.read()


DOC = read("contrib/docs/filter.md")
TABLE = read("supervisor/filter/route_table.c")


def documented(path):
    """`/containers/{}/json` stands as such, or as `/json` behind `/containers/{}/...` in the same row."""
    if re.search(r"`/%s`" % re.escape(path), DOC):
        return True
    head, _, tail = path.rpartition("/")
    return any("`/%s/" % head in line and "`/%s`" % tail in line for line in DOC.splitlines())


@pytest.mark.parametrize("pattern", sorted(set(re.findall(r'ALLOW\(\w+, \w+, \w+, "([^"]*)"\)', TABLE))))
def test_allowed_routes(pattern):
    assert documented(pattern)


def test_nothing_but_the_table_is_documented_as_allowed():
    known = set(re.findall(r'"((?:_ping|[a-z]+(?:/[a-z{}/*]+)?))"', TABLE))
    section = DOC.split("## Routes")[1].split("\nNever,")[0]
    for path in re.findall(r"`/([a-z_{}/]+)`", section):
        assert any(k == path or k.endswith("/" + path) for k in known), path


@pytest.mark.parametrize("pattern", sorted(set(re.findall(r'NEVER\("([^"]*)"\)', TABLE))))
def test_routes_that_never_exist(pattern):
    never = DOC.split("\nNever,")[1].split("\nFilters")[0]
    base = re.sub(r"/\*$", "", pattern)
    assert "`/%s`" % base in never or (base == "images" and "deleting images" in never), pattern


def rows(name, table):
    return re.findall(r'\{"(\w+)", FIELD_', read("supervisor/filter", name).split(table)[1].split("};")[0])


@pytest.mark.parametrize("field", rows("create_host.c", "host_rows[] = {"))
def test_fields_of_host_config(field):
    table = DOC.split("| HostConfig | what the engine gets |")[1].split("\n\n")[0]
    assert re.search(r"\b%s\b" % field, table), field


@pytest.mark.parametrize("field", rows("create.c", "config_rows[] = {"))
def test_fields_of_the_body(field):
    create = DOC.split("## Create")[1].split("## Binds")[0]
    assert re.search(r"\b%s\b" % field, create), field


def test_switches():
    keys = read("supervisor/config/config_schema.c").split("allow_keys[] = {")[1].split("};")[0]
    variables = set(re.findall(r'\{"(ALLOW_\w+)", set_allow_', read("supervisor/proxy/settings_value.c")))
    switches = DOC.split("## Switches")[1].split("## Names")[0]
    for key in re.findall(r'^    \{"(\w+)", BOOL', keys, re.M):
        assert re.search(r"^\| `%s` \|" % key, switches, re.M), key
    assert variables <= set(re.findall(r"`(ALLOW_\w+)`", switches))


def rules():
    found = set()
    for path in glob.glob(REPO + "/supervisor/proxy/*.c") + glob.glob(REPO + "/supervisor/filter/route*.c"):
        text = re.sub(r"\s+", " ", read(path))
        found |= set(re.findall(r'(?:exchange_deny|route_refuse)\([^;"]*?\d+, "([a-z-]+)"', text))
        found |= set(re.findall(r'\.rule = "([a-z-]+)"', text))
        found |= set(re.findall(r'set_reason\(x, \w+, "([a-z-]+)"', text))
    return sorted(found - {"internal", "route"})


@pytest.mark.parametrize("rule", rules())
def test_rules(rule):
    table = DOC.split("| `rule` | means |")[1].split("\n\n")[0]
    assert "`%s`" % rule in table or rule.startswith("allow-"), rule


def test_members_of_a_record():
    text = read("supervisor/filter/decision.c")
    section = DOC.split("## Reading a decision record")[1].split("## Threat model")[0]
    for member in set(re.findall(r'\{"(\w+)", d->', text)) | {"type", "time_us", "decision", "latency_us", "status", "argv",
                                                              "argv_cut", "env"}:
        assert "`%s`" % member in section or '"%s"' % member in section, member


# ---------------------------------------------------------------- links
def anchors(text):
    return {re.sub(r"[^a-z0-9 _-]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)}


@pytest.mark.parametrize("path", sorted(os.path.relpath(p, REPO) for p in [REPO + "/README.md"] + glob.glob(
    REPO + "/contrib/**/*.md", recursive=True)))
def test_links(path):
    text = re.sub(r"```.*?```", "", read(path), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = os.path.normpath(os.path.join(REPO, os.path.dirname(path), file)) if file else os.path.join(REPO, path)
        assert os.path.exists(there), target
        if anchor:
            with open(there, encoding="utf-8") as f:
                assert anchor in anchors(f.read()), target
