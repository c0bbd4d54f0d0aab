/*
 * The machine, as the files of devmodel/ see it: the lists that device.h hides from
 * devices, and the operations that a front end (hypervisor or qtest) provides.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_MACHINE_H
#define DEVMODEL_MACHINE_H

#include "backend.h"
#include "options.h"

#define ISA_IRQS 16
#define PIRQS    4

#define RTC_REGISTERS 14 /* of an MC146818 */

/*
 * What drives the devices.  All calls come from the main loop; optional ones may be NULL.
 */
struct front_ops {
    const char *name;
    /* Copy; fill with 0xff what is not memory and return -EFAULT. */
    int (*memory_read)(struct machine *m, uint64_t gpa, void *buffer, size_t bytes);
    int (*memory_write)(struct machine *m, uint64_t gpa, const void *buffer,
                        size_t bytes);
    void (*isa_irq)(struct machine *m, unsigned irq, bool level);
    /* Optional: without it the core routes PCI interrupts through PIRQ A..D to ISA lines.
     */
    void (*pci_intx)(struct machine *m, unsigned slot, unsigned pin, bool level);
    void (*pirq_route)(struct machine *m, unsigned pirq, unsigned isa_irq); /* optional */
    void (*msi)(struct machine *m, struct device *dev, uint64_t address, uint32_t data);
    int (*io_map)(struct machine *m, struct io_region *r);    /* optional */
    void (*io_unmap)(struct machine *m, struct io_region *r); /* optional */
    int (*pci_present)(struct machine *m, unsigned devfn);    /* optional */
    void (*pci_absent)(struct machine *m, unsigned devfn);    /* optional */
    int (*window_init)(struct machine *m, struct ram_window *w);
    void (*window_fini)(struct machine *m, struct ram_window *w);
    int (*window_map)(struct machine *m, struct ram_window *w, uint64_t gpa);
    void (*window_unmap)(struct machine *m, struct ram_window *w);
    void (*window_track)(struct machine *m, struct ram_window *w, bool on);
    int (*window_dirty)(struct machine *m, struct ram_window *w, uint64_t offset,
                        uint64_t bytes, uint64_t *bitmap);
    void (*set_pam)(struct machine *m, uint32_t base, uint32_t bytes, bool read_ram,
                    bool write_ram);
    int64_t (*clock)(struct machine *m);
    void (*deadline)(struct machine *m, int64_t ns); /* earliest timer; INT64_MAX: none */
    void (*turn)(struct machine *m);   /* optional: one turn of the main loop */
    void (*pause)(struct machine *m);  /* optional: stop the guest and the devices */
    void (*resume)(struct machine *m); /* optional */
    void (*reset)(struct machine *m, const char *why);
    void (*shutdown)(struct machine *m, const char *why);
    /* Optional: stop the vCPUs and reset them, for S3; the clock's registers go to `rtc`.
     * And let the first one run again. */
    int (*sleep)(struct machine *m, uint8_t rtc[RTC_REGISTERS], struct error *error);
    int (*wake)(struct machine *m, struct error *error);
};

struct io_table {
    struct io_region **region; /* sorted by base, not overlapping */
    unsigned count, room;
};

struct fwcfg_entry {
    char name[56];
    uint8_t *data;
    size_t bytes;
};

/* -global DRIVER.OPTION=VALUE */
struct device_global {
    char *driver, *name, *value;
};

struct input_sink {
    struct device *dev;
    const struct input_ops *ops;
    void *opaque;
};

struct machine {
    const struct front_ops *front;
    void *front_data;
    uv_loop_t loop;
    struct board board;
    char *name;
    bool running;
    bool prelaunch; /* made with -S, and never ran */
    bool quit;
    int exit_status;
    bool loop_ready;

    const char *flash_file; /* firmware image on -drive if=pflash */
    struct device *devices; /* newest first */
    struct device_global *globals;
    unsigned global_count;
    struct pci_device *pci[256];
    struct io_table io[2]; /* by enum io_space */
    struct ram_window *windows;
    bool rescan_bars;
    bool assembled; /* what comes now is hot-plugged */
    struct pci_slots slots;

