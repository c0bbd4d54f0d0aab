# Stock xl on Corbel, and the matrix of hypervisors, device models and toolstacks.
# SPDX-License-Identifier: GPL-2.0-or-later
SYSTEM_TESTS += tests/xl/xl
test: dom0-image
