/* Temporary directories of tests, under $TMPDIR or /tmp. Failure ends the program with a message */
#pragma once

#define TMPDIR_PATH_MAX 256

/* Makes an empty directory with mode 0700. */
void tmpdir_make(char ret_path[TMPDIR_PATH_MAX]);

/* Removes it and all in it; crosses no mount points. A missing one is no error. */
void tmpdir_remove(const char *path);
