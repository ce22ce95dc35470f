/* route_table.c: every request that exists for a tenant, as data. The first row that fits decides; what no
 * row names is refused. */
#include "filter/route_table.h"

#include <string.h>

#define BOOL(k)                                                                                              \
    {                                                                                                        \
        .key = (k), .type = ROUTE_TYPE_BOOL, .forward = true                                                 \
    }
#define OUR_BOOL(k)                                                                                          \
    {                                                                                                        \
        .key = (k), .type = ROUTE_TYPE_BOOL                                                                  \
    }
#define ZERO(k)                                                                                              \
    {                                                                                                        \
        .key = (k), .type = ROUTE_TYPE_ZERO                                                                  \
    }
#define INT(k, lo, hi)                                                                                       \
    {                                                                                                        \
        .key = (k), .type = ROUTE_TYPE_INT, .forward = true, .min = (lo), .max = (hi)                        \
    }
#define OUR_INT(k, lo, hi)                                                                                   \
    {                                                                                                        \
        .key = (k), .type = ROUTE_TYPE_INT, .min = (lo), .max = (hi)                                         \
    }
#define TYPED(k, t)                                                                                          \
    {                                                                                                        \
        .key = (k), .type = (t), .forward = true                                                             \
    }
#define OUR_TEXT(k)                                                                                          \
    {                                                                                                        \
        .key = (k), .type = ROUTE_TYPE_TEXT                                                                  \
    }
#define END                                                                                                  \
    {                                                                                                        \
        .key = NULL                                                                                          \
    }

static const struct route_param container_list[] = {OUR_BOOL("all"), BOOL("size"),
    OUR_INT("limit", -1, 10000), OUR_TEXT("filters"),
    OUR_BOOL("trunc_cmd"),         /* older clients; the engine ignores it */
    ZERO("before"), ZERO("since"), /* tell whether a foreign container exists */
    END};
static const struct route_param image_list[] = {OUR_BOOL("all"), OUR_BOOL("digests"), OUR_BOOL("shared-size"),
    OUR_BOOL("manifests"), OUR_BOOL("identity"), OUR_BOOL("only_ids"), OUR_TEXT("filter"),
    OUR_TEXT("filters"), END};
static const struct route_param events[] = {
    TYPED("since", ROUTE_TYPE_TIME), TYPED("until", ROUTE_TYPE_TIME), OUR_TEXT("filters"), END};
static const struct route_param create[] = {
    {.key = "name", .type = ROUTE_TYPE_TEXT, .missing = 403}, ZERO("platform"), END};
static const struct route_param inspect[] = {BOOL("size"), END};
static const struct route_param top[] = {TYPED("ps_args", ROUTE_TYPE_PS_ARGS), END};
static const struct route_param logs[] = {BOOL("follow"), BOOL("stdout"), BOOL("stderr"), BOOL("timestamps"),
    BOOL("details"), TYPED("since", ROUTE_TYPE_TIME), TYPED("until", ROUTE_TYPE_TIME),
    TYPED("tail", ROUTE_TYPE_TAIL), END};
static const struct route_param stats[] = {BOOL("stream"), BOOL("one-shot"), END};
static const struct route_param archive[] = {
    {.key = "path", .type = ROUTE_TYPE_PATH, .forward = true, .missing = 400}, END};
static const struct route_param archive_put[] = {
    {.key = "path", .type = ROUTE_TYPE_PATH, .forward = true, .missing = 400}, BOOL("noOverwriteDirNonDir"),
    BOOL("copyUIDGID"), END};
static const struct route_param start[] = {
    TYPED("detachKeys", ROUTE_TYPE_KEYS), ZERO("checkpoint"), ZERO("checkpoint-dir"), END};
static const struct route_param stop[] = {INT("t", 0, 60), TYPED("signal", ROUTE_TYPE_SIGNAL), END};
static const struct route_param kill[] = {TYPED("signal", ROUTE_TYPE_SIGNAL), END};
static const struct route_param wait[] = {TYPED("condition", ROUTE_TYPE_CONDITION), END};
static const struct route_param resize[] = {INT("h", 0, 10000), INT("w", 0, 10000), END};
static const struct route_param attach[] = {BOOL("stream"), BOOL("stdin"), BOOL("stdout"), BOOL("stderr"),
    BOOL("logs"), TYPED("detachKeys", ROUTE_TYPE_KEYS), END};
static const struct route_param rm[] = {BOOL("force"), BOOL("v"), ZERO("link"), END};
static const struct route_param rename_params[] = {
    {.key = "name", .type = ROUTE_TYPE_TEXT, .missing = 400}, END};
static const struct route_param image_inspect[] = {OUR_BOOL("manifests"), ZERO("platform"), END};
static const struct route_param history[] = {ZERO("platform"), END};
static const struct route_param pull[] = {ZERO("fromSrc"), ZERO("repo"), ZERO("message"), ZERO("changes"),
    ZERO("platform"), {.key = "fromImage", .type = ROUTE_TYPE_TEXT, .forward = true, .missing = 400},
    {.key = "tag", .type = ROUTE_TYPE_TEXT, .forward = true}, END};
