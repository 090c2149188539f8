/* Topics, and the reader and writer of tools. */
#include <string.h>

#include "base/arena.h"
#include "kafka/reader.h"
#include "kafka/topics_parts.h"
#include "kafka/writer.h"
#include "probe.h"
#include "scenarios.h"

#define DAY_MS (24LL * 3600 * 1000)

static struct kafka_property bootstrap_property[1];

static struct kafka_properties properties(void)
{
    bootstrap_property[0] = (struct kafka_property){"bootstrap.servers", bootstrap};
    return (struct kafka_properties){bootstrap_property, 1};
}

static const char *name_of(enum topic topic)
{
    static char texts[TOPIC_COUNT][128];
    static const char *const names[TOPIC_COUNT] = {
#define X(constant, key, name) name,
        TOPICS(X)
#undef X
    };
    snprintf(texts[topic], sizeof(texts[topic]), "%s%s", prefix, names[topic]);
    return texts[topic];
}

/* --- topics --- */

static struct topics_options options;
static struct topics_plan plan;

/* The one change that is planned. */
static const struct topics_change *only_change(enum topic topic, enum topics_change_kind kind)
{
    CHECK_OK(topics_plan(&options, &plan, &last));
    for (int i = 0; i < plan.count; i++)
        printf("%s\n", plan.changes[i].text);
    CHECK_NUMBER(plan.count, 1);
    CHECK_NUMBER(plan.changes[0].topic, topic);
    CHECK_NUMBER(plan.changes[0].kind, kind);
    return &plan.changes[0];
}

static void mend(void)
{
    /* A broker acts on a changed setting a moment after it has said so. */
    int64_t deadline_ms = clock_monotonic_ms() + 20000;
    if (plan.changes[0].advice) {
        CHECK_OK(topics_check(&options, NULL, &last));
    } else {
        CHECK_CODE(topics_check(&options, NULL, &last), E_TOPICS);
        CHECK(strstr(last.text, "`rimbalzo topics apply` mends it"));
    }
    CHECK_OK(topics_apply(&options, &plan, &last));
    do {
        CHECK(clock_monotonic_ms() < deadline_ms);
        CHECK_OK(topics_plan(&options, &plan, &last));
    } while (plan.count);
}

static void set_and_mend(struct client *client, enum topic topic, const char *setting,
                         const char *value, const char *mended)
{
    const char *name = name_of(topic);
    int64_t deadline_ms = clock_monotonic_ms() + 20000;
    CHECK_OK(topics_configure(client, name, setting, value, &last));
    do {
        CHECK(clock_monotonic_ms() < deadline_ms);
        CHECK_OK(topics_plan(&options, &plan, &last));
    } while (!plan.count);
    const struct topics_change *change = only_change(topic, TOPICS_CONFIG);
    CHECK(strcmp(change->setting, setting) == 0);
    CHECK(strcmp(change->from, value) == 0);
    CHECK(strcmp(change->to, mended) == 0);
    mend();
}

static void settings_are_mended(struct client *client)
{
    set_and_mend(client, TOPIC_RECIPIENTS, "cleanup.policy", "delete", "compact");
    set_and_mend(client, TOPIC_RECIPIENTS, "cleanup.policy", "compact,delete", "compact");
    set_and_mend(client, TOPIC_DELAYED, "cleanup.policy", "compact", "delete");
    set_and_mend(client, TOPIC_DELAYED, "retention.ms", "86400000", "864000000");
    set_and_mend(client, TOPIC_DELAYED, "retention.bytes", "1000000", "-1");
    set_and_mend(client, TOPIC_BOUNCES, "message.timestamp.after.max.ms", "3600001", "3600000");
    set_and_mend(client, TOPIC_NOTICES, "max.message.bytes", "1000", "1048588");
    /* A larger record may come in, so a larger dead letter must go out. */
    CHECK_OK(
        topics_configure(client, name_of(TOPIC_BOUNCES), "max.message.bytes", "5000000", &last));
    CHECK(strcmp(only_change(TOPIC_DEAD_LETTERS, TOPICS_CONFIG)->to, "5065536") == 0);
    mend();
    CHECK_OK(
        topics_configure(client, name_of(TOPIC_BOUNCES), "max.message.bytes", "50000000", &last));
    CHECK_OK(topics_plan(&options, &plan, &last));
    CHECK(plan.count == 2 && strstr(plan.changes[0].text, "kafka.message.max.bytes"));
    CHECK_OK(
        topics_configure(client, name_of(TOPIC_BOUNCES), "max.message.bytes", "5000000", &last));
    /* Stamped by the broker, a record cannot be far ahead. */
    CHECK_OK(topics_configure(client, name_of(TOPIC_BOUNCES), "message.timestamp.type",
                              "LogAppendTime", &last));
    CHECK_OK(topics_configure(client, name_of(TOPIC_BOUNCES), "message.timestamp.after.max.ms",
                              "9223372036854775807", &last));
    probe_pause(500);
    CHECK_OK(topics_check(&options, NULL, &last));
}

