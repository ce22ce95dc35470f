"""What documents the command line says what the program does: man pages, completion, the schema of status --json, the
journal's catalog. The program's own --help is the measure."""

import json
import os
import re
import shutil
import subprocess

import pytest

import check_schema
from clawtest import REPO, program
from test_cli import VERBS, component, run, status, tenant

SCHEMA = json.load(open(os.path.join(REPO, "contrib/docs/status-schema.json"), encoding="utf-8"))
PAGES = ["clawsup.1", "clawsup.conf.5", "clawsupd.8", "clawsup-proxy.8"]
COMPLETIONS = ["clawsup.bash", "_clawsup", "clawsup.fish"]


def read(*path):
    with open(os.path.join(REPO, *path), encoding="utf-8") as f:
        return f.read()


def options(*args):
    """The long options that the help names, without the dashes."""
    return set(re.findall(r"^  --([a-z-]+)", run(*args, "--help").stdout, re.M))



def own_options(verb):
    return options(verb) - options()


def page_text(name):
    p = subprocess.run(["groff", "-ww", "-mandoc", "-Tascii", "-P-c", os.path.join(REPO, "contrib/man", name)],
                       capture_output=True, text=True, check=False, timeout=30)
    assert p.returncode == 0 and p.stderr == "", p.stderr
    return re.sub(r".\x08", "", p.stdout)


needs_groff = pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")


@needs_groff
@pytest.mark.parametrize("name", PAGES)
def test_man_pages_are_well_formed(name):
    text = page_text(name)
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"):
        assert re.search("^%s$" % section, text, re.M), section


@needs_groff
def test_the_man_page_has_every_verb_and_option():
    text = page_text("clawsup.1")
    for verb in VERBS:
        assert re.search(r"^     %s\b" % verb, text, re.M), verb
        for o in own_options(verb):
            assert re.search(r"^ +--%s\b" % o, text, re.M), (verb, o)
    for o in options():
        assert re.search(r"--%s\b" % o, text), o
    for code in (0, 1, 2, 3, 64):
        assert re.search(r"^     %d " % code, text, re.M), code


@needs_groff
@pytest.mark.parametrize("page,name", [("clawsupd.8", "clawsupd"), ("clawsup-proxy.8", "clawsup-proxy")])
def test_man_pages_of_the_daemons_have_every_option_and_variable(page, name):
    p = subprocess.run([program(name), "--help"], capture_output=True, text=True, check=True, timeout=30)
    text = page_text(page)
    for o in re.findall(r"--[a-z][a-z-]+", p.stdout):
        assert o in text, o
    for v in re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)+\b", p.stdout):
        assert v in text, v


@pytest.mark.parametrize("name", COMPLETIONS)
def test_completions_know_every_verb_and_option(name):
    text = read("contrib/completion", name)
    for verb in VERBS:
        assert re.search(r"\b%s\b" % verb, text), verb
        for o in own_options(verb):
            assert re.search(r"(--|-l )%s\b" % o, text), (verb, o)
    for o in options():
        assert re.search(r"(--|-l )%s\b" % o, text), o
    # Nothing that the program does not have.
    known = options().union(*(own_options(v) for v in VERBS))
    for o in re.findall(r"(?:--|complete .*-l )([a-z][a-z-]+)", text):
        assert o in known, o


def complete(tmp_path, *words):
    """What bash offers for the last of `words`."""
    fake = tmp_path / "clawsup"
    fake.write_text("#!/bin/sh\nprintf 'acme\\thealthy\\nbeta\\tdown\\n'\n")
    fake.chmod(0o755)
    script = "source %s/contrib/completion/clawsup.bash; COMP_WORDS=(%s); COMP_CWORD=%d; _clawsup; printf '%%s\\n' \"${COMPREPLY[@]}\"" % (
        REPO, " ".join("'%s'" % w for w in words), len(words) - 1)
    p = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=30,
                       env={**os.environ, "PATH": "%s:%s" % (tmp_path, os.environ["PATH"])})
    assert p.stderr == ""
    return p.stdout.split()


