/* test_settings.c: the proxy's command line and environment: a value is taken whole or the program stops. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <errno.h>
#include <string.h>

#include "proxy/link.h"
#include "proxy/settings.h"

static char program[] = "clawsup-proxy", tenant[] = "TENANT=a", upper[] = "TENANT=A";

struct line {
    char env[96];
    char want[32]; /* "" = valid; else a word of the error */
};

ParameterizedTestParameters(settings, environment)
{
    static struct line rows[] = {{"LISTEN=unix:/run/a.sock", ""},
        {"LISTEN=unix:/run/a.sock,mode=0600,uid=1000", ""}, {"LISTEN=tcp:127.0.0.1:2375", ""},
        {"LISTEN=tcp:[::1]:2375 unix:/a", ""}, {"LISTEN=", "LISTEN"}, {"LISTEN=unix:a.sock", "LISTEN"},
        {"LISTEN=unix:/a,mode=999", "LISTEN"}, {"LISTEN=unix:/a,mode=07777", "LISTEN"},
        {"LISTEN=unix:/a,owner=x", "LISTEN"}, {"LISTEN=tcp:localhost:1", "LISTEN"},
        {"LISTEN=tcp:1.2.3.4:0", "LISTEN"}, {"LISTEN=tcp:1.2.3.4:65536", "LISTEN"}, {"LISTEN=/a", "LISTEN"},
        {"LISTEN=unix:/a/../b", "LISTEN"}, {"DOCKER_SOCKET=/var/run/docker.sock", ""},
        {"DOCKER_SOCKET=docker.sock", "DOCKER_SOCKET"}, {"NAMES=scoped", ""}, {"NAMES=namespaced", ""},
        {"NAMES=Scoped", "scoped or namespaced"}, {"ALLOW_START=1", ""}, {"ALLOW_START=true", ""},
        {"ALLOW_START=0", ""}, {"ALLOW_START=", "ALLOW_START"}, {"ALLOW_START=yes", "0 or 1"},
        {"ALLOW_START= 1", "0 or 1"}, {"ALLOW_STRAT=1", "ALLOW_START"}, {"ALLOW_RESTART=1", "ALLOW_RESTARTS"},
        {"LIMIT_MEM=1G", "LIMIT_MEM"}, {"SOMETHING=else", ""}, {"ALLOW_IMAGES=a:1,b@sha256:00", ""},
        {"ALLOW_IMAGES=a,,b", "ALLOW_IMAGES"}, {"ALLOW_BIND_MOUNT_FROM=/data/a,/data/b", ""},
        {"ALLOW_BIND_MOUNT_FROM=data", "ALLOW_BIND_MOUNT_FROM"},
        {"ALLOW_BIND_MOUNT_FROM=/data/", "ALLOW_BIND_MOUNT_FROM"}, {"LIMIT_MEMORY=512M", ""},
        {"LIMIT_MEMORY=512", "LIMIT_MEMORY"}, {"LIMIT_MEMORY=-1", "LIMIT_MEMORY"}, {"LIMIT_CPUS=0.5", ""},
        {"LIMIT_CPUS=0", "LIMIT_CPUS"}, {"LIMIT_PIDS=0", "LIMIT_PIDS"}, {"LIMIT_PIDS=64", ""},
        {"LOG_LEVEL=debug", ""}, {"LOG_LEVEL=loud", "LOG_LEVEL"},
        {"MATCH_CONTAINER_NAME=", "MATCH_CONTAINER_NAME"}, {"MATCH_CONTAINER_NAME=openclaw-sbx-a-*", ""},
        {"MATCH_CONTAINER_NAME=regex:openclaw-(", "match_container_name"}};
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
    struct err e = {0};

    cr_assert_eq(settings_parse(1, argv, env, &s, &e), 0, "%s", e.msg);
    cr_expect_not(
        s.policy->allow_start || s.policy->allow_stop || s.policy->allow_restart || s.policy->allow_exec);
    cr_expect_str_eq(s.engine_socket, "/var/run/docker.sock");
    cr_expect_eq(s.n_listen, 1);
    cr_expect_str_eq(s.listen[0].address, "/run/clawsup/docker.sock");
    cr_expect_eq(s.listen[0].mode, 0660);
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

struct args {
    char arg[2][48];
    int r;
};

ParameterizedTestParameters(settings, argv)
{
    static struct args rows[] = {{{"--supervised", "--listen-fds=2"}, 0}, {{"--supervised", ""}, -EINVAL},
        {{"--listen-fds=2", ""}, -EINVAL}, {{"--supervised", "--listen-fds=0"}, -EINVAL},
        {{"--supervised", "--listen-fds=17"}, -EINVAL}, {{"--help", ""}, 0}, {{"--version", ""}, 0},
        {{"--log-level=debug", ""}, 0}, {{"--log-level=x", ""}, -EINVAL}, {{"--engine-socket=/a", ""}, 0},
        {{"--engine-socket=a", ""}, -EINVAL}, {{"--nothing", ""}, -EINVAL}, {{"word", ""}, -EINVAL}};
    return cr_make_param_array(struct args, rows, ARRAY_SIZE(rows));
}

ParameterizedTest(struct args *a, settings, argv)
{
    char *argv[] = {program, a->arg[0], a->arg[1], NULL}, *env[] = {tenant, NULL};
    _cleanup_settings_ struct settings s = {0};
    struct err e = {0};

    cr_expect_eq(settings_parse(a->arg[1][0] ? 3 : 2, argv, env, &s, &e), a->r, "%s %s: %s", a->arg[0],
        a->arg[1], e.msg);
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
        {"1.52", "1.44", "", 0, 52}, {"1.60", "1.44", "", 0, LINK_MINOR_MAX},
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
