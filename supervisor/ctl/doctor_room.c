/* doctor_room.c: what runs out on a busy host, and what is left over: space, inotify, stale mounts; who may
 * use the control socket, and how the running clawsupd is confined. Reads only. */
#include "ctl/doctor_check.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/str.h"
#include "limits/disk.h"
#include "limits/mountinfo.h"

#define FREE_LOW (UINT64_C(2) << 30)
#define FREE_GONE (UINT64_C(256) << 20)
/* Node watches its files by inotify, and all gateways often run as one uid: so much for each. */
#define INOTIFY_INSTANCES_EACH 32U
#define INOTIFY_INSTANCES_MIN 128U
#define INOTIFY_WATCHES_EACH 8192U
#define MOUNTINFO_MAX ((size_t)8 * 1024 * 1024)

/* ---------------------------------------------------------------- space */

static void worse(
    const char *path, const struct disk_sample *s, struct disk_sample *worst, const char **where)
{
    if (*where && s->free_bytes >= worst->free_bytes)
        return;
    *worst = *s;
    *where = path;
}

/* The fullest of what the engine and the tenants write to. */
void doctor_check_space(const struct doctor_facts *f, struct doctor_row *row)
{
    const char *engine = json_string_value(json_object_get(f->info, "DockerRootDir")), *where = NULL;
    struct disk_sample worst = {0}, s;
    char text[16];

    if (engine && disk_read(engine, &s) >= 0)
        worse(engine, &s, &worst, &where);
    for (size_t i = 0; f->config && i < f->config->n_tenants; i++)
        if (disk_read(f->config->tenants[i]->data_root, &s) >= 0)
            worse(f->config->tenants[i]->data_root, &s, &worst, &where);
    if (!where && disk_read("/", &s) >= 0)
        worse("/", &s, &worst, &where);
    if (!where) {
        doctor_say(row, DOCTOR_DEGRADED, "not known: no directory of the engine or of a tenant can be read");
        doctor_advise(row, "run this as root");
        return;
    }
    str_format_size(text, sizeof(text), worst.free_bytes);
    if (disk_below_reserve(&worst, FREE_LOW)) {
        doctor_say(row, worst.free_bytes < FREE_GONE ? DOCTOR_MISSING : DOCTOR_DEGRADED,
            "%s free at %.160s, %llu inodes", text, where,
            (unsigned long long)(worst.limit_inodes - MIN(worst.used_inodes, worst.limit_inodes)));
        doctor_advise(row, "free some: docker system df, docker image prune, du -x %.100s", where);
    } else {
        doctor_say(row, DOCTOR_OK, "at least %s free, least at %.160s", text, where);
    }
}

/* ---------------------------------------------------------------- inotify */

static bool read_number(const char *path, uint64_t *ret)
{
    _cleanup_free_ char *text = NULL;

    if (fd_read_file(path, 64, &text, NULL) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    return str_parse_u64(text, UINT64_MAX, ret) >= 0;
}

void doctor_check_inotify(const struct doctor_facts *f, struct doctor_row *row)
{
    uint64_t n = f->config ? f->config->n_tenants : 0, instances, watches;
    uint64_t want_instances = MAX(n * INOTIFY_INSTANCES_EACH, (uint64_t)INOTIFY_INSTANCES_MIN);
    uint64_t want_watches = MAX(n, (uint64_t)1) * INOTIFY_WATCHES_EACH;

    if (!read_number("/proc/sys/fs/inotify/max_user_instances", &instances) ||
        !read_number("/proc/sys/fs/inotify/max_user_watches", &watches)) {
        doctor_say(row, DOCTOR_DEGRADED, "not known: /proc/sys/fs/inotify cannot be read");
        doctor_advise(row, "mount /proc, and use a kernel with CONFIG_INOTIFY_USER");
        return;
    }
    doctor_say(row, instances >= want_instances && watches >= want_watches ? DOCTOR_OK : DOCTOR_DEGRADED,
        "%llu instances and %llu watches per user", (unsigned long long)instances,
        (unsigned long long)watches);
    if (row->state != DOCTOR_OK)
        doctor_advise(row,
            "sysctl -w fs.inotify.max_user_instances=%llu fs.inotify.max_user_watches=%llu (and in "
            "/etc/sysctl.d)",
            (unsigned long long)MAX(instances, want_instances),
            (unsigned long long)MAX(watches, want_watches));
}

/* ---------------------------------------------------------------- stale mounts */

static bool has_tenant(const struct config *c, const char *slug, size_t n)
{
    for (size_t i = 0; c && i < c->n_tenants; i++)
        if (strlen(c->tenants[i]->slug) == n && strncmp(c->tenants[i]->slug, slug, n) == 0)
            return true;
    return false;
}

/* Staged mounts of tenants that the configuration does not have. */
void doctor_check_stale(const struct doctor_facts *f, struct doctor_row *row)
{
    _cleanup_free_ char *text = NULL;
    char below[320], first[256] = "";
    struct mountinfo m;
    size_t stale = 0, staged = 0, n;
    const char *at;
    int r = fd_read_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);

    if (r < 0) {
        doctor_say(row, DOCTOR_DEGRADED, "not known: /proc/self/mountinfo: %s", strerror(-r));
        doctor_advise(row, "mount /proc");
        return;
    }
    (void)snprintf(below, sizeof(below), "%.200s/.supervisor/staging/", f->runtime_dir);
    n = strlen(below);
    at = text;
    while (mountinfo_next(&at, &m) > 0) {
        if (strncmp(m.mount_point, below, n) != 0)
            continue;
        staged++;
        if (f->config && !has_tenant(f->config, m.mount_point + n, strcspn(m.mount_point + n, "/")) &&
            stale++ == 0)
            (void)snprintf(first, sizeof(first), "%s", m.mount_point);
    }
    if (stale == 0) {
        doctor_say(row, DOCTOR_OK, "none; %zu staged for sandboxes", staged);
        return;
    }
    doctor_say(row, DOCTOR_DEGRADED, "%zu of tenants that are not in the configuration, such as %.150s",
        stale, first);
    doctor_advise(row, "umount them, once no sandbox of that tenant runs: umount %.150s", first);
}

