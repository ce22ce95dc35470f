/* create_weight.c: how much of a container every list of the engine shows again: its command, its labels, its
 * mounts. Whoever reads the list of all tenants pays for it each time, so it is bounded far below a body's
 * limit. */
#include <string.h>

#include "filter/create_internal.h"

#define WEIGHT_MAX ((size_t)64 * 1024)

/* Bytes of the text in the engine's JSON, or a few more. */
static size_t text_weight(const char *s)
{
    size_t n = 0;

    for (; s && *s; s++)
        n += (unsigned char)*s < ' ' ? 6 : (*s == '"' || *s == '\\' || (unsigned char)*s > 0x7e ? 2 : 1);
    return n;
}

static size_t list_weight(const json_t *strings)
{
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(strings); i++)
        n += text_weight(json_string_value(json_array_get(strings, i))) + 3;
    return n;
}

int create_settle_weight(const struct create_ctx *c, struct refusal *refusal)
{
    const struct create_model *m = c->m;
    size_t n = list_weight(m->entrypoint) + list_weight(m->cmd);

    for (void *it = json_object_iter(m->labels); it; it = json_object_iter_next(m->labels, it))
        n += text_weight(json_object_iter_key(it)) +
             text_weight(json_string_value(json_object_iter_value(it))) + 6;
    /* In the list of mounts, and with its true source in our label, where quotes are quoted once more. */
    for (size_t i = 0; i < m->n_binds; i++)
        n += 2 * (text_weight(m->binds[i].source) + text_weight(m->binds[i].root)) +
             3 * text_weight(m->binds[i].target);
    if (n > WEIGHT_MAX)
        return refusal_set(refusal, 413, "create.weight",
            "command, labels and mounts together are larger than %zu bytes", WEIGHT_MAX);
    return 0;
}
