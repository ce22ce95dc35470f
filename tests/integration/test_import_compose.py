"""`clawsup import-compose` on Compose projects of the shapes that people have: what it writes passes check-config and says
the same, what it cannot say it names."""

import json
import os
import pathlib
import tempfile

import pytest

import check_schema
from clawtest import REPO
from test_cli import run

with open(os.path.join(REPO, "contrib/docs/cli-schema.json"), encoding="utf-8") as f:
    SCHEMA = json.load(f)


@pytest.fixture
def project(tmp_path):
    with tempfile.TemporaryDirectory(prefix="imp-") as d:
        yield pathlib.Path(d)


def import_(project, text, *args, env=None, name="docker-compose.yml"):
    (project / name).write_text(text)
    p = run("import-compose", str(project / name), "--json", *args, env=env)
    assert p.returncode == 0, p.stderr
    reply = json.loads(p.stdout)
    assert check_schema.Checker(SCHEMA).check(SCHEMA["$defs"]["import-compose"], reply) == []
    for t in reply["tenants"]:
        assert not [n for n in t["notes"] if n["key"] == "check-config"], t["notes"]
        passes(project, t)
    return reply["tenants"]


def passes(project, t):
    d = project / ("check-" + t["slug"])
    (d / "tenants.d").mkdir(parents=True, exist_ok=True)
    (d / "clawsup.conf").write_text("")
    (d / "tenants.d" / (t["slug"] + ".conf")).write_text(t["config"])
    p = run("check-config", str(d / "clawsup.conf"))
    assert p.returncode == 0, p.stderr


def notes(t, key=""):
    return [n["text"] for n in t["notes"] if n["key"].endswith(key)]


def has(t, *lines):
    flat = " ".join(t["config"].split())
    for line in lines:
        assert line in flat, (line, t["config"])


SWITCHES = """
version: "3.8"
x-logging: &logging
  logging: {driver: json-file, options: {max-size: 10m}}
x-env: &env
  NODE_ENV: production
  TZ: ${TZ_OF_TENANT:-Etc/UTC}
services:
  socket-proxy:
    <<: *logging
    image: tecnativa/docker-socket-proxy:0.1
    environment: [CONTAINERS=1, POST=1, EXEC=0, IMAGES=1, VOLUMES=1]
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
  gateway:
    <<: *logging
    image: openclaw:${VERSION:-2026.1}
    container_name: openclaw-gw-acme
    command: node dist/index.js gateway --bind "lan host" --port 18789
    user: "1000:1000"
    environment:
      <<: *env
      DOCKER_HOST: tcp://socket-proxy:2375
      OPENCLAW_SANDBOX_IMAGE: openclaw-sandbox:bookworm-slim
      API_KEY:
      GATEWAY_TOKEN: abc
      PORT: 18789
    ports:
      - "18801:18789"
      - {target: 9222, published: 18901, host_ip: 127.0.0.1}
      - "127.0.0.1:5353:53/udp"
      - "7000-7010:7000-7010"
    volumes:
      - /data/tenants/acme/workspace:/data/tenants/acme/workspace
      - {type: bind, source: /data/tenants/acme/state, target: /home/node/.openclaw}
      - cache:/home/node/.cache
      - /etc/ssl/certs:/etc/ssl/certs:ro
    depends_on:
      socket-proxy: {condition: service_started}
    healthcheck:
      test: ["CMD", "curl", "-fsS", "http://localhost:18789/healthz"]
      interval: 30s
      timeout: 5s
      retries: 4
      start_period: 3m
    deploy:
      resources:
        limits: {cpus: "0.50", memory: 768M, pids: 200}
        reservations: {memory: 256M}
    stop_grace_period: 1m30s
    cap_add: [NET_ADMIN]
    networks: [inner]
  redis:
    image: redis:7
networks: {inner: {internal: true}}
volumes: {cache: }
secrets: {x: {file: ./x}}
"""


