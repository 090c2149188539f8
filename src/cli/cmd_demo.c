/*
 * rimbalzo demo: two weeks of bounces in a few seconds, with nothing installed. The worker, its
 * engine, its LMDB and the Kafka port are those of `rimbalzo worker`; the broker is librdkafka's
 * embedded one. The command knows how its story must end, and says so when it does not.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cli/demo.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    enum output_format *format = state->input;
    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = format;
        return 0;
    case ARGP_KEY_END:
        if (*format != OUTPUT_TABLE && *format != OUTPUT_JSONL)
            argp_error(state, "demo shows a table (with a timeline) or jsonl");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Until the story is over. `show` NULL: in silence. */
static enum rcode play(struct demo_story *story, struct demo_show *show, struct err *err)
{
    struct demo_world *world = story->world;
    struct demo_event event;
    while (demo_story_next(story, &event)) {
        int from = world->output_count;
        enum rcode rc = demo_world_feed(world, event.key, event.value, event.at_ms, err);
        if (rc != OK)
            return rc;
        demo_story_observe(story, from);
        if (show)
            demo_show_event(show, world, &event, from);
        if (ferror(stdout))
            return err_set(err, E_IO, "cannot write to stdout");
    }
    return demo_world_sweep(world, err);
}

/* Returns the exit code. */
static int check(const struct demo_story *story)
{
    struct buf differences;
    buf_init(&differences);
    int count = demo_story_differences(story, &differences);
    if (count)
        fprintf(stderr, "rimbalzo: the story ended otherwise than it must:\n%.*s",
                STR_ARG(buf_view(&differences)));
    buf_deinit(&differences);
    return count ? EXIT_CODE_BUG : EXIT_CODE_OK;
}

static int run(enum output_format format)
{
    struct demo_world world = {0};
    struct demo_story story;
    struct demo_show show = {.stream = stdout, .colours = cli_colours(stdout)};
    struct err err = {0};
    bool table = format == OUTPUT_TABLE;
    int64_t started_ms = clock_monotonic_ms();
    int code;
    enum rcode rc = demo_world_open(&world, &err);
    demo_story_init(&story, &world);
    if (rc == OK && table)
        demo_show_begin(&show);
    if (rc == OK)
        rc = play(&story, table ? &show : NULL, &err);
    if (rc != OK) {
        int number = demo_world_signal(&world);
        code = number ? EXIT_CODE_SIGNAL + number : cli_fail(&err);
    } else {
        if (table)
            demo_show_tables(&show, &world);
        else
            demo_show_json(&world, stdout);
        fflush(stdout);
        code = check(&story);
        if (table && code == EXIT_CODE_OK)
            printf("\nAs it must be: %d records in %lld transactions, %.1f s.\n", world.fed,
                   demo_world_transactions(&world),
                   (double)(clock_monotonic_ms() - started_ms) / 1000);
        code = cli_finish(code);
    }
    demo_story_deinit(&story);
    demo_world_close(&world);
    return code;
}

int cmd_demo(int argc, char **argv)
{
    static const struct argp_child children[] = {{&output_argp, 0, "", 1}, {0}};
    static const struct argp argp = {
        NULL,
        parse,
        NULL,
        "Plays two weeks of bounces through the real worker on an embedded broker: a mailbox that "
        "stays disabled, one that recovers, a hard bounce, a rate limit, three messages in one "
        "window, a record nobody can read.\v"
        "Needs no configuration and leaves nothing behind. With -o jsonl it prints every record "
        "the worker wrote instead. Ends with 0 if all came out as it must, with 70 if not.",
        children,
        NULL,
        NULL};
    enum output_format format = OUTPUT_TABLE;
    argp_parse(&argp, argc, argv, 0, NULL, &format);
    log_configure(LOG_ERROR, LOG_LOGFMT); /* the story tells of the record nobody can read */
    return run(format);
}
