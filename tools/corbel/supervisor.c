/*
 * The process that watches over one guest.  It builds the domain, runs the device model
 * as its child, and ends both together: whatever happens to one of them, the other does
 * not stay.
 *
 *   STARTING --ready file--> RUNNING <--> PAUSED
 *       \                       | shut down, device model gone, request
 *        \----> STOPPING <------/
 *                  | device model has ended, domain destroyed
 *                  +--> STARTING again (reboot), or the end
 *
 * The domain is asked for its state a few times a second. VIRQ_DOM_EXC would tell sooner,
 * but only one process of Dom0 can have it, and where xenstored runs it must be
 * xenstored.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "guestdir.h"
#include "hub.h"
#include "model.h"
#include "rpc.h"
#include "supervisor.h"
#include "tap.h"

#define TICK_STARTING_MS 10u
#define TICK_RUNNING_MS  200u
#define READY_MS         60000u /* for the device model, on a slow emulated machine */
#define STOP_MS          10000u /* for the device model to write what it holds */
#define RESTARTS_MAX     10u    /* within RESTARTS_MS: then it is no reboot but a loop */
#define RESTARTS_MS      20000u
#define VNC_BASE_PORT    5900u
#define VNC_PORTS        200u

enum stage { STAGE_STARTING, STAGE_LIVE, STAGE_STOPPING, STAGE_OVER };

struct supervisor {
    struct guest_config *c;
    struct guest_state state;
    struct hypervisor h;
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t term;
    uv_process_t *model; /* NULL: none runs */
    struct hub *hub;
    struct rpc_server *rpc;
    enum stage stage;
    bool exists; /* the domain does */
    bool start_paused;
    bool preserved;
    bool restart;      /* when it has stopped */
    uint64_t deadline; /* ms: of STARTING and STOPPING */
    uint64_t restart_at[RESTARTS_MAX];
    unsigned vnc_port;
    int report; /* -1: told already */
};

static void save_state(struct supervisor *s)
{
    struct failure f = {0};

    if (guestdir_write_state(&s->state, &f))
        fprintf(stderr, "%s\n", f.text);
}

/* The answer to whoever started us: '+' or '-' and the reason. */
static void report(struct supervisor *s, const char *why)
{
    if (s->report < 0)
        return;
    if (dprintf(s->report, "%c%s", why ? '-' : '+', why ? why : "") < 0)
        fprintf(stderr, "nobody waits for the start any more\n");
    close(s->report);
    s->report = -1;
}

static void note(struct supervisor *s, const char *text)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm tm;

    strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
    fprintf(stderr, "%s %s\n", stamp, text);
}

static void set_tick(struct supervisor *s, unsigned ms);

static void remove_taps(struct supervisor *s)
{
    for (unsigned i = 0; i < s->c->nics; i++) {
        if (s->c->nic[i].tap[0])
            tap_remove(s->c->nic[i].tap);
        s->c->nic[i].tap[0] = 0;
    }
}

static int make_taps(struct supervisor *s, struct failure *f)
{
    for (unsigned i = 0; i < s->c->nics; i++) {
        struct nic_config *n = &s->c->nic[i];
        if (!n->bridge)
            continue;
        snprintf(n->tap, sizeof(n->tap), "tap%lld.%u", (long long)s->state.domid, i);
        int err = tap_create(n->tap, n->bridge, f);
        if (err) {
            n->tap[0] = 0;
            return err;
        }
    }
    return 0;
}

/* ---- the device model ---------------------------------------------------------------
 */

static bool port_free(const char *address, unsigned port)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[16];
    int on = 1;

    snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(address, service, &hints, &found))
        return false;
    int fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
    bool free = fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
                !bind(fd, found->ai_addr, found->ai_addrlen);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return free;
}

