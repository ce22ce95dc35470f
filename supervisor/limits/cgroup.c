/* cgroup.c: see cgroup.h: the v2 files, and finding the cgroup of a slice or a process. Writes no
 * limit. */
#include "limits/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "limits/cgroup_file.h"
#include "limits/mountinfo.h"

#define FILE_MAX_BYTES (64 * 1024)

char *cgroup_file_read(const char *dir, const char *name)
{
    char path[PATH_MAX];
    char *text = NULL;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path) ||
        fd_read_file(path, FILE_MAX_BYTES, &text, NULL) < 0)
        return NULL;
    return text;
}

bool cgroup_file_number(const char *text, uint64_t *ret)
{
    char word[32];
    size_t n = strcspn(text, " \n");

    if (n == 0 || n >= sizeof(word))
        return false;
    memcpy(word, text, n);
    word[n] = '\0';
    if (strcmp(word, "max") == 0) {
        *ret = LIMITS_MAX;
        return true;
    }
    return str_parse_u64(word, UINT64_MAX, ret) >= 0;
}

/* The value of "KEY VALUE" in a file of such lines. */
static bool find_key(const char *text, const char *key, uint64_t *ret)
{
    size_t n = strlen(key);

    for (const char *p = text; p; p = strchr(p, '\n')) {
        if (*p == '\n')
            p++;
        if (strncmp(p, key, n) == 0 && p[n] == ' ')
            return cgroup_file_number(p + n + 1, ret);
    }
    return false;
}

void cgroup_file_field(const char *dir, const char *name, const char *key, enum cgroup_field bit,
    struct cgroup_sample *s, uint64_t *ret)
{
    _cleanup_free_ char *text = cgroup_file_read(dir, name);

    if (text && (key ? find_key(text, key, ret) : cgroup_file_number(text, ret)))
        s->have |= (unsigned)bit;
}

uint64_t cgroup_file_quota_nano(uint64_t quota_us, uint64_t period_us)
{
    uint64_t scaled;

    if (quota_us == LIMITS_MAX || period_us == 0 ||
        __builtin_mul_overflow(quota_us, UINT64_C(1000000000), &scaled))
        return LIMITS_MAX;
    return scaled / period_us;
}

/* cpu.max: "max 100000" or "50000 100000". */
static void read_cpu_max(const char *dir, struct cgroup_sample *s)
{
    _cleanup_free_ char *text = cgroup_file_read(dir, "cpu.max");
    const char *blank = text ? strchr(text, ' ') : NULL;
    uint64_t quota, period;

    if (!blank || !cgroup_file_number(text, &quota) || !cgroup_file_number(blank + 1, &period))
        return;
    s->cpu_max_nano = cgroup_file_quota_nano(quota, period);
    s->have |= CGROUP_CPU_MAX;
}

/* One line of a pressure file: "some avg10=1.25 avg60=0.00 avg300=0.00 total=123". */
bool cgroup_file_pressure(const char *text, const char *word, uint64_t *ret_avg10, uint64_t *ret_total)
{
    const char *line = strstr(text, word);
    const char *avg = line ? strstr(line, " avg10=") : NULL, *total = line ? strstr(line, " total=") : NULL;
    char *end;
    uint64_t whole;

    if (!avg || !total)
        return false;
    whole = strtoull(avg + strlen(" avg10="), &end, 10);
    if (end[0] != '.' || end[1] < '0' || end[1] > '9' || end[2] < '0' || end[2] > '9')
        return false;
    *ret_avg10 = whole * 100 + (uint64_t)(end[1] - '0') * 10 + (uint64_t)(end[2] - '0');
    *ret_total = strtoull(total + strlen(" total="), NULL, 10);
    return true;
}

static void read_pressure(const char *dir, struct cgroup_sample *s)
{
    _cleanup_free_ char *text = cgroup_file_read(dir, "memory.pressure");

    if (text && cgroup_file_pressure(text, "some", &s->pressure_some_avg10, &s->pressure_some_us) &&
        cgroup_file_pressure(text, "full", &s->pressure_full_avg10, &s->pressure_full_us))
        s->have |= CGROUP_PRESSURE;
}

