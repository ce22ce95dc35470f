/* test_config.c: what a wrong configuration is told, word for word, and what a right one becomes. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "config/config.h"
#include "config/config_load.h"
#include "config/config_schema.h"
#include "fixture_dir.h"

static char dir[64], home[PATH_MAX]; /* the test's own directory, and where the runner stood */

static void setup(void)
{
    cr_assert_not_null(getcwd(home, sizeof(home)));
    fixture_new(dir, sizeof(dir));
    cr_assert_eq(chdir(dir), 0);
    cr_assert_eq(mkdir("tenants.d", 0755), 0);
}

static void teardown(void)
{
    fixture_free(dir);
}

TestSuite(config, .init = setup, .fini = teardown);

static void put(const char *name, const char *text)
{
    fixture_write(dir, name, text);
}

/* All findings, one per line; "" for none. */
static char *findings_text(struct config **ret)
{
    struct config_findings f = {};
    struct buf b = {};
    struct config *c = NULL;
    int r = config_load("clawsup.conf", &c, &f);

    cr_assert_eq(r<0, f.n> 0, "%d with %zu findings", r, f.n);
    for (size_t i = 0; i < f.n; i++)
        cr_assert_eq(buf_addf(&b, "%s%s", i ? "\n" : "", f.items[i]), 0);
    config_findings_free(&f);
    if (ret)
        *ret = c;
    else
        (void)config_free(c);
    return buf_take(&b);
}

static struct config *load_ok(void)
{
    struct config *c = NULL;
    _cleanup_free_ char *text = findings_text(&c);

    cr_assert_str_empty(text, "%s", text);
    return c;
}

#define A_HEAD "tenant: { slug = \"a\"; data_root = \"/data/a\";\n"
#define A_WHOLE A_HEAD "gateway = { image = \"x\"; };\n};\n"

/* ---------------------------------------------------------------- wrong ones */

struct bad {
    char where; /* h: clawsup.conf; g: inside gateway, line 3; t: inside tenant, line 5; f: a whole file */
    char in[320];
    char want[400]; /* "@" stands for the place that `where` gives */
};

static struct bad bad_host[] = {
    {'h', "runtime_dirr = \"/x\";", "@:1: unknown key \"runtime_dirr\"; did you mean \"runtime_dir\"?"},
    {'h', "\n\nfoo = 1;",
        "@:3: unknown key \"foo\"; known here: tenants_dir, runtime_dir, state_dir, "
        "disk_images_dir, disk_reserve, disk_trim_interval, engine_socket, "
        "metrics_file, "
        "metrics_interval, proxy_program, proxy_user, docker_gid, allow_root_gid, control_group, log_level, "
        "stop_gateways, relist_interval, overcommit, host_reserve_memory, recovery, defaults"},
    {'h', "state_dir = \"/a\";\nlog_level = \"info\";\nstate_dir = \"/b\";",
        "@:3: duplicate key; a key may be written once in a group"},
    {'h', "state_dir = 5;",
        "@:1: state_dir: a number found, a text in quotes expected; write state_dir = \"/var/lib/clawsup\""},
    {'h', "state_dir = \"var/../lib\";",
        "@:1: state_dir: \"var/../lib\" is not valid; an absolute path without \".\", \"..\", \"//\" and "
        "without a "
        "'/' at the end"},
    {'h', "runtime_dir = \"/run/0123456789012345678901234567890123456789012345678901234567890123456789\";",
        "@:1: runtime_dir: \"/run/01234567890123456789012345678901234567890123456789012345678...\" is not "
        "valid; "
        "a path of 2 to 64 bytes, since socket names are short"},
    {'h', "state_dir = \"/run/clawsup/state\";",
        "@:1: state_dir: lies in runtime_dir or around it; state must survive a reboot, sockets must not"},
    {'h', "metrics_interval = 15;",
        "@:1: metrics_interval: a bare number has no unit, a duration (units us, ms, s, m, h, d) expected; "
        "write "
        "metrics_interval = \"15s\""},
    {'h', "metrics_interval = \"15\";",
        "@:1: metrics_interval: \"15\" is not a duration (units us, ms, s, m, h, d); write metrics_interval "
        "= "
        "\"15s\""},
    {'h', "metrics_interval = \"1ms\";", "@:1: metrics_interval: \"1ms\" is out of range; \"1s\" to \"1h\""},
    {'h', "metrics_file = \"/x/y\";",
        "@:1: metrics_file: \"/x/y\" is not valid; an absolute path that ends in \".prom\" (node_exporter "
        "reads no "
        "other), or \"\" for no metrics"},
    {'h', "host_reserve_memory = \"512\";",
        "@:1: host_reserve_memory: \"512\" is not a size (units B, K, M, G, T); write host_reserve_memory = "
        "\"512M\""},
    {'h', "host_reserve_memory = 512;",
        "@:1: host_reserve_memory: a bare number has no unit, a size (units B, K, M, G, T) expected; write "
        "host_reserve_memory = \"512M\""},
    {'h', "log_level = \"loud\";",
        "@:1: log_level: not a level; write log_level = \"error\", \"warning\", \"notice\", \"info\" or "
        "\"debug\""},
    {'h', "docker_gid = \"docker\";",
        "@:1: docker_gid: not a gid; write docker_gid = 998, as `stat -c %g` says of the engine's socket"},
    {'h', "stop_gateways = \"yes\";",
        "@:1: stop_gateways: a text found, true or false expected; write stop_gateways = true or false"},
    {'h', "recovery = { mass_percent = 30;\n mass_exit_percent = 40; };",
        "@:2: recovery.mass_exit_percent: must not be above recovery.mass_percent, or it never ends"},
    {'h', "recovery = { engine_fall = 0; };", "@:1: recovery.engine_fall: 0 is out of range; 1 to 100"},
    {'h', "recovery = 5;", "@:1: recovery: a number found, a group expected; write recovery = { ... };"},
    {'h', "tenant: { };", "@:1: tenant: belongs into a file of its own, tenants.d/SLUG.conf"},
    {'h', "defaults: { slug = \"x\"; };",
        "@:1: defaults.slug: has a different value for each tenant; write it into the tenant's own file"},
    {'h', "defaults: {\n limits = {\n memory = \"4X\"; };\n gateway = { publsh = [ ]; }; };",
        "@:3: defaults.limits.memory: \"4X\" is not a size (units B, K, M, G, T); write memory = \"2G\"\n"
        "@:4: defaults.gateway: unknown key \"publsh\"; did you mean \"publish\"?"},
    {'h', "tenants_dir = \"/nonexistent/d\";",
        "/nonexistent/d: there is no such directory; tenants_dir must exist"},
    {'h', "state_dir = \"/x\"\n  @include \"/etc/passwd\"",
        "@:2: @include is not supported; shared values go into \"defaults\" of clawsup.conf, each tenant "
        "into its "
        "own file"},
    {'h', "recovery = { restarts_in_flight = 4294967297; };",
        "@:1: 4294967297 is too large for a bare number; at most 2147483647 here (sizes and durations are "
        "written "
        "with a unit, such as \"2G\")"},
    {'h', "state_dir = \"/x;\n",
        "@:2: syntax error, here or just before; write KEY = VALUE; with a ';', texts in \"...\", groups in "
        "{ }, "
        "lists in [ ]"},
};