/* ---------------------------------------------------------------- clawsupd as it runs */

void doctor_check_group(const struct doctor_facts *f, struct doctor_row *row)
{
    const char *name = f->config ? f->config->control_group : NULL;
    char buf[16384];
    struct group gr, *found = NULL;

    if (!name || !*name) {
        doctor_say(row, DOCTOR_OK, "not set: root alone uses clawsup");
        return;
    }
    if (getgrnam_r(name, &gr, buf, sizeof(buf), &found) != 0 || !found) {
        doctor_say(row, DOCTOR_MISSING, "control_group: there is no group %.64s", name);
        doctor_advise(row, "groupadd --system %.64s, or take control_group out", name);
        return;
    }
    doctor_say(row, DOCTOR_OK, "%.64s, gid %u: its members use clawsup", name, (unsigned)found->gr_gid);
}

/* The number after "KEY:" in /proc/PID/status; -1. */
static long long status_number(const char *text, const char *key, int base)
{
    const char *p = strstr(text, key);

    return p ? strtoll(p + strlen(key), NULL, base) : -1;
}

/* Who listens at the control socket, as the kernel says; 0: nobody. */
static pid_t daemon_pid(const char *runtime_dir)
{
    _cleanup_close_ int fd = -EBADF;
    struct ucred peer = {.pid = 0};
    socklen_t len = sizeof(peer);
    char path[320];

    (void)snprintf(path, sizeof(path), "%.200s/control.sock", runtime_dir);
    fd = fd_connect_unix(path, SOCK_STREAM);
    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : 0;
}

/* From the process, not from the unit's file: what counts is what is in force. */
void doctor_check_unit(const struct doctor_facts *f, struct doctor_row *row)
{
    pid_t pid = daemon_pid(f->runtime_dir);
    _cleanup_free_ char *text = NULL;
    char path[64];
    long long seccomp, privs;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (pid <= 0 || fd_read_file(path, 65536, &text, NULL) < 0) {
        doctor_say(row, DOCTOR_DEGRADED, "not known: clawsupd does not run, or may not be looked at");
        doctor_advise(row, "see the row clawsupd");
        return;
    }
    seccomp = status_number(text, "\nSeccomp:", 10);
    privs = status_number(text, "\nNoNewPrivs:", 10);
    doctor_say(row, seccomp == 2 && privs == 1 ? DOCTOR_OK : DOCTOR_DEGRADED,
        "process %d: %s, %s, capabilities %llx", (int)pid,
        privs == 1 ? "no new privileges" : "may gain privileges",
        seccomp == 2 ? "system calls filtered" : "no filter of system calls",
        (unsigned long long)status_number(text, "\nCapBnd:", 16));
    if (row->state != DOCTOR_OK)
        doctor_advise(row,
            "start it by its unit (systemctl start clawsupd), and look for drop-ins: systemctl cat clawsupd");
}
