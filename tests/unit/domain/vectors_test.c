/* The reference values of src/domain/semantics.md: ids, keys and partitions, canonical forms,
 * hashes, stories.
 */
#include <jansson.h>

#include "base/hash.h"
#include "domain/address.h"
#include "world.h"

static json_t *vectors;

static struct str text_of(const json_t *value)
{
    return json_is_string(value) ? (struct str){json_string_value(value), json_string_length(value)}
                                 : STR_NULL;
}

static struct str text_at(const json_t *array, size_t index)
{
    return text_of(json_array_get(array, index));
}

static int64_t number_at(const json_t *array, size_t index)
{
    return json_integer_value(json_array_get(array, index));
}

static void assert_same(struct str actual, struct str expected)
{
    if (!str_equal(actual, expected))
        fail_msg("\"%.*s\" is not \"%.*s\"", STR_ARG(actual), STR_ARG(expected));
}

static void ids_are_those_of_the_reference(void **state)
{
    (void)state;
    size_t i;
    json_t *item;
    assert_true(json_array_size(json_object_get(vectors, "ids")) > 0);
    json_array_foreach(json_object_get(vectors, "ids"), i, item)
    {
        const json_t *fields = json_object_get(item, "fields");
        struct identity who = {text_at(fields, 1), text_at(fields, 2)};
        struct uuid_text id = json_array_size(fields) == 8
                                  ? id_schedule(&(struct schedule_id){
                                        .who = who,
                                        .episode = number_at(fields, 3),
                                        .episode_opened_at_ms =
                                            number_at(fields, 4) ? number_at(fields, 4) : TIME_NULL,
                                        .attempt = number_at(fields, 5),
                                        .message_id = text_at(fields, 6),
                                        .message_attempt = number_at(fields, 7)})
                                  : id_output(text_at(fields, 0).data, who, number_at(fields, 3),
                                              number_at(fields, 4), text_at(fields, 5));
        assert_same(uuid_str(&id), text_of(json_object_get(item, "id")));
    }
}

static void keys_and_partitions_are_those_of_the_reference(void **state)
{
    (void)state;
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(vectors, "keys"), i, item)
    {
        struct identity who = {text_of(json_object_get(item, "tenant")),
                               text_of(json_object_get(item, "recipient"))};
        struct identity again;
        char key[RECORD_KEY_MAX];
        struct str made = {key, identity_key(who, key)};
        assert_same(made, text_of(json_object_get(item, "key")));
        assert_int_equal(hash_murmur2(made.data, made.len) & 0x7fffffff,
                         json_integer_value(json_object_get(item, "murmur2")));
        assert_int_equal(hash_partition(made, 4),
                         json_integer_value(json_object_get(item, "partition_of_4")));
        assert_int_equal(hash_partition(made, 12),
                         json_integer_value(json_object_get(item, "partition_of_12")));
        assert_true(identity_of_key(made, &again));
        assert_same(again.tenant, who.tenant);
        assert_same(again.recipient, who.recipient);
    }
}

static void canonical_forms_are_those_of_the_reference(void **state)
{
    (void)state;
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(vectors, "canonical"), i, item)
    {
        char text[RECIPIENT_MAX + 1];
        size_t len;
        struct err err;
        const json_t *out = json_object_get(item, "out");
        enum rcode rc =
            address_canonical(text_of(json_object_get(item, "in")), false, text, &len, &err);
        if (json_is_string(out)) {
            assert_int_equal(rc, OK);
            assert_same((struct str){text, len}, text_of(out));
        } else {
            char reason[ERR_TEXT_MAX + 64];
            assert_int_equal(rc, E_INVALID_RECIPIENT);
            snprintf(reason, sizeof(reason), "%s: %s", rcode_name(rc), err.text);
            assert_same(str_of(reason), text_of(json_object_get(out, "rejected")));
        }
    }
}

static void hashes_are_those_of_the_reference(void **state)
{
    (void)state;
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(vectors, "xxh3_64"), i, item)
    {
        struct str text = text_of(json_object_get(item, "text"));
        assert_true((int64_t)hash_xxh3(text.data, text.len) ==
                    json_integer_value(json_object_get(item, "signed")));
    }
}

/* --- stories ---------------------------------------------------------------------------------- */

static json_t *nullable(struct str text)
{
    return text.data ? json_stringn(text.data, text.len) : json_null();
}

static json_t *time_or_null(int64_t ms)
{
    return ms == TIME_NULL ? json_null() : json_integer(ms);
}

static void set_common(json_t *json, const char *kind, struct identity who)
{
    json_object_set_new(json, "kind", json_string(kind));
    json_object_set_new(json, "tenant", nullable(who.tenant));
    json_object_set_new(json, "recipient", nullable(who.recipient));
}

