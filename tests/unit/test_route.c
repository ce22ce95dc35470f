/* test_route.c: every route of the API: matched, refused, and written again for the engine. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "filter/route.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A policy as a value: everything that has a switch on, or off. */
static void fill_policy(struct policy *p, bool all)
{
    static char image[] = "openclaw-sandbox:bookworm-slim", other[] = "registry:5000/a/b:1",
                bare[] = "busybox";
    static char *images[] = {image, other, bare};

    *p = (struct policy){.tenant = "a",
        .allow_start = all,
        .allow_stop = all,
        .allow_restart = all,
        .allow_exec = all,
        .allow_update = all,
        .allow_rename = all,
        .allow_archive_put = all,
        .allow_export = all,
        .allow_image_pull = all,
        .allow_network_read = all,
        .images = {images, 3}};
}

/* "POST /v1.41/x" with what a docker client sends around it. */
static int decide_policy(
    const char *line, const char *fields, const struct policy *p, struct route_match *m, struct route_deny *d)
{
    _cleanup_http1_request_ struct http1_request q = {0};
    struct http1_error e = {0};
    char head[4096];
    ssize_t n;

    (void)snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: docker\r\n%s\r\n", line, fields);
    n = http1_parse_request(&q, head, strlen(head), &e);
    if (n < 0) {
        *d = (struct route_deny){.status = e.status, .rule = "http"};
        return -EBADMSG;
    }
    return route_decide(&q, p, 41, m, d);
}

static int decide_body(
    const char *line, const char *fields, bool all, struct route_match *m, struct route_deny *d)
{
    struct policy p;

    fill_policy(&p, all);
    return decide_policy(line, fields, &p, m, d);
}

struct allowed {
    char line[200];
    bool json;
    int id;
    char ref[72];
    char upstream[260]; /* "" : none */
};

