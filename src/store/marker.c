#include "store/marker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKER_SIZE 128
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

static bool parse(const char *text, struct store_marker *ret_marker)
{
    char durability[8];
    struct store_marker marker = {.found = MARKER_PRESENT};
    _Static_assert(BOOT_ID_MAX == 63, "width in the format");
    if (sscanf(text, "rimbalzo-open 1 %63s %7s %u", marker.boot_id, durability, &marker.opens) != 3)
        return false;
    if (strcmp(durability, "rebuild") == 0)
        marker.durability = STORE_REBUILD;
    else if (strcmp(durability, "disk") == 0)
        marker.durability = STORE_DISK;
    else
        return false;
    *ret_marker = marker;
    return true;
}

enum rcode store_marker_read(const struct store_dir *dir, struct store_marker *ret_marker,
                             struct err *err)
{
    int fd = openat(dir->fd, MARKER_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return store_dir_errno(dir, "cannot open the marker", err);
    *ret_marker = (struct store_marker){.found = MARKER_ABSENT};
    if (fd < 0)
        return OK;
    char text[MARKER_SIZE + 1];
    ssize_t len = read(fd, text, MARKER_SIZE);
    enum rcode rc = OK;
    if (len < 0)
        rc = store_dir_errno(dir, "cannot read the marker", err);
    close(fd);
    if (rc != OK || len == 0)
        return rc;
    text[len] = '\0';
    if (!parse(text, ret_marker))
        ret_marker->found = MARKER_UNREADABLE;
    return OK;
}

enum rcode store_marker_write(const struct store_dir *dir, const struct store_marker *marker,
                              struct err *err)
{
    char text[MARKER_SIZE + 1];
    snprintf(text, sizeof(text), "rimbalzo-open 1 %s %s %u", marker->boot_id,
             marker->durability == STORE_REBUILD ? "rebuild" : "disk", marker->opens);
    size_t len = strlen(text);
    memset(text + len, ' ', MARKER_SIZE - len);
    text[MARKER_SIZE - 1] = '\n';
    int fd = openat(dir->fd, MARKER_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return store_dir_errno(dir, "cannot make the marker", err);
    enum rcode rc = OK;
    struct stat before;
    errno = ENOSPC; /* for a short write */
    if (fstat(fd, &before) || pwrite(fd, text, MARKER_SIZE, 0) != MARKER_SIZE || fsync(fd))
        rc = store_dir_errno(dir, "cannot write the marker", err);
    else if (before.st_size == 0)
        rc = store_dir_sync(dir, err);
    close(fd);
    return rc;
}

const char *store_marker_distrust(const struct store_marker *marker, const char *boot_id)
{
    switch (marker->found) {
    case MARKER_ABSENT:
        return NULL;
    case MARKER_UNREADABLE:
        return "the marker of an unclean shutdown is unreadable";
    case MARKER_PRESENT:
        break;
    }
    if (marker->durability == STORE_REBUILD && strcmp(marker->boot_id, boot_id) != 0)
        return "unclean shutdown under another boot of the machine";
    if (marker->opens >= RESTARTS_MAX)
        return "restart loop";
    return NULL;
}

enum rcode store_boot_id(char ret_boot_id[BOOT_ID_MAX + 1], struct err *err)
{
    char text[BOOT_ID_MAX + 1] = "";
    int fd = open(BOOT_ID_FILE, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, BOOT_ID_MAX);
    if (fd >= 0)
        close(fd);
    text[strcspn(text, "\n")] = '\0';
    if (len <= 0 || !text[0])
        return err_set(err, E_IO, "cannot read " BOOT_ID_FILE);
    memcpy(ret_boot_id, text, sizeof(text));
    return OK;
}
