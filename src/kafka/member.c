/*
 * The consumer of the port. What keeps it exact:
 *
 * Nothing is assigned to librdkafka when the group gives partitions: a logical start offset and a
 * later seek can lose records (librdkafka#2256). Fetching starts with member_assign, at explicit
 * offsets.
 *
 * member_assign replaces the whole assignment, also to seek. librdkafka raises its version barrier
 * for every partition before rd_kafka_assign returns: nothing fetched before is delivered after.
 * Only an out-of-range error passes that barrier; it is believed at or beyond the next offset
 * expected, and ignored below it.
 *
 * What a poll had taken when a rebalance was served within it is thrown away: the listener may just
 * have committed up to a place before it.
 *
 * When its session times out (no broker answered for that long), librdkafka forgets its member id,
 * yet goes on sending heartbeats until the application has served the rebalance. A broker that gets
 * one of them answers that this static member is fenced, which is fatal, although nobody has taken
 * its place: then the consumer is replaced by a new one, and its partitions are lost.
 *
 * Nor is it true of a member that has yet to get its place, for the first time or again: a broker
 * that was silent finds several requests to join, those that the member had given up among them,
 * and takes each for a new process that replaces the one before. Such a member joins again too. If
 * there is another process after all, that one is fenced in turn, at its place; a member that has
 * both an id and a place believes it, and the process must end.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "kafka/port_parts.h"

#define TROUBLE_INTERVAL_MS 5000
#define REPLACE_DEADLINE_MS 1000

static const struct kafka_property member_defaults[] = {
    {"client.id", "rimbalzo"},
    {"fetch.queue.backoff.ms", "10"}, /* else it sleeps up to 1 s whenever its queue is full */
    {"fetch.wait.max.ms", "100"},
    {"queued.max.messages.kbytes", "16384"},
    {"queued.min.messages", "100000"},
    {"reconnect.backoff.max.ms", "2000"},
    {"socket.keepalive.enable", "true"},
    {"statistics.interval.ms", "5000"},
    {"log.connection.close", "false"},
    {NULL, NULL},
};

/* --- callbacks, served inside poll --- */

static void trouble(struct member *member, enum rcode rcode, const char *text)
{
    int64_t now_ms = clock_monotonic_ms();
    if (rcode_disposition(rcode) != DISPOSITION_RETRY)
        member->told_ms = 0;
    if (member->told_ms && now_ms - member->told_ms < TROUBLE_INTERVAL_MS) {
        member->untold++;
        return;
    }
    if (member->failed && rcode_disposition(rcode) == DISPOSITION_RETRY)
        return;
    member->failed = true;
    member->interrupted = true;
    err_set(&member->failure, rcode, "%s", text);
    rd_kafka_yield(member->client->handle);
}

static void on_error(void *context, rd_kafka_resp_err_t code, const char *text)
{
    struct kafka_port *self = context;
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        self->member.interrupted = true; /* poll asks for it at its end */
    else
        trouble(&self->member, client_rcode(code, E_BROKER_UNREACHABLE), text);
}

static void note_out_of_range(struct kafka_port *self, const rd_kafka_message_t *message)
{
    struct member *member = &self->member;
    int64_t start = offsets_get(&member->fetched.start, message->partition);
    int64_t next = offsets_get(&member->fetched.next, message->partition);
    int64_t expected = next < 0 ? start : next;
    if (start < 0 || message->offset < expected || member->out_of_range_count == TROUBLES_MAX)
        return;
    member->interrupted = true;
    member->out_of_range[member->out_of_range_count++] =
        (struct port_position){message->partition, message->offset};
}

static void on_message_error(void *context, const rd_kafka_message_t *message)
{
    struct kafka_port *self = context;
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR__LOG_TRUNCATION) {
        note_out_of_range(self, message);
        return;
    }
    enum rcode rcode = client_rcode(message->err, E_LOG_RETRIABLE);
    if (message->err == RD_KAFKA_RESP_ERR__FATAL)
        self->member.interrupted = true;
    else if (rcode == E_TOPICS) /* a broker that has just started does not know its topics yet */
        trouble(&self->member, E_LOG_RETRIABLE, rd_kafka_message_errstr(message));
    else
        trouble(&self->member, rcode, rd_kafka_message_errstr(message));
}

static void revoke(struct kafka_port *self, bool lost)
{
    struct member *member = &self->member;
    int count = member->owned_count;
    if (count && self->port.listener.revoked)
        self->port.listener.revoked(self->port.listener.context, member->owned, count, lost);
    fetched_assign(&member->fetched, NULL, 0);
    member->out_of_range_count = 0;
    member->owned_count = 0;
}

