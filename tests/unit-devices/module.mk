# Tests of the devices and their back ends.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libcmocka-dev

# Each test links the whole device model as it is, with a front end of its own.
DEVICE_TESTS := $(patsubst tests/unit-devices/test_%.c,$(B)/tests/unit/test_%, \
        $(wildcard tests/unit-devices/test_*.c))
UNIT_TESTS += $(DEVICE_TESTS)

$(B)/tests/unit-devices/%.o: tests/unit-devices/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) -I. $(DM_CFLAGS) -MMD -MP -c -o $@ $<

$(DEVICE_TESTS): $(B)/tests/unit/test_%: $(B)/tests/unit-devices/test_%.o \
        $(B)/tests/unit-devices/harness.o $(B)/tests/unit-devices/driver.o $(DM_TEST_OBJ)
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) -o $@ $^ $(DM_LIBS) -lcmocka $(DEVICE_TEST_LIBS)

$(B)/tests/unit/test_vnc: DEVICE_TEST_LIBS += -lvncclient
$(B)/tests/unit/test_vga: $(B)/tests/unit-devices/vga_bench.o

DEPS += qemu-system-x86
SYSTEM_TESTS += tests/unit-devices/compare-qemu

-include $(wildcard $(B)/tests/unit-devices/*.d)
