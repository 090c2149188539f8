/*
 * The file `open`: there while a store is open, removed by a clean close. Found at open it means a
 * crash, and its boot id tells which: of the process (pages written through the map are in the page
 * cache, all is there) or of the machine (under STORE_REBUILD pages reached the disk in any order:
 * discard).
 *
 * It is written and synced before the first transaction. It is as long as ever from its first write
 * on and is rewritten in place, so that a full disk cannot keep it from being updated; an empty
 * file is as none, since the first write comes before the first transaction.
 */
#pragma once
#include "store/dir.h"
#include "store/store.h"

#define MARKER_NAME "open"
#define RESTARTS_MAX 5 /* opens in a row without a commit or a clean close */

struct store_marker {
    enum { MARKER_ABSENT, MARKER_UNREADABLE, MARKER_PRESENT } found;
    enum store_durability durability; /* of the run that wrote it */
    unsigned opens;                   /* since the last commit or clean close, this one included */
    char boot_id[BOOT_ID_MAX + 1];
};

enum rcode store_marker_read(const struct store_dir *dir, struct store_marker *ret_marker,
                             struct err *err) WARN_UNUSED;

/* Writes and syncs, the directory too when the file is new. */
enum rcode store_marker_write(const struct store_dir *dir, const struct store_marker *marker,
                              struct err *err) WARN_UNUSED;

/* Why the state it stands for must not be trusted, a static text, or NULL. */
const char *store_marker_distrust(const struct store_marker *marker, const char *boot_id);

/* The kernel's boot id. E_IO. */
enum rcode store_boot_id(char ret_boot_id[BOOT_ID_MAX + 1], struct err *err) WARN_UNUSED;
