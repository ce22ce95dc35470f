/* doctor.c: see doctor.h: the table of checks and the report. The checks are in doctor_*.c; nothing here
 * changes the host. */
#include "ctl/doctor_check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    doctor_check_fn check;
} checks[] = {
    {"config", doctor_check_config},
    {"engine", doctor_check_engine},
    {"engine-api", doctor_check_api},
    {"docker-gid", doctor_check_gid},
    {"limits", doctor_check_limits},
    {"cgroup", doctor_check_cgroup},
    {"cgroup-driver", doctor_check_driver},
    {"swap-limit", doctor_check_swap},
    {"runc", doctor_check_runc},
    {"systemd", doctor_check_systemd},
    {"pressure", doctor_check_pressure},
    {"disk", doctor_check_disk},
    {"free-space", doctor_check_space},
    {"inotify", doctor_check_inotify},
    {"kernel", doctor_check_kernel},
    {"seccomp", doctor_check_seccomp},
    {"landlock", doctor_check_landlock},
    {"pidfd", doctor_check_pidfd},
    {"openat2", doctor_check_openat2},
    {"mounts", doctor_check_mounts},
    {"stale-mounts", doctor_check_stale},
    {"clock", doctor_check_clock},
    {"runtime-dir", doctor_check_runtime_dir},
    {"state-dir", doctor_check_state_dir},
    {"proxy-program", doctor_check_proxy_program},
    {"proxy-user", doctor_check_proxy_user},
    {"control-group", doctor_check_group},
    {"clawsupd", doctor_check_daemon},
    {"unit", doctor_check_unit},
};
_Static_assert(ARRAY_SIZE(checks) <= DOCTOR_ROWS_MAX, "the report is too small");

void doctor_say(struct doctor_row *row, enum doctor_state state, const char *fmt, ...)
{
    va_list ap;

    row->state = state;
    va_start(ap, fmt);
    (void)vsnprintf(row->what, sizeof(row->what), fmt, ap);
    va_end(ap);
}

void doctor_advise(struct doctor_row *row, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(row->todo, sizeof(row->todo), fmt, ap);
    va_end(ap);
}

static const char *or_default(const char *value, const char *fallback)
{
    return value && value[0] ? value : fallback;
}

static void facts_from_config(struct doctor_facts *f, const struct config *c)
{
    *f = (struct doctor_facts){
        .config = c,
        .engine_socket = or_default(c ? c->engine_socket : NULL, "/run/docker.sock"),
        .runtime_dir = or_default(c ? c->runtime_dir : NULL, "/run/clawsup"),
        .state_dir = or_default(c ? c->state_dir : NULL, "/var/lib/clawsup"),
        .proxy_program =
            or_default(c ? c->proxy_program : NULL, CLAWSUP_PREFIX "/libexec/clawsup/clawsup-proxy"),
        .proxy_user = or_default(c ? c->proxy_user : NULL, "clawsup-proxy"),
        .docker_gid = c ? c->docker_gid : NULL,
        .allow_root_gid = c && c->allow_root_gid,
    };
}

int doctor_run(const struct config *c, struct doctor_report **ret)
{
    _cleanup_(doctor_report_freep) struct doctor_report *report = calloc(1, sizeof(*report));
    struct doctor_facts f;
    int r;

    if (!report)
        return -ENOMEM;
    facts_from_config(&f, c);
    r = doctor_ask_engine(&f);
    if (r >= 0)
        r = limits_host_detect(NULL, f.info, &f.host);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(checks); i++) {
        struct doctor_row *row = &report->rows[report->n++];

        row->name = checks[i].name;
        row->state = DOCTOR_MISSING;
        checks[i].check(&f, row);
    }
    json_decref(f.info);
    json_decref(f.version);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(report);
    return 0;
}

struct doctor_report *doctor_report_free(struct doctor_report *r)
{
    free(r);
    return NULL;
}

enum doctor_state doctor_report_worst(const struct doctor_report *r)
{
    enum doctor_state worst = DOCTOR_OK;

    for (size_t i = 0; i < r->n; i++)
        worst = MAX(worst, r->rows[i].state);
    return worst;
}

/* What follows from another row is no beginning. */
static bool follows(const struct doctor_row *row)
{
    return strncmp(row->todo, "see the row", strlen("see the row")) == 0;
}

const struct doctor_row *doctor_report_first(const struct doctor_report *r)
{
    for (int state = DOCTOR_MISSING; state > DOCTOR_OK; state--)
        for (size_t i = 0; i < r->n; i++)
            if ((int)r->rows[i].state == state && !follows(&r->rows[i]))
                return &r->rows[i];
    return NULL;
}

const char *doctor_state_to_string(enum doctor_state s)
{
    static const char *const names[_DOCTOR_STATE_MAX] = {
        [DOCTOR_OK] = "ok", [DOCTOR_DEGRADED] = "degraded", [DOCTOR_MISSING] = "missing"};

    return s < _DOCTOR_STATE_MAX ? names[s] : "unknown";
}

json_t *doctor_report_json(const struct doctor_report *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n; i++) {
        const struct doctor_row *row = &r->rows[i];

        /* a NULL from either fails the append, and the list is then short: report that as no memory */
        if (json_array_append_new(
                list, json_pack("{s:s, s:s, s:s, s:s}", "name", row->name, "state",
                          doctor_state_to_string(row->state), "what", row->what, "todo", row->todo)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:i, s:s, s:s?, s:o}", "v", 1, "state", doctor_state_to_string(doctor_report_worst(r)),
        "first", doctor_report_first(r) ? doctor_report_first(r)->name : NULL, "checks", list);
}
