/* config_check.c: what one text value must look like. Pure: looks at no file, no network, no other value.
 * Each check returns NULL or what would be valid. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/str.h"
#include "config/config_value.h"

/* printf's view of text: no control bytes, not empty, not endless. */
static bool is_plain(const char *v, size_t max)
{
    size_t n = strlen(v);

    for (size_t i = 0; i < n; i++)
        if ((unsigned char)v[i] < 0x20 || v[i] == 0x7f)
            return false;
    return n > 0 && n <= max;
}

/* Letters, digits and the bytes of `more` only. */
static bool is_made_of(const char *v, const char *more, size_t max)
{
    size_t n = strlen(v);

    for (size_t i = 0; i < n; i++)
        if (!(v[i] >= '0' && v[i] <= '9') && !(v[i] >= 'a' && v[i] <= 'z') && !(v[i] >= 'A' && v[i] <= 'Z') &&
            !strchr(more, v[i]))
            return false;
    return n > 0 && n <= max;
}

const char *config_check_plain(const char *v)
{
    return is_plain(v, 4096) ? NULL : "1 to 4096 bytes without control characters";
}

const char *config_check_path(const char *v)
{
    return str_is_clean_path(v) && is_plain(v, 4095)
               ? NULL
               : "an absolute path without \".\", \"..\", \"//\" and without a '/' at the end";
}

/* True for "/", "/etc" and the like, and for what contains or lies below one of them. */
static bool is_system_path(const char *path)
{
    /* Nothing of a tenant may lie in these, nor contain them. */
    static const char *const inside[] = {"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc",
        "/run", "/sbin", "/sys", "/usr", "/var/run", "/var/lib/docker", "/var/lib/containerd"};
    /* Directories below these are fine, they themselves are not. */
    static const char *const exact[] = {
        "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var/tmp"};

    for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
        if (str_path_covers(inside[i], path) || str_path_covers(path, inside[i]))
            return true;
    for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
        if (str_eq(exact[i], path))
            return true;
    return false;
}

const char *config_check_data_root(const char *v)
{
    const char *valid = config_check_path(v);

    if (valid)
        return valid;
    return is_system_path(v) ? "a directory of its own, not one of the system's, such as "
                               "\"/data/tenants/SLUG\""
                             : NULL;
}

const char *config_check_bind_root(const char *v)
{
    const char *valid = config_check_path(v);

    if (valid)
        return valid;
    return is_system_path(v) ? "a directory below the tenant's data_root, or another one that is not the "
                               "system's"
                             : NULL;
}

const char *config_check_socket(const char *v)
{
    if (config_check_path(v))
        return config_check_path(v);
    return strlen(v) < sizeof((struct sockaddr_un){}.sun_path) ? NULL : "a path of at most 107 bytes";
}

const char *config_check_runtime_dir(const char *v)
{
    /* Whether the sockets of each tenant fit below it is checked with the tenant. */
    if (config_check_path(v))
        return config_check_path(v);
    return strlen(v) <= 64 && !str_eq(v, "/") ? NULL
                                              : "a path of 2 to 64 bytes, since socket names are short";
}

const char *config_check_metrics_file(const char *v)
{
    if (str_eq(v, ""))
        return NULL;
    if (config_check_path(v))
        return "an absolute path that ends in \".prom\", or \"\" for no metrics";
    return strlen(v) > 5 && str_eq(v + strlen(v) - 5, ".prom")
               ? NULL
               : "an absolute path that ends in \".prom\" (node_exporter reads no other), or \"\" for no "
                 "metrics";
}

const char *config_check_image(const char *v)
{
    return is_made_of(v, "./:@_-", 255) && isalnum((unsigned char)v[0])
               ? NULL
               : "an image reference such as \"openclaw-sandbox:bookworm-slim\"";
}

