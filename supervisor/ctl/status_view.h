/* status_view.h: the answer of `status` as people read it. Pure: JSON in, text out; a member that is missing
 * is shown as "-". Schema: contrib/docs/status-schema.json. */
#pragma once

#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/table.h"

/* What is wrong with the host as a whole, one line each; nothing when all is well. */
void status_host(const json_t *reply, const struct table_style *style, FILE *out);

/* One row per tenant. -ENOMEM, -EIO. */
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
