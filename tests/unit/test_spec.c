/* test_spec.c: what is taken over from a container that somebody else made, as engines of different ages
 * describe it. */
#include <criterion/criterion.h>

#include <string.h>

#include "base/json.h"
#include "daemon/spec.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static json_t *capture(const char *text)
{
    json_t *inspect = NULL, *body = NULL;
    struct err e = {0};

    cr_assert_eq(json_load_engine(text, strlen(text), 1 << 20, &inspect, &e), 0, "%s", e.msg);
    cr_assert_eq(spec_capture(inspect, &body), 0);
    json_decref(inspect);
    return body;
}

static void expect(const json_t *body, const char *want)
{
    _cleanup_free_ char *text = json_to_string(body);

    cr_expect_str_eq(text, want);
}

/* API 1.41: the short id is an alias, and the address that the engine gave stands beside a chosen one. */
Test(spec, an_older_engine)
{
    _cleanup_json_ json_t *body =
        capture("{\"Id\":\"" ID "\",\"Config\":{\"Hostname\":\"0123456789ab\",\"User\":"
                "\"5\",\"Labels\":{\"com.docker.compose.project\":\"x\"}},"
                "\"HostConfig\":{\"NetworkMode\":\"x_default\",\"Binds\":[\"/a:/b:ro\"],"
                "\"Memory\":7},\"Mounts\":[{\"Type\":\"volume\",\"Name\":\"v\","
                "\"Destination\":\"/c\",\"RW\":true}],\"NetworkSettings\":{\"Networks\":{"
                "\"x_default\":{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.9\"},"
                "\"Aliases\":[\"gw\",\"0123456789ab\"],\"NetworkID\":\"n1\","
                "\"IPAddress\":\"10.0.0.9\",\"MacAddress\":\"02:42:0a:00:00:09\"}}}}");

    expect(body, "{\"User\":\"5\",\"Labels\":{\"com.docker.compose.project\":\"x\"},\"HostConfig\":{"
                 "\"NetworkMode\":\"x_default\",\"Binds\":[\"/a:/b:ro\"],\"Memory\":7,\"Mounts\":[{\"Type\":"
                 "\"volume\",\"Source\":\"v\",\"Target\":\"/c\",\"ReadOnly\":false}]},\"NetworkingConfig\":{"
                 "\"EndpointsConfig\":{\"x_default\":{\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.9\"},"
                 "\"NetworkID\":\"n1\",\"Aliases\":[\"gw\"]}}}}");
}

/* API 1.44 and later: aliases are the chosen ones alone, DNSNames the engine's, and a gateway has a priority.
 */
Test(spec, a_newer_engine)
{
    _cleanup_json_ json_t *body =
        capture("{\"Id\":\"" ID "\",\"Config\":{\"Hostname\":\"chosen\"},"
                "\"HostConfig\":{\"NetworkMode\":\"net\",\"Mounts\":[{\"Type\":\"volume\","
                "\"Source\":\"v\",\"Target\":\"/c\"}]},\"Mounts\":[{\"Type\":\"volume\","
                "\"Name\":\"v\",\"Destination\":\"/c\",\"RW\":true}],"
                "\"NetworkSettings\":{\"Networks\":{\"net\":{\"IPAMConfig\":null,"
                "\"Aliases\":null,\"DriverOpts\":null,\"GwPriority\":3,"
                "\"NetworkID\":\"n1\",\"DNSNames\":[\"x\",\"0123456789ab\"]}}}}");

    expect(body,
        "{\"Hostname\":\"chosen\",\"HostConfig\":{\"NetworkMode\":\"net\",\"Mounts\":[{\"Type\":"
        "\"volume\",\"Source\":\"v\",\"Target\":\"/c\"}]},\"NetworkingConfig\":{\"EndpointsConfig\":{"
        "\"net\":{\"IPAMConfig\":null,\"DriverOpts\":null,\"NetworkID\":\"n1\",\"GwPriority\":3,"
        "\"Aliases\":[]}}}}");
}

/* In another container's network, host name and ports are that one's: the engine would refuse them. */
Test(spec, in_the_network_of_another)
{
    _cleanup_json_ json_t *body = capture(
        "{\"Id\":\"" ID
        "\",\"Config\":{\"Hostname\":\"other\",\"Domainname\":\"\",\"ExposedPorts\":{\"1/tcp\":{}"
        "},\"Image\":\"i\"},\"HostConfig\":{\"NetworkMode\":\"container:" ID "\"},\"NetworkSettings\":{"
        "\"Networks\":{}}}");

    expect(body, "{\"Image\":\"i\",\"HostConfig\":{\"NetworkMode\":\"container:" ID
                 "\",\"Mounts\":[]},\"NetworkingConfig\":{\"EndpointsConfig\":{}}}");
}
