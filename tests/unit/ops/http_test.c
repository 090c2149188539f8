/* The HTTP server over real sockets, and what a process answers through it (cli/observe.c). */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/observe.h"
#include "ops/http.h"

/* --- a client --- */

static int dial(int port, bool ipv6)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {20, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    const struct sockaddr *address = ipv6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    if (fd >= 0 && connect(fd, address, ipv6 ? sizeof(v6) : sizeof(v4)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The status of a request; all that was received, with a NUL, is in `ret_text`. */
static int request_over(int fd, const char *head, struct buf *ret_text)
{
    char chunk[4096];
    assert_true(fd >= 0);
    assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), strlen(head));
    buf_init(ret_text);
    for (ssize_t got; (got = recv(fd, chunk, sizeof(chunk), 0)) > 0;)
        buf_append(ret_text, chunk, (size_t)got);
    close(fd);
    buf_append(ret_text, "", 1);
    assert_true(strncmp(ret_text->data, "HTTP/1.1 ", 9) == 0);
    return (int)strtol(ret_text->data + 9, NULL, 10);
}

static int request(int port, const char *method, const char *path, struct buf *ret_text)
{
    char head[512];
    snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
             method, path);
    return request_over(dial(port, false), head, ret_text);
}

static int status_of(int port, const char *method, const char *path)
{
    struct buf text;
    int status = request(port, method, path, &text);
    buf_deinit(&text);
    return status;
}

/* GETs `path` and checks the status and that the answer has the line or part of one. */
static void assert_answer(int port, const char *path, int status, const char *part)
{
    struct buf text;
    int got = request(port, "GET", path, &text);
    if (got != status || !strstr(text.data, part))
        fail_msg("GET %s: no %d with '%s' but: %s", path, status, part, text.data);
    buf_deinit(&text);
}

/* --- the server --- */

static unsigned answer_hello(void *context, struct buf *body)
{
    int *asked = context;
    buf_printf(body, "hello %d\n", ++*asked);
    return 200;
}

static unsigned answer_unwell(void *context, struct buf *body)
{
    (void)context, (void)body;
    return 503;
}

static const struct http_route test_routes[] = {
    {"/hello", "text/plain", answer_hello},
    {"/unwell", "application/json", answer_unwell},
};

static struct http *serve(const char *address, int *asked)
{
    struct http_options options = {
        .listen = address, .routes = test_routes, .route_count = 2, .context = asked};
    struct http *http = NULL;
    struct err err = {0};
    if (http_open(&options, &http, &err) != OK)
        fail_msg("%s", err.text);
    return http;
}

static void a_listed_path_is_answered_by_its_function(void **unused)
{
    (void)unused;
    int asked = 0;
    struct http *http = serve("127.0.0.1:0", &asked);
    int port = http_port(http);
    assert_true(port > 0);
    assert_answer(port, "/hello", 200, "\r\n\r\nhello 1\n");
    assert_answer(port, "/hello?a=b", 200, "\r\n\r\nhello 2\n");
    assert_answer(port, "/hello", 200, "Content-Type: text/plain\r\n");
    assert_answer(port, "/unwell", 503, "Content-Length: 0\r\n");
    http_close(http);
    assert_int_equal(dial(port, false), -1);
}

static void a_path_that_is_not_listed_is_404_and_says_which_are(void **unused)
{
    (void)unused;
    int asked = 0;
    struct http *http = serve("127.0.0.1:0", &asked);
    assert_answer(http_port(http), "/", 404, "there are: /hello /unwell\n");
    assert_answer(http_port(http), "/hello/", 404, "not found");
    assert_int_equal(status_of(http_port(http), "POST", "/nothing"), 404);
    assert_int_equal(asked, 0);
    http_close(http);
}

static void only_get_is_allowed(void **unused)
{
    (void)unused;
    static const char *const methods[] = {"HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", "X"};
    int asked = 0;
    struct http *http = serve("127.0.0.1:0", &asked);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct buf text;
        assert_int_equal(request(http_port(http), methods[i], "/hello", &text), 405);
        assert_non_null(strstr(text.data, "Allow: GET\r\n"));
        buf_deinit(&text);
    }
    assert_int_equal(asked, 0);
    http_close(http);
}

