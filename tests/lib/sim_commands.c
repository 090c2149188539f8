/*
 * Commands for dispatchers: from the generator, and one by one.
 *
 * The generator makes commands of few recipients with few ids, so that ids repeat while they are
 * pending and after; due in the past, at once, in a moment or in minutes; too far ahead; with
 * headers, with other keys, in other partitions; cancelled and released; and poison.
 */
#include "sim_commands.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "domain/address.h"
#include "domain/id.h"
#include "sim_support.h"

int64_t sim_wall(const struct sim *sim)
{
    return sim->event_time_ms + memory_cluster_now(sim->cluster);
}

/* --- the generator --- */

static int64_t random_due(struct sim *sim, int64_t now_ms)
{
    switch (sim_random(sim, 12)) {
    case 0:
    case 1:
        return now_ms - (int64_t)sim_random(sim, 5000);
    case 2:
        return now_ms;
    case 3:
    case 4:
    case 5:
        return now_ms + (int64_t)sim_random(sim, 1000);
    case 6:
        return now_ms + (int64_t)sim_random(sim, 300000);
    case 7:
        if (!sim->options.clean && sim_random(sim, 12) == 0)
            return now_ms + sim->options.delay_ms_max + 1 + (int64_t)sim_random(sim, 1000000);
        return now_ms + 500; /* many at once */
    default:
        return now_ms + (int64_t)sim_random(sim, 20000);
    }
}

static void put_garbage(struct sim *sim)
{
    char octets[20];
    size_t len = sim_random(sim, sizeof(octets));
    for (size_t i = 0; i < len; i++)
        octets[i] = (char)sim_random(sim, 256);
    sim_put(sim,
            &(struct port_message){
                .topic = TOPIC_DELAYED,
                .partition = (int32_t)sim_random(sim, (uint64_t)sim->options.partitions),
                .key = sim_random(sim, 2) ? STR("garbage") : STR_NULL,
                .value = sim_random(sim, 5) ? (struct str){octets, len} : STR_NULL},
            -1);
}

static void put_command(struct sim *sim, const struct retry_command *command)
{
    static const struct port_header headers[] = {{STR("traceparent"), STR("00-1-2-01")},
                                                 {STR("none"), STR_NULL},
                                                 {STR("traceparent"), STR("")}};
    char key_text[RECORD_KEY_MAX];
    struct buf value;
    buf_init(&value);
    codec_encode_command(sim->codec, command, &value);
    struct str key = {key_text, identity_key(command->who, key_text)};
    struct port_message message = {.topic = TOPIC_DELAYED,
                                   .partition = hash_partition(key, sim->options.partitions),
                                   .key = key,
                                   .value = buf_view(&value),
                                   .headers = headers,
                                   .header_count = (int)sim_random(sim, 4)};
    if (!sim->options.clean && sim_random(sim, 40) == 0) {
        message.key = sim_random(sim, 2) ? STR("other") : STR_NULL;
        message.partition = (int32_t)sim_random(sim, (uint64_t)sim->options.partitions);
    }
    /* Producers' clocks differ. */
    int64_t now_ms = sim_wall(sim);
    sim_put(sim, &message, now_ms - (int64_t)sim_random(sim, 3) * 700);
    buf_deinit(&value);
}

static void feed_command(struct sim *sim)
{
    char recipient[64], message_id[24];
    int64_t now_ms = sim_wall(sim);
    if (!sim->options.clean && sim_random(sim, 50) == 0) {
        put_garbage(sim);
        return;
    }
    snprintf(recipient, sizeof(recipient), "t%llu@example.com",
             (unsigned long long)sim_random(sim, (uint64_t)sim->options.recipients));
    snprintf(message_id, sizeof(message_id), "m%lld",
             (long long)(sim->produced / 60 * 4 + (int64_t)sim_random(sim, 4)));
    uint64_t action = sim_random(sim, 20);
    struct retry_command command = {
        .action = action < 16   ? COMMAND_SCHEDULE
                  : action < 18 ? COMMAND_CANCEL
                                : COMMAND_RELEASE,
        .who = {sim_random(sim, 6) ? STR("") : STR("acme"), str_of(recipient)},
        .message_id = str_of(message_id),
        .episode = 1,
        .attempt = 1,
        .max_attempts = 4,
        .due_at_ms = random_due(sim, now_ms),
        .issued_at_ms = now_ms,
        .reason = REASON_OTHER,
        .source_offset = sim->produced};
    command.command_id =
        id_schedule(&(struct schedule_id){.who = command.who, .message_id = command.message_id});
    put_command(sim, &command);
    if (sim_random(sim, 25) == 0)
        put_command(sim, &command); /* the very same record */
}

