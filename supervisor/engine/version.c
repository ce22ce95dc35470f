/* version.c: see version.h. No I/O. */
#include "engine/version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static int parse_part(const char *s, size_t len, unsigned *ret)
{
    char part[8];
    uint64_t v;
    int r;

    if (len == 0 || len >= sizeof(part))
        return -EINVAL;
    memcpy(part, s, len);
    part[len] = '\0';
    r = str_parse_u64(part, 99999, &v);
    if (r < 0)
        return -EINVAL;
    *ret = (unsigned)v;
    return 0;
}

int version_parse(const char *s, unsigned *ret_major, unsigned *ret_minor)
{
    const char *dot = strchr(s, '.');
    unsigned major, minor;

    if (!dot || parse_part(s, (size_t)(dot - s), &major) < 0 ||
        parse_part(dot + 1, strlen(dot + 1), &minor) < 0)
        return -EINVAL;
    *ret_major = major;
    *ret_minor = minor;
    return 0;
}

/* <0, 0, >0 as a is older, the same, newer. Both valid. */
static int compare(const char *a, const char *b)
{
    unsigned a1 = 0, a2 = 0, b1 = 0, b2 = 0;

    (void)version_parse(a, &a1, &a2);
    (void)version_parse(b, &b1, &b2);
    if (a1 != b1)
        return a1 < b1 ? -1 : 1;
    return a2 == b2 ? 0 : (a2 < b2 ? -1 : 1);
}

/* A version string of the answer; NULL when absent; -EINVAL when it is not a version. */
static int get_version(const json_t *answer, const char *key, const char **ret)
{
    const json_t *v = json_object_get(answer, key);
    unsigned major, minor;

    *ret = NULL;
    if (!v)
        return 0;
    *ret = json_string_value(v);
    return *ret ? version_parse(*ret, &major, &minor) : -EINVAL;
}

int version_choose(const json_t *answer, struct version_choice *ret, struct err *e)
{
    const char *api, *min, *server;

    if (!json_is_object(answer) || get_version(answer, "ApiVersion", &api) < 0 || !api ||
        get_version(answer, "MinAPIVersion", &min) < 0)
        return err_set(e, -EINVAL, "the answer to /version names no API version: is this a Docker Engine?");
    server = json_string_value(json_object_get(answer, "Version"));
    if (compare(api, VERSION_OLDEST) < 0)
        return err_set(e, -EPROTONOSUPPORT,
            "the engine speaks API %s at most, clawsup needs %s or newer: upgrade the engine to 20.10 or "
            "newer",
            api, VERSION_OLDEST);
    if (min && compare(min, VERSION_NEWEST) > 0)
        return err_set(e, -EPROTONOSUPPORT,
            "the engine speaks API %s at least, clawsup knows %s to %s: upgrade clawsup, or let the engine "
            "accept "
            "older clients (\"min-api-version\" in daemon.json)",
            min, VERSION_OLDEST, VERSION_NEWEST);
    /* A choice below the engine's minimum cannot happen: it is either the engine's own or our newest. */
    snprintf(ret->api, sizeof(ret->api), "%s", compare(api, VERSION_NEWEST) < 0 ? api : VERSION_NEWEST);
    snprintf(ret->server, sizeof(ret->server), "%s", server ? server : "");
    return 0;
}

bool version_is_complaint(long status, const char *message)
{
    return status == 400 && str_startswith(message, "client version ") &&
           strstr(message, "supported API version");
}