static struct bad bad_tenant[] = {
    {'f', "", "@:1: no tenant here; write tenant: { slug = \"...\"; ... };"},
    {'f', "tennant: { };",
        "@:1: unknown key \"tennant\"; a tenant's file holds one group: tenant: { ... };\n"
        "@:1: no tenant here; write tenant: { slug = \"...\"; ... };"},
    {'f', "tenant = 1;", "@:1: no tenant here; write tenant: { slug = \"...\"; ... };"},
    {'f', "tenant: {\n};",
        "@:1: slug is missing; write slug = \"acme\";\n"
        "@:1: data_root is missing; write data_root = \"/data/tenants/SLUG\";\n"
        "@:1: gateway.image: missing; write image = \"...\"; or mode = \"external\";"},
    {'f',
        "tenant: {\n slug = \"0123456789012345678901234567890123456789012345678901234567890123456789\";\n"
        "data_root = \"/data/x\"; gateway = { image = \"x\"; }; };",
        "@:2: slug: \"0123456789012345678901234567890123456789012345678901234567890123...\" is 70 characters "
        "long; "
        "at most 32: a-z, 0-9 and single '-' inside"},
    {'f', "tenant: { slug = \"A_b\";\ndata_root = \"/data/x\"; gateway = { image = \"x\"; }; };",
        "@:1: slug: \"A_b\" is not valid; 1 to 32 characters: a-z, 0-9 and single '-' inside"},
    {'f', "tenant: { slug = \"x\";\ndata_root = \"/etc\"; gateway = { image = \"x\"; }; };",
        "@:2: data_root: \"/etc\" is not valid; a directory of its own, not one of the system's, such as "
        "\"/data/tenants/SLUG\""},
    {'f', "tenant: { slug = \"x\";\ndata_root = \"/var\"; gateway = { image = \"x\"; }; };",
        "@:2: data_root: \"/var\" is not valid; a directory of its own, not one of the system's, such as "
        "\"/data/tenants/SLUG\""},
    {'f', "tenant: { slug = \"x\";\ndata_root = \"/var/lib/clawsup/x\"; gateway = { image = \"x\"; }; };",
        "@:2: data_root: overlaps runtime_dir or state_dir of clawsup; choose a directory of its own"},
    {'t', "components = ( { name = \"memory\";\nimage = \"x\";\nafter = [ \"proxy\", \"cache\" ]; } );",
        "@:7: components[0].after[1]: \"cache\" is no component of this tenant; known here: \"proxy\", "
        "\"gateway\""},
    {'t',
        "components = ( { name = \"a\"; image = \"x\"; after = [ \"c\" ]; },\n{ name = \"b\"; image = \"x\"; "
        "after "
        "= [ \"a\" ]; },\n{ name = \"c\"; image = \"x\"; after = [ \"gateway\", \"b\" ]; } );",
        "@:6: components[1].after: goes round in a circle: a -> c -> b -> a; take one of them out"},
    {'t', "components = ( { name = \"a\"; image = \"x\";\nafter = [ \"a\" ]; } );",
        "@:6: components[0].after[0]: waits for itself; take it out"},
    {'t', "components = ( { name = \"gateway\"; image = \"x\"; },\n{ image = \"x\"; } );",
        "@:6: components[1]: has no name; { name = \"memory\"; image = \"redis:7\"; }\n"
        "@:5: components[0].name: \"gateway\" has a meaning of its own; choose another name"},
    {'t', "components = ( { name = \"a\"; image = \"x\"; },\n{ name = \"a\"; mode = \"external\"; } );",
        "@:6: components[1].name: \"a\" is already the name of components[0]; choose another name\n"
        "@:6: components[1]: \"external\" needs either container or match_label; write one of the two"},
    {'t',
        "components = ( { name = \"a\"; },\n{ name = \"b\"; image = \"x\"; container = \"openclaw-gw-a\"; } "
        ");",
        "@:5: components[0].image: missing; write image = \"...\"; or mode = \"external\";\n"
        "@:6: components[1].container: this container is already used at tenants.d/a.conf:2; each component "
        "needs one of its own"},
    {'t',
        "components = ( { name = \"a\"; image = \"x\"; publish = [ \"127.0.0.1:80:1\" ]; },\n{ name = \"b\"; "
        "image "
        "= \"x\"; publish = [ \"127.0.0.1:80:2\" ]; } );",
        "@:6: components[1].publish[0]: host port 80 is already published at tenants.d/a.conf:5; choose "
        "another host port"},
    {'t',
        "components = ( { name = \"a\"; image = \"x\";\nmounts = ( { source = \"/run\"; target = \"/r\"; } "
        "); } );",
        "@:6: components[0].mounts[0]: would give the container the engine's socket, and with it the host; "
        "mount something narrower"},
    {'t', "limits = { memory = 4; };",
        "@:5: limits.memory: a bare number has no unit, a size (units B, K, M, G, T) expected; write memory "
        "= "
        "\"2G\""},
    {'t', "limits = { cpus = 0.0; };",
        "@:5: limits.cpus: a number found, a number of CPUs with at most three decimals expected; write cpus "
        "= 1.5"},
    {'t', "limits = { cpus = 0.0005; };",
        "@:5: limits.cpus: a number found, a number of CPUs with at most three decimals expected; write cpus "
        "= 1.5"},
    {'t', "limits = { cpus = \"4 cores\"; };",
        "@:5: limits.cpus: \"4 cores\" is not a number of CPUs with at most three decimals; write cpus = "
        "1.5"},
    {'t', "limits = { pids = -1; };", "@:5: limits.pids: -1 is out of range; 1 to 4194304"},
    {'t', "limits = { enforce = \"soft\"; };",
        "@:5: limits.enforce: \"soft\" is not valid; write enforce = \"strict\" or \"best-effort\""},
    {'t', "limits = { memory = \"512M\"; };",
        "@:5: limits.sandbox.memory: one sandbox may use more than the whole tenant; at most limits.memory"},
    {'t', "limits = { cpus = 2; sandbox = { memory = \"4M\"; }; };",
        "@:5: limits.sandbox.memory: \"4M\" is out of range; \"6M\" to \"64T\""},
    {'t', "recovery = { l1 = {\n delays = [ \"5s\", \"1s\" ]; }; };",
        "@:6: recovery.l1.delays: must not decrease"},
    {'t', "recovery = { l1 = { delays = [ 5 ]; }; };",
        "@:5: recovery.l1.delays: entry 1 is not a duration of at most one day; write delays = [ \"0s\", "
        "\"5s\", "
        "\"20s\" ]"},
    {'t', "recovery = { l2 = { delays = [ ]; }; };",
        "@:5: recovery.l2.delays: empty; write delays = [ \"0s\", \"5s\", \"20s\" ]"},
    {'t', "recovery = { backoff = { base = \"10m\";\n cap = \"5m\"; }; };",
        "@:6: recovery.backoff.cap: must not be below recovery.backoff.base"},
    {'t', "recovery = { fall = 3; fal = 2; };", "@:5: recovery: unknown key \"fal\"; did you mean \"fall\"?"},
    {'t', "proxy = { listen = \"unix:/x\"; };",
        "@:5: proxy.listen: a text found, another form expected; write listen = [ "
        "\"unix:/run/clawsup/SLUG/docker.sock\" ]"},
    {'t', "proxy = { listen = [ \"unix:x\",\n \"tcp://localhost:2375\", \"tcp://0.0.0.0:2375\" ]; };",
        "@:5: proxy.listen[0]: \"unix:x\" is not valid; \"unix:\" and an absolute path without \".\", "
        "\"..\", \"//\" "
        "and without a '/' at the end\n"
        "@:6: proxy.listen[1]: \"tcp://localhost:2375\" is not valid; \"unix:/PATH\" or "
        "\"tcp://ADDRESS:PORT\" with "
        "a literal address\n"
        "@:6: proxy.listen[2]: \"tcp://0.0.0.0:2375\" would offer the Docker API on every network; name one "
        "address, such as that of the tenant's bridge"},
    {'t', "proxy = { listen = [ \"unix:/run/clawsup/b/docker.sock\" ]; };",
        "@:5: proxy.listen[0]: lies in runtime_dir but not in the tenant's own directory; "
        "RUNTIME_DIR/SLUG/NAME.sock"},
    {'t', "proxy = { listen = [ \"unix:/data/a/docker.sock\" ]; };",
        "@:5: proxy.listen[0]: lies in data_root, where the tenant could replace it; "
        "RUNTIME_DIR/SLUG/NAME.sock"},
    {'t', "proxy = { listen = [ \"unix:/run/docker.sock\" ]; };",
        "@:5: proxy.listen[0]: is the engine's own socket; RUNTIME_DIR/SLUG/NAME.sock"},
    {'t', "proxy = { listen = [ \"unix:/s/x\",\n\"unix:/s/x\" ]; };",
        "@:6: proxy.listen[1]: this socket is already used at tenants.d/a.conf:5; each socket needs its own "
        "path or "
        "port"},
    {'t', "proxy = { names = \"any\"; };",
        "@:5: proxy.names: \"any\" is not valid; write names = \"scoped\" or \"namespaced\""},
    {'t', "proxy = { match_container_name = \"*\"; };",
        "@:5: proxy.match_container_name matches \"a\": it would take other containers' names; begin it with "
        "\"openclaw-sbx-a-\""},
    {'t', "proxy = { bind_mount_from = [ \"/\", \"/data/a/../b\" ]; };",
        "@:5: proxy.bind_mount_from[0]: \"/\" is not valid; a directory below the tenant's data_root, or "
        "another one "
        "that is not the system's\n"
        "@:5: proxy.bind_mount_from[1]: \"/data/a/../b\" is not valid; an absolute path without \".\", "
        "\"..\", "
        "\"//\" and without a '/' at the end"},
    {'t', "proxy = { bind_mount_from = [ \"/var/lib\" ]; };",
        "@:5: proxy.bind_mount_from[0]: \"/var/lib\" is not valid; a directory below the tenant's data_root, "
        "or "
        "another one that is not the system's"},
    {'t', "proxy = { images = [ \"ok:1\", \"bad image\" ]; };",
        "@:5: proxy.images[1]: \"bad image\" is not valid; an image reference such as "
        "\"openclaw-sandbox:bookworm-slim\""},
    {'t', "proxy = { allow = { privileged = true; }; };",
        "@:5: proxy.allow: unknown key \"privileged\"; known here: start, stop, restart, exec, update, "
        "rename, "
        "archive_put, export, image_pull, network_read, gateway_exec"},
    {'t', "proxy = { sandbox_network = \"host\"; };",
        "@:5: proxy.sandbox_network: not valid; write sandbox_network = \"none\" or \"tenant\""},
    {'t', "proxy = { mode = \"external\"; };",
        "@:5: proxy.mode: \"external\" needs either name or match_label; write one of the two"},
    {'t', "proxy = { name = \"sidecar\"; };",
        "@:5: proxy.name: finds an external proxy; write mode = \"external\"; with it"},
    {'t', "proxy = { cap_keep = [ \"SYS_ADMIN\" ]; };",
        "@:5: proxy.cap_keep: SYS_ADMIN is not in the engine's default set (such as CHOWN)"},
    {'t', "gatewy = { };", "@:5: unknown key \"gatewy\"; did you mean \"gateway\"?"},
    {'g', "image = \"y\";", "@:3: duplicate key; a key may be written once in a group"},
    {'g', "command = \"sh\";",
        "@:3: gateway.command: a text found, a list of texts expected; write command = [ \"...\", \"...\" ]"},
    {'g', "command = [ \"sh\", 5 ];",
        "@:3: a list in [ ] has entries of one kind only; quote the texts, or write ( ) around a list of "
        "groups"},
    {'g', "env = [ \"A=1\", \"1A=1\",\n\"NOVALUE\", \"DOCKER_HOST=x\" ];",
        "@:3: gateway.env[1]: \"1A=1\" is not valid; \"KEY=VALUE\" with a key of letters, digits and '_'\n"
        "@:4: gateway.env[2]: \"NOVALUE\" is not valid; \"KEY=VALUE\" with a key of letters, digits and '_'\n"
        "@:4: gateway.env[3]: \"DOCKER_HOST=x\" is not valid; any other variable: clawsup itself sets "
        "DOCKER_HOST to "
        "the tenant's proxy"},
    {'g', "env_file = \"/data/a/env\";",
        "@:3: gateway.env_file: lies in data_root, where the tenant could make it a link to any file; such "
        "as "
        "\"/etc/clawsup/env/SLUG\""},
    {'g', "publish = [ \"0.0.0.0:80:80\", \"80:80\", \"127.0.0.1:0:80\", \"127.0.0.1:80:70000\" ];",
        "@:3: gateway.publish[0]: \"0.0.0.0:80:80\" is not on loopback; publish on 127.0.0.0/8 or [::1] and "
        "put a "
        "reverse proxy in front of it\n"
        "@:3: gateway.publish[1]: \"80:80\" is not valid; \"127.0.0.1:HOSTPORT:CONTAINERPORT\"\n"
        "@:3: gateway.publish[2]: \"127.0.0.1:0:80\" is not valid; \"127.0.0.1:HOSTPORT:CONTAINERPORT\"\n"
        "@:3: gateway.publish[3]: \"127.0.0.1:80:70000\" is not valid; \"127.0.0.1:HOSTPORT:CONTAINERPORT\""},
    {'g', "mounts = ( { source = \"/run\"; target = \"/x\"; } );",
        "@:3: gateway.mounts[0]: would give the container the engine's socket, and with it the host; mount "
        "something "
        "narrower"},
    {'g', "mounts = ( { source = \"/data/a/x\"; target = \"/x\"; } );",
        "@:3: gateway.mounts[0]: lies where the tenant writes, and could be made a link to any file of the "
        "host, which "
        "the engine follows at each start; name a directory outside of data_root and bind_mount_from"},
    {'g', "mounts = ( { source = \"/data/a\"; target = \"/x\"; read_only = true; } );", ""},
    {'g', "mounts = ( { source = \"/opt/x\"; } );",
        "@:3: gateway.mounts[0]: incomplete; { source = \"/HOST/PATH\"; target = \"/PATH\"; }"},
    {'g', "health = { url = \"127.0.0.1:80\"; };",
        "@:3: gateway.health.url: \"127.0.0.1:80\" is not valid; a URL such as "
        "\"http://127.0.0.1:18801/healthz\", "
        "without user and password"},
    {'g', "health = { type = \"http\"; };",
        "@:3: gateway.health: has type \"http\" but no url; write url = \"http://127.0.0.1:PORT/healthz\""},
    {'g', "health = { tcp = \"localhost:80\"; };",
        "@:3: gateway.health.tcp: \"localhost:80\" is not valid; \"127.0.0.1:PORT\" with a literal address"},
    {'g', "health = { url = \"http://h/\"; expect_json = { ok = 1.5; }; };",
        "@:3: gateway.health.expect_json: not one field with a text, whole number or truth value; write { ok "
        "= "
        "true; }"},
    {'g', "health = { interval = 2; };",
        "@:3: gateway.health.interval: a bare number has no unit, a duration (units us, ms, s, m, h, d) "
        "expected; "
        "write interval = \"2s\""},
    {'g', "mode = \"external\";",
        "@:2: gateway.image: has no effect on an external container; whoever makes it decides; remove the "
        "key"},
    {'g', "match_label = \"a=b\";",
        "@:3: gateway.match_label: finds an external container; write mode = \"external\"; with it"},
    {'g', "docker_host_tcp = true;",
        "@:3: gateway.docker_host_tcp: needs a tcp socket of the proxy; add \"tcp://BRIDGE_ADDRESS:2375\" to "
        "proxy.listen"},
};

