/* The status page and the JSON API: cli/observe_status*.c, observe_page.c, observe_recipient.c. */
#include "observe_support.h"

#include <pthread.h>

#include "base/arena.h"

/* --- JSON --- */

static void http_get(const struct told *told, const char *path, struct buf *text)
{
    assert_int_equal(http_request(told->port, "GET", path, "", text), 200);
}

static json_t *status_of(const struct told *told)
{
    struct buf text;
    buf_init(&text);
    http_get(told, "/api/v1/status", &text);
    json_t *status = json_loads(strstr(text.data, "\r\n\r\n"), 0, NULL);
    assert_non_null(status);
    buf_deinit(&text);
    return status;
}

/* `path`: names and numbers of elements, with dots between. */
static json_t *at(json_t *value, const char *path)
{
    char copy[128], *rest = copy;
    snprintf(copy, sizeof(copy), "%s", path);
    for (const char *name; value && (name = strsep(&rest, "."));)
        value = json_is_array(value) ? json_array_get(value, (size_t)atoi(name))
                                     : json_object_get(value, name);
    return value;
}

static void assert_text(json_t *status, const char *path, const char *expected)
{
    const char *text = json_string_value(at(status, path));
    if (!text)
        fail_msg("%s is no text", path);
    assert_string_equal(text, expected);
}

static void assert_number(json_t *status, const char *path, double expected)
{
    if (!json_is_number(at(status, path)))
        fail_msg("%s is no number", path);
    double difference = json_number_value(at(status, path)) - expected;
    if (difference < -0.0001 || difference > 0.0001)
        fail_msg("%s is %g off", path, difference);
}

static void assert_unknown(json_t *status, const char *path)
{
    if (!json_is_null(at(status, path)))
        fail_msg("%s is known, or is not there", path);
}

static void assert_state(const struct told *told, const char *state)
{
    json_t *status = status_of(told);
    assert_text(status, "state", state);
    json_decref(status);
}

static void about(struct told *told)
{
    static const struct observe_about known = {
        .app = "shop", .instance = "mx<1>", .partitions = 4, .stale_after_ms = 1000};
    struct err err = {0};
    assert_int_equal(observe_about(told->observe, &known, &err), OK);
}

static void before_threads_run_the_process_starts(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    json_t *status = status_of(&told);
    assert_text(status, "state", "starting");
    assert_unknown(status, "instance");
    assert_unknown(status, "recipients");
    assert_unknown(status, "due");
    assert_int_equal(json_array_size(at(status, "roles")), 0);
    json_decref(status);
    http_assert_answer(told.port, "/", 200, "Starting: waiting for a broker");
    http_assert_answer(told.port, "/api/v1/recipients/a@example.org", 503, "\"not_ready\"");
    close_told(&told);
}

static void the_state_says_whether_all_is_well(void **unused)
{
    (void)unused;
    struct board_entry entry = {.partition = 2, .state = PARTITION_RUNNING};
    struct kafka_lag_partition lag = {
        .partition = 2, .known = true, .end = 9, .waiting_known = true, .waiting_ms = 59000};
    struct told told;
    tell(&told);
    run(&told);
    assert_state(&told, "ok");
    observe_watched(told.observe);
    assert_state(&told, "starting"); /* no broker heard of yet */
    observe_heard(told.observe, ROLE_WORKER, &lag, 1);
    board_write(&told.boards[0], &entry, 1);
    assert_state(&told, "ok");
    lag.waiting_ms = 61000;
    observe_heard(told.observe, ROLE_WORKER, &lag, 1);
    assert_state(&told, "late");
    entry.state = PARTITION_RESTORING;
    board_write(&told.boards[0], &entry, 1);
    assert_state(&told, "restoring");
    atomic_store(&told.engines[1].trouble, E_AUTH);
    assert_state(&told, "trouble");
    atomic_store(&told.engines[1].trouble, OK);
    told.observe->heard[ROLE_WORKER].at_ms -= HEARD_MS_MAX + 1;
    assert_state(&told, "trouble");
    close_told(&told);
}

