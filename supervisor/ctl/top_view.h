/* top_view.h: what `top` shows: two answers to `status`, and what happened between them. Pure: JSON in, text
 * or JSON out. */
#pragma once

#include <stdio.h>

#include "ctl/status_view.h"

/* Rates of `now` since `before` (NULL: not known yet), {"v", "ok", "now", "interval_us", "tenants": [...]},
 * in the order of `now`. NULL: out of memory. Schema: contrib/docs/cli-schema.json. */
json_t *top_rates(const json_t *before, const json_t *now);

/* Puts the tenants of top_rates() into order: by what they use now. */
enum top_sort {
    TOP_SORT_CPU,
    TOP_SORT_MEMORY,
    TOP_SORT_DISK,
    TOP_SORT_REQUESTS,
    TOP_SORT_REFUSALS,
    TOP_SORT_NAME,
    _TOP_SORT_MAX
};
int top_sort_from_string(const char *s, enum top_sort *ret); /* -EINVAL */
const char *top_sort_to_string(enum top_sort s);
int top_arrange(json_t *rates, enum top_sort by); /* -ENOMEM */

/* -ENOMEM, -EIO. */
int top_print(const json_t *rates, const struct table_style *style, FILE *out);
/* One line: all tenants together. */
void top_summary(const json_t *rates, FILE *out);
