/* settings_listen.c: LISTEN: a list of sockets, separated by commas. Names are not resolved: which address a
 * proxy listens on must not depend on a name server. */
#include "proxy/settings_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static int read_mode(const char *v, mode_t *ret)
{
    unsigned mode = 0;

    if (strlen(v) != 4 || strspn(v, "01234567") != 4)
        return -EINVAL;
    for (; *v; v++)
        mode = mode * 8 + (unsigned)(*v - '0');
    *ret = (mode_t)mode;
    return mode <= 0777 ? 0 : -EINVAL;
}

/* What may follow a unix socket: each belongs to the socket before it. */
static int read_option(struct settings_listen *l, const char *opt)
{
    uint64_t v = 0;

    if (str_startswith(opt, "mode="))
        return read_mode(opt + 5, &l->mode);
    if (str_startswith(opt, "uid=") && str_parse_u64(opt + 4, UINT32_MAX - 1, &v) >= 0) {
        l->uid = (uid_t)v;
        return 0;
    }
    if (str_startswith(opt, "gid=") && str_parse_u64(opt + 4, UINT32_MAX - 1, &v) >= 0) {
        l->gid = (gid_t)v;
        return 0;
    }
    return -EINVAL;
}

/* "unix:/path", or "unix:///path" as DOCKER_HOST has it. Room for the temporary name that a socket is bound
 * under first. */
static int read_unix(struct settings_listen *l, const char *path)
{
    if (str_startswith(path, "//"))
        path += 2;
    if (!str_is_clean_path(path) || strlen(path) >= sizeof(l->address) - 5)
        return -EINVAL;
    (void)snprintf(l->address, sizeof(l->address), "%s", path);
    return 0;
}

static int read_tcp(struct settings_listen *l, char *text)
{
    unsigned char any[sizeof(struct in6_addr)];
    char *colon = strrchr(text, ':'), *host = text;
    bool brackets;
    uint64_t port;

    if (!colon || str_parse_u64(colon + 1, 65535, &port) < 0 || port == 0)
        return -EINVAL;
    *colon = '\0';
    brackets = host[0] == '[' && colon > host + 1 && colon[-1] == ']';
    if (brackets) {
        colon[-1] = '\0';
        host++;
    }
    if (inet_pton(brackets ? AF_INET6 : AF_INET, host, any) != 1)
        return -EINVAL;
    (void)snprintf(l->address, sizeof(l->address), "%s", host);
    l->tcp = true;
    l->port = (uint16_t)port;
    return 0;
}

static bool is_taken(const struct settings *s, const struct settings_listen *l)
{
    for (const struct settings_listen *k = s->listen; k < l; k++)
        if (k->tcp == l->tcp && k->port == l->port && strcmp(k->address, l->address) == 0)
            return true;
    return false;
}

static int read_item(struct settings *s, char *item)
{
    struct settings_listen *l;
    int r;

    if (!str_startswith(item, "unix:") && !str_startswith(item, "tcp://")) {
        l = s->n_listen > 0 ? &s->listen[s->n_listen - 1] : NULL;
        return l && !l->tcp ? read_option(l, item) : -EINVAL;
    }
    if (s->n_listen == SETTINGS_LISTEN_MAX)
        return -EINVAL;
    l = &s->listen[s->n_listen];
    *l = (struct settings_listen){.mode = 0660, .uid = (uid_t)-1, .gid = (gid_t)-1};
    r = item[0] == 'u' ? read_unix(l, item + 5) : read_tcp(l, item + 6);
    if (r >= 0 && is_taken(s, l))
        r = -EINVAL;
    if (r >= 0)
        s->n_listen++;
    return r;
}

int settings_set_listen(struct settings *s, const char *value)
{
    _cleanup_free_ char *copy = strdup(value);
    char *item, *rest = copy;
    int r = 0;

    if (!copy)
        return -ENOMEM;
    if (strpbrk(value, " \t\n")) /* a list with another separator would be taken for one odd path */
        return -EINVAL;
    s->n_listen = 0;
    while (r >= 0 && (item = strsep(&rest, ",")) != NULL)
        r = read_item(s, item);
    return r;
}