    unsigned isa_pulls[ISA_IRQS]; /* how many lines hold each IRQ up */
    unsigned pirq_pulls[PIRQS];
    uint8_t pirq_route[PIRQS];

    struct vtimer **heap; /* binary heap by deadline, from index 0 */
    unsigned heap_count, heap_room;
    struct deferred *deferred_first, **deferred_last;
    uv_idle_t deferred_idle;
    uv_prepare_t prepare;

    struct workers *workers; /* started with the first blocking request */
    struct opener *opener;   /* for images other than raw; NULL: none was needed */
    struct block_backend *blocks;
    struct char_backend *chars;
    struct net_backend *nets, *dead_nets;
    struct display *display;
    struct input_sink input[8];
    unsigned inputs;
    struct vnc_server *vnc;
    struct control *control;
    const struct power_ops *power;
    void *power_opaque;
    struct device *power_dev;

    struct fwcfg_entry *fwcfg_file;
    unsigned fwcfg_files;
    struct fwcfg_entry fwcfg_key[0x20]; /* the well-known low keys */
    struct fwcfg_entry fwcfg_arch[8];   /* from 0x8000 */
    char **strings; /* option texts that live as long as the machine */
    unsigned string_count;

    const char *reset_why, *shutdown_why;
    bool sleep_wanted;
    bool asleep;         /* in S3 */
    struct vtimer alarm; /* of the guest's clock; only while it sleeps */
    bool migrating;      /* state of a running guest is on its way to here */
    bool log_dirty;      /* a live migration wants to know what devices write */
    struct deferred request;
    uint64_t unclaimed; /* accesses that hit no region */
    uint64_t requests;  /* from the hypervisor */
    uint64_t mappings;  /* chunks of guest memory mapped so far */
};

/* machine.c */
struct machine *machine_create(const struct front_ops *front, void *front_data);
void machine_destroy(struct machine *m);
void machine_start(struct machine *m);
void machine_pause(struct machine *m);
void machine_reset(struct machine *m);
int machine_run(struct machine *m); /* until quit; the exit status */
void machine_quit(struct machine *m, int status);
int machine_save(struct machine *m, int fd, struct error *error);
int machine_load(struct machine *m, int fd, struct error *error);
void machine_power_button(struct machine *m);

/* sleep.c */
void sleep_init(struct machine *m);
/* The guest goes to S3; nothing happens if it is there already. */
void machine_sleep(struct machine *m);
/* -EINVAL: it does not sleep. */
int machine_wake(struct machine *m, enum wake_reason why, struct error *error);
/* By the registers of a clock: seconds until its alarm, 1 to a day; -1: it has none. */
int sleep_seconds_to_alarm(const uint8_t rtc[RTC_REGISTERS]);

/* machine.c again */
/* A copy of the text that lives as long as the machine. */
char *machine_string(struct machine *m, const char *text);

/* devices.c */
const struct device_ops *device_find(const char *name);
int device_add(struct machine *m, struct options *o, struct error *error,
               struct device **made);
