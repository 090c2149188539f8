/* Small files read whole: configurations, rules, secrets. */
#pragma once
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the file's octets. E_IO: "cannot be read: …" without the path, also for more than
 * `size_max`. */
enum rcode text_file_read(const char *path, size_t size_max, struct buf *out,
                          struct err *err) WARN_UNUSED;
