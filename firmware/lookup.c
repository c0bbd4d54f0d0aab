/*
 * Firmware images of the distribution: SeaBIOS, VGA BIOS, iPXE, by package path.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const places[] = {
    "/usr/share/seabios", "/usr/lib/ipxe/qemu", "/usr/share/qemu",
    "/usr/share/ipxe",    "/usr/lib/ipxe",      "/usr/share/corbel/firmware",
};

int firmware_find(const char *file, char *path, size_t path_bytes)
{
    if (strchr(file, '/')) {
        if (snprintf(path, path_bytes, "%s", file) >= (int)path_bytes)
            return -ENAMETOOLONG;
        return access(path, R_OK) ? -errno : 0;
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (snprintf(path, path_bytes, "%s/%s", places[i], file) < (int)path_bytes &&
            access(path, R_OK) == 0)
            return 0;
    }
    return -ENOENT;
}

static int read_all(int fd, uint8_t *data, size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        ssize_t n = read(fd, data + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

int firmware_read_file(const char *file, size_t most, uint8_t **data, size_t *bytes)
{
    char path[4096];
    struct stat st;
    int err = firmware_find(file, path, sizeof(path));

    if (err)
        return err;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    uint8_t *buffer = NULL;
    if (fstat(fd, &st))
        err = -errno;
    else if (!S_ISREG(st.st_mode))
        err = -EINVAL;
    else if ((uint64_t)st.st_size > most)
        err = -EFBIG;
    else if (!(buffer = malloc((size_t)st.st_size + 1)))
        err = -ENOMEM;
    else
        err = read_all(fd, buffer, (size_t)st.st_size);
    close(fd);
    if (err) {
        free(buffer);
        return err;
    }
    *data = buffer;
    *bytes = (size_t)st.st_size;
    return 0;
}

int firmware_find_bios(char *path, size_t path_bytes)
{
    return firmware_find("bios-256k.bin", path, path_bytes);
}