/* With options written as on the command line, for the parts of the board. */
int device_add_text(struct machine *m, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void device_set_global(struct machine *m, const struct device_global *global);
struct device *device_by_id(struct machine *m, const char *id);
void device_remove(struct device *dev);
void device_remove_all(struct machine *m);
void device_list(void (*each)(const struct device_ops *ops, void *opaque), void *opaque);

/* io.c: what the front end calls for each access.  Unclaimed reads give all ones. */
uint64_t io_read(struct machine *m, enum io_space space, uint64_t address, unsigned size);
void io_write(struct machine *m, enum io_space space, uint64_t address, unsigned size,
              uint64_t value);
/* String instructions on one port: `count` elements of `size` bytes. */
void io_read_string(struct machine *m, uint64_t port, unsigned size, void *buffer,
                    unsigned count);
void io_write_string(struct machine *m, uint64_t port, unsigned size, const void *buffer,
                     unsigned count);
/* The region that holds the address, and how far away the next one starts. */
struct io_region *io_find(struct machine *m, enum io_space space, uint64_t address);

/* pci.c */
uint32_t pci_config_read(struct machine *m, unsigned devfn, unsigned offset,
                         unsigned size);
void pci_config_write(struct machine *m, unsigned devfn, unsigned offset, unsigned size,
                      uint32_t value);
int pci_plug(struct pci_device *pci,
             struct error *error); /* choose devfn, enter in table */
/* A guest unplugged it: it stays in the machine and answers nothing. */
void pci_leave(struct pci_device *pci);
bool pci_is_network(const struct pci_device *pci);
void pci_unplug(struct pci_device *pci);
void pci_reset(struct pci_device *pci);
void pci_free(struct pci_device *pci);

/* hotplug.c */
/* Make a device, PCI and of a type that may come and go, and tell the guest. */
int machine_hot_add(struct machine *m, struct options *o, struct error *error);
/* Ask the guest to let it go; DEVICE_DELETED on the control socket when it has. */
int machine_hot_remove(struct machine *m, const char *id, struct error *error);
uint32_t pci_removable(const struct machine *m);
/* What was asked to leave leaves with a reset, whether the guest knew or not. */
void hotplug_reset(struct machine *m);

/* irq.c */
void isa_irq_pull(struct machine *m, unsigned irq, bool up);

/* timer.c */
void timers_init(struct machine *m);
void timers_fini(struct machine *m);
int64_t timers_deadline(const struct machine *m);
void timers_run(struct machine *m, int64_t now);
void deferred_run_all(struct machine *m);

/* block.c, char.c, net.c: from command-line texts */
int block_add(struct machine *m, struct options *o, struct error *error);
struct block_backend *block_by_id(struct machine *m, const char *id);
/* Forget a drive that no device has. */
void block_remove(struct block_backend *b);
int block_open_medium(struct block_backend *b, const char *file, const char *format,
                      bool read_only, struct error *error);
void block_close_medium(struct block_backend *b);
int block_change_medium(struct block_backend *b, const char *file, bool force,
                        struct error *error);
/* The image grows or shrinks; the device is told. */
int block_resize(struct block_backend *b, uint64_t bytes, struct error *error);
void block_press_eject(struct block_backend *b);
bool block_tray_locked(struct block_backend *b);
void block_drain_all(struct machine *m);
/* Everything that was written is on the medium; waits. */
void block_flush_all(struct machine *m);
/* Try again what werror=stop held back. */
void block_retry_stalled(struct machine *m);
void block_free_all(struct machine *m);
int char_add(struct machine *m, struct options *o, struct error *error);
struct char_backend *char_by_id(struct machine *m, const char *id);
void char_free_all(struct machine *m);
int net_add(struct machine *m, struct options *o, struct error *error);
struct net_backend *net_by_id(struct machine *m, const char *id);
/* Its name is free at once; the rest goes with net_bury(), outside the loop.  -EBUSY: a
 * device has it. */
int net_remove(struct net_backend *n, struct error *error);
void net_bury(struct machine *m);
void net_free_all(struct machine *m);

/* display.c */
int display_write_ppm(struct display *d, const char *file, struct error *error);

/* fwcfg.c */
void fwcfg_set_key(struct machine *m, unsigned key, const void *data, size_t bytes);
void fwcfg_free(struct machine *m);

/* Weak: a program without a screen server (unit tests) links too. */
__attribute__((weak)) struct vnc_server *
vnc_start(struct machine *machine, const char *address, struct error *error);
__attribute__((weak)) int vnc_set_password(struct vnc_server *v, const char *password);
__attribute__((weak)) unsigned vnc_clients(const struct vnc_server *v);
__attribute__((weak)) const char *vnc_address(const struct vnc_server *v);
__attribute__((weak)) void vnc_stop(struct vnc_server *v);

/* log.c */
extern enum log_level log_threshold;

void *must_alloc(size_t bytes); /* zeroed; ends the process when the host has no memory */
char *must_strdup(const char *text);
void *must_realloc(void *old, size_t bytes);

#endif
