/* Where C begins. SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/printk.h"
#include "lib/string.h"
#include "boot/boot.h"
#include "cpu/x86.h"

void boot_main(uint32_t magic, uint32_t info, uint32_t load_address);

static void putc(char c)
{
    outb(0x3f8, c);
}
void vprintk(const char *format, va_list ap)
{
    char buf[256];

    vsnprintf(buf, sizeof(buf), format, ap);
    for (char *p = buf; *p; p++)
        putc(*p);
}
void printk(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vprintk(format, ap);
    va_end(ap);
}
void panic(const char *format, ...)
{
    for (;;)
        ;
}
void boot_main(uint32_t magic, uint32_t info, uint32_t load_address)
{
    printk("Corbel: magic %x info %x load %x\n", magic, info, load_address);
    printk("symbol %pS\n", (void *)boot_main);
    for (;;)
        __asm__("hlt");
}
