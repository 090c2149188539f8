/*
 * `rimbalzo doctor`: what its parts share. A check has a stable id and reports one row, or one for
 * each thing that it finds wrong. cmd_doctor.c has the order and the exit code, doctor_local.c what
 * needs no broker, doctor_broker.c the cluster, groups and clocks, doctor_topics.c topics and
 * rights.
 */
#pragma once
#include "cli/cli.h"
#include "cli/deployment.h"
#include "cli/settings.h"
#include "kafka/checkup.h"

#define DOCTOR_RESULTS(X)                                                                          \
    X(DOCTOR_OK, "ok")                                                                             \
    X(DOCTOR_WARN, "warn")       /* runs, but not as well as it should */                          \
    X(DOCTOR_FAIL, "fail")       /* does not run, or loses something */                            \
    X(DOCTOR_UNKNOWN, "unknown") /* cannot be told from here */
#define X(constant, string) constant,
enum doctor_result { DOCTOR_RESULTS(X) DOCTOR_RESULT_COUNT };
#undef X

struct doctor {
    bool roles[ROLES_CONFIGURED]; /* looked at */
    const struct settings *settings;
    struct deployment deployment;
    struct kafka_checkup *checkup; /* NULL: no broker has answered */
    int partitions[TOPIC_COUNT];   /* of those that exist; 0: not known */
    int counts[DOCTOR_RESULT_COUNT];
    struct output output;
};

/* A finding of a check. `about`: what it is about, such as a topic; `remedy`: how to mend it; NULL:
 * none is needed. */
void doctor_report(struct doctor *doctor, const char *check, enum doctor_result result,
                   const char *about, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Of all that is local; those of state want doctor->partitions. */
void doctor_check_local(struct doctor *doctor);
void doctor_check_state(struct doctor *doctor);

/* Otherwise nothing more can be asked: E_BROKER_UNREACHABLE, E_AUTH (they refuse the user). */
enum rcode doctor_check_broker(struct doctor *doctor);
void doctor_check_groups(struct doctor *doctor);
void doctor_check_clock(struct doctor *doctor);

void doctor_check_topics(struct doctor *doctor);

/* The roles that need a topic; 0: none of those looked at. Bits 1 << role. */
unsigned doctor_needed_by(const struct doctor *doctor, enum topic topic);