def test_a_proxy_with_switches(project):
    [t] = import_(project, SWITCHES)
    assert t["slug"] == "acme"
    has(t, 'data_root = "/data/tenants/acme";', 'image = "openclaw:2026.1";', "socket_uid = 1000;",
        '"gateway", "--bind", "lan host", "--port"', '"NODE_ENV=production"', '"TZ=Etc/UTC"', '"PORT=18789"',
        'publish = [ "127.0.0.1:18801:18789", "127.0.0.1:18901:9222" ];', 'url = "http://127.0.0.1:18801/healthz";',
        'interval = "30s";', 'start_deadline = "3m";', "fall = 4;", "cpus = 0.5;", 'memory = "768M";', "pids = 200;",
        'stop_timeout = "1m30s";', "internal = true;", "start = true;", "exec = false;",
        'images = [ "openclaw-sandbox:bookworm-slim" ];', 'bind_mount_from = [ "/data/tenants/acme/workspace" ];',
        '{ source = "/etc/ssl/certs"; target = "/etc/ssl/certs"; read_only = true; }')
    assert "DOCKER_HOST" not in t["config"] and "docker.sock" not in t["config"].split("tenant: {")[1]
    assert 'source = "/data/tenants/acme/workspace"' not in t["config"], "data_root holds it"
    for key, text in (("environment", "API_KEY comes from the shell"), ("environment", "GATEWAY_TOKEN looks like a secret"),
                      ("volumes[2]", "the volume cache"), ("volumes", "/data/tenants/acme/state at /home/node/.openclaw: not translated"), ("ports[0]", "all addresses"), ("ports[2]", "UDP"),
                      ("ports[3]", "a range"), ("reservations", "does not reserve"), ("cap_add", "no more rights"),
                      ("environment", "VOLUMES=1"), ("services.redis", "keep this service"), ("secrets", "not translated")):
        assert any(text in n for n in notes(t, key)), (key, text, t["notes"])
    lines = SWITCHES.splitlines()
    for n in t["notes"]:
        if n["key"].endswith("cap_add"):
            assert "cap_add" in lines[n["line"] - 1]


def test_clawsups_own_sidecar(project):
    with open(os.path.join(REPO, "contrib/compose/docker-compose.yml"), encoding="utf-8") as f:
        text = f.read()
    with open(os.path.join(REPO, "contrib/compose/example.env"), encoding="utf-8") as f:
        (project / "acme.env").write_text(f.read().replace("OTHER_TENANTS=", "ALLOW_IMAGES=a:1, b:2\nOTHER_TENANTS="))
    [t] = import_(project, text, "--env-file", str(project / "acme.env"))
    assert t["slug"] == "acme"
    has(t, 'data_root = "/data/tenants/acme";', 'bind_mount_from = [ "/data/tenants/acme/workspace" ];', 'memory = "1G";',
        "max_containers = 8;", 'publish = [ "127.0.0.1:18801:18789" ];', "exec = true;", 'image = "openclaw:latest";')
    assert 'mounts' not in t["config"], "the proxy's volume is clawsup's matter, and data_root holds the workspace"


PATTERNS = """
name: Beta Corp
services:
  dockerproxy:
    image: wollomatic/socket-proxy:1
    command:
      - '-listenip=0.0.0.0'
      - '-allowGET=/v1\\..{1,2}/(version|info|containers/.*|images/.*)'
      - '-allowPOST=/v1\\..{1,2}/containers/(create|openclaw-sbx-beta-corp-[a-z0-9]+/(start|stop)|[a-f0-9]+/(start|stop|exec))'
      - '-allowHEAD=/_ping'
      - '-allowbindmountfrom=/data/tenants/beta-corp/workspace,/etc'
    volumes: [/var/run/docker.sock:/var/run/docker.sock:ro]
    network_mode: none
  openclaw:
    image: registry.example:5000/openclaw@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    entrypoint: ["tini", "--"]
    environment:
      - DOCKER_HOST=tcp://dockerproxy:2375
      - LIST=a b=c
    env_file: [./secrets.env, ./more.env]
    expose: ["18789"]
    mem_limit: 2gb
    cpus: 2
    tmpfs: /tmp
    healthcheck: {disable: true}
    privileged: true
"""


