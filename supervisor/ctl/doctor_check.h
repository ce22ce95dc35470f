/* doctor_check.h: inside `doctor`: what every check gets, and how it answers. */
#pragma once

#include <jansson.h>

#include "ctl/doctor.h"
#include "limits/host.h"

/* Gathered once, before the checks. */
struct doctor_facts {
    const struct config *config; /* may be NULL */
    const char *engine_socket, *runtime_dir, *state_dir, *proxy_program, *proxy_user, *docker_gid;
    bool allow_root_gid;
    json_t *info, *version;  /* owned; GET /info and GET /version, NULL when there was no answer */
    char engine_reason[256]; /* why not */
    struct limits_host host;
};

/* A check fills the row's state, `what` and `todo`; it starts as DOCTOR_MISSING with empty texts. */
typedef void (*doctor_check_fn)(const struct doctor_facts *f, struct doctor_row *row);

void doctor_say(struct doctor_row *row, enum doctor_state state, const char *fmt, ...) _printf_(3, 4);
void doctor_advise(struct doctor_row *row, const char *fmt, ...) _printf_(2, 3);

/* doctor_engine.c: asks the engine on a loop of its own. Never fails for what the engine does; -errno of
 * ours.
 */
int doctor_ask_engine(struct doctor_facts *f);
void doctor_check_engine(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_api(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_gid(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_driver(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_swap(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_runc(const struct doctor_facts *f, struct doctor_row *row);
/* By its own number, "1.1.5+ds1-1+deb12u1", does this runc keep to the container's root when a link lies in
 * the way of a mount? False also for what is no version. */
bool doctor_runc_is_fixed(const char *version);

/* doctor_host.c */
void doctor_check_kernel(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_cgroup(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_limits(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_systemd(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_pressure(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_clock(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_disk(const struct doctor_facts *f, struct doctor_row *row);

/* doctor_kernel.c: each tries the system call itself, without effect */
void doctor_check_seccomp(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_landlock(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_pidfd(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_openat2(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_mounts(const struct doctor_facts *f, struct doctor_row *row);

/* doctor_room.c */
void doctor_check_space(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_inotify(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_stale(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_group(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_unit(const struct doctor_facts *f, struct doctor_row *row);

/* doctor_install.c */
void doctor_check_config(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_runtime_dir(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_state_dir(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_proxy_program(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_proxy_user(const struct doctor_facts *f, struct doctor_row *row);
void doctor_check_daemon(const struct doctor_facts *f, struct doctor_row *row);
