/*
 * What an emulated device sees of the world: its bus, guest memory, interrupt lines,
 * timers, back ends and its life cycle.  This is the only header outside ioemu/ that
 * ioemu/ includes, so the same device runs under a hypervisor, under a qtest socket and
 * under a fuzzer.
 *
 * Everything here is called from the one main-loop thread.  Functions return 0 or a
 * negative errno unless said otherwise.  Nothing a guest can do makes a function here
 * abort.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_DEVICE_H
#define DEVMODEL_DEVICE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct machine;
struct device;
struct pci_device;
struct block_backend;
struct char_backend;
struct net_backend;
struct state;

#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* ---- errors and logging -------------------------------------------------------------
 */

/* A message for the person who configured the machine. */
struct error {
    char text[256];
};

/* Write the message and return `err` (a negative errno), so that callers can `return` it.
 */
int error_set(struct error *e, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* One line to the log, with the device's name.  `dev` may be NULL. */
void dev_log(const struct device *dev, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The guest did something that real hardware would answer with nonsense.  Counted; only
 * the first few in a second are written, so a hostile guest cannot fill the disk.
 */
void guest_error(struct device *dev, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- life cycle ---------------------------------------------------------------------
 */

enum device_bus {
    BUS_SYSTEM, /* fixed ports and lines: ISA and the board itself */
    BUS_PCI,    /* the device struct starts with a struct pci_device */
    BUS_IDE,    /* drives below an IDE channel */
};

/*
 * An option of a device or back end, `name=value`.  The core parses and stores it at
 * `offset` in the device before create(); a name that is not in the table is refused by
 * name.
 */
enum option_type {
    OPTION_STRING, /* const char *, NULL when not given */
    OPTION_LIST, /* const char *: all values when it is given several times, one a line */
    OPTION_BOOL, /* bool: on/off, yes/no, true/false */
    OPTION_U32,  /* uint32_t, decimal or 0x */
    OPTION_U64,  /* uint64_t */
    OPTION_SIZE, /* uint64_t bytes, suffixes K M G T */
    OPTION_MAC,  /* uint8_t[6]; all zero when not given */
    OPTION_BLOCK,  /* struct block_backend *, by drive id */
    OPTION_CHAR,   /* struct char_backend *, by chardev id */
    OPTION_NET,    /* struct net_backend *, by netdev id */
    OPTION_IGNORE, /* accepted and without effect here (documented why, in `help`) */
};

struct option_desc {
    const char *name;
    enum option_type type;
    size_t offset;
    const char *value; /* default, as text; NULL: zero */
    const char *help;
};

#define OPTION(name, kind, type, member, value, help)                                    \
    {                                                                                    \
        name, OPTION_##kind, offsetof(type, member), value, help                         \
    }

struct device_ops {
    const char *name; /* as on the command line: e1000, virtio-blk-pci, ide-cd */
    const char *alias;
    enum device_bus bus;
    bool hotplug; /* BUS_PCI: may come and go while the guest runs */
    size_t size;  /* bytes of the device's struct, which starts with a struct device */
    uint32_t version;                  /* of the state record that save() writes */
    const struct option_desc *options; /* ends with a NULL name; may be NULL */

    /* Register regions, allocate.  On failure free what was made: destroy() is not
     * called. */
    int (*create)(struct device *dev, struct error *error);
    void (*reset)(
        struct device *dev); /* to power-on state; also called once after create */
    void (*start)(struct device *dev); /* the guest is about to run */
    void (*pause)(struct device *dev); /* finish or park all asynchronous work */
    int (*save)(struct device *dev, struct state *state);
    int (*load)(struct device *dev, struct state *state, uint32_t version);
    /* Optional: a disk that machine_unplug() takes away; it stays, and answers nothing.
     */
    void (*unplug)(struct device *dev);
    /* Optional: the guest sleeps (S3), and all devices have been reset. */
    void (*sleep)(struct device *dev);
    void (*destroy)(struct device *dev);
};

/* The common start of every device's struct.  Filled in by the core. */
struct device {
    const struct device_ops *ops;
    struct machine *machine;
    struct pci_device *pci; /* NULL unless BUS_PCI: DMA then asks for bus mastering */
    char id[32];            /* id= or a made-up unique name */
    struct device *next;    /* in order of creation */
    struct device *parent;  /* the controller of a drive */
    int unit;               /* IDE: channel * 2 + drive */
    int bootindex;          /* lower is tried first; -1: not given */
    uint64_t errors;        /* guest_error() calls */
    int64_t errors_since;
    unsigned errors_shown;
};

/* Make a device known: put this after its `static const struct device_ops`. */
#define REGISTER_DEVICE(ops)                                                             \
    static const struct device_ops *const register_##ops                                 \
        __attribute__((used, section("corbel_devices"))) = &ops

/* ---- guest memory -------------------------------------------------------------------
 */

/*
 * Copy between a buffer and guest-physical memory.  -EFAULT if any byte is not memory
 * (what could be copied was), -EACCES if the device is PCI and may not master the bus.
 * Reads fill the part that failed with 0xff.
 */
int dma_read(struct device *dev, uint64_t gpa, void *buffer, size_t bytes);
int dma_write(struct device *dev, uint64_t gpa, const void *buffer, size_t bytes);

static inline int dma_read_u16(struct device *dev, uint64_t gpa, uint16_t *value)
{
    return dma_read(dev, gpa, value, sizeof(*value));
}

static inline int dma_read_u32(struct device *dev, uint64_t gpa, uint32_t *value)
{
    return dma_read(dev, gpa, value, sizeof(*value));
}

static inline int dma_read_u64(struct device *dev, uint64_t gpa, uint64_t *value)
{
    return dma_read(dev, gpa, value, sizeof(*value));
}

static inline int dma_write_u16(struct device *dev, uint64_t gpa, uint16_t value)
{
    return dma_write(dev, gpa, &value, sizeof(value));
}

static inline int dma_write_u32(struct device *dev, uint64_t gpa, uint32_t value)
{
    return dma_write(dev, gpa, &value, sizeof(value));
}

static inline int dma_write_u64(struct device *dev, uint64_t gpa, uint64_t value)
{
    return dma_write(dev, gpa, &value, sizeof(value));
}

/*
 * Memory of the device that the guest reads and writes directly once it is mapped (a
 * linear frame buffer, an option ROM).  `host` is valid from init to fini, mapped or not.
 */
struct ram_window {
    uint8_t *host;
    uint64_t size; /* bytes, multiple of 4 KiB */
    const char *name;
    struct device *dev;
    uint64_t gpa; /* where it is mapped */
    bool mapped;
    bool read_only; /* guest writes are dropped where the front end can tell */
    bool track;
    uint64_t *dirty;         /* qtest front end: one bit per page */
    void *front;             /* the front end's own */
    struct ram_window *next; /* in the machine's list */
};

int ram_window_init(struct ram_window *w, struct device *dev, const char *name,
                    uint64_t size);
void ram_window_fini(struct ram_window *w);
int ram_window_map(struct ram_window *w, uint64_t gpa); /* also moves it */
void ram_window_unmap(struct ram_window *w);
/* Start or stop noticing guest writes; while off every page counts as dirty. */
void ram_window_track(struct ram_window *w, bool on);
/*
 * Pages written by the guest since the last call: bit n of `bitmap` is page n from
 * `offset` (both multiples of 4 KiB).  The bitmap has (bytes / 4096 + 63) / 64 words.
 */
int ram_window_dirty(struct ram_window *w, uint64_t offset, uint64_t bytes,
                     uint64_t *bitmap);

/* ---- port and memory-mapped registers -----------------------------------------------
 */

enum io_space { IO_PORT, IO_MEM };

struct io_ops {
    /*
     * `offset` is from the start of the region; `size` is 1, 2, 4 or 8 bytes and the
     * access lies inside the region.  Results are truncated to `size`.
     */
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, unsigned size, uint64_t value);
    /* Wider accesses are split into pieces of max_size (0: 4 for ports, 8 for memory). */
    unsigned max_size;
    /* Narrower reads are cut out of an aligned read of min_size; writes come as they are.
     */
    unsigned min_size;
    /*
     * Optional, for string instructions on a port: move up to `count` elements of `size`
     * bytes at once; returns how many were moved, the rest comes one by one.
     */
    unsigned (*read_string)(void *opaque, uint64_t offset, unsigned size, void *buffer,
                            unsigned count);
    unsigned (*write_string)(void *opaque, uint64_t offset, unsigned size,
                             const void *buffer, unsigned count);
};

/* Embedded in the device.  Regions of one space must not overlap: the later one loses. */
struct io_region {
    const char *name;
    enum io_space space;
    uint64_t base;
    uint64_t size;
    const struct io_ops *ops;
    void *opaque;
    struct device *dev;
    bool mapped;
    uint64_t accesses; /* for `info` and tests */
};

void io_region_init(struct io_region *r, struct device *dev, const char *name,
                    enum io_space space, uint64_t size, const struct io_ops *ops,
                    void *opaque);
int io_region_map(struct io_region *r, uint64_t base); /* enable; also moves it */
void io_region_unmap(struct io_region *r);             /* disable; harmless twice */

/* ---- interrupts ---------------------------------------------------------------------
 */

/* One device's pull on an ISA line (0..15, also the I/O APIC pin).  Lines are wired-or.
 */
struct irq_line {
    struct machine *machine;
    uint8_t irq;
    bool level;
};

void irq_line_init(struct irq_line *line, struct device *dev, unsigned isa_irq);
void irq_set(struct irq_line *line, bool level);

/* Send a message-signalled interrupt as if the device wrote `data` to `address`. */
void msi_send(struct device *dev, uint64_t address, uint32_t data);

/* ---- PCI ----------------------------------------------------------------------------
 */

#define PCI_DEVFN(slot, function) (((slot) << 3) | (function))
#define PCI_BARS                  7 /* 0..5, and the expansion ROM */
#define PCI_ROM_BAR               6

enum pci_bar_flags {
    PCI_BAR_64 = 1,
    PCI_BAR_PREFETCH = 2,
};

struct pci_bar {
    struct io_region *region; /* one of these two, or neither */
    struct ram_window *window;
    uint64_t size;
    uint64_t address; /* as programmed, when decoding */
    unsigned flags;
};

struct pci_msix {
    uint16_t vectors;
    uint8_t cap;
    bool function_masked, enabled;
    uint8_t *table; /* vectors * 16 bytes */
    uint64_t *pba;  /* pending bits */
    struct io_region region;
};

struct pci_device {
    struct device dev; /* must be first */
    uint8_t devfn;
    uint8_t config[256];
    uint8_t writable[256]; /* which bits config writes change */
    uint8_t clear[256];    /* which bits a written 1 clears */
    struct pci_bar bar[PCI_BARS];
    struct pci_msix msix;
    struct ram_window rom;
    uint8_t next_cap; /* where the next capability goes */
    uint8_t last_cap;
    bool intx;     /* level the device drives, before INTx Disable */
    bool intx_out; /* level the board sees */
    bool gone;     /* unplugged: nothing answers any more */
    /*
     * Optional.  config_write is called after the core stored the bytes it allows and
     * moved BARs; config_read may replace `value`.
     */
    void (*config_written)(struct pci_device *pci, unsigned offset, unsigned size);
    uint32_t (*config_read)(struct pci_device *pci, unsigned offset, unsigned size,
                            uint32_t value);
};

static inline struct pci_device *to_pci(struct device *dev)
{
    return (struct pci_device *)dev;
}

struct pci_ids {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code; /* 24 bits: base, sub, interface */
    uint8_t revision;
    uint8_t interrupt_pin; /* 0: none, 1: INTA# */
};

/* First call of a PCI device's create(): header, command and status masks. */
void pci_setup(struct pci_device *pci, const struct pci_ids *ids);

/* Give a BAR its contents.  Sizes are rounded up to a power of two.  The region or window
 * must have been initialised; mapping it is the core's business from here on. */
void pci_bar_region(struct pci_device *pci, unsigned bar, struct io_region *r,
                    unsigned flags);
void pci_bar_window(struct pci_device *pci, unsigned bar, struct ram_window *w,
                    unsigned flags);

/* Load an option ROM (a file name searched on the package paths) into the ROM BAR. */
int pci_rom_file(struct pci_device *pci, const char *file, struct error *error);

/* Add a capability of `bytes` bytes (with its two-byte header); returns its offset,
 * -ENOSPC. */
int pci_capability(struct pci_device *pci, uint8_t id, uint8_t bytes);

static inline uint16_t pci_get16(const struct pci_device *pci, unsigned offset)
{
    return (uint16_t)(pci->config[offset] | pci->config[offset + 1] << 8);
}

static inline uint32_t pci_get32(const struct pci_device *pci, unsigned offset)
{
    return pci_get16(pci, offset) | (uint32_t)pci_get16(pci, offset + 2) << 16;
}

static inline void pci_set16(struct pci_device *pci, unsigned offset, uint16_t value)
{
    pci->config[offset] = (uint8_t)value;
    pci->config[offset + 1] = (uint8_t)(value >> 8);
}

static inline void pci_set32(struct pci_device *pci, unsigned offset, uint32_t value)
{
    pci_set16(pci, offset, (uint16_t)value);
    pci_set16(pci, offset + 2, (uint16_t)(value >> 16));
}

bool pci_bus_master(const struct pci_device *pci);

/* Level of this function's INTA#.  INTx Disable and Interrupt Status are handled. */
void pci_intx(struct pci_device *pci, bool level);

/*
 * MSI-X with its table and pending bits in a BAR of their own (table at 0, PBA in the
 * upper half).  Call from create(); freed by the core.
 */
int pci_msix_init(struct pci_device *pci, unsigned bar, unsigned vectors);
bool pci_msix_enabled(const struct pci_device *pci);
void pci_msix_notify(struct pci_device *pci, unsigned vector);
/* Drop a pending bit (virtio resets its queues so). */
void pci_msix_clear(struct pci_device *pci, unsigned vector);

/* State of the PCI part, for save() and load(). */
int pci_state(struct pci_device *pci, struct state *state);

/* ---- time and deferred work ---------------------------------------------------------
 */

/* Guest time in nanoseconds: stands still while the guest is paused. */
int64_t clock_now(const struct device *dev);

struct vtimer {
    struct machine *machine;
    void (*expired)(void *opaque);
    void *opaque;
    int64_t deadline;
    unsigned slot; /* position in the heap + 1; 0: not armed */
};

void vtimer_init(struct vtimer *t, struct device *dev, void (*expired)(void *opaque),
                 void *opaque);
void vtimer_set(struct vtimer *t, int64_t deadline_ns); /* absolute; re-arms */
void vtimer_cancel(struct vtimer *t);                   /* harmless when not armed */

static inline bool vtimer_armed(const struct vtimer *t)
{
    return t->slot != 0;
}

/* Work to be done from the main loop, soon, once however often it was asked for. */
struct deferred {
    struct machine *machine;
    void (*run)(void *opaque);
    void *opaque;
    bool queued;
    struct deferred *next;
};

void deferred_init(struct deferred *d, struct device *dev, void (*run)(void *opaque),
                   void *opaque);
void deferred_queue(struct deferred *d);
void deferred_cancel(struct deferred *d);

/* ---- block back ends ----------------------------------------------------------------
 */

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES };

/*
 * One request; belongs to the submitter, who keeps it and its buffers alive until done()
 * was called.  done() never runs inside block_submit().  Any byte alignment is allowed.
 */
struct block_request {
    enum block_op op;
    uint64_t offset; /* bytes */
    uint64_t bytes;  /* sum of the iovec, or the extent to discard */
    const struct iovec *iov;
    int iovcnt;
    void (*done)(struct block_request *request, int result); /* 0 or negative errno */
    void *opaque;
    struct block_backend *backend; /* filled in by block_submit */
    void *work;                    /* the back end's own */
    struct block_request *next;    /* while it waits */
};

void block_submit(struct block_backend *b, struct block_request *request);
/* Wait until nothing is in flight (pause, reset of a controller). */
void block_drain(struct block_backend *b);
uint64_t block_bytes(const struct block_backend *b);
bool block_read_only(const struct block_backend *b);
bool block_has_medium(const struct block_backend *b); /* false: an empty CD drive */
const char *block_id(const struct block_backend *b);
const char *block_serial(const struct block_backend *b); /* may be NULL */
unsigned block_in_flight(const struct block_backend *b);

/* The device behind a back end.  Told when the medium changed; asked before it is
 * ejected. */
struct block_front_ops {
    void (*medium_changed)(void *opaque);
    void (*eject_request)(void *opaque); /* somebody pressed the button */
    bool (*tray_locked)(void *opaque);
};

/* -EBUSY if another device has it. */
int block_attach(struct block_backend *b, const struct block_front_ops *ops,
                 void *opaque);
void block_detach(struct block_backend *b);
/* The device is a drive for discs: its medium can be changed, and can be missing. */
void block_removable(struct block_backend *b);
void block_eject(struct block_backend *b); /* the guest ejects: the medium goes */

/* ---- character back ends ------------------------------------------------------------
 */

struct char_front_ops {
    size_t (*can_receive)(void *opaque); /* bytes there is room for now */
    void (*receive)(void *opaque, const uint8_t *data, size_t bytes);
    void (*writable)(void *opaque); /* may be NULL */
    void (*connected)(void *opaque, bool up);
};

int char_attach(struct char_backend *c, const struct char_front_ops *ops, void *opaque);
void char_detach(struct char_backend *c);
/* Bytes taken; when fewer than asked for, writable() is called later.  Nobody connected:
 * all bytes are taken and dropped. */
size_t char_write(struct char_backend *c, const uint8_t *data, size_t bytes);
void char_accept_input(struct char_backend *c); /* can_receive() became larger */

/* ---- network back ends --------------------------------------------------------------
 */

/*
 * What a frame still needs before it can go on a wire, as virtio says it (Virtual I/O
 * Device 1.2, 5.1.6): a TCP or UDP checksum from sum_start to the end, stored sum_offset
 * behind it, where the pseudo-header's sum is already; cutting into TCP segments of
 * `mss` bytes. All zero: nothing.
 */
struct net_offload {
    bool sum;
    uint8_t gso; /* NET_GSO_* */
    bool ecn;    /* a segment may carry CWR */
    uint16_t sum_start, sum_offset;
    uint16_t header_bytes, mss; /* with gso; header_bytes is a hint */
};

enum {
    NET_GSO_NONE = 0,
    NET_GSO_TCP4 = 1,
    NET_GSO_TCP6 = 4,
};

/* What a device's driver takes undone; masks. */
enum {
    NET_TAKES_SUM = 1 << 0,
    NET_TAKES_TCP4 = 1 << 1,
    NET_TAKES_TCP6 = 1 << 2,
    NET_TAKES_ECN = 1 << 3,
};

struct net_front_ops {
    bool (*can_receive)(void *opaque);
    /* One Ethernet frame, without FCS; valid during the call. */
    void (*receive)(void *opaque, const uint8_t *frame, size_t bytes);
    void (*link_changed)(void *opaque, bool up);
    /* Both or neither: NET_TAKES_*, and one frame that needs no more than these. False:
     * no room for it now, it is to come again after net_accept_input(). */
    unsigned (*takes)(void *opaque);
    bool (*receive_offload)(void *opaque, const uint8_t *frame, size_t bytes,
                            const struct net_offload *o);
};

int net_attach(struct net_backend *n, const struct net_front_ops *ops, void *opaque);
void net_detach(struct net_backend *n);
/* Send one frame.  Never blocks: what does not fit is dropped, as on a wire. */
void net_send(struct net_backend *n, const struct iovec *iov, int iovcnt);
/* The same for one that needs something; done here where the back end cannot, on the
 * frame in place. False: it is not what `o` says, and was not sent. */
bool net_send_offload(struct net_backend *n, uint8_t *frame, size_t bytes,
                      const struct net_offload *o);
void net_accept_input(struct net_backend *n); /* can_receive() became true */
bool net_link_up(const struct net_backend *n);

/* ---- display and input --------------------------------------------------------------
 */

/* Pixels are 32 bits, 0x00RRGGBB in host order. */
struct display_surface {
    uint32_t *pixels;
    unsigned width, height;
    unsigned stride; /* bytes per line */
};

struct display_source_ops {
    /* Bring the surface up to date and report what changed; called before each frame. */
    void (*update)(void *opaque);
    /* Report everything as changed at the next update. */
    void (*invalidate)(void *opaque);
};

struct display;
/* A new screen of the machine. */
struct display *display_create(struct device *dev, const struct display_source_ops *ops,
                               void *opaque);
void display_destroy(struct display *d);
/*
 * A new size: allocates a black surface, which the device draws into.  NULL when the size
 * is absurd (0 or above 16384) or memory is short: the old surface then stays.
 */
struct display_surface *display_resize(struct display *d, unsigned width,
                                       unsigned height);
struct display_surface *display_surface(struct display *d);
void display_dirty(struct display *d, unsigned x, unsigned y, unsigned width,
                   unsigned height);
/* Somebody is looking: without a viewer update() need not be cheap, it is just not
 * called. */
bool display_watched(const struct display *d);

enum pointer_button {
    POINTER_LEFT = 1,
    POINTER_RIGHT = 2,
    POINTER_MIDDLE = 4,
    POINTER_SIDE = 8,
    POINTER_EXTRA = 16,
};

#define POINTER_MAX 0x7fff

/* Where keys and movements go.  Keys are Linux key codes (linux/input-event-codes.h). */
struct input_ops {
    const char *name;
    void (*key)(void *opaque, unsigned code, bool down);
    /* x and y are 0..POINTER_MAX over the screen; wheel > 0 is up.  NULL: relative only.
     */
    void (*pointer_absolute)(void *opaque, unsigned x, unsigned y, unsigned buttons,
                             int wheel);
    void (*pointer_relative)(void *opaque, int dx, int dy, unsigned buttons, int wheel);
    /* A device that is not switched on by its driver is passed over.  NULL: always ready.
     */
    bool (*ready)(void *opaque);
};

/* The last registered sink that is ready gets the events. */
int input_register(struct device *dev, const struct input_ops *ops, void *opaque);
void input_unregister(struct device *dev);
void input_leds(struct device *dev, bool scroll, bool num, bool caps);

/* ---- the board ----------------------------------------------------------------------
 */

/* What a chipset may ask of the machine; all are carried out from the main loop. */
void machine_reset_request(struct device *dev, const char *why);
void machine_shutdown_request(struct device *dev, const char *why);

/* PIRQ A..D (0..3) goes to this ISA interrupt from now on; 0: nowhere. */
void machine_route_pirq(struct device *dev, unsigned pirq, unsigned isa_irq);
/* i440fx PAM: who answers in [base, base + bytes) below 1 MiB. */
void machine_set_pam(struct device *dev, uint32_t base, uint32_t bytes, bool read_ram,
                     bool write_ram);

bool machine_asleep(const struct device *dev);
/* The guest goes to S3 as soon as the current access is done (devmodel/sleep.c). */
void machine_sleep_request(struct device *dev);
enum wake_reason { WAKE_BUTTON, WAKE_ALARM, WAKE_OTHER };

/*
 * What the machine asks of power management: somebody pressed the power button of a guest
 * that is awake; more vCPUs are online, machine_pci_slots() changed (NULL: the guest
 * cannot be told).  Before the reset on the way into S3: does the clock's alarm wake it
 * (NULL: yes)?  On the way back: why (optional).
 */
struct power_ops {
    void (*power_button)(void *opaque);
    bool (*alarm_wakes)(void *opaque);
    void (*woken)(void *opaque, enum wake_reason why);
    void (*cpus_changed)(void *opaque);
    void (*slots_changed)(void *opaque);
};
/* Bring back the vCPUs that were online when the state was saved; from load(). */
void machine_set_online(struct device *dev, const uint8_t online[32]);
void machine_power_register(struct device *dev, const struct power_ops *ops,
                            void *opaque);

/* PCI slots that the guest has to look at, one bit each; the chipset shows and saves
 * them. */
struct pci_slots {
    uint32_t came;    /* something was put in */
    uint32_t leaving; /* what is in there is asked to leave */
};
struct pci_slots *machine_pci_slots(struct device *dev);
/* The slots that are empty, or hold only what may go while the guest runs. */
uint32_t machine_pci_removable(const struct device *dev);
/* The guest is done with what is in these slots: it goes now.  Slots that hold something
 * else stay as they are. */
void machine_pci_eject(struct device *dev, uint32_t slots);

/* What the board is made of, for firmware tables and chipset. */
struct board {
    uint64_t ram_below_4g, ram_above_4g; /* bytes */
    unsigned cpus, max_cpus;
    uint8_t online[32]; /* bit n: the guest may use vCPU n */
    uint8_t uuid[16];
    bool uuid_set;
    bool graphics;          /* a VGA is there */
    const char *boot_order; /* QEMU's letters: c disk, d CD, n network; may be NULL */
    bool boot_menu;
    const char *boot_rom; /* an option ROM to boot from before all else; may be NULL */
    bool hypervisor_irqs; /* PCI interrupts have I/O APIC pins from 16 on */
    bool xenfv;           /* Xen's platform: hvmloader and its tables, no fw_cfg */
};
const struct board *machine_board(const struct device *dev);

/* The guest's paravirtual drivers take over: IDE disks (not CD-ROMs) or network cards go
 * for good. */
void machine_unplug(struct device *asker, bool disks, bool nics);

/* A file for the firmware; the data is copied.  -EEXIST, -ENOSPC. */
int fwcfg_add_file(struct machine *machine, const char *name, const void *data,
                   size_t bytes);
/* What the item of that selector holds; NULL when there is none.  For the fw_cfg device.
 */
const void *fwcfg_get(struct device *dev, unsigned key, size_t *bytes);

/* ---- state records ------------------------------------------------------------------
 */

/*
 * One record per device: fields in order, each with its name and size, so that a stream
 * of another version or a damaged one is refused by name and never misread.  The same
 * call saves and loads: a device writes one function that names its fields and uses it
 * for both. After the first failure every call returns the same error and changes
 * nothing.
 */
bool state_loading(const struct state *s);
int state_u8(struct state *s, const char *name, uint8_t *value);
int state_u16(struct state *s, const char *name, uint16_t *value);
int state_u32(struct state *s, const char *name, uint32_t *value);
int state_u64(struct state *s, const char *name, uint64_t *value);
int state_bool(struct state *s, const char *name, bool *value);
int state_i64(struct state *s, const char *name, int64_t *value);
int state_bytes(struct state *s, const char *name, void *data, size_t bytes);
/* A value that load() must refuse unless it is in [low, high]. */
int state_range(struct state *s, const char *name, uint32_t *value, uint32_t low,
                uint32_t high);
int state_vtimer(struct state *s, const char *name, struct vtimer *t);
int state_error(const struct state *s);
/* load() found something wrong itself. */
int state_fail(struct state *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- small helpers ------------------------------------------------------------------
 */

static inline uint16_t load_le16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t load_le32(const void *p)
{
    const uint8_t *b = p;
    return b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t load_le64(const void *p)
{
    return load_le32(p) | (uint64_t)load_le32((const uint8_t *)p + 4) << 32;
}

static inline void store_le16(void *p, uint16_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)v;
    b[1] = (uint8_t)(v >> 8);
}

static inline void store_le32(void *p, uint32_t v)
{
    store_le16(p, (uint16_t)v);
    store_le16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}

static inline void store_le64(void *p, uint64_t v)
{
    store_le32(p, (uint32_t)v);
    store_le32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t load_be16(const void *p)
{
    return __builtin_bswap16(load_le16(p));
}

static inline uint32_t load_be32(const void *p)
{
    return __builtin_bswap32(load_le32(p));
}

static inline uint64_t load_be64(const void *p)
{
    return __builtin_bswap64(load_le64(p));
}

static inline void store_be16(void *p, uint16_t v)
{
    store_le16(p, __builtin_bswap16(v));
}

static inline void store_be32(void *p, uint32_t v)
{
    store_le32(p, __builtin_bswap32(v));
}

static inline void store_be64(void *p, uint64_t v)
{
    store_le64(p, __builtin_bswap64(v));
}

#endif