def test_a_proxy_with_patterns(project):
    [t] = import_(project, PATTERNS)
    assert t["slug"] == "beta-corp"
    has(t, "start = true;", "stop = true;", "restart = false;", "exec = true;", 'entrypoint = [ "tini", "--" ];',
        '"LIST=a b=c"', 'memory = "2G";', "cpus = 2.0;", 'env_file = "%s/secrets.env";' % project,
        'bind_mount_from = [ "/data/tenants/beta-corp/workspace" ];', 'type = "docker";', 'data_root = "/data/tenants/beta-corp";')
    for key, text in (("dockerproxy", "could bind /etc"), ("env_file", "one file"), ("tmpfs", "not translated"),
                      ("privileged", "no more rights"), ("volumes", "is a guess"), ("user", "socket_uid")):
        assert any(text in n for n in notes(t, key)), (key, t["notes"])


TWO = """
x-gateway: &gateway
  image: openclaw:1
  user: "1001"
  healthcheck: {test: "wget -qO- http://127.0.0.1:18789/readyz || exit 1", interval: 5s}
services:
  proxy-a: {image: "lscr.io/linuxserver/socket-proxy", environment: {ALLOW_START: 1, CONTAINERS: 1, POST: 0}, volumes: ["/run/docker.sock:/var/run/docker.sock"]}
  proxy-b: {image: "lscr.io/linuxserver/socket-proxy", environment: {CONTAINERS: 1, POST: 1, EXEC: 1}, volumes: ["/run/docker.sock:/var/run/docker.sock"]}
  gw-a: {<<: *gateway, container_name: openclaw-a, depends_on: [proxy-a], ports: ["127.0.0.1:18801:18789"], volumes: ["/srv/a:/srv/a"]}
  gw-b: {<<: *gateway, container_name: openclaw-b, depends_on: [proxy-b], ports: ["[::1]:18802:18789"], volumes: ["/srv/b:/data"]}
"""


def test_two_tenants_in_one_file(project, tmp_path):
    a, b = import_(project, TWO)
    assert (a["slug"], b["slug"]) == ("a", "b")
    has(a, "start = true;", "stop = false;", "exec = false;", 'data_root = "/srv/a";', 'name = "openclaw-a";',
        'url = "http://127.0.0.1:18801/readyz";', 'interval = "5s";')
    has(b, "exec = true;", 'data_target = "/data";', 'publish = [ "[::1]:18802:18789" ];', 'url = "http://[::1]:18802/readyz";')
    out = project / "tenants.d"
    out.mkdir()
    p = run("import-compose", str(project / "docker-compose.yml"), "--output", str(out))
    assert p.returncode == 0 and "a.conf: " in p.stdout, p.stderr
    assert sorted(x.name for x in out.iterdir()) == ["a.conf", "b.conf"]
    assert (out / "a.conf").stat().st_mode & 0o777 == 0o640 and (out / "a.conf").read_text() == a["config"]
    p = run("import-compose", str(project / "docker-compose.yml"), "--output", str(out))
    assert p.returncode == 1 and "is there already" in p.stderr and "--force" in p.stderr
    assert run("import-compose", str(project / "docker-compose.yml"), "--output", str(out), "--force").returncode == 0


