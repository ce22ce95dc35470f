/* verb_capacity.c: `clawsup capacity`: what is promised to tenants, what is used, and how many more fit. */
#include "ctl/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "ctl/table.h"
#include "ctl/text.h"

static const char *arg_cpus, *arg_memory, *arg_pids, *arg_disk;

static void amount(struct table *t, const char *resource, const json_t *row, const char *key)
{
    uint64_t v = text_u64(row, key, UINT64_MAX);
    char text[32];

    if (v == UINT64_MAX)
        table_cell(t, TEXT_DIM, "-");
    else if (str_eq(resource, "cpu"))
        table_cellf(t, TEXT_PLAIN, "%.2f", (double)v / 1e9);
    else if (str_eq(resource, "pids"))
        table_cellf(t, TEXT_PLAIN, "%" PRIu64, v);
    else {
        str_format_size(text, sizeof(text), v);
        table_cell(t, TEXT_PLAIN, text);
    }
}

static int print_table(const struct ctl *c, const json_t *reply)
{
    static const struct table_column columns[] = {{.name = "RESOURCE"}, {.name = "TOTAL", .right = true},
        {.name = "OVERCOMMIT", .right = true}, {.name = "COMMITTED", .right = true},
        {.name = "USED", .right = true}, {.name = "FREE", .right = true}, {.name = "WHERE"}};
    static const char *const keys[] = {"committed", "used", "free"};
    const struct table_style style = {.plain = c->plain, .no_heading = c->no_heading, .colour = c->colour};
    const json_t *list = json_object_get(reply, "resources");
    _cleanup_(table_freep) struct table *t = table_new(columns, ARRAY_SIZE(columns), &style);

    if (!t)
        return CTL_FAILED;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i), *factor = json_object_get(row, "overcommit");
        const char *resource = text_of(row, "resource");

        table_cell(t, TEXT_PLAIN, resource);
        amount(t, resource, row, "total");
        if (json_number_value(factor) > 0)
            table_cellf(t, TEXT_PLAIN, "x%.4g", json_number_value(factor));
        else
            table_cell(t, TEXT_PLAIN, "any");
        for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
            amount(t, resource, row, keys[k]);
        table_cell(t, TEXT_PLAIN, text_of(row, "where"));
    }
    return table_print(t, stdout) < 0 ? CTL_FAILED : CTL_OK;
}

static void print_rest(const json_t *reply)
{
    const json_t *refused = json_object_get(reply, "refused");
    uint64_t more = text_u64(reply, "more", UINT64_MAX);
    char text[320];

    if (more == UINT64_MAX)
        (void)printf("any number of tenants of that size fits\n");
    else
        (void)printf("%" PRIu64 " more tenant%s of that size fit%s (%s)\n", more, more == 1 ? "" : "s",
            more == 1 ? "s" : "", text_of(reply, "more_limited_by"));
    for (size_t i = 0; i < json_array_size(refused); i++) {
        const json_t *row = json_array_get(refused, i);

        text_safe(text, sizeof(text), text_of(row, "reason"));
        (void)printf("not admitted: %s: %s\n", text_of(row, "tenant"), text);
    }
}

static int run(struct ctl *c, char **args, int n)
{
    _cleanup_json_ json_t *request = ctl_request("capacity", NULL), *reply = NULL;
    uint64_t cpus = 0, memory = 0, pids = 0, disk = 0;
    int r;

    (void)args;
    (void)n;
    if (str_parse_cpus(arg_cpus ? arg_cpus : "1.0", &cpus) < 0)
        return ctl_fail(c, CTL_USAGE, "usage", NULL, "--cpus: a number such as 1.5, not '%s'", arg_cpus);
    if (str_parse_size(arg_memory ? arg_memory : "2G", &memory) < 0)
        return ctl_fail(c, CTL_USAGE, "usage", NULL, "--memory: a size such as 2G, not '%s'", arg_memory);
    if (str_parse_u64(arg_pids ? arg_pids : "512", UINT32_MAX, &pids) < 0)
        return ctl_fail(c, CTL_USAGE, "usage", NULL, "--pids: a number, not '%s'", arg_pids);
    if (arg_disk && str_parse_size(arg_disk, &disk) < 0)
        return ctl_fail(c, CTL_USAGE, "usage", NULL, "--disk: a size such as 20G, not '%s'", arg_disk);
    if (!request || json_object_set_new(request, "nano_cpus", json_integer((json_int_t)cpus)) < 0 ||
        json_object_set_new(request, "memory_bytes", json_integer((json_int_t)memory)) < 0 ||
        json_object_set_new(request, "pids", json_integer((json_int_t)pids)) < 0 ||
        json_object_set_new(request, "disk_bytes", json_integer((json_int_t)disk)) < 0)
        return ctl_fail(c, CTL_FAILED, "internal", NULL, "out of memory");
    r = ctl_call(c, TAKE_PTR(request), CTL_TIMEOUT_US, &reply);
    if (r != CTL_OK)
        return r;
    if (c->json)
        return ctl_print_json(reply, false);
    r = print_table(c, reply);
    if (r == CTL_OK && !c->plain)
        print_rest(reply);
    return fflush(stdout) == 0 ? r : CTL_FAILED;
}

static const struct ctl_option options[] = {
    {.name = "cpus", .arg = "N", .help = "CPUs of a tenant to be (default 1.0)", .value = &arg_cpus},
    {.name = "memory", .arg = "SIZE", .help = "its memory (default 2G)", .value = &arg_memory},
    {.name = "pids", .arg = "N", .help = "its processes (default 512)", .value = &arg_pids},
    {.name = "disk", .arg = "SIZE", .help = "its disk (default none)", .value = &arg_disk},
};

const struct ctl_command verb_capacity = {
    .name = "capacity",
    .args = "",
    .summary = "what the host has promised to its tenants, and how many more fit",
    .details =
        "COMMITTED is the sum of the tenants' hard limits, FREE what is left of TOTAL times OVERCOMMIT\n"
        "(overcommit in clawsup.conf). A tenant whose limits do not fit is not admitted and is listed "
        "below.",
    .examples = "  clawsup capacity\n  clawsup capacity --cpus 2 --memory 4G --disk 20G\n"
                "  clawsup capacity --json | jq .more\n",
    .options = options,
    .n_options = ARRAY_SIZE(options),
    .run = run,
};
