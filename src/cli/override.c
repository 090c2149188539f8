#include "cli/override.h"

#include "domain/address.h"
#include "domain/id.h"

static const char *const id_kinds[OVERRIDE_ACTION_COUNT] = {
    [OVERRIDE_REINSTATE] = "override_reinstate",
    [OVERRIDE_SUPPRESS] = "override_suppress",
    [OVERRIDE_FORGET] = "override_forget",
};

bool override_is_blank(struct str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
            return false;
    return true;
}

enum rcode override_make(const struct override_options *options, struct str address,
                         struct override *ret_override, struct err *err)
{
    size_t len;
    enum rcode rc = address_canonical(address, options->local_part_preserve,
                                      ret_override->canonical, &len, err);
    if (rc != OK)
        return rc;
    ret_override->who = (struct identity){options->tenant, {ret_override->canonical, len}};
    ret_override->event_id =
        id_output(id_kinds[options->action], ret_override->who, 0, 0, options->batch);
    ret_override->record = (struct input_record){
        .kind = RECORD_OVERRIDE,
        .event_id = uuid_str(&ret_override->event_id),
        .tenant = options->tenant,
        .recipient = ret_override->who.recipient,
        .occurred_at_ms = options->now_ms,
        .action = (int)options->action,
        .reason = options->reason,
        .actor = options->actor,
    };
    return OK;
}
