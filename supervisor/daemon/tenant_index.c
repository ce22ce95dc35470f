/* tenant_index.c: see tenant_index.h. Knows nothing of tenants but where they are. */
#include "daemon/tenant_index.h"

#include <errno.h>
#include <string.h>

static int reserve(struct tenant_index *x, size_t n)
{
    struct tenant **p = reallocarray(x->items, n, sizeof(*p));

    if (!p)
        return -ENOMEM;
    memset(p + x->n, 0, (n - x->n) * sizeof(*p));
    x->items = p;
    x->n = n;
    return 0;
}

int tenant_index_set(struct tenant_index *x, uint32_t index, struct tenant *t)
{
    int r = 0;

    if (index >= x->n) {
        if (!t)
            return 0;
        r = reserve(x, MAX((size_t)index + 1, x->n * 2));
    }
    if (r >= 0)
        x->items[index] = t;
    return r;
}

struct tenant *tenant_index_get(const struct tenant_index *x, uint32_t index)
{
    return index < x->n ? x->items[index] : NULL;
}

void tenant_index_clear(struct tenant_index *x)
{
    free(x->items);
    *x = (struct tenant_index){.items = NULL};
}
