# Bare-metal test kernels. Each program becomes three images: NAME (ELF64 with the PVH note),
# NAME.elf32 (the same as ELF32, for `qemu -kernel`) and NAME.hvm (ELF32 without a note, for HVM
# firmware loaders), all with a Multiboot 1 header. NAME.iso is a CD that a BIOS boots.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libxen-dev xorriso

GUEST_SRC := tests/guest
GUEST_OUT := $(B)/tests/guest
GUEST_PROGRAMS := $(patsubst $(GUEST_SRC)/%.c,%,$(wildcard $(GUEST_SRC)/*.c))
GUEST_LIB_OBJS := $(patsubst $(GUEST_SRC)/%,$(GUEST_OUT)/obj/%.o,$(wildcard $(GUEST_SRC)/lib/*.c) \
    $(addprefix $(GUEST_SRC)/lib/,start.S traps.S))
GUEST_CFLAGS := -std=gnu11 -O2 -g $(WARN) -ffreestanding -fno-pic -fno-pie -m64 -mno-red-zone \
    -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
    -fno-strict-aliasing -fno-tree-loop-distribute-patterns -I$(GUEST_SRC)/lib
GUEST_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
    -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments -Wl,-T,$(GUEST_SRC)/lib/link.ld

GUEST_IMAGES := $(foreach p,$(GUEST_PROGRAMS),$(addprefix $(GUEST_OUT)/$(p),"" .elf32 .hvm))
GUEST_IMAGES := $(subst "",,$(GUEST_IMAGES))
GUEST_ISOS := $(patsubst %,$(GUEST_OUT)/%.iso,$(GUEST_PROGRAMS))
TARGETS += $(GUEST_IMAGES) $(GUEST_ISOS)

.PHONY: guest-tests
guest-tests: $(GUEST_IMAGES) $(GUEST_ISOS)

$(GUEST_OUT)/obj/%.c.o: $(GUEST_SRC)/%.c
	@mkdir -p $(@D)
	$(HOSTCC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<
$(GUEST_OUT)/obj/%.S.o: $(GUEST_SRC)/%.S
	@mkdir -p $(@D)
	$(HOSTCC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<
$(GUEST_OUT)/%.elf32: $(GUEST_OUT)/%
	objcopy -O elf32-i386 $< $@
$(GUEST_OUT)/%.hvm: $(GUEST_OUT)/%
	objcopy -O elf32-i386 -R .note.Xen $< $@
$(addprefix $(GUEST_OUT)/,$(GUEST_PROGRAMS)): $(GUEST_OUT)/%: $(GUEST_OUT)/obj/%.c.o \
        $(GUEST_LIB_OBJS) $(GUEST_SRC)/lib/link.ld
	$(HOSTCC) $(GUEST_LDFLAGS) -o $@ $(filter %.o,$^)

# NAME.iso: a CD that a BIOS boots; cdboot.S is its loader.
$(GUEST_OUT)/%.flat: $(GUEST_OUT)/%
	objcopy -O binary $< $@
$(GUEST_OUT)/%.iso: $(GUEST_OUT)/%.flat $(GUEST_SRC)/lib/cdboot.S
	rm -rf $@.d && mkdir -p $@.d
	$(HOSTCC) -m32 -c -DKERNEL_BYTES=$$(stat -c %s $<) -DCLEAR_BYTES=0x400000 -o $@.d/boot.o \
	    $(GUEST_SRC)/lib/cdboot.S
	ld -m elf_i386 -Ttext=0x7c00 --oformat binary -o $@.d/boot.img $@.d/boot.o
	cat $< >> $@.d/boot.img && rm $@.d/boot.o && truncate -s %2048 $@.d/boot.img
	xorriso -as mkisofs -quiet -o $@ -b boot.img -no-emul-boot \
	    -boot-load-size $$(($$(stat -c %s $@.d/boot.img) / 512)) $@.d
	rm -rf $@.d

-include $(wildcard $(GUEST_OUT)/obj/*.d $(GUEST_OUT)/obj/lib/*.d)
