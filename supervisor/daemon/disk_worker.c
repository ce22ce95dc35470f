/* disk_worker.c: see disk_worker.h. Knows no tenant. */
#include "daemon/disk_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/fd.h"

_Static_assert(sizeof(struct disk_reply) <= PIPE_BUF, "a reply is written in one piece");

#define FD_REPLY 3

struct disk_worker {
    pid_t pid;
    int fd;
    sd_event_source *source;
    disk_worker_fn fn;
    void *userdata;
};

static void work(const struct disk_job *job, struct disk_reply *reply)
{
    switch (job->type) {
    case DISK_JOB_IMAGE:
        reply->r = disk_image_ensure(&job->image, &reply->image, &reply->e);
        break;
    case DISK_JOB_TRIM:
        reply->r = disk_image_trim(job->image.data_root, &reply->trimmed_bytes, &reply->e);
        break;
    case DISK_JOB_COUNT:
        (void)setpriority(PRIO_PROCESS, 0, 10); /* nobody waits for it */
        reply->r = disk_usage_of(job->image.data_root, &reply->usage, &reply->e);
        break;
    case _DISK_JOB_TYPE_MAX:
    default:
        reply->r = -EINVAL;
        break;
    }
}

/* Nothing of the daemon's is used here but the job: not its loop, its sockets, its database. */
static _Noreturn void child(int out, const struct disk_job *job)
{
    struct disk_reply reply = {0};
    sigset_t none;

    (void)prctl(PR_SET_NAME, "clawsupd-disk", 0, 0, 0);
    (void)setsid();
    if (out != FD_REPLY && dup3(out, FD_REPLY, O_CLOEXEC) < 0)
        _exit(71);
    (void)close_range(FD_REPLY + 1, ~0U, 0);
    (void)signal(SIGPIPE, SIG_IGN); /* a clawsupd that ended does not end the work */
    (void)signal(SIGTERM, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    work(job, &reply);
    (void)!write(FD_REPLY, &reply, sizeof(reply));
    _exit(0);
}

static struct disk_worker *worker_free(struct disk_worker *w)
{
    (void)sd_event_source_disable_unref(w->source);
    w->fd = fd_close(w->fd);
    free(w);
    return NULL;
}

static int on_reply(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
    struct disk_worker *w = userdata;
    struct disk_reply reply = {0};
    disk_worker_fn fn = w->fn;
    void *data = w->userdata;
    ssize_t n = read(fd, &reply, sizeof(reply));

    (void)s;
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n != (ssize_t)sizeof(reply)) {
        reply = (struct disk_reply){.r = -ECHILD};
        (void)err_set(&reply.e, -ECHILD, "the process that works on the disk was killed");
    }
    /* It has said its last word, or is dead: this does not wait. */
    (void)waitpid(w->pid, NULL, 0);
    (void)worker_free(w);
    fn(&reply, data);
    return 0;
}

int disk_worker_start(
    sd_event *event, const struct disk_job *job, disk_worker_fn fn, void *userdata, struct disk_worker **ret)
{
    struct disk_worker *w = calloc(1, sizeof(*w));
    int p[2], r;

    if (!w || pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0) {
        r = w ? -errno : -ENOMEM;
        free(w);
        return r;
    }
    *w = (struct disk_worker){.fd = p[0], .fn = fn, .userdata = userdata};
    r = sd_event_add_io(event, &w->source, w->fd, EPOLLIN, on_reply, w);
    w->pid = r < 0 ? -1 : fork();
    if (w->pid == 0)
        child(p[1], job);
    if (r >= 0 && w->pid < 0)
        r = -errno;
    p[1] = fd_close(p[1]);
    if (r < 0) {
        (void)worker_free(w);
        return r;
    }
    *ret = w;
    return 0;
}

pid_t disk_worker_abandon(struct disk_worker *w)
{
    pid_t pid;

    if (!w)
        return 0;
    pid = w->pid;
    (void)worker_free(w);
    return pid;
}
