/* The rules of the topics. The requests are in topics_admin.c. */
#include "kafka/topics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "kafka/facts.h"
#include "kafka/scan.h"
#include "kafka/topics_parts.h"

#define DAY_MS (24LL * 3600 * 1000)
#define MARGIN_MS (7 * DAY_MS)                 /* of the delayed topic over the longest delay */
#define TIMESTAMP_AFTER_MAX_MS (3600 * 1000LL) /* semantics §4 */
#define MESSAGE_BYTES_MIN 1048588LL /* a batch of ours reaches 1 MB: Kafka's own default */
#define HEADERS_BYTES 65536LL       /* what a dead letter adds to its record, amply */
#define PRODUCER_BYTES 16777216LL   /* our default of kafka.message.max.bytes */

/* --- settings --- */

static int64_t number_of(const char *text, int64_t otherwise)
{
    char *end;
    long long number = strtoll(text, &end, 10);
    return *text && !*end ? number : otherwise;
}

static bool is_kept(int64_t retention_ms, int64_t wanted_ms)
{
    return retention_ms < 0 || retention_ms >= wanted_ms;
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = strstr(list, word); at; at = strstr(at + len, word))
        if ((at == list || at[-1] == ',') && (!at[len] || at[len] == ','))
            return true;
    return false;
}

/* The limit that the topic's records and batches need. */
static int64_t message_bytes_needed(enum topic topic, int64_t input_message_bytes)
{
    if (topic != TOPIC_DEAD_LETTERS)
        return MESSAGE_BYTES_MIN;
    int64_t needed = input_message_bytes + HEADERS_BYTES;
    return needed > MESSAGE_BYTES_MIN ? needed : MESSAGE_BYTES_MIN;
}

struct values {
    struct topics_value *items;
    int count;
};

static void add_text(struct values *values, const char *name, const char *value)
{
    values->items[values->count].name = name;
    snprintf(values->items[values->count].value, TOPICS_VALUE_MAX, "%s", value);
    values->count++;
}

static void add_number(struct values *values, const char *name, int64_t value)
{
    char text[TOPICS_VALUE_MAX];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    add_text(values, name, text);
}

int topics_new_values(const struct topics_options *options, enum topic topic,
                      int64_t input_message_bytes,
                      struct topics_value ret_values[TOPICS_VALUES_MAX])
{
    struct values values = {ret_values, 0};
    add_text(&values, "cleanup.policy", topic == TOPIC_RECIPIENTS ? "compact" : "delete");
    add_number(&values, "max.message.bytes", message_bytes_needed(topic, input_message_bytes));
    if (options->replication >= 3) /* acks=all says little with one replica in sync */
        add_text(&values, "min.insync.replicas", "2");
    switch (topic) {
    case TOPIC_BOUNCES:
        add_number(&values, "message.timestamp.after.max.ms", TIMESTAMP_AFTER_MAX_MS);
        break;
    case TOPIC_RECIPIENTS:
        /* Small segments, so that a restore reads little more than the live states; a forgotten
         * recipient is gone from the log within a week, its tombstone a week later. */
        add_text(&values, "segment.bytes", "67108864");
        add_text(&values, "min.cleanable.dirty.ratio", "0.3");
        add_number(&values, "max.compaction.lag.ms", 7 * DAY_MS);
        add_number(&values, "delete.retention.ms", 7 * DAY_MS);
        break;
    case TOPIC_DELAYED:
        add_number(&values, "retention.ms", options->delay_longest_ms + MARGIN_MS);
        add_number(&values, "retention.bytes", -1);
        break;
    case TOPIC_DEAD_LETTERS:
        add_number(&values, "retention.ms", 30 * DAY_MS);
        break;
    case TOPIC_DUE:
    case TOPIC_SUPPRESSIONS:
    case TOPIC_NOTICES:
    case TOPIC_COUNT:
        break;
    }
    return values.count;
}

/* --- comparing --- */

struct comparison {
    const struct topics_options *options;
    struct client *client;
    struct live_topics live;
    int64_t input_message_bytes;
    struct topics_plan *plan;
};

