/* load.c: a load generator for HTTP/1.1 on a unix socket: N clients, each going through the steps of a script
 * again and again on one kept-alive connection. Prints one JSON object: cycles, errors, p50 and p99 of a
 * whole cycle, cycles and bytes per second, CPU time of a given process per cycle. Trusts the server; must
 * not be used as a parser of anything.
 *
 * A script has one step per line, fields separated by tabs: METHOD, TARGET, FLAG, BODY. {id} in a target is
 * the last "Id" of this client's answers, {n} a number that no other cycle has. FLAG: `-`, or `hijack` (asks
 * for an upgrade and reads to the end), or `attach` (the same, and sends a line feed once it is there), or
 * `close` (asks to close and reads to the end). */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/fd.h"
#include "base/str.h"

#define CLIENTS_MAX 1024
#define STEPS_MAX 16
#define HEAD_MAX ((size_t)16 * 1024)
#define BODY_KEPT ((size_t)512) /* where an "Id" is looked for */
#define READ_SIZE ((size_t)256 * 1024)
#define NSEC_PER_SEC UINT64_C(1000000000)

struct step {
    char *method, *target, *flag, *body;
};

enum phase { PHASE_HEAD, PHASE_LENGTH, PHASE_CHUNK_SIZE, PHASE_CHUNK, PHASE_CHUNK_END, PHASE_TO_END };

struct client {
    int fd;
    unsigned index, step;
    enum phase phase;
    uint64_t cycle, begin_ns, left;
    bool last_chunk, failed, idle;
    char head[HEAD_MAX + 1], body[BODY_KEPT + 1], id[65];
    size_t n_head, n_body;
};

struct load {
    const char *socket;
    unsigned n_clients, n_steps;
    double seconds, warmup;
    uint64_t cycles; /* of each client; 0: until the time is over */
    int pid;
    struct step steps[STEPS_MAX];
    struct client *clients;
    int ep;
    unsigned running;
    uint64_t start_ns, window_ns, end_ns, last_ns, cpu_ns;
    uint64_t bytes, errors;
    uint32_t *samples; /* tenths of a microsecond */
    size_t n_samples, cap_samples;
    char read[READ_SIZE];
};

