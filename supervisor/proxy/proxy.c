/* proxy.c: the end of a proxy: draining, and the moment when nothing is left. */
#include "proxy/proxy.h"

#include "base/log.h"
#include "proxy/conn.h"
#include "proxy/control.h"
#include "proxy/listener.h"

static void maybe_exit(struct proxy *p)
{
    if (p->draining && p->active == 0)
        loop_exit(p->loop, 0);
}

static void on_drain_limit(struct loop_timer *t)
{
    struct proxy *p = t->ctx;

    log_notice("ending with %u connections open", p->active);
    loop_exit(p->loop, 0);
}

void proxy_drain(struct proxy *p, uint64_t limit_us)
{
    if (limit_us > 0) {
        p->drain_timer.fn = on_drain_limit;
        p->drain_timer.ctx = p;
        loop_timer_set(p->loop, &p->drain_timer, limit_us);
    }
    if (p->draining)
        return;
    p->draining = true;
    log_info("draining: %u connections open", p->active);
    listener_stop(p);
    if (p->control)
        control_drain(p->control);
    for (struct conn *c = p->conns, *next; c; c = next) {
        next = conn_next(c);
        conn_drain(c);
    }
    maybe_exit(p);
}

void proxy_release(struct proxy *p)
{
    p->active--;
    maybe_exit(p);
}
