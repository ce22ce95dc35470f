/* main.c: clawsup-proxy: from argv to the loop. Everything that needs a name (sockets, groups, the policy) is
 * opened here, before the sandbox closes; no byte of a client is read before that. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "proxy/conn.h"
#include "proxy/control.h"
#include "proxy/healthcheck.h"
#include "proxy/link.h"
#include "proxy/listener.h"
#include "proxy/pool.h"
#include "proxy/preflight.h"
#include "proxy/proxy.h"
#include "proxy/recorder.h"
#include "proxy/registry.h"
#include "proxy/sandbox.h"
#include "proxy/settings.h"
#include "proxy/tunnel.h"

#define FD_POLICY 3
#define FD_CONTROL 4
#define FD_LISTENER 5
#define FD_CLIENTS 6
#define POLICY_MAX ((size_t)1024 * 1024)
/* A sidecar that was started as root becomes this: nobody, in the numbers that every distribution uses. */
#define SIDECAR_UID ((uid_t)65534)
#define SIDECAR_GID ((gid_t)65534)
#define EXIT_CONFIG 78
#define STOP_LIMIT_US (5 * USEC_PER_SEC)
/* A long answer comes and goes with each request: its memory is kept rather than given back to the kernel
 * and taken again, page by page. What is larger is mapped on its own and given back at once. */
#define HEAP_KEPT (512 * 1024)

extern char **environ;

struct program {
    struct settings settings;
    struct proxy proxy;
    struct listener listeners[SETTINGS_LISTEN_MAX];
    int fds[SETTINGS_LISTEN_MAX];
    size_t n_fds;
    char policy_hash[HASH_HEX_SIZE];
    int output; /* a sidecar's, for decision records */
    struct loop_io signals;
    struct policy *policy; /* the supervised one's; a sidecar's belongs to its settings */
};

/* ---- what clawsupd hands over */
static int take_policy(struct program *g, struct err *e)
{
    _cleanup_close_ int fd = FD_POLICY;
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ json_t *j = NULL;
    size_t len = 0;
    int r;

    if (!fd_memfd_is_sealed(fd))
        return err_set(e, -EINVAL, "descriptor %d is no sealed memfd; --supervised is for clawsupd", fd);
    r = fd_read_all(fd, POLICY_MAX, &text, &len);
    if (r < 0)
        return err_set(e, r, "cannot read the policy: %s", strerror(-r));
    hash_hex(text, len, g->policy_hash);
    r = json_load_strict(text, len, POLICY_MAX, &j, e);
    if (r >= 0)
        r = policy_from_json(j, &g->policy, e);
    return r < 0 ? err_prefix(e, r, "policy") : 0;
}

static int take_descriptors(struct program *g, struct err *e)
{
    int r = take_policy(g, e);

    for (int fd = FD_CONTROL; r >= 0 && fd < FD_CLIENTS + (int)g->settings.n_listen_fds; fd++) {
        r = fd_set_cloexec(fd, true);
        if (r < 0)
            return err_set(e, r, "descriptor %d: %s; --supervised is for clawsupd", fd, strerror(-r));
        if (fd >= FD_CLIENTS)
            g->fds[g->n_fds++] = fd;
    }
    if (r >= 0)
        r = fd_set_nonblock(FD_CONTROL, true);
    if (r >= 0)
        r = fd_set_nonblock(FD_LISTENER, true);
    return r;
}

/* ---- alone */
static int prepare_sidecar(struct program *g, struct err *e)
{
    const struct settings *s = &g->settings;
    gid_t gid = 0;
    int r = preflight_standard_fds(e);

    if (r >= 0)
        r = preflight_engine_group(s, &gid, e);
    if (r >= 0)
        r = preflight_bind_roots(s, e);
    if (r < 0)
        return r;
    preflight_listen(s);
    g->output = recorder_open();
    if (g->output < 0)
        return err_set(e, g->output, "standard output: %s", strerror(-g->output));
    r = listener_open(s, g->fds, &g->n_fds, e);
    if (r >= 0 && geteuid() == 0)
        r = sandbox_drop_user(SIDECAR_UID, SIDECAR_GID, gid, e);
    return r;
}

