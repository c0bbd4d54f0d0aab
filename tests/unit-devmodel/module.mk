# Tests of the device model's core, the chipset, IDE and what firmware is told.
# SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libcmocka-dev acpica-tools qemu-utils qemu-system-common

DM_CORE_TESTS := $(patsubst tests/unit-devmodel/test_%.c,$(B)/tests/unit/test_dm_%, \
        $(wildcard tests/unit-devmodel/test_*.c))
UNIT_TESTS += $(DM_CORE_TESTS) tests/unit-devmodel/control-socket
unit: $(B)/devmodel/corbel-dm-qtest

$(B)/tests/unit-devmodel/%.o: tests/unit-devmodel/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) -I. $(DM_CFLAGS) -MMD -MP -c -o $@ $<

$(DM_CORE_TESTS): $(B)/tests/unit/test_dm_%: $(B)/tests/unit-devmodel/test_%.o \
        $(B)/tests/unit-devmodel/bench.o $(DM_TEST_OBJ)
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) -o $@ $^ $(DM_LIBS) -lcmocka

# The paravirtual block protocol, with the hypervisor played by the test.
$(B)/tests/unit/test_dm_blkif: $(B)/dm-test/devmodel/xen_blkif.o

-include $(wildcard $(B)/tests/unit-devmodel/*.d)
