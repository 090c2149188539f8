#include "tmpdir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void tmpdir_make(char ret_path[TMPDIR_PATH_MAX])
{
    const char *parent = getenv("TMPDIR");
    int len = snprintf(ret_path, TMPDIR_PATH_MAX, "%s/rimbalzo-test-XXXXXX",
                       parent && parent[0] ? parent : "/tmp");
    if (len < 0 || len >= TMPDIR_PATH_MAX || !mkdtemp(ret_path)) {
        fprintf(stderr, "cannot make the directory %s: %s\n", ret_path, strerror(errno));
        abort();
    }
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

void tmpdir_remove(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) && errno != ENOENT) {
        fprintf(stderr, "cannot remove the directory %s: %s\n", path, strerror(errno));
        abort();
    }
}
