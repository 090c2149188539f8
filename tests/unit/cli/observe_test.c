/* What a process answers over HTTP: cli/observe*.c, with the counters of threads that do not run.
 */
#include "observe_support.h"

/* --- health --- */

static void before_threads_run_a_process_lives_but_is_not_ready(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    http_assert_answer(told.port, "/livez", 200, "{\"live\":true,\"threads\":0,\"stuck\":[]}\n");
    http_assert_answer(told.port, "/readyz", 503,
                       "\"ready\":false,\"started\":false,\"threads\":0");
    http_assert_answer(told.port, "/metrics", 200, "\n# TYPE rimbalzo_records_total counter\n");
    observe_threads(told.observe, told.threads, 2);
    atomic_store(&told.engines[0].last_turn_ms, clock_monotonic_ms());
    http_assert_answer(told.port, "/livez", 200, "\"live\":true");
    http_assert_answer(told.port, "/readyz", 503, "\"started\":false,\"threads\":2");
    close_told(&told);
}

static void having_no_partition_is_being_ready(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    run(&told);
    http_assert_answer(told.port, "/readyz", 200,
                       "{\"ready\":true,\"started\":true,\"threads\":2,\"partitions\":"
                       "{\"running\":0,\"restoring\":0,\"failed\":0},\"connected\":true,"
                       "\"restoring\":[],\"failed\":[],\"held\":[],\"errors\":[]}\n");
    close_told(&told);
}

static void partitions_that_restore_or_have_failed_are_named(void **unused)
{
    (void)unused;
    static const struct board_entry first[] = {
        {.partition = 0, .state = PARTITION_RUNNING},
        {.partition = 3, .state = PARTITION_ASSIGNED, .restore_left = -1},
        {.partition = 4, .state = PARTITION_RESTORING, .restore_left = 17}};
    static const struct board_entry second[] = {
        {.partition = 1, .state = PARTITION_FAILED, .failure = E_CERTIFICATE_LOST},
        {.partition = 2, .state = PARTITION_RUNNING}};
    struct told told;
    tell(&told);
    make_dispatcher(&told, 1);
    run(&told);
    board_write(&told.boards[0], first, 3);
    http_assert_answer(told.port, "/readyz", 200,
                       "{\"running\":1,\"restoring\":2,\"failed\":0},\"connected\":true,"
                       "\"restoring\":[{\"role\":\"worker\",\"partition\":3},"
                       "{\"role\":\"worker\",\"partition\":4,\"remaining\":17}],\"failed\":[]");
    board_write(&told.boards[1], second, 2);
    http_assert_answer(told.port, "/readyz", 503,
                       "\"failed\":[{\"role\":\"dispatcher\",\"partition\":1,"
                       "\"code\":\"certificate_lost\"}],\"held\":[],\"errors\":[]}");
    http_assert_answer(told.port, "/readyz", 503, "\"ready\":false,\"started\":true");
    close_told(&told);
}

static void a_partition_that_is_held_still_is_named(void **unused)
{
    (void)unused;
    static const struct board_entry entry = {
        .partition = 2, .state = PARTITION_RUNNING, .held = E_CLOCK};
    struct told told;
    tell(&told);
    run(&told);
    board_write(&told.boards[0], &entry, 1);
    http_assert_answer(told.port, "/readyz", 503,
                       "{\"running\":1,\"restoring\":0,\"failed\":0},\"connected\":true,"
                       "\"restoring\":[],\"failed\":[],\"held\":[{\"role\":\"worker\","
                       "\"partition\":2,\"code\":\"clock\"}]");
    close_told(&told);
}

static void a_thread_that_cannot_commit_is_named_with_its_code(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    run(&told);
    atomic_store(&told.engines[1].trouble, E_AUTH);
    http_assert_answer(told.port, "/readyz", 503,
                       "\"errors\":[{\"role\":\"worker\",\"thread\":1,\"code\":\"auth\"}]}");
    atomic_store(&told.engines[1].trouble, OK);
    http_assert_answer(told.port, "/readyz", 200, "\"errors\":[]");
    close_told(&told);
}

