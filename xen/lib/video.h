/* Text on the screen. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_LIB_VIDEO_H
#define CORBEL_LIB_VIDEO_H

#include "lib/types.h"

/* VGA text mode, or the frame buffer that the boot loader left: false if neither. */
bool video_init(void);
void video_write(const char *s, size_t n);
/* Option vga=keep: go on after Dom0 has started. */
bool video_keep(void);
/* A frame buffer needs its final mapping once there are page tables. */
void video_remap(void);

/* 8x16 glyphs of ASCII 32-126, one byte per row, made by lib/mkfont. */
#define FONT_WIDTH  8
#define FONT_HEIGHT 16
#define FONT_FIRST  32
#define FONT_LAST   126
extern const uint8_t font_glyphs[FONT_LAST - FONT_FIRST + 1][FONT_HEIGHT];

#endif
