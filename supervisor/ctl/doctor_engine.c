/* doctor_engine.c: what the engine says of itself, asked on a loop that lives for these questions only. Sends
 * GET requests and nothing else. */
#include "ctl/doctor_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/gid.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/version.h"

#define ASK_TIMEOUT_US (5 * USEC_PER_SEC)

struct question {
    struct doctor_facts *f;
    sd_event *event;
    unsigned open; /* answers to come */
};

static void take_answer(struct question *q, const struct engine_answer *a, json_t **ret)
{
    if (a->result == ENGINE_OK && a->status == 200 && json_is_object(a->body))
        *ret = json_incref(a->body);
    else if (!q->f->engine_reason[0])
        (void)snprintf(q->f->engine_reason, sizeof(q->f->engine_reason), "%.200s", a->message);
    if (--q->open == 0)
        (void)sd_event_exit(q->event, 0);
}

static void on_info(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct question *q = userdata;

    (void)e;
    take_answer(q, a, &q->f->info);
}

static void on_version(struct engine *e, const struct engine_answer *a, void *userdata)
{
    struct question *q = userdata;

    (void)e;
    take_answer(q, a, &q->f->version);
}

static int ask(struct question *q, struct engine *e)
{
    int r = engine_request(e, "GET", "/version", NULL, ASK_TIMEOUT_US, on_version, q, NULL);

    if (r < 0)
        return r;
    q->open++;
    r = engine_request(e, "GET", "/info", NULL, ASK_TIMEOUT_US, on_info, q, NULL);
    if (r < 0)
        return r;
    q->open++;
    return sd_event_loop(q->event);
}

int doctor_ask_engine(struct doctor_facts *f)
{
    struct question q = {.f = f};
    struct engine *e = NULL;
    int r = sd_event_new(&q.event);

    if (r < 0)
        return r;
    r = engine_new(q.event, f->engine_socket, &e);
    if (r >= 0)
        r = ask(&q, e);
    (void)engine_free(e);
    sd_event_unref(q.event);
    return r < 0 ? r : 0;
}

static const char *text_of(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));

    return s ? s : "";
}

void doctor_check_engine(const struct doctor_facts *f, struct doctor_row *row)
{
    struct stat st;

    if (f->version) {
        doctor_say(row, f->info ? DOCTOR_OK : DOCTOR_DEGRADED, "version %.64s at %.128s%s",
            text_of(f->version, "Version"), f->engine_socket, f->info ? "" : ", but /info gives no answer");
        if (!f->info)
            doctor_advise(row, "look at the engine's log: %.200s", f->engine_reason);
    } else if (stat(f->engine_socket, &st) < 0) {
        doctor_say(row, DOCTOR_MISSING, "%.160s: %m", f->engine_socket);
        doctor_advise(row, "start the engine (systemctl start docker), or set engine_socket to its socket");
    } else {
        doctor_say(row, DOCTOR_MISSING, "%.120s: %.120s", f->engine_socket, f->engine_reason);
        doctor_advise(row, geteuid()
                               ? "run this as root, or look whether the engine runs (systemctl status docker)"
                               : "look whether the engine runs: systemctl status docker");
    }
}

void doctor_check_api(const struct doctor_facts *f, struct doctor_row *row)
{
    struct version_choice choice;
    struct err e = {""};

    if (!f->version) {
        doctor_say(row, DOCTOR_MISSING, "not known: the engine did not answer");
        doctor_advise(row, "see the row engine");
    } else if (version_choose(f->version, &choice, &e) >= 0) {
        doctor_say(row, DOCTOR_OK, "the engine speaks %.16s to %.16s, clawsup speaks %s",
            text_of(f->version, "MinAPIVersion"), text_of(f->version, "ApiVersion"), choice.api);
    } else {
        doctor_say(row, DOCTOR_MISSING, "the engine speaks %.16s to %.16s",
            text_of(f->version, "MinAPIVersion"), text_of(f->version, "ApiVersion"));
        doctor_advise(row, "%.250s", e.msg);
    }
}

