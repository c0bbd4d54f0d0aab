# Tests of the platform devices that live in the hypervisor: the real files of xen/hvm, with
# time, timers and the scheduler replaced.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libcmocka-dev libxen-dev

PLATFORM_PARTS := platform vlapic vlapic_timer vlapic_msg vlapic_page vlapic_save tsc vtick vioapic vpic \
    vpirq vpit vrtc vhpet vpmtimer mtrr cpuid cpu_features cpu_policy cpu_policy_abi msr viridian synic save \
    save_cpu save_platform
PLATFORM_OUT := $(B)/tests/unit-platform
PLATFORM_OBJ := $(PLATFORM_PARTS:%=$(PLATFORM_OUT)/hvm/%.o) $(PLATFORM_OUT)/fake.o \
    $(addprefix $(PLATFORM_OUT)/mitigation/,bugs.o decide.o)
PLATFORM_TESTS := $(patsubst tests/unit-platform/test_%.c,$(B)/tests/unit/test_platform_%,\
    $(wildcard tests/unit-platform/test_*.c))
UNIT_TESTS += $(PLATFORM_TESTS)
LINT_SOURCES += $(PLATFORM_PARTS:%=xen/hvm/%.c)
PLATFORM_CFLAGS := $(TEST_CFLAGS) -D__XEN_TOOLS__ -fno-strict-aliasing -fno-pie -no-pie -Itests/unit-platform \
    -Itests/unit-platform/fake -Ixen

$(PLATFORM_OUT)/hvm/%.o: xen/hvm/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(PLATFORM_CFLAGS) -MMD -MP -c $< -o $@

$(PLATFORM_OUT)/mitigation/%.o: xen/cpu/mitigation/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(PLATFORM_CFLAGS) -MMD -MP -c $< -o $@

$(PLATFORM_OUT)/%.o: tests/unit-platform/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(PLATFORM_CFLAGS) -MMD -MP -c $< -o $@

$(PLATFORM_TESTS): $(B)/tests/unit/test_platform_%: $(PLATFORM_OUT)/test_%.o $(PLATFORM_OBJ) \
        tests/unit-platform/records.ld
	@mkdir -p $(@D)
	$(HOSTCC) $(PLATFORM_CFLAGS) $(filter %.o,$^) -Wl,-T,tests/unit-platform/records.ld -o $@ \
	    -lcmocka

-include $(wildcard $(PLATFORM_OUT)/*.d $(PLATFORM_OUT)/hvm/*.d)