/* A second tenant beside A_WHOLE with a port and a tcp socket. */
static struct bad bad_pair[] = {
    {'p', "tenant: { slug = \"a\";\n data_root = \"/data/b\"; gateway = { image = \"x\"; }; };",
        "@:1: slug: \"a\" is already used at tenants.d/a.conf:1; each tenant needs its own"},
    {'p', "tenant: { slug = \"b\";\n data_root = \"/data/a/b\"; gateway = { image = \"x\"; }; };",
        "@:2: data_root: overlaps the data_root at tenants.d/a.conf:1; tenants need directories apart"},
    {'p', "tenant: { slug = \"b\";\n data_root = \"/data\"; gateway = { image = \"x\"; }; };",
        "@:2: data_root: overlaps the data_root at tenants.d/a.conf:1; tenants need directories apart"},
    {'p',
        "tenant: { slug = \"b\"; data_root = \"/data/ab\"; gateway = { image = \"x\";\n publish = [\n"
        "\"127.0.0.1:18801:1\" ]; }; };",
        "@:3: gateway.publish[0]: host port 18801 is already published at tenants.d/a.conf:2; choose another "
        "host "
        "port"},
    {'p',
        "tenant: { slug = \"b\"; data_root = \"/data/ab\"; gateway = { image = \"x\";\n publish = [\n"
        "\"127.0.0.1:2375:1\" ]; }; };",
        "@:3: gateway.publish[0]: this address and port are already used at tenants.d/a.conf:3; choose "
        "another port"},
    {'p',
        "tenant: { slug = \"b\"; data_root = \"/data/ab\"; gateway = { image = \"x\"; };\n proxy = { listen "
        "= [ "
        "\"tcp://127.0.0.1:2375\" ]; }; };",
        "@:2: proxy.listen[0]: this socket is already used at tenants.d/a.conf:3; each socket needs its own "
        "path or "
        "port"},
    {'p',
        "tenant: { slug = \"b\"; data_root = \"/data/ab\"; gateway = { image = \"x\";\n name = "
        "\"openclaw-gw-a\"; }; };",
        "@:2: gateway.name: this container is already used at tenants.d/a.conf:2; each tenant needs "
        "containers of "
        "its own"},
    {'p',
        "tenant: { slug = \"b\"; data_root = \"/data/ab\"; gateway = { image = \"x\";\n mounts = ( { source "
        "= "
        "\"/data/a/x\"; target = \"/x\"; } ); }; };",
        "@:2: gateway.mounts[0]: lies in another tenant's data_root at tenants.d/a.conf:1; name a directory "
        "outside of it"},
    {'p',
        "tenant: { slug = \"b\"; data_root = \"/data/ab\"; gateway = { image = \"x\"; };\n proxy = { "
        "bind_mount_from = [ \"/data/a/workspace\" ]; }; };",
        "@:2: proxy.bind_mount_from[0]: overlaps another tenant's data_root at tenants.d/a.conf:1; a "
        "directory "
        "below this tenant's data_root"},
    {'p',
        "tenant: { slug = \"b\"; data_root = \"/data/ab\"; gateway = { image = \"x\"; };\n proxy = { "
        "match_container_name = \"openclaw-sbx-*\"; }; };",
        "@:2: proxy.match_container_name: takes container names of another tenant at tenants.d/a.conf:3; a "
        "pattern "
        "that begins with \"openclaw-sbx-SLUG-\""},
    {'p',
        "tenant: { slug = \"b\"; data_root = \"/data/ab\"; gateway = { image = \"x\"; };\n proxy = { names = "
        "\"namespaced\"; name_prefix = \"openclaw-sbx-a-\"; }; };",
        "@:2: proxy.name_prefix: takes container names of another tenant at tenants.d/a.conf:3; a pattern "
        "that "
        "begins with \"openclaw-sbx-SLUG-\""},
};