static int choose_vnc_port(struct supervisor *s, struct failure *f)
{
    const struct guest_config *c = s->c;

    s->vnc_port = 0;
    s->state.vnc[0] = 0;
    if (!c->vnc || model_none(c))
        return 0;
    unsigned first = VNC_BASE_PORT + (c->vnc_display < 0 ? 0 : (unsigned)c->vnc_display);
    unsigned last = c->vnc_display < 0 ? first + VNC_PORTS : first + 1;
    for (unsigned port = first; port < last && !s->vnc_port; port++) {
        if (port_free(c->vnc_listen, port))
            s->vnc_port = port;
    }
    if (!s->vnc_port)
        return fail_with(f, -EADDRINUSE,
                         "VNC: port %u on %s cannot be had (vnclisten, vncdisplay)",
                         first, c->vnc_listen);
    snprintf(s->state.vnc, sizeof(s->state.vnc), "%s:%u", c->vnc_listen, s->vnc_port);
    return 0;
}

static int write_password(struct supervisor *s, struct failure *f)
{
    char path[GUEST_PATH_MAX];

    if (!s->c->vnc_password)
        return 0;
    guest_path(path, s->c->name, "vnc-password");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || dprintf(fd, "%s\n", s->c->vnc_password) < 0)
        fail_with(f, -errno, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return f->text[0] ? -EIO : 0;
}

/* The last line of its log that says something, for the reason. */
static void last_words(const char *guest, char *text, size_t room)
{
    char path[GUEST_PATH_MAX], line[512];

    text[0] = 0;
    guest_path(path, guest, "dm.log");
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0])
            snprintf(text, room, "%.*s", (int)room - 1, line);
    }
    if (file)
        fclose(file);
}

static void model_exited(uv_process_t *process, int64_t status, int signal);

static void model_freed(uv_handle_t *handle)
{
    free(handle);
}

static int spawn_model(struct supervisor *s, struct failure *f)
{
    char program[512], path[GUEST_PATH_MAX];
    struct args args;
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}};

    int err = choose_vnc_port(s, f);
    if (!err)
        err = write_password(s, f);
    if (!err)
        err = model_program(s->c, program, sizeof(program), f);
    if (!err)
        err = model_args(s->c, program, (uint32_t)s->state.domid, s->vnc_port, &args, f);
    if (err)
        return err;
    guest_path(path, s->c->name, "dm.ready");
    unlink(path);
    guest_path(path, s->c->name, "dm.log");
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (unsigned i = 1; i < 3; i++)
        stdio[i] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = log};
    uv_process_options_t options = {.exit_cb = model_exited,
                                    .file = program,
                                    .args = args.list,
                                    .stdio = stdio,
                                    .stdio_count = 3};
    uv_process_t *model = calloc(1, sizeof(*model));
    if (log < 0 || !model) {
        err = log < 0 ? -errno : -ENOMEM;
        free(model);
    } else {
        model->data = s;
        err = uv_spawn(&s->loop, model, &options);
        if (err)
            uv_close((uv_handle_t *)model, model_freed);
    }
    if (log >= 0)
        close(log);
    args_free(&args);
    if (err)
        return fail_with(f, err, "cannot start the device model %s: %s", program,
                         uv_strerror(err));
    s->model = model;
    s->state.device_model = model->pid;
    return 0;
}

/* ---- from nothing to a running guest ------------------------------------------------
 */

static void stop(struct supervisor *s, const char *ended_by, const char *reason);

static void start_guest(struct supervisor *s)
{
    struct failure f = {0};
    uint32_t domid;

    s->stage = STAGE_STARTING;
    s->state.phase = PHASE_STARTING;
    s->state.reason[0] = s->state.ended_by[0] = 0;
    int err = domain_create(&s->h, &s->c->spec, &domid, &f);
    if (!err) {
        s->exists = true;
        s->state.domid = domid;
        err = domain_build(&s->h, &s->c->spec, domid, &f);
    }
    if (!err)
        err = make_taps(s, &f);
    if (!err && !model_none(s->c))
        err = spawn_model(s, &f);
    save_state(s);
    if (err) {
        stop(s, "error", f.text);
        return;
    }
    s->deadline = uv_now(&s->loop) + READY_MS;
    set_tick(s, TICK_STARTING_MS);
}

static void go_live(struct supervisor *s)
{
    s->stage = STAGE_LIVE;
    s->state.phase = PHASE_PAUSED;
    if (!s->start_paused) {
        if (xc_domain_unpause(s->h.xch, (uint32_t)s->state.domid)) {
            stop(s, "error", "the hypervisor refused to run the new domain");
            return;
        }
        s->state.phase = PHASE_RUNNING;
    }
    s->start_paused = false; /* only the first time */
    save_state(s);
    note(s, "the guest is there");
    report(s, NULL);
    set_tick(s, TICK_RUNNING_MS);
}

