/*
 * corbel: start, watch and end guests.  See corbel(8).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"create", command_create, "start a guest: create [-p] [FILE] [KEY=VALUE]..."},
    {"run", command_run, "start a guest and stay on its console until it ends"},
    {"list", command_list, "the domains there are; -a: and guests that have ended"},
    {"info", command_info, "all about a guest; without a name: about the machine"},
    {"top", command_top, "live view of the domains"},
    {"console", command_console, "join a guest's serial console; Ctrl-] leaves it"},
    {"vnc", command_vnc, "where a guest's screen is"},
    {"pause", command_pause, "stop a guest's vCPUs"},
    {"unpause", command_unpause, "let them go on"},
    {"shutdown", command_shutdown, "press the power button; -w waits for the end"},
    {"wakeup", command_wakeup, "wake a guest that is suspended to RAM"},
    {"reboot", command_reboot, "reset a guest"},
    {"destroy", command_destroy, "end a guest at once"},
    {"attach", command_attach, "plug in: attach GUEST disk=... or vif=..."},
    {"detach", command_detach, "unplug: detach GUEST vdX, or a card's MAC"},
    {"monitor", command_monitor, "a line for the device model: monitor GUEST WORD..."},
    {"wait", command_wait, "wait until a guest has ended"},
    {"dmesg", command_dmesg, "what the hypervisor said; -c: and clear it"},
    {"debug-keys", command_debug_keys, "send keys to the hypervisor's console"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(FILE *to)
{
    fprintf(to, "usage: corbel COMMAND [ARGUMENT]...\n\n");
    for (unsigned i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-11s %s\n", commands[i].name, commands[i].help);
    fprintf(to, "\nKeys of FILE are those of xl.cfg; corbel(8) lists them.\n");
}

int complain(const struct failure *f)
{
    fprintf(stderr, "corbel: %s\n", f->text);
    return STATUS_FAILED;
}

int usage(const char *text)
{
    fprintf(stderr, "usage: corbel %s\n", text);
    return STATUS_USAGE;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        help(stderr);
        return STATUS_USAGE;
    }
    if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") ||
        !strcmp(argv[1], "-h")) {
        help(stdout);
        return 0;
    }
    for (unsigned i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (argc == 3 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
            printf("corbel %s: %s; see corbel(8)\n", commands[i].name, commands[i].help);
            return 0;
        }
        return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "corbel: there is no command '%s'; 'corbel help' lists them\n",
            argv[1]);
    return STATUS_USAGE;
}