static void a_dispatcher_that_is_overdue_is_late(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    make_dispatcher(&told, 1);
    run(&told);
    told.dispatcher.next_due_ms = clock_wall_ms() - 30000;
    assert_state(&told, "ok");
    told.dispatcher.next_due_ms = clock_wall_ms() - 61000;
    assert_state(&told, "late");
    close_told(&told);
}

static void problems_are_named_with_their_codes(void **unused)
{
    (void)unused;
    static const struct board_entry entries[] = {
        {.partition = 1, .state = PARTITION_FAILED, .failure = E_CERTIFICATE_LOST},
        {.partition = 2, .state = PARTITION_RUNNING, .held = E_CLOCK}};
    struct told told;
    tell(&told);
    run(&told);
    board_write(&told.boards[0], entries, 2);
    atomic_store(&told.engines[1].trouble, E_AUTH);
    json_t *status = status_of(&told);
    assert_text(status, "problems.0.code", "certificate_lost");
    assert_number(status, "problems.0.partition", 1);
    assert_text(status, "problems.1.code", "clock");
    assert_text(status, "problems.2.code", "auth");
    assert_unknown(status, "problems.2.partition");
    assert_text(status, "roles.0.partitions.0.code", "certificate_lost");
    assert_text(status, "roles.0.partitions.1.code", "clock");
    json_decref(status);
    http_assert_answer(told.port, "/", 200,
                       "<li>worker, partition 1: the partition has stopped "
                       "(<code>certificate_lost</code>)</li>");
    close_told(&told);
}

static void what_is_not_known_of_a_partition_is_null(void **unused)
{
    (void)unused;
    static const struct board_entry entries[] = {
        {.partition = 1,
         .state = PARTITION_RESTORING,
         .restore_left = 25,
         .restore_all = 100,
         .usage = {.map = 1, .entries = 7}},
        {.partition = 3, .state = PARTITION_ASSIGNED, .restore_left = -1}};
    static const struct kafka_lag_partition lag = {
        .partition = 1, .known = true, .committed = 90, .log_start = 4, .end = 100};
    struct told told;
    tell(&told);
    run(&told);
    board_write(&told.boards[0], entries, 2);
    observe_heard(told.observe, ROLE_WORKER, &lag, 1);
    json_t *status = status_of(&told);
    assert_number(status, "roles.0.partitions.0.restored", 0.75);
    assert_number(status, "roles.0.partitions.0.restore_remaining", 25);
    assert_number(status, "roles.0.partitions.0.lag_records", 10);
    assert_unknown(status, "roles.0.partitions.0.lag_seconds");
    assert_number(status, "roles.0.partitions.0.entries", 7);
    assert_unknown(status, "roles.0.partitions.0.last_progress_at");
    static const char *const unknown[] = {"restored", "restore_remaining", "lag_records", "entries",
                                          "committed_offset"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), "roles.0.partitions.1.%s", unknown[i]);
        assert_unknown(status, path);
    }
    assert_unknown(status, "roles.0.lag_records"); /* a sum of what is not known */
    assert_unknown(status, "roles.0.records_per_second");
    assert_number(status, "roles.0.restoring", 2);
    json_decref(status);
    http_assert_answer(told.port, "/", 200, "75.0 %<span class=\"progress\">");
    http_assert_answer(told.port, "/", 200, "<td class=\"number\">unknown</td>");
    close_told(&told);
}

static void throughput_is_of_the_last_minute_or_less(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    run(&told);
    observe_note(told.observe);
    for (int i = 0; i < 3; i++)
        observe_note(told.observe);
    for (int i = 0; i < 4; i++) {
        struct observe_sample *sample = &told.observe->samples[i];
        sample->at_ms = clock_monotonic_ms() - (100 - 25 * i) * 1000; /* 100, 75, 50, 25 s ago */
        sample->records[ROLE_WORKER] = 1000 * i;
    }
    atomic_store(&told.engines[0].records, 5000);
    json_t *status = status_of(&told);
    double window = json_number_value(at(status, "roles.0.window_seconds"));
    assert_true(window >= 50 && window < 55);
    assert_number(status, "roles.0.records_per_second", 3000 / window);

    json_decref(status);
    told.observe->sample_count = 2; /* nothing younger: a longer window is told as what it is */
    status = status_of(&told);
    window = json_number_value(at(status, "roles.0.window_seconds"));
    assert_true(window >= 75 && window < 80);
    json_decref(status);
    for (int i = 0; i < 2 * SAMPLES_MAX; i++)
        observe_note(told.observe);
    assert_int_equal(told.observe->sample_count, SAMPLES_MAX);
    close_told(&told);
}

