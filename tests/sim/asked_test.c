/*
 * A node is asked over HTTP while it works, restores, loses partitions and gets them back: each
 * answer is one that is documented, and asking changes nothing. Meant to be run under the thread
 * sanitizer too.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/observe.h"
#include "http_client.h"
#include "sim_scene.h"

#define RECIPIENTS 40

struct asking {
    int port;
    atomic_bool stop;
    pthread_t thread;
    int answers[600]; /* by status */
};

/* Of those that the generator makes, and some that nobody knows. */
static void *ask_on(void *context)
{
    struct asking *asking = context;
    for (int i = 0; !atomic_load(&asking->stop); i++) {
        struct buf text;
        char path[96];
        snprintf(path, sizeof(path), "/api/v1/recipients/asked%d%%40example.org", i % RECIPIENTS);
        int status = http_request(asking->port, "GET", path, "", &text);
        buf_deinit(&text);
        asking->answers[status > 0 && status < 600 ? status : 0]++;
        if (i % 8 == 0 && http_status_of(asking->port, "GET", "/") != 200)
            asking->answers[0]++;
    }
    return NULL;
}

static void watch_node(struct sim *sim, int node, struct observe *observe)
{
    const struct sim_node *watched = &sim->nodes[node];
    const struct observe_about about = {.app = "sim",
                                        .instance = "node",
                                        .partitions = sim->options.partitions,
                                        .stale_after_ms = 1000};
    const struct observed_thread thread = {.role = ROLE_WORKER,
                                           .engine = engine_stats(watched->engine),
                                           .board = engine_board(watched->engine),
                                           .ask = engine_ask(watched->engine),
                                           .processor = watched->worker,
                                           .worker = worker_stats(watched->worker)};
    struct err err = {0};
    assert_int_equal(observe_about(observe, &about, &err), OK);
    observe_threads(observe, &thread, 1);
}

static void feed_asked(struct sim *sim, int round)
{
    for (int i = 0; i < RECIPIENTS / 2; i++) {
        char recipient[64], id[64];
        snprintf(recipient, sizeof(recipient), "asked%d@example.org", i);
        snprintf(id, sizeof(id), "%d-%d", round, i);
        sim_feed_bounce(sim, recipient, "4.2.1", sim->event_time_ms, id);
    }
}

static void asking_changes_nothing_while_partitions_come_and_go(void **unused)
{
    (void)unused;
    static const char *const topics[TOPIC_SLOTS] = {[TOPIC_BOUNCES] = "bounces"};
    struct sim_options options = {.seed = 1, .partitions = 4, .nodes = 1, .recipients = 60};
    struct asking asking = {.port = 0};
    struct observe *observe;
    struct err err = {0};
    struct sim sim;
    sim_init(&sim, &options);
    assert_int_equal(observe_open("127.0.0.1:0", topics, &observe, &err), OK);
    watch_node(&sim, 0, observe);
    asking.port = observe_port(observe);
    assert_int_equal(pthread_create(&asking.thread, NULL, ask_on, &asking), 0);
    for (int round = 0; round < 12; round++) {
        feed_asked(&sim, round);
        sim_feed(&sim, 40);
        sim_start(&sim, 1); /* takes half of the partitions away */
        sim_must_drain(&sim);
        sim_step_all(&sim, 200);
        sim_stop(&sim, 1); /* and gives them back */
        sim_feed(&sim, 20);
        sim_must_drain(&sim);
        sim_step_all(&sim, 200);
    }
    atomic_store(&asking.stop, true);
    sim_step_all(&sim, 2000); /* the last question is answered */
    pthread_join(asking.thread, NULL);
    observe_close(observe);
    assert_true(asking.answers[200] > 0);
    assert_true(asking.answers[404] > 0);
    int documented =
        asking.answers[200] + asking.answers[404] + asking.answers[421] + asking.answers[503];
    int all = 0;
    for (int i = 0; i < 600; i++)
        all += asking.answers[i];
    assert_int_equal(documented, all);
    sim_check(&sim, false);
    sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asking_changes_nothing_while_partitions_come_and_go),
    };
    sim_log();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
