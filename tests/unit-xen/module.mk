# Tests of the hypervisor's core: its own files, compiled for the host.
# SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libcmocka-dev xz-utils zstd lz4

UX := $(B)/tests/unit-xen
UX_TESTS := $(addprefix $(B)/tests/unit/,test_frame test_p2m test_pod test_print test_boot test_timer test_unpack \
    test_dom0_elf)
UNIT_TESTS += $(UX_TESTS)

# Where the tests have the hypervisor's direct map.
UX_CFLAGS := $(TEST_CFLAGS) -ffreestanding -fno-builtin -D__XEN_TOOLS__ -Ixen \
    -DDIRECTMAP_BASE=0x200000000000ul

$(UX)/xen/%.o: xen/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(UX_CFLAGS) -MMD -c $< -o $@
# The C library's own functions keep their names.
$(UX)/xen/lib/string.o $(UX)/xen/lib/vsnprintf.o: UX_CFLAGS += -include tests/unit-xen/rename.h
$(UX)/%.o: tests/unit-xen/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) -D__XEN_TOOLS__ -Ixen -DDIRECTMAP_BASE=0x200000000000ul -MMD -c $< -o $@

$(B)/tests/unit/test_frame: $(UX)/test_frame.o $(UX)/xen/mm/frame.o $(UX)/xen/mm/heap.o
UX_P2M := $(UX)/fake_p2m.o $(UX)/xen/mm/p2m.o $(UX)/xen/mm/pod.o
$(B)/tests/unit/test_p2m: $(UX)/test_p2m.o $(UX_P2M)
$(B)/tests/unit/test_pod: $(UX)/test_pod.o $(UX_P2M)
$(B)/tests/unit/test_print: $(UX)/test_print.o $(UX)/xen/lib/string.o $(UX)/xen/lib/vsnprintf.o
$(B)/tests/unit/test_boot: $(UX)/test_boot.o $(UX)/strings.o \
    $(addprefix $(UX)/xen/boot/,options.o e820.o multiboot.o acpi.o early_mem.o)
$(B)/tests/unit/test_timer: $(UX)/test_timer.o $(UX)/xen/cpu/timer.o
$(B)/tests/unit/test_unpack: $(UX)/test_unpack.o $(patsubst xen/%.c,$(UX)/xen/%.o,\
    $(wildcard xen/lib/unpack/*.c))
$(B)/tests/unit/test_dom0_elf: $(UX)/test_dom0_elf.o $(UX)/xen/domain/dom0_elf.o
$(UX_TESTS):
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) $(filter %.o,$^) -o $@ -lcmocka

-include $(wildcard $(UX)/*.d $(UX)/xen/*/*.d $(UX)/xen/*/*/*.d)