static void widths_are_mended(struct client *client)
{
    struct kafka_writer *writer = NULL;
    struct kafka_writer_record record = {
        .topic = name_of(TOPIC_RECIPIENTS), .timestamp_ms = KAFKA_WRITER_NOW, .key = STR("k")};
    CHECK_OK(topics_widen(client, name_of(TOPIC_DELAYED), 4, &last));
    CHECK_OK(topics_await(client, name_of(TOPIC_DELAYED), 4, &last));
    CHECK(strcmp(only_change(TOPIC_DUE, TOPICS_PARTITIONS)->to, "4") == 0);
    mend();
    CHECK_OK(topics_widen(client, name_of(TOPIC_BOUNCES), 4, &last));
    CHECK_OK(topics_await(client, name_of(TOPIC_BOUNCES), 4, &last));
    CHECK(strcmp(only_change(TOPIC_RECIPIENTS, TOPICS_PARTITIONS)->to, "4") == 0);
    mend(); /* nothing was written to it yet */
    CHECK_OK(kafka_writer_open(properties(), NULL, &writer, &last));
    CHECK_OK(kafka_writer_send(writer, &record, &last));
    CHECK_OK(kafka_writer_flush(writer, &last));
    kafka_writer_close(writer);
    CHECK_OK(topics_widen(client, name_of(TOPIC_BOUNCES), 5, &last));
    CHECK_OK(topics_await(client, name_of(TOPIC_BOUNCES), 5, &last));
    only_change(TOPIC_RECIPIENTS, TOPICS_FAULT);
    CHECK_CODE(topics_check(&options, NULL, &last), E_TOPICS);
    CHECK(!strstr(last.text, "mends"));
}

/* test_port.py has created none of the topics. */
void topics_are_made_and_mended(void)
{
    struct topics_facts facts = {0};
    options = (struct topics_options){.properties = properties(),
                                      .group = "group",
                                      .partitions = 3,
                                      .replication = 3,
                                      .delay_longest_ms = 3 * DAY_MS,
                                      .recipient_retention_ms = 400 * DAY_MS};
    for (int i = 0; i < TOPIC_COUNT; i++)
        options.topics[i] = name_of((enum topic)i);
    CHECK_CODE(topics_plan(&options, &plan, &last), E_CONFIG);
    CHECK(strstr(last.text, "topics.replication"));
    options.replication = 1;
    CHECK_CODE(topics_check(&options, &facts, &last), E_TOPICS);
    CHECK_OK(topics_plan(&options, &plan, &last));
    CHECK_NUMBER(plan.count, TOPIC_COUNT);
    for (int i = 0; i < plan.count; i++)
        CHECK(plan.changes[i].kind == TOPICS_CREATE && strcmp(plan.changes[i].to, "3") == 0);
    CHECK_OK(topics_apply(&options, &plan, &last));
    CHECK_OK(topics_apply(&options, &plan, &last)); /* once more does no harm */
    CHECK_OK(topics_check(&options, &facts, &last));
    for (int i = 0; i < TOPIC_COUNT; i++)
        CHECK_NUMBER(facts.partition_counts[i], 3);
    CHECK_NUMBER(facts.delete_retention_ms, 7 * DAY_MS);
    CHECK(strlen(facts.cluster_id) > 10);
    topics_facts_deinit(&facts);
    options.recipient_retention_ms = 6 * DAY_MS; /* the broker keeps records for 7 days */
    only_change(TOPIC_BOUNCES, TOPICS_FAULT);
    options.recipient_retention_ms = 0;

    struct client *client = NULL;
    struct client_options client_options = {
        .type = RD_KAFKA_PRODUCER, .role = "test", .properties = properties()};
    CHECK_OK(client_new(&client_options, &client, &last));
    settings_are_mended(client);
    widths_are_mended(client);
    client_free(client, false, 5000);
}

/* --- reader and writer --- */

static int64_t first_ms; /* timestamp of the first record: recent, or retention takes it away */

struct tally {
    int count;
    int64_t next[2];
    int stop_at;
};