static void a_body_is_refused_before_it_is_sent(void **unused)
{
    (void)unused;
    int asked = 0;
    struct http *http = serve("127.0.0.1:0", &asked);
    struct buf text;
    assert_int_equal(request_over(dial(http_port(http), false),
                                  "POST /hello HTTP/1.1\r\nHost: a\r\n"
                                  "Content-Length: 1000000000\r\n\r\nsome",
                                  &text),
                     405);
    buf_deinit(&text);
    http_close(http);
}

static void a_client_that_says_nothing_holds_up_nobody(void **unused)
{
    (void)unused;
    int asked = 0, silent[8];
    struct http *http = serve("127.0.0.1:0", &asked);
    for (int i = 0; i < 8; i++) {
        silent[i] = dial(http_port(http), false);
        assert_int_equal(send(silent[i], "GET /hel", 8, MSG_NOSIGNAL), 8);
    }
    assert_answer(http_port(http), "/hello", 200, "hello 1");
    http_close(http);
    for (int i = 0; i < 8; i++)
        close(silent[i]);
}

static void names_and_ipv6_are_listened_on(void **unused)
{
    (void)unused;
    int asked = 0;
    struct http *http;
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", NULL, NULL, &found) == 0) { /* a bare root knows no names */
        freeaddrinfo(found);
        http = serve("localhost:0", &asked);
        http_close(http);
    }
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    bool ipv6 = probe >= 0 && bind(probe, (struct sockaddr *)&any, sizeof(any)) == 0;
    if (probe >= 0)
        close(probe);
    if (!ipv6)
        skip();
    struct buf text;
    http = serve("[::1]:0", &asked);
    int fd = dial(http_port(http), true);
    assert_int_equal(
        request_over(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &text),
        200);
    buf_deinit(&text);
    http_close(http);
}

static void assert_refused(const char *address, const char *part)
{
    struct http_options options = {.listen = address};
    struct http *http = NULL;
    struct err err = {0};
    assert_int_equal(http_open(&options, &http, &err), E_IO);
    assert_null(http);
    assert_int_equal(err.code, E_IO);
    if (!strstr(err.text, part))
        fail_msg("no '%s' in: %s", part, err.text);
}

static void an_address_that_cannot_be_had_says_why_and_what_to_do(void **unused)
{
    (void)unused;
    int asked = 0;
    char taken[32];
    struct http *http = serve("127.0.0.1:0", &asked);
    snprintf(taken, sizeof(taken), "127.0.0.1:%d", http_port(http));
    assert_refused(taken, "Address already in use; end the process that has this port, or give "
                          "another in http.listen (\"\" for none)");
    assert_refused(taken, taken);
    http_close(http);
    assert_refused("192.0.2.1:9464", "Cannot assign requested address; give another address");
    assert_refused("127.0.0.1", "give host:port");
    assert_refused("[]:1", "give host:port");
    http_close(serve(taken, &asked)); /* free again at once */
    http_close(NULL);
}

/* --- what a process answers --- */

struct told {
    struct observe *observe;
    struct engine_stats engines[2];
    struct worker_stats workers[2];
    struct observed_thread threads[2];
    int port;
};

static void tell(struct told *told)
{
    struct err err = {0};
    memset(told, 0, sizeof(*told));
    assert_int_equal(observe_open("127.0.0.1:0", &told->observe, &err), OK);
    told->port = observe_port(told->observe);
    for (int i = 0; i < 2; i++)
        told->threads[i] = (struct observed_thread){
            .role = ROLE_WORKER, .engine = &told->engines[i], .worker = &told->workers[i]};
}

static void before_threads_run_a_process_lives_but_is_not_ready(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    assert_answer(told.port, "/livez", 200, "{\"live\":true,\"threads\":0,\"stuck\":[]}\n");
    assert_answer(told.port, "/readyz", 503, "\"ready\":false,\"started\":false,\"threads\":0");
    assert_answer(told.port, "/metrics", 200, "\n# TYPE rimbalzo_records_total counter\n");
    observe_threads(told.observe, told.threads, 2);
    atomic_store(&told.engines[0].last_turn_ms, clock_monotonic_ms());
    assert_answer(told.port, "/livez", 200, "\"live\":true");
    assert_answer(told.port, "/readyz", 503, "\"started\":false,\"threads\":2");
    observe_close(told.observe);
}