def test_a_gateway_with_the_engines_socket(project):
    [t] = import_(project, """
services:
  agent:
    build: .
    volumes: ["/var/run/docker.sock:/var/run/docker.sock", "./data:/data"]
    ports: ["127.0.0.1:8080:8080"]
""", "--tenant", "solo")
    assert t["slug"] == "solo"
    has(t, 'data_root = "%s";' % (str(project) + "/data"), 'tcp = "127.0.0.1:8080";')
    assert any("root on the host" in n for n in notes(t, "volumes[0]"))
    assert any("builds nothing" in n for n in notes(t, "build"))
    assert any("no socket proxy" in n for n in notes(t, "agent"))


def test_variables(project):
    text = """
services:
  gateway:
    image: "openclaw:${TAG:?which one}"
    user: "${UID_OF:-${OTHER:-7}}"
    environment: {A: "$$HOME", B: "${UNSET}", C: "${SET-x}", D: "${EMPTY:-y}", E: "${EMPTY-z}", F: "${SET:+w}", G: "$SET!"}
    ports: ["127.0.0.1:${PORT}:18789"]
"""
    (project / ".env").write_text("# comment\nTAG=9\nexport SET='a b'\nEMPTY=\nPORT=18801 # here\n")
    [t] = import_(project, text, env={"TAG": "10"})
    has(t, 'image = "openclaw:10";', 'user = "7";', '"A=$HOME"', '"B="', '"C=a b"', '"D=y"', '"E="', '"F=w"', '"G=a b!"',
        '"127.0.0.1:18801:18789"')
    assert any("UNSET" in n for n in notes(t))


@pytest.mark.parametrize("text,want", [
    ("a: [", "line "),
    ("a: 1\na: 2\n", "line 2: a key that is there already"),
    ("a: *nobody\n", "an anchor that is not there"),
    ("a: &x [*x]\n", "inside its own anchor"),
    ("", "it is empty"),
    ("a: 1\n---\nb: 2\n", "a second document"),
    ("[1, 2]", "not a Compose file"),
    ("services: {}\n", "no services"),
    ("services: {db: {image: x}, cache: {image: y}}\n", "looks like a gateway"),
    ("services: {gateway: {image: '${A'}}\n", "without its '}'"),
    ("a: " + "[" * 40 + "]" * 40, "nested too deeply"),
    ("a: &a [" + ",".join("1" * 9) + "]\n" + "".join(
        "%s: &%s [%s]\n" % (chr(98 + i), chr(98 + i), ",".join(["*" + chr(97 + i)] * 9)) for i in range(8)), "too much"),
])
def test_what_is_no_compose_file_is_refused_with_its_line(project, text, want):
    (project / "c.yml").write_text(text)
    p = run("import-compose", str(project / "c.yml"))
    assert p.returncode == 1 and want in p.stderr and "c.yml" in p.stderr, p.stderr
    assert p.stdout == ""


def test_terminal_escapes_in_a_file_do_not_reach_the_terminal(project):
    (project / "c.yml").write_text('services: {gateway: {image: "a", "\\e[2Jx": 1, ports: ["1:2"], build: "\\n; evil = 1"}}\n')
    p = run("import-compose", str(project / "c.yml"))
    assert p.returncode == 0 and "\x1b" not in p.stdout + p.stderr
    [t] = import_(project, 'services: {gateway: {image: "a", user: "1", "x\\ny": 1, ports: ["127.0.0.1:1:2"], command: ["a\\nb\\"c\\\\"]}}\n')
    has(t, 'command = [ "a\\x0ab\\"c\\\\" ];')


def test_usage(project):
    (project / "a.yml").write_text("services: {gateway: {image: a}}\n")
    assert run("import-compose").returncode == 64
    assert run("import-compose", str(project / "none")).returncode == 1
    assert run("import-compose", str(project / "a.yml"), "--tenant", "No Slug").returncode == 64
    assert run("import-compose", str(project / "a.yml"), str(project / "a.yml"), "--tenant", "a").returncode == 64
    assert run("import-compose", str(project / "a.yml"), str(project / "a.yml"), "--output", str(project / "x")).returncode == 64
