/*
 * The domain core as a filter, to compare it with another implementation of semantics §5-§7: JSON
 * lines of classified events on stdin, per event {"outputs":[…],"state":{…}|null} on stdout, keys
 * sorted.
 *
 *   domain_fold [--config JSON] < events.jsonl
 *
 * The configuration overrides the defaults key by key, `policies` as a whole; durations are "24h"
 * or numbers of milliseconds. The state shown is the stored one: null when there is none or it
 * counts as absent.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/hash.h"
#include "domain/address.h"
#include "domain/recipient.h"

#define SLOTS ((size_t)1 << 16)
#define ID_MAX 1024

struct slot {
    char key[RECORD_KEY_MAX];
    size_t key_len; /* 0: free */
    bool present;
    struct recipient state;
    char *strings[2]; /* last_status, last_rule */
    char policy[POLICY_NAME_MAX + 1];
};

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "domain_fold: %s: %s\n", what, detail);
    exit(65);
}

/* --- configuration ---------------------------------------------------------------------------- */

static int64_t duration_ms(const json_t *value)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                 {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};
    if (json_is_integer(value))
        return json_integer_value(value);
    char *end;
    long long number = strtoll(json_string_value(value), &end, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(end, units[i].unit) == 0)
            return number * units[i].ms;
    die("no duration", json_string_value(value));
    return 0;
}

static int read_delays(const json_t *list, int64_t delays_ms[DELAYS_MAX])
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) delays_ms[i] = duration_ms(item);
    return (int)json_array_size(list);
}

static void read_policy(const char *name, const json_t *keys, struct policy *policy)
{
    size_t i;
    json_t *item;
    *policy = (struct policy){
        .max_attempts = (int32_t)json_integer_value(json_object_get(keys, "max_attempts")),
        .contact_after = (int32_t)json_integer_value(json_object_get(keys, "contact_after")),
    };
    snprintf(policy->name, sizeof(policy->name), "%s", name);
    policy->delay_count = read_delays(json_object_get(keys, "delays"), policy->delays_ms);
    json_array_foreach(json_object_get(keys, "reasons"), i, item) policy->reasons |=
        1u << name_index(reason_names, REASON_COUNT, str_of(json_string_value(item)));
}

static void read_policies(json_t *policies, struct policy_set *set)
{
    const char *name;
    json_t *keys;
    set->policy_count = 1;
    json_object_foreach(policies, name, keys) read_policy(
        name, keys,
        strcmp(name, "default") == 0 ? &set->policies[0] : &set->policies[set->policy_count++]);
}

static void read_time(const json_t *root, const char *section, const char *key, int64_t *ret_ms)
{
    const json_t *value = json_object_get(section ? json_object_get(root, section) : root, key);
    if (value)
        *ret_ms = duration_ms(value);
}

static void read_config(const char *text, struct policy_set *set)
{
    json_error_t error;
    struct err err;
    json_t *root = json_loads(text, 0, &error);
    if (!root)
        die("config", error.text);
    if (json_object_get(root, "policies"))
        read_policies(json_object_get(root, "policies"), set);
    json_t *delays = json_object_get(json_object_get(root, "transient"), "delays");
    if (delays)
        set->transient_delay_count = read_delays(delays, set->transient_delays_ms);
    json_t *lift = json_object_get(json_object_get(root, "suppression"), "lift_on_delivery");
    if (lift)
        set->lift_on_delivery = json_is_true(lift);
    read_time(root, NULL, "stale_after", &set->stale_after_ms);
    read_time(root, "answer", "tolerance", &set->answer_tolerance_ms);
    read_time(root, "frequent", "window", &set->frequent_window_ms);
    read_time(root, "recipient", "retention", &set->retention_ms);
    if (policy_set_check(set, &err) != OK)
        die("config", err.text);
    json_decref(root);
}

/* --- events ----------------------------------------------------------------------------------- */

static struct str text_of(const json_t *event, const char *key)
{
    const json_t *value = json_object_get(event, key);
    return json_is_string(value) ? (struct str){json_string_value(value), json_string_length(value)}
                                 : STR_NULL;
}

static int64_t number_of(const json_t *event, const char *key)
{
    return json_integer_value(json_object_get(event, key));
}

/* Lower-cased into `buffer`, as the decoder does with ids. */
static struct str id_of(const json_t *event, const char *key, char buffer[ID_MAX])
{
    struct str text = text_of(event, key);
    if (text.len > ID_MAX)
        die("id too long", key);
    for (size_t i = 0; i < text.len; i++)
        buffer[i] = ascii_lower(text.data[i]);
    return text.data ? (struct str){buffer, text.len} : STR_NULL;
}

static int index_of(const json_t *event, const char *key, const char *const *names, int count)
{
    struct str text = text_of(event, key);
    if (!text.data)
        return 0;
    int index = name_index(names, count, text);
    if (index < 0)
        die("unknown name", text.data);
    return index;
}