void doctor_check_gid(const struct doctor_facts *f, struct doctor_row *row)
{
    struct err e = {""};
    gid_t gid = 0;
    int r = gid_resolve(f->docker_gid, f->engine_socket, f->allow_root_gid, &gid, &e);

    if (r >= 0) {
        doctor_say(row, DOCTOR_OK, "gid %u, from %s, owns the socket", (unsigned)gid,
            f->docker_gid ? "docker_gid" : "the group docker");
    } else if (r == -ENOENT) {
        doctor_say(row, DOCTOR_DEGRADED, "gid %u, but there is no socket to compare it with", (unsigned)gid);
        doctor_advise(row, "see the row engine");
    } else {
        const char *stop = strstr(e.msg, "; "); /* "what is wrong; what to do" */

        doctor_say(row, DOCTOR_MISSING, "%.*s", stop ? (int)MIN(stop - e.msg, 250) : 250, e.msg);
        doctor_advise(row, "%.250s", stop ? stop + 2 : "set docker_gid to the group of the engine's socket");
    }
}

void doctor_check_driver(const struct doctor_facts *f, struct doctor_row *row)
{
    if (!f->info) {
        doctor_say(row, DOCTOR_MISSING, "not known: the engine did not answer");
        doctor_advise(row, "see the row engine");
        return;
    }
    doctor_say(row, f->host.driver == LIMITS_DRIVER_SYSTEMD ? DOCTOR_OK : DOCTOR_DEGRADED,
        "the engine uses %.32s on cgroup v%.4s", text_of(f->info, "CgroupDriver"),
        text_of(f->info, "CgroupVersion"));
    if (row->state != DOCTOR_OK)
        doctor_advise(row, "on a systemd host set \"exec-opts\": [\"native.cgroupdriver=systemd\"] in "
                           "/etc/docker/daemon.json and restart the engine");
}

void doctor_check_swap(const struct doctor_facts *f, struct doctor_row *row)
{
    if (!f->info) {
        doctor_say(row, DOCTOR_MISSING, "not known: the engine did not answer");
        doctor_advise(row, "see the row engine");
    } else if (f->host.swap_limit) {
        doctor_say(row, DOCTOR_OK, "the engine limits swap: a memory limit cannot be escaped by swapping");
    } else {
        doctor_say(row, DOCTOR_DEGRADED, "the engine cannot limit swap on this kernel");
        doctor_advise(row, "boot with swapaccount=1, or run without swap");
    }
}

/* Fixed in 1.2.8, 1.3.3 and 1.4.0. */
bool doctor_runc_is_fixed(const char *version)
{
    unsigned part[3] = {0};
    size_t n = 0;

    for (const char *s = version; n < ARRAY_SIZE(part); n++, s++) {
        size_t digits = strspn(s, "0123456789");

        if (digits == 0 || digits > 4)
            return false;
        for (size_t i = 0; i < digits; i++)
            part[n] = part[n] * 10 + (unsigned)(s[i] - '0');
        s += digits;
        if (n + 1 < ARRAY_SIZE(part) && *s != '.')
            return false;
    }
    if (part[0] != 1 || part[1] > 3)
        return part[0] > 1 || part[1] > 3;
    return part[1] == 3 ? part[2] >= 3 : (part[1] == 2 && part[2] >= 8);
}

static const char *component(const json_t *version, const char *name)
{
    const json_t *list = json_object_get(version, "Components"), *c;
    size_t i;

    json_array_foreach(list, i, c) if (strcmp(text_of(c, "Name"), name) == 0) return text_of(c, "Version");
    return "";
}

void doctor_check_runc(const struct doctor_facts *f, struct doctor_row *row)
{
    const char *v = component(f->version, "runc");

    if (!f->version) {
        doctor_say(row, DOCTOR_MISSING, "not known: the engine did not answer");
        doctor_advise(row, "see the row engine");
    } else if (!*v) {
        doctor_say(row, DOCTOR_DEGRADED, "the engine does not say which runc it has");
        doctor_advise(row, "look with runc --version: it should be 1.2.8, 1.3.3 or later");
    } else if (doctor_runc_is_fixed(v)) {
        doctor_say(row, DOCTOR_OK, "runc %.64s", v);
    } else {
        doctor_say(row, DOCTOR_DEGRADED,
            "runc %.64s follows links that a container puts in the way of its mounts", v);
        doctor_advise(row,
            "update to runc 1.2.8, 1.3.3 or later, unless your distribution has put the fix of "
            "CVE-2025-31133 into this one; clawsup keeps such links out of sandboxes and gateways itself");
    }
}
