/* doctor_host.c: cgroups, systemd, pressure, clock and disks. Reads only. */
#include "ctl/doctor_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

#include "base/str.h"
#include "limits/disk.h"

/* Before this nobody ran this program: 2024-01-01T00:00:00Z. */
#define CLOCK_FLOOR_S INT64_C(1704067200)
#define KERNEL_MAJOR_MIN 5
#define KERNEL_MINOR_MIN 10

void doctor_check_kernel(const struct doctor_facts *f, struct doctor_row *row)
{
    char *end;
    unsigned long major = strtoul(f->host.kernel, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    bool good = major > KERNEL_MAJOR_MIN || (major == KERNEL_MAJOR_MIN && minor >= KERNEL_MINOR_MIN);

    doctor_say(
        row, good ? DOCTOR_OK : DOCTOR_MISSING, "Linux %s", f->host.kernel[0] ? f->host.kernel : "unknown");
    if (!good)
        doctor_advise(row, "use Linux %d.%d or later", KERNEL_MAJOR_MIN, KERNEL_MINOR_MIN);
}

void doctor_check_cgroup(const struct doctor_facts *f, struct doctor_row *row)
{
    const unsigned need = LIMITS_CPU | LIMITS_MEMORY | LIMITS_PIDS;
    char have[64];

    limits_controllers_format(have, sizeof(have), f->host.controllers);
    if (f->host.cgroup == LIMITS_CGROUP_NONE) {
        doctor_say(row, DOCTOR_MISSING, "no cgroup file system is mounted");
        doctor_advise(row, "mount cgroup2 at /sys/fs/cgroup; the engine needs it too");
        return;
    }
    doctor_say(row, f->host.cgroup == LIMITS_CGROUP_V2 ? DOCTOR_OK : DOCTOR_DEGRADED, "%s, controllers: %s",
        limits_cgroup_to_string(f->host.cgroup), have[0] ? have : "none");
    if ((f->host.controllers & need) != need) {
        row->state = DOCTOR_MISSING;
        doctor_advise(
            row, "enable the controllers cpu, memory and pids (kernel command line, cgroup_disable=)");
    } else if (row->state != DOCTOR_OK) {
        doctor_advise(row, "boot with systemd.unified_cgroup_hierarchy=1 for a cap per tenant");
    }
}

void doctor_check_limits(const struct doctor_facts *f, struct doctor_row *row)
{
    if (f->host.level == LIMITS_CONTAINER) {
        doctor_say(row, DOCTOR_DEGRADED, "per container only: a tenant may use the sum of its containers");
        doctor_advise(row, "%s", f->host.why);
        return;
    }
    doctor_say(row, DOCTOR_OK, "one %s per tenant caps its gateway and sandboxes together",
        limits_level_to_string(f->host.level));
}

void doctor_check_systemd(const struct doctor_facts *f, struct doctor_row *row)
{
    if (f->host.systemd && f->host.bus) {
        doctor_say(row, DOCTOR_OK, "PID 1, and the system bus answers");
        return;
    }
    doctor_say(
        row, DOCTOR_DEGRADED, f->host.systemd ? "PID 1, but the system bus does not answer" : "not PID 1");
    doctor_advise(row, f->host.systemd
                           ? "install dbus and start dbus.socket"
                           : "clawsupd runs without it; no slices, no watchdog, no journal fields");
}

void doctor_check_pressure(const struct doctor_facts *f, struct doctor_row *row)
{
    if (f->host.psi) {
        doctor_say(row, DOCTOR_OK, "/proc/pressure is there");
        return;
    }
    doctor_say(row, DOCTOR_DEGRADED, "no /proc/pressure: memory shortage is seen late");
    doctor_advise(row, "boot with psi=1");
}

void doctor_check_clock(const struct doctor_facts *f, struct doctor_row *row)
{
    struct timex t = {0};
    struct timespec now;
    char date[32] = "";
    struct tm tm;
    int state = adjtimex(&t);

    (void)f;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &tm))
        (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (now.tv_sec < CLOCK_FLOOR_S) {
        doctor_say(row, DOCTOR_MISSING, "it shows %s", date);
        doctor_advise(row, "set the clock; install chrony or systemd-timesyncd");
    } else if (state == TIME_ERROR) {
        doctor_say(row, DOCTOR_DEGRADED, "it shows %s, not synchronised", date);
        doctor_advise(row, "install chrony or systemd-timesyncd; a jump would shift restart budgets");
    } else {
        doctor_say(row, DOCTOR_OK, "%s, synchronised", date);
    }
}

/* The lowest level among the data roots decides; without tenants, where they would be. */
void doctor_check_disk(const struct doctor_facts *f, struct doctor_row *row)
{
    size_t n = f->config ? f->config->n_tenants : 0;
    struct disk_host worst = {.best = _DISK_LEVEL_MAX};

    for (size_t i = 0; i < MAX(n, 1U); i++) {
        const char *path = n ? f->config->tenants[i]->data_root : f->state_dir;
        struct disk_host d = {0};
        int r = disk_host_detect(NULL, path, &d);

        if (r < 0) {
            doctor_say(row, DOCTOR_MISSING, "%.160s: %s", path, strerror(-r));
            doctor_advise(row, "mount /proc");
            return;
        }
        if (d.best < worst.best)
            worst = d;
    }
    doctor_say(row, worst.best > DISK_C ? DOCTOR_OK : DOCTOR_DEGRADED, "level %s possible on %.100s (%s)",
        disk_level_to_string(worst.best), worst.mount_point, worst.fs_type);
    if (row->state != DOCTOR_OK)
        doctor_advise(row, "%s", worst.why);
}
