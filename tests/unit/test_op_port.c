/* test_op_port.c: engines' words for a taken port. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>

#include "daemon/op.h"

struct row {
    int r;
    unsigned port;
    char where[48], message[200];
};

ParameterizedTestParameters(op_port, of_message)
{
    static struct row rows[] = {
        {0, 21005, "127.0.0.1:21005",
            "driver failed programming external connectivity on endpoint c5 (5200f): Bind for "
            "127.0.0.1:21005 "
            "failed: port is already allocated"},
        {0, 80, "0.0.0.0:80",
            "driver failed programming external connectivity on endpoint c5 (5200f): Bind for 0.0.0.0:80 "
            "failed: "
            "port is already allocated"},
        {0, 8787, "127.0.0.1:8787",
            "Error starting userland proxy: listen tcp4 127.0.0.1:8787: bind: address already in use"},
        {0, 65535, "[::]:65535",
            "Error starting userland proxy: listen tcp6 [::]:65535: bind: address already in use"},
        {0, 53, "127.0.0.1:53", "listen udp 127.0.0.1:53: bind: address already in use"},
        {0, 8080, "127.0.0.1:8080",
            "failed to bind host port for 127.0.0.1:8080:172.17.0.2:80/tcp: address already in use"},
        {0, 8080, "127.0.0.1:8080", "failed to bind host port 127.0.0.1:8080/tcp: address already in use"},
        {-ENOENT, 0, "", "Bind for 127.0.0.1:80 failed: cannot assign requested address"},
        {-ENOENT, 0, "", "No such container: port is already allocated"},
        {-ENOENT, 0, "", ""},
        {-EBADMSG, 0, "", "Bind for somewhere failed: port is already allocated"},
        {-EBADMSG, 0, "", "Bind for 127.0.0.1:0 failed: port is already allocated"},
        {-EBADMSG, 0, "", "Bind for 127.0.0.1:99999 failed: port is already allocated"},
        {-EBADMSG, 0, "",
            "Bind for "
            "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111:8 "
            "failed: port is already allocated"},
    };

    return cr_make_param_array(struct row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct row *row, op_port, of_message)
{
    char where[64] = "";
    unsigned port = 0;
    int r = op_port_of(row->message, where, sizeof(where), &port);

    cr_assert_eq(r, row->r, "%s: %d", row->message, r);
    if (r == 0) {
        cr_assert_eq(port, row->port, "%s: %u", row->message, port);
        cr_assert_str_eq(where, row->where);
    }
}
