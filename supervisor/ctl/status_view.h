/* status_view.h: the answer of `status` as people read it. Pure: JSON in, text out; a member that is missing
 * is shown as "-". Schema: contrib/docs/status-schema.json. */
#pragma once

#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/table.h"

/* What is wrong with the host as a whole, one line each; nothing when all is well. */
void status_host(const json_t *reply, const struct table_style *style, FILE *out);

enum status_sort {
    STATUS_SORT_NAME,
    STATUS_SORT_STATE, /* worst first */
    STATUS_SORT_RESTARTS,
    STATUS_SORT_CPU,
    STATUS_SORT_MEMORY,
    STATUS_SORT_DISK,
    _STATUS_SORT_MAX
};
/* "name", "state", ...; -EINVAL. */
int status_sort_from_string(const char *s, enum status_sort *ret);
/* A list "down,quarantined" of states, "unhealthy" among them; -EINVAL names the one that there is not. */
int status_filter_check(const char *list, struct err *e);
/* Puts the tenants of the reply into order and leaves only those in one of the states of `only` (NULL: all).
 * -ENOMEM; the reply is unchanged then. */
int status_arrange(json_t *reply, enum status_sort by, const char *only);

/* One row per tenant; columns are left out when style->width is too small for all of them. -ENOMEM, -EIO. */
int status_overview(const json_t *reply, const struct table_style *style, FILE *out);

/* One tenant: components, what happens next, what the operator can do, probes, resources, events. Same
 * errors. */
int status_detail(const json_t *reply, const json_t *tenant, const struct table_style *style, FILE *out);

/* CTL_OK, CTL_DEGRADED or CTL_QUARANTINED. */
int status_exit_code(const json_t *reply);

/* "restart 2 of 3 in 4.1s"; "" when nothing is planned for the component. `n` >= 160 is always enough. */
void status_next(char *out, size_t n, const json_t *component, uint64_t now_us);

/* "acme/gateway", "gateway" when the tenant is known from the context, "host". `n` >= 72. */
void status_subject(char *out, size_t n, const json_t *event, bool with_tenant);

/* The lines at the head of a tenant's page. */
struct status_lines {
    const json_t *tenant;
    uint64_t now;
    /* "  name      text" */
    void (*line)(const struct status_lines *v, const char *name, const char *fmt, ...) _printf_(3, 4);
};
/* What is wrong, since when, what was done; nothing when every component is healthy. */
void status_trouble(const struct status_lines *v);