static void recipients_reasons_and_errors_are_counted(void **unused)
{
    (void)unused;
    static const struct board_entry entries[] = {
        {.partition = 1,
         .state = PARTITION_RUNNING,
         .usage = {.map = 1,
                   .kinds = {[WORKER_KIND_ACTIVE] = 60,
                             [WORKER_KIND_SUPPRESSED + SUPPRESSION_HARD_BOUNCE] = 10,
                             [WORKER_KIND_SUSPENDED + 1] = 24,
                             [WORKER_KIND_SUSPENDED + 3] = 6}}},
        {.partition = 3, .state = PARTITION_RESTORING, .usage = {.map = 1, .kinds = {1000}}}};
    struct told told;
    tell(&told);
    run(&told);
    board_write(&told.boards[0], entries, 2);
    told.workers[0].reasons[REASON_MAILBOX_FULL] = 3;
    told.workers[1].reasons[REASON_NETWORK] = 9;
    told.workers[1].bounces[CLASS_SOFT] = 12;
    told.workers[1].dead_letters[E_MALFORMED] = 4;
    told.engines[0].errors[STAGE_POLL][E_TIMEOUT] = 2;
    told.engines[1].errors[STAGE_POLL][E_TIMEOUT] = 3;
    told.engines[0].error_ms[STAGE_POLL][E_TIMEOUT] = clock_wall_ms() - 5000;
    told.engines[1].error_ms[STAGE_STORE][E_STORE] = clock_wall_ms() - 1000;
    told.engines[1].errors[STAGE_STORE][E_STORE] = 1;
    json_t *status = status_of(&told);
    assert_number(status, "recipients.total", 100);
    assert_number(status, "recipients.partitions", 1);
    assert_number(status, "recipients.assigned", 2);
    assert_true(json_is_false(at(status, "recipients.complete")));
    assert_text(status, "recipients.by_status.1.status", "SUSPENDED");
    assert_number(status, "recipients.by_status.1.recipients", 30);
    assert_number(status, "recipients.by_status.1.share", 0.3);
    assert_number(status, "recipients.by_attempt.0.share", 0.8);
    assert_number(status, "recipients.by_attempt.1.recipients", 0);
    assert_number(status, "recipients.by_attempt.2.recipients", 6);
    assert_int_equal(json_array_size(at(status, "recipients.by_attempt")), 3);
    assert_text(status, "recipients.suppressed_by.0.reason", "HARD_BOUNCE");
    assert_text(status, "bounces.by_reason.0.reason", "network");
    assert_number(status, "bounces.by_reason.0.share", 0.75);
    assert_int_equal(json_array_size(at(status, "bounces.by_reason")), 2);
    assert_number(status, "bounces.by_class.0.bounces", 12);
    assert_text(status, "errors.0.code", "store");
    assert_text(status, "errors.1.code", "timeout");
    assert_number(status, "errors.1.count", 5);
    assert_text(status, "dead_letters.0.reason", "malformed");
    assert_unknown(status, "due");
    assert_unknown(status, "ingest");
    json_decref(status);
    http_assert_answer(told.port, "/", 200, "<td class=\"number\">30.0 %</td>");
    http_assert_no_answer(told.port, "/", 200, "Retries that wait");
    close_told(&told);
}

