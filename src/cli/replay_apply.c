/* rimbalzo replay apply: the recomputed state becomes the live one, while no worker runs. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "cli/replay_command.h"
#include "cli/replay_show.h"
#include "kafka/group_offsets.h"
#include "kafka/kafka_port.h"
#include "kafka/writer.h"
#include "replay/apply.h"

struct session {
    const struct replay_command *command;
    struct replay_job job;
    struct replay_show show;
    struct apply apply;
    struct port *port; /* NULL: nothing is written */
};

/* --- nobody may run --- */

static enum rcode check_members(const struct session *session, struct err *err)
{
    const struct deployment *deployment = &session->job.deployment;
    struct kafka_group_offsets *offsets = NULL;
    enum rcode rc =
        kafka_group_offsets_open(deployment->properties, deployment->worker_group, &offsets, err);
    if (rc == OK)
        rc = kafka_group_offsets_unused(offsets, err);
    kafka_group_offsets_close(offsets);
    return rc;
}

/* --- the port --- */

static void transactional_id(const struct session *session, int thread, char ret_id[512])
{
    const struct deployment *deployment = &session->job.deployment;
    snprintf(ret_id, 512, "%s-%s-%d", deployment->worker_group, deployment->instance, thread);
}

/* A worker of this instance that was stopped, not ended, may hold transactions. Those of others are
 * kept out by the group: their members are not in it any more. */
static enum rcode fence_threads(const struct session *session, struct err *err)
{
    enum rcode rc = OK;
    for (int i = 1; rc == OK && i < session->command->live.config->worker.threads; i++) {
        char id[512];
        struct kafka_writer *writer = NULL;
        transactional_id(session, i, id);
        rc = kafka_writer_open(session->job.deployment.properties, id, &writer, err);
        kafka_writer_close(writer);
    }
    return rc;
}

static enum rcode open_port(struct session *session, struct err *err)
{
    const struct deployment *deployment = &session->job.deployment;
    char id[512];
    transactional_id(session, 0, id);
    struct kafka_port_options options = {.properties = deployment->properties,
                                         .input = TOPIC_BOUNCES,
                                         .certificate = TOPIC_RECIPIENTS,
                                         .group = deployment->worker_group,
                                         .transactional_id = id};
    memcpy(options.topics, deployment->topics, sizeof(deployment->topics));
    enum rcode rc = fence_threads(session, err);
    return rc == OK ? kafka_port_new(&options, &session->port, err) : rc;
}

/* --- writing --- */

/* Passes on what the input that is left can say something about. */
struct walk {
    struct replay_partition *partition;
    compare_visit *visit;
    void *context;
};

static enum rcode visit(void *context, const struct difference *difference, struct err *err)
{
    struct walk *walk = context;
    if (replay_part_explained(walk->partition, difference))
        return OK;
    return walk->visit(walk->context, difference, err);
}

static enum rcode walk_partition(void *context, compare_visit *inner, void *inner_context,
                                 struct err *err)
{
    struct replay_partition *partition = context;
    struct walk walk = {partition, inner, inner_context};
    return replay_part_compare(partition->worker, partition, visit, &walk, err);
}

static enum rcode write_partition(struct session *session, struct replay_partition *partition,
                                  struct err *err)
{
    const struct store_meta *live = replay_meta(partition->worker->live, partition->partition);
    struct apply_target target = {.partition = partition->partition,
                                  .certificate = partition->certificate,
                                  .live_entries = live->entries,
                                  .live_digest = live->digest,
                                  .stream_time_ms = partition->stream_time_ms,
                                  .standing = partition->worker->standing,
                                  .context = partition,
                                  .walk = walk_partition};
    if (!partition->certified)
        return OK; /* nothing was processed yet */
    if (partition->incomplete)
        target.stream_time_ms = partition->certificate.stream_time_ms;
    return apply_partition(&session->apply, &target, err);
}

static void begin_apply(struct session *session)
{
    struct apply_options options = {.port = session->port,
                                    .codec = session->job.workers[0].codec,
                                    .policies = &session->command->wanted.policies,
                                    .partition_counts = session->job.facts.partition_counts,
                                    .now_ms = clock_wall_ms()};
    apply_init(&session->apply, &options);
}

