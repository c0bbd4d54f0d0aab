/*
 * Test Anything Protocol, the plan last; and the ways to end.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

#define NAME_MAX_LENGTH 160
#define PM1_SLP_EN      (1u << 13)
#define FADT_PM1A_CNT   64
#define FADT_DSDT       40

static unsigned count, failures, skips;

static void result(bool good, const char *suffix, const char *format, va_list args)
{
    char name[NAME_MAX_LENGTH];

    vformat_text(name, sizeof(name), format, args);
    count++;
    failures += !good;
    print("%s %u - %s: %s%s\n", good ? "ok" : "not ok", count, test_title, name, suffix);
}

bool check(bool good, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    result(good, "", format, args);
    va_end(args);
    return good;
}

bool check_eq(uint64_t got, uint64_t want, const char *format, ...)
{
    va_list args;
    char suffix[80] = "";

    if (got != want)
        format_text(suffix, sizeof(suffix), " (got 0x%lx = %ld, want 0x%lx)", got,
                    (long)got, want);
    va_start(args, format);
    result(got == want, suffix, format, args);
    va_end(args);
    return got == want;
}

void skip(const char *reason, const char *format, ...)
{
    va_list args;
    char suffix[120];

    skips++;
    format_text(suffix, sizeof(suffix), " # SKIP %s", reason);
    va_start(args, format);
    result(true, suffix, format, args);
    va_end(args);
}

/* SLP_TYPa of _S5 in the DSDT's byte code: `_S5_` PackageOp length count value; 0 if not
 * found. */
static uint8_t s5_sleep_type(const struct acpi_header *dsdt)
{
    const uint8_t *p = (const uint8_t *)dsdt, *end = p + dsdt->length;

    for (; p + 12 < end; p++) {
        if (memcmp(p, "_S5_", 4) || p[4] != 0x12)
            continue;
        p += 5;
        p += (*p >> 6) + 2; /* package length bytes, then the element count */
        return *p == 0x0a ? p[1] : *p == 1 ? 1 : 0;
    }
    return 0;
}

static void acpi_power_off(void)
{
    const struct acpi_header *fadt = acpi_find("FACP");
    const struct acpi_header *dsdt;
    uint32_t pm1a, dsdt_at;

    if (!fadt)
        return;
    memcpy(&pm1a, (const char *)fadt + FADT_PM1A_CNT, 4);
    memcpy(&dsdt_at, (const char *)fadt + FADT_DSDT, 4);
    dsdt = (const struct acpi_header *)(uintptr_t)dsdt_at;
    outw((uint16_t)pm1a, (uint16_t)(PM1_SLP_EN | s5_sleep_type(dsdt) << 10));
}

void power_off(void)
{
    struct sched_shutdown arg = {.reason = SHUTDOWN_poweroff};

    irq_disable();
    if (env.xen)
        sched_op(SCHEDOP_shutdown, &arg);
    else
        acpi_power_off();
    for (;;)
        asm volatile("cli; hlt");
}

void finish(void)
{
    print("# %s: %u passed, %u failed, %u skipped\n", test_title,
          count - failures - skips, failures, skips);
    print("1..%u\n", count);
    power_off();
}

void panic(const char *format, ...)
{
    char text[NAME_MAX_LENGTH];
    va_list args;

    va_start(args, format);
    vformat_text(text, sizeof(text), format, args);
    va_end(args);
    print("Bail out! %s: %s\n", test_title, text);
    power_off();
}
