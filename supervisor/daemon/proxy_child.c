/* proxy_child.c: see proxy_child.h: sockets, launch, death. The conversation with the process is
 * proxy_link.c. */
#include "daemon/proxy_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/fdstore.h"

#define FD_POLICY 3
#define FD_CONTROL 4
#define FD_LISTENER 5
#define FD_CLIENTS 6
#define FD_SPARE                                                                                             \
    200 /* above every fixed number: sources are moved here first, so that no dup2 overwrites one */

/* ---------------------------------------------------------------- sockets */

static int tcp_address(const struct config_listen *l, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(l->port)};
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(l->port)};
    bool v4 = inet_pton(AF_INET, l->address, &a4.sin_addr) == 1;

    if (!v4 && inet_pton(AF_INET6, l->address, &a6.sin6_addr) != 1)
        return -EINVAL;
    memset(ret, 0, sizeof(*ret));
    *ret_len = v4 ? sizeof(a4) : sizeof(a6);
    memcpy(ret, v4 ? (const void *)&a4 : (const void *)&a6, *ret_len);
    return 0;
}

static int listen_tcp(const struct config_listen *l, struct err *e)
{
    _cleanup_close_ int fd = -EBADF;
    struct sockaddr_storage ss;
    socklen_t len;
    int one = 1;
    bool v4;

    if (tcp_address(l, &ss, &len) < 0)
        return err_set(e, -EINVAL, "%s: not an IP address", l->text);
    v4 = ss.ss_family == AF_INET;
    fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, -errno, "socket: %m");
    /* FREEBIND: the tenant's bridge, which carries the address, may not exist yet. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        setsockopt(fd, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_FREEBIND : IPV6_FREEBIND, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 4096) < 0)
        return err_set(e, -errno, "%s: %m", l->text);
    return TAKE_FD(fd);
}

static bool is_open_at(int fd, const struct config_listen *l)
{
    struct sockaddr_storage want, have = {0};
    socklen_t len, n = sizeof(have);

    if (l->is_unix)
        return fd_is_listener_of(fd, l->path);
    return tcp_address(l, &want, &len) >= 0 && getsockname(fd, (struct sockaddr *)&have, &n) >= 0 &&
           n == len && memcmp(&want, &have, len) == 0;
}

static void close_clients(struct proxy_child *p)
{
    for (size_t i = 0; i < p->n_clients; i++)
        p->clients[i] = fd_close(p->clients[i]);
    p->n_clients = 0;
}

static bool is_in_own_directory(const struct proxy_child *p, const char *path)
{
    _cleanup_free_ char *dir = NULL;

    return asprintf(&dir, "%s/%s", p->tenant->manager->config->runtime_dir, p->tenant->slug) >= 0 &&
           str_is_clean_path(path) && strcmp(dir, path) != 0 && str_path_covers(dir, path);
}

/* A socket that is no longer asked for: its path would only lead to refusals. */
static void drop_client(int fd, const struct proxy_child *p)
{
    const struct config_proxy *c = &p->tenant->config->proxy;
    _cleanup_free_ char *path = NULL;
    bool wanted = false;

    /* The descriptor may come from a proxy that somebody has taken over: only what lies in the tenant's own
     * directory is removed on its word. */
    if (fd_listener_path(fd, &path) >= 0 && is_in_own_directory(p, path)) {
        for (size_t i = 0; i < c->n_listen; i++)
            wanted = wanted || (c->listen[i].is_unix && strcmp(c->listen[i].path, path) == 0);
        if (!wanted)
            (void)unlink(path);
    }
    (void)fd_close(fd);
}

/* The open socket for `l`, taken out of `old`; -1: there is none. */
static int take_open(int *old, size_t n, const struct config_listen *l, uid_t uid)
{
    for (size_t i = 0; i < n; i++) {
        if (old[i] < 0 || !is_open_at(old[i], l))
            continue;
        if (l->is_unix && lchown(l->path, uid, (gid_t)-1) < 0)
            return -1;
        return TAKE_FD(old[i]);
    }
    return -1;
}

/* Copies go to systemd, where there is one: see fdstore.h. */
static void keep(const struct proxy_child *p, bool changed)
{
    char name[SLUG_MAX + 16];

    (void)snprintf(name, sizeof(name), "%s.clients", p->tenant->slug);
    if (changed)
        fdstore_remove(name);
    for (size_t i = 0; i < p->n_clients; i++)
        fdstore_put(name, p->clients[i]);
}

