/* Timers against a plain array of them. SPDX-License-Identifier: GPL-2.0-or-later */
#include <asm/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "test.h"
#include "cpu/time_init.h"
#include "cpu/irq.h"
#include "mm/frame.h"
#include "lib/printk.h"

#define TIMERS 1500

static struct percpu cpu0, cpu1;
struct percpu *cpus[MAX_CPUS] = {&cpu0, &cpu1};
unsigned int nr_cpus = 2;

static ns_t now, apic_set_for;
static struct timer timers[TIMERS];
static ns_t due[TIMERS]; /* -1: not armed */
static unsigned int fired;
static ns_t last_fired;
static bool rearm;

void panic(const char *format, ...)
{
    fail_msg("panic: %s", format);
    abort();
}
ns_t now_ns(void)
{
    return now;
}
void apic_timer_arm(ns_t when)
{
    apic_set_for = when;
}
void *alloc_pages(unsigned int order)
{
    return calloc(1, PAGE_SIZE << order);
}
void *zalloc(size_t bytes)
{
    return calloc(1, bytes);
}

/* The hypervisor finds its CPU through GS. */
static void be_cpu(struct percpu *p)
{
    syscall(SYS_arch_prctl, ARCH_SET_GS, p);
}

static void callback(void *opaque)
{
    struct timer *t = opaque;
    long i = t - timers;

    assert_true(due[i] >= 0 && due[i] <= now);
    assert_true(due[i] >= last_fired); /* in order of time */
    assert_false(timer_armed(t));
    last_fired = due[i];
    due[i] = -1;
    fired++;
    if (rearm && random64() % 2) {
        due[i] = now + 1 + (ns_t)(random64() % 1000);
        timer_set(t, due[i]);
    }
}

static int setup(void **state)
{
    for (unsigned int i = 0; i < 2; i++) {
        cpus[i]->self = cpus[i];
        cpus[i]->id = i;
        assert_int_equal(timers_init_cpu(cpus[i]), 0);
    }
    be_cpu(&cpu0);
    for (int i = 0; i < TIMERS; i++) {
        timer_init(&timers[i], callback, &timers[i]);
        due[i] = -1;
    }
    return 0;
}

static ns_t earliest(void)
{
    ns_t e = INT64_MAX;

    for (int i = 0; i < TIMERS; i++) {
        if (due[i] >= 0 && due[i] < e)
            e = due[i];
    }
    return e;
}

static void run_until(ns_t end)
{
    unsigned int expected = 0;

    now = end;
    for (int i = 0; i < TIMERS; i++)
        expected += due[i] >= 0 && due[i] <= now;
    fired = 0;
    last_fired = 0;
    timers_run();
    assert_true(rearm ? fired >= expected : fired == expected);
}

static void test_random(void **state)
{
    rearm = true;
    for (int step = 0; step < 60000; step++) {
        unsigned int i = random64() % TIMERS;

        switch (random64() % 4) {
        case 0:
        case 1:
            due[i] = now + (ns_t)(random64() % 3000);
            timer_set(&timers[i], due[i]);
            assert_true(apic_set_for <= due[i]);
            break;
        case 2:
            timer_stop(&timers[i]);
            due[i] = -1;
            break;
        case 3:
            if (random64() % 8 == 0)
                run_until(now + (ns_t)(random64() % 1000));
            break;
        }
        assert_int_equal(timer_armed(&timers[i]), due[i] >= 0);
        if (step % 64 == 0)
            assert_true(apic_set_for <= earliest() || earliest() == INT64_MAX);
    }
    rearm = false;
    run_until(now + 10000);
    assert_int_equal(timers_armed(0), 0);
}

/* An early interrupt, as of a counter that is too narrow, arms for the rest. */
static void test_early_interrupt(void **state)
{
    due[0] = now + 5000;
    timer_set(&timers[0], due[0]);
    assert_int_equal(apic_set_for, due[0]);
    apic_set_for = 0;
    run_until(now + 10);
    assert_int_equal(apic_set_for, due[0]);
    run_until(due[0]);
    assert_false(timer_armed(&timers[0]));
}

static void test_moves_to_the_cpu_that_sets_it(void **state)
{
    due[3] = now + 100;
    timer_set(&timers[3], due[3]);
    be_cpu(&cpu1);
    timer_set(&timers[3], due[3]);
    assert_int_equal(timers_armed(0), 0);
    assert_int_equal(timers_armed(1), 1);
    assert_int_equal(timers[3].cpu, 1);
    be_cpu(&cpu0);
    timer_kill(&timers[3]); /* from another CPU */
    assert_int_equal(timers_armed(1), 0);
    due[3] = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_early_interrupt),
        cmocka_unit_test(test_moves_to_the_cpu_that_sets_it),
    };

    return cmocka_run_group_tests_name("timer", tests, setup, NULL);
}