static void rebalance(struct kafka_port *self, rd_kafka_resp_err_t code,
                      rd_kafka_topic_partition_list_t *partitions)
{
    struct member *member = &self->member;
    rd_kafka_t *handle = member->client->handle;
    member->interrupted = true;
    member->rebalanced = true;
    if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        bool lost =
            code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS || rd_kafka_assignment_lost(handle) != 0;
        member->settled &= !lost;
        revoke(self, lost);
        rd_kafka_assign(handle, NULL);
        return;
    }
    member->settled = true;
    if (member->owned_count)
        revoke(self, true); /* cannot be: the group revokes before it assigns */
    member->owned = mem_realloc(member->owned, (size_t)partitions->cnt * sizeof(member->owned[0]));
    for (int i = 0; i < partitions->cnt; i++)
        member->owned[i] = partitions->elems[i].partition;
    member->owned_count = partitions->cnt;
    rd_kafka_topic_partition_list_t *nothing = rd_kafka_topic_partition_list_new(0);
    rd_kafka_assign(handle, nothing);
    rd_kafka_topic_partition_list_destroy(nothing);
    if (member->owned_count && self->port.listener.assigned)
        self->port.listener.assigned(self->port.listener.context, member->owned,
                                     member->owned_count);
}

static void on_rebalance(void *context, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions)
{
    struct kafka_port *self = context;
    rebalance(self, code, partitions);
    rd_kafka_yield(self->member.client->handle); /* poll returns at once, not at its timeout */
}

static void on_statistics(void *context, const struct statistics *statistics)
{
    kafka_port_tell(context, KAFKA_CONSUMER, statistics);
}

/* --- life --- */