static json_t *of_command(const struct retry_command *command)
{
    json_t *json = json_pack(
        "{s:s, s:o, s:o, s:i, s:i, s:i, s:i, s:I, s:I, s:o, s:s, s:i, s:I}", "action",
        command_action_names[command->action], "command_id",
        nullable(uuid_str(&command->command_id)), "message_id", nullable(command->message_id),
        "episode", command->episode, "attempt", command->attempt, "max_attempts",
        command->max_attempts, "message_attempt", command->message_attempt, "due_at",
        (json_int_t)command->due_at_ms, "issued_at", (json_int_t)command->issued_at_ms, "status",
        nullable(command->status), "reason", reason_names[command->reason], "source_partition",
        command->source_partition, "source_offset", (json_int_t)command->source_offset);
    set_common(json, "RetryCommand", command->who);
    return json;
}

static json_t *of_suppression(const struct suppression_event *event)
{
    json_t *json =
        json_pack("{s:s, s:o, s:s, s:o, s:o, s:i, s:i, s:o, s:o, s:I, s:i, s:I}", "action",
                  suppression_action_names[event->action], "suppression_id",
                  nullable(uuid_str(&event->suppression_id)), "reason",
                  suppression_reason_names[event->reason], "status", nullable(event->status),
                  "rule", nullable(event->rule), "attempts", event->attempts, "episode",
                  event->episode, "first_bounced_at", time_or_null(event->first_bounced_at_ms),
                  "last_bounced_at", time_or_null(event->last_bounced_at_ms), "occurred_at",
                  (json_int_t)event->occurred_at_ms, "source_partition", event->source_partition,
                  "source_offset", (json_int_t)event->source_offset);
    set_common(json, "SuppressionEvent", event->who);
    return json;
}

static json_t *of_notice(const struct recipient_notice *notice)
{
    json_t *json = json_pack(
        "{s:s, s:o, s:i, s:i, s:s, s:I, s:i, s:I}", "notice", notice_kind_names[notice->kind],
        "notice_id", nullable(uuid_str(&notice->notice_id)), "episode", notice->episode, "attempt",
        notice->attempt, "frequency", frequency_names[notice->frequency], "occurred_at",
        (json_int_t)notice->occurred_at_ms, "source_partition", notice->source_partition,
        "source_offset", (json_int_t)notice->source_offset);
    set_common(json, "RecipientNotice", notice->who);
    return json;
}

static json_t *outputs_of(const struct effects *effects)
{
    json_t *outputs = json_array();
    for (int i = 0; i < effects->notice_count; i++)
        json_array_append_new(outputs, of_notice(&effects->notices[i]));
    for (int i = 0; i < effects->suppression_count; i++)
        json_array_append_new(outputs, of_suppression(&effects->suppressions[i]));
    for (int i = 0; i < effects->command_count; i++)
        json_array_append_new(outputs, of_command(&effects->commands[i]));
    return outputs;
}

/* "bounce" CLASS TIME [MESSAGE] {}, "deliver" TIME {}, "override" ACTION TIME {}. */
static void play(struct world *world, const json_t *step)
{
    struct str kind = text_at(step, 0);
    if (str_equal(kind, STR("deliver"))) {
        deliver(world, number_at(step, 1));
    } else if (str_equal(kind, STR("override"))) {
        int action = name_index(override_action_names, OVERRIDE_ACTION_COUNT, text_at(step, 1));
        override(world, (enum override_action)action, number_at(step, 2));
    } else if (str_equal(text_at(step, 1), STR("soft"))) {
        struct event event =
            world_bounce_event(world, CLASS_SOFT, REASON_MAILBOX_DISABLED, number_at(step, 2));
        event.message_id = text_at(step, 3);
        event.rule = STR("oracle.disabled");
        world_feed(world, &event);
    } else {
        struct event event =
            world_bounce_event(world, CLASS_HARD, REASON_USER_UNKNOWN, number_at(step, 2));
        event.status = STR("5.1.1");
        event.rule = STR("oracle.unknown-user");
        world_feed(world, &event);
    }
}

static void assert_hashes(const json_t *texts, const uint64_t *hashes, int count)
{
    size_t i;
    json_t *item;
    assert_int_equal(json_array_size(texts), count);
    json_array_foreach(texts, i, item)
        assert_true(hash_xxh3(text_of(item).data, text_of(item).len) == hashes[i]);
}