static void who_has_not_heard_of_a_broker_lately_is_not_ready(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    run(&told);
    observe_watched(told.observe);
    http_assert_answer(told.port, "/readyz", 503, "\"connected\":false");
    observe_heard(told.observe, ROLE_WORKER, NULL, 0);
    http_assert_answer(told.port, "/readyz", 200, "\"connected\":true");
    told.observe->heard[ROLE_WORKER].at_ms -= HEARD_MS_MAX + 1;
    http_assert_answer(told.port, "/readyz", 503, "\"connected\":false");
    observe_heard(told.observe, ROLE_DISPATCHER, NULL, 0);
    http_assert_answer(told.port, "/readyz", 200, "\"connected\":true");
    http_assert_answer(told.port, "/livez", 200, "\"live\":true");
    close_told(&told);
}

static void a_thread_without_a_turn_for_a_minute_is_named(void **unused)
{
    (void)unused;
    struct told told;
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms < 100000)
        skip(); /* a machine that has just started has no time to have been stuck in */
    tell(&told);
    make_dispatcher(&told, 1);
    observe_threads(told.observe, told.threads, 2);
    http_assert_answer(told.port, "/livez", 200, "\"threads\":2,\"stuck\":[]");
    atomic_store(&told.engines[0].last_turn_ms, now_ms);
    atomic_store(&told.engines[1].last_turn_ms, now_ms - 90000);
    http_assert_answer(
        told.port, "/livez", 503,
        "{\"live\":false,\"threads\":2,\"stuck\":[{\"thread\":1,\"last_turn_seconds\":9");
    http_assert_answer(told.port, "/livez", 503, ",\"role\":\"dispatcher\"}]}");
    atomic_store(&told.engines[0].last_turn_ms, now_ms - 70000);
    http_assert_answer(told.port, "/livez", 503, "[{\"thread\":0,\"last_turn_seconds\":7");
    http_assert_answer(told.port, "/livez", 503, "},{\"thread\":1,\"last_turn_seconds\":9");
    atomic_store(&told.engines[0].last_turn_ms, now_ms);
    atomic_store(&told.engines[1].last_turn_ms, now_ms);
    http_assert_answer(told.port, "/livez", 200, "\"live\":true");
    close_told(&told);
}

/* --- metrics --- */