int cgroup_read(const char *dir, struct cgroup_sample *ret)
{
    struct cgroup_sample s = {0};
    uint64_t populated = 0;
    struct stat st;

    if (strlen(dir) + NAME_MAX >= PATH_MAX)
        return -ENAMETOOLONG;
    if (stat(dir, &st) < 0)
        return -errno;
    cgroup_file_field(dir, "memory.current", NULL, CGROUP_MEMORY_CURRENT, &s, &s.memory_current_bytes);
    cgroup_file_field(dir, "memory.max", NULL, CGROUP_MEMORY_MAX, &s, &s.memory_max_bytes);
    cgroup_file_field(dir, "memory.high", NULL, CGROUP_MEMORY_HIGH, &s, &s.memory_high_bytes);
    cgroup_file_field(dir, "memory.swap.max", NULL, CGROUP_SWAP_MAX, &s, &s.swap_max_bytes);
    cgroup_file_field(dir, "memory.events", "oom_kill", CGROUP_OOM_KILLS, &s, &s.oom_kills);
    cgroup_file_field(dir, "cpu.stat", "usage_usec", CGROUP_CPU_USAGE, &s, &s.cpu_usage_us);
    cgroup_file_field(dir, "cpu.stat", "throttled_usec", CGROUP_CPU_THROTTLED, &s, &s.cpu_throttled_us);
    cgroup_file_field(dir, "cpu.stat", "nr_periods", CGROUP_CPU_PERIODS, &s, &s.cpu_periods);
    cgroup_file_field(dir, "cpu.stat", "nr_throttled", CGROUP_CPU_PERIODS, &s, &s.cpu_throttled_periods);
    cgroup_file_field(dir, "cpu.weight", NULL, CGROUP_CPU_WEIGHT, &s, &s.cpu_weight);
    cgroup_file_field(dir, "pids.current", NULL, CGROUP_PIDS_CURRENT, &s, &s.pids_current);
    cgroup_file_field(dir, "pids.max", NULL, CGROUP_PIDS_MAX, &s, &s.pids_max);
    cgroup_file_field(dir, "cgroup.events", "populated", CGROUP_POPULATED, &s, &populated);
    s.populated = populated != 0;
    read_cpu_max(dir, &s);
    read_pressure(dir, &s);
    *ret = s;
    return 0;
}

/* One line of /proc/PID/cgroup: "ID:controllers:path". True when `controller` ("" is the v2 tree) is on it.
 */
static bool proc_line_path(const char *line, const char *controller, char *out, size_t n)
{
    const char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
    const char *end = strchrnul(line, '\n');
    char names[128];

    if (!path || path > end || (size_t)(path - list) > sizeof(names) || (size_t)(end - path) > n)
        return false;
    (void)snprintf(names, sizeof(names), "%.*s", (int)(path - list - 1), list + 1);
    if (controller[0] ? !mountinfo_has_option(names, controller) : names[0] != '\0')
        return false;
    (void)snprintf(out, n, "%.*s", (int)(end - path - 1), path + 1);
    return str_is_clean_path(out);
}

int cgroup_file_of_pid(
    const struct limits_host *h, pid_t pid, const char *controller, const char *mount, char *out, size_t n)
{
    char dir[300], path[PATH_MAX];
    _cleanup_free_ char *text = NULL;

    (void)snprintf(dir, sizeof(dir), "%s/proc/%d", h->sysroot, (int)pid);
    text = cgroup_file_read(dir, "cgroup");
    if (!text)
        return -ESRCH;
    for (const char *p = text; p && *p; p = strchr(p, '\n')) {
        if (*p == '\n')
            p++;
        if (!proc_line_path(p, controller, path, sizeof(path)))
            continue;
        if ((size_t)snprintf(out, n, "%s%s%s", h->sysroot, mount, path) >= n)
            return -ENAMETOOLONG;
        return 0;
    }
    return -ENOENT;
}

int cgroup_read_pid(const struct limits_host *h, pid_t pid, struct cgroup_sample *ret)
{
    char dir[PATH_MAX];
    int r;

    if (h->cgroup == LIMITS_CGROUP_NONE)
        return -EOPNOTSUPP;
    if (h->cgroup != LIMITS_CGROUP_V2)
        return cgroup_v1_read_pid(h, pid, ret);
    r = cgroup_file_of_pid(h, pid, "", h->cgroup_root, dir, sizeof(dir));
    if (r < 0)
        return r;
    return cgroup_read(dir, ret);
}

int cgroup_dir_of_pid(const struct limits_host *h, pid_t pid, char *out, size_t n)
{
    if (h->cgroup != LIMITS_CGROUP_V2)
        return -EOPNOTSUPP;
    return cgroup_file_of_pid(h, pid, "", h->cgroup_root, out, n);
}

int cgroup_set_oom_group(const char *dir)
{
    _cleanup_close_ int fd = -EBADF;
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/memory.oom.group", dir) >= sizeof(path))
        return -ENAMETOOLONG;
    fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    return write(fd, "1", 1) < 0 ? -errno : 0;
}

int cgroup_slice_dir(const struct limits_host *h, const char *slice, char *out, size_t n)
{
    size_t len = strlen(slice), used;

    if (h->cgroup != LIMITS_CGROUP_V2)
        return -EOPNOTSUPP;
    if (len <= 6 || len > NAME_MAX || strcmp(slice + len - 6, ".slice") != 0 || strchr(slice, '/') ||
        slice[0] == '-' || slice[len - 7] == '-' || strstr(slice, "--"))
        return -EINVAL;
    used = (size_t)snprintf(out, n, "%s%s", h->sysroot, h->cgroup_root);
    /* every prefix that ends before a dash is a slice of its own, and the parent of the next */
    for (const char *dash = strchr(slice, '-'); used < n; dash = strchr(dash + 1, '-')) {
        if (!dash) {
            used += (size_t)snprintf(out + used, n - used, "/%s", slice);
            break;
        }
        used += (size_t)snprintf(out + used, n - used, "/%.*s.slice", (int)(dash - slice), slice);
    }
    return used < n ? 0 : -ENAMETOOLONG;
}
