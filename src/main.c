/* The table of subcommands; each is one file of src/cli. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"demo", cmd_demo, "two weeks of bounces in a few seconds, nothing installed"},
    {"worker", cmd_worker, "consume bounce records and decide: state, retries, suppressions"},
    {"dispatcher", cmd_dispatcher, "send retry commands on when they are due"},
    {"run", cmd_run, "worker and dispatcher in one process"},
    {"doctor", cmd_doctor, "is everything as worker and dispatcher need it?"},
    {"lag", cmd_lag, "how far worker and dispatcher are behind, as the brokers tell"},
    {"log-hash", cmd_log_hash, "what stands in log lines for an address"},
    {"topics", cmd_topics, "create the topics, or check them: plan, apply, check"},
    {"offsets", cmd_offsets, "certificates of a group that has lost its offsets: recover"},
    {"reshard", cmd_reshard, "more partitions for the input, and the recipients with it"},
    {"ingest", cmd_ingest, "bounces of mails, logs and webhooks as records into the input topic"},
    {"produce-sample", cmd_produce_sample, "produce realistic records to the input topic"},
    {"state", cmd_state,
     "what is known of recipients: get, list, verify, export, snapshot, restore"},
    {"explain", cmd_explain, "the story of one recipient, event by event"},
    {"replay", cmd_replay, "recompute the state from the input: plan, diff, apply"},
    {"dlq", cmd_dlq, "dead letters: ls, show, and redrive them to where they came from"},
    {"report", cmd_report, "the list at a glance: hygiene, frequent, domains; also as a page"},
    {"suppress", cmd_suppress, "take recipients off the list, whatever they bounced"},
    {"reinstate", cmd_reinstate, "put recipients back on the list"},
    {"forget", cmd_forget, "delete what is known of recipients"},
    {"schema", cmd_schema, "schemas in the registry: check, register, diff"},
    {"classify", cmd_classify, "class and reason of a bounce, or of one per line of stdin"},
    {"decode", cmd_decode, "print an Avro message as JSON"},
    {"config", cmd_config, "the configuration: check, show, defaults"},
    {"completion", cmd_completion, "print the completion script of a shell"},
    {"version", cmd_version, "print the version"},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void help(FILE *stream)
{
    fputs("usage: rimbalzo COMMAND [OPTION...]\n\n", stream);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  %-16s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`rimbalzo COMMAND --help` tells more.\n", stream);
}

int main(int argc, char **argv)
{
    char name[64];
    if (argc < 2) {
        help(stderr);
        return EXIT_CODE_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help(stdout);
        return cli_finish(EXIT_CODE_OK);
    }
    const char *wanted = strcmp(argv[1], "--version") ? argv[1] : "version";
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, wanted) != 0)
            continue;
        snprintf(name, sizeof(name), "rimbalzo %s", wanted);
        argv[1] = name;
        int code = commands[i].run(argc - 1, argv + 1);
        log_flush();
        return code;
    }
    fprintf(stderr, "rimbalzo: there is no command \"%s\"; `rimbalzo --help` lists them\n",
            argv[1]);
    return EXIT_CODE_USAGE;
}
