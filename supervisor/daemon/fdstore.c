/* fdstore.c: see fdstore.h. */
#include "daemon/fdstore.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "base/fd.h"

static struct {
    char **names; /* owned, as sd_listen_fds_with_names(3) gives them */
    int *fds;
    size_t n;
} kept;

int fdstore_open(void)
{
    int n = sd_listen_fds_with_names(1, &kept.names);

    if (n <= 0)
        return n;
    kept.fds = calloc((size_t)n, sizeof(int));
    if (!kept.fds)
        return -ENOMEM;
    kept.n = (size_t)n;
    for (int i = 0; i < n; i++) {
        kept.fds[i] = SD_LISTEN_FDS_START + i;
        (void)fd_set_cloexec(kept.fds[i], true);
        (void)fd_set_nonblock(kept.fds[i], true);
    }
    return n;
}

int fdstore_take(const char *name)
{
    for (size_t i = 0; i < kept.n; i++)
        if (kept.fds[i] >= 0 && strcmp(kept.names[i], name) == 0)
            return TAKE_FD(kept.fds[i]);
    return -ENOENT;
}

void fdstore_put(const char *name, int fd)
{
    char text[128];

    /* FDPOLL=0: a listening socket has no end that systemd could notice by itself. */
    (void)snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
    (void)sd_pid_notify_with_fds(0, 0, text, &fd, 1);
}

void fdstore_remove(const char *name)
{
    (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void fdstore_close(void)
{
    for (size_t i = 0; i < kept.n; i++) {
        if (kept.fds[i] >= 0)
            fdstore_remove(kept.names[i]);
        kept.fds[i] = fd_close(kept.fds[i]);
        free(kept.names[i]);
    }
    free(kept.names);
    free(kept.fds);
    kept.names = NULL;
    kept.fds = NULL;
    kept.n = 0;
}
