/* verb_version.c: `clawsup version`: ours, and the daemon's if it answers. */
#include "ctl/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "ctl/text.h"

static int run(struct ctl *c, char **args, int n)
{
    _cleanup_json_ json_t *reply = ctl_daemon_version(c);
    const json_t *engine = json_object_get(reply, "engine");
    char version[64], text[64], api[32];

    (void)args;
    (void)n;
    if (c->json) {
        _cleanup_json_ json_t *j =
            json_pack("{s:i, s:b, s:s, s:O?}", "v", 1, "ok", 1, "version", CLAWSUP_VERSION, "daemon", reply);

        if (!j || ctl_print_json(j, false) != CTL_OK)
            return CTL_FAILED;
        return reply ? CTL_OK : CTL_UNREACHABLE;
    }
    (void)printf("clawsup   %s\n", CLAWSUP_VERSION);
    if (!reply) {
        (void)printf("clawsupd  not reachable at %s\n", c->socket_path);
        return CTL_UNREACHABLE;
    }
    text_safe(version, sizeof(version), text_of(reply, "version"));
    text_safe(text, sizeof(text), text_of(engine, "version"));
    text_safe(api, sizeof(api), text_of(engine, "api_version"));
    (void)printf("clawsupd  %s%s\n", version,
        strcmp(version, CLAWSUP_VERSION) != 0 ? "  (restart it: systemctl restart clawsupd)" : "");
    if (*text)
        (void)printf("engine    %s, API %s\n", text, api);
    return CTL_OK;
}

const struct ctl_command verb_version = {
    .name = "version",
    .args = "",
    .summary = "versions of clawsup, of the running clawsupd and of the engine",
    .details = "Exit status 3 when clawsupd does not answer. For the program alone: clawsup --version.",
    .examples = "  clawsup version\n",
    .run = run,
};
