/* check_pidfd.c: tells when a process ends, and how (see check.h). Must not close the pidfd: it is borrowed.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "checks/internal.h"

struct check_pidfd {
    struct check check; /* first */
    sd_event_source *io;
};

static void pidfd_destroy(struct check *c)
{
    struct check_pidfd *p = (struct check_pidfd *)c;

    sd_event_source_disable_unref(p->io);
    free(p);
}

static int on_exit_seen(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct check_pidfd *p = userdata;
    siginfo_t si = {};

    (void)s;
    (void)revents;
    /* Before the callback: it may close the pidfd and watch a successor under the same number. */
    p->io = sd_event_source_disable_unref(p->io);
    if (waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
        check_finish(&p->check, CHECK_FAIL, "exited"); /* not our child */
    else if (si.si_code == CLD_EXITED)
        check_finish(&p->check, CHECK_FAIL, "exited with status %d", si.si_status);
    else
        check_finish(&p->check, CHECK_FAIL, "killed by signal %d%s", si.si_status,
            si.si_code == CLD_DUMPED ? " (core dumped)" : "");
    return 0;
}

int check_pidfd_start(sd_event *event, int pidfd, check_fn fn, void *userdata, struct check **ret)
{
    struct check_pidfd *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return -ENOMEM;
    r = check_init(&p->check, event, pidfd_destroy, fn, userdata);
    if (r >= 0)
        r = sd_event_add_io(event, &p->io, pidfd, EPOLLIN, on_exit_seen, p);
    if (r < 0) {
        pidfd_destroy(&p->check);
        return r;
    }
    if (ret)
        *ret = &p->check;
    return 0;
}