static void check_ready(struct supervisor *s)
{
    char path[GUEST_PATH_MAX];

    guest_path(path, s->c->name, "dm.ready");
    if (model_none(s->c) || access(path, F_OK) == 0)
        go_live(s);
    else if (uv_now(&s->loop) > s->deadline)
        stop(s, "error", "the device model was not ready within a minute");
}

/* ---- from a running guest to nothing ------------------------------------------------
 */

static void over(struct supervisor *s)
{
    json_t *answer = json_pack("{sb ss ss}", "ok", 1, "ended_by", s->state.ended_by,
                               "reason", s->state.reason);

    s->stage = STAGE_OVER;
    s->state.phase = PHASE_ENDED;
    s->state.domid = -1;
    s->state.device_model = 0;
    save_state(s);
    report(s, s->state.reason);
    rpc_answer_waiters(s->rpc, answer);
    json_decref(answer);
    uv_stop(&s->loop);
}

/* The device model is gone: nothing uses the domain any more. */
static void finish_stop(struct supervisor *s)
{
    struct failure f = {0};

    remove_taps(s);
    if (s->exists && domain_destroy(&s->h, (uint32_t)s->state.domid, &f))
        note(s, f.text);
    s->exists = false;
    if (s->restart) {
        s->restart = false;
        s->state.restarts++;
        note(s, "the guest restarts");
        start_guest(s);
    } else {
        over(s);
    }
}

static void stop(struct supervisor *s, const char *ended_by, const char *reason)
{
    char line[600];

    if (s->stage == STAGE_STOPPING || s->stage == STAGE_OVER)
        return;
    snprintf(s->state.ended_by, sizeof(s->state.ended_by), "%s", ended_by);
    snprintf(s->state.reason, sizeof(s->state.reason), "%s", reason);
    snprintf(line, sizeof(line), "%s: %s", ended_by, reason);
    note(s, line);
    s->stage = STAGE_STOPPING;
    if (s->exists)
        xc_domain_pause(s->h.xch, (uint32_t)s->state.domid);
    if (s->model) {
        uv_process_kill(s->model, SIGTERM);
        s->deadline = uv_now(&s->loop) + STOP_MS;
        set_tick(s, TICK_STARTING_MS);
    } else {
        finish_stop(s);
    }
}

static bool restarts_too_often(struct supervisor *s)
{
    uint64_t now = uv_now(&s->loop);
    uint64_t *slot = &s->restart_at[s->state.restarts % RESTARTS_MAX];
    bool often = s->state.restarts >= RESTARTS_MAX && now - *slot < RESTARTS_MS;

    *slot = now;
    return often;
}

static void act_on_shutdown(struct supervisor *s, unsigned code)
{
    const struct guest_config *c = s->c;
    const struct {
        enum end_action action;
        const char *reason;
    } ends[] = {
        [SHUTDOWN_poweroff] = {c->on_poweroff, "the guest powered itself off"},
        [SHUTDOWN_reboot] = {c->on_reboot, "the guest asked for a reboot"},
        [SHUTDOWN_suspend] = {END_DESTROY, "the guest suspended itself"},
        [SHUTDOWN_crash] = {c->on_crash, "the guest crashed; 'corbel dmesg' may say why"},
        [SHUTDOWN_watchdog] = {c->on_watchdog, "the guest's watchdog ran out"},
    };
    enum end_action action = c->on_crash;
    const char *reason = "the guest ended in an unknown way";

    if (code < sizeof(ends) / sizeof(ends[0])) {
        action = ends[code].action;
        reason = ends[code].reason;
    }
    if (action == END_PRESERVE) {
        s->preserved = true;
        s->state.phase = PHASE_PAUSED;
        snprintf(s->state.reason, sizeof(s->state.reason), "%s", reason);
        snprintf(s->state.ended_by, sizeof(s->state.ended_by), "%s", shutdown_name(code));
        save_state(s);
        note(s, "preserved until it is destroyed");
        return;
    }
    s->restart = action == END_RESTART;
    if (s->restart && restarts_too_often(s)) {
        s->restart = false;
        reason = "the guest rebooted again and again without getting anywhere";
    }
    stop(s, shutdown_name(code), reason);
}

