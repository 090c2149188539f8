/* The files of schemas/ and deploy/completions/ and the status page, compiled in by
 * src/embed.cmake, so that one binary is all a host needs. */
#pragma once
#include <stddef.h>

struct embedded_file {
    /* File name without folder, "BounceRecord.avsc", but "released/BounceRecord/1.avsc"; NULL ends
     * the table. */
    const char *name;
    const char *data; /* NUL-terminated for convenience; the NUL is not counted in size */
    size_t size;
};

extern const struct embedded_file embedded_files[];