ParameterizedTestParameters(route, allowed)
{
#define C "/v1.41/containers/" ID
    static struct allowed rows[] = {
        {"HEAD /_ping", false, ROUTE_PING, "", "/_ping"},
        {"GET /v1.24/_ping", false, ROUTE_PING, "", "/_ping"},
        {"GET /version", false, ROUTE_VERSION, "", ""},
        {"GET /v1.41/info", false, ROUTE_INFO, "", ""},
        {"GET /containers/json", false, ROUTE_CONTAINER_LIST, "",
            "/v1.41/containers/json?filters=%7B%22label%22%3A%5B%22clawsup.tenant%3Da%22%5D%7D"},
        {"GET /containers/json?limit=-1&all=True&size=0&trunc_cmd=0&since=&filters=%7B%7D", false,
            ROUTE_CONTAINER_LIST, "",
            "/v1.41/containers/json?all=1&size=0&filters=%7B%22label%22%3A%5B%22clawsup.tenant%3Da%22%5D%7D"},
        {"GET /containers/json?limit=3", false, ROUTE_CONTAINER_LIST, "",
            "/v1.41/containers/json?all=1&filters=%7B%22label%22%3A%5B%22clawsup.tenant%3Da%22%5D%7D"},
        {"GET /v1.40/images/json?all=0&digests=1", false, ROUTE_IMAGE_LIST, "", "/v1.41/images/json"},
        {"GET /events?since=1700000000.5&until=0&filters=%7B%7D", false, ROUTE_EVENTS, "",
            "/v1.41/"
            "events?since=1700000000.5&until=0&filters=%7B%22label%22%3A%5B%22clawsup.tenant%3Da%22%5D%2C"
            "%22type%22%3A%5B%22container%22%5D%7D"},
        {"POST /containers/create?name=openclaw-sbx-a-x&platform=", true, ROUTE_CONTAINER_CREATE, "",
            "/v1.41/containers/create?name=openclaw-sbx-a-x"},
        {"GET /containers/x/json?size=1", false, ROUTE_CONTAINER_INSPECT, "x", C "/json?size=1"},
        {"DELETE /containers/x?link=null", false, ROUTE_CONTAINER_REMOVE, "x", C},
        {"DELETE /containers/x?link=%5B%5D", false, ROUTE_CONTAINER_REMOVE, "x", C},
        {"DELETE /containers/x?link=%7B%7D", false, ROUTE_CONTAINER_REMOVE, "x", C},
        {"GET /containers/json/json", false, ROUTE_CONTAINER_INSPECT, "json", C "/json"},
        {"GET /containers/x/top?ps_args=", false, ROUTE_CONTAINER_TOP, "x", C "/top"},
        {"GET /containers/x/top?ps_args=aux", false, ROUTE_CONTAINER_TOP, "x", C "/top?ps_args=aux"},
        {"GET /containers/x/logs?stdout=1&stderr=true&tail=007&follow=0&since=&until=5", false,
            ROUTE_CONTAINER_LOGS, "x", C "/logs?follow=0&stdout=1&stderr=1&until=5&tail=7"},
        {"GET /containers/x/logs?stdout=1&tail=all", false, ROUTE_CONTAINER_LOGS, "x",
            C "/logs?stdout=1&tail=all"},
        {"GET /containers/x/stats?stream=False&one-shot=1", false, ROUTE_CONTAINER_STATS, "x",
            C "/stats?stream=0&one-shot=1"},
        {"GET /containers/x/changes", false, ROUTE_CONTAINER_CHANGES, "x", C "/changes"},
        {"GET /containers/x/export", false, ROUTE_CONTAINER_EXPORT, "x", C "/export"},
        {"GET /containers/x/archive?path=%2Fa%20%26b", false, ROUTE_ARCHIVE_GET, "x",
            C "/archive?path=%2Fa%20%26b"},
        {"HEAD /containers/x/archive?path=/%C3%A9", false, ROUTE_ARCHIVE_HEAD, "x",
            C "/archive?path=%2F%C3%A9"},
        {"PUT /containers/x/archive?path=/a&noOverwriteDirNonDir=true", true, ROUTE_ARCHIVE_PUT, "x",
            C "/archive?path=%2Fa&noOverwriteDirNonDir=1"},
        {"POST /v1.41/containers/x/start", false, ROUTE_CONTAINER_START, "x", C "/start"},
        {"POST /containers/x/start?checkpoint=&checkpoint-dir=&detachKeys=ctrl-p,ctrl-q", false,
            ROUTE_CONTAINER_START, "x", C "/start?detachKeys=ctrl-p%2Cctrl-q"},
        {"POST /containers/x/stop?t=60", false, ROUTE_CONTAINER_STOP, "x", C "/stop?t=60"},
        {"POST /containers/x/stop?t=010&signal=sigterm", false, ROUTE_CONTAINER_STOP, "x",
            C "/stop?t=10&signal=SIGTERM"},
        {"POST /containers/x/kill?signal=9", false, ROUTE_CONTAINER_KILL, "x", C "/kill?signal=SIGKILL"},
        {"POST /containers/x/kill?signal=SIGRTMIN%2B3", false, ROUTE_CONTAINER_KILL, "x",
            C "/kill?signal=SIGRTMIN%2B3"},
        {"POST /containers/x/restart?t=0", false, ROUTE_CONTAINER_RESTART, "x", C "/restart?t=0"},
        {"POST /containers/x/pause", false, ROUTE_CONTAINER_PAUSE, "x", C "/pause"},
        {"POST /containers/x/unpause", false, ROUTE_CONTAINER_UNPAUSE, "x", C "/unpause"},
        {"POST /containers/x/wait?condition=next-exit", false, ROUTE_CONTAINER_WAIT, "x",
            C "/wait?condition=next-exit"},
        {"POST /containers/x/resize?h=24&w=80", false, ROUTE_CONTAINER_RESIZE, "x", C "/resize?h=24&w=80"},
        {"POST /containers/x/attach?stderr=1&stdin=1&stdout=1&stream=1&logs=0", false, ROUTE_CONTAINER_ATTACH,
            "x", C "/attach?stream=1&stdin=1&stdout=1&stderr=1&logs=0"},
        {"DELETE /containers/x?force=1&v=False&link=False", false, ROUTE_CONTAINER_REMOVE, "x",
            C "?force=1&v=0"},
        {"DELETE /containers/x", false, ROUTE_CONTAINER_REMOVE, "x", C},
        {"POST /containers/x/update", true, ROUTE_CONTAINER_UPDATE, "x", C "/update"},
        {"POST /containers/x/rename?name=y", false, ROUTE_CONTAINER_RENAME, "x",
            C "/rename?name=openclaw-sbx-a-x"},
        {"POST /v1.41/containers/x/exec", true, ROUTE_EXEC_CREATE, "x", C "/exec"},
        {"POST /v1.41/exec/" ID "/start", true, ROUTE_EXEC_START, ID, "/v1.41/exec/" ID "/start"},
        {"POST /exec/" ID "/resize?h=1&w=1", false, ROUTE_EXEC_RESIZE, ID,
            "/v1.41/exec/" ID "/resize?h=1&w=1"},
        {"GET /exec/" ID "/json", false, ROUTE_EXEC_INSPECT, ID, "/v1.41/exec/" ID "/json"},
        {"GET /images/openclaw-sandbox:bookworm-slim/json", false, ROUTE_IMAGE_INSPECT,
            "openclaw-sandbox:bookworm-slim", "/v1.41/images/sha256:" ID "/json"},
        {"GET /images/a.b:5000/c/d%40sha256:00/history?platform=", false, ROUTE_IMAGE_HISTORY,
            "a.b:5000/c/d@sha256:00", "/v1.41/images/sha256:" ID "/history"},
        {"POST /images/create?fromImage=openclaw-sandbox&tag=bookworm-slim", false, ROUTE_IMAGE_PULL, "",
            "/v1.41/images/create?fromImage=openclaw-sandbox&tag=bookworm-slim"},
        {"POST /images/create?fromImage=registry:5000/a/b:1", false, ROUTE_IMAGE_PULL, "",
            "/v1.41/images/create?fromImage=registry%3A5000%2Fa%2Fb&tag=1"},
        {"POST /images/create?fromImage=busybox&fromSrc=&repo=", false, ROUTE_IMAGE_PULL, "",
            "/v1.41/images/create?fromImage=busybox&tag=latest"},
        {"GET /networks/n?scope=&verbose=false", false, ROUTE_NETWORK_INSPECT, "n", "/v1.41/networks/" ID},
    };
    return cr_make_param_array(struct allowed, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct allowed *a, route, allowed)
{
    static const char json[] = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    _cleanup_route_match_ struct route_match m = {0};
    _cleanup_buf_ struct buf out = {0};
    struct route_deny d = {0};
    int r = decide_body(a->line, a->json ? json : "Content-Length: 0\r\n", true, &m, &d);
    struct route_upstream u = {.minor = 41, .ref = ID, .name = "openclaw-sbx-a-x", .tenant = "a"};

    cr_assert_eq(r, 0, "%s: %d %s %s", a->line, r, d.rule, d.message);
    cr_expect_eq((int)m.id, a->id, "%s is %s", a->line, route_name(m.id));
    cr_expect_str_eq(m.ref ? m.ref : "", a->ref);
    if (m.ref_kind == ROUTE_REF_IMAGE)
        u.ref = "sha256:" ID;
    cr_expect_eq(route_upstream_path(&out, &m, &u), a->upstream[0] ? 0 : -EINVAL);
    cr_expect_str_eq(out.data ? out.data : "", a->upstream);
    /* Routes with a body refuse to go without, and the others refuse one. */
    cr_expect_eq(decide_body(a->line, a->json ? "" : json, true, &m, &d),
        strstr(a->line, "GET ") || strstr(a->line, "HEAD ") ? -EBADMSG : -EINVAL, "%s", a->line);
    cr_expect_eq(d.status, 400);
}

struct refused {
    char line[160];
    int r;
    char rule[24];
    char message[120]; /* "" : any */
};

ParameterizedTestParameters(route, refused)
{
#define OFF "this part of the API is not available to tenants"
    static struct refused rows[] = {
        {"GET /", -EACCES, "route-unknown", ""},
        {"GET /foo", -EACCES, "route-unknown", ""},
        {"GET /v1.41/v1.41/info", -EACCES, "route-unknown", ""},
        {"GET /Containers/json", -EACCES, "route-unknown", ""},
        {"GET /containers", -EACCES, "route-unknown", ""},
        {"GET /containers/x/json/y", -EACCES, "route-unknown", ""},
        {"POST /session", -EACCES, "route-never", "clawsup: " OFF},
        {"POST /grpc", -EACCES, "route-never", ""},
        {"POST /auth", -EACCES, "route-never", ""},
        {"GET /distribution/x/json", -EACCES, "route-never", ""},
        {"GET /system/df", -EACCES, "route-never", ""},
        {"POST /containers/prune", -EACCES, "route-never", ""},
        {"POST /images/prune", -EACCES, "route-never", ""},
        {"POST /volumes/prune", -EACCES, "route-never", ""},
        {"POST /networks/prune", -EACCES, "route-never", ""},
        {"POST /build/prune", -EACCES, "route-never", ""},
        {"POST /build", -EACCES, "route-never", ""},
        {"POST /build/cancel", -EACCES, "route-never", ""},
        {"POST /commit?container=x", -EACCES, "route-never", ""},
        {"POST /images/load", -EACCES, "route-never", ""},
        {"GET /images/get?names=x", -EACCES, "route-never", ""},
        {"GET /images/a/b/get", -EACCES, "route-never", ""},
        {"GET /images/search?term=x", -EACCES, "route-never", ""},
        {"POST /images/x/push", -EACCES, "route-never", ""},
        {"POST /images/x/tag", -EACCES, "route-never", ""},
        {"GET /images/x/attestations", -EACCES, "route-never", ""},
        {"DELETE /images/x", -EACCES, "route-never", ""},
        {"GET /containers/x/checkpoints", -EACCES, "route-never", ""},
        {"POST /containers/x/checkpoints", -EACCES, "route-never", ""},
        {"DELETE /containers/x/checkpoints/y", -EACCES, "route-never", ""},
        {"POST /containers/x/copy", -EACCES, "route-never", ""},
        {"GET /containers/x/attach/ws", -EACCES, "route-never", ""},
        {"GET /plugins", -EACCES, "route-never", ""},
        {"POST /plugins/x/enable", -EACCES, "route-never", ""},
        {"GET /swarm", -EACCES, "route-never", ""},
        {"POST /swarm/init", -EACCES, "route-never", ""},
        {"GET /services", -EACCES, "route-never", ""},
        {"GET /nodes/x", -EACCES, "route-never", ""},
        {"GET /tasks", -EACCES, "route-never", ""},
        {"GET /secrets", -EACCES, "route-never", ""},
        {"POST /configs/create", -EACCES, "route-never", ""},
        {"GET /debug/vars", -EACCES, "route-never", ""},
        {"GET /debug/pprof/heap", -EACCES, "route-never", ""},
        {"GET /networks", -EACCES, "route-never", ""},
        {"POST /networks/create", -EACCES, "route-never", ""},
        {"POST /networks/x/connect", -EACCES, "route-never", ""},
        {"DELETE /networks/x", -EACCES, "route-never", ""},
        {"GET /volumes", -EACCES, "route-never", ""},
        {"POST /volumes/create", -EACCES, "route-never", ""},
        {"DELETE /volumes/x", -EACCES, "route-never", ""},
        {"OPTIONS /info", -EACCES, "route-never", ""},
        /* methods */
        {"POST /_ping", -ENOTSUP, "method", ""},
        {"HEAD /containers/json", -ENOTSUP, "method", ""},
        {"GET /containers/create", -ENOTSUP, "method", ""},
        {"GET /containers/x/start", -ENOTSUP, "method", ""},
        {"DELETE /exec/" ID "/json", -ENOTSUP, "method", ""},
        /* versions */
        {"GET /v1.23/info", -EINVAL, "version",
            "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your "
            "client to a "
            "newer version"},
        {"POST /v1.23/containers/x/start", -EINVAL, "version", ""},
        {"GET /v1.42/info", -EINVAL, "version",
            "client version 1.42 is too new. Maximum supported API version is 1.41"},
        {"GET /v1.041/info", -EINVAL, "version", ""},
        {"GET /v1.4/info", -EINVAL, "version", ""},
        {"GET /v1.4.1/info", -EINVAL, "version", ""},
        {"GET /v2.41/info", -EINVAL, "version", ""},
        {"GET /v1/info", -EINVAL, "version", ""},
        {"GET /V1.41/info", -EACCES, "route-unknown", ""},
        /* references */
        {"GET /containers/x:y/json", -ENOENT, "absent", "No such container: x:y"},
        {"GET /containers/a/b:c/json", -ENOENT, "absent", "No such container: a/b:c"},
        {"POST /containers/-x/start", -ENOENT, "absent", "No such container: -x"},
        {"DELETE /containers/own/alias", -ENOENT, "absent", "No such container: own/alias"},
        {"GET /exec/abcd/json", -ENOENT, "absent", "No such exec instance: abcd"},
        {"GET /images/x%20y/json", -ENOENT, "absent", "No such image: x y"},
        {"GET /volumes/v", -ENOENT, "absent", "get v: no such volume"},
        {"GET /plugins/a/b:c/json", -ENOENT, "absent", "plugin \"a/b:c\" not found"},
        {"GET /networks/a/b", -ENOENT, "absent", "network a/b not found"},
        /* parameters */
        {"GET /info?x=1", -EACCES, "query-key", "clawsup: the parameter \"x\" is not allowed here"},
        {"GET /containers/x/json?Size=1", -EACCES, "query-key", ""},
        {"GET /containers/json?before=x", -EACCES, "query-zero", ""},
        {"GET /containers/json?since=x", -EACCES, "query-zero", ""},
        {"GET /containers/json?all=yes", -EINVAL, "query-value", ""},
        {"GET /containers/json?all=2", -EINVAL, "query-value", ""},
        {"GET /containers/json?all=+1", -EINVAL, "query-value", ""},
        {"GET /containers/json?limit=x", -EINVAL, "query-value", ""},
        {"GET /containers/json?limit=-2", -EACCES, "query-value", ""},
        {"GET /containers/x/top?ps_args=-o+pid", -EACCES, "query-value", ""},
        {"GET /containers/x/logs?tail=-1", -EINVAL, "query-value", ""},
        {"GET /containers/x/logs?since=1h", -EINVAL, "query-value", ""},
        {"GET /containers/x/logs?since=1.1234567890", -EINVAL, "query-value", ""},
        {"GET /containers/x/logs?since=1.", -EINVAL, "query-value", ""},
        {"GET /containers/x/archive", -EINVAL, "query-missing", ""},
        {"GET /containers/x/archive?path=", -EINVAL, "query-missing", ""},
        {"POST /containers/x/start?checkpoint=c", -EACCES, "query-zero", ""},
        {"POST /containers/x/start?detachKeys=%20", -EINVAL, "query-value", ""},
        {"POST /containers/x/stop?t=61", -EACCES, "query-value", ""},
        {"POST /containers/x/stop?t=-1", -EACCES, "query-value", ""},
        {"POST /containers/x/stop?t=1s", -EINVAL, "query-value", ""},
        {"POST /containers/x/kill?signal=0", -EACCES, "query-value", ""},
        {"POST /containers/x/kill?signal=32", -EACCES, "query-value", ""},
        {"POST /containers/x/kill?signal=FOO", -EACCES, "query-value", ""},
        {"POST /containers/x/wait?condition=x", -EINVAL, "query-value", ""},
        {"POST /containers/x/resize?h=10001", -EACCES, "query-value", ""},
        {"DELETE /containers/x?link=1", -EACCES, "query-zero", ""},
        {"POST /containers/x/rename", -EINVAL, "query-missing", ""},
        {"POST /images/create?fromSrc=http://x", -EACCES, "query-zero", ""},
        {"POST /images/create?fromImage=busybox&fromSrc=-", -EACCES, "query-zero", ""},
        {"POST /images/create?fromImage=busybox&tag=1", -EACCES, "image-allowlist", ""},
        {"POST /images/create?fromImage=openclaw-sandbox", -EACCES, "image-allowlist", ""},
        {"POST /images/create?fromImage=busybox:latest&tag=latest", -EINVAL, "query-value", ""},
        {"POST /images/create?fromImage=busybox%20x", -EINVAL, "query-value", ""},
        {"POST /images/create?tag=latest", -EINVAL, "query-missing", ""},
    };
    return cr_make_param_array(struct refused, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct refused *f, route, refused)
{
    struct route_match m = {0};
    struct route_deny d = {0};
    int r = decide_body(f->line, "", true, &m, &d), status = 0;

    cr_expect_eq(r, f->r, "%s gave %d %s", f->line, r, d.message);
    cr_expect_str_eq(d.rule, f->rule, "%s", f->line);
    if (f->message[0])
        cr_expect_str_eq(d.message, f->message);
    status = r == -EACCES ? 403 : r == -ENOENT ? 404 : r == -ENOTSUP ? 405 : 400;
    cr_expect_eq(d.status, status);
    cr_expect_null(m.ref);
}

struct needs {
    char line[120];
    bool json;
    char rule[24];
};

ParameterizedTestParameters(route, switches)
{
    static struct needs rows[] = {
        {"POST /containers/x/start", false, "allow-start"},
        {"POST /containers/x/stop", false, "allow-stop"},
        {"POST /containers/x/kill", false, "allow-stop"},
        {"POST /containers/x/restart", false, "allow-restart"},
        {"POST /containers/x/exec", true, "allow-exec"},
        {"POST /exec/" ID "/start", true, "allow-exec"},
        {"POST /containers/x/update", true, "allow-update"},
        {"POST /containers/x/rename?name=y", false, "allow-rename"},
        {"PUT /containers/x/archive?path=/", true, "allow-archive-put"},
        {"GET /containers/x/export", false, "allow-export"},
        {"POST /images/create?fromImage=busybox", false, "allow-image-pull"},
    };
    return cr_make_param_array(struct needs, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct needs *n, route, switches)
{
    _cleanup_route_match_ struct route_match m = {0};
    const char *fields = n->json ? "Content-Length: 2\r\n" : "";
    struct route_deny d = {0};

    cr_expect_eq(decide_body(n->line, fields, false, &m, &d), -EACCES, "%s", n->line);
    cr_expect_str_eq(d.rule, n->rule);
    cr_expect_eq(decide_body(n->line, fields, true, &m, &d), 0, "%s: %s", n->line, d.message);
}

Test(route, network_switch_off_is_absent)
{
    static char name[] = "clawsup-net-a";
    struct route_match m = {0};
    struct route_deny d = {0};
    struct policy p;

    cr_expect_eq(decide_body("GET /networks/bridge", "", false, &m, &d), -ENOENT);
    cr_expect_str_eq(d.message, "network bridge not found");
    cr_expect_str_eq(d.rule, "absent");
    /* The switch is named where it would help, and only in the record. */
    fill_policy(&p, false);
    p.network_name = name;
    cr_expect_eq(decide_policy("GET /networks/clawsup-net-a", "", &p, &m, &d), -ENOENT);
    cr_expect_str_eq(d.message, "network clawsup-net-a not found");
    cr_expect_str_eq(d.rule, "allow-network-read");
}

/* ---------------------------------------------------------------- a filter that only reports */
struct reported {
    char line[120];
    bool json;
    int r;
    char rule[24]; /* of the report, or of the refusal; "": neither */
};

ParameterizedTestParameters(route, reports)
{
    static struct reported rows[] = {
        {"POST /containers/x/update", true, 0, "allow-update"},
        {"POST /containers/x/rename?name=y", false, 0, "allow-rename"},
        {"PUT /containers/x/archive?path=/", true, 0, "allow-archive-put"},
        {"GET /containers/x/export", false, 0, "allow-export"},
        {"POST /images/create?fromImage=busybox", false, 0, "allow-image-pull"},
        {"GET /networks/x", false, 0, "allow-network-read"},
        /* the handler knows whose container it is */
        {"POST /containers/x/exec", true, 0, ""},
        {"POST /exec/" ID "/start", true, 0, ""},
        /* not opt-in: somebody has switched these off */
        {"POST /containers/x/start", false, -EACCES, "allow-start"},
        {"POST /containers/x/stop", false, -EACCES, "allow-stop"},
        {"POST /containers/x/kill", false, -EACCES, "allow-stop"},
        {"POST /containers/x/restart", false, -EACCES, "allow-restart"},
        /* the rest of each row's rules */
        {"POST /containers/x/update", false, -EINVAL, "body-missing"},
        {"GET /containers/x/export?path=/", false, -EACCES, "query-key"},
        {"POST /images/create?fromImage=alpine", false, -EACCES, "image-allowlist"},
        {"POST /images/create?fromImage=busybox&fromSrc=-", false, -EACCES, "query-zero"},
        {"POST /containers/..x/rename?name=y", false, -ENOENT, "absent"},
        {"GET /volumes/x", false, -ENOENT, "absent"},
        /* routes that no tenant has */
        {"GET /networks", false, -EACCES, "route-never"},
        {"POST /networks/create", true, -EACCES, "route-never"},
        {"POST /containers/prune", false, -EACCES, "route-never"},
        {"POST /session", false, -EACCES, "route-never"},
        {"DELETE /images/busybox", false, -EACCES, "route-never"},
        {"GET /nothing", false, -EACCES, "route-unknown"},
    };
    return cr_make_param_array(struct reported, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct reported *row, route, reports)
{
    _cleanup_route_match_ struct route_match m = {0};
    struct route_deny d = {0};
    struct policy p;
    int r;

    fill_policy(&p, false);
    p.filter = POLICY_FILTER_REPORT;
    r = decide_policy(row->line, row->json ? "Content-Length: 2\r\n" : "", &p, &m, &d);
    cr_expect_eq(r, row->r, "%s: %d %s", row->line, r, d.message);
    if (r < 0)
        cr_expect_str_eq(d.rule, row->rule, "%s", row->line);
    else if (row->rule[0])
        cr_expect(m.report_rule && strcmp(m.report_rule, row->rule) == 0 && m.report_switch, "%s", row->line);
    else
        cr_expect_null(m.report_rule);
}

Test(route, nothing_is_reported_that_is_granted)
{
    _cleanup_route_match_ struct route_match m = {0};
    struct route_deny d = {0};
    struct policy p;

    fill_policy(&p, true);
    p.filter = POLICY_FILTER_REPORT;
    cr_expect_eq(decide_policy("POST /containers/x/update", "Content-Length: 2\r\n", &p, &m, &d), 0);
    cr_expect_null(m.report_rule);
}

/* The record of a refusal names the route, or the pattern of what no tenant has. */
Test(route, refusals_name_their_route)
{
    static const struct {
        const char *line, *route;
    } rows[] = {{"POST /containers/x/start", "container-start"},
        {"POST /containers/x/kill", "container-kill"}, {"GET /networks", "networks"},
        {"POST /networks/create", "networks/*"}, {"POST /containers/prune", "containers/prune"},
        {"GET /volumes/v", "volumes/{}"}, {"GET /containers/json?x=1", "container-list"},
        {"GET /nothing", NULL}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct route_match m = {0};
        struct route_deny d = {0};

        cr_expect_lt(decide_body(rows[i].line, "", false, &m, &d), 0);
        cr_expect(rows[i].route ? d.route && strcmp(d.route, rows[i].route) == 0 : !d.route, "%s: %s",
            rows[i].line, d.route);
    }
}

Test(route, create_without_a_name)
{
    struct route_match m = {0};
    struct route_deny d = {0};

    cr_expect_eq(decide_body("POST /containers/create", "Content-Length: 2\r\n", true, &m, &d), -EACCES);
    cr_expect_eq(
        decide_body("POST /containers/create?name=", "Content-Length: 2\r\n", true, &m, &d), -EACCES);
    cr_expect_str_eq(d.rule, "query-missing");
    cr_expect_eq(
        decide_body("POST /containers/create?name=x&platform=linux", "Content-Length: 2\r\n", true, &m, &d),
        -EACCES);
    cr_expect_str_eq(d.rule, "query-zero");
}

Test(route, body_types)
{
    static const char *const good[] = {
        "application/json", "application/json; charset=utf-8", "text/plain", "Application/JSON"};
    static const char *const bad[] = {
        "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", ""};
    struct route_deny d = {0};
    char fields[128];

    for (size_t i = 0; i < ARRAY_SIZE(good) + ARRAY_SIZE(bad); i++) {
        _cleanup_route_match_ struct route_match m = {0};
        bool ok = i < ARRAY_SIZE(good);

        (void)snprintf(fields, sizeof(fields), "Transfer-Encoding: chunked\r\nContent-Type: %s\r\n",
            ok ? good[i] : bad[i - ARRAY_SIZE(good)]);
        cr_expect_eq(
            decide_body("POST /containers/x/exec", fields, true, &m, &d), ok ? 0 : -EINVAL, "%s", fields);
    }
}

Test(route, long_references)
{
    char line[900] = "GET /containers/";
    struct route_match m = {0};
    struct route_deny d = {0};

    memset(line + 16, 'x', 511);
    memcpy(line + 16 + 511, "/json", 6);
    cr_expect_eq(decide_body(line, "", true, &m, &d), -ENOENT);
    cr_expect_eq(strlen(d.message), strlen("No such container: ") + 511);
    memset(line + 16, 'x', 520);
    memcpy(line + 16 + 520, "/json", 6);
    cr_expect_eq(decide_body(line, "", true, &m, &d), -EINVAL);
    cr_expect_str_eq(d.rule, "reference");
}

/* Only full ids, valid names and known versions reach a target. */
Test(route, upstream_refuses)
{
    static const char *const refs[] = {NULL, "", "x", "0123", "../" ID, ID "/x",
        "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"};
    _cleanup_route_match_ struct route_match m = {0}, c = {0}, i = {0}, l = {0};
    struct route_deny d = {0};
    _cleanup_buf_ struct buf out = {0};
    struct route_upstream u = {.minor = 41};

    cr_assert_eq(buf_adds(&out, "kept"), 0);
    cr_assert_eq(decide_body("POST /containers/x/start", "", true, &m, &d), 0);
    for (size_t k = 0; k < ARRAY_SIZE(refs); k++) {
        u.ref = refs[k];
        cr_expect_eq(route_upstream_path(&out, &m, &u), -EINVAL, "%s", refs[k] ? refs[k] : "NULL");
    }
    u = (struct route_upstream){.minor = 23, .ref = ID};
    cr_expect_eq(route_upstream_path(&out, &m, &u), -EINVAL);
    u = (struct route_upstream){.minor = 41, .name = "a/b"};
    cr_assert_eq(decide_body("POST /containers/create?name=x", "Content-Length: 2\r\n", true, &c, &d), 0);
    cr_expect_eq(route_upstream_path(&out, &c, &u), -EINVAL);
    u.ref = "a?b";
    cr_assert_eq(decide_body("GET /images/x/json", "", true, &i, &d), 0);
    cr_expect_eq(route_upstream_path(&out, &i, &u), -EINVAL);
    u.tenant = "a\"]}";
    cr_assert_eq(decide_body("GET /containers/json", "", true, &l, &d), 0);
    cr_expect_eq(route_upstream_path(&out, &l, &u), -EINVAL);
    cr_expect_str_eq(out.data, "kept");
}

Test(route, typed_arguments)
{
    _cleanup_route_match_ struct route_match m = {0};
    struct route_deny d = {0};

    cr_assert_eq(
        decide_body("GET /v1.30/containers/x/logs?follow=True&tail=5&stdout=0", "", true, &m, &d), 0);
    cr_expect_eq(m.minor, 30);
    cr_expect(m.stream);
    cr_expect_not(m.hijack);
    cr_expect(route_arg_bool(&m, "follow", false));
    cr_expect_not(route_arg_bool(&m, "stdout", true));
    cr_expect(route_arg_bool(&m, "stderr", true));
    cr_expect_str_eq(route_arg(&m, "tail"), "5");
    cr_expect_null(route_arg(&m, "since"));
}

Test(route, hijacks)
{
    for (int id = 0; id < _ROUTE_MAX; id++)
        cr_expect_str_neq(route_name((enum route_id)id), "unknown");
    for (unsigned i = 0; i < 2; i++) {
        _cleanup_route_match_ struct route_match m = {0};
        struct route_deny d = {0};

        cr_assert_eq(decide_body(i ? "POST /exec/" ID "/start" : "POST /containers/x/attach",
                         i ? "Content-Length: 2\r\n" : "", true, &m, &d),
            0);
        cr_expect(m.hijack);
    }
}