/* `want` with every "@:" replaced by "FILE:". */
static char *expand(const char *want, const char *file)
{
    struct buf b = {};

    for (; *want; want++)
        if (want[0] == '@' && want[1] == ':')
            cr_assert_eq(buf_adds(&b, file), 0);
        else
            cr_assert_eq(buf_add(&b, want, 1), 0);
    return buf_take(&b);
}

static void check_bad(const struct bad *row)
{
    const char *file = row->where == 'h'   ? "clawsup.conf"
                       : row->where == 'p' ? "tenants.d/b.conf"
                                           : "tenants.d/a.conf";
    _cleanup_free_ char *want = expand(row->want, file), *got = NULL;
    char text[1024];

    put("/clawsup.conf", row->where == 'h' ? row->in : "");
    if (row->where == 'g' || row->where == 't')
        (void)snprintf(text, sizeof(text), A_HEAD "gateway = { image = \"x\";\n%s\n};\n%s\n};\n",
            row->where == 'g' ? row->in : "", row->where == 't' ? row->in : "");
    else
        (void)snprintf(text, sizeof(text), "%s", row->in);
    if (row->where == 'p')
        put("/tenants.d/a.conf",
            A_HEAD "gateway = { image = \"x\"; publish = [ \"127.0.0.1:18801:18789\" ]; };\n"
                   "proxy = { listen = [ \"unix:/run/clawsup/a/docker.sock\", "
                   "\"tcp://127.0.0.1:2375\" ]; };\n};\n");
    if (row->where != 'h')
        put(row->where == 'p' ? "/tenants.d/b.conf" : "/tenants.d/a.conf", text);
    got = findings_text(NULL);
    cr_expect_str_eq(got, want, "for: %s\ngot:  %s\nwant: %s", row->in, got, want);
}