static void metrics_are_sums_over_the_threads(void **unused)
{
    (void)unused;
    static const char *const lines[] = {
        "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
        ("\nrimbalzo_build_info{version=\"" RIMBALZO_VERSION "\",librdkafka=\""),
        "\n# TYPE rimbalzo_records_total counter\nrimbalzo_records_total{role=\"worker\"} 42\n",
        "\nrimbalzo_transactions_total{role=\"worker\",outcome=\"committed\"} 3\n",
        "\nrimbalzo_transactions_total{role=\"worker\",outcome=\"aborted\"} 1\n",
        "\nrimbalzo_transactions_total{role=\"worker\",outcome=\"unknown\"} 0\n",
        "\nrimbalzo_producer_rebuilds_total{role=\"worker\"} 2\n",
        "\nrimbalzo_rebalances_total{role=\"worker\"} 4\n",
        "\nrimbalzo_restored_records_total{role=\"worker\"} 7\n",
        "\nrimbalzo_produced_records_total{role=\"worker\",topic=\"t.delayed\"} 15\n",
        "\nrimbalzo_errors_total{role=\"worker\",stage=\"store\",code=\"store_corrupt\"} 16\n",
        "\nrimbalzo_outcomes_total{outcome=\"applied\"} 30\n",
        "\nrimbalzo_outcomes_total{outcome=\"ignored\"} 0\n",
        "\nrimbalzo_bounces_total{class=\"UNKNOWN\"} 6\n",
        "\nrimbalzo_bounce_reasons_total{reason=\"mailbox_full\"} 6\n",
        "\nrimbalzo_commands_total{action=\"RELEASE\"} 8\n",
        "\nrimbalzo_suppressions_total{action=\"SUPPRESS\",reason=\"MANUAL\"} 9\n",
        "\nrimbalzo_suppressions_total{action=\"REINSTATE\",reason=\"MANUAL\"} 0\n",
        "\nrimbalzo_notices_total{kind=\"REDUCE_FREQUENCY\"} 10\n",
        "\nrimbalzo_dead_letters_total{reason=\"malformed\"} 0\n",
        "\nrimbalzo_dead_letters_total{reason=\"misrouted\"} 11\n",
        "\n# TYPE rimbalzo_rerouted_total counter\nrimbalzo_rerouted_total 12\n",
        "\nrimbalzo_lapsed_total 13\n",
        "\nrimbalzo_expired_total 14\n",
        "\n# TYPE process_cpu_seconds_total counter\n",
    };
    struct told told;
    tell(&told);
    told.engines[0].records = 40;
    told.engines[1].records = 2;
    told.engines[0].transactions[TRANSACTION_COMMITTED] = 1;
    told.engines[1].transactions[TRANSACTION_COMMITTED] = 2;
    told.engines[0].transactions[TRANSACTION_ABORTED] = 1;
    told.engines[1].rebuilds = 2;
    told.engines[0].rebalances = 4;
    told.engines[1].restored = 7;
    told.engines[0].produced[TOPIC_DELAYED] = 10;
    told.engines[1].produced[TOPIC_DELAYED] = 5;
    told.engines[1].errors[STAGE_STORE][E_STORE_CORRUPT] = 16;
    told.workers[0].outcomes[OUTCOME_APPLIED] = 10;
    told.workers[1].outcomes[OUTCOME_APPLIED] = 20;
    told.workers[0].bounces[CLASS_UNKNOWN] = 6;
    told.workers[1].reasons[REASON_MAILBOX_FULL] = 6;
    told.workers[1].commands[COMMAND_RELEASE] = 8;
    told.workers[0].suppressions[SUPPRESSION_SUPPRESS][SUPPRESSION_MANUAL] = 9;
    told.workers[1].notices[NOTICE_REDUCE_FREQUENCY] = 10;
    told.workers[0].dead_letters[E_MISROUTED] = 11;
    told.workers[1].rerouted = 12;
    told.workers[1].lapsed = 13;
    told.workers[0].expired = 14;
    observe_threads(told.observe, told.threads, 2);
    ASSERT_LINES(&told, lines);
    http_assert_no_answer(told.port, "/metrics", 200, "t.due");
    http_assert_no_answer(told.port, "/metrics", 200, "rimbalzo_dispatcher_");
    http_assert_no_answer(told.port, "/metrics", 200, "stage=\"poll\"");
    close_told(&told);
}

static void roles_are_told_apart(void **unused)
{
    (void)unused;
    static const struct board_entry entry = {.partition = 5, .state = PARTITION_RUNNING};
    static const char *const lines[] = {
        ("\nrimbalzo_records_total{role=\"worker\"} 40\n"
         "rimbalzo_records_total{role=\"dispatcher\"} 2\n"),
        "\nrimbalzo_partitions{role=\"dispatcher\",state=\"running\"} 1\n",
        "\nrimbalzo_partitions{role=\"worker\",state=\"running\"} 0\n",
        "\nrimbalzo_produced_records_total{role=\"dispatcher\",topic=\"t.due\"} 3\n",
        "\nrimbalzo_outcomes_total{outcome=\"applied\"} 10\n",
        "\nrimbalzo_dispatcher_commands_total{outcome=\"released\"} 5\n",
        "\nrimbalzo_dispatcher_pending 6\n",
        "\nrimbalzo_dispatcher_overdue_seconds 0\n",
        "\nrimbalzo_dead_letters_total{reason=\"delay_too_long\"} 7\n",
    };
    struct told told;
    tell(&told);
    make_dispatcher(&told, 1);
    told.engines[0].records = 40;
    told.engines[1].records = 2;
    told.engines[1].produced[TOPIC_DUE] = 3;
    told.workers[0].outcomes[OUTCOME_APPLIED] = 10;
    told.dispatcher.pending = 6;
    told.dispatcher.commands[COMMAND_RELEASED] = 5;
    told.dispatcher.dead_letters[E_DELAY_TOO_LONG] = 7;
    board_write(&told.boards[1], &entry, 1);
    observe_threads(told.observe, told.threads, 2);
    ASSERT_LINES(&told, lines);
    told.dispatcher.next_due_ms = clock_wall_ms() - 90500;
    http_assert_answer(told.port, "/metrics", 200, "\nrimbalzo_dispatcher_overdue_seconds 90.");
    close_told(&told);
}