static struct topics_change *change(struct comparison *comparison, enum topic topic,
                                    enum topics_change_kind kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static struct topics_change *change(struct comparison *comparison, enum topic topic,
                                    enum topics_change_kind kind, const char *format, ...)
{
    va_list args;
    struct topics_plan *plan = comparison->plan;
    struct topics_change *added = &plan->changes[plan->count];
    if (plan->count < TOPICS_CHANGES_MAX - 1)
        plan->count++;
    *added = (struct topics_change){.topic = topic, .kind = kind};
    va_start(args, format);
    vsnprintf(added->text, sizeof(added->text), format, args);
    va_end(args);
    return added;
}

static struct topics_change *configure(struct comparison *comparison, enum topic topic,
                                       enum topics_setting setting, const char *to, const char *why)
{
    const char *from = comparison->live.topics[topic].values[setting];
    struct topics_change *added =
        change(comparison, topic, TOPICS_CONFIG, "topic %s has %s=%s: %s",
               comparison->options->topics[topic], topics_setting_names[setting], from, why);
    added->setting = topics_setting_names[setting];
    snprintf(added->from, sizeof(added->from), "%s", from);
    snprintf(added->to, sizeof(added->to), "%s", to);
    return added;
}

static struct topics_change *configure_number(struct comparison *comparison, enum topic topic,
                                              enum topics_setting setting, int64_t to,
                                              const char *why)
{
    char text[TOPICS_VALUE_MAX];
    snprintf(text, sizeof(text), "%lld", (long long)to);
    return configure(comparison, topic, setting, text, why);
}

static void compare_cleanup(struct comparison *comparison, enum topic topic)
{
    const char *policy = comparison->live.topics[topic].values[SETTING_CLEANUP];
    bool compact = has_word(policy, "compact");
    if (topic == TOPIC_RECIPIENTS && (!compact || has_word(policy, "delete")))
        configure(comparison, topic, SETTING_CLEANUP, "compact",
                  "it must be compacted and nothing else, for it holds the state");
    if (compact && (topic == TOPIC_BOUNCES || topic == TOPIC_DELAYED || topic == TOPIC_DUE ||
                    topic == TOPIC_DEAD_LETTERS))
        configure(comparison, topic, SETTING_CLEANUP, "delete",
                  "compaction would drop records that are still needed");
}

static void compare_input(struct comparison *comparison)
{
    const struct topics_options *options = comparison->options;
    const struct live_topic *live = &comparison->live.topics[TOPIC_BOUNCES];
    int64_t after_ms = number_of(live->values[SETTING_TIMESTAMP_AFTER], INT64_MAX);
    int64_t retention_ms = number_of(live->values[SETTING_RETENTION], -1);
    int64_t limit = PRODUCER_BYTES;
    for (int i = 0; i < options->properties.count; i++)
        if (strcmp(options->properties.items[i].name, "message.max.bytes") == 0)
            limit = number_of(options->properties.items[i].value, limit);
    if (strcmp(live->values[SETTING_TIMESTAMP_TYPE], "LogAppendTime") != 0 &&
        after_ms > TIMESTAMP_AFTER_MAX_MS)
        configure_number(comparison, TOPIC_BOUNCES, SETTING_TIMESTAMP_AFTER, TIMESTAMP_AFTER_MAX_MS,
                         "one record stamped far ahead would lapse a whole partition");
    if (options->recipient_retention_ms && is_kept(retention_ms, options->recipient_retention_ms))
        change(
            comparison, TOPIC_BOUNCES, TOPICS_FAULT,
            "topic %s is kept for as long as recipients are (retention.ms=%s), so a replay would "
            "find recipients that had expired: set recipient.retention above it, or the topic's "
            "retention below it",
            options->topics[TOPIC_BOUNCES], live->values[SETTING_RETENTION])
            ->advice = true;
    if (comparison->input_message_bytes + HEADERS_BYTES > limit)
        change(comparison, TOPIC_BOUNCES, TOPICS_FAULT,
               "topic %s takes records of %lld octets, which we could not pass on: set "
               "kafka.message.max.bytes to %lld at least",
               options->topics[TOPIC_BOUNCES], (long long)comparison->input_message_bytes,
               (long long)(comparison->input_message_bytes + HEADERS_BYTES));
}

static void compare_delayed(struct comparison *comparison)
{
    const struct live_topic *live = &comparison->live.topics[TOPIC_DELAYED];
    int64_t wanted_ms = comparison->options->delay_longest_ms + MARGIN_MS;
    if (!is_kept(number_of(live->values[SETTING_RETENTION], -1), wanted_ms))
        configure_number(comparison, TOPIC_DELAYED, SETTING_RETENTION, wanted_ms,
                         "a command must outlast the longest delay by a week");
    if (number_of(live->values[SETTING_RETENTION_BYTES], -1) >= 0)
        configure_number(comparison, TOPIC_DELAYED, SETTING_RETENTION_BYTES, -1,
                         "commands must not be dropped before they are due, however many");
}

static void compare_settings(struct comparison *comparison, enum topic topic)
{
    const struct live_topic *live = &comparison->live.topics[topic];
    int64_t needed = message_bytes_needed(topic, comparison->input_message_bytes);
    if (!live->exists)
        return;
    compare_cleanup(comparison, topic);
    if (number_of(live->values[SETTING_MESSAGE_BYTES], INT64_MAX) < needed)
        configure_number(comparison, topic, SETTING_MESSAGE_BYTES, needed,
                         topic == TOPIC_DEAD_LETTERS ? "a dead letter is larger than its record"
                                                     : "our batches reach a megabyte")
            ->advice = topic == TOPIC_DEAD_LETTERS; /* only one of the largest size would not fit */
    if (topic == TOPIC_BOUNCES)
        compare_input(comparison);
    if (topic == TOPIC_DELAYED)
        compare_delayed(comparison);
}

/* Partitions a topic has, or will have once created. */
static int32_t width_of(const struct comparison *comparison, enum topic topic)
{
    const struct live_topic *live = comparison->live.topics;
    int32_t wanted = comparison->options->partitions;
    int32_t delayed = live[TOPIC_DELAYED].exists ? live[TOPIC_DELAYED].partitions : wanted;
    if (live[topic].exists)
        return live[topic].partitions;
    if (topic == TOPIC_RECIPIENTS && live[TOPIC_BOUNCES].exists)
        return live[TOPIC_BOUNCES].partitions;
    if (topic == TOPIC_BOUNCES && live[TOPIC_RECIPIENTS].exists)
        return live[TOPIC_RECIPIENTS].partitions;
    return topic == TOPIC_DUE && delayed > wanted ? delayed : wanted;
}

static void widen(struct comparison *comparison, enum topic topic, int32_t to, const char *why)
{
    int32_t from = comparison->live.topics[topic].partitions;
    struct topics_change *added =
        change(comparison, topic, TOPICS_PARTITIONS, "topic %s has %d partitions, not %d: %s",
               comparison->options->topics[topic], from, to, why);
    snprintf(added->from, sizeof(added->from), "%d", from);
    snprintf(added->to, sizeof(added->to), "%d", to);
}

static enum rcode compare_widths(struct comparison *comparison, struct err *err)
{
    const char *const *names = comparison->options->topics;
    int32_t bounces = width_of(comparison, TOPIC_BOUNCES);
    int32_t recipients = width_of(comparison, TOPIC_RECIPIENTS);
    int32_t delayed = width_of(comparison, TOPIC_DELAYED);
    if (bounces != recipients && topics_is_wanted(comparison->options, TOPIC_BOUNCES)) {
        enum topic narrow = bounces < recipients ? TOPIC_BOUNCES : TOPIC_RECIPIENTS;
        bool unused;
        enum rcode rc = topics_unused(comparison->client, names[narrow],
                                      width_of(comparison, narrow), &unused, err);
        if (rc != OK)
            return rc;
        if (unused)
            widen(comparison, narrow, bounces < recipients ? recipients : bounces,
                  "the state lies partition for partition beside the input");
        else
            change(
                comparison, narrow, TOPICS_FAULT,
                "topic %s has %d partitions, topic %s %d: the state lies partition for partition "
                "beside the input. `rimbalzo reshard` carries it over to more partitions",
                names[TOPIC_BOUNCES], bounces, names[TOPIC_RECIPIENTS], recipients);
    }
    if (width_of(comparison, TOPIC_DUE) < delayed)
        widen(comparison, TOPIC_DUE, delayed,
              "each partition of the delayed topic has its certificate on the same one of this");
    return OK;
}

static enum rcode compare_existence(struct comparison *comparison, struct err *err)
{
    const struct topics_options *options = comparison->options;
    for (int i = 0; i < TOPIC_COUNT; i++) {
        if (comparison->live.topics[i].exists || !topics_is_wanted(options, (enum topic)i))
            continue;
        if (options->replication > comparison->live.brokers)
            return err_set(err, E_CONFIG,
                           "topics.replication: %d replicas of topic %s need as many brokers, and "
                           "the cluster has %d: set it to %d or less",
                           options->replication, options->topics[i], comparison->live.brokers,
                           comparison->live.brokers);
        struct topics_change *added = change(comparison, (enum topic)i, TOPICS_CREATE,
                                             "topic %s does not exist", options->topics[i]);
        snprintf(added->to, sizeof(added->to), "%d", width_of(comparison, (enum topic)i));
    }
    return OK;
}

static int64_t input_message_bytes(const struct live_topics *live)
{
    return live->topics[TOPIC_BOUNCES].exists
               ? number_of(live->topics[TOPIC_BOUNCES].values[SETTING_MESSAGE_BYTES],
                           MESSAGE_BYTES_MIN)
               : MESSAGE_BYTES_MIN;
}

static enum rcode compare(const struct topics_options *options, struct client *client,
                          struct topics_plan *plan, struct live_topics *ret_live, struct err *err)
{
    struct comparison comparison = {.options = options, .client = client, .plan = plan};
    plan->count = 0;
    enum rcode rc = topics_describe(client, options, &comparison.live, err);
    if (rc == OK)
        rc = compare_existence(&comparison, err);
    if (rc == OK)
        rc = compare_widths(&comparison, err);
    comparison.input_message_bytes = input_message_bytes(&comparison.live);
    for (int i = 0; rc == OK && i < TOPIC_COUNT; i++)
        if (topics_is_wanted(options, (enum topic)i))
            compare_settings(&comparison, (enum topic)i);
    if (rc == OK)
        *ret_live = comparison.live;
    return rc;
}

static enum rcode open_client(const struct topics_options *options, struct scan *scan,
                              struct err *err)
{
    return scan_open(scan, "topics", options->properties, client_reader_defaults, options->group,
                     err);
}

enum rcode topics_plan(const struct topics_options *options, struct topics_plan *ret_plan,
                       struct err *err)
{
    struct scan scan;
    struct live_topics live;
    enum rcode rc = open_client(options, &scan, err);
    if (rc != OK)
        return rc;
    rc = compare(options, scan.client, ret_plan, &live, err);
    scan_close(&scan);
    return rc;
}

/* --- applying --- */

static enum rcode apply_change(struct client *client, const struct topics_options *options,
                               int64_t message_bytes, const struct topics_change *todo,
                               struct err *err)
{
    const char *name = options->topics[todo->topic];
    struct topics_value values[TOPICS_VALUES_MAX];
    int32_t partitions = (int32_t)number_of(todo->to, 0);
    int value_count;
    enum rcode rc = OK;
    switch (todo->kind) {
    case TOPICS_CREATE:
        value_count = topics_new_values(options, todo->topic, message_bytes, values);
        rc =
            topics_create(client, name, partitions, options->replication, values, value_count, err);
        return rc == OK ? topics_await(client, name, partitions, err) : rc;
    case TOPICS_PARTITIONS:
        rc = topics_widen(client, name, partitions, err);
        return rc == OK ? topics_await(client, name, partitions, err) : rc;
    case TOPICS_CONFIG:
        return topics_configure(client, name, todo->setting, todo->to, err);
    case TOPICS_FAULT:
        break;
    }
    return OK;
}

enum rcode topics_apply(const struct topics_options *options, const struct topics_plan *plan,
                        struct err *err)
{
    struct scan scan;
    struct live_topics live;
    enum rcode rc = open_client(options, &scan, err);
    if (rc != OK)
        return rc;
    rc = topics_describe(scan.client, options, &live, err);
    for (int i = 0; rc == OK && i < plan->count; i++)
        rc = apply_change(scan.client, options, input_message_bytes(&live), &plan->changes[i], err);
    scan_close(&scan);
    return rc;
}

/* --- checking --- */

static enum rcode verdict(const struct topics_plan *plan, struct err *err)
{
    struct buf text;
    bool mendable = false;
    buf_init(&text);
    for (int i = 0; i < plan->count; i++) {
        const struct topics_change *found = &plan->changes[i];
        if (found->advice) {
            log_warn("topics_advice", found->text);
            continue;
        }
        buf_printf(&text, "%s%s", text.len ? "; " : "", found->text);
        mendable |= found->kind != TOPICS_FAULT;
    }
    if (!text.len)
        return OK;
    /* Of a long list the beginning, so that what to do is not cut off. */
    err_set(err, E_TOPICS, "%.*s%s", (int)(text.len > 900 ? 900 : text.len), text.data,
            mendable ? ": `rimbalzo topics apply` mends it" : "");
    buf_deinit(&text);
    return E_TOPICS;
}

static enum rcode collect(struct client *client, const struct live_topics *live,
                          struct topics_facts *ret_facts, struct err *err)
{
    struct arena arena;
    struct str id;
    arena_init(&arena);
    enum rcode rc = facts_cluster_id(client, &arena, &id, err);
    if (rc == OK) {
        ret_facts->cluster_id = mem_strdup(id.data);
        for (int i = 0; i < TOPIC_COUNT; i++)
            ret_facts->partition_counts[i] = live->topics[i].partitions;
        ret_facts->delete_retention_ms =
            number_of(live->topics[TOPIC_RECIPIENTS].values[SETTING_DELETE_RETENTION], DAY_MS);
    }
    arena_deinit(&arena);
    return rc;
}

void topics_facts_deinit(struct topics_facts *facts)
{
    mem_free(facts->cluster_id);
    *facts = (struct topics_facts){0};
}

enum rcode topics_check(const struct topics_options *options, struct topics_facts *ret_facts,
                        struct err *err)
{
    struct scan scan;
    struct live_topics live;
    struct topics_plan *plan = mem_zalloc(sizeof(*plan));
    enum rcode rc = open_client(options, &scan, err);
    if (rc != OK)
        goto out;
    rc = compare(options, scan.client, plan, &live, err);
    if (rc == OK)
        rc = verdict(plan, err);
    if (rc == OK && ret_facts)
        rc = collect(scan.client, &live, ret_facts, err);
    scan_close(&scan);
out:
    mem_free(plan);
    return rc;
}

/* --- how long things are kept --- */

enum rcode topics_keeping(const struct topics_options *options,
                          struct topics_keeping ret_keeping[TOPIC_COUNT], struct err *err)
{
    struct scan scan;
    struct live_topics live;
    enum rcode rc = open_client(options, &scan, err);
    if (rc != OK)
        return rc;
    rc = topics_describe(scan.client, options, &live, err);
    scan_close(&scan);
    for (int i = 0; rc == OK && i < TOPIC_COUNT; i++) {
        const struct live_topic *topic = &live.topics[i];
        bool compacted = strstr(topic->values[SETTING_CLEANUP], "compact") != NULL;
        ret_keeping[i] = (struct topics_keeping){
            .exists = topic->exists,
            .compacted = compacted,
            .retention_ms = number_of(
                topic->values[compacted ? SETTING_DELETE_RETENTION : SETTING_RETENTION], -1),
            .retention_bytes =
                compacted ? -1 : number_of(topic->values[SETTING_RETENTION_BYTES], -1),
        };
    }
    return rc;
}
