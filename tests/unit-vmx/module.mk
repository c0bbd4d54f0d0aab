# Tests of what of the VMX back end needs no processor.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libcmocka-dev libxen-dev

UNIT_TESTS += $(B)/tests/unit/test_ept
$(B)/tests/unit/test_ept: tests/unit-vmx/test_ept.c xen/vmx/ept.c xen/vmx/vmcs.h | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) -D__XEN_TOOLS__ -Ixen $(filter %.c,$^) -o $@ -lcmocka

# dump.c is part of the test, which plays the processor for it.
UNIT_TESTS += $(B)/tests/unit/test_vmx_dump
$(B)/tests/unit/test_vmx_dump: tests/unit-vmx/test_dump.c xen/vmx/dump.c xen/vmx/vmcs.h | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(TEST_CFLAGS) -D__XEN_TOOLS__ -Ixen $< -o $@ -lcmocka