/* Whether the domain has ended by itself; acts on it then. */
static bool check_domain(struct supervisor *s)
{
    xc_domaininfo_t info;
    int err = domain_info(&s->h, (uint32_t)s->state.domid, &info);

    if (err == -ESRCH) {
        s->exists = false;
        stop(s, "destroy", "somebody else destroyed the domain");
        return true;
    }
    if (err || !(info.flags & XEN_DOMINF_shutdown))
        return false;
    act_on_shutdown(s, info.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask);
    return true;
}

static void model_exited(uv_process_t *process, int64_t status, int signal)
{
    struct supervisor *s = process->data;
    char reason[512], words[300];

    s->model = NULL;
    uv_close((uv_handle_t *)process, model_freed);
    if (s->stage == STAGE_STOPPING) {
        finish_stop(s);
        return;
    }
    /* It may have ended because the guest has. */
    if (s->stage == STAGE_LIVE && (s->preserved || check_domain(s)))
        return;
    last_words(s->c->name, words, sizeof(words));
    snprintf(reason, sizeof(reason), "the device model %s %lld%s%s",
             signal ? "was killed by signal" : "ended with status",
             signal ? (long long)signal : (long long)status, words[0] ? ": " : "", words);
    stop(s, "device-model", reason);
}

/* ---- events -------------------------------------------------------------------------
 */

static void ticked(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;

    if (s->stage == STAGE_STARTING)
        check_ready(s);
    else if (s->stage == STAGE_LIVE && !s->preserved)
        check_domain(s);
    else if (s->stage == STAGE_STOPPING && uv_now(&s->loop) > s->deadline && s->model) {
        note(s, "the device model does not end; it is killed");
        uv_process_kill(s->model, SIGKILL);
        s->deadline = uv_now(&s->loop) + STOP_MS;
    }
}

static void set_tick(struct supervisor *s, unsigned ms)
{
    uv_timer_start(&s->tick, ticked, ms, ms);
}

/* End it in whatever stage it is, also on its way to a restart. */
static void end_for_good(struct supervisor *s, const char *reason)
{
    if (s->stage == STAGE_STOPPING && s->restart) {
        s->restart = false;
        snprintf(s->state.ended_by, sizeof(s->state.ended_by), "destroy");
        snprintf(s->state.reason, sizeof(s->state.reason), "%s", reason);
    }
    stop(s, "destroy", reason);
}

static void terminated(uv_signal_t *signal, int number)
{
    end_for_good(signal->data, "the supervisor was told to end");
}

static json_t *refusal(const char *why)
{
    return json_pack("{sb ss}", "ok", 0, "error", why);
}

static json_t *set_paused(struct supervisor *s, bool paused)
{
    uint32_t domid = (uint32_t)s->state.domid;
    enum guest_phase phase = paused ? PHASE_PAUSED : PHASE_RUNNING;

    if (s->preserved)
        return refusal("the guest has ended and is preserved; it can only be destroyed");
    if (s->state.phase == phase)
        return refusal(paused ? "the guest is paused already"
                              : "the guest is not paused");
    if (paused ? xc_domain_pause(s->h.xch, domid) : xc_domain_unpause(s->h.xch, domid))
        return refusal(strerror(errno));
    s->state.phase = phase;
    save_state(s);
    return json_pack("{sb}", "ok", 1);
}

static json_t *request(const char *verb, void *opaque)
{
    struct supervisor *s = opaque;

    if (!strcmp(verb, "wait"))
        return s->stage == STAGE_OVER ? refusal("the guest has ended") : NULL;
    if (!strcmp(verb, "state"))
        return json_pack("{sb ss}", "ok", 1, "phase", phase_name(s->state.phase));
    if (!strcmp(verb, "destroy") && s->stage != STAGE_OVER) {
        end_for_good(s, "destroyed on request");
        return json_pack("{sb}", "ok", 1);
    }
    if (s->stage != STAGE_LIVE)
        return refusal("the guest is just starting or ending; try again");
    if (!strcmp(verb, "pause") || !strcmp(verb, "unpause"))
        return set_paused(s, !strcmp(verb, "pause"));
    if (!strcmp(verb, "reboot")) {
        s->restart = true;
        s->preserved = false;
        stop(s, "reboot", "reset on request");
        return json_pack("{sb}", "ok", 1);
    }
    return refusal("there is no such request");
}

