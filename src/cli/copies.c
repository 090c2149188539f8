#include "cli/copies.h"

#include "base/clock.h"
#include "cli/topics_setup.h"

static const char *const columns[] = {"topic",      "holds",           "cleanup", "retention_ms",
                                      "gone_after", "retention_bytes", "note"};
#define COLUMN_COUNT ((int)(sizeof(columns) / sizeof(columns[0])))

static const char *const contents[TOPIC_COUNT] = {
    [TOPIC_BOUNCES] = "bounces, deliveries and overrides, with the diagnostic texts",
    [TOPIC_RECIPIENTS] = "the state; a tombstone once it is forgotten",
    [TOPIC_DELAYED] = "retry commands and their CANCEL",
    [TOPIC_DUE] = "retry commands that were released",
    [TOPIC_SUPPRESSIONS] = "suppressions and reinstatements",
    [TOPIC_NOTICES] = "notices",
    [TOPIC_DEAD_LETTERS] = "records that could not be used, whole",
};

static const char *note_of(const struct topics_keeping *keeping)
{
    if (!keeping->exists)
        return "there is no such topic";
    if (keeping->compacted)
        return "older states go when the log is compacted, the tombstone after gone_after";
    if (keeping->retention_ms < 0)
        return "kept for ever: lower retention.ms";
    return "copies go with their whole segment, older ones before, never sooner than this";
}

enum rcode copies_show(const struct settings *settings, enum output_format format, struct err *err)
{
    struct topics_keeping keeping[TOPIC_COUNT];
    struct deployment deployment;
    struct output output;
    int64_t now_ms = clock_wall_ms();
    enum rcode rc = deployment_init(&deployment, settings->config, err);
    struct topics_options topics = topics_setup(settings->config, &deployment);
    if (rc == OK)
        rc = topics_keeping(&topics, keeping, err);
    if (rc == OK) {
        output_begin(&output, format, stdout, columns, COLUMN_COUNT);
        for (int i = 0; i < TOPIC_COUNT; i++) {
            const struct topics_keeping *of = &keeping[i];
            struct cell none = cell_text(STR_NULL);
            char time[32] = "";
            bool ends =
                of->exists && of->retention_ms >= 0 && of->retention_ms < TIME_MAX_MS - now_ms;
            if (ends)
                clock_format(now_ms + of->retention_ms, time);
            const struct cell cells[COLUMN_COUNT] = {
                cell_text(str_of(topics.topics[i])),
                cell_text(str_of(contents[i])),
                of->exists ? cell_text(str_of(of->compacted ? "compact" : "delete")) : none,
                of->exists && of->retention_ms >= 0 ? cell_number(of->retention_ms) : none,
                ends ? cell_text(str_of(time)) : none,
                of->exists && of->retention_bytes >= 0 ? cell_number(of->retention_bytes) : none,
                cell_text(str_of(note_of(of))),
            };
            output_row(&output, cells);
        }
        output_end(&output);
    }
    deployment_deinit(&deployment);
    return rc;
}
