/*
 * An EDID 1.4 block (VESA E-EDID Standard, release A2): a monitor without a speciality
 * whose preferred mode is the one configured.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "vga.h"

#define MM_PER_100_DOTS 26 /* about 96 dots per inch */

static void detailed_timing(uint8_t *d, unsigned width, unsigned height)
{
    /* Blanking as CVT's reduced blanking has it; 60 Hz follows from the clock. */
    unsigned h_blank = 160, v_blank = 23;
    unsigned h_front = 48, h_sync = 32, v_front = 3, v_sync = 6;
    unsigned clock = (width + h_blank) * (height + v_blank) / 1000 * 60 / 10; /* 10 kHz */
    unsigned mm_x = width * MM_PER_100_DOTS / 100, mm_y = height * MM_PER_100_DOTS / 100;

    store_le16(d, (uint16_t)clock);
    d[2] = (uint8_t)width;
    d[3] = (uint8_t)h_blank;
    d[4] = (uint8_t)((width >> 8 & 0xf) << 4 | (h_blank >> 8 & 0xf));
    d[5] = (uint8_t)height;
    d[6] = (uint8_t)v_blank;
    d[7] = (uint8_t)((height >> 8 & 0xf) << 4 | (v_blank >> 8 & 0xf));
    d[8] = (uint8_t)h_front;
    d[9] = (uint8_t)h_sync;
    d[10] = (uint8_t)((v_front & 0xf) << 4 | (v_sync & 0xf));
    d[12] = (uint8_t)mm_x;
    d[13] = (uint8_t)mm_y;
    d[14] = (uint8_t)((mm_x >> 8 & 0xf) << 4 | (mm_y >> 8 & 0xf));
    d[17] = 0x18; /* separate sync, digital */
}

static void range_limits(uint8_t *d)
{
    static const uint8_t limits[18] = {0,   0, 0,    0xfd, 0,    50,   125,  30,   160,
                                       255, 0, 0x0a, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20};

    memcpy(d, limits, sizeof(limits));
}

static void name(uint8_t *d)
{
    static const uint8_t text[18] = {0,   0,   0,    0xfc, 0,   'C', 'o', 'r', 'b',
                                     'e', 'l', '\n', ' ',  ' ', ' ', ' ', ' ', ' '};

    memcpy(d, text, sizeof(text));
}

static void standard_timings(uint8_t *d)
{
    /* x / 8 - 31, aspect ratio (0: 16:10, 1: 4:3, 2: 5:4, 3: 16:9), 60 Hz */
    static const uint8_t modes[8][2] = {
        {1920 / 8 - 31, 3 << 6}, {1280 / 8 - 31, 3 << 6}, {1680 / 8 - 31, 0},
        {1440 / 8 - 31, 0},      {1280 / 8 - 31, 2 << 6}, {1280 / 8 - 31, 0},
        {1024 / 8 - 31, 1 << 6}, {800 / 8 - 31, 1 << 6},
    };

    memcpy(d, modes, sizeof(modes));
}

void edid_make(uint8_t e[128], unsigned width, unsigned height)
{
    static const uint8_t chromaticity[10] = {0xee, 0x91, 0xa3, 0x54, 0x4c,
                                             0x99, 0x26, 0x0f, 0x50, 0x54}; /* sRGB */

    memset(e, 0, 128);
    memset(e + 1, 0xff, 6);
    store_be16(e + 8, ('C' - '@') << 10 | ('R' - '@') << 5 | ('B' - '@'));
    store_le16(e + 10, 1);
    e[17] = 2024 - 1990;
    e[18] = 1;
    e[19] = 4;
    e[20] = 0xa5; /* digital, 8 bits a color, DisplayPort */
    e[21] = (uint8_t)(width * MM_PER_100_DOTS / 1000);
    e[22] = (uint8_t)(height * MM_PER_100_DOTS / 1000);
    e[23] = 120;  /* gamma 2.2 */
    e[24] = 0x06; /* sRGB is the default, the first timing the preferred one */
    memcpy(e + 25, chromaticity, sizeof(chromaticity));
    e[35] = 0x21; /* 640x480, 800x600 at 60 Hz */
    e[36] = 0x08; /* 1024x768 at 60 Hz */
    standard_timings(e + 38);
    detailed_timing(e + 54, width, height);
    range_limits(e + 72);
    name(e + 90);
    e[108 + 3] = 0x10; /* no fourth descriptor */
    uint8_t sum = 0;
    for (unsigned i = 0; i < 127; i++)
        sum = (uint8_t)(sum + e[i]);
    e[127] = (uint8_t)-sum;
}
