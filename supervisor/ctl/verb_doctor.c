/* verb_doctor.c: `clawsup doctor`: prints what doctor.h finds on this host. Needs no daemon. */
#include "ctl/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "config/config.h"
#include "ctl/doctor.h"
#include "ctl/table.h"

static int print_report(const struct ctl *c, const struct doctor_report *report)
{
    static const struct table_column columns[] = {
        {.name = "CHECK"}, {.name = "STATE"}, {.name = "FOUND", .wrap = true}};
    const struct table_style style = {.plain = c->plain, .no_heading = c->no_heading, .colour = c->colour};
    _cleanup_(table_freep) struct table *t = table_new(columns, ARRAY_SIZE(columns), &style);
    bool any = false;

    if (!t)
        return CTL_FAILED;
    for (size_t i = 0; i < report->n; i++) {
        const struct doctor_row *row = &report->rows[i];
        const char *state = doctor_state_to_string(row->state);

        table_cell(t, TEXT_PLAIN, row->name);
        table_cell(t, text_state_colour(state), state);
        table_cell(t, TEXT_PLAIN, row->what);
    }
    if (table_print(t, stdout) < 0)
        return CTL_FAILED;
    for (size_t i = 0; i < report->n && !c->plain; i++) {
        char text[512];

        if (!*report->rows[i].todo)
            continue;
        text_safe(text, sizeof(text), report->rows[i].todo);
        (void)printf("%s  %s: %s\n", any ? "" : "\nTo do\n", report->rows[i].name, text);
        any = true;
    }
    if (doctor_report_first(report) && !c->plain) {
        const struct doctor_row *row = doctor_report_first(report);
        char text[512];

        text_safe(text, sizeof(text), row->todo);
        (void)printf("\nFirst\n  %s: %s\n", row->name, text);
    }
    return fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
}

static int run(struct ctl *c, char **args, int n)
{
    _cleanup_(doctor_report_freep) struct doctor_report *report = NULL;
    _cleanup_(config_freep) struct config *cfg = NULL;
    struct config_findings f = {0};
    int r, code;

    (void)args;
    (void)n;
    r = config_load(c->config_file, &cfg, &f);
    if (r < 0 && c->config_given) {
        code = ctl_fail(c, CTL_FAILED, "refused", "clawsup check-config lists the findings", "%s",
            f.n > 0 ? f.items[0] : strerrordesc_np(-r));
        config_findings_free(&f);
        return code;
    }
    if (r < 0)
        (void)fprintf(
            stderr, "clawsup doctor: %s cannot be used, looking with the defaults\n", c->config_file);
    config_findings_free(&f);
    if (doctor_run(cfg, &report) < 0)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    if (c->json) {
        _cleanup_json_ json_t *j = doctor_report_json(report);

        code = j ? ctl_print_json(j, false) : CTL_FAILED;
    } else {
        code = print_report(c, report);
    }
    return code != CTL_OK ? code : doctor_report_worst(report) == DOCTOR_OK ? CTL_OK : CTL_FAILED;
}

const struct ctl_command verb_doctor = {
    .name = "doctor",
    .args = "",
    .summary = "what this host gives clawsup, what is missing, what to do",
    .details =
        "Looks at the engine and its API, the socket's group, cgroups, slices, pressure, disks, inotify, "
        "kernel\n"
        "features, mounts, the clock, and how clawsupd runs; says what to do, and what of it first. Changes\n"
        "nothing and needs no daemon. As root it sees more. Exit status: 0 all ok, 1 something is degraded "
        "or missing.",
    .examples = "  sudo clawsup doctor\n"
                "  clawsup doctor --json | jq '.checks[] | select(.state != \"ok\")'\n",
    .run = run,
};
