/* cgroup_file.h: inside this room: the text formats that cgroup files share. */
#pragma once

#include "limits/cgroup.h"

/* The text of DIR/NAME, or NULL. Caller frees. */
char *cgroup_file_read(const char *dir, const char *name);
/* A decimal number or "max" (LIMITS_MAX) at the start of the text, ended by a blank or newline. */
bool cgroup_file_number(const char *text, uint64_t *ret);
/* Reads one value into *ret and, if it was there, sets `bit` in s->have. `key` NULL: the file is the value.
 */
void cgroup_file_field(const char *dir, const char *name, const char *key, enum cgroup_field bit,
    struct cgroup_sample *s, uint64_t *ret);
/* The line "some ..." or "full ..." of a pressure file: avg10 in hundredths of a percent, total in
 * microseconds. */
bool cgroup_file_pressure(const char *text, const char *word, uint64_t *ret_avg10, uint64_t *ret_total);
/* A quota per period as CPUs in 1e-9; LIMITS_MAX when not limited. */
uint64_t cgroup_file_quota_nano(uint64_t quota_us, uint64_t period_us);
/* The directory of the cgroup of `pid` for a v1 controller, or "" for the v2 tree, below `mount`. -ESRCH,
 * -ENOENT, -ENAMETOOLONG. */
int cgroup_file_of_pid(
    const struct limits_host *h, pid_t pid, const char *controller, const char *mount, char *out, size_t n);

/* cgroup_v1.c */
int cgroup_v1_read_pid(const struct limits_host *h, pid_t pid, struct cgroup_sample *ret);
