/*
 * A sender to close the circle with (`rimbalzo produce-sample --mailer`): reads the due topic,
 * "sends" the message of each command and tells the input topic what became of it. Whether and when
 * a mailbox recovers, and how it refuses until then, follows from the seed and the recipient. A
 * command that comes twice gets the same event id, so the second answer counts for nothing.
 */
#pragma once
#include <argp.h>

#include "cli/settings.h"
#include "codec/record.h"

struct mailer_options {
    bool wanted;
    bool given; /* an option that is for nobody else */
    uint64_t seed;
    double recover;   /* share of 1 of the recipients; below 0: so that as many recover at each
                         attempt as never do */
    double hard;      /* of those that never recover: turn out to be gone at one of the attempts */
    double transient; /* of the attempts: fail at first for a reason of their own */
    int64_t idle_s;   /* ends after so long without a command; 0: never */
};

#define MAILER_DEFAULTS ((struct mailer_options){.recover = -1, .hard = 0.1, .transient = 0.1})

/* Input: struct mailer_options *, with MAILER_DEFAULTS. A child parser, see cli/cli.h. */
extern const struct argp mailer_argp;

struct mailer_answer {
    struct uuid_text event_id;
    struct input_record record; /* spans into the command and the event id */
};

/* What sending the message of a SCHEDULE at `now_ms` leads to. */
void mailer_answer(const struct mailer_options *options, const struct retry_command *command,
                   int64_t now_ms, struct mailer_answer *ret_answer);

/* Until SIGTERM, SIGINT or idle_s. */
enum rcode mailer_run(const struct mailer_options *options, const struct settings *settings,
                      struct err *err) WARN_UNUSED;
