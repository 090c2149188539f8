/* What observe's tests share: threads that do not run, with counters and boards to be filled. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/observe_internal.h"
#include "http_client.h"

static const char *const topics[TOPIC_SLOTS] = {
    [TOPIC_BOUNCES] = "t.bounces",           [TOPIC_RECIPIENTS] = "t.recipients",
    [TOPIC_DELAYED] = "t.delayed",           [TOPIC_DUE] = "t.due",
    [TOPIC_SUPPRESSIONS] = "t.suppressions", [TOPIC_NOTICES] = "t.notices",
    [TOPIC_DEAD_LETTERS] = "t.dead"};

/* Two threads: workers, unless a test says otherwise. */
struct told {
    struct observe *observe;
    struct engine_stats engines[2];
    struct board boards[2];
    struct worker_stats workers[2];
    struct dispatcher_stats dispatcher;
    struct kafka_statistics kafka[2][KAFKA_CLIENT_COUNT];
    struct observed_thread threads[2];
    int port;
};

static inline void tell(struct told *told)
{
    struct err err = {0};
    memset(told, 0, sizeof(*told));
    assert_int_equal(observe_open("127.0.0.1:0", topics, &told->observe, &err), OK);
    told->port = observe_port(told->observe);
    for (int i = 0; i < 2; i++) {
        board_init(&told->boards[i]);
        told->threads[i] = (struct observed_thread){.role = ROLE_WORKER,
                                                    .engine = &told->engines[i],
                                                    .board = &told->boards[i],
                                                    .worker = &told->workers[i],
                                                    .kafka = told->kafka[i]};
    }
    told->dispatcher.next_due_ms = INT64_MAX;
}

static inline void make_dispatcher(struct told *told, int thread)
{
    told->threads[thread] = (struct observed_thread){.role = ROLE_DISPATCHER,
                                                     .engine = &told->engines[thread],
                                                     .board = &told->boards[thread],
                                                     .dispatcher = &told->dispatcher};
}

/* Both have made a turn. */
static inline void run(struct told *told)
{
    observe_threads(told->observe, told->threads, 2);
    for (int i = 0; i < 2; i++)
        atomic_store(&told->engines[i].last_turn_ms, clock_monotonic_ms());
}

static inline void close_told(struct told *told)
{
    observe_close(told->observe);
    for (int i = 0; i < 2; i++)
        board_deinit(&told->boards[i]);
}

static inline void assert_lines(const struct told *told, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        http_assert_answer(told->port, "/metrics", 200, lines[i]);
}
#define ASSERT_LINES(told, lines) assert_lines(told, lines, sizeof(lines) / sizeof(lines[0]))
