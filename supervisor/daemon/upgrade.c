/* upgrade.c: see upgrade.h. */
#include "daemon/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include <systemd/sd-daemon.h>

#include "base/fd.h"
#include "base/log.h"

#define CHECK_TIMEOUT_US (10 * USEC_PER_SEC)

extern char **environ;

struct upgrade {
    struct manager *manager;
    struct control_request *req;
    pid_t pid;
    int pidfd;
    struct check *exit;
    sd_event_source *timer;
};

static char program[PATH_MAX];

void upgrade_remember_program(void)
{
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

    program[n > 0 ? n : 0] = '\0';
}

void upgrade_cancel(struct manager *m)
{
    struct upgrade *u = TAKE_PTR(m->upgrading);

    if (!u)
        return;
    if (u->req)
        (void)control_error(u->req, CONTROL_REFUSED, "clawsupd is stopping", NULL);
    if (check_free(u->exit) == NULL && u->pidfd >= 0 && u->pid > 0) {
        (void)syscall(SYS_pidfd_send_signal, u->pidfd, SIGKILL, NULL, 0);
        manager_reap_later(m, u->pid);
    }
    (void)fd_close(u->pidfd);
    (void)sd_event_source_disable_unref(u->timer);
    free(u);
}

static void refuse(struct manager *m, const char *why)
{
    struct control_request *req = TAKE_PTR(m->upgrading->req);

    if (req)
        (void)control_error(req, CONTROL_REFUSED, why,
            "clawsupd goes on as it is; run `clawsup check-config` with the new program");
    upgrade_cancel(m);
}

static void on_checked(const struct check_sample *s, void *userdata)
{
    struct manager *m = userdata;
    struct upgrade *u = m->upgrading;
    char why[256];

    u->exit = NULL; /* gone when this returns, and the child is reaped */
    u->pid = 0;
    if (strcmp(s->detail, "exited with status 0") != 0) {
        (void)snprintf(
            why, sizeof(why), "%.120s does not accept the configuration: %.60s", program, s->detail);
        refuse(m, why);
        return;
    }
    log_notice("handing over to %s", program);
    (void)control_reply(TAKE_PTR(u->req), json_pack("{s:s}", "text", "handing over"));
    upgrade_cancel(m);
    m->upgrade = true;
    (void)sd_event_exit(m->event, 0);
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void)s;
    (void)usec;
    refuse(userdata, "the new program does not end its check of the configuration");
    return 0;
}

static int spawn_check(struct manager *m, struct upgrade *u)
{
    static char name[] = "clawsupd", check[] = "--check", config[] = "--config";
    char *const argv[] = {name, check, config, m->config_path, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    int r;

    if (posix_spawn_file_actions_init(&files) != 0)
        return -ENOMEM;
    if (posix_spawnattr_init(&attr) != 0) {
        (void)posix_spawn_file_actions_destroy(&files);
        return -ENOMEM;
    }
    (void)sigemptyset(&none);
    r = posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (r == 0)
        r = posix_spawnattr_setsigmask(&attr, &none);
    if (r == 0)
        r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    if (r == 0)
        r = posix_spawn(&u->pid, program, &files, &attr, argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&files);
    if (r != 0)
        return -r;
    u->pidfd = (int)syscall(SYS_pidfd_open, u->pid, 0);
    return u->pidfd < 0 ? -errno : 0;
}

static bool is_busy(struct manager *m)
{
    struct tenant *t, *next;

    HASH_ITER(hh, m->tenants, t, next)
    if (t->op || t->relaunch)
        return true;
    return false;
}

int upgrade_begin(struct manager *m, struct control_request *req)
{
    struct upgrade *u;
    char why[256];
    int r;

    if (m->upgrading)
        return control_error(req, CONTROL_BUSY, "an upgrade is under way", NULL);
    if (is_busy(m))
        return control_error(
            req, CONTROL_BUSY, "actions are in flight", "try again when `clawsup status` shows none");
    u = calloc(1, sizeof(*u));
    if (!u)
        return -ENOMEM;
    u->manager = m;
    u->req = req;
    u->pidfd = -EBADF;
    m->upgrading = u;
    r = spawn_check(m, u);
    if (r >= 0)
        r = check_pidfd_start(m->event, u->pidfd, on_checked, m, &u->exit);
    if (r >= 0)
        r = sd_event_add_time_relative(
            m->event, &u->timer, CLOCK_MONOTONIC, CHECK_TIMEOUT_US, 0, on_timeout, m);
    if (r < 0) {
        (void)snprintf(why, sizeof(why), "%.120s cannot be started: %s", *program ? program : "the program",
            strerror(-r));
        refuse(m, why);
    }
    return 0;
}

int upgrade_exec(char *const *argv)
{
    (void)sd_notify(0, "RELOADING=1\nSTATUS=Handing over to the new program");
    (void)execv(program, argv);
    return -errno;
}