static void ready_is_every_thread_turning_and_no_partition_failed(void **unused)
{
    (void)unused;
    struct told told;
    tell(&told);
    observe_threads(told.observe, told.threads, 2);
    for (int i = 0; i < 2; i++)
        atomic_store(&told.engines[i].last_turn_ms, clock_monotonic_ms());
    assert_answer(told.port, "/readyz", 200,
                  "{\"ready\":true,\"started\":true,\"threads\":2,\"partitions\":"
                  "{\"running\":0,\"restoring\":0,\"failed\":0}}\n");
    atomic_store(&told.engines[0].partitions_running, 3);
    atomic_store(&told.engines[1].partitions_running, 2);
    atomic_store(&told.engines[1].partitions_restoring, 1);
    assert_answer(told.port, "/readyz", 200, "{\"running\":5,\"restoring\":1,\"failed\":0}");
    atomic_store(&told.engines[0].partitions_failed, 1);
    assert_answer(told.port, "/readyz", 503, "{\"running\":5,\"restoring\":1,\"failed\":1}");
    assert_answer(told.port, "/readyz", 503, "\"ready\":false,\"started\":true");
    observe_close(told.observe);
}

static void a_thread_without_a_turn_for_a_minute_is_named(void **unused)
{
    (void)unused;
    struct told told;
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms < 100000)
        skip(); /* a machine that has just started has no time to have been stuck in */
    tell(&told);
    observe_threads(told.observe, told.threads, 2);
    assert_answer(told.port, "/livez", 200, "\"threads\":2,\"stuck\":[]");
    atomic_store(&told.engines[0].last_turn_ms, now_ms);
    atomic_store(&told.engines[1].last_turn_ms, now_ms - 90000);
    assert_answer(told.port, "/livez", 503,
                  "{\"live\":false,\"threads\":2,\"stuck\":[{\"thread\":1,\"last_turn_seconds\":9");
    atomic_store(&told.engines[0].last_turn_ms, now_ms - 70000);
    assert_answer(told.port, "/livez", 503, "[{\"thread\":0,\"last_turn_seconds\":7");
    assert_answer(told.port, "/livez", 503, "},{\"thread\":1,\"last_turn_seconds\":9");
    atomic_store(&told.engines[0].last_turn_ms, now_ms);
    atomic_store(&told.engines[1].last_turn_ms, now_ms);
    assert_answer(told.port, "/livez", 200, "\"live\":true");
    observe_close(told.observe);
}