static void histograms_are_cumulative_and_summed(void **unused)
{
    (void)unused;
    static const char *const lines[] = {
        "\n# TYPE rimbalzo_transaction_duration_seconds histogram\n",
        "_duration_seconds_bucket{role=\"worker\",le=\"0.005\"} 1\n",
        "_duration_seconds_bucket{role=\"worker\",le=\"0.25\"} 2\n",
        "_duration_seconds_bucket{role=\"worker\",le=\"60.0\"} 2\n",
        "_duration_seconds_bucket{role=\"worker\",le=\"+Inf\"} 3\n",
        "_transaction_duration_seconds_sum{role=\"worker\"} 100.255\n",
        "_transaction_duration_seconds_count{role=\"worker\"} 3\n",
        "\nrimbalzo_bounce_age_seconds_bucket{le=\"1.0\"} 0\n",
        "\nrimbalzo_bounce_age_seconds_count 1\n",
    };
    struct told told;
    tell(&told);
    histogram_add(&told.engines[0].transaction_seconds, &engine_transaction_layout, 0.005);
    histogram_add(&told.engines[1].transaction_seconds, &engine_transaction_layout, 0.25);
    histogram_add(&told.engines[1].transaction_seconds, &engine_transaction_layout, 100);
    histogram_add(&told.workers[0].bounce_age_seconds, &worker_bounce_age_layout, 1.5);
    observe_threads(told.observe, told.threads, 2);
    ASSERT_LINES(&told, lines);
    close_told(&told);
}

static void recipients_are_counted_by_status_and_attempt_of_partitions_that_run(void **unused)
{
    (void)unused;
    static const char *const lines[] = {
        "\nrimbalzo_recipients{status=\"ACTIVE\"} 101\n",
        "\nrimbalzo_recipients{status=\"SUSPENDED\"} 16\n",
        "\nrimbalzo_recipients{status=\"SUPPRESSED\"} 30\n",
        ("\nrimbalzo_suspended_recipients{attempt=\"1\"} 5\n"
         "rimbalzo_suspended_recipients{attempt=\"4\"} 4\n"
         "rimbalzo_suspended_recipients{attempt=\"32\"} 7\n"),
    };
    static const struct board_entry entries[] = {
        {.partition = 1,
         .state = PARTITION_RUNNING,
         .usage = {.map = 1,
                   .kinds = {[WORKER_KIND_ACTIVE] = 100,
                             [WORKER_KIND_SUPPRESSED + SUPPRESSION_ATTEMPTS_EXHAUSTED] = 10,
                             [WORKER_KIND_SUPPRESSED + SUPPRESSION_MANUAL] = 20,
                             [WORKER_KIND_SUSPENDED + 1] = 5,
                             [WORKER_KIND_SUSPENDED + WORKER_ATTEMPTS_MAX] = 7}}},
        {.partition = 2,
         .state = PARTITION_RUNNING,
         .usage = {.map = 1, .kinds = {[WORKER_KIND_ACTIVE] = 1, [WORKER_KIND_SUSPENDED + 4] = 4}}},
        {.partition = 3,
         .state = PARTITION_RESTORING,
         .usage = {.map = 1, .kinds = {[WORKER_KIND_ACTIVE] = 1000}}}};
    struct told told;
    tell(&told);
    run(&told);
    board_write(&told.boards[0], entries, 3);
    ASSERT_LINES(&told, lines);
    close_told(&told);
}

static const struct kafka_lag_partition behind = {.partition = 7,
                                                  .known = true,
                                                  .committed = 100,
                                                  .log_start = 40,
                                                  .end = 130,
                                                  .waiting_known = true,
                                                  .waiting_ms = 2500};