static void read_event(const json_t *json, char ids[2][ID_MAX], struct event *event)
{
    struct str kind = text_of(json, "kind");
    struct str message_id = text_of(json, "message_id");
    *event = (struct event){
        .kind = str_equal(kind, STR("bounce"))     ? EVENT_BOUNCE
                : str_equal(kind, STR("delivery")) ? EVENT_DELIVERY
                                                   : EVENT_OVERRIDE,
        .who = {text_of(json, "tenant"), text_of(json, "recipient")},
        .event_id = id_of(json, "event_id", ids[0]),
        .time_ms = number_of(json, "now"),
        .partition = (int32_t)number_of(json, "partition"),
        .offset = number_of(json, "offset"),
        .message_id = message_id.data ? message_id : STR(""),
        .retry_of = id_of(json, "retry_of", ids[1]),
        .message_attempt = (int32_t)number_of(json, "message_attempt"),
        .status = text_of(json, "status"),
        .bounce_class =
            (enum bounce_class)index_of(json, "class", bounce_class_names, BOUNCE_CLASS_COUNT),
        .reason = (enum reason)index_of(json, "reason", reason_names, REASON_COUNT),
        .rule = text_of(json, "rule"),
        .action = (enum override_action)index_of(json, "action", override_action_names,
                                                 OVERRIDE_ACTION_COUNT),
    };
}

/* --- results ---------------------------------------------------------------------------------- */

static json_t *json_text(struct str text)
{
    return text.data ? json_stringn(text.data, text.len) : json_null();
}

static json_t *json_time(int64_t ms)
{
    return ms == TIME_NULL ? json_null() : json_integer(ms);
}

static json_t *json_command(const struct retry_command *command)
{
    return json_pack(
        "{s:s, s:o, s:s, s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:I, s:I, s:o, s:s, s:i, s:I}", "type",
        "RetryCommand", "command_id", json_text(uuid_str(&command->command_id)), "action",
        command_action_names[command->action], "tenant", json_text(command->who.tenant),
        "recipient", json_text(command->who.recipient), "message_id",
        json_text(command->message_id), "episode", command->episode, "attempt", command->attempt,
        "max_attempts", command->max_attempts, "message_attempt", command->message_attempt,
        "due_at", (json_int_t)command->due_at_ms, "issued_at", (json_int_t)command->issued_at_ms,
        "status", json_text(command->status), "reason", reason_names[command->reason],
        "source_partition", command->source_partition, "source_offset",
        (json_int_t)command->source_offset);
}

static json_t *json_suppression(const struct suppression_event *event)
{
    return json_pack(
        "{s:s, s:o, s:s, s:o, s:o, s:s, s:o, s:o, s:i, s:i, s:o, s:o, s:I, s:i, s:I}", "type",
        "SuppressionEvent", "suppression_id", json_text(uuid_str(&event->suppression_id)), "action",
        suppression_action_names[event->action], "tenant", json_text(event->who.tenant),
        "recipient", json_text(event->who.recipient), "reason",
        suppression_reason_names[event->reason], "status", json_text(event->status), "rule",
        json_text(event->rule), "attempts", event->attempts, "episode", event->episode,
        "first_bounced_at", json_time(event->first_bounced_at_ms), "last_bounced_at",
        json_time(event->last_bounced_at_ms), "occurred_at", (json_int_t)event->occurred_at_ms,
        "source_partition", event->source_partition, "source_offset",
        (json_int_t)event->source_offset);
}

static json_t *json_notice(const struct recipient_notice *notice)
{
    return json_pack("{s:s, s:o, s:s, s:o, s:o, s:i, s:i, s:s, s:I, s:i, s:I}", "type",
                     "RecipientNotice", "notice_id", json_text(uuid_str(&notice->notice_id)),
                     "kind", notice_kind_names[notice->kind], "tenant",
                     json_text(notice->who.tenant), "recipient", json_text(notice->who.recipient),
                     "episode", notice->episode, "attempt", notice->attempt, "frequency",
                     frequency_names[notice->frequency], "occurred_at",
                     (json_int_t)notice->occurred_at_ms, "source_partition",
                     notice->source_partition, "source_offset", (json_int_t)notice->source_offset);
}

static json_t *json_outputs(const struct effects *effects)
{
    json_t *outputs = json_array();
    for (int i = 0; i < effects->notice_count; i++)
        json_array_append_new(outputs, json_notice(&effects->notices[i]));
    for (int i = 0; i < effects->suppression_count; i++)
        json_array_append_new(outputs, json_suppression(&effects->suppressions[i]));
    for (int i = 0; i < effects->command_count; i++)
        json_array_append_new(outputs, json_command(&effects->commands[i]));
    return outputs;
}

static json_t *json_numbers(const int64_t *numbers, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_integer(numbers[i]));
    return list;
}

static json_t *json_hashes(const uint64_t *hashes, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_integer((int64_t)hashes[i]));
    return list;
}

