/* sim.h: a host with many tenants on virtual time, the weather that befalls it, and a policy that looks after
 * it. host.c is what is true and keeps the accounts; a policy sees only what its original would see. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "recovery/recovery.h"

#define SEC USEC_PER_SEC
#define MSEC USEC_PER_MSEC
#define MINUTE USEC_PER_MINUTE
#define HOUR USEC_PER_HOUR
#define DAY USEC_PER_DAY
#define NEVER USEC_INFINITY
#define BEGIN_US HOUR /* when the weather begins; nobody's clock starts at zero */

enum { PROXY, GATEWAY, PARTS };

enum fault {
    FAULT_NONE,
    FAULT_CRASH, /* dies, and dies again after each start that does not mend it */
    FAULT_HANG,  /* runs, answers nothing */
    FAULT_SICK,  /* runs, answers that it is not well */
    FAULT_BLIP,  /* answers nothing for a while, then goes on by itself */
};

/* What a probe would meet. */
enum answer { ANSWER_OK, ANSWER_REFUSED, ANSWER_NONE };

enum event_type {
    EV_WEATHER,
    EV_UPDATE, /* something heals, or is ready */
    EV_DIE,
    EV_STOPPED, /* an action's stop is over */
    EV_START,   /* an action's start is over */
    EV_PROBE,
    EV_PROBE_END,
    EV_ENGINE_BACK,
    EV_OPERATOR,
    EV_POLICY, /* `arg` is the policy's own */
};

struct event {
    uint64_t at, seq, arg;
    uint32_t part, gen;
    enum event_type type;
};

/* What probes know, for whoever probes: each policy uses it in its own way. */
struct watch {
    uint64_t last_us, started_us, since_us; /* since_us: when the container it speaks of was started */
    uint32_t gen, fails;
    bool armed, passed, unhealthy;
};

struct part {
    uint32_t index, gen;                   /* gen: of its process */
    bool running, cold;                    /* cold: starting, and in the way of others that start */
    uint64_t started_us, ready_us, out_us; /* out_us: until when something outside keeps it from answering */
    enum fault fault;
    enum rec_level cure; /* what mends it; REC_L4: only a person */
    uint64_t heals_us;
    bool stubborn;     /* does not listen to SIGTERM */
    uint32_t n_starts; /* key of the draws */
    struct {
        bool on, stopping;
        enum rec_level level;
        uint64_t delay_us; /* between stop and start */
        uint32_t gen;
    } act;
    struct watch w;
    uint64_t backoff_us; /* policies' own */
    uint32_t tries, tries_day;
    bool queued;
};

struct tenant {
    struct part part[PARTS];
    bool ok, curable;
    uint64_t down_since_us;
    uint32_t outage;
};

enum weather_type {
    W_FAULT,
    W_OUTSIDE,  /* what the gateway needs is gone: it answers 503 */
    W_OVERLOAD, /* everybody is too slow for any probe */
    W_ENGINE,
    W_STEP, /* suspend and resume, with a step of the wall clock */
};
struct weather {
    uint64_t at, duration_us;
    enum weather_type type;
    uint32_t part;
    enum fault fault;
    enum rec_level cure;
    bool flag; /* fault: stubborn; engine: its containers die with it */
    int64_t step_us;
};

/* What a policy did and what it was worth, over as many runs as are added to it. */
struct accounts {
    uint64_t down_us, tenant_us;
    uint64_t actions, needless, storm; /* storm: most actions in one minute */
    uint64_t
        *ttr; /* of each outage that a restart or a redeploy ends, begun by a failure: how long it took */
    size_t n_ttr, max_ttr;
};

enum model {
    MODEL_MIXED,
    MODEL_INDEPENDENT,
    MODEL_CORRELATED,
    MODEL_ENGINE,
    MODEL_SLOW_START,
    MODEL_FLAPPING,
    MODEL_CLOCK,
    _MODEL_MAX
};

struct options {
    uint32_t tenants;
    uint64_t days, seed, seeds, start_period_us;
    enum model model;
    bool verbose;
};

struct sim;
struct policy {
    const char *name;
    bool embedded_proxy;  /* a child process on kept sockets instead of a container */
    bool containers_live; /* an engine that ends does not take them along */
    bool fresh;           /* a restart makes the container anew */
    bool restart_policy;  /* the engine's own, "unless-stopped" */
    uint64_t stop_timeout_us, probe_interval_us, probe_timeout_us[PARTS];
    int (*init)(struct sim *s);
    void (*changed)(struct sim *s, struct part *p); /* something about it is different: maybe look */
    void (*exited)(struct sim *s, struct part *p);
    void (*probed)(struct sim *s, struct part *p, bool ok, uint64_t started_us);
    void (*done)(struct sim *s, struct part *p, bool engine_gone); /* an action of sim_restart() is over */
    void (*engine)(struct sim *s, bool up);
    void (*timer)(struct sim *s, uint32_t part, uint64_t arg);
    void (*stepped)(struct sim *s);                /* the clocks show that time was lost */
    void (*mended)(struct sim *s, struct part *p); /* a person came and repaired it */
    void (*fini)(struct sim *s);
};

struct sim {
    const struct options *o;
    const struct policy *policy;
    void *state; /* the policy's */
    uint64_t now, end, seq;
    struct event *heap;
    size_t n_heap, max_heap;
    struct tenant *t;
    const struct weather *weather;
    size_t n_weather, next_weather;
    bool engine_up, failed;
    uint32_t starting; /* cold starts under way: they slow one another down */
    uint64_t overload_us;
    int64_t wall_us; /* wall clock minus ours */
    struct accounts *a;
    uint64_t minute, in_minute;
};

/* ---- host.c */
int sim_run(const struct options *o, const struct policy *p, const struct weather *w, size_t n_weather,
    struct accounts *a);
void sim_at(struct sim *s, uint64_t at, enum event_type type, uint32_t part, uint32_t gen, uint64_t arg);
struct part *sim_part(struct sim *s, uint32_t index);
/* A draw in [0, 1) that depends on nothing but its keys, so that every policy meets the same world. */
double sim_draw(const struct sim *s, uint64_t a, uint64_t b, uint64_t c);
enum answer part_answer(const struct sim *s, const struct part *p);
bool part_serves(const struct sim *s, const struct part *p);
/* A stop, if it runs, and a start `delay_us` later. `level`: what it can mend. Counted, and judged:
 * policy->done() follows. L0: the way back of an action that was counted. False: one is under way, or the
 * engine is not there. */
bool sim_restart(struct sim *s, struct part *p, enum rec_level level, uint64_t delay_us);
void sim_note(const struct sim *s, const struct part *p, const char *text);

/* ---- weather.c */
int weather_make(const struct options *o, struct weather **ret, size_t *ret_n);
const char *model_to_string(enum model m);

/* ---- watch.c: probes that are taken only when they could say something new */
void watch_arm(struct sim *s, struct part *p, uint64_t at_us);
void watch_disarm(struct part *p);
void watch_begin(struct sim *s, struct part *p);
void watch_end(struct sim *s, struct part *p);
/* Docker's HEALTHCHECK. */
void health_changed(struct sim *s, struct part *p);
bool health_probed(struct sim *s, struct part *p, bool ok); /* true: its verdict has changed */
void health_engine(struct sim *s, bool up);

extern const struct policy policy_clawsup, policy_autoheal, policy_engine, policy_kubelet, policy_cron,
    policy_cron_engine;
