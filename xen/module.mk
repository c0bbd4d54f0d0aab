# The hypervisor: an ELF64 linked high, and the same as ELF32 for Multiboot 1 loaders.
# SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libxen-dev binutils grub-common

XEN_OUT := $(B)/xen
XEN_SOURCES := $(wildcard xen/*.c xen/*/*.c xen/*/*/*.c xen/*/*.S xen/*/*/*.S)
XEN_OBJS := $(patsubst %,$(B)/%.o,$(XEN_SOURCES)) $(XEN_OUT)/font.o
XEN_CFLAGS := -std=gnu11 -O2 -g $(WARN) -ffreestanding -fno-pic -fno-pie -m64 -mcmodel=kernel \
    -mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables \
    -fcf-protection=none \
    -mindirect-branch=thunk-extern -mindirect-branch-register -fno-strict-aliasing -fno-common -fno-delete-null-pointer-checks \
    -fno-tree-loop-distribute-patterns -ffunction-sections -fdata-sections \
    -D__XEN_TOOLS__ -Ixen -I$(XEN_OUT)
XEN_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=sha1 -Wl,-z,noexecstack \
    -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments -Wl,--gc-sections -Wl,-T,$(XEN_OUT)/xen.lds

XEN_IMAGE := $(XEN_OUT)/corbel
TARGETS += $(XEN_IMAGE) $(XEN_IMAGE).elf32

.PHONY: xen
xen: $(XEN_IMAGE) $(XEN_IMAGE).elf32

$(XEN_OUT)/%.c.o: xen/%.c xen/module.mk | $(DEPS_STAMP)
	@mkdir -p $(@D)
	$(HOSTCC) $(XEN_CFLAGS) -MMD -MP -c -o $@ $<
$(XEN_OUT)/%.S.o: xen/%.S xen/module.mk
	@mkdir -p $(@D)
	$(HOSTCC) $(XEN_CFLAGS) -D__ASSEMBLY__ -MMD -MP -c -o $@ $<
$(XEN_OUT)/xen.lds: xen/xen.lds.S
	@mkdir -p $(@D)
	$(HOSTCC) $(XEN_CFLAGS) -D__ASSEMBLY__ -E -P -MMD -MT $@ -o $@ $<

# The screen's font is GNU Unifont, from GRUB's package.
$(XEN_OUT)/font.o: xen/lib/mkfont | $(DEPS_STAMP)
	@mkdir -p $(@D)
	xen/lib/mkfont /usr/share/grub/ascii.pf2 | $(HOSTCC) -m64 -c -x assembler -o $@ -

# Two links: the first tells the addresses of the functions, from which the table for messages
# is made, and those of the indirect branches, which are patched at boot. Both tables lie behind
# the text, so they do not move what they name.
$(XEN_OUT)/symbols0.o: xen/lib/mksymbols
	@mkdir -p $(@D)
	xen/lib/mksymbols </dev/null | $(HOSTCC) -m64 -c -x assembler -o $@ -
MKSITES := xen/cpu/mitigation/mksites
$(XEN_OUT)/sites0.o: $(MKSITES)
	@mkdir -p $(@D)
	$(MKSITES) </dev/null | $(HOSTCC) -m64 -c -x assembler -o $@ -
$(XEN_OUT)/corbel.pass1: $(XEN_OBJS) $(XEN_OUT)/symbols0.o $(XEN_OUT)/sites0.o $(XEN_OUT)/xen.lds
	$(HOSTCC) $(XEN_LDFLAGS) -Wl,--emit-relocs $(XEN_LDEXTRA) -o $@ $(filter %.o,$^)
$(XEN_OUT)/symbols1.o: $(XEN_OUT)/corbel.pass1 xen/lib/mksymbols
	nm -n --defined-only $< | xen/lib/mksymbols | $(HOSTCC) -m64 -c -x assembler -o $@ -
$(XEN_OUT)/sites1.o: $(XEN_OUT)/corbel.pass1 $(MKSITES)
	readelf -rW $< | $(MKSITES) | $(HOSTCC) -m64 -c -x assembler -o $@ -
$(XEN_IMAGE): $(XEN_OBJS) $(XEN_OUT)/symbols1.o $(XEN_OUT)/sites1.o $(XEN_OUT)/xen.lds
	$(HOSTCC) $(XEN_LDFLAGS) $(XEN_LDEXTRA) -o $@ $(filter %.o,$^)
$(XEN_IMAGE).elf32: $(XEN_IMAGE)
	objcopy -S -O elf32-i386 $< $@

-include $(XEN_OBJS:.o=.d) $(XEN_OUT)/xen.lds.d
