/* screen.c: see screen.h. Must not know what it shows. */
#include "ctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/str.h"

#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"
#define ROWS_DEFAULT 24

struct screen {
    bool keys; /* standard input is a terminal, too */
};

/* What a signal handler needs to give the terminal back: there is one terminal. */
static struct termios saved;
static volatile sig_atomic_t saved_keys;

static void put(const char *text)
{
    ssize_t n = write(STDOUT_FILENO, text, strlen(text));

    (void)n; /* nobody left to tell */
}

static void enter(void)
{
    struct termios t = saved;

    if (saved_keys) {
        t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        t.c_cc[VMIN] = 0;
        t.c_cc[VTIME] = 0;
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &t);
    }
    put(ENTER);
}

static void leave(void)
{
    put(LEAVE);
    if (saved_keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

/* Async-signal-safe: write(2), tcsetattr(3), signal(2) and raise(3) only. */
static void on_end(int sig)
{
    leave();
    (void)signal(sig, SIG_DFL);
    (void)raise(sig);
}

static void on_stop(int sig)
{
    int e = errno;

    (void)sig;
    leave();
    (void)raise(SIGSTOP);
    enter(); /* in the foreground again */
    errno = e;
}

static void on_resize(int sig)
{
    (void)sig; /* poll(2) ends early, and the next frame has the new size */
}

static void handle(int sig, void (*fn)(int))
{
    struct sigaction a = {.sa_handler = fn};

    (void)sigemptyset(&a.sa_mask);
    (void)sigaction(sig, &a, NULL);
}

int screen_new(struct screen **ret)
{
    struct screen *s;

    if (!isatty(STDOUT_FILENO))
        return -ENOTTY;
    s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->keys = tcgetattr(STDIN_FILENO, &saved) == 0;
    saved_keys = s->keys;
    handle(SIGINT, on_end);
    handle(SIGTERM, on_end);
    handle(SIGHUP, on_end);
    handle(SIGQUIT, on_end);
    handle(SIGTSTP, on_stop);
    handle(SIGWINCH, on_resize);
    enter();
    *ret = s;
    return 0;
}

struct screen *screen_free(struct screen *s)
{
    if (!s)
        return NULL;
    (void)fflush(stdout);
    leave();
    handle(SIGINT, SIG_DFL);
    handle(SIGTERM, SIG_DFL);
    handle(SIGHUP, SIG_DFL);
    handle(SIGQUIT, SIG_DFL);
    handle(SIGTSTP, SIG_DFL);
    handle(SIGWINCH, SIG_DFL);
    free(s);
    return NULL;
}

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (const char *p = text; (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

/* Writes over the last frame: each line is cleared to its end, then what is below; nothing flickers. */
int screen_draw(struct screen *s, const char *text)
{
    struct winsize w = {.ws_row = 0};
    size_t lines = count_lines(text), rows, shown;

    (void)s;
    rows = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 1 ? w.ws_row : ROWS_DEFAULT;
    shown = lines > rows ? rows - 1 : lines;
    (void)fputs("\033[H", stdout);
    for (size_t i = 0; i < shown; i++) {
        const char *nl = strchr(text, '\n');

        (void)fwrite(text, 1, (size_t)(nl - text), stdout);
        /* No newline after the last row: it would scroll. */
        (void)fputs(i + 1 < rows ? "\033[K\r\n" : "\033[K", stdout);
        text = nl + 1;
    }
    if (shown < lines)
        (void)fprintf(stdout, "... %zu more lines\033[K", lines - shown);
    else if (lines < rows)
        (void)fputs("\033[J", stdout);
    return fflush(stdout) == 0 ? 0 : -EIO;
}

int screen_wait(struct screen *s, unsigned ms)
{
    struct pollfd p = {.fd = s->keys ? STDIN_FILENO : -1, .events = POLLIN};
    char key;

    if (poll(&p, 1, (int)MIN(ms, 1000U * 3600)) <= 0 || p.fd < 0)
        return 0;
    return read(STDIN_FILENO, &key, 1) == 1 ? (unsigned char)key : 'q';
}

unsigned screen_width(void)
{
    struct winsize w = {.ws_col = 0};
    const char *env = getenv("COLUMNS");
    uint64_t n;

    if (!isatty(STDOUT_FILENO))
        return 0;
    if (env && str_parse_u64(env, 10000, &n) >= 0 && n > 0)
        return (unsigned)n;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}