static void what_an_ingest_job_has_is_shown(void **unused)
{
    (void)unused;
    struct ingest_job_stats stats = {0};
    static const struct board_entry entry = {.partition = 0, .state = PARTITION_RUNNING};
    struct told told;
    tell(&told);
    for (int i = 0; i < 2; i++)
        told.threads[i] = (struct observed_thread){.role = ROLE_INGEST,
                                                   .engine = &told.engines[i],
                                                   .board = &told.boards[i],
                                                   .ingest = &stats};
    run(&told);
    board_write(&told.boards[0], &entry, 1);
    stats.skipped[INGEST_SKIP_NONE + 1] = 3;
    json_t *status = status_of(&told);
    assert_number(status, "ingest.skipped.0.recipients", 6); /* two threads told the same */
    assert_unknown(status, "recipients");
    assert_unknown(status, "roles.0.partitions.0.entries");
    json_decref(status);
    http_assert_answer(told.port, "/", 200, "What the source tells");
    http_assert_no_answer(told.port, "/", 200, "Attempts of the suspended");
    close_told(&told);
}

static void the_page_escapes_what_it_shows(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    about(&told);
    run(&told);
    http_assert_answer(told.port, "/", 200, "<b>mx&lt;1&gt;</b>");
    http_assert_answer(told.port, "/", 200, "Content-Type: text/html; charset=utf-8\r\n");
    http_assert_no_answer(told.port, "/", 200, "mx<1>");
    http_assert_no_answer(told.port, "/", 200, "{{");
    close_told(&told);
}

/* --- one recipient --- */

static void who_is_no_recipient_is_refused(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    about(&told);
    run(&told);
    http_assert_answer(told.port, "/api/v1/recipients/nobody", 400,
                       "{\"error\":\"invalid_recipient\",\"partition\":null,\"text\":\"");
    http_assert_answer(told.port, "/api/v1/recipients/a@example.org?tenant=A%20B", 400,
                       "\"error\":\"invalid_tenant\"");
    http_assert_answer(told.port, "/api/v1/recipients/%22%3Cscript%3E", 400, "\\\"");
    assert_int_equal(http_status_of(told.port, "POST", "/api/v1/recipients/a@example.org"), 405);
    close_told(&told);
}

static void a_recipient_of_another_process_is_elsewhere(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    about(&told);
    run(&told);
    http_assert_answer(told.port, "/api/v1/recipients/a@example.org", 421,
                       "{\"error\":\"elsewhere\",\"partition\":");
    close_told(&told);
}

/* The partitions are here, and the thread, if `turns`, makes turns. */
struct turning {
    struct ask ask;
    atomic_bool stop;
    pthread_t thread;
};

static void *turn(void *context)
{
    struct turning *turning = context;
    while (!atomic_load(&turning->stop))
        ask_serve(&turning->ask);
    return NULL;
}

static void a_partition_that_is_not_proven_is_not_told_of(void **unused)
{
    (void)unused;
    struct board_entry entries[4];
    struct turning turning = {.stop = false};
    struct told told;
    for (int i = 0; i < 4; i++)
        entries[i] = (struct board_entry){.partition = i, .state = PARTITION_RESTORING};
    tell(&told);
    ask_init(&turning.ask);
    told.threads[0].ask = &turning.ask;
    about(&told);
    run(&told);
    board_write(&told.boards[0], entries, 4);
    http_assert_answer(told.port, "/api/v1/recipients/a@example.org", 503, "is busy");
    assert_int_equal(pthread_create(&turning.thread, NULL, turn, &turning), 0);
    http_assert_answer(told.port, "/api/v1/recipients/a@example.org", 503, "not proven yet");
    atomic_store(&turning.stop, true);
    pthread_join(turning.thread, NULL);
    close_told(&told);
    ask_deinit(&turning.ask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_threads_run_the_process_starts),
        cmocka_unit_test(the_state_says_whether_all_is_well),
        cmocka_unit_test(a_dispatcher_that_is_overdue_is_late),
        cmocka_unit_test(problems_are_named_with_their_codes),
        cmocka_unit_test(what_is_not_known_of_a_partition_is_null),
        cmocka_unit_test(throughput_is_of_the_last_minute_or_less),
        cmocka_unit_test(recipients_reasons_and_errors_are_counted),
        cmocka_unit_test(what_an_ingest_job_has_is_shown),
        cmocka_unit_test(the_page_escapes_what_it_shows),
        cmocka_unit_test(who_is_no_recipient_is_refused),
        cmocka_unit_test(a_recipient_of_another_process_is_elsewhere),
        cmocka_unit_test(a_partition_that_is_not_proven_is_not_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
