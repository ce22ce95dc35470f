/* test_settings.c: the proxy's command line and environment: a value is taken whole or the program stops. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <string.h>

#include "filter/route.h"
#include "proxy/link.h"
#include "proxy/settings.h"

static char program[] = "clawsup-proxy", tenant[] = "TENANT=a", upper[] = "TENANT=A";

struct line {
    char env[128];
    char want[96]; /* "" = valid; else words of the error */
};

ParameterizedTestParameters(settings, environment)
{
    static struct line rows[] = {{"LISTEN=unix:/run/a.sock", ""},
        {"LISTEN=unix:/run/a.sock,mode=0600,uid=1000", ""}, {"LISTEN=tcp://127.0.0.1:2375", ""},
        {"LISTEN=unix:///run/a.sock", ""}, {"LISTEN=tcp://[::1]:2375,unix:/a", ""},
        {"LISTEN=unix:/a,mode=0600,tcp://10.0.0.1:1,unix:/b,gid=7", ""},
        {"LISTEN=", "LISTEN=\"\" is not valid: it takes a list"}, {"LISTEN=unix:a.sock", "LISTEN"},
        {"LISTEN=unix:/a,mode=999", "LISTEN"}, {"LISTEN=unix:/a,mode=07777", "LISTEN"},
        {"LISTEN=unix:/a,mode=1777", "LISTEN"}, {"LISTEN=unix:/a,owner=x", "LISTEN"},
        {"LISTEN=unix:/a,uid=-1", "LISTEN"}, {"LISTEN=tcp://127.0.0.1:1,mode=0600", "LISTEN"},
        {"LISTEN=mode=0600", "LISTEN"}, {"LISTEN=unix:/a,", "LISTEN"}, {"LISTEN=unix:/a,,unix:/b", "LISTEN"},
        {"LISTEN=unix:/a unix:/b", "LISTEN"}, {"LISTEN=unix:/a,unix:/a", "LISTEN"},
        {"LISTEN=tcp://1.2.3.4:5,tcp://1.2.3.4:5", "LISTEN"}, {"LISTEN=tcp://1.2.3.4:5,tcp://1.2.3.4:6", ""},
        {"LISTEN=tcp:127.0.0.1:2375", "LISTEN"}, {"LISTEN=tcp://localhost:1", "LISTEN"},
        {"LISTEN=tcp://::1:1", "LISTEN"}, {"LISTEN=tcp://[127.0.0.1]:1", "LISTEN"},
        {"LISTEN=tcp://1.2.3.4", "LISTEN"}, {"LISTEN=tcp://1.2.3.4:0", "LISTEN"},
        {"LISTEN=tcp://1.2.3.4:65536", "LISTEN"}, {"LISTEN=/a", "LISTEN"}, {"LISTEN=unix:/a/../b", "LISTEN"},
        {"LISTEN=udp://1.2.3.4:5", "LISTEN"}, {"DOCKER_SOCKET=/var/run/docker.sock", ""},
        {"DOCKER_SOCKET=docker.sock", "DOCKER_SOCKET"},
        {"DOCKER_SOCKET=unix:///var/run/docker.sock", "DOCKER_SOCKET"}, {"DOCKER_GID=998", ""},
        {"DOCKER_GID=", "DOCKER_GID"}, {"DOCKER_GID=docker", "DOCKER_GID"},
        {"DOCKER_GID=0x3e6", "DOCKER_GID"}, {"DOCKER_GID=4294967295", "DOCKER_GID"}, {"ALLOW_ROOT_GID=1", ""},
        {"NAMES=scoped", ""}, {"NAMES=namespaced", ""},
        {"NAMES=Scoped", "NAMES=\"Scoped\" is not valid: it takes scoped or namespaced"},
        {"ALLOW_START=1", ""}, {"ALLOW_START=true", ""}, {"ALLOW_START=0", ""}, {"ALLOW_START=false", ""},
        {"ALLOW_START=", "ALLOW_START=\"\""},
        {"ALLOW_START=yes", "ALLOW_START=\"yes\" is not valid: it takes 0 or 1"},
        {"ALLOW_START= 1", "0 or 1"}, {"ALLOW_START=2", "0 or 1"}, {"ALLOW_START=TRUE", "0 or 1"},
        {"ALLOW_STOP=1", ""}, {"ALLOW_RESTARTS=1", ""}, {"ALLOW_EXEC=1", ""}, {"ALLOW_ARCHIVE_PUT=1", ""},
        {"ALLOW_EXPORT=1", ""}, {"ALLOW_UPDATE=1", ""}, {"ALLOW_RENAME=1", ""}, {"ALLOW_IMAGE_PULL=1", ""},
        {"ALLOW_GATEWAY_EXEC=1", ""}, {"FILTER=enforce", ""}, {"FILTER=report", ""},
        {"FILTER=off", "FILTER=\"off\" is not valid: it takes enforce or report"}, {"FILTER=", "FILTER"},
        {"ALLOW_STRAT=1", "ALLOW_STRAT is not a setting; did you mean ALLOW_START?"},
        {"ALLOW_RESTART=1", "did you mean ALLOW_RESTARTS?"}, {"allow_start=yes", ""},
        {"LIMIT_MEM=1G", "LIMIT_MEM is not a setting"}, {"ALLOW_POST=1", "ALLOW_POST is not a setting"},
        {"ALLOW_=1", "ALLOW_ is not a setting"}, {"LIMIT_CONTAINER=1", "did you mean LIMIT_CONTAINERS?"},
        {"SOMETHING=else", ""}, {"ALLOW_IMAGES=a:1,b@sha256:00", ""}, {"ALLOW_IMAGES=", ""},
        {"ALLOW_IMAGES=a,,b", "ALLOW_IMAGES"}, {"ALLOW_IMAGES=a,", "ALLOW_IMAGES"},
        {"ALLOW_IMAGES=a,a", "ALLOW_IMAGES names a twice"}, {"ALLOW_BIND_MOUNT_FROM=/data/a,/data/b", ""},
        {"ALLOW_BIND_MOUNT_FROM=", ""}, {"ALLOW_BIND_MOUNT_FROM=data", "ALLOW_BIND_MOUNT_FROM"},
        {"ALLOW_BIND_MOUNT_FROM=/data/", "ALLOW_BIND_MOUNT_FROM"},
        {"ALLOW_BIND_MOUNT_FROM=/data, /b", "ALLOW_BIND_MOUNT_FROM"},
        {"ALLOW_BIND_MOUNT_FROM=/", "ALLOW_BIND_MOUNT_FROM"},
        {"ALLOW_BIND_MOUNT_FROM=/etc/x", "ALLOW_BIND_MOUNT_FROM: /etc/x would open /etc of the host"},
        {"LIMIT_MEMORY=512M", ""}, {"LIMIT_MEMORY=512", "LIMIT_MEMORY"}, {"LIMIT_MEMORY=5M", "at least 6M"},
        {"LIMIT_MEMORY=-1", "LIMIT_MEMORY"}, {"LIMIT_CPUS=0.5", ""}, {"LIMIT_CPUS=0", "LIMIT_CPUS"},
        {"LIMIT_CPUS=0.001", "LIMIT_CPUS must be 0.01 to 1024 CPUs"}, {"LIMIT_CPUS=1,5", "LIMIT_CPUS"},
        {"LIMIT_PIDS=0", "LIMIT_PIDS"}, {"LIMIT_PIDS=64", ""}, {"LIMIT_PIDS=4194305", "LIMIT_PIDS"},
        {"LIMIT_CONTAINERS=3", ""}, {"LIMIT_CONTAINERS=0", "LIMIT_CONTAINERS"}, {"LOG_LEVEL=debug", ""},
        {"LOG_LEVEL=loud", "LOG_LEVEL=\"loud\" is not valid: it takes error, warning, notice, info or debug"},
        {"OTHER_TENANTS=b,a-b", ""}, {"OTHER_TENANTS=B", "OTHER_TENANTS"},
        {"OTHER_TENANTS=a", "OTHER_TENANTS names the tenant itself"}, {"GATEWAY_NAME=openclaw-gw-a", ""},
        {"GATEWAY_NAME=/openclaw-gw-a", "GATEWAY_NAME is written without '/'"},
        {"SANDBOX_NETWORK_ID=1111111111111111111111111111111111111111111111111111111111111111", ""},
        {"SANDBOX_NETWORK_ID=clawsup-net-a", "SANDBOX_NETWORK_ID"},
        {"SANDBOX_NETWORK_ID=", "SANDBOX_NETWORK_ID"}, {"SANDBOX_NETWORK_ID=1111", "64 hexadecimal digits"},
        {"SANDBOX_NETWORK_NAME=x", "SANDBOX_NETWORK_NAME needs"}, {"GATEWAY_NAME=", "GATEWAY_NAME"},
        {"MATCH_CONTAINER_NAME=", "MATCH_CONTAINER_NAME"}, {"MATCH_CONTAINER_NAME=openclaw-sbx-a-*", ""},
        {"MATCH_CONTAINER_NAME=*", "MATCH_CONTAINER_NAME matches \"a\""},
        {"MATCH_CONTAINER_NAME=regex:openclaw-sbx-a-[0-9]+", ""},
        {"MATCH_CONTAINER_NAME=regex:openclaw-(", "MATCH_CONTAINER_NAME: regular expression"},
        {"TENANT=b", "TENANT is given twice"}};
    return cr_make_param_array(struct line, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct line *l, settings, environment)
{
    char *argv[] = {program, NULL}, *env[] = {tenant, l->env, NULL};
    _cleanup_settings_ struct settings s = {0};
    struct err e = {0};
    int r = settings_parse(1, argv, env, &s, &e);

    if (l->want[0]) {
        cr_expect_lt(r, 0, "%s was taken", l->env);
        cr_expect_not_null(strstr(e.msg, l->want), "%s: %s", l->env, e.msg);
    } else {
        cr_expect_eq(r, 0, "%s: %s", l->env, e.msg);
    }
}

Test(settings, what_is_not_switched_on_is_off)
{
    char *argv[] = {program, NULL}, *env[] = {tenant, NULL};
    _cleanup_settings_ struct settings s = {0};
    const struct policy *p;
    struct err e = {0};

    cr_assert_eq(settings_parse(1, argv, env, &s, &e), 0, "%s", e.msg);
    p = s.policy;
    cr_expect_not(p->allow_start || p->allow_stop || p->allow_restart || p->allow_exec || p->allow_update ||
                  p->allow_rename || p->allow_archive_put || p->allow_export || p->allow_image_pull ||
                  p->allow_network_read || p->allow_gateway_exec);
    cr_expect_eq(p->images.n + p->bind_mount_from.n, 0);
    cr_expect_str_eq(p->match_container_name, "openclaw-sbx-a-*");
    cr_expect_str_eq(s.engine_socket, "/var/run/docker.sock");
    cr_expect_eq(s.n_listen, 1);
    cr_expect(s.listen[0].tcp);
    cr_expect_str_eq(s.listen[0].address, "127.0.0.1");
    cr_expect_eq(s.listen[0].port, 2375);
}

/* Each switch sets its own member and no other: a row that was copied wrongly would open the wrong door. */
struct toggle {
    char env[32];
    unsigned bit;
};

static unsigned switches(const struct settings *s)
{
    const struct policy *p = s->policy;
    const bool on[] = {p->allow_start, p->allow_stop, p->allow_restart, p->allow_exec, p->allow_archive_put,
        p->allow_export, p->allow_update, p->allow_rename, p->allow_image_pull, p->allow_gateway_exec,
        s->allow_root_gid, p->allow_network_read};
    unsigned bits = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(on); i++)
        bits |= (unsigned)on[i] << i;
    return bits;
}

