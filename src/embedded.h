/* The files of schemas/, compiled in by src/embed.cmake, so that one binary is all a host needs. */
#pragma once
#include <stddef.h>

struct embedded_file {
    const char *name; /* file name without folder, "BounceRecord.avsc"; NULL ends the table */
    const char *data; /* NUL-terminated for convenience; the NUL is not counted in size */
    size_t size;
};

extern const struct embedded_file embedded_files[];
