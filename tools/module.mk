# The `corbel` command, the lean Dom0 and what starts a machine with them.
# SPDX-License-Identifier: GPL-2.0-or-later

# To build: libraries of the hypervisor's interfaces; to make Dom0: unpacking and packing.
DEPS += libxen-dev libuv1-dev libjansson-dev kmod zstd busybox-static
# To run: the emulated machine, the installer's kernel and what makes an ISO of it.
DEPS += qemu-system-x86 qemu-system-data qemu-utils seabios ipxe-qemu grub-common grub-pc-bin xorriso mtools \
        debian-installer-12-netboot-amd64

# --- The command.
CORBEL := $(B)/bin/corbel
TARGETS += $(CORBEL)
TOOLS_CFLAGS := $(HOST_CFLAGS) -D_FORTIFY_SOURCE=2
TOOLS_LIBS := -lxlutil -lxenlight -lxenguest -lxenctrl -lxenforeignmemory -lxentoollog -luv -ljansson
CORBEL_OBJECTS := $(patsubst %.c,$(B)/%.o,$(wildcard tools/lib/*.c tools/corbel/*.c))

$(B)/tools/%.o: tools/%.c | $(DEPS_STAMP)
	@mkdir -p $(@D)
	$(HOSTCC) $(TOOLS_CFLAGS) -MMD -MP -c -o $@ $<

$(CORBEL): $(CORBEL_OBJECTS)
	@mkdir -p $(@D)
	$(HOSTCC) -pie -Wl,-z,relro,-z,now -o $@ $^ $(TOOLS_LIBS)

-include $(CORBEL_OBJECTS:.o=.d)

# --- Dom0: kernel and initramfs from Debian packages, unpacked, never installed.
DOM0 := $(B)/dom0
DOM0_ROOT := $(B)/cache/dom0-root
DOM0_VMLINUZ := $(DOM0)/vmlinuz
DOM0_INITRAMFS := $(DOM0)/initramfs
DOM0_PACKAGES := $(shell sed 's/\#.*//' tools/dom0/packages)
TARGETS += $(DOM0_VMLINUZ) $(DOM0_INITRAMFS)

$(DOM0_ROOT).stamp: tools/dom0/packages tools/dom0/fetch-packages | $(DEPS_STAMP)
	tools/dom0/fetch-packages $(B)/cache/debs $(DOM0_ROOT) $(DOM0_PACKAGES)
	@touch $@

$(DOM0_VMLINUZ): $(DOM0_ROOT).stamp
	@mkdir -p $(@D)
	cp $(DOM0_ROOT)/boot/vmlinuz-* $@.new
	mv $@.new $@

# What of ours goes into Dom0.
DOM0_TOOLS = $(CORBEL) $(B)/devmodel/corbel-dm
DOM0_PROGRAMS = $(filter %/corbel %/corbel-dm,$^)
$(DOM0_INITRAMFS): $(DOM0_ROOT).stamp $(wildcard tools/dom0/*) $(DOM0_TOOLS)
	@mkdir -p $(@D)
	tools/dom0/mkinitramfs -o $@ --root $(DOM0_ROOT) --modules tools/dom0/modules \
	    --busybox $(DOM0_ROOT)/bin/busybox \
	    --file tools/dom0/init:init --file tools/dom0/udhcpc.script:etc/udhcpc.script \
	    --file $(DOM0_ROOT)/usr/share/seabios:usr/share/seabios \
	    --file $(DOM0_ROOT)/usr/lib/ipxe/qemu:usr/lib/ipxe/qemu \
	    --file /usr/share/qemu/linuxboot_dma.bin:usr/share/qemu/linuxboot_dma.bin \
	    $(foreach program,$(DOM0_PROGRAMS),--program $(program))

# --- Dom0 with the stock toolstack, for both hypervisors: `make dom0-image`. The lean Dom0's kernel
# and initramfs boot it (corbel.root=, dom0/init).
DEPS += mmdebstrap squashfs-tools-ng cpio
DOM0_IMAGE := $(DOM0)/image.squashfs
DOM0_IMAGE_BASE := $(B)/cache/dom0-image.tar
.PHONY: dom0-image
dom0-image: deps $(DOM0_IMAGE) $(DOM0_VMLINUZ) $(DOM0_INITRAMFS)

$(DOM0_IMAGE_BASE): tools/dom0/stock/packages | $(DEPS_STAMP)
	@mkdir -p $(@D)
	tools/dom0/mkimage base $@

$(DOM0_IMAGE): $(DOM0_IMAGE_BASE) $(DOM0_VMLINUZ) tools/dom0/mkimage tools/dom0/modules \
    $(wildcard tools/dom0/stock/*) $(DOM0_TOOLS)
	tools/dom0/mkimage root $< $(DOM0_ROOT) $(DOM0_VMLINUZ) $@ $(DOM0_PROGRAMS)

# --- The peer: stock Xen, to compare with and to run our tools on (HYPERVISOR=xen).
PEER_XEN := $(B)/peer/xen
PEER_ROOT := $(B)/cache/peer-root
$(PEER_ROOT).stamp: tools/dom0/fetch-packages | $(DEPS_STAMP)
	tools/dom0/fetch-packages $(B)/cache/debs $(PEER_ROOT) xen-hypervisor-4.17-amd64
	@touch $@

$(PEER_XEN): $(PEER_ROOT).stamp
	@mkdir -p $(@D)
	gunzip -c $(PEER_ROOT)/boot/xen-4.17-amd64.gz > $@

# --- make run: a guest on the hypervisor on an emulated machine; tools/run lists the variables.
INSTALLER := $(B)/run/debian-installer.iso
HYPERVISOR ?= corbel
RUN_HYPERVISOR := $(if $(filter xen,$(HYPERVISOR)),$(PEER_XEN),$(B)/xen/corbel.elf32)
RUN_VARIABLES := ISO DISK CPUS MEM GUEST_CPUS GUEST_MEM ACCEL HYPERVISOR VNC GUEST_CONFIG TIMEOUT LOG
export $(RUN_VARIABLES)

$(INSTALLER): tools/mkinstaller | $(DEPS_STAMP)
	tools/mkinstaller $@

.PHONY: shell
run: deps $(RUN_HYPERVISOR) $(DOM0_VMLINUZ) $(DOM0_INITRAMFS) $(if $(ISO),,$(INSTALLER))
	@tools/run

# Dom0's own shell, to try things.
shell: deps $(RUN_HYPERVISOR) $(DOM0_VMLINUZ) $(DOM0_INITRAMFS)
	@tools/run --shell

# --- Unit tests.
TOOLS_TESTS := $(B)/tests/unit/test_tools_domain $(B)/tests/unit/test_tools_config
UNIT_TESTS += $(TOOLS_TESTS)

$(B)/tests/unit/test_tools_domain: tests/unit/tools/test_domain.c tools/lib/ram.c tools/lib/cpustate.c
$(B)/tests/unit/test_tools_config: tests/unit/tools/test_config.c tools/lib/firmware.c \
    $(addprefix tools/corbel/,config.c keys.c disknic.c)
$(TOOLS_TESTS): $(wildcard tools/lib/*.h tools/corbel/*.h) | $(DEPS_STAMP)
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) -o $@ $(filter %.c,$^) -lxlutil -lxenlight -lcmocka

# --- System tests: the command on stock Xen, and on our hypervisor.
SYSTEM_TESTS += tests/system/run-errors tests/system/command-xen $(if $(wildcard xen/module.mk),tests/system/command-corbel)
test: $(PEER_XEN)
test soak: $(INSTALLER)

# --- Installation of what belongs into a Dom0.
PREFIX ?= /usr
INSTALL_RULES += install-tools
.PHONY: install-tools
install-tools: $(CORBEL)
	install -D -m 755 $(CORBEL) $(DESTDIR)$(PREFIX)/sbin/corbel
	install -D -m 644 tools/corbel.8 $(DESTDIR)$(PREFIX)/share/man/man8/corbel.8

# Written under another name and moved: an interrupted make leaves the old ones, which work.
.PRECIOUS: $(DOM0_VMLINUZ) $(DOM0_INITRAMFS) $(INSTALLER)