static void assert_number(const json_t *object, const char *key, int64_t actual)
{
    const json_t *value = json_object_get(object, key);
    int64_t expected = json_is_null(value) ? TIME_NULL : json_integer_value(value);
    assert_non_null(value);
    if (expected != actual)
        fail_msg("%s is %lld, not %lld", key, (long long)actual, (long long)expected);
}

static void assert_state(const struct recipient *state, const json_t *expected)
{
    assert_same(str_of(recipient_status_names[state->status]),
                text_of(json_object_get(expected, "status")));
    assert_same(state->suppressed_by ? str_of(suppression_reason_names[state->suppressed_by])
                                     : STR_NULL,
                text_of(json_object_get(expected, "suppressed_by")));
    assert_same(state->in_episode ? str_of(reason_names[state->reason]) : STR_NULL,
                text_of(json_object_get(expected, "reason")));
    assert_same(state->policy, text_of(json_object_get(expected, "policy")));
    assert_same(state->last_status, text_of(json_object_get(expected, "last_status")));
    assert_same(state->last_rule, text_of(json_object_get(expected, "last_rule")));
    assert_same(str_of(frequency_names[state->frequency]),
                text_of(json_object_get(expected, "frequency")));
    assert_number(expected, "attempt", state->attempt);
    assert_number(expected, "episode", state->episode);
    assert_number(expected, "episode_opened_at", state->episode_opened_at_ms);
    assert_number(expected, "due_at", state->due_at_ms);
    assert_number(expected, "last_bounce_at", state->last_bounce_at_ms);
    assert_number(expected, "last_delivery_at", state->last_delivery_at_ms);
    assert_number(expected, "reinstated_at", state->reinstated_at_ms);
    assert_number(expected, "last_event_at", state->last_event_at_ms);
    assert_number(expected, "soft", state->soft);
    assert_number(expected, "hard", state->hard);
    assert_number(expected, "transient", state->transient);
    assert_number(expected, "policy_bounces", state->policy_bounces);
    assert_number(expected, "unknown", state->unknown);
    assert_number(expected, "deliveries", state->deliveries);
    assert_number(expected, "overrides", state->overrides);
    assert_number(expected, "suppressions", state->suppressions);
    assert_number(expected, "source_offset", state->source_offset);
    assert_int_equal(json_array_size(json_object_get(expected, "openings")), state->opening_count);
    for (int i = 0; i < state->opening_count; i++)
        assert_true(number_at(json_object_get(expected, "openings"), (size_t)i) ==
                    state->openings_ms[i]);
    assert_hashes(json_object_get(expected, "recent_events"), state->recent_events,
                  state->recent_event_count);
    assert_hashes(json_object_get(expected, "recent_commands"), state->recent_commands,
                  state->recent_command_count);
}

static void stories_end_as_in_the_reference(void **state)
{
    (void)state;
    size_t i, j;
    json_t *story, *step;
    assert_int_equal(json_array_size(json_object_get(vectors, "stories")), 4);
    json_array_foreach(json_object_get(vectors, "stories"), i, story)
    {
        struct world world;
        world_init(&world);
        json_array_foreach(json_object_get(story, "steps"), j, step)
        {
            play(&world, json_object_get(step, "step"));
            json_t *outputs = outputs_of(&world.effects);
            if (!json_equal(outputs, json_object_get(step, "outputs")))
                fail_msg("%s, step %zu: %s", text_of(json_object_get(story, "story")).data, j,
                         json_dumps(outputs, JSON_INDENT(1) | JSON_SORT_KEYS));
            json_decref(outputs);
        }
        assert_state(world.state, json_object_get(story, "state"));
    }
}

/* jansson refuses numbers above 2^63: the unsigned forms of the hashes become 0. */
static void blank_unsigned(char *text)
{
    static const char key[] = "\"unsigned\": ";
    for (char *at = strstr(text, key); at; at = strstr(at, key)) {
        at += sizeof(key) - 1;
        *at++ = '0';
        for (; *at >= '0' && *at <= '9'; at++)
            *at = ' ';
    }
}

static int load(void **state)
{
    (void)state;
    static char text[1 << 20];
    json_error_t error;
    FILE *file = fopen(SOURCE_DIR "/tests/data/vectors.json", "r");
    if (!file)
        return -1;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    blank_unsigned(text);
    vectors = json_loads(text, 0, &error);
    if (!vectors)
        fprintf(stderr, "vectors.json:%d: %s\n", error.line, error.text);
    return vectors ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_those_of_the_reference),
        cmocka_unit_test(keys_and_partitions_are_those_of_the_reference),
        cmocka_unit_test(canonical_forms_are_those_of_the_reference),
        cmocka_unit_test(hashes_are_those_of_the_reference),
        cmocka_unit_test(stories_end_as_in_the_reference),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