void sim_timers_feed(struct sim *sim, int count)
{
    for (int i = 0; i < count; i++)
        feed_command(sim);
}

/* --- one by one --- */

struct retry_command sim_command(struct sim *sim, enum command_action action, const char *recipient,
                                 const char *message, int64_t due_ms)
{
    struct retry_command command = {.action = action,
                                    .who = {STR(""), str_of(recipient)},
                                    .message_id = str_of(message),
                                    .episode = 1,
                                    .attempt = 1,
                                    .max_attempts = 4,
                                    .due_at_ms = due_ms,
                                    .issued_at_ms = sim_wall(sim),
                                    .reason = REASON_OTHER,
                                    .source_offset = sim->produced};
    command.command_id =
        id_schedule(&(struct schedule_id){.who = command.who, .message_id = command.message_id});
    return command;
}

int64_t sim_put_command(struct sim *sim, const struct retry_command *command)
{
    char key_text[RECORD_KEY_MAX], number[32];
    struct buf value;
    buf_init(&value);
    codec_encode_command(sim->codec, command, &value);
    struct str key = {key_text, identity_key(command->who, key_text)};
    snprintf(number, sizeof(number), "%lld", (long long)sim->produced);
    struct port_header headers[] = {{STR("number"), str_of(number)}, {STR("none"), STR_NULL}};
    int32_t partition = hash_partition(key, sim->options.partitions);
    int64_t offset = memory_watermarks(sim->cluster, TOPIC_DELAYED, partition).high;
    sim_put(sim,
            &(struct port_message){.topic = TOPIC_DELAYED,
                                   .partition = partition,
                                   .key = key,
                                   .value = buf_view(&value),
                                   .headers = headers,
                                   .header_count = 2},
            -1);
    buf_deinit(&value);
    return offset;
}

int64_t sim_schedule(struct sim *sim, const char *recipient, const char *message, int64_t due_ms)
{
    struct retry_command command = sim_command(sim, COMMAND_SCHEDULE, recipient, message, due_ms);
    return sim_put_command(sim, &command);
}

int64_t sim_cancel(struct sim *sim, const char *recipient)
{
    struct retry_command command = sim_command(sim, COMMAND_CANCEL, recipient, NULL, sim_wall(sim));
    return sim_put_command(sim, &command);
}

int64_t sim_release(struct sim *sim, const char *recipient)
{
    struct retry_command command =
        sim_command(sim, COMMAND_RELEASE, recipient, NULL, sim_wall(sim));
    return sim_put_command(sim, &command);
}

/* --- what became of them --- */

bool sim_read_due(const struct sim *sim, int32_t partition, int64_t *inout_offset,
                  struct sim_due *ret_due)
{
    struct err err;
    return memory_read(sim->cluster, TOPIC_DUE, partition, inout_offset, &ret_due->record) &&
           codec_decode_command(sim->codec, ret_due->record.value, &ret_due->command, &err) == OK;
}

const char *sim_due_messages(const struct sim *sim, int32_t partition)
{
    static char text[4000];
    size_t len = 0;
    struct sim_due due;
    text[0] = '\0';
    for (int64_t offset = 0; sim_read_due(sim, partition, &offset, &due) && len < sizeof(text);)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", len ? " " : "",
                                STR_ARG(due.command.message_id));
    return text;
}

void sim_pass(struct sim *sim, int64_t ms)
{
    for (int64_t until = memory_cluster_now(sim->cluster) + ms, now;
         (now = memory_cluster_now(sim->cluster)) < until;) {
        sim_step_all(sim, 1);
        if (memory_cluster_now(sim->cluster) == now) /* nobody waits */
            memory_cluster_advance(sim->cluster, 1);
    }
}

long long sim_outcomes(const struct sim *sim, enum command_outcome outcome)
{
    long long count = 0;
    for (int node = 0; node < SIM_NODES_MAX; node++)
        if (sim->nodes[node].port)
            count += atomic_load(&dispatcher_stats(sim->nodes[node].worker)->commands[outcome]);
    return count;
}

const char *sim_certificate_field(const struct sim *sim, int32_t partition, const char *name)
{
    static char value[PORT_METADATA_MAX + 1];
    char text[PORT_METADATA_MAX + 1], wanted[8];
    snprintf(wanted, sizeof(wanted), " %s=", name);
    sim_certificate(sim, partition, text);
    const char *found = strstr(text, wanted);
    value[0] = '\0';
    if (found)
        snprintf(value, sizeof(value), "%.*s", (int)strcspn(found + strlen(wanted), " "),
                 found + strlen(wanted));
    return value;
}
