#include "domain/types.h"

#define X(constant, string) [constant] = (string),
const char *const bounce_class_names[BOUNCE_CLASS_COUNT] = {BOUNCE_CLASSES(X)};
const char *const reason_names[REASON_COUNT] = {REASONS(X)};
const char *const recipient_status_names[RECIPIENT_STATUS_COUNT] = {RECIPIENT_STATUSES(X)};
const char *const suppression_reason_names[SUPPRESSION_REASON_COUNT] = {SUPPRESSION_REASONS(X)};
const char *const frequency_names[FREQUENCY_COUNT] = {FREQUENCIES(X)};
const char *const override_action_names[OVERRIDE_ACTION_COUNT] = {OVERRIDE_ACTIONS(X)};
const char *const command_action_names[COMMAND_ACTION_COUNT] = {COMMAND_ACTIONS(X)};
const char *const suppression_action_names[SUPPRESSION_ACTION_COUNT] = {SUPPRESSION_ACTIONS(X)};
const char *const notice_kind_names[NOTICE_KIND_COUNT] = {NOTICE_KINDS(X)};
#undef X

int name_index(const char *const *names, int count, struct str name)
{
    if (!name.data)
        return -1;
    for (int i = 0; i < count; i++)
        if (str_equal(str_of(names[i]), name))
            return i;
    return -1;
}