static void metrics_are_sums_over_the_threads(void **unused)
{
    (void)unused;
    static const char *const lines[] = {
        "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
        "\nrimbalzo_build_info{version=\"" RIMBALZO_VERSION "\"} 1\n",
        "\n# TYPE rimbalzo_records_total counter\nrimbalzo_records_total{role=\"worker\"} 42\n",
        "\nrimbalzo_batches_total{role=\"worker\"} 3\n",
        "\nrimbalzo_transactions_aborted_total{role=\"worker\"} 1\n",
        "\nrimbalzo_producer_rebuilds_total{role=\"worker\"} 2\n",
        "\nrimbalzo_rebalances_total{role=\"worker\"} 4\n",
        "\nrimbalzo_restored_records_total{role=\"worker\"} 7\n",
        ("\n# TYPE rimbalzo_partitions "
         "gauge\nrimbalzo_partitions{role=\"worker\",state=\"running\"} 5\n"),
        "\nrimbalzo_partitions{role=\"worker\",state=\"restoring\"} 0\n",
        "\nrimbalzo_partitions{role=\"worker\",state=\"failed\"} 0\n",
        "\nrimbalzo_outcomes_total{outcome=\"applied\"} 30\n",
        "\nrimbalzo_outcomes_total{outcome=\"ignored\"} 0\n",
        "\nrimbalzo_bounces_total{class=\"UNKNOWN\"} 6\n",
        "\nrimbalzo_commands_total{action=\"RELEASE\"} 8\n",
        "\nrimbalzo_suppressions_total{action=\"SUPPRESS\"} 9\n",
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
    told.engines[0].batches = 1;
    told.engines[1].batches = 2;
    told.engines[0].aborts = 1;
    told.engines[1].rebuilds = 2;
    told.engines[0].rebalances = 4;
    told.engines[1].restored = 7;
    told.engines[0].partitions_running = 3;
    told.engines[1].partitions_running = 2;
    told.workers[0].outcomes[OUTCOME_APPLIED] = 10;
    told.workers[1].outcomes[OUTCOME_APPLIED] = 20;
    told.workers[0].bounces[CLASS_UNKNOWN] = 6;
    told.workers[1].commands[COMMAND_RELEASE] = 8;
    told.workers[0].suppressions[SUPPRESSION_SUPPRESS] = 9;
    told.workers[1].notices[NOTICE_REDUCE_FREQUENCY] = 10;
    told.workers[0].dead_letters[E_MISROUTED] = 11;
    told.workers[1].rerouted = 12;
    told.workers[1].lapsed = 13;
    told.workers[0].expired = 14;
    observe_threads(told.observe, told.threads, 2);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_answer(told.port, "/metrics", 200, lines[i]);
    observe_close(told.observe);
}

static void roles_are_told_apart(void **unused)
{
    (void)unused;
    static const char *const lines[] = {
        ("\nrimbalzo_records_total{role=\"worker\"} 40\n"
         "rimbalzo_records_total{role=\"dispatcher\"} 2\n"),
        "\nrimbalzo_partitions{role=\"dispatcher\",state=\"running\"} 1\n",
        "\nrimbalzo_outcomes_total{outcome=\"applied\"} 10\n",
        "\nrimbalzo_dispatcher_commands_total{outcome=\"released\"} 5\n",
        "\nrimbalzo_dispatcher_pending 6\n",
        "\nrimbalzo_dead_letters_total{reason=\"delay_too_long\"} 7\n",
    };
    struct dispatcher_stats stats = {.pending = 6};
    struct told told;
    tell(&told);
    told.engines[0].records = 40;
    told.engines[1].records = 2;
    told.engines[1].partitions_running = 1;
    told.workers[0].outcomes[OUTCOME_APPLIED] = 10;
    stats.commands[COMMAND_RELEASED] = 5;
    stats.dead_letters[E_DELAY_TOO_LONG] = 7;
    stats.next_due_ms = INT64_MAX;
    told.threads[1] = (struct observed_thread){
        .role = ROLE_DISPATCHER, .engine = &told.engines[1], .dispatcher = &stats};
    observe_threads(told.observe, told.threads, 2);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_answer(told.port, "/metrics", 200, lines[i]);
    assert_answer(told.port, "/metrics", 200, "\nrimbalzo_dispatcher_overdue_seconds 0\n");
    stats.next_due_ms = clock_wall_ms() - 90000;
    assert_answer(told.port, "/metrics", 200, "\nrimbalzo_dispatcher_overdue_seconds 90\n");
    observe_close(told.observe);
}

static void no_address_is_no_server(void **unused)
{
    (void)unused;
    struct observe *observe = NULL;
    struct engine_stats stats = {0};
    struct err err = {0};
    assert_int_equal(observe_open("", &observe, &err), OK);
    assert_int_equal(observe_port(observe), 0);
    observe_threads(observe, &(struct observed_thread){.engine = &stats}, 1);
    observe_close(observe);
    observe_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listed_path_is_answered_by_its_function),
        cmocka_unit_test(a_path_that_is_not_listed_is_404_and_says_which_are),
        cmocka_unit_test(only_get_is_allowed),
        cmocka_unit_test(a_body_is_refused_before_it_is_sent),
        cmocka_unit_test(a_client_that_says_nothing_holds_up_nobody),
        cmocka_unit_test(names_and_ipv6_are_listened_on),
        cmocka_unit_test(an_address_that_cannot_be_had_says_why_and_what_to_do),
        cmocka_unit_test(before_threads_run_a_process_lives_but_is_not_ready),
        cmocka_unit_test(ready_is_every_thread_turning_and_no_partition_failed),
        cmocka_unit_test(a_thread_without_a_turn_for_a_minute_is_named),
        cmocka_unit_test(metrics_are_sums_over_the_threads),
        cmocka_unit_test(roles_are_told_apart),
        cmocka_unit_test(no_address_is_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
