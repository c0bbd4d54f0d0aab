# Tests of event channels, grant tables and the table of hypercalls: the real files, with
# memory, p2m and scheduler replaced.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libcmocka-dev libxen-dev

ABI_OUT := $(B)/tests/unit-abi
ABI_CFLAGS := $(TEST_CFLAGS) -Wa,--no-warn -D__XEN_TOOLS__ -fno-strict-aliasing -Itests/unit-abi -Ixen
ABI_TESTS := $(patsubst tests/unit-abi/test_%.c,$(B)/tests/unit/test_abi_%,\
    $(wildcard tests/unit-abi/test_*.c))
UNIT_TESTS += $(ABI_TESTS)

ABI_evtchn := $(patsubst %,$(ABI_OUT)/%.o,domain/evtchn domain/evtchn_2l domain/evtchn_fifo \
    domain/evtchn_pirq)
ABI_grant := $(patsubst %,$(ABI_OUT)/%.o,domain/grant domain/grant_pin domain/grant_map)
ABI_table := $(patsubst %,$(ABI_OUT)/%.o,hypercall/table hypercall/dispatch)
ABI_fifo := $(ABI_evtchn)

$(ABI_OUT)/%.o: xen/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(ABI_CFLAGS) -MMD -MP -c $< -o $@

$(ABI_OUT)/%.o: tests/unit-abi/%.c | deps
	@mkdir -p $(@D)
	$(HOSTCC) $(ABI_CFLAGS) -MMD -MP -c $< -o $@

.SECONDEXPANSION:
$(ABI_TESTS): $(B)/tests/unit/test_abi_%: $(ABI_OUT)/test_%.o $(ABI_OUT)/fake.o $$(ABI_$$*)
	@mkdir -p $(@D)
	$(HOSTCC) $(ABI_CFLAGS) $^ -o $@ -lcmocka -pthread

-include $(wildcard $(ABI_OUT)/*.d $(ABI_OUT)/*/*.d)
