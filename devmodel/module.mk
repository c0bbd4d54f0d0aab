# The device model: build/devmodel/corbel-dm and the same devices behind qtest.
# SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libuv1-dev libjansson-dev libnbd-dev libxen-dev libvncserver-dev libslirp-dev libglib2.0-dev libseccomp-dev \
        zlib1g-dev \
        acpica-tools seabios ipxe-qemu qemu-system-data

DM_PKGS := libuv jansson libnbd libvncserver slirp libseccomp zlib
DM_XEN_PKGS := xendevicemodel xenforeignmemory xenevtchn xengnttab xencontrol xentoollog xenstore
DM_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(DM_PKGS)) -I$(B)/firmware
DM_LIBS = $(shell $(PKG_CONFIG) --libs $(DM_PKGS)) -lutil -lpthread
DM_XEN_LIBS = $(shell $(PKG_CONFIG) --libs $(DM_XEN_PKGS))

# Everything but the two main programs and their front ends; back ends and devices are found by
# looking, because they register themselves.
DM_XEN_SRC := $(wildcard devmodel/xen_*.c) devmodel/main_xen.c
# QEMU's libqtest wants QTEST_QEMU_BINARY to end with -system-x86_64: there is a link.
DM_QTEST_SRC := $(wildcard devmodel/qtest*.c)
DM_COMMON_SRC := $(filter-out $(DM_XEN_SRC) $(DM_QTEST_SRC) devmodel/main_qtest.c, \
        $(wildcard devmodel/*.c)) $(wildcard ioemu/*/*.c) $(wildcard firmware/*.c)
DM_COMMON_OBJ := $(DM_COMMON_SRC:%.c=$(B)/dm/%.o)
DM_QTEST_OBJ := $(DM_QTEST_SRC:%.c=$(B)/dm/%.o) $(B)/dm/devmodel/main_qtest.o
DM_XEN_OBJ := $(DM_XEN_SRC:%.c=$(B)/dm/%.o)

# Not with iasl's -oE: external names must stay out of the namespace until the SSDT makes them.
$(B)/firmware/dsdt.hex: firmware/dsdt.asl devmodel/module.mk
	@mkdir -p $(@D)
	cpp -P -undef $< > $(@D)/dsdt.i.asl
	iasl -tc -p $(@D)/dsdt $(@D)/dsdt.i.asl > $(@D)/iasl.log 2>&1 || \
	        { cat $(@D)/iasl.log; exit 1; }

$(B)/dm/%.o: %.c $(B)/firmware/dsdt.hex | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) $(DM_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/devmodel/corbel-dm-qtest: $(DM_COMMON_OBJ) $(DM_QTEST_OBJ)
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -pie -o $@ $^ $(DM_LIBS)
	ln -sf $(@F) $(@D)/corbel-system-x86_64

$(B)/devmodel/corbel-dm: $(DM_COMMON_OBJ) $(DM_XEN_OBJ)
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -pie -o $@ $^ $(DM_LIBS) $(DM_XEN_LIBS)

# The same program with the sanitizers, for the tests.
DM_TEST_OBJ := $(DM_COMMON_SRC:%.c=$(B)/dm-test/%.o) $(DM_QTEST_SRC:%.c=$(B)/dm-test/%.o)
$(B)/dm-test/%.o: %.c $(B)/firmware/dsdt.hex | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) $(DM_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/devmodel/corbel-dm-qtest-asan: $(DM_TEST_OBJ) $(B)/dm-test/devmodel/main_qtest.o
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) -o $@ $^ $(DM_LIBS)

-include $(shell find $(B)/dm $(B)/dm-test -name '*.d' 2>/dev/null)

TARGETS += $(B)/devmodel/corbel-dm $(B)/devmodel/corbel-dm-qtest