static enum rcode write_all(struct session *session, struct err *err)
{
    enum rcode rc = OK;
    for (int32_t p = 0; rc == OK && p < session->job.count; p++)
        rc = write_partition(session, &session->job.partitions[p], err);
    return rc;
}

static void tell(const struct session *session, bool done)
{
    const struct apply *apply = &session->apply;
    fprintf(stderr,
            "rimbalzo: %lld recipients in %lld transactions %s: %lld states, %lld "
            "SuppressionEvents, %lld commands\n",
            (long long)apply->recipients, (long long)apply->transactions,
            done ? "were written" : "are to be written", apply->written[TOPIC_RECIPIENTS],
            apply->written[TOPIC_SUPPRESSIONS], apply->written[TOPIC_DELAYED]);
    int64_t dropped = 0;
    for (int i = 0; i < session->job.worker_count; i++)
        dropped += standing_dropped(session->job.workers[i].standing);
    if (dropped)
        fprintf(stderr,
                "rimbalzo: of recipients with more than %d commands only the latest were looked "
                "at: %lld are not scheduled again\n",
                STANDING_COMMANDS_MAX, (long long)dropped);
}

/* What would be written, without a port. */
static enum rcode count_all(struct session *session, struct err *err)
{
    begin_apply(session);
    enum rcode rc = write_all(session, err);
    if (rc == OK)
        tell(session, false);
    return rc;
}

static enum rcode write_for_good(struct session *session, struct err *err)
{
    apply_deinit(&session->apply);
    enum rcode rc = open_port(session, err);
    if (rc != OK)
        return rc;
    begin_apply(session);
    rc = apply_join(&session->apply, session->job.count, err);
    if (rc == OK)
        rc = write_all(session, err);
    tell(session, true);
    return rc;
}

/* --- the command --- */

static enum rcode recompute(struct session *session, int *ret_signal, struct err *err)
{
    const struct replay_command *command = session->command;
    struct replay_job_options options = {.live = &command->live,
                                         .wanted = &command->wanted,
                                         .threads = command->threads,
                                         .dir = command->dir,
                                         .outputs = true,
                                         .context = &session->show,
                                         .differs = replay_show_difference};
    enum rcode rc = replay_job_open(&session->job, &options, err);
    replay_show_begin(&session->show, command->output, command->examples);
    if (rc == OK && !command->dry_run)
        rc = check_members(session, err);
    return rc == OK ? replay_job_run(&session->job, ret_signal, err) : rc;
}

static bool time_differs(const struct replay_job *job)
{
    for (int32_t p = 0; p < job->count; p++) {
        const struct replay_partition *partition = &job->partitions[p];
        if (partition->certified && !partition->incomplete &&
            partition->stream_time_ms != partition->certificate.stream_time_ms)
            return true;
    }
    return false;
}

static int run(struct session *session)
{
    struct err err = {0};
    int number = 0;
    enum rcode rc = recompute(session, &number, &err);
    if (number)
        return EXIT_CODE_SIGNAL + number;
    if (rc != OK)
        return cli_fail(&err);
    if (!replay_show_end(&session->show, &session->job) && !time_differs(&session->job)) {
        fputs("rimbalzo: nothing is to be written\n", stderr);
        return EXIT_CODE_OK;
    }
    rc = count_all(session, &err);
    if (rc == OK && session->command->dry_run)
        return EXIT_CODE_OK;
    if (rc == OK && !session->command->yes &&
        !cli_confirmed("Write this to the recipients topic and the outputs?"))
        return EXIT_CODE_NEGATIVE;
    if (rc == OK)
        rc = write_for_good(session, &err);
    return rc == OK ? EXIT_CODE_OK : cli_fail(&err);
}

int replay_apply(const struct replay_command *command)
{
    struct session session = {.command = command};
    if (!failpoint_init()) {
        fprintf(stderr, "rimbalzo: RIMBALZO_FAILPOINT names no failpoint\n");
        return EXIT_CODE_USAGE;
    }
    int code = run(&session);
    apply_deinit(&session.apply);
    if (session.port)
        session.port->ops->free(session.port);
    replay_job_close(&session.job);
    return cli_finish(code);
}
