/* Text on the screen: VGA text memory, or glyphs drawn into a linear frame buffer.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The text is also kept in memory, so that scrolling never reads the screen: a frame
 * buffer is slow to read.
 */
#include "lib/video.h"
#include "lib/string.h"
#include "boot/boot.h"
#include "cpu/x86.h"
#include "mm/paging.h"

#define MAX_COLUMNS 160
#define MAX_ROWS    64
#define VGA_TEXT    0xb8000
#define VGA_COLUMNS 80
#define VGA_ROWS    25
#define VGA_ATTR    0x0700 /* grey on black */
#define FB_RGB      1
#define FB_TEXT     2
#define TAB         8

static char opt_vga[16] = "";
option_string("vga", opt_vga, "keep: messages stay on the screen when Dom0 runs");

static char cells[MAX_ROWS][MAX_COLUMNS]; /* what is to be shown */
static char shown[MAX_ROWS][MAX_COLUMNS]; /* what is on the screen */
static unsigned int columns, rows, row, column;
static volatile uint16_t *text;
static uint8_t *pixels;
static uint32_t pitch, bytes_per_pixel;

bool video_keep(void)
{
    return !strcmp(opt_vga, "keep");
}

static void draw_glyph(unsigned int r, unsigned int c, char ch)
{
    const uint8_t *glyph =
        font_glyphs[ch >= FONT_FIRST && ch <= FONT_LAST ? ch - FONT_FIRST : 0];
    uint8_t *line = pixels + r * FONT_HEIGHT * pitch + c * FONT_WIDTH * bytes_per_pixel;

    for (unsigned int y = 0; y < FONT_HEIGHT; y++, line += pitch) {
        for (unsigned int x = 0; x < FONT_WIDTH; x++) {
            uint8_t v = glyph[y] & (0x80 >> x) ? 0xc0 : 0;

            for (unsigned int b = 0; b < bytes_per_pixel; b++)
                line[x * bytes_per_pixel + b] = v;
        }
    }
}

static void draw(unsigned int r, unsigned int c)
{
    if (shown[r][c] == cells[r][c])
        return;
    shown[r][c] = cells[r][c];
    if (text)
        text[r * columns + c] = VGA_ATTR | (uint8_t)cells[r][c];
    else
        draw_glyph(r, c, cells[r][c]);
}

static void scroll(void)
{
    memmove(cells[0], cells[1], sizeof(cells[0]) * (rows - 1));
    memset(cells[rows - 1], ' ', sizeof(cells[0]));
    for (unsigned int r = 0; r < rows; r++) {
        for (unsigned int c = 0; c < columns; c++)
            draw(r, c);
    }
}

static void newline(void)
{
    column = 0;
    if (row + 1 < rows)
        row++;
    else
        scroll();
}

void video_write(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\n') {
            newline();
            continue;
        }
        if (s[i] == '\t') {
            column = ALIGN_UP(column + 1, TAB);
        } else if (s[i] >= ' ' && s[i] < 0x7f) {
            cells[row][column] = s[i];
            draw(row, column);
            column++;
        }
        if (column >= columns)
            newline();
    }
}

static void start(unsigned int width, unsigned int height)
{
    columns = min(width, MAX_COLUMNS + 0u);
    rows = min(height, MAX_ROWS + 0u);
    row = column = 0;
    memset(cells, ' ', sizeof(cells));
    memset(shown, 0, sizeof(shown));
    for (unsigned int r = 0; r < rows; r++) {
        for (unsigned int c = 0; c < columns; c++)
            draw(r, c);
    }
}

/* Is there a VGA in text mode? Its memory keeps what is written to it. */
static bool vga_text_works(void)
{
    volatile uint16_t *p = maddr_to_virt(VGA_TEXT);
    uint16_t old = p[0], test = old ^ 0x5555;

    p[0] = test;
    if (p[0] != test)
        return false;
    p[0] = old;
    return true;
}

static bool fb_usable(void)
{
    uint32_t bpp = boot_info.fb.bpp;

    return boot_info.fb.maddr && (bpp == 24 || bpp == 32) && boot_info.fb.width >= 320 &&
           boot_info.fb.height >= 200 && boot_info.fb.width <= 16384 &&
           boot_info.fb.height <= 16384 &&
           boot_info.fb.pitch >= boot_info.fb.width * (bpp / 8) &&
           boot_info.fb.pitch <= 16384 * 8;
}

bool video_init(void)
{
    if (boot_info.fb.type == FB_RGB) {
        if (!fb_usable() || boot_info.fb.maddr >= GB(4))
            return false;
        pixels = maddr_to_virt(boot_info.fb.maddr);
        pitch = boot_info.fb.pitch;
        bytes_per_pixel = boot_info.fb.bpp / 8;
        start(boot_info.fb.width / FONT_WIDTH, boot_info.fb.height / FONT_HEIGHT);
        return true;
    }
    if (boot_info.efi_systab || !vga_text_works())
        return false;
    text = maddr_to_virt(VGA_TEXT);
    start(VGA_COLUMNS, VGA_ROWS);
    return true;
}

void video_remap(void)
{
    if (pixels)
        pixels = map_mmio_wc(boot_info.fb.maddr, (size_t)pitch * boot_info.fb.height);
}
