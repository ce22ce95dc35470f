/* create_nesting.c: mount targets against one another. A target is only as good as the directories above it:
 * the runtime follows symbolic links in them, inside the container's root, at each start. Who can put a link
 * there can mount a directory of his own over /dev, and the runtime then opens his "/dev/null" as root before
 * anything is read-only: the host's files under /proc/sys among them. So nothing above a bind's target may be
 * the tenant's to change. */
#include <string.h>

#include "filter/create_internal.h"

static bool is_below(const char *dir, const char *path)
{
    return strcmp(dir, path) != 0 && str_path_covers(dir, path);
}

/* What is bound comes from a directory that the tenant can write to. */
static bool is_below_bind(const struct create_model *m, const char *target)
{
    for (size_t i = 0; i < m->n_binds; i++)
        if (is_below(m->binds[i].target, target))
            return true;
    return false;
}

static int refuse_nested(struct refusal *refusal, const char *target)
{
    return refusal_set(refusal, 403, "create.HostConfig.Mounts",
        "mount target %.96s lies in another bind, where a directory could become a link", target);
}

int create_settle_mounts(const struct create_ctx *c, struct refusal *refusal)
{
    const struct create_model *m = c->m;

    for (size_t i = 0; i < m->n_tmpfs; i++)
        if (is_below_bind(m, m->tmpfs[i].target))
            return refuse_nested(refusal, m->tmpfs[i].target);
    for (size_t i = 0; i < m->n_binds; i++) {
        const char *target = m->binds[i].target;

        if (is_below_bind(m, target))
            return refuse_nested(refusal, target);
        /* Directly below / the target is a mount point while the container runs, so it cannot be replaced. */
        if (!m->readonly_rootfs && strchr(target + 1, '/'))
            return refusal_set(refusal, 403, "create.HostConfig.Mounts",
                "bind target %.96s needs ReadonlyRootfs, or a place directly below /: the container could "
                "put a "
                "link in its way",
                target);
    }
    return 0;
}
