#include "cli/recipient_view.h"

#include "base/clock.h"
#include "domain/address.h"

const char *const recipient_columns[RECIPIENT_COLUMN_COUNT] = {
#define X(column, value) #column,
    RECIPIENT_COLUMNS(X)
#undef X
};

static struct cell named(const char *name)
{
    return cell_text(*name ? str_of(name) : STR_NULL);
}

static struct cell cell_time(int64_t time_ms, char text[32])
{
    if (time_ms == TIME_NULL)
        return cell_text(STR_NULL);
    clock_format(time_ms, text);
    return cell_text(str_of(text));
}

bool recipient_has_lapsed(const struct recipient *state, int64_t stale_after_ms, int64_t now_ms)
{
    return state->status == STATUS_SUSPENDED && state->due_at_ms != TIME_NULL &&
           now_ms - state->due_at_ms >= stale_after_ms;
}

void recipient_view(const struct recipient *state, int32_t partition, bool lapsed,
                    struct recipient_view *ret_view)
{
    enum recipient_status status = lapsed ? STATUS_ACTIVE : state->status;
    char(*times)[32] = ret_view->times;
    const struct cell cells[RECIPIENT_COLUMN_COUNT] = {
#define X(column, value) value,
        RECIPIENT_COLUMNS(X)
#undef X
    };
    memcpy(ret_view->cells, cells, sizeof(cells));
}

enum rcode recipient_name(const char *address, const char *tenant, bool preserve_local_part,
                          struct recipient_name *ret_name, struct err *err)
{
    size_t len;
    if (!tenant_valid(str_of(tenant)))
        return err_set(err, E_INVALID_TENANT, "tenant: \"%.80s\" is not [a-z0-9._-]{0,64}", tenant);
    enum rcode rc =
        address_canonical(str_of(address), preserve_local_part, ret_name->canonical, &len, err);
    if (rc != OK) {
        err_prefix(err, "\"%.80s\" is no address", address);
        return rc;
    }
    ret_name->who = (struct identity){str_of(tenant), {ret_name->canonical, len}};
    return OK;
}