static void take_kept(struct proxy_child *p)
{
    char name[SLUG_MAX + 16];
    int fd;

    (void)snprintf(name, sizeof(name), "%s.clients", p->tenant->slug);
    while (p->n_clients < PROXY_LISTEN_MAX && (fd = fdstore_take(name)) >= 0)
        p->clients[p->n_clients++] = fd;
}

int proxy_child_reopen(struct proxy_child *p, struct err *e)
{
    const struct config_proxy *c = &p->tenant->config->proxy;
    int fds[PROXY_LISTEN_MAX], old[PROXY_LISTEN_MAX];
    bool fresh[PROXY_LISTEN_MAX] = {false};
    int changed = p->n_clients != c->n_listen;

    if (c->n_listen > PROXY_LISTEN_MAX)
        return err_set(e, -E2BIG, "proxy.listen has more than %d entries", PROXY_LISTEN_MAX);
    memcpy(old, p->clients, sizeof(old));
    for (size_t n = 0; n < c->n_listen; n++) {
        const struct config_listen *l = &c->listen[n];

        fds[n] = take_open(old, p->n_clients, l, c->socket_uid);
        if (fds[n] >= 0)
            continue;
        fds[n] = l->is_unix ? fd_listen_unix(l->path, SOCK_STREAM, 0660, c->socket_uid, (gid_t)-1, e)
                            : listen_tcp(l, e);
        if (fds[n] < 0) {
            int r = fds[n];
            while (n-- > 0)
                if (fresh[n])
                    (void)fd_close(fds[n]);
            return r;
        }
        fresh[n] = true;
        changed = 1;
    }
    for (size_t i = 0; i < p->n_clients; i++)
        if (old[i] >= 0)
            drop_client(old[i], p);
    memcpy(p->clients, fds, c->n_listen * sizeof(fds[0]));
    p->n_clients = c->n_listen;
    keep(p, changed);
    return changed;
}

static int make_dir(const char *path, mode_t mode, struct err *e)
{
    struct stat st;

    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return err_set(e, -errno, "%s: mkdir: %m", path);
    if (lstat(path, &st) < 0)
        return err_set(e, -errno, "%s: %m", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, -ENOTDIR, "%s is not a directory", path);
    if ((st.st_mode & 07777) != mode && chmod(path, mode) < 0)
        return err_set(e, -errno, "%s: chmod: %m", path);
    return 0;
}

static int make_runtime(struct proxy_child *p, struct err *e)
{
    const struct config *c = p->tenant->manager->config;
    static const struct {
        const char *suffix;
        mode_t mode;
        bool slug;
    } dirs[] = {{"", 0755, true}, {".supervisor", 0700, false}, {".supervisor/proxy", 0700, false},
        {".supervisor/staging", 0700, false}};

    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (asprintf(&path, "%s/%s", c->runtime_dir, dirs[i].slug ? p->tenant->slug : dirs[i].suffix) < 0)
            return err_set(e, -ENOMEM, "out of memory");
        r = make_dir(path, dirs[i].mode, e);
        if (r < 0)
            return r;
    }
    if (asprintf(&p->listener_path, "%s/.supervisor/proxy/%s.sock", c->runtime_dir, p->tenant->slug) < 0) {
        p->listener_path = NULL;
        return err_set(e, -ENOMEM, "out of memory");
    }
    return 0;
}

/* ---------------------------------------------------------------- policy */

/* The configuration's policy with what only the running daemon knows. */
static int policy_text(const struct proxy_child *p, char **ret, char ret_hash[static HASH_HEX_SIZE])
{
    _cleanup_json_ json_t *j = NULL;
    const struct tenant *t = p->tenant;
    char *text;
    int r = policy_to_json(t->config->policy, &j);

    if (r < 0)
        return r;
    if ((t->config->sandbox_network && t->network_id[0] &&
            json_object_set_new(j, "network_id", json_string(t->network_id)) < 0) ||
        (t->cgroup_parent[0] && json_object_set_new(j, "cgroup_parent", json_string(t->cgroup_parent)) < 0))
        return -ENOMEM;
    text = json_to_string(j);
    if (!text)
        return -ENOMEM;
    hash_hex(text, strlen(text), ret_hash);
    *ret = text;
    return 0;
}