ParameterizedTestParameters(config, wrong_host)
{
    return cr_make_param_array(struct bad, bad_host, ARRAY_SIZE(bad_host));
}

ParameterizedTest(struct bad *row, config, wrong_host)
{
    check_bad(row);
}

ParameterizedTestParameters(config, wrong_tenant)
{
    return cr_make_param_array(struct bad, bad_tenant, ARRAY_SIZE(bad_tenant));
}

ParameterizedTest(struct bad *row, config, wrong_tenant)
{
    check_bad(row);
}

ParameterizedTestParameters(config, wrong_pair)
{
    return cr_make_param_array(struct bad, bad_pair, ARRAY_SIZE(bad_pair));
}

ParameterizedTest(struct bad *row, config, wrong_pair)
{
    check_bad(row);
}

/* ---------------------------------------------------------------- files */

Test(config, missing_file)
{
    struct config_findings f = {};
    struct config *c = NULL;

    cr_assert_eq(config_load("nosuch.conf", &c, &f), -ENOENT);
    cr_assert_eq(f.n, 1U);
    cr_expect_str_eq(
        f.items[0], "nosuch.conf: there is no such file; write one, or name another with --config");
    config_findings_free(&f);
}

Test(config, not_a_file)
{
    struct config_findings f = {};
    struct config *c = NULL;

    cr_assert_eq(config_load("tenants.d", &c, &f), -EINVAL);
    cr_expect_str_eq(f.items[0], "tenants.d: a directory; a file is expected");
    config_findings_free(&f);
    cr_assert_eq(mkfifo("fifo", 0600), 0);
    cr_assert_eq(config_load("fifo", &c, &f), -EINVAL, "a fifo must not hang the load");
    cr_expect_str_eq(f.items[0], "fifo: not a regular file; a file is expected");
    config_findings_free(&f);
}

Test(config, unreadable)
{
    struct config_findings f = {};
    struct config *c = NULL;

    put("/clawsup.conf", "");
    cr_assert_eq(chmod(dir, 0755), 0);
    cr_assert_eq(chmod("clawsup.conf", 0), 0);
    if (geteuid() == 0)
        cr_assert_eq(setresuid(65534, 65534, 0), 0);
    cr_expect_eq(config_load("clawsup.conf", &c, &f), -EACCES);
    if (getuid() == 65534)
        cr_assert_eq(setresuid(0, 0, 0), 0);
    cr_assert_eq(f.n, 1U);
    cr_expect_str_eq(f.items[0], "clawsup.conf: not readable for this user");
    config_findings_free(&f);
}

