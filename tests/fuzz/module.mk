# Chance against the device model: `make fuzz` for FUZZ_SECONDS, from FUZZ_SEED on.
# SPDX-License-Identifier: GPL-2.0-or-later
FUZZ_SECONDS ?= 600
FUZZ_SEED ?= 1

.PHONY: fuzz
fuzz: deps $(B)/devmodel/corbel-dm-qtest-asan
	tests/fuzz/devices --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)
