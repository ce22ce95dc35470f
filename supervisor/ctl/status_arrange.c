/* status_arrange.c: which tenants the overview shows, and in which order. Pure: JSON in, JSON out. */
#include "ctl/status_view.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

static const char *const sort_names[_STATUS_SORT_MAX] = {
    [STATUS_SORT_NAME] = "name",
    [STATUS_SORT_STATE] = "state",
    [STATUS_SORT_RESTARTS] = "restarts",
    [STATUS_SORT_CPU] = "cpu",
    [STATUS_SORT_MEMORY] = "memory",
    [STATUS_SORT_DISK] = "disk",
};
/* Worst first. */
static const char *const states[] = {
    "quarantined", "down", "recovering", "degraded", "starting", "held", "paused", "healthy"};

int status_sort_from_string(const char *s, enum status_sort *ret)
{
    for (int i = 0; i < _STATUS_SORT_MAX; i++)
        if (strcmp(sort_names[i], s) == 0) {
            *ret = (enum status_sort)i;
            return 0;
        }
    return -EINVAL;
}

static size_t state_rank(const json_t *tenant)
{
    const char *state = text_of(tenant, "state");
    size_t i = 0;

    while (i < ARRAY_SIZE(states) && strcmp(states[i], state) != 0)
        i++;
    return i;
}

/* Larger comes first. */
static double weight(const json_t *tenant, enum status_sort by)
{
    const json_t *r = json_object_get(tenant, "resources"), *list = json_object_get(tenant, "components");
    double sum = 0;

    switch (by) {
    case STATUS_SORT_STATE:
        return -(double)state_rank(tenant);
    case STATUS_SORT_RESTARTS:
        for (size_t i = 0; i < json_array_size(list); i++)
            sum += (double)text_u64(json_array_get(list, i), "restarts_24h", 0);
        return sum;
    case STATUS_SORT_CPU:
        return json_number_value(json_object_get(r, "cpu_percent"));
    case STATUS_SORT_MEMORY:
        return (double)text_u64(r, "memory_bytes", 0);
    case STATUS_SORT_DISK:
        return (double)text_u64(r, "disk_bytes", 0);
    case STATUS_SORT_NAME:
    case _STATUS_SORT_MAX:
    default:
        return 0;
    }
}

struct entry {
    json_t *tenant; /* borrowed */
    double weight;
    size_t place;
};

static int compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->weight > y->weight || x->weight < y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* True when `state` stands in the list "down,quarantined"; "unhealthy" is everything but healthy. */
static bool listed(const char *list, const char *state)
{
    size_t len = strlen(state);

    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");

        if (n == len && strncmp(p, state, n) == 0)
            return true;
        if (n == strlen("unhealthy") && strncmp(p, "unhealthy", n) == 0 && strcmp(state, "healthy") != 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

int status_filter_check(const char *list, struct err *e)
{
    for (const char *p = list;; p++) {
        size_t n = strcspn(p, ","), i = 0;
        bool known = n == strlen("unhealthy") && strncmp(p, "unhealthy", n) == 0;

        for (; !known && i < ARRAY_SIZE(states); i++)
            known = strlen(states[i]) == n && strncmp(p, states[i], n) == 0;
        if (!known) {
            char word[32];
            int at;

            (void)snprintf(word, sizeof(word), "%.*s", (int)MIN(n, sizeof(word) - 1), p);
            at = ctl_closest(word, states, ARRAY_SIZE(states));
            return err_set(e, -EINVAL, "no state '%s'%s%s%s", word, at >= 0 ? "; did you mean '" : "",
                at >= 0 ? states[at] : "", at >= 0 ? "'?" : "");
        }
        p += n;
        if (!*p)
            return 0;
    }
}

int status_arrange(json_t *reply, enum status_sort by, const char *only)
{
    const json_t *list = json_object_get(reply, "tenants");
    size_t n = json_array_size(list), kept = 0;
    _cleanup_free_ struct entry *entries = calloc(n + 1, sizeof(*entries));
    _cleanup_json_ json_t *sorted = json_array();

    if (!entries || !sorted)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        json_t *t = json_array_get(list, i);

        if (only && !listed(only, text_of(t, "state")))
            continue;
        entries[kept] = (struct entry){.tenant = t, .weight = weight(t, by), .place = kept};
        kept++;
    }
    qsort(entries, kept, sizeof(*entries), compare);
    for (size_t i = 0; i < kept; i++)
        if (json_array_append(sorted, entries[i].tenant) < 0)
            return -ENOMEM;
    return json_object_set(reply, "tenants", sorted) < 0 ? -ENOMEM : 0;
}