bool proxy_child_is_current(const struct proxy_child *p)
{
    _cleanup_free_ char *text = NULL;
    char hash[HASH_HEX_SIZE];

    return p->now && policy_text(p, &text, hash) >= 0 && strcmp(hash, p->now->policy) == 0;
}

/* ---------------------------------------------------------------- launch */

struct launch {
    int program, policy, control, listener;
    const int *clients;
    size_t n_clients;
    uid_t uid;
    gid_t gid, docker_gid;
};

/* In the forked child: only async-signal-safe calls until exec. */
static _Noreturn void child_exec(const struct launch *l, char *const *argv)
{
    static char *const environment[] = {NULL}; /* nothing of ours: NOTIFY_SOCKET, proxies, credentials */
    int from[FD_CLIENTS + PROXY_LISTEN_MAX], program;
    size_t n = 0;
    sigset_t none;

    from[n++] = l->policy;
    from[n++] = l->control;
    from[n++] = l->listener;
    for (size_t i = 0; i < l->n_clients; i++)
        from[n++] = l->clients[i];
    /* The supervisor's own protection from the OOM killer is not the proxies'. */
    program = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (program >= 0) {
        (void)!write(program, "0", 1);
        (void)close(program);
    }
    (void)setsid(); /* the proxy outlives a ^C on the daemon's terminal, and the daemon itself */
    for (size_t i = 0; i < n; i++) {
        from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FD_SPARE);
        if (from[i] < 0)
            _exit(71);
    }
    program = fcntl(l->program, F_DUPFD_CLOEXEC, FD_SPARE);
    if (program < 0)
        _exit(71);
    for (size_t i = 0; i < n; i++)
        if (dup2(from[i], FD_POLICY + (int)i) < 0)
            _exit(71);
    (void)close_range((unsigned)(FD_POLICY + n), ~0U, CLOSE_RANGE_CLOEXEC);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (geteuid() == 0) {
        if (setgroups(1, &l->docker_gid) < 0 || setresgid(l->gid, l->gid, l->gid) < 0 ||
            setresuid(l->uid, l->uid, l->uid) < 0)
            _exit(72);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        _exit(73);
    /* By descriptor: the new uid need not be able to walk to the program. */
    (void)syscall(SYS_execveat, program, "", argv, environment, AT_EMPTY_PATH);
    _exit(74);
}

static int start_process(
    struct proxy_child *p, const struct launch *l, struct proxy_process **ret, struct err *e)
{
    struct manager *m = p->tenant->manager;
    _cleanup_free_ char *arg_engine = NULL, *arg_fds = NULL, *arg_log = NULL;
    static const char *const names[] = {[LOG_ERR] = "error",
        [LOG_WARNING] = "warning",
        [LOG_NOTICE] = "notice",
        [LOG_INFO] = "info",
        [LOG_DEBUG] = "debug"};
    struct proxy_process *proc;
    int level = log_get_level();
    char supervised[] = "--supervised";
    pid_t pid;

    if (asprintf(&arg_engine, "--engine-socket=%s", m->config->engine_socket) < 0 ||
        asprintf(&arg_fds, "--listen-fds=%zu", l->n_clients) < 0 ||
        asprintf(&arg_log, "--log-level=%s", level >= LOG_ERR && level <= LOG_DEBUG ? names[level] : "info") <
            0)
        return err_set(e, -ENOMEM, "out of memory");
    proc = calloc(1, sizeof(*proc));
    if (!proc)
        return err_set(e, -ENOMEM, "out of memory");
    proc->child = p;
    proc->control = proc->pidfd = -EBADF;
    pid = fork();
    if (pid < 0) {
        free(proc);
        return err_set(e, -errno, "fork: %m");
    }
    if (pid == 0) {
        char *argv[] = {m->proxy_program, supervised, arg_fds, arg_engine, arg_log, NULL};

        child_exec(l, argv);
    }
    proc->pid = pid;
    /* Our own child: the pid cannot be re-used before we reap it. */
    proc->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (proc->pidfd < 0) {
        int r = err_set(e, -errno, "pidfd_open: %m");
        (void)kill(pid, SIGKILL);
        free(proc);
        return r;
    }
    *ret = proc;
    return 0;
}

