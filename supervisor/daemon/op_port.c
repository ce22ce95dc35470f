/* op_port.c: a start that failed because a published port is taken. No restart and no redeploy gives it free,
 * so neither is charged for it; who has the port is found out and said. Must not stop whoever has it. */
#include "daemon/op.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

/* How engines of different ages say where they could not listen. */
static const struct {
    const char *before, *after;
} FORMS[] = {
    {"Bind for ", "port is already allocated"},
    {"failed to bind host port for ", "address already in use"},
    {"failed to bind host port ", "address already in use"},
    {"listen tcp4 ", "address already in use"},
    {"listen tcp6 ", "address already in use"},
    {"listen tcp ", "address already in use"},
    {"listen udp ", "address already in use"},
};

/* The first number between a colon and something that is no part of an address: "[::]:80",
 * "127.0.0.1:80:172..."
 */
static size_t find_port(const char *s, size_t n, unsigned *ret_port)
{
    for (size_t i = 1; i < n; i++) {
        unsigned port = 0;
        size_t k = i;

        if (s[i - 1] != ':')
            continue;
        while (k < n && k < i + 5 && s[k] >= '0' && s[k] <= '9')
            port = port * 10 + (unsigned)(s[k++] - '0');
        if (k == i || port == 0 || port > UINT16_MAX || (k < n && strchr(".]0123456789", s[k])))
            continue;
        *ret_port = port;
        return k;
    }
    return 0;
}

int op_port_of(const char *message, char *ret_where, size_t size, unsigned *ret_port)
{
    for (size_t i = 0; i < ARRAY_SIZE(FORMS); i++) {
        const char *at = strstr(message, FORMS[i].before);
        size_t n;

        if (!at || !strstr(at, FORMS[i].after))
            continue;
        at += strlen(FORMS[i].before);
        n = find_port(at, strcspn(at, " "), ret_port);
        if (n == 0 || n >= size)
            return -EBADMSG;
        memcpy(ret_where, at, n);
        ret_where[n] = '\0';
        return 0;
    }
    return -ENOENT;
}

static bool has_port(const json_t *row, unsigned port)
{
    json_t *p;
    size_t i;

    json_array_foreach(json_object_get(row, "Ports"), i, p)
    {
        if (json_integer_value(json_object_get(p, "PublicPort")) == (json_int_t)port)
            return true;
    }
    return false;
}

static const char *holder_of(const json_t *list, unsigned port)
{
    json_t *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        const char *name = json_string_value(json_array_get(json_object_get(row, "Names"), 0));

        if (has_port(row, port))
            return name && name[0] == '/' ? name + 1 : "without a name";
    }
    return NULL;
}

static void on_running(struct op *op, const struct engine_answer *a)
{
    const char *holder = holder_of(a->body, op->port);

    if (a->status != 200 || !json_is_array(a->body))
        op_finish(op, REC_DONE_REFUSED, "port %s is taken", op->port_where);
    else if (holder)
        op_finish(op, REC_DONE_REFUSED,
            "port %s is published by container %s: stop that one, or publish another port", op->port_where,
            holder);
    else if (!op->port_in_engine)
        op_finish(op, REC_DONE_REFUSED,
            "port %s is taken by a process that is no container (`ss -ltnp` names it): end that one, or "
            "publish another port",
            op->port_where);
    else
        /* It lies with the engine alone: nothing is charged, and it goes on being tried. */
        op_finish(op, REC_DONE_ENGINE_GONE,
            "the engine keeps port %s allocated though no container has it, as it may after it was killed; "
            "only a restart of the engine gives it free (`systemctl restart docker`); tried again until then",
            op->port_where);
}

bool op_port_taken(struct op *op, const struct engine_answer *a)
{
    if (op_port_of(a->message, op->port_where, sizeof(op->port_where), &op->port) < 0)
        return false;
    op->port_in_engine = strstr(a->message, "already allocated");
    op_call(op, on_running, "GET", NULL, OP_TIMEOUT_US, "/containers/json");
    return true;
}
