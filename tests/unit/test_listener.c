/* test_listener.c: who may connect to a socket of the tenant's bridge. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "proxy/listener.h"

struct peer {
    char local[48], peer[48];
    int near;
};

static struct peer peers[] = {{"10.77.1.1", "10.77.1.9", 1},
    {"10.77.1.1", "10.77.1.1", 1}, /* the supervisor's probe */
    {"10.77.1.1", "10.77.2.9", 0}, {"10.77.1.1", "10.77.0.255", 0}, {"10.77.1.1", "127.0.0.1", 0},
    {"127.0.0.1", "127.8.0.1", 1}, {"127.0.0.1", "128.0.0.1", 0}, {"127.0.0.1", "10.77.1.1", 0},
    {"fd00:1::1", "fd00:1::2", 1}, {"fd00:1::1", "fd00:1:0:1::2", 0}, {"::1", "::1", 1},
    {"fd00:1::1", "10.77.1.9", 0}, {"10.77.1.1", "fd00:1::2", 0}};

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *a4 = (void *)&ss;
    struct sockaddr_in6 *a6 = (void *)&ss;

    ss.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    cr_assert_eq(inet_pton(ss.ss_family, text,
                     ss.ss_family == AF_INET ? (void *)&a4->sin_addr : (void *)&a6->sin6_addr),
        1);
    return ss;
}

ParameterizedTestParameters(listener, is_near)
{
    return cr_make_param_array(struct peer, peers, ARRAY_SIZE(peers));
}

ParameterizedTest(struct peer *row, listener, is_near)
{
    struct sockaddr_storage local = address(row->local), peer = address(row->peer);

    cr_expect_eq(listener_is_near(&local, &peer), row->near, "%s to %s", row->peer, row->local);
}