Test(config, nul_byte)
{
    int fd = open("clawsup.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    _cleanup_free_ char *got = NULL;

    cr_assert_eq(fd_write_all(fd, "#\n\0evil = 1;", 12), 0);
    (void)fd_close(fd);
    got = findings_text(NULL);
    cr_expect_str_eq(got, "clawsup.conf:2: a NUL byte; the file must be plain text");
}

/* Everything wrong is said at once, across files. */
Test(config, all_findings)
{
    _cleanup_free_ char *got = NULL;

    put("/clawsup.conf", "x1 = 1;\nlog_level = 5;\n");
    put("/tenants.d/a.conf", "tenant: { slug = \"a\"; data_root = 5; gateway = { image = 6; }; };\n");
    put("/tenants.d/b.conf", "tenant: {\n");
    put("/tenants.d/.hidden.conf", "nonsense");
    put("/tenants.d/c.conf~", "nonsense");
    got = findings_text(NULL);
    cr_expect(strstr(got, "clawsup.conf:1: unknown key \"x1\""), "%s", got);
    cr_expect(strstr(got, "\nclawsup.conf:2: log_level:"), "%s", got);
    cr_expect(strstr(got, "\ntenants.d/a.conf:1: data_root:"), "%s", got);
    cr_expect(strstr(got, "\ntenants.d/a.conf:1: gateway.image:"), "%s", got);
    cr_expect(strstr(got, "\ntenants.d/b.conf:2: syntax error"), "%s", got);
    cr_expect_null(strstr(got, "hidden"));
    cr_expect_null(strstr(got, "c.conf"));
}

/* A mistake in `defaults` is one mistake, however many tenants there are. */
Test(config, defaults_are_reported_once)
{
    _cleanup_free_ char *got = NULL;

    put("/clawsup.conf", "defaults: { limits = { pids = 0; }; };");
    put("/tenants.d/a.conf", A_WHOLE);
    put("/tenants.d/b.conf",
        "tenant: { slug = \"b\"; data_root = \"/data/b\"; gateway = { image = \"x\"; }; };");
    got = findings_text(NULL);
    cr_expect_str_eq(got, "clawsup.conf:1: defaults.limits.pids: 0 is out of range; 1 to 4194304");
}

/* ---------------------------------------------------------------- right ones */

Test(config, empty_has_defaults)
{
    _cleanup_(config_freep) struct config *c = NULL;

    put("/clawsup.conf", "# nothing\n");
    c = load_ok();
    cr_expect_str_eq(c->runtime_dir, "/run/clawsup");
    cr_expect_str_eq(c->state_dir, "/var/lib/clawsup");
    cr_expect_str_eq(c->engine_socket, "/run/docker.sock");
    cr_expect_str_eq(c->tenants_dir, "tenants.d");
    cr_expect_str_eq(c->proxy_user, "clawsup-proxy");
    cr_expect_null(c->docker_gid);
    cr_expect_eq(c->metrics_interval_us, 15 * USEC_PER_SEC);
    cr_expect_eq(c->relist_interval_us, 30 * USEC_PER_SEC);
    cr_expect_eq(c->log_level, LOG_INFO);
    cr_expect_eq(c->host_reserve_memory_bytes, UINT64_C(512) << 20);
    cr_expect_eq(c->n_tenants, 0U);
}

Test(config, smallest_tenant_has_defaults)
{
    _cleanup_(config_freep) struct config *c = NULL;
    const struct config_tenant *t;

    put("/clawsup.conf", "");
    put("/tenants.d/a.conf", A_WHOLE);
    c = load_ok();
    t = config_find(c, "a");
    cr_assert_not_null(t);
    cr_expect_null(config_find(c, "b"));
    cr_expect_str_eq(t->file, "tenants.d/a.conf");
    cr_expect_eq(t->line, 1U);
    cr_expect_str_eq(t->gateway.name, "openclaw-gw-a");
    cr_expect_str_eq(t->gateway.data_target, "/data/a");
    cr_expect_eq(t->gateway.health.type, CONFIG_CHECK_DOCKER);
    cr_expect_eq(t->gateway.health.timeout_us, 3 * USEC_PER_SEC);
    cr_expect_eq(t->gateway.health.start_deadline_us, 300 * USEC_PER_SEC);
    cr_expect_eq(t->gateway.health.fall, 3U);
    cr_expect_eq(t->gateway.health.rise, 2U);
    cr_assert_eq(t->proxy.n_listen, 1U);
    cr_expect_str_eq(t->proxy.listen[0].path, "/run/clawsup/a/docker.sock");
    cr_expect_str_eq(t->proxy.listen[0].text, "unix:/run/clawsup/a/docker.sock");
    cr_expect_str_eq(t->proxy.health.unix_socket, "/run/clawsup/a/docker.sock");
    cr_expect_str_eq(t->proxy.health.url, "http://localhost/_ping");
    cr_expect_eq(t->proxy.health.timeout_us, USEC_PER_SEC);
    cr_expect_eq(t->proxy.health.start_deadline_us, 10 * USEC_PER_SEC);
    cr_expect_eq(t->limits.memory_bytes, 0U);
    cr_expect_eq(t->limits.cpu_weight, 100U);
    cr_expect_str_eq(t->policy->match_container_name, "openclaw-sbx-a-*");
    cr_expect_str_eq(t->policy->gateway_name, "openclaw-gw-a");
    cr_expect_null(t->policy->network_name);
    cr_expect_eq(t->policy->images.n, 0U);
}

Test(config, whole_tenant)
{
    _cleanup_(config_freep) struct config *c = NULL;
    const struct config_tenant *t;

    put("/clawsup.conf",
        "engine_socket = \"/run/d.sock\"; docker_gid = 998; log_level = \"debug\"; metrics_file = "
        "\"\"; recovery = { observe = \"0s\"; };");
    put("/tenants.d/acme.conf",
        "tenant = {\n  slug = \"acme\";\n  data_root = \"/data/tenants/acme\";\n"
        "  proxy = { listen = [ \"unix:/run/clawsup/acme/docker.sock\", \"tcp://172.30.0.1:2375\", "
        "\"tcp://[fd00::1]:2375\" ]; socket_uid = 1000; allow = { exec = false; gateway_exec = true; };\n"
        "    names = \"namespaced\"; bind_mount_from = ( \"/data/tenants/acme/workspace\" );\n"
        "    images = [ \"openclaw-sandbox:bookworm-slim\" ]; sandbox_network = \"tenant\"; readonly_rootfs "
        "= true;\n"
        "    api_version = \"1.41\"; };\n"
        "  gateway = { image = \"openclaw:1\"; command = [ \"a\", \"b\" ]; env = [ \"A=1=2\" ]; env_file = "
        "\"/etc/clawsup/env\"; publish = [ \"127.0.0.1:18801:18789\", \"[::1]:18801:18789\" ]; internal = "
        "true;\n"
        "    docker_host_tcp = true; stop_timeout = \"1m30s\"; mounts = ( { source = \"/opt/x\"; target = "
        "\"/x\"; "
        "read_only = true; } );\n"
        "    health = { url = \"http://127.0.0.1:18801/healthz\"; expect_json = { status = \"live\"; }; fall "
        "= 5; }; };\n"
        "  limits = { cpus = 1.1; memory = \"2G\"; pids = 512; disk = \"20G\"; disk_inodes = 5000; "
        "disk_mode = \"image\"; enforce = \"best-effort\";\n"
        "    sandbox = { cpus = \"0.5\"; memory = \"1.5G\"; pids = 256; max_containers = 3; }; };\n"
        "  recovery = { fall = 4; l1 = { attempts = 1; delays = [ \"1s\" ]; }; };\n};\n");
    c = load_ok();
    cr_expect_str_eq(c->docker_gid, "998");
    cr_expect_eq(c->log_level, LOG_DEBUG);
    cr_expect_str_empty(c->metrics_file);
    cr_expect_eq(c->recovery.observe_us, 0U);
    t = config_find(c, "acme");
    cr_assert_not_null(t);
    cr_assert_eq(t->proxy.n_listen, 3U);
    cr_expect_str_eq(t->proxy.listen[1].address, "172.30.0.1");
    cr_expect_eq(t->proxy.listen[1].port, 2375);
    cr_expect_str_eq(t->proxy.listen[2].address, "fd00::1");
    cr_expect_eq(t->proxy.socket_uid, 1000U);
    cr_expect(!t->policy->allow_exec && t->policy->allow_gateway_exec && t->policy->allow_start);
    cr_expect_eq(t->policy->names, POLICY_NAMES_NAMESPACED);
    cr_expect_str_eq(t->policy->bind_mount_from.items[0], "/data/tenants/acme/workspace");
    cr_expect(t->sandbox_network && t->policy->readonly_rootfs);
    cr_expect_str_eq(t->policy->network_name, "clawsup-net-acme");
    cr_expect_str_eq(t->policy->api_version, "1.41");
    cr_expect_str_eq(t->gateway.command.items[1], "b");
    cr_expect_str_eq(t->gateway.env.items[0], "A=1=2");
    cr_assert_eq(t->gateway.n_ports, 2U);
    cr_expect_str_eq(t->gateway.ports[1].host_address, "::1");
    cr_expect_eq(t->gateway.ports[1].host_port, 18801);
    cr_expect_eq(t->gateway.ports[1].container_port, 18789);
    cr_expect_eq(t->gateway.stop_timeout_us, 90 * USEC_PER_SEC);
    cr_assert_eq(t->gateway.n_mounts, 1U);
    cr_expect(str_eq(t->gateway.mounts[0].source, "/opt/x") && t->gateway.mounts[0].read_only);
    cr_expect_eq(t->gateway.health.type, CONFIG_CHECK_HTTP);
    cr_expect_str_eq(t->gateway.health.json_field, "status");
    cr_expect_str_eq(t->gateway.health.json_value, "\"live\"");
    cr_expect_eq(t->gateway.health.fall, 5U);
    cr_expect_eq(t->proxy.health.fall, 4U, "from recovery.fall");
    cr_expect_eq(t->limits.nano_cpus, 1100000000U);
    cr_expect_eq(t->limits.disk_bytes, UINT64_C(20) << 30);
    cr_expect_eq(t->limits.disk_inodes, 5000);
    cr_expect_eq(t->limits.disk_mode, CONFIG_DISK_IMAGE);
    cr_expect_eq(t->limits.enforce, CONFIG_ENFORCE_BEST_EFFORT);
    cr_expect_eq(t->policy->nano_cpus, 500000000U);
    cr_expect_eq(t->policy->memory_bytes, UINT64_C(1536) << 20);
    cr_expect_eq(t->policy->max_containers, 3U);
    cr_expect_eq(t->recovery.l1.n_delays, 1U);
    cr_expect_eq(t->recovery.l1.delay_us[0], USEC_PER_SEC);
}

Test(config, defaults_are_merged)
{
    _cleanup_(config_freep) struct config *c = NULL;

    put("/clawsup.conf", "defaults: { gateway = { image = \"std:1\"; env = [ \"A=1\", \"B=2\" ]; };\n"
                         "limits = { memory = \"4G\"; cpus = 2; }; };");
    put("/tenants.d/a.conf", "tenant: { slug = \"a\"; data_root = \"/data/a\"; };");
    put("/tenants.d/b.conf",
        "tenant: { slug = \"b\"; data_root = \"/data/b\"; gateway = { env = [ \"C=3\" ]; };\n"
        "limits = { memory = \"unlimited\"; }; };");
    put("/tenants.d/c.conf",
        "tenant: { slug = \"c\"; data_root = \"/data/c\"; gateway = { mode = \"external\"; }; };");
    c = load_ok();
    cr_assert_eq(c->n_tenants, 3U);
    cr_expect_str_eq(c->tenants[0]->gateway.image, "std:1");
    cr_expect_eq(c->tenants[0]->gateway.env.n, 2U);
    cr_expect_eq(c->tenants[0]->limits.memory_bytes, UINT64_C(4) << 30);
    cr_expect_str_eq(c->tenants[1]->gateway.image, "std:1");
    cr_expect_eq(c->tenants[1]->gateway.env.n, 1U, "a list replaces the list");
    cr_expect_eq(c->tenants[1]->limits.memory_bytes, 0U);
    cr_expect_eq(c->tenants[1]->limits.nano_cpus, 2000000000U);
    cr_expect_eq(
        c->tenants[2]->gateway.mode, CONFIG_EXTERNAL, "the image of the defaults does not matter to it");
}

/* "a" and "a-b" may live side by side: the filter of "a" is told about "a-b". */
Test(config, prefix_overlap)
{
    _cleanup_(config_freep) struct config *c = NULL;
    const struct policy *p;

    put("/clawsup.conf", "");
    put("/tenants.d/a.conf", A_HEAD "gateway = { image = \"x\"; };\n"
                                    "proxy = { match_container_name = \"openclaw-sbx-a-*\"; };\n};\n");
    put("/tenants.d/a-b.conf",
        "tenant: { slug = \"a-b\"; data_root = \"/data/a-b\"; gateway = { image = \"x\"; }; };");
    put("/tenants.d/a-b-c.conf",
        "tenant: { slug = \"a-b-c\"; data_root = \"/data/a-b-c\"; gateway = { image = \"x\"; }; };");
    put("/tenants.d/ab.conf",
        "tenant: { slug = \"ab\"; data_root = \"/data/ab\"; gateway = { image = \"x\"; }; };");
    c = load_ok();
    p = config_find(c, "a")->policy;
    cr_assert_eq(p->other_tenants.n, 1U, "a-b covers a-b-c, and ab is no prefix matter");
    cr_expect_str_eq(p->other_tenants.items[0], "a-b");
    cr_expect_eq(config_find(c, "ab")->policy->other_tenants.n, 0U);
    cr_expect_str_eq(config_find(c, "a-b")->policy->other_tenants.items[0], "a-b-c");
}

Test(config, long_socket_paths)
{
    char runtime[65], text[256];
    _cleanup_free_ char *got = NULL;

    memset(runtime, 'r', sizeof(runtime));
    runtime[0] = '/';
    runtime[64] = '\0';
    (void)snprintf(text, sizeof(text), "runtime_dir = \"%s\";", runtime);
    put("/clawsup.conf", text);
    put("/tenants.d/a.conf",
        "tenant: {\nslug = \"0123456789abcdef\"; data_root = \"/data/a\"; gateway = { image = \"x\"; };\n};");
    got = findings_text(NULL);
    cr_expect(str_startswith(got, "tenants.d/a.conf:2: slug: /rrr"), "%s", got);
    cr_expect(
        strstr(got, "/.supervisor/proxy/0123456789abcdef.sock has 104 bytes; a socket's path at most 103: "
                    "shorten runtime_dir or the slug"),
        "%s", got);
    put("/tenants.d/a.conf",
        "tenant: { slug = \"0123456789abcde\"; data_root = \"/data/a\"; gateway = { image = \"x\"; };\n};");
    (void)config_free(load_ok());
}

Test(config, shipped_examples_load)
{
    _cleanup_free_ char *host = NULL, *tenant = NULL;
    _cleanup_(config_freep) struct config *c = NULL;
    static const char *const roots[] = {"", "../", "../../", "../../../"};
    char path[PATH_MAX + 64];

    for (size_t i = 0; i < ARRAY_SIZE(roots) && !host; i++) {
        (void)snprintf(path, sizeof(path), "%s/%scontrib/config/clawsup.conf", home, roots[i]);
        if (fd_read_file(path, 1 << 20, &host, NULL) < 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%scontrib/config/tenants.d/acme.conf.example", home, roots[i]);
        cr_assert_eq(fd_read_file(path, 1 << 20, &tenant, NULL), 0, "%s", path);
    }
    cr_assert_not_null(host, "run it in the source tree");
    put("/clawsup.conf", host);
    put("/tenants.d/acme.conf", tenant);
    c = load_ok();
    cr_assert_eq(c->n_tenants, 1U);
    cr_expect_str_eq(c->tenants[0]->slug, "acme");
}

/* ---------------------------------------------------------------- tables */

/* Two places hold the defaults of recovery and of the policy; they must say the same. */
Test(config, tables_agree_with_lower_rooms)
{
    struct config_tenant *t = config_tenant_new("a");
    struct policy *p = policy_new("a");
    struct recovery_params rp;
    struct config c = {}, plain = {};
    json_t *ja = NULL, *jb = NULL;

    cr_assert(t && p);
    recovery_params_default(&rp);
    cr_expect_eq(memcmp(&t->recovery, &rp, sizeof(rp)), 0, "recovery of a tenant");
    recovery_host_params_default(&plain.recovery);
    recovery_host_params_default(&c.recovery);
    cr_assert_eq(config_schema_defaults(&config_schema_host, &c, NULL), 0);
    cr_expect_eq(memcmp(&c.recovery, &plain.recovery, sizeof(c.recovery)), 0, "recovery of the host");
    cr_assert_eq(policy_to_json(t->policy, &ja), 0);
    cr_assert_eq(policy_to_json(p, &jb), 0);
    cr_expect(json_equal(ja, jb), "the policy");
    json_decref(ja);
    json_decref(jb);
    (void)policy_free(p);
    (void)config_tenant_free(t);
    free(c.runtime_dir);
    free(c.state_dir);
    free(c.engine_socket);
    free(c.metrics_file);
    free(c.proxy_user);
}

static void check_schema(const struct config_schema *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct config_key *k = &s->keys[i];

        cr_expect(k->help && k->help[0], "%s.%s has no help", s->name, k->name);
        cr_expect(k->type != CONFIG_KEY_CUSTOM || (k->read && k->form), "%s.%s", s->name, k->name);
        for (size_t j = 0; j < i; j++)
            cr_expect_str_neq(k->name, s->keys[j].name, "%s", s->name);
        if (k->group)
            check_schema(k->group);
    }
}

Test(config, tables_are_complete)
{
    check_schema(&config_schema_host);
    check_schema(&config_schema_tenant);
}

/* ---------------------------------------------------------------- differences */

struct change {
    char in[120]; /* inside the tenant of A_HEAD */
    unsigned want;
};

ParameterizedTestParameters(config, changes)
{
    static struct change rows[] = {{"# only a comment\n\n\n", 0}, {"recovery = { fall = 3; };", 0},
        {"recovery = { hold = \"6m\"; };", CONFIG_CHANGE_RECOVERY},
        {"recovery = { l3 = { min_gap = \"16m\"; }; };", CONFIG_CHANGE_RECOVERY},
        {"recovery = { l1 = { delays = [ \"1s\" ]; }; };", CONFIG_CHANGE_RECOVERY},
        {"recovery = { fall = 4; };", CONFIG_CHANGE_RECOVERY | CONFIG_CHANGE_HEALTH},
        {"components = ( );", 0},
        {"components = ( { name = \"b\"; image = \"x\"; } );", CONFIG_CHANGE_COMPONENTS},
        {"limits = { memory = \"8G\"; };", CONFIG_CHANGE_LIMITS},
        {"limits = { sandbox = { memory = \"2G\"; }; };", CONFIG_CHANGE_POLICY},
        {"proxy = { allow = { exec = false; }; };", CONFIG_CHANGE_POLICY},
        {"proxy = { images = [ \"y\" ]; };", CONFIG_CHANGE_POLICY},
        {"proxy = { sandbox_network = \"tenant\"; };", CONFIG_CHANGE_POLICY},
        {"proxy = { socket_uid = 5; };", CONFIG_CHANGE_LISTEN},
        {"proxy = { listen = [ \"unix:/run/clawsup/a/docker.sock\" ]; };", 0},
        {"proxy = { listen = [ \"tcp://127.0.0.1:1\" ]; };", CONFIG_CHANGE_LISTEN | CONFIG_CHANGE_HEALTH},
        {"proxy = { health = { interval = \"5s\"; }; };", CONFIG_CHANGE_HEALTH}};
    return cr_make_param_array(struct change, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct change *row, config, changes)
{
    _cleanup_(config_freep) struct config *before = NULL, *after = NULL;
    char text[512];

    put("/clawsup.conf", "");
    put("/tenants.d/a.conf", A_WHOLE);
    before = load_ok();
    (void)snprintf(text, sizeof(text), A_HEAD "gateway = { image = \"x\"; };\n%s\n};\n", row->in);
    put("/tenants.d/a.conf", text);
    after = load_ok();
    cr_expect_eq(config_tenant_changes(before->tenants[0], after->tenants[0]), row->want, "%s: %x", row->in,
        config_tenant_changes(before->tenants[0], after->tenants[0]));
    cr_expect_eq(config_tenant_equal(before->tenants[0], after->tenants[0]), row->want == 0);
}

/* The proxy first, the gateway as late as nobody says otherwise. */
Test(config, start_order)
{
    _cleanup_(config_freep) struct config *c = NULL;
    static const unsigned want[] = {0, 3, 2, 1, 4};
    unsigned order[CONFIG_PARTS_MAX];

    put("/clawsup.conf", "defaults: { components = ( { name = \"thrown-away\"; image = \"x\"; } ); };");
    put("/tenants.d/a.conf",
        A_HEAD "gateway = { image = \"x\"; after = [ \"memory\" ]; };\n"
               "components = ( { name = \"memory\"; image = \"x\"; after = [ \"disk\" ]; },\n"
               "{ name = \"disk\"; image = \"y\"; },\n"
               "{ name = \"watcher\"; image = \"z\"; after = [ \"gateway\" ]; } );\n};\n");
    c = load_ok();
    cr_assert_eq(config_start_order(c->tenants[0], order), ARRAY_SIZE(want));
    cr_expect_arr_eq(order, want, sizeof(want));
    cr_expect_eq(config_part_after(c->tenants[0], CONFIG_PART_GATEWAY), 1U << 0 | 1U << 2);
    cr_expect_eq(config_part_after(c->tenants[0], 4), 1U << CONFIG_PART_GATEWAY);
    cr_expect_str_eq(c->tenants[0]->components[0].container.name, "clawsup-a.memory");
    cr_expect_eq(c->tenants[0]->components[0].container.stop_timeout_us, 10 * USEC_PER_SEC);
    cr_expect_eq(c->tenants[0]->components[0].container.health.type, CONFIG_CHECK_DOCKER);
}

struct gateway_change {
    char in[120];
};

ParameterizedTestParameters(config, gateway_changes)
{
    static struct gateway_change rows[] = {{"command = [ \"a\" ];"}, {"env = [ \"A=1\" ];"},
        {"user = \"5\";"}, {"publish = [ \"127.0.0.1:1:1\" ];"},
        {"mounts = ( { source = \"/opt/x\"; target = \"/x\"; } );"}, {"internal = true;"},
        {"stop_timeout = \"11s\";"}, {"data_target = \"/d\";"}, {"env_file = \"/etc/e\";"}};
    return cr_make_param_array(struct gateway_change, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct gateway_change *row, config, gateway_changes)
{
    _cleanup_(config_freep) struct config *before = NULL, *after = NULL;
    char text[512];

    put("/clawsup.conf", "");
    put("/tenants.d/a.conf", A_WHOLE);
    before = load_ok();
    (void)snprintf(text, sizeof(text), A_HEAD "gateway = { image = \"x\"; %s };\n};\n", row->in);
    put("/tenants.d/a.conf", text);
    after = load_ok();
    cr_expect_eq(
        config_tenant_changes(before->tenants[0], after->tenants[0]), CONFIG_CHANGE_GATEWAY, "%s", row->in);
}

/* A tenant that comes or goes leaves the others alone, unless its name lies behind theirs. */
Test(config, neighbours_do_not_change)
{
    _cleanup_(config_freep) struct config *before = NULL, *after = NULL;

    put("/clawsup.conf", "");
    put("/tenants.d/a.conf", A_WHOLE);
    before = load_ok();
    put("/tenants.d/b.conf",
        "tenant: { slug = \"b\"; data_root = \"/data/b\"; gateway = { image = \"x\"; }; };");
    after = load_ok();
    cr_expect(config_tenant_equal(config_find(before, "a"), config_find(after, "a")));
    cr_expect(!config_tenant_equal(config_find(after, "a"), config_find(after, "b")));
}

Test(config, needs_restart)
{
    _cleanup_(config_freep) struct config *a = NULL, *b = NULL, *c = NULL;
    struct err e = {};

    put("/clawsup.conf", "");
    a = load_ok();
    put("/clawsup.conf", "log_level = \"debug\"; relist_interval = \"1m\"; metrics_file = \"\";");
    b = load_ok();
    put("/clawsup.conf", "state_dir = \"/srv/state\"; docker_gid = 5;");
    c = load_ok();
    cr_expect(!config_needs_restart(a, b, &e));
    cr_expect(config_needs_restart(a, c, &e));
    cr_expect_str_eq(e.msg, "state_dir differs; it takes effect with the next restart of clawsupd");
}
