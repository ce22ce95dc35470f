/* control_client.h: what control.c (sockets and loop) and control_request.c (requests and answers) share.
 * Nobody else includes it. */
#pragma once

#include "base/buf.h"
#include "daemon/control.h"

enum control_phase { PHASE_NONE, PHASE_READ, PHASE_WRITE };

struct control_client {
    struct control *server;
    struct control_client *prev, *next;
    int fd;
    struct ucred peer;
    sd_event_source *io, *timer, *defer;
    enum control_phase phase; /* what the timer watches */
    struct buf in, out;
    struct control_request *req; /* the one that is being answered */
    bool eof;                    /* the peer sends no more */
    bool closing;                /* close once `out` is written */
    bool doomed;                 /* close at the next turn of the loop */
};

struct control_request {
    struct control_client *client; /* NULL once it is gone */
    struct ucred peer;
    json_t *json;
    const char *verb; /* in json */
    bool answered;    /* a stream has begun */
    control_gone_fn gone;
    void *gone_userdata;
};

/* Queues one line (takes `line`, which may be NULL: -ENOMEM) and writes what the socket takes. On failure the
 * client is doomed. Frees nothing: the loop does. */
int control_client_send(struct control_client *cl, json_t *line);
/* Has the loop look at the client again: the next request, or its end. */
void control_client_kick(struct control_client *cl);

/* A request for the document `json` (taken), which holds a string "verb". NULL: out of memory. */
struct control_request *control_request_new(struct control_client *cl, json_t *json);
/* Cuts it from its client and tells its handler. */
void control_request_orphan(struct control_request *req);
/* {"v":1,"ok":false,...}; NULL when out of memory. Takes `fields`. */
json_t *control_error_object(enum control_code code, const char *error, const char *hint, json_t *fields);
