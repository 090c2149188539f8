/* What the scenarios of port_probe share. A check that fails ends the program with its place. */
#pragma once
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "kafka/kafka_port.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define CHECK_NUMBER(got, wanted)                                                                  \
    do {                                                                                           \
        int64_t got_ = (got), wanted_ = (wanted);                                                  \
        if (got_ != wanted_) {                                                                     \
            fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", __FILE__, __LINE__,     \
                    #got, got_, wanted_);                                                          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)
#define CHECK_CODE(got, wanted) check_code(__FILE__, __LINE__, (got), (wanted))
#define CHECK_OK(got) CHECK_CODE(got, OK)

/* The error of the last call of a port, for CHECK_CODE's message. */
extern struct err last;
void check_code(const char *file, int line, enum rcode got, enum rcode wanted);

extern const char *bootstrap;
extern const char *prefix; /* of topics, groups and ids: each run has its own */

#define OWNED_MAX 16
struct probe {
    struct port *port;
    int32_t owned[OWNED_MAX];
    int owned_count;
    int assigned_calls;
    int revoked_calls;
    int lost_calls;
};

struct probe_options {
    const char *group;            /* after the prefix; NULL: "group" */
    const char *instance;         /* NULL: dynamic */
    const char *transactional_id; /* after the prefix; NULL: "txn" */
    const char *name, *value;     /* one more property */
};

/* A port whose input is the bounces topic and whose certificates ride on the recipients topic. */
void probe_open(struct probe *probe, const struct probe_options *options);
void probe_close(struct probe *probe);

/* Repeats a call while it answers RETRY, up to 60 s. */
#define RETRYING(call)                                                                             \
    __extension__({                                                                                \
        int64_t end_ = clock_monotonic_ms() + 60000;                                               \
        enum rcode rc_;                                                                            \
        while ((rc_ = (call)) != OK && rcode_disposition(rc_) == DISPOSITION_RETRY &&              \
               clock_monotonic_ms() < end_)                                                        \
            probe_pause(10);                                                                       \
        rc_;                                                                                       \
    })
void probe_pause(int ms);

/* Polls (dropping records) until the member owns `count` partitions. */
void probe_join(struct probe *probe, int count);
/* One poll; transient trouble is passed over. Returns how many records. */
size_t probe_poll(struct probe *probe, int timeout_ms, size_t max, struct port_record *records);

void probe_producer(struct probe *probe);
void probe_send(struct probe *probe, enum topic topic, int32_t partition, const char *key,
                const char *value);
/* Sends `count` records "<from>" … with the same key and value to the partition. */
void probe_send_numbers(struct probe *probe, enum topic topic, int32_t partition, int from,
                        int count);
void probe_commit(struct probe *probe);
void probe_abort(struct probe *probe);
void probe_offsets(struct probe *probe, int32_t partition, int64_t input, int64_t certificate,
                   const char *metadata);

/* Reads the partition with the restore reader from `from` until its position is at least `until`;
 * returns how many records came. `each` may be NULL. */
int probe_restore(struct probe *probe, enum topic topic, int32_t partition, int64_t from,
                  int64_t until, void (*each)(const struct port_record *record));
