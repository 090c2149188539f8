/*
 * Where `rimbalzo ingest` reads from: files, folders, Maildirs, an mbox, stdin; cut into the items
 * that adapters take (ingest/split.h). Folders are read in the order of their names, a Maildir as
 * its `new` and `cur`; hidden files and folders within a folder are passed over, the latter with a
 * message.
 */
#pragma once
#include "base/err.h"
#include "ingest/split.h"

struct ingest_source_item {
    const char *file; /* as it was given, or what was found in a folder; "stdin" */
    const struct split_piece *piece;
    int64_t modified_ms; /* the file's; of stdin: now */
};

struct ingest_source {
    enum split_kind kind;
    void *context;
    /* Spans are valid during the call. Anything but OK ends the reading with that code. */
    enum rcode (*item)(void *context, const struct ingest_source_item *item, struct err *err);
    /* Counted here. */
    int64_t octets;
    int64_t files;
};

/* A path, or "-" for stdin. E_IO: it cannot be read. */
enum rcode ingest_source_read(struct ingest_source *source, const char *path,
                              struct err *err) WARN_UNUSED;

/* Octets that reading the path will take, for a progress bar; 0: not known. */
int64_t ingest_source_size(const char *path);
