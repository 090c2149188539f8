/*
 * Inside of `rimbalzo demo`: the world (demo_world.c: the embedded broker, a worker, what was
 * written), the story (demo_story.c: who bounces, who answers, how it must end) and how it is told
 * (demo_show.c).
 */
#pragma once
#include "cli/cli.h"
#include "codec/record.h"
#include "domain/policy.h"
#include "stream/topic.h"

/* --- the world --- */

extern const char *const demo_topics[TOPIC_COUNT];

/* A record that the worker wrote, with all its octets. What it is follows from the topic. */
struct demo_output {
    enum topic topic;
    int32_t partition;
    int64_t offset;
    struct str key, value;
    struct str dead_reason, dead_text; /* of a dead letter, from its headers */
    union {
        struct recipient state; /* TOPIC_RECIPIENTS */
        struct retry_command command;
        struct suppression_event suppression;
        struct recipient_notice notice;
    };
};

struct demo_world {
    const struct policy_set *policies;
    struct demo_output *outputs; /* in the order in which they were read; see demo_world_feed */
    int output_count;
    int fed; /* records */
    struct codec *codec;
    struct demo_engine *engine;
    struct arena arena;
};

/* Starts the broker and a worker whose state lives in a temporary directory. */
enum rcode demo_world_open(struct demo_world *world, struct err *err) WARN_UNUSED;
/* Ends them and removes the directory. Of an open, half-open or zeroed one. */
void demo_world_close(struct demo_world *world);

/* Produces one record to the input topic, waits until the worker has committed it, and reads what
 * it wrote: outputs[before .. output_count), by topic. A signal: E_TIMEOUT with demo_world_signal
 * set. */
enum rcode demo_world_feed(struct demo_world *world, struct str key, struct str value,
                           int64_t timestamp_ms, struct err *err) WARN_UNUSED;

/* Reads every partition once more: nothing must be where it does not belong. */
enum rcode demo_world_sweep(struct demo_world *world, struct err *err) WARN_UNUSED;

/* The signal that asked to end, or 0. */
int demo_world_signal(const struct demo_world *world);

long long demo_world_duplicates(const struct demo_world *world);
long long demo_world_transactions(const struct demo_world *world);

/* --- the story --- */

/* What happens at one moment, in words for the timeline and as a record. */
struct demo_event {
    int64_t at_ms;
    const char *who;
    const char *what;
    struct str key, value;
};

struct demo_story {
    struct demo_world *world;
    struct retry_command
        *pending; /* mails that wait for their time, in the order of their coming */
    int pending_count;
    int told;               /* how many of the scripted events have happened */
    struct buf what, value; /* of the event */
};

void demo_story_init(struct demo_story *story, struct demo_world *world);
void demo_story_deinit(struct demo_story *story);

/* The next moment of the story, from the script or because a retry is due; false: it is over. Valid
 * until the next call. */
bool demo_story_next(struct demo_story *story, struct demo_event *ret_event);

/* The sender takes note of what the worker wrote: outputs[from .. output_count). */
void demo_story_observe(struct demo_story *story, int from);

/* Compares everything written with how the story must end; appends a line for each difference and
 * returns how many there are. */
int demo_story_differences(const struct demo_story *story, struct buf *out);

/* Minutes since the beginning of day 0. */
int demo_minutes(int64_t time_ms);
/* "day 3 09:00", or "-" for no time. */
void demo_time(int64_t time_ms, char ret_text[32]);

/* --- the telling --- */

struct demo_show {
    FILE *stream;
    bool colours;
    int64_t day; /* of the last line; -1: none yet */
};

void demo_show_begin(struct demo_show *show);
void demo_show_event(struct demo_show *show, const struct demo_world *world,
                     const struct demo_event *event, int from);
void demo_show_tables(const struct demo_show *show, const struct demo_world *world);
void demo_show_json(struct demo_world *world, FILE *stream);

/* The recipient's state before outputs[from], or NULL. */
const struct recipient *demo_state(const struct demo_world *world, struct str who, int from);
/* Whether outputs[index] is the last state of its recipient. */
bool demo_is_last_state(const struct demo_world *world, int index);