const char *config_check_container(const char *v)
{
    return is_made_of(v, "_.-", 128) && isalnum((unsigned char)v[0])
               ? NULL
               : "a container name: a letter or digit, then letters, digits, '_', '.', '-' (at most 128)";
}

const char *config_check_component(const char *v)
{
    size_t n = strlen(v);

    for (size_t i = 0; i < n; i++)
        if (!(v[i] >= 'a' && v[i] <= 'z') && (i == 0 || (!(v[i] >= '0' && v[i] <= '9') && v[i] != '-')))
            return "a name: a letter, then a-z, 0-9 and '-', 24 at most";
    return n > 0 && n <= CONFIG_COMPONENT_NAME_MAX ? NULL
                                                   : "a name: a letter, then a-z, 0-9 and '-', 24 at most";
}

const char *config_check_label(const char *v)
{
    const char *eq = strchr(v, '=');

    return is_plain(v, 255) && eq && eq != v && eq[1] ? NULL : "\"KEY=VALUE\"";
}

const char *config_check_env(const char *v)
{
    size_t n = strcspn(v, "=");

    if (v[n] != '=' || n == 0 || strlen(v) > 32768 || (v[0] >= '0' && v[0] <= '9'))
        return "\"KEY=VALUE\" with a key of letters, digits and '_'";
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)v[i]) && v[i] != '_')
            return "\"KEY=VALUE\" with a key of letters, digits and '_'";
    if (str_startswith(v, "DOCKER_HOST="))
        return "any other variable: clawsup itself sets DOCKER_HOST to the tenant's proxy";
    return NULL;
}

const char *config_check_url(const char *v)
{
    const char *host = str_startswith(v, "http://") ? v + 7 : str_startswith(v, "https://") ? v + 8 : "";
    size_t n = strcspn(host, "/?#");

    return is_plain(v, 2048) && !strchr(v, ' ') && n > 0 && !memchr(host, '@', n) && host[0] != ':'
               ? NULL
               : "a URL such as \"http://127.0.0.1:18801/healthz\", without user and password";
}

const char *config_check_account(const char *v)
{
    return is_made_of(v, "_-", 32) ? NULL : "a name from /etc/passwd or /etc/group";
}

const char *config_check_user(const char *v)
{
    return is_made_of(v, "_.:-", 64) ? NULL : "\"UID\", \"UID:GID\" or names that the image knows";
}

const char *config_check_word(const char *v)
{
    return is_made_of(v, "_.-", 64) ? NULL : "a name of letters, digits, '_', '.', '-'";
}

const char *config_check_pattern(const char *v)
{
    return is_plain(v, POLICY_PATTERN_MAX) && !strchr(v, ' ')
               ? NULL
               : "a pattern of 1 to 256 characters such as \"openclaw-sbx-SLUG-*\", or \"regex:...\"";
}

const char *config_check_api_version(const char *v)
{
    return strlen(v) == 4 && str_startswith(v, "1.") && v[2] >= '2' && v[2] <= '9' && v[3] >= '0' &&
                   v[3] <= '9'
               ? NULL
               : "a version such as \"1.41\"; leave the key out to negotiate it";
}

int config_parse_address(const char *text, char ret_address[static 64], uint16_t *ret_port)
{
    char address[64], raw[sizeof(struct in6_addr)];
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    bool v6 = n > 2 && text[0] == '[' && colon[-1] == ']';
    uint64_t port;

    if (n == 0 || n >= sizeof(address) || str_parse_u64(colon + 1, 65535, &port) < 0 || port == 0 ||
        colon[1] == '0')
        return -EINVAL;
    (void)snprintf(address, sizeof(address), "%.*s", (int)(v6 ? n - 2 : n), text + (v6 ? 1 : 0));
    if (inet_pton(v6 ? AF_INET6 : AF_INET, address, raw) != 1)
        return -EINVAL;
    memcpy(ret_address, address, sizeof(address));
    *ret_port = (uint16_t)port;
    return 0;
}

bool config_is_loopback(const char *address)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
