/* host.c: see host.h. Asks nobody and writes nothing: mount table, a few kernel files, one connect(2). */
#include "limits/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "limits/mountinfo.h"

#define FILE_MAX_BYTES (1024 * 1024)
#define BUS_SOCKET "/run/dbus/system_bus_socket"

static const char *const cgroup_names[_LIMITS_CGROUP_MAX] = {
    [LIMITS_CGROUP_NONE] = "none",
    [LIMITS_CGROUP_V1] = "v1",
    [LIMITS_CGROUP_HYBRID] = "hybrid",
    [LIMITS_CGROUP_V2] = "v2",
};
static const char *const level_names[_LIMITS_LEVEL_MAX] = {
    [LIMITS_CONTAINER] = "per container",
    [LIMITS_CGROUPFS] = "cgroup",
    [LIMITS_SLICE] = "slice",
};
static const char *const driver_names[_LIMITS_DRIVER_MAX] = {
    [LIMITS_DRIVER_UNKNOWN] = "unknown",
    [LIMITS_DRIVER_CGROUPFS] = "cgroupfs",
    [LIMITS_DRIVER_SYSTEMD] = "systemd",
};
static const struct {
    const char *name;
    unsigned bit;
} controllers[] = {{"cpu", LIMITS_CPU}, {"memory", LIMITS_MEMORY}, {"pids", LIMITS_PIDS}, {"io", LIMITS_IO},
    {"blkio", LIMITS_IO}, {"cpuset", LIMITS_CPUSET}};

const char *limits_cgroup_to_string(enum limits_cgroup c)
{
    return c < _LIMITS_CGROUP_MAX ? cgroup_names[c] : "unknown";
}

const char *limits_level_to_string(enum limits_level l)
{
    return l < _LIMITS_LEVEL_MAX ? level_names[l] : "unknown";
}

const char *limits_driver_to_string(enum limits_driver d)
{
    return d < _LIMITS_DRIVER_MAX ? driver_names[d] : "unknown";
}

void limits_controllers_format(char *out, size_t n, unsigned have)
{
    size_t used = 0;

    if (n)
        out[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
        if (!(have & controllers[i].bit) || strcmp(controllers[i].name, "blkio") == 0)
            continue;
        if (used < n)
            used += (size_t)snprintf(out + used, n - used, "%s%s", used ? " " : "", controllers[i].name);
    }
}

/* Reads SYSROOT/path; *ret stays as it is when it cannot be read. */
static void read_host_file(const struct limits_host *h, const char *path, char **ret)
{
    char full[768];

    if ((size_t)snprintf(full, sizeof(full), "%s%s", h->sysroot, path) < sizeof(full))
        (void)fd_read_file(full, FILE_MAX_BYTES, ret, NULL);
}

static void set_text(char *out, size_t n, const char *text)
{
    (void)snprintf(out, n, "%.*s", (int)strcspn(text, "\n"), text);
}

static void note_v1_mount(struct limits_host *h, const struct mountinfo *m)
{
    const struct {
        const char *option;
        char *where;
    } points[] = {
        {"memory", h->v1_memory}, {"cpu", h->v1_cpu}, {"cpuacct", h->v1_cpuacct}, {"pids", h->v1_pids}};

    for (size_t i = 0; i < ARRAY_SIZE(points); i++)
        if (!points[i].where[0] && mountinfo_has_option(m->super_options, points[i].option))
            set_text(points[i].where, sizeof(h->v1_memory), m->mount_point);
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
        if (mountinfo_has_option(m->super_options, controllers[i].name))
            h->controllers |= controllers[i].bit;
}