static enum rcode tally_record(void *context, const struct port_record *record, struct err *err)
{
    struct tally *tally = context;
    CHECK(record->partition >= 0 && record->partition < 2);
    CHECK(record->offset >= tally->next[record->partition]);
    CHECK_NUMBER(record->timestamp_ms, first_ms + record->offset);
    CHECK_NUMBER(record->header_count, 1);
    CHECK(str_equal(record->headers[0].value, STR("h")));
    tally->next[record->partition] = record->offset + 1;
    if (++tally->count == tally->stop_at)
        return err_set(err, E_MALFORMED, "enough");
    return OK;
}

static void write_records(struct kafka_writer *writer, int from, int count)
{
    static const struct port_header header = {STR("name"), STR("h")};
    for (int i = from; i < from + count; i++)
        for (int32_t p = 0; p < 2; p++) {
            struct kafka_writer_record record = {.topic = name_of(TOPIC_SUPPRESSIONS),
                                                 .partition = p,
                                                 .timestamp_ms = first_ms + i,
                                                 .key = STR("key"),
                                                 .value = STR("value"),
                                                 .headers = &header,
                                                 .header_count = 1};
            CHECK_OK(kafka_writer_send(writer, &record, &last));
        }
}

void tools_read_what_tools_wrote(void)
{
    struct kafka_writer *writer = NULL;
    struct kafka_reader *reader = NULL;
    char id[64];
    int32_t count;
    struct tally tally = {0};
    struct kafka_reading reading = {.topic = name_of(TOPIC_SUPPRESSIONS),
                                    .partition = -1,
                                    .until = -1,
                                    .context = &tally,
                                    .record = tally_record};
    first_ms = clock_wall_ms() - 60000;
    CHECK_OK(kafka_reader_open(properties(), "group", &reader, &last));
    CHECK_OK(kafka_reader_partition_count(reader, reading.topic, &count, &last));
    CHECK_NUMBER(count, 2);
    CHECK_OK(kafka_reader_read(reader, &reading, &last));
    CHECK_NUMBER(tally.count, 0);
    CHECK_OK(kafka_writer_open(properties(), NULL, &writer, &last));
    write_records(writer, 0, 1000);
    CHECK_OK(kafka_writer_flush(writer, &last));
    CHECK_NUMBER((int64_t)kafka_writer_written(writer), 2000);
    kafka_writer_close(writer);
    snprintf(id, sizeof(id), "%stool", prefix);
    CHECK_OK(kafka_writer_open(properties(), id, &writer, &last));
    CHECK_OK(kafka_writer_begin(writer, &last));
    write_records(writer, 1000, 500);
    CHECK_OK(kafka_writer_abort(writer, &last));
    CHECK_OK(kafka_writer_begin(writer, &last));
    CHECK_OK(kafka_writer_commit(writer, &last));
    kafka_writer_close(writer);
    CHECK_OK(kafka_reader_read(reader, &reading, &last));
    CHECK_NUMBER(tally.count, 2000);
    tally = (struct tally){0};
    reading.partition = 1;
    reading.from = 100;
    reading.until = 200;
    CHECK_OK(kafka_reader_read(reader, &reading, &last));
    CHECK_NUMBER(tally.count, 100);
    CHECK_NUMBER(tally.next[1], 200);
    tally = (struct tally){.stop_at = 7};
    CHECK_CODE(kafka_reader_read(reader, &reading, &last), E_MALFORMED);
    CHECK_NUMBER(tally.count, 7);
    reading.topic = "no-such-topic";
    reading.partition = -1;
    CHECK_CODE(kafka_reader_read(reader, &reading, &last), E_TOPICS);
    kafka_reader_close(reader);
}

/* No broker is asked. */
void properties_that_matter_are_refused(void)
{
    static const struct kafka_property refused[] = {
        {"enable.auto.commit", "true"},    {"isolation.level", "read_uncommitted"},
        {"transactional.id", "mine"},      {"group.id", "mine"},
        {"auto.offset.reset", "earliest"}, {"acks", "1"},
        {"no.such.property", "1"},         {"linger.ms", "soon"}};
    static const struct kafka_property taken[] = {
        {"linger.ms", "20"}, {"session.timeout.ms", "30000"}, {"sasl.password", "secret"}};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        CHECK_CODE(kafka_property_check(&refused[i], &last), E_CONFIG);
        CHECK(strncmp(last.text, "kafka.", 6) == 0 && strstr(last.text, refused[i].name));
    }
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        CHECK_OK(kafka_property_check(&taken[i], &last));
}