enum rcode member_open(struct kafka_port *self, struct err *err)
{
    struct member *member = &self->member;
    struct kafka_property required[] = {
        {"group.id", self->group},
        {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"}, /* they tell the position past control records */
        {"auto.offset.reset", "error"},
        {"partition.assignment.strategy", "range"},
        {"group.instance.id", self->instance},
        {NULL, NULL},
    };
    struct client_options options = {
        .type = RD_KAFKA_CONSUMER,
        .role = "consumer",
        .properties = kafka_port_properties(self),
        .defaults = member_defaults,
        .required = required,
        .context = self,
        .on_error = on_error,
        .on_rebalance = on_rebalance,
        .on_statistics = on_statistics,
    };
    enum rcode rc = client_new(&options, &member->client, err);
    if (rc != OK)
        return rc;
    member->queue = rd_kafka_queue_get_consumer(member->client->handle);
    member->fetched.context = self;
    member->fetched.on_error = on_message_error;
    return OK;
}

static enum rcode member_subscribe(struct kafka_port *self, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, self->topics[self->port.input], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(self->member.client->handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return client_fail(err, code, E_CONFIG, "joining the group");
    self->member.subscribed = true;
    return OK;
}

void member_close(struct kafka_port *self, int deadline_ms)
{
    struct member *member = &self->member;
    if (!member->client)
        return;
    fetched_deinit(&member->fetched);
    rd_kafka_queue_destroy(member->queue);
    /* A static member keeps its place until its session ends; a dynamic one leaves. */
    client_free(member->client, !self->instance, deadline_ms);
    mem_free(member->owned);
    *member = (struct member){0};
    atomic_store(&self->statistics[KAFKA_CONSUMER].told, false);
}

/* --- poll --- */

/* False: librdkafka has given its membership up by itself. */
static bool has_member_id(struct member *member)
{
    char *id = rd_kafka_memberid(member->client->handle);
    bool has = id && *id;
    if (id)
        rd_kafka_mem_free(member->client->handle, id);
    return has;
}

static enum rcode fatal_error(struct kafka_port *self, struct err *err)
{
    struct member *member = &self->member;
    char text[512];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(member->client->handle, text, sizeof(text));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return OK;
    if (code != RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
        return err_set(err, client_rcode(code, E_BUG), "the consumer cannot go on: %s", text);
    if (has_member_id(member) && member->settled)
        return err_set(err, E_INSTANCE_FENCED,
                       "another process joined group %s as instance %s: its place is taken, or "
                       "`instance` is configured twice",
                       self->group, self->instance ? self->instance : "");
    member->condemned = true;
    revoke(self, true);
    return err_set(
        err, E_LOG_RETRIABLE,
        "the session with group %s ended, no broker answered for too long; joining again",
        self->group);
}

/* Replaces a condemned consumer. Records keep it alive. */
static enum rcode replace(struct kafka_port *self, int timeout_ms, struct err *err)
{
    if (self->member.fetched.count) {
        self->port.ops->wait(&self->port, timeout_ms < 50 ? timeout_ms : 50);
        return err_set(err, E_LOG_RETRIABLE, "records of the last session are still held");
    }
    member_close(self, REPLACE_DEADLINE_MS);
    return member_open(self, err);
}

/* Which way the position is out of range. */
static enum rcode out_of_range(struct kafka_port *self, int32_t *ret_partition, struct err *err)
{
    struct member *member = &self->member;
    struct port_position at = member->out_of_range[member->out_of_range_count - 1];
    const char *topic = self->topics[self->port.input];
    struct port_watermarks marks;
    enum rcode rc =
        self->port.ops->watermarks(&self->port, self->port.input, at.partition, &marks, err);
    if (rc != OK)
        return rc;
    member->out_of_range_count--;
    *ret_partition = at.partition;
    if (at.offset < marks.log_start)
        return err_set(
            err, E_INPUT_TRUNCATED,
            "%s-%d: the next record to read, offset %lld, is not in the log any more: it "
            "starts at %lld",
            topic, at.partition, (long long)at.offset, (long long)marks.log_start);
    return err_set(err, E_TOPIC_RECREATED,
                   "%s-%d: the next record to read, offset %lld, lies beyond the end of the log, "
                   "%lld: the topic was created anew or lost records",
                   topic, at.partition, (long long)at.offset, (long long)marks.high);
}

static enum rcode member_trouble(struct kafka_port *self, struct err *err)
{
    struct member *member = &self->member;
    enum rcode code = member->failure.code;
    member->failed = false;
    member->told_ms = clock_monotonic_ms();
    if (err) {
        *err = member->failure;
        size_t len = strlen(err->text);
        if (member->untold)
            snprintf(err->text + len, sizeof(err->text) - len, " (and %d more like it)",
                     member->untold);
    }
    member->untold = 0;
    return code;
}

enum rcode member_poll(struct port *port, int timeout_ms, size_t max,
                       struct port_record *ret_records, size_t *ret_count, int32_t *ret_partition,
                       struct err *err)
{
    struct kafka_port *self = kafka_port_of(port);
    struct member *member = &self->member;
    *ret_count = 0;
    *ret_partition = -1;
    if (member->condemned) {
        enum rcode rc = replace(self, timeout_ms, err);
        if (rc != OK)
            return rc;
    }
    if (!member->subscribed) {
        enum rcode rc = member_subscribe(self, err);
        if (rc != OK)
            return rc;
    }
    if (member->out_of_range_count) {
        enum rcode rc = out_of_range(self, ret_partition, err);
        if (rcode_disposition(rc) != DISPOSITION_RETRY)
            return rc; /* else the log does not answer yet: the others go on meanwhile */
    }
    member->interrupted = member->failed;
    member->rebalanced = false;
    size_t count =
        fetched_take(&member->fetched, member->queue, timeout_ms, max, &member->interrupted);
    if (member->rebalanced) {
        fetched_drop_last(&member->fetched);
        count = 0;
    }
    enum rcode rc = fatal_error(self, err);
    if (rc != OK) {
        fetched_drop_last(&member->fetched);
        return rc;
    }
    if (count) {
        fetched_records(&member->fetched, ret_records);
        *ret_count = count;
        return OK;
    }
    return member->failed ? member_trouble(self, err) : OK;
}

void member_release(struct port *port)
{
    fetched_release(&kafka_port_of(port)->member.fetched);
}

enum rcode member_assign(struct port *port, const struct port_position *positions, int count,
                         struct err *err)
{
    struct kafka_port *self = kafka_port_of(port);
    struct member *member = &self->member;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, self->topics[port->input], positions[i].partition)
            ->offset = positions[i].offset;
    rd_kafka_resp_err_t code = rd_kafka_assign(member->client->handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return client_fail(err, code, E_LOG_RETRIABLE, "assigning partitions");
    fetched_assign(&member->fetched, positions, count);
    member->out_of_range_count = 0;
    return OK;
}

int64_t member_position(struct port *port, int32_t partition)
{
    return offsets_get(&kafka_port_of(port)->member.fetched.next, partition);
}