ParameterizedTestParameters(settings, switches)
{
    static struct toggle rows[] = {{"ALLOW_START=1", 0}, {"ALLOW_STOP=1", 1}, {"ALLOW_RESTARTS=1", 2},
        {"ALLOW_EXEC=1", 3}, {"ALLOW_ARCHIVE_PUT=1", 4}, {"ALLOW_EXPORT=1", 5}, {"ALLOW_UPDATE=1", 6},
        {"ALLOW_RENAME=1", 7}, {"ALLOW_IMAGE_PULL=1", 8}, {"ALLOW_GATEWAY_EXEC=1", 9},
        {"ALLOW_ROOT_GID=1", 10}, {"ALLOW_NETWORK_READ=1", 11}};
    return cr_make_param_array(struct toggle, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct toggle *t, settings, switches)
{
    char *argv[] = {program, NULL}, *env[] = {tenant, t->env, NULL};
    _cleanup_settings_ struct settings s = {0};
    struct err e = {0};

    cr_assert_eq(settings_parse(1, argv, env, &s, &e), 0, "%s", e.msg);
    cr_expect_eq(switches(&s), 1U << t->bit, "%s", t->env);
}

Test(settings, values_arrive)
{
    char listen[] = "LISTEN=unix:/a,mode=0600,uid=1,gid=2,tcp://[::1]:80", images[] = "ALLOW_IMAGES=x:1,y",
         binds[] = "ALLOW_BIND_MOUNT_FROM=/data/w", memory[] = "LIMIT_MEMORY=512M", cpus[] = "LIMIT_CPUS=0.5",
         pids[] = "LIMIT_PIDS=7", n[] = "LIMIT_CONTAINERS=3", gid[] = "DOCKER_GID=998",
         gateway[] = "GATEWAY_NAME=gw", others[] = "OTHER_TENANTS=a-b", names[] = "NAMES=namespaced";
    char *argv[] = {program, NULL},
         *env[] = {tenant, listen, images, binds, memory, cpus, pids, n, gid, gateway, others, names, NULL};
    _cleanup_settings_ struct settings s = {0};
    struct err e = {0};

    cr_assert_eq(settings_parse(1, argv, env, &s, &e), 0, "%s", e.msg);
    cr_assert_eq(s.n_listen, 2);
    cr_expect_str_eq(s.listen[0].address, "/a");
    cr_expect(s.listen[0].mode == 0600 && s.listen[0].uid == 1 && s.listen[0].gid == 2 && !s.listen[0].tcp);
    cr_expect_str_eq(s.listen[1].address, "::1");
    cr_expect(s.listen[1].tcp && s.listen[1].port == 80);
    cr_expect(policy_list_has(&s.policy->images, "x:1") && policy_list_has(&s.policy->images, "y"));
    cr_expect_str_eq(s.policy->bind_mount_from.items[0], "/data/w");
    cr_expect_eq(s.policy->memory_bytes, UINT64_C(536870912));
    cr_expect_eq(s.policy->nano_cpus, 500000000);
    cr_expect_eq(s.policy->pids, 7);
    cr_expect_eq(s.policy->max_containers, 3);
    cr_expect_str_eq(s.docker_gid, "998");
    cr_expect_str_eq(s.policy->gateway_name, "gw");
    cr_expect(policy_list_has(&s.policy->other_tenants, "a-b"));
    cr_expect_eq(s.policy->names, POLICY_NAMES_NAMESPACED);
}

Test(settings, tenant_is_required)
{
    char *argv[] = {program, NULL}, *none[] = {NULL}, *bad[] = {upper, NULL};
    struct settings s = {0};
    struct err e = {0};

    cr_expect_eq(settings_parse(1, argv, none, &s, &e), -EINVAL);
    cr_expect_not_null(strstr(e.msg, "TENANT is not set"), "%s", e.msg);
    settings_done(&s);
    cr_expect_eq(settings_parse(1, argv, bad, &s, &e), -EINVAL);
    settings_done(&s);
}

/* ---- flags */
struct args {
    char arg[3][48];
    char want[96]; /* "" = valid */
};

ParameterizedTestParameters(settings, argv)
{
    static struct args rows[] = {{{"--supervised", "--listen-fds=2"}, ""},
        {{"--supervised"}, "--supervised needs --listen-fds=N"},
        {{"--supervised", "--listen-fds=2", "--log-level=debug"}, ""},
        {{"--supervised", "--listen-fds=2", "--engine-socket=/a"}, ""},
        {{"--supervised", "--listen-fds=2", "--allow-exec=1"}, "--allow-exec does not go with --supervised"},
        {{"--supervised", "--listen-fds=2", "--log-level=x"}, "--log-level=\"x\" is not valid"},
        {{"--listen-fds=2"}, "--listen-fds goes with --supervised only"},
        {{"--engine-socket=/a"}, "--engine-socket (alone it is --docker-socket) goes with --supervised only"},
        {{"--engine-socket=a"}, "it takes an absolute path"},
        {{"--supervised", "--listen-fds=0"}, "a number from 1 to 16"},
        {{"--supervised", "--listen-fds=17"}, "a number from 1 to 16"}, {{"--help"}, ""}, {{"--version"}, ""},
        {{"--log-level=debug"}, ""}, {{"--log-level", "debug"}, ""}, {{"--log-level=x"}, "--log-level=\"x\""},
        {{"--log-level"}, "--log-level needs a value"}, {{"--docker-socket=/a"}, ""},
        {{"--allow-start=1", "--allow-start=1"}, "--allow-start is given twice"},
        {{"--allow-strat=1"}, "--allow-strat=1 is not an option; did you mean --allow-start?"},
        {{"--ALLOW_START=1"}, "is not an option"}, {{"ALLOW_START=1"}, "is not an option"},
        {{"--nothing"}, "--nothing is not an option. See --help"}, {{"word"}, "word is not an option"},
        {{"--allow-images=a,a"}, "--allow-images names a twice"}, {{"--healthcheck"}, ""}};
    return cr_make_param_array(struct args, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct args *a, settings, argv)
{
    char *argv[] = {program, a->arg[0], a->arg[1], a->arg[2], NULL}, *env[] = {tenant, NULL};
    _cleanup_settings_ struct settings s = {0};
    struct err e = {0};
    int r = settings_parse(a->arg[2][0] ? 4 : a->arg[1][0] ? 3 : 2, argv, env, &s, &e);

    if (a->want[0]) {
        cr_expect_eq(r, -EINVAL, "%s %s %s", a->arg[0], a->arg[1], a->arg[2]);
        cr_expect_not_null(strstr(e.msg, a->want), "%s", e.msg);
    } else {
        cr_expect_eq(r, 0, "%s", e.msg);
    }
}

Test(settings, flags_win)
{
    char wrong[] = "ALLOW_STOP=maybe", start[] = "ALLOW_START=1", f1[] = "--allow-start=0",
         f2[] = "--allow-stop", one[] = "1", f3[] = "--tenant=b", f4[] = "--listen=unix:/x";
    char *argv[] = {program, f1, f2, one, f3, f4, NULL}, *env[] = {tenant, start, wrong, NULL};
    _cleanup_settings_ struct settings s = {0};
    struct err e = {0};

    cr_assert_eq(settings_parse(6, argv, env, &s, &e), 0, "%s", e.msg);
    cr_expect_not(s.policy->allow_start);
    cr_expect(s.policy->allow_stop);
    cr_expect_str_eq(s.policy->tenant, "b");
    cr_expect_str_eq(s.listen[0].address, "/x");
}

/* It runs beside a proxy that was started with whatever it was started with. */
Test(settings, a_health_check_needs_only_where_to_ask)
{
    char check[] = "--healthcheck", listen[] = "LISTEN=unix:/x", other[] = "ALLOW_STRAT=1",
         bad[] = "LISTEN=x";
    char *argv[] = {program, check, NULL}, *env[] = {other, listen, NULL}, *wrong[] = {bad, NULL};
    struct settings s = {0};
    struct err e = {0};

    cr_expect_eq(settings_parse(2, argv, env, &s, &e), 0, "%s", e.msg);
    cr_expect_str_eq(s.listen[0].address, "/x");
    settings_done(&s);
    cr_expect_eq(settings_parse(2, argv, wrong, &s, &e), -EINVAL);
    settings_done(&s);
}

/* ---- the pinned API version */
struct pin {
    char max[8], min[8], wanted[8];
    int r;
    unsigned minor;
};

ParameterizedTestParameters(link, pin)
{
    static struct pin rows[] = {{"1.41", "1.12", "", 0, 41}, {"1.45", "1.24", "", 0, 45},
        {"1.52", "1.44", "", 0, 52}, {"1.60", "1.44", "", 0, ROUTE_ENGINE_MINOR_MAX},
        {"1.40", "1.12", "", -ENOTSUP, 0}, {"1.70", "1.60", "", -ENOTSUP, 0}, {"1.45", "1.24", "1.43", 0, 43},
        {"1.45", "1.44", "1.43", -ENOTSUP, 0}, {"1.45", "1.24", "1.46", -ENOTSUP, 0},
        {"1.45", "1.24", "v1.43", -EINVAL, 0}, {"", "1.24", "", -EINVAL, 0}, {"2.1", "1.24", "", -EINVAL, 0},
        {"1.4x", "1.24", "", -EINVAL, 0}, {"1.100", "1.24", "", -EINVAL, 0}};
    return cr_make_param_array(struct pin, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct pin *p, link, pin)
{
    unsigned minor = 0;
    struct err e = {0};

    cr_expect_eq(link_pin(p->max, p->min, p->wanted, &minor, &e), p->r, "%s..%s: %s", p->min, p->max, e.msg);
    cr_expect_eq(minor, p->minor, "%s..%s gave %u", p->min, p->max, minor);
}