static void lag_is_told_of_what_is_assigned_and_known_and_of_nothing_else(void **unused)
{
    (void)unused;
    static const char *const lines[] = {
        "\nrimbalzo_committed_offset{role=\"worker\",topic=\"t.bounces\",partition=\"7\"} 100\n",
        "\nrimbalzo_end_offset{role=\"worker\",topic=\"t.bounces\",partition=\"7\"} 130\n",
        "\nrimbalzo_lag_records{role=\"worker\",topic=\"t.bounces\",partition=\"7\"} 30\n",
        "\nrimbalzo_lag_seconds{role=\"worker\",topic=\"t.bounces\",partition=\"7\"} 2.5\n",
    };
    static const struct board_entry entries[] = {{.partition = 7, .state = PARTITION_FAILED},
                                                 {.partition = 8, .state = PARTITION_RUNNING}};
    const struct kafka_lag_partition unknown = {.partition = 8, .end = 5},
                                     heard[] = {behind, unknown};
    struct told told;
    tell(&told);
    run(&told);
    observe_heard(told.observe, ROLE_WORKER, heard, 2);
    http_assert_no_answer(told.port, "/metrics", 200, "partition=\"7\"");
    board_write(&told.boards[1], entries, 2);
    ASSERT_LINES(&told, lines);
    http_assert_no_answer(told.port, "/metrics", 200, "topic=\"t.bounces\",partition=\"8\"");
    board_write(&told.boards[1], NULL, 0); /* revoked */
    http_assert_no_answer(told.port, "/metrics", 200, "partition=\"7\"");
    board_write(&told.boards[0], entries, 2);
    ASSERT_LINES(&told, lines);
    told.observe->heard[ROLE_WORKER].at_ms -= HEARD_MS_MAX + 1; /* too long ago to be true */
    http_assert_no_answer(told.port, "/metrics", 200, "topic=\"t.bounces\",partition");
    close_told(&told);
}

static void
what_the_group_has_not_committed_has_no_offset_and_a_lag_from_the_log_start(void **unused)
{
    (void)unused;
    static const struct board_entry entry = {.partition = 7, .state = PARTITION_RUNNING};
    struct kafka_lag_partition fresh = behind;
    struct told told;
    fresh.committed = -1;
    fresh.waiting_known = false;
    tell(&told);
    run(&told);
    board_write(&told.boards[0], &entry, 1);
    observe_heard(told.observe, ROLE_WORKER, &fresh, 1);
    http_assert_no_answer(told.port, "/metrics", 200, "rimbalzo_committed_offset{");
    http_assert_no_answer(told.port, "/metrics", 200, "rimbalzo_lag_seconds{");
    http_assert_answer(
        told.port, "/metrics", 200,
        "\nrimbalzo_lag_records{role=\"worker\",topic=\"t.bounces\",partition=\"7\"} 90\n");
    close_told(&told);
}

static void a_partition_tells_of_its_store_and_its_restoring(void **unused)
{
    (void)unused;
    static const char *const lines[] = {
        "\nrimbalzo_store_entries{role=\"worker\",partition=\"1\"} 3\n",
        "\nrimbalzo_store_used_bytes{role=\"worker\",partition=\"1\"} 4096\n",
        "\nrimbalzo_store_map_bytes{role=\"worker\",partition=\"1\"} 8192\n",
        "\nrimbalzo_restore_remaining_records{role=\"worker\",partition=\"1\"} 0\n",
        "\nrimbalzo_restore_remaining_records{role=\"worker\",partition=\"2\"} 9\n",
        ("\nrimbalzo_last_progress_timestamp_seconds{role=\"worker\",topic=\"t.bounces\","
         "partition=\"1\"} 1700000000.25\n"),
    };
    static const struct board_entry entries[] = {
        {.partition = 1,
         .state = PARTITION_RUNNING,
         .progress_ms = 1700000000250,
         .usage = {.entries = 3, .used = 4096, .map = 8192}},
        {.partition = 2, .state = PARTITION_RESTORING, .restore_left = 9},
        {.partition = 3, .state = PARTITION_FAILED, .restore_left = -1}};
    struct told told;
    tell(&told);
    run(&told);
    board_write(&told.boards[0], entries, 3);
    ASSERT_LINES(&told, lines);
    http_assert_no_answer(told.port, "/metrics", 200, "map_bytes{role=\"worker\",partition=\"2\"");
    http_assert_no_answer(told.port, "/metrics", 200, "partition=\"3\"");
    close_told(&told);
}

