/*
 * vCPUs that come while the guest runs, as Xen's tools ask for them: all vCPUs exist from
 * the start, the guest learns from its ACPI tables which of them it may use.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "control.h"

#define CPU_TYPE "corbel-vcpu" /* given out, and asked for again by device_add */

static bool is_online(const struct machine *m, unsigned n)
{
    return m->board.online[n / 8] >> (n % 8) & 1;
}

/* Those that the guest may use. */
json_t *control_query_cpus(struct machine *m)
{
    json_t *list = json_array();

    for (unsigned n = 0; n < m->board.max_cpus; n++) {
        if (is_online(m, n))
            json_array_append_new(list, json_pack("{s:i, s:i, s:b, s:s, s:i, s:i}", "CPU",
                                                  (int)n, "cpu-index", (int)n, "current",
                                                  n == 0, "qom-path", "", "thread_id", 0,
                                                  "thread-id", 0));
    }
    return list;
}

/* All, each with where it would be; those that are there have a path. */
json_t *control_hotpluggable_cpus(struct machine *m)
{
    json_t *list = json_array();

    for (unsigned n = 0; n < m->board.max_cpus; n++) {
        json_t *cpu =
            json_pack("{s:s, s:i, s:{s:i, s:i, s:i}}", "type", CPU_TYPE, "vcpus-count", 1,
                      "props", "socket-id", (int)n, "core-id", 0, "thread-id", 0);
        if (is_online(m, n))
            json_object_set_new(cpu, "qom-path", json_string("/machine/cpu"));
        json_array_append_new(list, cpu);
    }
    return list;
}

static json_t *add(struct machine *m, json_t *number, struct error *error)
{
    json_int_t n = json_is_integer(number) ? json_integer_value(number) : -1;

    if (n < 0 || n >= m->board.max_cpus) {
        error_set(error, -EINVAL, "there is no vCPU of that number below %u",
                  m->board.max_cpus);
        return NULL;
    }
    if (!m->power || !m->power->cpus_changed) {
        error_set(error, -ENOTSUP, "this machine cannot tell its guest of a new vCPU");
        return NULL;
    }
    if (is_online(m, (unsigned)n)) {
        error_set(error, -EEXIST, "vCPU %d is there", (int)n);
        return NULL;
    }
    m->board.online[n / 8] |= (uint8_t)(1u << (n % 8));
    m->power->cpus_changed(m->power_opaque);
    return json_object();
}

json_t *control_cpu_add(struct machine *m, json_t *arguments, struct error *error)
{
    return add(m, json_object_get(arguments, "id"), error);
}

bool control_is_cpu(json_t *arguments)
{
    const char *driver = json_string_value(json_object_get(arguments, "driver"));

    return driver && strcmp(driver, CPU_TYPE) == 0;
}

json_t *control_cpu_device_add(struct machine *m, json_t *arguments, struct error *error)
{
    return add(m, json_object_get(arguments, "socket-id"), error);
}
