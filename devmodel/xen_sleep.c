/*
 * See xen_sleep.h.
 *
 *   device model (in the sandbox)      this process
 *   SLEEP                              HVM_PARAM_ACPI_S_STATE = 3
 *   answer, with the clock's registers
 *   WAKE                               HVM_PARAM_ACPI_S_STATE = 0
 *   end of the socket                  ends itself
 *
 * The device model may have fallen to its guest: it says one of two words, about one
 * domain.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen_sleep.h"
#include "helper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <xenctrl.h>

#include <xen/hvm/params.h>
#include <xen/hvm/save.h>

enum { S0 = 0, S3 = 3 }; /* values of the parameter */
enum word { SLEEP, WAKE };

struct answer {
    int32_t err;
    uint8_t rtc[RTC_REGISTERS];
};

struct sleeper {
    struct helper process;
};

/* ---- the other process --------------------------------------------------------------
 */

static void read_clock(xc_interface *xc, unsigned domid, uint8_t rtc[RTC_REGISTERS])
{
    HVM_SAVE_TYPE(RTC) record;

    if (xc_domain_hvm_getcontext_partial(xc, domid, HVM_SAVE_CODE(RTC), 0, &record,
                                         sizeof(record)) == 0)
        memcpy(rtc, record.cmos_data, RTC_REGISTERS);
}

static void carry_out(unsigned domid, uint8_t word, struct answer *a)
{
    /* Most guests never sleep: it is opened when it is needed. */
    xc_interface *xc = word <= WAKE ? xc_interface_open(NULL, NULL, 0) : NULL;

    if (!xc) {
        a->err = word <= WAKE ? -errno : -EINVAL;
        return;
    }
    if (xc_hvm_param_set(xc, domid, HVM_PARAM_ACPI_S_STATE, word == SLEEP ? S3 : S0))
        a->err = -errno;
    else if (word == SLEEP)
        read_clock(xc, domid, a->rtc);
    xc_interface_close(xc);
}

static void become_sleeper(int socket, void *opaque)
{
    const unsigned *domid = opaque;
    uint8_t word;
    ssize_t n;

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    while ((n = recv(socket, &word, sizeof(word), 0)) > 0 || (n < 0 && errno == EINTR)) {
        struct answer a = {0};
        if (n < 0)
            continue;
        carry_out(*domid, word, &a);
        send(socket, &a, sizeof(a), MSG_NOSIGNAL);
    }
}

/* ---- this process -------------------------------------------------------------------
 */

struct sleeper *sleeper_start(unsigned domid, struct error *error)
{
    struct sleeper *s = must_alloc(sizeof(*s));

    if (helper_start(&s->process, "for the guest's sleep", become_sleeper, &domid,
                     error) == 0)
        return s;
    free(s);
    return NULL;
}

void sleeper_stop(struct sleeper *s)
{
    if (!s)
        return;
    helper_stop(&s->process);
    free(s);
}

static int ask(struct sleeper *s, uint8_t word, struct answer *a, struct error *error)
{
    ssize_t n = -1;

    if (send(s->process.socket, &word, sizeof(word), MSG_NOSIGNAL) == sizeof(word)) {
        do
            n = recv(s->process.socket, a, sizeof(*a), 0);
        while (n < 0 && errno == EINTR);
    }
    if (n != sizeof(*a))
        return error_set(error, -EPIPE, "the process for it has ended");
    return a->err ? error_set(error, a->err, "the hypervisor refuses it: %s",
                              strerror(-a->err))
                  : 0;
}

int sleeper_sleep(struct sleeper *s, uint8_t rtc[RTC_REGISTERS], struct error *error)
{
    struct answer a;

    int err = ask(s, SLEEP, &a, error);
    if (!err)
        memcpy(rtc, a.rtc, RTC_REGISTERS);
    return err;
}

int sleeper_wake(struct sleeper *s, struct error *error)
{
    struct answer a;

    return ask(s, WAKE, &a, error);
}
