#include "block.h"
#include <errno.h>
int block_nbd_open(struct block_backend *b, const char *uri, struct error *error)
{
    return error_set(error, -ENOTSUP, "NBD");
}
int block_daemon_open(struct block_backend *b, const char *file, const char *format,
                      struct error *error)
{
    return error_set(error, -ENOTSUP, "format");
}