static const struct route_param network[] = {ZERO("scope"), ZERO("verbose"), END};

#define ALLOW(i, c, m, pat) .id = ROUTE_##i, .class = ROUTE_CLASS_##c, .method = HTTP1_##m, .pattern = (pat)
#define ON_CONTAINER .ref = ROUTE_REF_CONTAINER
#define NEVER(pat)                                                                                           \
    {                                                                                                        \
        .kind = ROUTE_KIND_NEVER, .pattern = (pat)                                                           \
    }
#define ABSENT(r, pat)                                                                                       \
    {                                                                                                        \
        .kind = ROUTE_KIND_ABSENT, .method = HTTP1_GET, .pattern = (pat), .ref = ROUTE_REF_##r               \
    }

const struct route_row route_rows[] = {
    {ALLOW(PING, HEALTH, GET, "_ping")},
    {ALLOW(PING, HEALTH, HEAD, "_ping")},
    {ALLOW(VERSION, SYNTH, GET, "version")},
    {ALLOW(INFO, SYNTH, GET, "info")},
    {ALLOW(CONTAINER_LIST, LIST, GET, "containers/json"), .params = container_list},
    {ALLOW(IMAGE_LIST, LIST, GET, "images/json"), .params = image_list},
    {ALLOW(EVENTS, LIST, GET, "events"), .stream = true, .params = events},
    {ALLOW(CONTAINER_CREATE, BODY, POST, "containers/create"), .body = ROUTE_BODY_JSON, .params = create},

    /* Before the rows with references, which would take these words for names. */
    NEVER("containers/prune"),
    NEVER("containers/{}/attach/ws"),
    NEVER("containers/{}/checkpoints"),
    NEVER("containers/{}/checkpoints/*"),
    NEVER("containers/{}/copy"),
    NEVER("containers/{}/logs/clear"),
    NEVER("images/prune"),
    NEVER("images/load"),
    NEVER("images/get"),
    NEVER("images/search"),
    NEVER("images/{}/get"),
    NEVER("images/{}/push"),
    NEVER("images/{}/tag"),
    NEVER("images/{}/attestations"),

    {ALLOW(CONTAINER_INSPECT, OWN_READ, GET, "containers/{}/json"), ON_CONTAINER, .params = inspect},
    {ALLOW(CONTAINER_TOP, OWN_READ, GET, "containers/{}/top"), ON_CONTAINER, .params = top},
    {ALLOW(CONTAINER_LOGS, OWN_READ, GET, "containers/{}/logs"), ON_CONTAINER, .stream = true,
        .params = logs},
    {ALLOW(CONTAINER_STATS, OWN_READ, GET, "containers/{}/stats"), ON_CONTAINER, .stream = true,
        .params = stats},
    {ALLOW(CONTAINER_CHANGES, OWN_READ, GET, "containers/{}/changes"), ON_CONTAINER},
    {ALLOW(CONTAINER_EXPORT, OPT_IN, GET, "containers/{}/export"), ON_CONTAINER, .need = ROUTE_NEED_EXPORT,
        .stream = true},
    {ALLOW(ARCHIVE_GET, OWN_READ, GET, "containers/{}/archive"), ON_CONTAINER, .stream = true,
        .params = archive},
    {ALLOW(ARCHIVE_HEAD, OWN_READ, HEAD, "containers/{}/archive"), ON_CONTAINER, .params = archive},
    {ALLOW(ARCHIVE_PUT, OPT_IN, PUT, "containers/{}/archive"), ON_CONTAINER, .need = ROUTE_NEED_ARCHIVE_PUT,
        .body = ROUTE_BODY_TAR, .params = archive_put},
    {ALLOW(CONTAINER_START, OWN_ACT, POST, "containers/{}/start"), ON_CONTAINER, .need = ROUTE_NEED_START,
        .params = start},
    {ALLOW(CONTAINER_STOP, OWN_ACT, POST, "containers/{}/stop"), ON_CONTAINER, .need = ROUTE_NEED_STOP,
        .params = stop},
    {ALLOW(CONTAINER_KILL, OWN_ACT, POST, "containers/{}/kill"), ON_CONTAINER, .need = ROUTE_NEED_STOP,
        .params = kill},
    {ALLOW(CONTAINER_RESTART, OWN_ACT, POST, "containers/{}/restart"), ON_CONTAINER,
        .need = ROUTE_NEED_RESTART, .params = stop},
    {ALLOW(CONTAINER_PAUSE, OWN_ACT, POST, "containers/{}/pause"), ON_CONTAINER},
    {ALLOW(CONTAINER_UNPAUSE, OWN_ACT, POST, "containers/{}/unpause"), ON_CONTAINER},
    {ALLOW(CONTAINER_WAIT, OWN_ACT, POST, "containers/{}/wait"), ON_CONTAINER, .stream = true,
        .params = wait},
    {ALLOW(CONTAINER_RESIZE, OWN_ACT, POST, "containers/{}/resize"), ON_CONTAINER, .params = resize},
    {ALLOW(CONTAINER_ATTACH, OWN_ACT, POST, "containers/{}/attach"), ON_CONTAINER, .hijack = true,
        .stream = true, .params = attach},
    {ALLOW(CONTAINER_REMOVE, OWN_ACT, DELETE, "containers/{}"), ON_CONTAINER, .params = rm},
    {ALLOW(CONTAINER_UPDATE, BODY, POST, "containers/{}/update"), ON_CONTAINER, .need = ROUTE_NEED_UPDATE,
        .body = ROUTE_BODY_JSON},
    {ALLOW(CONTAINER_RENAME, BODY, POST, "containers/{}/rename"), ON_CONTAINER, .need = ROUTE_NEED_RENAME,
        .params = rename_params},
    {ALLOW(EXEC_CREATE, BODY, POST, "containers/{}/exec"), ON_CONTAINER, .need = ROUTE_NEED_EXEC,
        .body = ROUTE_BODY_JSON},
    {ALLOW(EXEC_START, BODY, POST, "exec/{}/start"), .ref = ROUTE_REF_EXEC, .need = ROUTE_NEED_EXEC,
        .body = ROUTE_BODY_JSON, .hijack = true, .stream = true},
    /* No permission: who was allowed to start it may size its terminal and learn how it ended. */
    {ALLOW(EXEC_RESIZE, OWN_ACT, POST, "exec/{}/resize"), .ref = ROUTE_REF_EXEC, .params = resize},
    {ALLOW(EXEC_INSPECT, OWN_READ, GET, "exec/{}/json"), .ref = ROUTE_REF_EXEC},
    {ALLOW(IMAGE_INSPECT, OPT_IN, GET, "images/{}/json"), .ref = ROUTE_REF_IMAGE, .params = image_inspect},
    {ALLOW(IMAGE_HISTORY, OPT_IN, GET, "images/{}/history"), .ref = ROUTE_REF_IMAGE, .params = history},
    {ALLOW(IMAGE_PULL, OPT_IN, POST, "images/create"), .need = ROUTE_NEED_IMAGE_PULL, .stream = true,
        .params = pull},
    {ALLOW(NETWORK_INSPECT, OPT_IN, GET, "networks/{}"), .ref = ROUTE_REF_NETWORK,
        .need = ROUTE_NEED_NETWORK_READ, .params = network},

    /* `docker inspect` asks for each kind of object in turn and goes on only after 404. */
    ABSENT(VOLUME, "volumes/{}"),
    ABSENT(PLUGIN, "plugins/{}/json"),

    NEVER("images/*"),
    NEVER("networks"),
    NEVER("networks/*"),
    NEVER("volumes"),
    NEVER("volumes/*"),
    NEVER("auth"),
    NEVER("build"),
    NEVER("build/*"),
    NEVER("commit"),
    NEVER("configs"),
    NEVER("configs/*"),
    NEVER("debug/*"),
    NEVER("distribution/*"),
    NEVER("grpc"),
    NEVER("nodes"),
    NEVER("nodes/*"),
    NEVER("plugins"),
    NEVER("plugins/*"),
    NEVER("secrets"),
    NEVER("secrets/*"),
    NEVER("services"),
    NEVER("services/*"),
    NEVER("session"),
    NEVER("swarm"),
    NEVER("swarm/*"),
    NEVER("system/*"),
    NEVER("tasks"),
    NEVER("tasks/*"),
};
const size_t route_rows_n = ARRAY_SIZE(route_rows);

