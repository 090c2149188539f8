#include "ops/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static enum rcode read_all(int fd, size_t size_max, struct buf *out, struct err *err)
{
    size_t total = 0;
    for (;;) {
        buf_reserve(out, 4096);
        ssize_t len = read(fd, out->data + out->len, 4096);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return err_errno(err, E_IO, "cannot be read");
        if (len == 0)
            return OK;
        out->len += (size_t)len;
        total += (size_t)len;
        if (total > size_max)
            return err_set(err, E_IO, "cannot be read: larger than %zu octets", size_max);
    }
}

enum rcode text_file_read(const char *path, size_t size_max, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, E_IO, "cannot be read");
    enum rcode rc = read_all(fd, size_max, out, err);
    close(fd);
    return rc;
}
