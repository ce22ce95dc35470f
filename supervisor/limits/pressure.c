/* pressure.c: see pressure.h. Writes only what subscribes: must not change a limit. */
#include "limits/pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "limits/cgroup_file.h"

/* Kernels since 6.5 let one without CAP_SYS_RESOURCE have only windows of whole multiples of this. */
#define WINDOW_US (2 * USEC_PER_SEC)

struct pressure_trigger {
    sd_event_source *source;
    int fd;
    enum pressure_resource resource;
    pressure_fn fn;
    void *userdata;
};

static const char *const names[_PRESSURE_MAX] = {
    [PRESSURE_MEMORY] = "memory", [PRESSURE_CPU] = "cpu", [PRESSURE_IO] = "io"};

const char *pressure_resource_to_string(enum pressure_resource r)
{
    return r < _PRESSURE_MAX ? names[r] : "unknown";
}

int pressure_read(const char *dir, enum pressure_resource r, struct pressure_sample *ret)
{
    _cleanup_free_ char *text = NULL;
    char name[32];

    (void)snprintf(name, sizeof(name), "%s.pressure", names[r]);
    text = cgroup_file_read(dir, name);
    if (!text)
        return -ENOENT;
    return cgroup_file_pressure(text, "some", &ret->avg10, &ret->total_us) ? 0 : -EBADMSG;
}

static int on_ready(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct pressure_trigger *t = userdata;

    (void)fd;
    if (revents & EPOLLERR) { /* the cgroup is gone; it would be ready for ever */
        (void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
        return 0;
    }
    if (revents & EPOLLPRI)
        t->fn(t->resource, t->userdata);
    return 0;
}

/* "some 800000 2000000": the NUL is part of what the kernel expects. */
static int subscribe(int fd, unsigned percent)
{
    char text[64];
    int n = snprintf(
        text, sizeof(text), "some %u %u", (unsigned)(percent * (WINDOW_US / 100)), (unsigned)WINDOW_US);

    if (write(fd, text, (size_t)n + 1) < 0)
        return -errno;
    return 0;
}

int pressure_trigger_new(sd_event *event, const char *dir, enum pressure_resource r, unsigned percent,
    pressure_fn fn, void *userdata, struct pressure_trigger **ret)
{
    _cleanup_(pressure_trigger_freep) struct pressure_trigger *t = NULL;
    char path[PATH_MAX];
    int k;

    if (r >= _PRESSURE_MAX || percent == 0 || percent > 100)
        return -EINVAL;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s.pressure", dir, names[r]) >= sizeof(path))
        return -ENAMETOOLONG;
    t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->resource = r;
    t->fn = fn;
    t->userdata = userdata;
    t->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (t->fd < 0)
        return -errno;
    k = subscribe(t->fd, percent);
    if (k >= 0)
        k = sd_event_add_io(event, &t->source, t->fd, EPOLLPRI, on_ready, t);
    if (k < 0)
        return k;
    *ret = TAKE_PTR(t);
    return 0;
}

struct pressure_trigger *pressure_trigger_free(struct pressure_trigger *t)
{
    if (!t)
        return NULL;
    t->source = sd_event_source_disable_unref(t->source);
    (void)fd_close(t->fd);
    free(t);
    return NULL;
}
