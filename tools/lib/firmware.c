/*
 * The guest's firmware image.  See firmware.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../firmware/layout.h"
#include "firmware.h"

#define SEABIOS_FILE "bios-256k.bin"
#define ROM_GRAIN    4096u

const char *firmware_path(const char *name)
{
    static const char *const seabios[] = {
        "/usr/share/seabios/" SEABIOS_FILE,
        "/usr/share/qemu/" SEABIOS_FILE,
    };

    if (strcmp(name, "seabios") != 0)
        return name[0] == '/' || strchr(name, '/') ? name : NULL;
    for (unsigned i = 0; i < sizeof(seabios) / sizeof(seabios[0]); i++) {
        if (access(seabios[i], R_OK) == 0)
            return seabios[i];
    }
    return seabios[0]; /* to be named in the message */
}

static int read_all(int fd, uint8_t *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(fd, data + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

int firmware_load(const char *path, struct firmware *rom, struct failure *f)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail_with(f, -errno, "firmware %s: %s", path, strerror(errno));
    int err = fstat(fd, &st) ? -errno : 0;
    if (err) {
        fail_with(f, err, "firmware %s: %s", path, strerror(-err));
        goto out;
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size % ROM_GRAIN ||
        st.st_size > LAYOUT_ROM_MAX) {
        err = fail_with(
            f, -EINVAL,
            "firmware %s: %lld bytes; an image is a file of a multiple of 4 KiB, at "
            "most %u KiB",
            path, (long long)st.st_size, LAYOUT_ROM_MAX >> 10);
        goto out;
    }
    rom->bytes = (size_t)st.st_size;
    rom->data = malloc(rom->bytes);
    if (!rom->data) {
        err = fail_with(f, -ENOMEM, "out of memory");
        goto out;
    }
    err = read_all(fd, rom->data, rom->bytes);
    if (err) {
        fail_with(f, err, "firmware %s: %s", path, strerror(-err));
        firmware_free(rom);
    }
out:
    close(fd);
    return err;
}

void firmware_free(struct firmware *rom)
{
    free(rom->data);
    rom->data = NULL;
}