/* ---- signals */
static void on_signal(struct loop_io *io, uint32_t events)
{
    struct program *g = io->ctx;
    struct signalfd_siginfo si;

    (void)events;
    if (read(io->fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
        return;
    if (g->proxy.draining)
        loop_exit(g->proxy.loop, 0);
    else
        proxy_drain(&g->proxy, STOP_LIMIT_US);
}

static int watch_signals(struct program *g)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    g->signals =
        (struct loop_io){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .fn = on_signal, .ctx = g};
    if (g->signals.fd < 0)
        return -errno;
    return loop_io_set(g->proxy.loop, &g->signals, EPOLLIN);
}

/* ---- running */
static void on_first(struct proxy *p, bool ok)
{
    (void)ok; /* without an engine clients get a 503 that says so */
    listener_start(p);
}

/* registry_unstage_fn */
static void unstage(void *ctx, const char *path)
{
    control_unstage(ctx, path);
}

static int start(struct program *g, struct err *e)
{
    struct proxy *p = &g->proxy;
    struct control_config cc = {.fd = FD_CONTROL,
        .listener = FD_LISTENER,
        .clients = g->fds,
        .n_clients = g->n_fds,
        .policy_hash = g->policy_hash};
    int r;

    p->engine_socket = g->settings.engine_socket;
    splicer_open(&p->splicer);
    r = names_new(p->policy, &p->names, e);
    if (r < 0)
        return r;
    r = loop_new(&p->loop);
    if (r >= 0)
        r = pool_new(p->loop, &p->pool);
    if (r >= 0)
        r = registry_new(p->policy, p->names, &p->registry);
    if (r >= 0)
        r = watch_signals(g);
    if (r < 0)
        return err_set(e, r, "%s", strerror(-r));
    r = listener_init(p, g->listeners, g->fds, g->n_fds, e);
    if (r >= 0 && g->settings.mode == SETTINGS_SUPERVISED) {
        r = control_new(p, &cc, &p->control);
        if (r < 0)
            return err_set(e, r, "control channel: %s", strerror(-r));
        registry_set_unstage(p->registry, unstage, p->control);
    }
    if (r >= 0 && g->settings.mode == SETTINGS_SIDECAR) {
        r = recorder_new(p, TAKE_FD(g->output), &p->recorder);
        if (r < 0)
            return err_set(e, r, "standard output: %s", strerror(-r));
    }
    if (r >= 0)
        r = link_new(p, on_first, &p->link);
    return r;
}

static void stop(struct program *g)
{
    struct proxy *p = &g->proxy;

    p->draining = true;
    if (p->loop) {
        while (p->conns)
            conn_close(p->conns);
        tunnel_close_all(p);
        loop_timer_cancel(p->loop, &p->drain_timer);
        loop_io_stop(p->loop, &g->signals);
        listener_stop(p);
    }
    p->link = link_free(p->link);
    if (p->registry)
        registry_set_unstage(p->registry, NULL, NULL);
    p->control = control_free(p->control);
    p->recorder = recorder_free(p->recorder);
    p->registry = registry_free(p->registry);
    p->names = names_free(p->names);
    p->pool = pool_free(p->pool);
    splicer_close(&p->splicer);
    p->loop = loop_free(p->loop);
    (void)fd_close(g->signals.fd);
    (void)fd_close(g->output);
    (void)policy_free(g->policy);
    settings_done(&g->settings);
}

static int run(struct program *g, struct err *e)
{
    int r;

    r = g->settings.mode == SETTINGS_SUPERVISED ? take_descriptors(g, e) : prepare_sidecar(g, e);
    if (r < 0)
        return r;
    g->proxy.policy = g->policy ? g->policy : g->settings.policy;
    r = start(g, e);
    if (r >= 0) /* client and engine per connection, twice over while one closes, and a few of our own */
        r = sandbox_enter((unsigned)MIN(g->proxy.policy->max_connections, (uint64_t)65536) * 4 + 64, e);
    if (r < 0)
        return r;
    log_info("clawsup-proxy %s: tenant %s, engine %s", CLAWSUP_VERSION, g->proxy.policy->tenant,
        g->settings.engine_socket);
    if (g->proxy.policy->filter == POLICY_FILTER_REPORT)
        log_warning("the filter only reports: opt-in switches that are off refuse nothing");
    r = loop_run(g->proxy.loop);
    return r < 0 ? err_set(e, r, "event loop: %s", strerror(-r)) : r;
}

int main(int argc, char **argv)
{
    /* Static: the scratch buffer is larger than a stack frame should be. */
    static struct program g = {
        .output = -EBADF, .signals = {.fd = -EBADF}, .proxy = {.splicer = SPLICER_NONE}};
    struct err e = {0};
    int r;

    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_KEPT);
    log_set_name("clawsup-proxy");
    r = settings_parse(argc, argv, environ, &g.settings, &e);
    if (r >= 0) {
        log_set_level(g.settings.log_level);
        switch (g.settings.mode) {
        case SETTINGS_HELP:
            (void)fputs(settings_help(), stdout);
            settings_done(&g.settings);
            return 0;
        case SETTINGS_VERSION:
            (void)printf("clawsup-proxy %s\n", CLAWSUP_VERSION);
            settings_done(&g.settings);
            return 0;
        case SETTINGS_HEALTHCHECK:
            r = healthcheck_run(&g.settings, &e);
            if (r < 0)
                (void)fprintf(stderr, "clawsup-proxy: %s\n", e.msg);
            settings_done(&g.settings);
            return r < 0;
        case SETTINGS_SIDECAR:
        case SETTINGS_SUPERVISED:
        case _SETTINGS_MODE_MAX:
            break;
        }
        r = run(&g, &e);
    }
    if (r < 0)
        log_error("%s", e.msg[0] ? e.msg : strerror(-r));
    stop(&g);
    return r < 0 ? (r == -EINVAL || r == -EPERM || r == -ESRCH ? EXIT_CONFIG : 1) : r;
}
