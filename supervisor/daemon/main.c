/* main.c: clawsupd: arguments, configuration, signals, start, loop. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <curl/curl.h>
#include <systemd/sd-daemon.h>

#include "base/json.h"
#include "base/log.h"
#include "daemon/fdstore.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/messages.h"
#include "daemon/upgrade.h"

static const char *arg_config = CLAWSUP_SYSCONFDIR "/clawsup/clawsup.conf";
static bool arg_check;
static int arg_log_level = -1;

#define EXIT_USAGE 64
#define UPGRADE (-1)   /* of run(): the next program takes over */
#define EXIT_CONFIG 78 /* sysexits(3): the unit does not restart on it */

static void help(FILE *f)
{
    (void)fputs("clawsupd - supervises the gateways and Docker API proxies of many tenants\n\n"
                "Usage: clawsupd [--config FILE] [--check] [--log-level LEVEL]\n\n"
                "  -c, --config FILE      configuration (default " CLAWSUP_SYSCONFDIR
                "/clawsup/clawsup.conf)\n"
                "      --check            load the configuration, report every finding, and exit\n"
                "  -l, --log-level LEVEL  error, warning, notice, info or debug; wins over log_level\n"
                "  -h, --help             this text\n"
                "  -V, --version          the version\n\n"
                "It stays in the foreground. SIGHUP reloads the configuration, SIGTERM ends it; gateways and "
                "proxies\n"
                "keep running. Exit codes: 0 ended by a signal, 1 failure, 64 usage, 78 configuration.\n"
                "See clawsupd(8), clawsup.conf(5), clawsup(1).\n",
        f);
}

/* 0: go on; otherwise the exit code + 1. */
static int parse_arguments(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'}, {"log-level", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "c:l:hV", options, NULL)) >= 0) {
        switch (c) {
        case 'c':
            arg_config = optarg;
            break;
        case 'k':
            arg_check = true;
            break;
        case 'l':
            arg_log_level = log_level_from_string(optarg);
            if (arg_log_level < 0) {
                (void)fprintf(
                    stderr, "clawsupd: --log-level %s: error, warning, notice, info or debug\n", optarg);
                return EXIT_USAGE + 1;
            }
            break;
        case 'h':
            help(stdout);
            return EXIT_SUCCESS + 1;
        case 'V':
            (void)printf("clawsupd %s\n", CLAWSUP_VERSION);
            return EXIT_SUCCESS + 1;
        default:
            (void)fputs("Try 'clawsupd --help'.\n", stderr);
            return EXIT_USAGE + 1;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr,
            "clawsupd: unexpected argument \"%s\"; a configuration file is given with --config\n",
            argv[optind]);
        return EXIT_USAGE + 1;
    }
    return 0;
}

static int on_stop(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    struct manager *m = userdata;
    struct log_fields f = {.message_id = MESSAGE_STOPPING};

    (void)s;
    log_full(LOG_NOTICE, &f, "stopping on %s; %s", strsignal((int)si->ssi_signo),
        m->config->stop_gateways ? "gateways are stopped (stop_gateways)"
                                 : "gateways and proxies keep running");
    (void)sd_notify(0, "STOPPING=1\nSTATUS=Stopping");
    manager_stop(m);
    return 0;
}

static int on_reload(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    struct manager *m = userdata;
    _cleanup_json_ json_t *report = NULL;
    struct err e = {0};

    (void)s;
    (void)si;
    if (!m->started) { /* the file that was read a moment ago may be older than the wish */
        m->reload_wanted = true;
        return 0;
    }
    report = json_object();
    if (report)
        (void)manager_reload(m, report, NULL, &e); /* it has logged what went wrong */
    return 0;
}

static int load(struct config **ret)
{
    struct config_findings f = {0};
    int r = config_load(arg_config, ret, &f);

    for (size_t i = 0; i < f.n; i++)
        (void)fprintf(stderr, "%s\n", f.items[i]);
    if (r < 0)
        (void)fprintf(stderr, "clawsupd: %s: %zu finding%s; see clawsup.conf(5)\n", arg_config, f.n,
            f.n == 1 ? "" : "s");
    config_findings_free(&f);
    return r;
}

static int add_signals(struct manager *m)
{
    int r = sd_event_add_signal(m->event, &m->sigterm, SIGTERM, on_stop, m);

    if (r >= 0)
        r = sd_event_add_signal(m->event, &m->sigint, SIGINT, on_stop, m);
    if (r >= 0)
        r = sd_event_add_signal(m->event, &m->sighup, SIGHUP, on_reload, m);
    return r;
}

static int run(void)
{
    _cleanup_(manager_freep) struct manager *m = NULL;
    struct config *config = NULL;
    struct err e = {0};
    int r = load(&config);

    if (r < 0)
        return EXIT_CONFIG;
    if (arg_check) {
        (void)printf(
            "%s: good, %zu tenant%s\n", arg_config, config->n_tenants, config->n_tenants == 1 ? "" : "s");
        (void)config_free(config);
        return EXIT_SUCCESS;
    }
    log_set_level(arg_log_level >= 0 ? arg_log_level : config->log_level);
    if (geteuid() != 0) {
        (void)config_free(config);
        log_error("clawsupd must run as root: it creates the tenants' sockets and starts their proxies under "
                  "another uid");
        return EXIT_FAILURE;
    }
    if (fdstore_open() < 0)
        log_warning("the sockets that systemd kept cannot be taken over: out of memory");
    r = manager_new(config, arg_config, &m, &e);
    if (r < 0) {
        (void)config_free(config);
        log_error("%s", e.msg);
        return EXIT_FAILURE;
    }
    m->log_level_fixed = arg_log_level >= 0;
    r = add_signals(m);
    if (r >= 0)
        r = manager_start(m, &e);
    if (r < 0) {
        log_error("%s", e.msg[0] ? e.msg : strerror(-r));
        return EXIT_FAILURE;
    }
    r = sd_event_loop(m->event);
    if (r < 0)
        log_error("the loop failed: %s", strerror(-r));
    if (r == 0 && m->upgrade)
        return UPGRADE;
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    sigset_t set;
    int r = parse_arguments(argc, argv);

    if (r > 0)
        return r - 1;
    log_set_name("clawsupd");
    (void)journal_setup("clawsupd");
    (void)umask(022);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigemptyset(&set) < 0 || sigaddset(&set, SIGTERM) < 0 || sigaddset(&set, SIGINT) < 0 ||
        sigaddset(&set, SIGHUP) < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
        curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
        return EXIT_FAILURE;
    upgrade_remember_program();
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ; /* children of the program before us that ended while it was replaced */
    r = run();
    curl_global_cleanup();
    if (r == UPGRADE) {
        r = upgrade_exec(argv);
        log_error("the new program cannot be executed: %s", strerror(-r));
        r = EXIT_FAILURE;
    }
    return r;
}
