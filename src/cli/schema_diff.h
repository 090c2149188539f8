/* Where two schemas differ: each as a list of places with what stands there, a field's place named
 * after it, so that the order of fields and white space make no difference. */
#pragma once
#include "base/arena.h"
#include "base/err.h"

struct schema_difference {
    struct str place;       /* "fields.status.default" */
    struct str left, right; /* JSON; null: nothing stands there */
};

/* In the order of places; everything is in the arena. E_SCHEMA: one is no JSON. */
enum rcode schema_diff(struct str left, struct str right, struct arena *arena,
                       struct schema_difference **ret_differences, int *ret_count,
                       struct err *err) WARN_UNUSED;
