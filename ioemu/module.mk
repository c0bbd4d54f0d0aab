# What the devices' back ends need.  The devices themselves are found by devmodel/module.mk.
# SPDX-License-Identifier: GPL-2.0-or-later
DEPS += libvncserver-dev libslirp-dev
DM_EXTRA_PKGS += libvncserver slirp