static int check_ready_to_launch(struct manager *m, struct tenant *t, struct err *e)
{
    if (!m->docker_gid_known)
        return err_set(e, -EAGAIN, "%s", m->gid_message);
    if (t->config->sandbox_network && !t->network_id[0])
        return err_set(e, -EAGAIN, "waiting for the engine: the sandboxes' network is not known yet");
    return 0;
}

int proxy_child_launch(struct proxy_child *p, bool drain, struct err *e)
{
    struct manager *m = p->tenant->manager;
    _cleanup_close_ int program = -EBADF, policy = -EBADF, ours = -EBADF, theirs = -EBADF;
    _cleanup_free_ char *text = NULL;
    struct proxy_process *proc = NULL;
    char hash[HASH_HEX_SIZE];
    int pair[2], r;

    r = check_ready_to_launch(m, p->tenant, e);
    if (r < 0)
        return r;
    if (p->n_clients == 0) {
        r = proxy_child_reopen(p, e);
        if (r < 0)
            return r;
    }
    r = policy_text(p, &text, hash);
    if (r < 0)
        return err_set(e, r, "policy: %s", strerror(-r));
    policy = fd_memfd_sealed("clawsup-policy", text, strlen(text));
    if (policy < 0)
        return err_set(e, policy, "memfd: %s", strerror(-policy));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return err_set(e, -errno, "socketpair: %m");
    ours = pair[0];
    theirs = pair[1];
    program = open(m->proxy_program, O_PATH | O_CLOEXEC);
    if (program < 0)
        return err_set(e, -errno, "%s: %m; set proxy_program", m->proxy_program);
    struct launch l = {.program = program,
        .policy = policy,
        .control = theirs,
        .listener = p->listener,
        .clients = p->clients,
        .n_clients = p->n_clients,
        .uid = m->proxy_uid,
        .gid = m->proxy_gid,
        .docker_gid = m->docker_gid};
    r = start_process(p, &l, &proc, e);
    if (r < 0 || !proc)
        return r;
    memcpy(proc->policy, hash, sizeof(hash));
    proc->control = TAKE_FD(ours);
    proxy_process_retire(p, drain);
    p->now = proc;
    proxy_pidfile_write(p, proc->pid);
    r = proxy_process_watch(proc, e);
    if (r < 0)
        proxy_process_retire(p, false);
    return r;
}

/* ---------------------------------------------------------------- life */

int proxy_child_new(struct tenant *t, struct proxy_child **ret, struct err *e)
{
    struct proxy_child *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return err_set(e, -ENOMEM, "out of memory");
    p->tenant = t;
    p->listener = -EBADF;
    r = make_runtime(p, e);
    if (r >= 0)
        r = proxy_adopt_start(p, e);
    if (r < 0) {
        (void)proxy_child_free(p, false);
        return r;
    }
    *ret = p;
    return 0;
}

/* No proxy to adopt: fresh sockets, and the core hears that the proxy is missing. */
int proxy_child_fresh(struct proxy_child *p, struct err *e)
{
    int r;

    p->listener = fd_close(p->listener);
    p->listener = fd_listen_unix(p->listener_path, SOCK_SEQPACKET, 0600, (uid_t)-1, (gid_t)-1, e);
    if (p->listener < 0)
        return p->listener;
    if (p->n_clients == 0)
        take_kept(p); /* clients that wait in them lose nothing */
    r = proxy_child_reopen(p, e);
    return r;
}

bool proxy_child_adopting(const struct proxy_child *p)
{
    return p->adopting;
}

pid_t proxy_child_pid(const struct proxy_child *p)
{
    return p->now ? p->now->pid : 0;
}

struct proxy_child *proxy_child_free(struct proxy_child *p, bool drain)
{
    if (!p)
        return NULL;
    if (drain)
        proxy_process_retire(p, true);
    else
        p->now = proxy_process_free(p->now);
    while (p->old) {
        struct proxy_process *next = p->old->next;
        (void)proxy_process_free(p->old);
        p->old = next;
    }
    if (drain) {
        char name[SLUG_MAX + 16];

        (void)snprintf(name, sizeof(name), "%s.clients", p->tenant->slug);
        fdstore_remove(name);
    }
    close_clients(p);
    (void)fd_close(p->listener);
    (void)sd_event_source_disable_unref(p->adopt_timer);
    free(p->listener_path);
    free(p);
    return NULL;
}