/* ---- the process --------------------------------------------------------------------
 */

static int open_all(struct supervisor *s, struct failure *f)
{
    int err = hypervisor_open(&s->h, f);

    if (!err)
        err = hub_open(&s->hub, &s->loop, s->c->name, f);
    if (!err)
        err = rpc_open(&s->rpc, &s->loop, s->c->name, request, s, f);
    return err;
}

static void supervise(struct guest_config *c, bool paused, int report_fd)
{
    struct supervisor s = {.c = c, .start_paused = paused, .report = report_fd};
    struct failure f = {0};

    snprintf(s.state.name, sizeof(s.state.name), "%s", c->name);
    uuid_format(c->spec.uuid, s.state.uuid);
    s.state.domid = -1;
    s.state.supervisor = getpid();
    s.state.memory_mib = c->spec.ram_bytes >> 20;
    s.state.vcpus = c->spec.vcpus;
    s.state.created = time(NULL);

    uv_loop_init(&s.loop);
    uv_timer_init(&s.loop, &s.tick);
    uv_signal_init(&s.loop, &s.term);
    s.tick.data = s.term.data = &s;
    uv_signal_start(&s.term, terminated, SIGTERM);
    if (open_all(&s, &f)) {
        s.state.phase = PHASE_ENDED;
        snprintf(s.state.reason, sizeof(s.state.reason), "%.500s", f.text);
        save_state(&s);
        report(&s, f.text);
        return;
    }
    start_guest(&s);
    if (s.stage != STAGE_OVER)
        uv_run(&s.loop, UV_RUN_DEFAULT);
    hub_close(s.hub);
    rpc_close(s.rpc);
    uv_run(&s.loop, UV_RUN_NOWAIT);
    hypervisor_close(&s.h);
}

static int redirect_output(const char *name)
{
    char path[GUEST_PATH_MAX];

    guest_path(path, name, "log");
    int null = open("/dev/null", O_RDONLY);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        return -errno;
    if (null > 2)
        close(null);
    if (log > 2)
        close(log);
    return 0;
}

static int keep_config(const char *name, const char *text, struct failure *f)
{
    char path[GUEST_PATH_MAX];

    guest_path(path, name, "config");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || dprintf(fd, "%s", text) < 0)
        fail_with(f, -errno, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return f->text[0] ? -EIO : 0;
}

/* Wait until the supervisor has told how the start went. */
static int await_report(int fd, struct failure *f)
{
    char text[sizeof(f->text) + 1];
    size_t n = 0;
    ssize_t got;

    while (n < sizeof(text) - 1 &&
           (got = read(fd, text + n, sizeof(text) - 1 - n)) != 0) {
        if (got < 0 && errno != EINTR)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    text[n] = 0;
    if (n == 0)
        return fail_with(f, -EIO, "the supervisor ended before the guest was there");
    return text[0] == '+' ? 0 : fail_with(f, -EIO, "%s", text + 1);
}

int supervisor_start(const struct guest_config *c, const char *text, bool paused,
                     struct failure *f)
{
    int fd[2];
    int err = guestdir_create(c->name, f);

    if (!err)
        err = keep_config(c->name, text, f);
    if (err)
        return err;
    if (pipe2(fd, O_CLOEXEC))
        return fail_with(f, -errno, "pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        close(fd[0]);
        close(fd[1]);
        return fail_with(f, -errno, "fork: %s", strerror(errno));
    }
    if (child == 0) {
        /* A session of its own, and no child of whoever started it. */
        setsid();
        umask(077);
        if (fork() != 0)
            _exit(0);
        close(fd[0]);
        if (chdir("/") == 0 && redirect_output(c->name) == 0)
            supervise((struct guest_config *)c, paused, fd[1]);
        _exit(0);
    }
    close(fd[1]);
    err = await_report(fd[0], f);
    close(fd[0]);
    return err;
}
