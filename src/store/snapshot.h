/* Files of stores that nobody has open, for tools that bring state from elsewhere. */
#pragma once
#include "base/err.h"

/* A copy of the store in directory `from` as one in `to`, which is made; what is there is replaced.
 * Synced. E_IO (also when there is no store), E_STORE_FULL, E_STORE_LOCKED while one of them is
 * open. */
enum rcode store_copy(const char *from, const char *to, struct err *err) WARN_UNUSED;

/* Puts the store in directory `from` in the place of the one in `to`, and removes `from`. Both are
 * on one file system. At any moment there is the old one or the new one in `to`. E_STORE_LOCKED,
 * naming the process, while `to` is open. */
enum rcode store_install(const char *from, const char *to, struct err *err) WARN_UNUSED;

/* OK if nobody has the store open, or there is none. E_STORE_LOCKED, E_IO. */
enum rcode store_unused(const char *path, struct err *err) WARN_UNUSED;
