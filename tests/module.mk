# What every test needs.  SPDX-License-Identifier: GPL-2.0-or-later
DEPS += clang-format cppcheck libcmocka-dev