static void set_counters(json_t *json, const struct recipient *state)
{
    const struct {
        const char *name;
        int64_t value;
    } counters[] = {
        {"soft", state->soft},
        {"hard", state->hard},
        {"transient", state->transient},
        {"policy_bounces", state->policy_bounces},
        {"unknown", state->unknown},
        {"deliveries", state->deliveries},
        {"overrides", state->overrides},
        {"suppressions", state->suppressions},
        {"attempt", state->attempt},
        {"episode", state->episode},
        {"source_offset", state->source_offset},
    };
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        json_object_set_new(json, counters[i].name, json_integer(counters[i].value));
}

static json_t *json_state(const struct recipient *state)
{
    struct str by = str_of(suppression_reason_names[state->suppressed_by]);
    struct str reason = str_of(reason_names[state->reason]);
    json_t *json = json_pack(
        "{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:s}",
        "tenant", json_text(state->who.tenant), "recipient", json_text(state->who.recipient),
        "status", recipient_status_names[state->status], "suppressed_by",
        json_text(by.len ? by : STR_NULL), "reason",
        json_text(state->in_episode ? reason : STR_NULL), "policy", json_text(state->policy),
        "episode_opened_at", json_time(state->episode_opened_at_ms), "due_at",
        json_time(state->due_at_ms), "last_bounce_at", json_time(state->last_bounce_at_ms),
        "last_delivery_at", json_time(state->last_delivery_at_ms), "reinstated_at",
        json_time(state->reinstated_at_ms), "last_event_at", json_time(state->last_event_at_ms),
        "last_status", json_text(state->last_status), "last_rule", json_text(state->last_rule),
        "openings", json_numbers(state->openings_ms, state->opening_count), "recent_events",
        json_hashes(state->recent_events, state->recent_event_count), "recent_commands",
        json_hashes(state->recent_commands, state->recent_command_count), "frequency",
        frequency_names[state->frequency]);
    set_counters(json, state);
    return json;
}

/* --- the fold --------------------------------------------------------------------------------- */

static struct slot *slot_of(struct slot *slots, struct identity who)
{
    char key[RECORD_KEY_MAX];
    size_t len = identity_key(who, key);
    size_t i = hash_xxh3(key, len) % SLOTS;
    while (slots[i].key_len && (slots[i].key_len != len || memcmp(slots[i].key, key, len) != 0))
        i = (i + 1) % SLOTS;
    memcpy(slots[i].key, key, len);
    slots[i].key_len = len;
    return &slots[i];
}

static void keep_string(struct str *text, char **memory)
{
    char *copy = NULL;
    if (text->data) {
        copy = mem_alloc(text->len + 1);
        memcpy(copy, text->data, text->len);
        text->data = copy;
    }
    mem_free(*memory);
    *memory = copy;
}

static void store(struct slot *slot, const struct recipient *after)
{
    struct recipient state = *after;
    keep_string(&state.last_status, &slot->strings[0]);
    keep_string(&state.last_rule, &slot->strings[1]);
    if (state.policy.data) {
        memmove(slot->policy, state.policy.data, state.policy.len);
        state.policy.data = slot->policy;
    }
    if (!identity_of_key((struct str){slot->key, slot->key_len}, &state.who))
        die("no key", after->who.recipient.data);
    slot->state = state;
    slot->present = true;
}

static json_t *fold(const struct policy_set *policies, struct slot *slots,
                    const struct event *event, int64_t stream_time_ms)
{
    struct slot *slot = slot_of(slots, event->who);
    struct recipient after, unused;
    struct effects effects;
    recipient_step(policies, slot->present ? &slot->state : NULL, event, stream_time_ms, &after,
                   &effects);
    switch (effects.change) {
    case STATE_PUT:
        store(slot, &after);
        break;
    case STATE_DELETE:
        slot->present = false;
        break;
    case STATE_UNCHANGED:
        /* What the idle scan might do at any time; it must make no difference. */
        if (slot->present &&
            recipient_idle(policies, &slot->state, stream_time_ms, &unused) == IDLE_EXPIRE)
            slot->present = false;
        break;
    }
    json_t *result = json_object();
    json_object_set_new(result, "outputs", json_outputs(&effects));
    json_object_set_new(result, "state", slot->present ? json_state(&slot->state) : json_null());
    return result;
}

int main(int argc, char **argv)
{
    static char ids[2][ID_MAX];
    struct policy_set policies;
    struct slot *slots = mem_zalloc(SLOTS * sizeof(*slots));
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    policy_set_defaults(&policies);
    if (argc == 3 && strcmp(argv[1], "--config") == 0)
        read_config(argv[2], &policies);
    while ((len = getline(&line, &cap, stdin)) > 0) {
        json_error_t error;
        struct event event;
        json_t *json = json_loadb(line, (size_t)len, 0, &error);
        if (!json)
            die("event", error.text);
        read_event(json, ids, &event);
        json_t *result = fold(&policies, slots, &event, number_of(json, "stream_time"));
        json_dumpf(result, stdout, JSON_COMPACT | JSON_SORT_KEYS);
        putchar('\n');
        json_decref(result);
        json_decref(json);
    }
    for (size_t i = 0; i < SLOTS; i++)
        for (int j = 0; j < 2; j++)
            mem_free(slots[i].strings[j]);
    mem_free(slots);
    free(line);
    return 0;
}
