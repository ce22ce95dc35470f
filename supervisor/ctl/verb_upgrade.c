/* verb_upgrade.c: `clawsup upgrade`: the clawsupd on disk takes the place of the running one. */
#include "ctl/verbs.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "ctl/text.h"

#define HANDOVER_SECONDS 30
#define POLL_NS (100 * 1000 * 1000)

static int run(struct ctl *c, char **args, int n)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    _cleanup_json_ json_t *before = ctl_daemon_version(c), *reply = NULL;
    int r;

    (void)args;
    (void)n;
    r = ctl_call(c, ctl_request("upgrade", NULL), HANDOVER_SECONDS * USEC_PER_SEC, &reply);
    if (r != CTL_OK)
        return r;
    for (int i = 0; i < HANDOVER_SECONDS * 10; i++) {
        _cleanup_json_ json_t *after = ctl_daemon_version(c);
        char old[64], fresh[64];

        if (after && strcmp(text_of(after, "started_at"), text_of(before, "started_at")) != 0) {
            if (c->json)
                return ctl_print_json(after, false);
            text_safe(old, sizeof(old), text_of(before, "version"));
            text_safe(fresh, sizeof(fresh), text_of(after, "version"));
            (void)printf("clawsupd %s -> %s\n", *old ? old : "?", fresh);
            return CTL_OK;
        }
        (void)nanosleep(&pause, NULL);
    }
    return ctl_fail(c, CTL_UNREACHABLE, "unreachable", "journalctl -u clawsupd says why",
        "the new clawsupd does not answer at %s", c->socket_path);
}

const struct ctl_command verb_upgrade = {
    .name = "upgrade",
    .args = "",
    .summary = "put the clawsupd on disk in the place of the running one",
    .details = "The new program checks the configuration first; if it refuses, nothing changes. Proxies and "
               "gateways\n"
               "keep running: no client is refused and no session is cut.",
    .examples = "  make install && clawsup upgrade\n",
    .run = run,
};