static uint64_t now_ns(void)
{
    struct timespec ts = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

_Noreturn static void die(const char *what)
{
    (void)fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- CPU time of a process and of its children that live. From schedstat, in nanoseconds: /proc/PID/stat
 * counts in ticks of 10 ms and rounds down for each of socat's many processes. */
static int parent_of(int pid)
{
    char path[64], text[512], *p;
    int fd, ppid = 0;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    (void)fd_close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    p = strrchr(text, ')');
    return p && sscanf(p + 1, " %*c %d", &ppid) == 1 ? ppid : 0;
}

static uint64_t process_ns(int pid)
{
    unsigned long long ns, sum = 0;
    struct dirent *e;
    char path[300];
    FILE *f;
    DIR *d;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
    d = opendir(path);
    while (d && (e = readdir(d))) {
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
        f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (f && fscanf(f, "%llu", &ns) == 1)
            sum += ns;
        if (f)
            (void)fclose(f);
    }
    if (d)
        (void)closedir(d);
    return sum;
}

static uint64_t cpu_ns(int pid)
{
    uint64_t sum = pid > 0 ? process_ns(pid) : 0;
    DIR *d = pid > 0 ? opendir("/proc") : NULL;
    struct dirent *e;

    while (d && (e = readdir(d))) {
        int other = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : 0;

        if (other > 0 && parent_of(other) == pid)
            sum += process_ns(other);
    }
    if (d)
        (void)closedir(d);
    return sum;
}

/* ---- requests */
static void client_connect(struct load *l, struct client *c)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", l->socket);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        die(l->socket);
    if (epoll_ctl(l->ep, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll_ctl");
}

static int add_target(struct buf *b, const struct client *c, const char *s)
{
    int r = 0;

    while (*s && r >= 0) {
        if (str_startswith(s, "{id}")) {
            r = buf_adds(b, c->id);
            s += 4;
        } else if (str_startswith(s, "{n}")) {
            r = buf_addf(b, "%u-%llu", c->index, (unsigned long long)c->cycle);
            s += 3;
        } else {
            r = buf_add(b, s++, 1);
        }
    }
    return r;
}

static void client_send(struct load *l, struct client *c)
{
    const struct step *s = &l->steps[c->step];
    _cleanup_buf_ struct buf b = {0};
    size_t len = strlen(s->body), off = 0;
    int r;

    if (c->fd < 0)
        client_connect(l, c);
    r = buf_addf(&b, "%s ", s->method);
    if (r >= 0)
        r = add_target(&b, c, s->target);
    if (r >= 0)
        r = buf_adds(&b, " HTTP/1.1\r\nHost: docker\r\nUser-Agent: load\r\n");
    if (r >= 0 && strcmp(s->method, "POST") == 0)
        r = buf_addf(&b, "%sContent-Length: %zu\r\n", len ? "Content-Type: application/json\r\n" : "", len);
    if (r >= 0 && (strcmp(s->flag, "hijack") == 0 || strcmp(s->flag, "attach") == 0))
        r = buf_adds(&b, "Connection: Upgrade\r\nUpgrade: tcp\r\n");
    if (r >= 0 && strcmp(s->flag, "close") == 0)
        r = buf_adds(&b, "Connection: close\r\n");
    if (r >= 0)
        r = buf_addf(&b, "\r\n%s", s->body);
    if (r < 0)
        die("memory");
    c->phase = PHASE_HEAD;
    c->n_head = c->n_body = 0;
    c->last_chunk = false;
    while (off < b.len) {
        ssize_t n = send(c->fd, b.data + off, b.len - off, MSG_NOSIGNAL);

        if (n < 0)
            die("send");
        off += (size_t)n;
    }
}

static void client_close(struct client *c)
{
    c->fd = fd_close(c->fd);
}

static void cycle_begin(struct load *l, struct client *c)
{
    uint64_t now = now_ns();

    if (l->cycles ? c->cycle >= l->cycles : now >= l->end_ns) {
        /* Stays connected, so that the other side's process for it can still be measured. */
        c->idle = true;
        l->running--;
        return;
    }
    c->begin_ns = now;
    c->step = 0;
    c->failed = false;
    client_send(l, c);
}

static void sample(struct load *l, uint64_t ns)
{
    if (l->n_samples == l->cap_samples) {
        l->cap_samples = l->cap_samples ? l->cap_samples * 2 : 65536;
        l->samples = reallocarray(l->samples, l->cap_samples, sizeof(*l->samples));
        if (!l->samples)
            die("memory");
    }
    l->samples[l->n_samples++] = (uint32_t)MIN(ns / 100, (uint64_t)UINT32_MAX);
}

static void cycle_end(struct load *l, struct client *c)
{
    uint64_t now = now_ns();

    c->cycle++;
    l->last_ns = now;
    if (c->failed)
        l->errors++;
    else if (c->begin_ns >= l->window_ns && (l->cycles || now <= l->end_ns))
        sample(l, now - c->begin_ns);
    cycle_begin(l, c);
}

/* ---- answers */
static void answer_done(struct load *l, struct client *c)
{
    char *id;

    c->body[c->n_body] = '\0';
    id = strstr(c->body, "\"Id\":\"");
    if (id && strspn(id + 6, "0123456789abcdef") == 64)
        (void)snprintf(c->id, sizeof(c->id), "%.64s", id + 6);
    c->phase = PHASE_HEAD;
    c->n_head = c->n_body = 0;
    if (++c->step < l->n_steps)
        client_send(l, c);
    else
        cycle_end(l, c);
}

static void head_done(struct load *l, struct client *c)
{
    int status = atoi(c->head + 9);
    const char *length = strcasestr(c->head, "\r\ncontent-length:");
    const char *flag = l->steps[c->step].flag;

    if (status != 101 && (status < 200 || status > 299)) {
        if (l->errors == 0 && !c->failed)
            (void)fprintf(
                stderr, "load: %s %s:\n%s", l->steps[c->step].method, l->steps[c->step].target, c->head);
        c->failed = true;
    }
    if (*flag != '-') {
        c->phase = PHASE_TO_END;
        if (strcmp(flag, "attach") == 0 && send(c->fd, "\n", 1, MSG_NOSIGNAL) != 1)
            c->failed = true;
    } else if (strcasestr(c->head, "\r\ntransfer-encoding: chunked")) {
        c->phase = PHASE_CHUNK_SIZE;
        c->left = 0;
    } else {
        c->phase = PHASE_LENGTH;
        c->left = length ? strtoull(length + 17, NULL, 10) : 0;
    }
}

/* The head's bytes at the start of `data`; all of them when it is not complete. */
static size_t feed_head(struct load *l, struct client *c, const char *data, size_t len)
{
    size_t before = c->n_head, n = MIN(len, HEAD_MAX - c->n_head), from = before > 3 ? before - 3 : 0;
    char *end;

    memcpy(c->head + before, data, n);
    c->n_head += n;
    c->head[c->n_head] = '\0';
    end = strstr(c->head + from, "\r\n\r\n");
    if (!end) {
        if (c->n_head == HEAD_MAX)
            die("a head that is too long");
        return n;
    }
    n = (size_t)(end + 4 - c->head) - before;
    end[4] = '\0';
    head_done(l, c);
    return n;
}

static size_t feed_chunk_size(struct client *c, const char *data, size_t len)
{
    const char *nl = memchr(data, '\n', len);
    size_t n = nl ? (size_t)(nl - data) : len;

    for (size_t i = 0; i < n; i++)
        if (isxdigit((unsigned char)data[i]))
            c->left = c->left * 16 +
                      (uint64_t)(isdigit((unsigned char)data[i]) ? data[i] - '0' : (data[i] | 32) - 'a' + 10);
    if (!nl)
        return len;
    c->last_chunk = c->left == 0;
    c->phase = c->left ? PHASE_CHUNK : PHASE_CHUNK_END;
    return n + 1;
}

static size_t feed_payload(struct client *c, const char *data, size_t len)
{
    size_t n = (size_t)MIN((uint64_t)len, c->left), keep = MIN(n, BODY_KEPT - c->n_body);

    memcpy(c->body + c->n_body, data, keep);
    c->n_body += keep;
    c->left -= n;
    return n;
}

static void client_feed(struct load *l, struct client *c, const char *data, size_t len)
{
    while (len > 0) {
        const char *nl;
        size_t n = len;

        switch (c->phase) {
        case PHASE_HEAD:
            n = feed_head(l, c, data, len);
            break;
        case PHASE_LENGTH:
        case PHASE_CHUNK:
            n = feed_payload(c, data, len);
            if (c->left == 0 && c->phase == PHASE_CHUNK)
                c->phase = PHASE_CHUNK_END;
            break;
        case PHASE_CHUNK_SIZE:
            n = feed_chunk_size(c, data, len);
            break;
        case PHASE_CHUNK_END:
            nl = memchr(data, '\n', len);
            n = nl ? (size_t)(nl - data) + 1 : len;
            if (nl && c->last_chunk) {
                answer_done(l, c);
                return;
            }
            if (nl)
                c->phase = PHASE_CHUNK_SIZE;
            break;
        case PHASE_TO_END:
            l->bytes += len;
            return;
        }
        if (c->phase == PHASE_LENGTH && c->left == 0) {
            answer_done(l, c);
            return; /* one request at a time: nothing can follow */
        }
        data += n;
        len -= n;
    }
}

static void client_read(struct load *l, struct client *c)
{
    ssize_t n = recv(c->fd, l->read, sizeof(l->read), MSG_DONTWAIT);

    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return;
        n = 0;
    }
    if (n > 0) {
        client_feed(l, c, l->read, (size_t)n);
        return;
    }
    client_close(c);
    if (c->idle)
        return;
    if (c->phase != PHASE_TO_END) {
        if (l->errors == 0)
            (void)fprintf(stderr, "load: %s %s: closed before the answer was complete\n",
                l->steps[c->step].method, l->steps[c->step].target);
        c->failed = true;
    }
    answer_done(l, c);
}

/* ---- running */
static void run(struct load *l)
{
    struct epoll_event ev[64];
    bool measuring = false;
    uint64_t end;

    l->start_ns = now_ns();
    l->window_ns = l->start_ns + (uint64_t)(l->warmup * 1e9);
    l->end_ns = l->window_ns + (uint64_t)(l->seconds * 1e9);
    l->running = l->n_clients;
    for (unsigned i = 0; i < l->n_clients; i++) {
        l->clients[i].fd = -EBADF;
        l->clients[i].index = i;
        cycle_begin(l, &l->clients[i]);
    }
    while (l->running > 0) {
        int n;

        if (!measuring && now_ns() >= l->window_ns) {
            measuring = true;
            l->cpu_ns = cpu_ns(l->pid);
        }
        n = epoll_wait(l->ep, ev, ARRAY_SIZE(ev), 60000);
        if (n == 0)
            die("no answer for a minute");
        for (int i = 0; i < n; i++)
            client_read(l, ev[i].data.ptr);
    }
    end = cpu_ns(l->pid);
    /* A process that ended on the way took its time along: unknown, then, rather than wrong. */
    l->cpu_ns = end > l->cpu_ns ? end - l->cpu_ns : 0;
}

static int compare_samples(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void report(struct load *l)
{
    double seconds = l->cycles ? (double)(l->last_ns - l->start_ns) / 1e9 : l->seconds;
    size_t n = l->n_samples;

    if (n > 0)
        qsort(l->samples, n, sizeof(*l->samples), compare_samples);
    (void)printf("{\"cycles\":%zu,\"errors\":%llu,\"seconds\":%.3f,\"rate\":%.1f,\"p50_us\":%.1f,"
                 "\"p99_us\":%.1f,\"mb_s\":%.1f,\"cpu_us\":%.2f}\n",
        n, (unsigned long long)l->errors, seconds, (double)n / seconds,
        n > 0 ? (double)l->samples[n / 2] / 10 : 0.0, n > 0 ? (double)l->samples[n * 99 / 100] / 10 : 0.0,
        (double)l->bytes / 1e6 / seconds, n > 0 ? (double)l->cpu_ns / 1e3 / (double)n : 0.0);
}

static void read_script(struct load *l, const char *path)
{
    FILE *f = fopen(path, "re");
    char *line = NULL, *rest;
    size_t cap = 0;
    ssize_t n;

    if (!f)
        die(path);
    while ((n = getline(&line, &cap, f)) > 0 && l->n_steps < STEPS_MAX) {
        struct step *s = &l->steps[l->n_steps++];

        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        rest = strdup(line);
        s->method = strsep(&rest, "\t");
        s->target = strsep(&rest, "\t");
        s->flag = strsep(&rest, "\t");
        s->body = rest ? rest : strdup("");
        if (!s->target || !s->flag || !s->body) {
            (void)fprintf(stderr, "load: %s: a line needs METHOD, TARGET and FLAG\n", path);
            exit(64);
        }
    }
    free(line);
    (void)fclose(f);
}

int main(int argc, char **argv)
{
    static struct load l = {.n_clients = 1, .seconds = 1};
    int o;

    while ((o = getopt(argc, argv, "s:c:t:w:n:p:")) >= 0) {
        if (o == 's')
            l.socket = optarg;
        else if (o == 'c')
            l.n_clients = (unsigned)atoi(optarg);
        else if (o == 't')
            l.seconds = atof(optarg);
        else if (o == 'w')
            l.warmup = atof(optarg);
        else if (o == 'n')
            l.cycles = strtoull(optarg, NULL, 10);
        else if (o == 'p')
            l.pid = atoi(optarg);
        else
            break;
    }
    if (o >= 0 || !l.socket || optind + 1 != argc || l.n_clients < 1 || l.n_clients > CLIENTS_MAX) {
        (void)fprintf(stderr, "Usage: load -s SOCKET [-c CLIENTS] [-t SECONDS [-w WARMUP] | -n CYCLES] "
                              "[-p PID] SCRIPT\n");
        return 64;
    }
    read_script(&l, argv[optind]);
    l.clients = calloc(l.n_clients, sizeof(*l.clients));
    l.ep = epoll_create1(EPOLL_CLOEXEC);
    if (!l.clients || l.ep < 0)
        die("start");
    run(&l);
    report(&l);
    return l.errors > 0 ? 1 : 0;
}
