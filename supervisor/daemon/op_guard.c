/* op_guard.c: no container is started again behind links of its own making. The runtime follows links above a
 * mount's target each time, as root and inside the container's root file system; whoever is root in there can
 * rename a directory above his data root's target and put a link to /dev in its place. With runc before 1.2.8
 * the next start then writes through the tenant's own "/dev/null" to any file of the host's below /proc
 * (CVE-2025-31133 and its kin).
 *
 * What a container has changed lies in the upper directory of its overlay: what is not there is still the
 * image's. Only a stopped container can be judged. Other storage drivers name no such directory; their
 * engines bring a newer runc. */
#include "daemon/op.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/messages.h"

static const char *upper_dir(const json_t *inspect)
{
    return json_string_value(
        json_object_get(json_object_get(json_object_get(inspect, "GraphDriver"), "Data"), "UpperDir"));
}

static const char *bind_target(const json_t *mount)
{
    const char *type = json_string_value(json_object_get(mount, "Type"));
    const char *target = json_string_value(json_object_get(mount, "Destination"));

    return type && strcmp(type, "bind") == 0 && target && str_is_clean_path(target) ? target : NULL;
}

static bool is_readonly(const json_t *inspect)
{
    return json_is_true(json_object_get(json_object_get(inspect, "HostConfig"), "ReadonlyRootfs"));
}

bool op_guard_matters(const json_t *inspect)
{
    const json_t *mounts = json_object_get(inspect, "Mounts"), *m;
    bool deep = false;
    size_t i;

    json_array_foreach(mounts, i, m)
    {
        const char *target = bind_target(m);
        deep = deep || (target && strchr(target + 1, '/'));
    }
    return deep && upper_dir(inspect) && !is_readonly(inspect);
}

/* One target, component by component below `dir`. Takes the descriptor. */
static int check_target(int dir, const char *target, struct err *e)
{
    _cleanup_close_ int fd = dir;
    char name[NAME_MAX + 1];
    const char *s = target;

    while (*s == '/') {
        size_t n = strcspn(++s, "/");
        struct stat st;
        int next;

        if (n >= sizeof(name))
            return err_set(e, -EPERM, "a mount target that is too long: %.64s", target);
        memcpy(name, s, n);
        name[n] = '\0';
        s += n;
        if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno == ENOENT ? 0 : err_set(e, -errno, "%s: %m", target);
        if (S_ISLNK(st.st_mode))
            return err_set(e, -EPERM, "there is a link in the way of its mount at %.128s", target);
        if (!S_ISDIR(st.st_mode))
            return 0;
        next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return err_set(e, -errno, "%s: %m", target);
        (void)fd_close(fd);
        fd = next;
    }
    return 0;
}

int op_guard_check(const json_t *inspect, struct err *e)
{
    const json_t *mounts = json_object_get(inspect, "Mounts"), *m;
    const char *upper = upper_dir(inspect);
    int r = 0;
    size_t i;

    if (!upper || is_readonly(inspect))
        return 0;
    json_array_foreach(mounts, i, m)
    {
        const char *target = bind_target(m);
        int fd;

        if (!target)
            continue;
        fd = open(upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) /* not an engine of this host, or gone with the container */
            return 0;
        r = check_target(fd, target, e);
        if (r < 0)
            break;
    }
    return r;
}

/* ---------------------------------------------------------------- starting */

static void on_start_inspected(struct op *op, const struct engine_answer *a)
{
    const char *id = json_string_value(json_object_get(a->body, "Id"));
    struct err e = {0};

    /* Whatever else is wrong with it, the start itself will say. */
    if (a->status == 200 && id && op_guard_check(a->body, &e) < 0) {
        manager_note(op->tenant, op->component, LOG_ERR, MESSAGE_GATEWAY_TAMPERED, "gateway",
            "not started: %s: an attempt to reach the host", e.msg);
        op->tampered(op, e.msg);
        return;
    }
    op_call(op, op->started, "POST", NULL, OP_TIMEOUT_US, "/containers/%s/start", op->start_id);
}

void op_start_container(struct op *op, const char *id,
    void (*started)(struct op *op, const struct engine_answer *a),
    void (*tampered)(struct op *op, const char *why))
{
    (void)snprintf(op->start_id, sizeof(op->start_id), "%s", id);
    op->started = started;
    op->tampered = tampered;
    op_call(op, on_start_inspected, "GET", NULL, OP_TIMEOUT_US, "/containers/%s/json", op->start_id);
}
