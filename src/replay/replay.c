#include "replay/replay.h"

#include "base/arena.h"

struct replay {
    struct port port; /* where the fold sends to; first */
    struct replay_options options;
    struct processor *worker;
};

static enum rcode sink_send(struct port *port, const struct port_message *message, struct err *err)
{
    struct replay *replay = (struct replay *)port;
    (void)err;
    if (replay->options.sent && message->topic != TOPIC_RECIPIENTS)
        replay->options.sent(replay->options.context, message);
    return OK;
}

static const struct port_ops sink_ops = {.send = sink_send};

enum rcode replay_new(const struct replay_options *options, struct replay **ret_replay,
                      struct err *err)
{
    struct replay *replay = mem_zalloc(sizeof(*replay));
    replay->port.ops = &sink_ops;
    replay->port.replays = true;
    replay->options = *options;
    enum rcode rc = worker_new(&options->worker, &replay->worker, err);
    if (rc != OK) {
        mem_free(replay);
        return rc;
    }
    *ret_replay = replay;
    return OK;
}

void replay_free(struct replay *replay)
{
    if (!replay)
        return;
    worker_free(replay->worker);
    mem_free(replay);
}

/* The worker takes the stream time up where a certificate says; here the store says so itself. */
static enum rcode go_on(struct replay *replay, int32_t partition, struct err *err)
{
    const struct store_meta *meta = replay_meta(replay, partition);
    struct certificate certificate = {.input_next = meta->input_next,
                                      .log_next = meta->changelog_next,
                                      .stream_time_ms = meta->stream_time_ms,
                                      .entries = meta->entries,
                                      .digest = meta->digest};
    return replay->worker->ops->restore_finish(replay->worker, partition, &certificate, err);
}

enum rcode replay_open(struct replay *replay, int32_t partition, int64_t *ret_next, struct err *err)
{
    struct local_state local = {0};
    enum rcode rc = replay->worker->ops->open(replay->worker, partition, &local, err);
    if (rc == OK && !local.empty)
        rc = go_on(replay, partition, err);
    if (rc == OK)
        *ret_next = local.empty ? 0 : local.input_next;
    return rc;
}

enum rcode replay_restart(struct replay *replay, int32_t partition, struct err *err)
{
    return replay->worker->ops->discard(replay->worker, partition, err);
}

enum rcode replay_close(struct replay *replay, int32_t partition, bool keep, struct err *err)
{
    if (!keep)
        return worker_remove(replay->worker, partition, err);
    replay->worker->ops->close(replay->worker, partition, true);
    return OK;
}

enum rcode replay_feed(struct replay *replay, int32_t partition, const struct port_record *records,
                       size_t count, int64_t next, struct err *err)
{
    const struct processor_ops *ops = replay->worker->ops;
    struct batch batch = {.port = &replay->port,
                          .records = records,
                          .count = count,
                          .partitions = &partition,
                          .partition_count = 1};
    for (;;) {
        size_t map_size = store_usage(replay_store(replay, partition)).map_size;
        enum rcode rc = ops->process(replay->worker, &batch, err);
        if (rc == OK)
            rc = ops->commit(replay->worker, partition, next, 0, err);
        if (rc == OK)
            return OK;
        ops->abort(replay->worker);
        bool grown = store_usage(replay_store(replay, partition)).map_size > map_size;
        if (rc != E_STORE_MAP_FULL && !grown)
            return rc;
        if (replay->options.again)
            replay->options.again(replay->options.context);
    }
}

enum rcode replay_load(struct replay *replay, int32_t partition, const struct port_record *records,
                       size_t count, int64_t next, struct err *err)
{
    return replay->worker->ops->restore_apply(replay->worker, partition, records, count, next, err);
}

enum rcode replay_certificate(struct replay *replay, const struct port_committed *committed,
                              struct certificate *ret_certificate, struct err *err)
{
    struct str metadata = {committed->metadata, committed->metadata_len};
    return replay->worker->ops->certificate_parse(replay->worker, committed->certificate_offset,
                                                  metadata, ret_certificate, err);
}

const struct store_meta *replay_meta(const struct replay *replay, int32_t partition)
{
    return store_meta(replay_store(replay, partition));
}

struct store *replay_store(const struct replay *replay, int32_t partition)
{
    return worker_store(replay->worker, partition);
}

const struct worker_stats *replay_stats(const struct replay *replay)
{
    return worker_stats(replay->worker);
}
