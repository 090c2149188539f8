#include "cli/state_verify.h"

#include "cli/replay_show.h"

enum { KEY_THREADS = 0x2000, KEY_TMP, KEY_KEEP, KEY_EXAMPLES };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct state_verify_options *options = state->input;
    switch (key) {
    case KEY_THREADS:
        options->threads = (int)cli_number_arg(state, "threads", arg, 1);
        return 0;
    case KEY_TMP:
        options->dir = arg;
        return 0;
    case KEY_KEEP:
        options->keep = arg;
        return 0;
    case KEY_EXAMPLES:
        options->examples = cli_number_arg(state, "examples", arg, 0);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option argp_options[] = {
    {"threads", KEY_THREADS, "N", 0, "verify: threads (one for each processor)", 0},
    {"tmp", KEY_TMP, "DIR", 0, "verify: where temporary stores are (state_dir)", 0},
    {"keep", KEY_KEEP, "DIR", 0,
     "verify: keep what was recomputed there, and go on from it the next time", 0},
    {"examples", KEY_EXAMPLES, "N", 0, "verify: recipients that a table shows (20)", 0},
    {0}};

const struct argp state_verify_argp = {argp_options, parse, NULL, NULL, NULL, NULL, NULL};

/* What is wrong with a partition beside its recipients; true if anything is. */
static bool tell_partition(const struct replay_job *job, const struct replay_partition *partition)
{
    const struct certificate *certificate = &partition->certificate;
    const char *topic = job->deployment.topics[TOPIC_RECIPIENTS];
    bool time_holds = !partition->certified || partition->incomplete ||
                      partition->stream_time_ms == certificate->stream_time_ms;
    if (!partition->live_holds)
        fprintf(stderr,
                "rimbalzo: %s-%d: %llu states with digest %016llx up to offset %lld, the "
                "certificate says %llu and %016llx\n",
                topic, partition->partition, (unsigned long long)partition->live_entries,
                (unsigned long long)partition->live_digest, (long long)certificate->log_next,
                (unsigned long long)certificate->entries, (unsigned long long)certificate->digest);
    if (partition->foreign)
        fprintf(stderr, "rimbalzo: %s-%d: %lld record%s from offset %lld on that no worker wrote\n",
                topic, partition->partition, (long long)partition->foreign,
                partition->foreign == 1 ? "" : "s", (long long)certificate->log_next);
    if (!time_holds)
        fprintf(stderr,
                "rimbalzo: partition %d: the stream time is %lld, the certificate says %lld\n",
                partition->partition, (long long)partition->stream_time_ms,
                (long long)certificate->stream_time_ms);
    if (partition->lost)
        fprintf(stderr,
                "rimbalzo: partition %d: the input begins at offset %lld; what was before it "
                "cannot be folded again\n",
                partition->partition, (long long)partition->input_start);
    if (certificate->carried)
        fprintf(stderr,
                "rimbalzo: partition %d: recipients were carried over from other partitions, where "
                "what came before lies\n",
                partition->partition);
    return !partition->live_holds || partition->foreign || !time_holds;
}

static int judge(const struct replay_job *job, int64_t differences)
{
    int wrong = 0, lost = 0;
    int64_t unprovable = 0, entries = 0;
    for (int32_t p = 0; p < job->count; p++) {
        const struct replay_partition *partition = &job->partitions[p];
        wrong += tell_partition(job, partition);
        lost += partition->incomplete;
        unprovable += partition->unprovable;
        entries += (int64_t)partition->live_entries;
    }
    if (wrong || differences)
        return EXIT_CODE_NEGATIVE;
    if (unprovable)
        return EXIT_CODE_AGAIN;
    fprintf(stderr,
            "rimbalzo: verified: %lld states of %d partition%s are what the input makes%s\n",
            (long long)entries, job->count, job->count == 1 ? "" : "s",
            lost ? ", and what retention took has left no trace in them" : "");
    return EXIT_CODE_OK;
}

int state_verify(const struct state_verify_options *options, const struct settings *settings,
                 enum output_format output)
{
    struct err err = {0};
    struct replay_job job = {0};
    struct replay_show show;
    struct replay_job_options job_options = {.live = settings,
                                             .wanted = settings,
                                             .threads = options->threads,
                                             .dir = options->dir,
                                             .keep = options->keep,
                                             .context = &show,
                                             .differs = replay_show_difference};
    int number = 0, code;
    enum rcode rc = replay_job_open(&job, &job_options, &err);
    replay_show_begin(&show, output, options->examples);
    if (rc == OK)
        rc = replay_job_run(&job, &number, &err);
    int64_t differences = rc == OK ? replay_show_end(&show, &job) : 0;
    code = number     ? EXIT_CODE_SIGNAL + number
           : rc == OK ? judge(&job, differences)
                      : cli_fail(&err);
    replay_job_close(&job);
    return cli_finish(code);
}
