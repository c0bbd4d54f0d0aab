/*
 * The machine: life cycle of all devices together, and the main loop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "opener.h"

static void carry_out_request(void *opaque)
{
    struct machine *m = opaque;
    const char *shutdown = m->shutdown_why, *reset = m->reset_why;
    bool sleep = m->sleep_wanted;

    m->shutdown_why = m->reset_why = NULL;
    m->sleep_wanted = false;
    if (shutdown)
        m->front->shutdown(m, shutdown);
    else if (reset)
        m->front->reset(m, reset);
    else if (sleep)
        machine_sleep(m);
}

struct machine *machine_create(const struct front_ops *front, void *front_data)
{
    struct machine *m = must_alloc(sizeof(*m));

    m->front = front;
    m->front_data = front_data;
    if (uv_loop_init(&m->loop)) {
        free(m);
        return NULL;
    }
    m->loop_ready = true;
    m->board.cpus = m->board.max_cpus = 1;
    timers_init(m);
    m->request.machine = m;
    m->request.run = carry_out_request;
    m->request.opaque = m;
    sleep_init(m);
    return m;
}

static void close_left_over(uv_handle_t *handle, void *opaque)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void machine_destroy(struct machine *m)
{
    block_drain_all(m);
    device_remove_all(m);
    net_free_all(m);
    char_free_all(m);
    block_free_all(m);
    opener_stop(m->opener);
    workers_stop(m);
    display_destroy(m->display);
    fwcfg_free(m);
    timers_fini(m);
    uv_walk(&m->loop, close_left_over, NULL);
    uv_run(&m->loop, UV_RUN_DEFAULT);
    uv_loop_close(&m->loop);
    for (unsigned i = 0; i < m->string_count; i++)
        free(m->strings[i]);
    free(m->strings);
    free(m->globals);
    free(m->io[IO_PORT].region);
    free(m->io[IO_MEM].region);
    free(m->name);
    free(m);
}

char *machine_string(struct machine *m, const char *text)
{
    m->strings = must_realloc(m->strings, (m->string_count + 1) * sizeof(*m->strings));
    m->strings[m->string_count] = must_strdup(text);
    return m->strings[m->string_count++];
}

uv_loop_t *machine_loop(struct machine *machine)
{
    return &machine->loop;
}

bool machine_running(const struct machine *machine)
{
    return machine->running;
}

const struct board *machine_board(const struct device *dev)
{
    return &dev->machine->board;
}

void machine_start(struct machine *m)
{
    if (m->running)
        return;
    m->running = true;
    m->prelaunch = false;
    for (struct device *dev = m->devices; dev; dev = dev->next) {
        if (dev->ops->start)
            dev->ops->start(dev);
    }
}

void machine_pause(struct machine *m)
{
    if (!m->running)
        return;
    m->running = false;
    for (struct device *dev = m->devices; dev; dev = dev->next) {
        if (dev->ops->pause)
            dev->ops->pause(dev);
    }
    block_drain_all(m);
    while (m->deferred_first)
        deferred_run_all(m);
}

/* Oldest first, so that a bus is reset before what hangs on it. */
static void reset_from(struct device *dev)
{
    if (!dev)
        return;
    reset_from(dev->next);
    if (dev->pci)
        pci_reset(dev->pci);
    if (dev->ops->reset)
        dev->ops->reset(dev);
}

void machine_reset(struct machine *m)
{
    block_drain_all(m);
    hotplug_reset(m);
    reset_from(m->devices);
}

int machine_run(struct machine *m)
{
    while (!m->quit) {
        if (m->front->turn)
            m->front->turn(m);
        else
            uv_run(&m->loop, UV_RUN_ONCE);
        net_bury(m);
    }
    return m->exit_status;
}

void machine_quit(struct machine *m, int status)
{
    if (!m->quit)
        m->exit_status = status;
    m->quit = true;
    uv_stop(&m->loop);
}

void machine_reset_request(struct device *dev, const char *why)
{
    dev->machine->reset_why = why;
    deferred_queue(&dev->machine->request);
}

void machine_shutdown_request(struct device *dev, const char *why)
{
    dev->machine->shutdown_why = why;
    deferred_queue(&dev->machine->request);
}

void machine_set_pam(struct device *dev, uint32_t base, uint32_t bytes, bool read_ram,
                     bool write_ram)
{
    struct machine *m = dev->machine;

    if (m->front->set_pam)
        m->front->set_pam(m, base, bytes, read_ram, write_ram);
}

void machine_power_register(struct device *dev, const struct power_ops *ops, void *opaque)
{
    dev->machine->power = ops;
    dev->machine->power_opaque = opaque;
    dev->machine->power_dev = dev;
}

void machine_power_button(struct machine *m)
{
    struct error ignored;

    if (m->asleep)
        machine_wake(m, WAKE_BUTTON, &ignored);
    else if (m->power && m->power->power_button)
        m->power->power_button(m->power_opaque);
}

void machine_set_online(struct device *dev, const uint8_t online[32])
{
    memcpy(dev->machine->board.online, online, sizeof(dev->machine->board.online));
}

static int may_dma(struct device *dev)
{
    if (dev->pci && !pci_bus_master(dev->pci)) {
        guest_error(dev, "DMA with bus mastering off");
        return -EACCES;
    }
    return 0;
}

int dma_read(struct device *dev, uint64_t gpa, void *buffer, size_t bytes)
{
    struct machine *m = dev->machine;
    int err = may_dma(dev);

    if (!err && gpa + bytes < gpa)
        err = -EFAULT;
    if (err) {
        memset(buffer, 0xff, bytes);
        return err;
    }
    return m->front->memory_read(m, gpa, buffer, bytes);
}

int dma_write(struct device *dev, uint64_t gpa, const void *buffer, size_t bytes)
{
    struct machine *m = dev->machine;
    int err = may_dma(dev);

    if (!err && gpa + bytes < gpa)
        err = -EFAULT;
    return err ? err : m->front->memory_write(m, gpa, buffer, bytes);
}