@pytest.mark.parametrize("words,want", [
    (("clawsup", "sta"), ["status"]),
    (("clawsup", "re"), ["remove", "restart", "redeploy", "resume", "release", "reload"]),
    (("clawsup", "status", ""), ["acme", "beta"]),
    (("clawsup", "--socket", "/x", "restart", "a"), ["acme"]),
    (("clawsup", "restart", "acme", ""), ["proxy", "gateway"]),
    (("clawsup", "status", "--wa"), ["--watch"]),
    (("clawsup", "pause", "acme", "--f"), ["--for"]),
    (("clawsup", "pause", "acme", "--for", "3"), ["30m"]),
    (("clawsup", "redeploy", "acme", ""), []),
    (("clawsup", "help", "doc"), ["doctor"]),
])
def test_bash_completion(tmp_path, words, want):
    assert complete(tmp_path, *words) == want


@pytest.mark.parametrize("shell,args", [("zsh", ["-n"]), ("fish", ["--no-execute"])])
def test_completions_parse(shell, args):
    if not shutil.which(shell):
        pytest.skip("%s is not installed" % shell)
    name = "_clawsup" if shell == "zsh" else "clawsup.fish"
    subprocess.run([shell, *args, os.path.join(REPO, "contrib/completion", name)], check=True, timeout=30)


# ---------------------------------------------------------------- the schema
def test_the_canned_answers_of_our_tests_have_the_documented_shape():
    for reply in (status(), status(tenant(), tenant("b", "quarantined", last_event=None)), status(state="engine-down")):
        assert check_schema.check(SCHEMA, reply) == []


@pytest.mark.parametrize("path,value,finding", [
    (("v",), 2, "$.v: 2 is not 1"),
    (("ok",), 1, "is not True"),
    (("now",), "yesterday", "does not match"),
    (("host", "state"), "fine", "is none of"),
    (("host", "actions_in_flight"), -1, "is below 0"),
    (("tenants", 0, "slug"), "A", "does not match"),
    (("tenants", 0, "slug"), "a" * 33, "longer than 32"),
    (("tenants", 0, "level"), None, "is none of"),
    (("tenants", 0, "components", 1, "pid"), 0, "is below 1"),
    (("tenants", 0, "components", 1, "next"), {"action": "restart"}, "is missing"),
    (("tenants", 0, "resources", "memory_bytes"), "1G", "is no integer or null"),
    (("tenants", 0, "resources", "colour"), "red", "is not in the schema"),
])
def test_the_checker_finds(path, value, finding):
    reply = json.loads(json.dumps(status(tenant())))
    at = reply
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    assert any(finding in f for f in check_schema.check(SCHEMA, reply)), check_schema.check(SCHEMA, reply)


def test_the_checker_refuses_a_keyword_that_it_does_not_know():
    with pytest.raises(ValueError):
        check_schema.check({"uniqueItems": True}, [])


def test_a_component_needs_every_field():
    for key in component("proxy"):
        c = component("proxy")
        del c[key]
        findings = check_schema.check(SCHEMA, status(tenant(components=[c])))
        required = key in SCHEMA["$defs"]["component"]["required"]
        assert bool(findings) == required, key


# ---------------------------------------------------------------- the catalog
def test_journalctl_reads_the_catalog(tmp_path):
    if not shutil.which("journalctl"):
        pytest.skip("journalctl is not installed")
    d = tmp_path / "usr/lib/systemd/catalog"
    d.mkdir(parents=True)
    shutil.copy(os.path.join(REPO, "units/clawsup.catalog"), d)
    p = subprocess.run(["journalctl", "--root=%s" % tmp_path, "--update-catalog"], capture_output=True, text=True,
                       check=False, timeout=30)
    assert p.returncode == 0 and p.stderr == "", p.stderr
    p = subprocess.run(["journalctl", "--root=%s" % tmp_path, "--list-catalog"], capture_output=True, text=True,
                       check=True, timeout=30)
    ids = set(re.findall(r'"([0-9a-f]{32})"', read("supervisor/daemon/messages.h")))
    assert set(re.findall(r"^([0-9a-f]{32})", p.stdout, re.M)) == ids
