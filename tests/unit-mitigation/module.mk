# Tests of the decisions about side channels.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libcmocka-dev binutils

UNIT_TESTS += $(B)/tests/unit/test_mitigation tests/unit-mitigation/check-branches
unit: $(B)/xen/corbel

MITIGATION_OUT := $(B)/tests/unit-mitigation
MITIGATION_OBJ := $(addprefix $(MITIGATION_OUT)/xen/cpu/mitigation/,bugs.o decide.o options.o) \
    $(addprefix $(MITIGATION_OUT)/,xen/boot/options.o test_decide.o strings.o)
MITIGATION_CFLAGS := $(TEST_CFLAGS) -D__XEN_TOOLS__ -Ixen -Itests/unit-xen -MMD -MP
LINT_SOURCES += $(wildcard xen/cpu/mitigation/*.c)

$(MITIGATION_OUT)/xen/%.o: xen/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(MITIGATION_CFLAGS) -ffreestanding -fno-builtin -c $< -o $@
$(MITIGATION_OUT)/%.o: tests/unit-mitigation/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(MITIGATION_CFLAGS) -c $< -o $@
$(MITIGATION_OUT)/strings.o: tests/unit-xen/strings.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(MITIGATION_CFLAGS) -c $< -o $@
$(B)/tests/unit/test_mitigation: $(MITIGATION_OBJ)
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) $^ -o $@ -lcmocka

-include $(MITIGATION_OBJ:.o=.d)
