/* What became of all that `rimbalzo ingest` read: one line for each recipient, or whole item. */
#pragma once
#include "domain/types.h"
#include "ingest/ingest.h"

struct ingest_account {
    int64_t items; /* counted by the caller */
    int64_t read;
    int64_t bounces[BOUNCE_CLASS_COUNT];
    int64_t deliveries;
    int64_t skipped[INGEST_SKIP_COUNT];
    int64_t rejected[RCODE_COUNT];
    int64_t accepted, rejected_all; /* sums */
};

/* `bounce_class`: of a bounce. */
void ingest_account_add(struct ingest_account *account, const struct ingest_entry *entry,
                        enum bounce_class bounce_class);

/* A table on stderr. E_BUG unless what was read equals the sum of its lines. */
enum rcode ingest_account_tell(const struct ingest_account *account, struct err *err) WARN_UNUSED;
