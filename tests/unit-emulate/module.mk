# Tests of the instruction emulator.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libzydis-dev libcmocka-dev

EMULATE_SRC := $(wildcard xen/hvm/emulate/*.c)
EMULATE_OBJ := $(EMULATE_SRC:xen/hvm/emulate/%.c=$(B)/tests/unit-emulate/lib/%.o)
EMULATE_TESTS := $(B)/tests/unit/test_emulate $(B)/tests/unit/test_emulate_oracle \
        $(B)/tests/unit/test_emulate_cost
UNIT_TESTS += $(EMULATE_TESTS)
LINT_SOURCES += $(EMULATE_SRC)

$(B)/tests/unit-emulate/lib/%.o: xen/hvm/emulate/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) -ffreestanding -Ixen -MMD -c $< -o $@

$(B)/tests/unit-emulate/%.o: tests/unit-emulate/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) -Ixen -Itests/unit-emulate -MMD -c $< -o $@

$(B)/tests/unit/test_emulate: $(addprefix $(B)/tests/unit-emulate/,test_emulate.o \
        test_system.o test_modes.o test_insn_len.o machine.o) $(EMULATE_OBJ)
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) $^ -o $@ -lcmocka

$(B)/tests/unit/test_emulate_oracle: $(addprefix $(B)/tests/unit-emulate/,test_oracle.o trial.o \
        runner.o generate.o native.o machine.o) $(EMULATE_OBJ)
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) $^ -o $@ -lcmocka -lZydis

# Built as the hypervisor is, to count its instructions.
EMULATE_FAST := -std=gnu11 -O2 $(WARN) -D_GNU_SOURCE -mgeneral-regs-only -mno-red-zone

$(B)/tests/unit-emulate/fast/%.o: xen/hvm/emulate/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(EMULATE_FAST) -ffreestanding -Ixen -MMD -c $< -o $@

$(B)/tests/unit/test_emulate_cost: tests/unit-emulate/test_cost.c \
        $(EMULATE_SRC:xen/hvm/emulate/%.c=$(B)/tests/unit-emulate/fast/%.o) | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(EMULATE_FAST) -Ixen $^ -o $@ -lcmocka

-include $(wildcard $(B)/tests/unit-emulate/*.d $(B)/tests/unit-emulate/lib/*.d \
        $(B)/tests/unit-emulate/fast/*.d)