static void librdkafka_is_summed_and_its_brokers_are_the_fewest(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    observe_threads(told.observe, told.threads, 2);
    http_assert_no_answer(told.port, "/metrics", 200, "rimbalzo_kafka_brokers_up{");
    told.kafka[0][KAFKA_CONSUMER] = (struct kafka_statistics){true, 3, 10};
    told.kafka[1][KAFKA_CONSUMER] = (struct kafka_statistics){true, 2, 5};
    told.kafka[1][KAFKA_PRODUCER] = (struct kafka_statistics){true, 4, 1};
    http_assert_answer(told.port, "/metrics", 200,
                       "\nrimbalzo_kafka_queued_messages{role=\"worker\",client=\"consumer\"} 15\n"
                       "rimbalzo_kafka_queued_messages{role=\"worker\",client=\"producer\"} 1\n");
    http_assert_answer(told.port, "/metrics", 200,
                       "\nrimbalzo_kafka_brokers_up{role=\"worker\"} 2\n");
    close_told(&told);
}

static void who_asks_for_openmetrics_gets_it(void **unused)
{
    (void)unused;
    struct told told;
    struct buf text;
    tell(&told);
    observe_threads(told.observe, told.threads, 2);
    assert_int_equal(
        http_request(told.port, "GET", "/metrics",
                     "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n", &text),
        200);
    assert_non_null(strstr(
        text.data, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
    assert_non_null(strstr(text.data, "\n# TYPE rimbalzo_build info\nrimbalzo_build_info{"));
    assert_non_null(
        strstr(text.data,
               "\n# TYPE rimbalzo_records counter\nrimbalzo_records_total{role=\"worker\"} 0\n"));
    assert_string_equal(text.data + text.len - strlen("\n# EOF\n") - 1, "\n# EOF\n");
    buf_deinit(&text);
    close_told(&told);
}

static void no_address_is_no_server(void **unused)
{
    (void)unused;
    struct observe *observe = NULL;
    struct engine_stats stats = {0};
    struct err err = {0};
    assert_int_equal(observe_open("", topics, &observe, &err), OK);
    assert_int_equal(observe_port(observe), 0);
    observe_threads(observe, &(struct observed_thread){.engine = &stats}, 1);
    observe_close(observe);
    observe_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_threads_run_a_process_lives_but_is_not_ready),
        cmocka_unit_test(having_no_partition_is_being_ready),
        cmocka_unit_test(partitions_that_restore_or_have_failed_are_named),
        cmocka_unit_test(a_partition_that_is_held_still_is_named),
        cmocka_unit_test(a_thread_that_cannot_commit_is_named_with_its_code),
        cmocka_unit_test(who_has_not_heard_of_a_broker_lately_is_not_ready),
        cmocka_unit_test(a_thread_without_a_turn_for_a_minute_is_named),
        cmocka_unit_test(metrics_are_sums_over_the_threads),
        cmocka_unit_test(roles_are_told_apart),
        cmocka_unit_test(histograms_are_cumulative_and_summed),
        cmocka_unit_test(recipients_are_counted_by_status_and_attempt_of_partitions_that_run),
        cmocka_unit_test(lag_is_told_of_what_is_assigned_and_known_and_of_nothing_else),
        cmocka_unit_test(
            what_the_group_has_not_committed_has_no_offset_and_a_lag_from_the_log_start),
        cmocka_unit_test(a_partition_tells_of_its_store_and_its_restoring),
        cmocka_unit_test(librdkafka_is_summed_and_its_brokers_are_the_fewest),
        cmocka_unit_test(who_asks_for_openmetrics_gets_it),
        cmocka_unit_test(no_address_is_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
