/* create_nesting.c: mount targets against one another. A target is only as good as the directories above it:
 * the runtime follows symbolic links in them, inside the container's root, at each start. Who can put a link
 * there can mount a directory of his own over /dev, and the runtime then opens his "/dev/null" as root before
 * anything is read-only: the host's files under /proc/sys among them. So nothing above a target that the
 * runtime sees may be the tenant's to change. */
#include <string.h>

#include "filter/create_internal.h"

static int check_tmpfs(const struct create_model *m, const char *target, struct refusal *refusal)
{
    for (size_t i = 0; i < m->n_binds; i++)
        if (str_path_covers(m->binds[i].target, target))
            return refusal_set(refusal, 403, "create.HostConfig.Mounts",
                "mount target %.96s lies in a bind, where a directory could become a link", target);
    return 0;
}

int create_settle_mounts(const struct create_ctx *c, struct refusal *refusal)
{
    struct create_model *m = c->m;
    int r = 0;

    create_binds_nest(m->binds, m->n_binds);
    for (size_t i = 0; r >= 0 && i < m->n_tmpfs; i++)
        r = check_tmpfs(m, m->tmpfs[i].target, refusal);
    for (size_t i = 0; r >= 0 && i < m->n_binds; i++) {
        const struct create_bind *b = &m->binds[i];

        /* Directly below / the target is a mount point while the container runs, so it cannot be replaced. */
        if (!b->inside && !m->readonly_rootfs && strchr(b->target + 1, '/'))
            r = refusal_set(refusal, 403, "create.HostConfig.Mounts",
                "bind target %.96s needs ReadonlyRootfs, or a place directly below /: the container could "
                "put a "
                "link in its way",
                b->target);
    }
    return r;
}