const struct route_row *route_table_find(enum route_id id)
{
    for (size_t i = 0; i < route_rows_n; i++)
        if (route_rows[i].kind == ROUTE_KIND_ALLOW && route_rows[i].id == id)
            return &route_rows[i];
    return NULL;
}

/* Is the first word of the pattern (up to '/' or the end) this segment? Moves *p past it and its slash. */
static bool eat_word(const char **p, const char *segment)
{
    size_t n = strcspn(*p, "/");

    if (strlen(segment) != n || strncmp(*p, segment, n) != 0)
        return false;
    *p += n;
    if (**p == '/')
        (*p)++;
    return true;
}

static size_t count_words(const char *p)
{
    size_t n = *p ? 1 : 0;

    for (; *p; p++)
        n += *p == '/';
    return n;
}

bool route_table_match(
    const struct route_row *row, const char *const *segments, size_t n, size_t *ret_ref, size_t *ret_ref_n)
{
    const char *p = row->pattern;
    size_t i = 0;

    *ret_ref = *ret_ref_n = 0;
    while (*p) {
        if (strcmp(p, "*") == 0)
            return i < n;
        if (p[0] == '{') {
            size_t behind;

            p += p[2] == '/' ? 3 : 2;
            if (strchr(p, '*')) /* before a rest of any length the reference is one segment */
                behind = n > i + 1 ? n - i - 1 : 0;
            else
                behind = count_words(p);
            if (n < i + 1 + behind)
                return false;
            *ret_ref = i;
            *ret_ref_n = n - i - behind;
            i = n - behind;
        } else if (i == n || !eat_word(&p, segments[i++])) {
            return false;
        }
    }
    return i == n;
}
