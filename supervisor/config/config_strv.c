/* config_strv.c: a growing list of owned texts. */
#include <errno.h>
#include <string.h>

#include "config/config_read.h"

void config_strv_free(struct config_strv *v)
{
    for (size_t i = 0; i < v->n; i++)
        free(v->items[i]);
    free(v->items);
    *v = (struct config_strv){};
}

int config_strv_add(struct config_strv *v, const char *s)
{
    char **items, *copy = strdup(s);

    if (!copy)
        return -ENOMEM;
    items = reallocarray(v->items, v->n + 1, sizeof(*items));
    if (!items) {
        free(copy);
        return -ENOMEM;
    }
    v->items = items;
    v->items[v->n++] = copy;
    return 0;
}