static void detect_v2_controllers(struct limits_host *h)
{
    char path[300];
    _cleanup_free_ char *text = NULL;
    char *save = NULL;

    (void)snprintf(path, sizeof(path), "%s/cgroup.controllers", h->cgroup_root);
    read_host_file(h, path, &text);
    if (!text)
        return;
    for (char *w = strtok_r(text, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
        for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
            if (strcmp(w, controllers[i].name) == 0)
                h->controllers |= controllers[i].bit;
}

static void detect_cgroup(struct limits_host *h)
{
    _cleanup_free_ char *text = NULL;
    const char *p;
    struct mountinfo m;
    bool v1 = false;

    read_host_file(h, "/proc/self/mountinfo", &text);
    p = text;
    while (p && mountinfo_next(&p, &m) > 0) {
        if (strcmp(m.fs_type, "cgroup2") == 0 && !h->cgroup_root[0])
            set_text(h->cgroup_root, sizeof(h->cgroup_root), m.mount_point);
        if (strcmp(m.fs_type, "cgroup") == 0) {
            /* a named hierarchy (name=systemd) has no controllers and makes no v1 host */
            note_v1_mount(h, &m);
            v1 = v1 || h->controllers != 0;
        }
    }
    if (v1)
        h->cgroup = h->cgroup_root[0] ? LIMITS_CGROUP_HYBRID : LIMITS_CGROUP_V1;
    else if (h->cgroup_root[0])
        h->cgroup = LIMITS_CGROUP_V2;
    if (h->cgroup == LIMITS_CGROUP_V2)
        detect_v2_controllers(h);
}

static void detect_systemd(struct limits_host *h)
{
    char path[512];
    struct stat st;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/run/systemd/system", h->sysroot);
    h->systemd = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
    (void)snprintf(path, sizeof(path), "%s" BUS_SOCKET, h->sysroot);
    fd = fd_connect_unix(path, SOCK_STREAM);
    h->bus = fd >= 0;
    (void)fd_close(fd);
}

static void detect_kernel(struct limits_host *h)
{
    _cleanup_free_ char *release = NULL, *meminfo = NULL, *pressure = NULL;
    const char *total;
    uint64_t kib;

    read_host_file(h, "/proc/sys/kernel/osrelease", &release);
    if (release)
        set_text(h->kernel, sizeof(h->kernel), release);
    read_host_file(h, "/proc/pressure/memory", &pressure);
    h->psi = pressure && str_startswith(pressure, "some ");
    read_host_file(h, "/proc/meminfo", &meminfo);
    total = meminfo ? strstr(meminfo, "MemTotal:") : NULL;
    kib = total ? strtoull(total + strlen("MemTotal:"), NULL, 10) : 0;
    if (kib < UINT64_MAX / 1024)
        h->memory_total_bytes = kib * 1024;
}

int limits_host_detect(const char *sysroot, const json_t *info, struct limits_host *ret)
{
    struct limits_host h = {0};

    if (!sysroot)
        sysroot = "";
    if (strlen(sysroot) >= sizeof(h.sysroot))
        return -ENAMETOOLONG;
    set_text(h.sysroot, sizeof(h.sysroot), sysroot);
    detect_cgroup(&h);
    detect_systemd(&h);
    detect_kernel(&h);
    *ret = h;
    limits_host_set_engine(ret, info);
    return 0;
}

void limits_host_set_engine(struct limits_host *h, const json_t *info)
{
    const char *driver = json_string_value(json_object_get(info, "CgroupDriver"));
    const char *generation = json_string_value(json_object_get(info, "CgroupVersion"));
    const char *version = json_string_value(json_object_get(info, "ServerVersion"));

    h->driver = LIMITS_DRIVER_UNKNOWN;
    for (int i = LIMITS_DRIVER_CGROUPFS; driver && i < _LIMITS_DRIVER_MAX; i++)
        if (strcmp(driver, driver_names[i]) == 0)
            h->driver = (enum limits_driver)i;
    h->engine_cgroup = str_eq(generation, "2") ? 2 : str_eq(generation, "1") ? 1 : 0;
    h->swap_limit = json_is_true(json_object_get(info, "SwapLimit"));
    set_text(h->engine_version, sizeof(h->engine_version), version ? version : "");
    limits_host_decide(h);
}

/* Writes the first obstacle to a cap per tenant; false if there is none. */
static bool find_obstacle(struct limits_host *h)
{
    const unsigned need = LIMITS_CPU | LIMITS_MEMORY | LIMITS_PIDS;
    char missing[64];
    const char *why = NULL;

    limits_controllers_format(missing, sizeof(missing), need & ~h->controllers);
    if (h->cgroup == LIMITS_CGROUP_NONE)
        why = "no cgroup file system is mounted";
    else if (h->cgroup != LIMITS_CGROUP_V2)
        why = "this host uses cgroup v1; boot it with systemd.unified_cgroup_hierarchy=1";
    else if (!h->engine_version[0])
        why = "the engine was not asked yet, so its cgroup driver is not known";
    else if (h->engine_cgroup == 1)
        why = "the engine uses cgroup v1";
    else if (h->driver == LIMITS_DRIVER_UNKNOWN)
        why = "the engine uses no cgroup driver that is known here (systemd, cgroupfs)";
    if (why)
        (void)snprintf(h->why, sizeof(h->why), "%s", why);
    else if (missing[0])
        (void)snprintf(h->why, sizeof(h->why), "cgroup controllers are missing: %s", missing);
    return why || missing[0];
}

void limits_host_decide(struct limits_host *h)
{
    h->level = LIMITS_CONTAINER;
    h->why[0] = '\0';
    if (find_obstacle(h))
        return;
    if (h->driver == LIMITS_DRIVER_CGROUPFS && !h->systemd) {
        h->level = LIMITS_CGROUPFS;
        (void)snprintf(
            h->why, sizeof(h->why), "systemd is not PID 1: clawsup writes the tenants' cgroups itself");
    } else if (h->driver == LIMITS_DRIVER_CGROUPFS) {
        /* systemd is the single writer of the tree: a cgroup of ours beside its slices would break that */
        (void)snprintf(h->why, sizeof(h->why),
            "the engine's cgroup driver is cgroupfs; set \"exec-opts\": [\"native.cgroupdriver=systemd\"] in "
            "/etc/docker/daemon.json");
    } else if (!h->systemd) {
        (void)snprintf(h->why, sizeof(h->why), "the engine's cgroup driver is systemd, but PID 1 is not");
    } else if (!h->bus) {
        (void)snprintf(h->why, sizeof(h->why), "the system bus does not answer at " BUS_SOCKET);
    } else {
        h->level = LIMITS_SLICE;
    }
}
