/* The cache of ids and the client below it, against a server that does what it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "registry/answer.h"
#include "registry/lookup.h"

#define WAIT_MS 20000

struct server {
    struct MHD_Daemon *daemon;
    char url[64];
    atomic_uint status;
    _Atomic(const char *) body; /* NULL: of its own, a schema that names the id */
    atomic_int delay_ms, requests;
    size_t padding; /* octets after the body */
};

struct fixture {
    struct server server;
    struct registry_options options;
    struct registry_stats stats;
    struct lookup *lookup;
    struct lookup_asker asker;
    struct arena arena;
    struct str text;
    struct err err;
};

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request)
{
    struct server *server = context;
    (void)method;
    (void)version;
    (void)upload;
    (void)request;
    *upload_size = 0;
    atomic_fetch_add(&server->requests, 1);
    poll(NULL, 0, atomic_load(&server->delay_ms));
    struct buf body = {0};
    const char *given = atomic_load(&server->body);
    if (given)
        buf_str(&body, str_of(given));
    else
        buf_printf(&body, "{\"schema\":\"schema of %s\"}", strrchr(url, '/') + 1);
    for (size_t i = 0; i < server->padding; i++)
        buf_append(&body, " ", 1);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.len, body.data, MHD_RESPMEM_MUST_COPY);
    if (atomic_load(&server->status) == 302)
        MHD_add_response_header(response, "Location", "/elsewhere");
    enum MHD_Result queued = MHD_queue_response(connection, atomic_load(&server->status), response);
    MHD_destroy_response(response);
    buf_deinit(&body);
    return queued;
}

static void serve(struct server *server, uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    server->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, port,
                         NULL, NULL, answer, server, MHD_OPTION_SOCK_ADDR, &address,
                         MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    assert_non_null(server->daemon);
}

static uint16_t port_of(const struct server *server)
{
    return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    log_configure(LOG_ERROR, LOG_LOGFMT);
    atomic_store(&f->server.status, 200);
    serve(&f->server, 0);
    snprintf(f->server.url, sizeof(f->server.url), "http://127.0.0.1:%d/path/",
             port_of(&f->server));
    f->options = (struct registry_options){.url = f->server.url, .timeout_ms = 5000};
    assert_int_equal(lookup_open(&f->options, &f->stats, &f->lookup, &f->err), OK);
    f->asker.lookup = f->lookup;
    arena_init(&f->arena);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    lookup_close(f->lookup);
    if (f->server.daemon)
        MHD_stop_daemon(f->server.daemon);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

static enum rcode ask(struct fixture *f, int32_t id)
{
    return lookup_resolve(&f->asker, id, &f->arena, &f->text, &f->err);
}

/* Asks as an engine does, again and again, until the answer is another one than `not_yet`. */
static enum rcode ask_until_told(struct fixture *f, int32_t id)
{
    int64_t deadline = clock_monotonic_ms() + WAIT_MS;
    enum rcode rc = ask(f, id);
    while (rc == E_REGISTRY_UNAVAILABLE && clock_monotonic_ms() < deadline) {
        poll(NULL, 0, 5);
        rc = ask(f, id);
    }
    return rc;
}

static void an_id_is_asked_for_once(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask_until_told(f, 7), OK);
        assert_true(str_equal(f->text, STR("schema of 7")));
    }
    assert_int_equal(atomic_load(&f->server.requests), 1);
    assert_int_equal(atomic_load(&f->stats.requests[REGISTRY_OK]), 1);
}

static void that_there_is_none_must_come_from_a_registry(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->server.status, 404);
    atomic_store(&f->server.body, "{\"error_code\":40403,\"message\":\"Schema not found\"}");
    assert_int_equal(ask_until_told(f, 8), E_UNKNOWN_SCHEMA);
    assert_non_null(strstr(f->err.text, "schema id 8"));
    assert_int_equal(ask(f, 8), E_UNKNOWN_SCHEMA);
    assert_int_equal(atomic_load(&f->server.requests), 1); /* and is believed for a while */

    struct registry *registry;
    static const char *const pages[] = {"<html></html>", "{\"error_code\":404,\"message\":\"x\"}",
                                        "{\"error_code\":0}", ""};
    assert_int_equal(registry_open(&f->options, &f->stats, &registry, &f->err), OK);
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        atomic_store(&f->server.body, pages[i]);
        assert_int_equal(registry_schema(registry, 9, &f->arena, &f->text, &f->err),
                         E_REGISTRY_UNAVAILABLE);
        assert_non_null(strstr(f->err.text, "as no registry does"));
    }
    registry_close(registry);
}

static void wrong_answers_are_none(void **state)
{
    static const struct {
        unsigned status;
        const char *body;
        size_t padding;
        enum rcode rc;
        const char *wanted;
        enum registry_outcome outcome;
    } samples[] = {
        {200, "{\"schema\":\"{", 0, E_REGISTRY_UNAVAILABLE, "no JSON", REGISTRY_INVALID},
        {200, "{\"status\":\"UP\"}", 0, E_REGISTRY_UNAVAILABLE, "without", REGISTRY_INVALID},
        {200, "{\"schema\":\"x\"}", ANSWER_SIZE_MAX, E_REGISTRY_UNAVAILABLE, "more than 1048576",
         REGISTRY_INVALID},
        {302, "", 0, E_REGISTRY_UNAVAILABLE, "not followed", REGISTRY_INVALID},
        {401, "", 0, E_AUTH, "401", REGISTRY_REFUSED},
        {403, "{}", 0, E_AUTH, "403", REGISTRY_REFUSED},
        {422, "{\"error_code\":42201,\"message\":\"no Avro\"}", 0, E_SCHEMA, "(42201): no Avro",
         REGISTRY_REFUSED},
        {400, "", 0, E_REGISTRY_UNAVAILABLE, "as no registry does", REGISTRY_REFUSED},
        {500, "{\"message\":\"store\"}", 0, E_REGISTRY_UNAVAILABLE, "500: store",
         REGISTRY_UNAVAILABLE},
        {429, "", 0, E_REGISTRY_UNAVAILABLE, "429: no reason given", REGISTRY_UNAVAILABLE},
    };
    struct fixture *f = *state;
    struct registry *registry;
    f->options.timeout_ms = 300;
    assert_int_equal(registry_open(&f->options, &f->stats, &registry, &f->err), OK);
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        long long before = atomic_load(&f->stats.requests[samples[i].outcome]);
        atomic_store(&f->server.status, samples[i].status);
        atomic_store(&f->server.body, samples[i].body);
        f->server.padding = samples[i].padding;
        assert_int_equal(registry_schema(registry, 1, &f->arena, &f->text, &f->err), samples[i].rc);
        assert_non_null(strstr(f->err.text, samples[i].wanted));
        assert_true(atomic_load(&f->stats.requests[samples[i].outcome]) > before);
    }
    registry_close(registry);
}

static void what_may_pass_is_tried_again_until_the_deadline(void **state)
{
    struct fixture *f = *state;
    struct registry *registry;
    f->options.timeout_ms = 1500;
    assert_int_equal(registry_open(&f->options, &f->stats, &registry, &f->err), OK);
    atomic_store(&f->server.status, 503);
    int64_t began = clock_monotonic_ms();
    assert_int_equal(registry_schema(registry, 1, &f->arena, &f->text, &f->err),
                     E_REGISTRY_UNAVAILABLE);
    assert_true(atomic_load(&f->server.requests) > 1);
    atomic_store(&f->server.status, 200);
    atomic_store(&f->server.delay_ms, 3000);
    assert_int_equal(registry_schema(registry, 1, &f->arena, &f->text, &f->err),
                     E_REGISTRY_UNAVAILABLE);
    assert_non_null(strstr(f->err.text, "no answer"));
    assert_true(clock_monotonic_ms() - began < 2 * 1500 + 2000);
    atomic_store(&f->server.delay_ms, 0);
    registry_close(registry);
}

static void a_registry_that_is_away_costs_no_time_and_what_is_known_stays(void **state)
{
    struct fixture *f = *state;
    uint16_t port = port_of(&f->server);
    assert_int_equal(ask_until_told(f, 1), OK);
    MHD_stop_daemon(f->server.daemon);
    f->server.daemon = NULL;
    assert_int_equal(ask(f, 2), E_REGISTRY_UNAVAILABLE);
    int64_t deadline = clock_monotonic_ms() + WAIT_MS;
    while (!strstr(f->err.text, "schema id 2 waits") && clock_monotonic_ms() < deadline) {
        assert_int_equal(ask(f, 2), E_REGISTRY_UNAVAILABLE);
        poll(NULL, 0, 5);
    }
    assert_non_null(strstr(f->err.text, "no answer from the registry"));
    /* It is known to be away: nobody waits for it. */
    int64_t began = clock_monotonic_ms();
    for (int32_t id = 0; id < 1000; id++)
        assert_int_equal(ask(f, 1000 + id), E_REGISTRY_UNAVAILABLE);
    assert_true(clock_monotonic_ms() - began < 2000);
    assert_int_equal(ask(f, 1), OK);
    serve(&f->server, port);
    assert_int_equal(ask_until_told(f, 2), OK);
    assert_true(str_equal(f->text, STR("schema of 2")));
}

/* However many ids there are that nobody has heard of, and however slow the answers. */
static void who_asks_waits_for_a_small_share_of_the_time(void **state)
{
    struct fixture *f = *state;
    atomic_store(&f->server.delay_ms, 100);
    int64_t began = clock_monotonic_ms(), waited = 0, now = began;
    for (int32_t id = 0; now - began < 2000; id++) {
        ask(f, id);
        int64_t later = clock_monotonic_ms();
        waited += later - now;
        poll(NULL, 0, 1); /* what else there is to do */
        now = clock_monotonic_ms();
    }
    assert_in_range(waited, 100, 300 + 2000 / 5 + 300);
    atomic_store(&f->server.delay_ms, 0);
}

static void the_cache_is_bounded_and_our_own_stay(void **state)
{
    struct fixture *f = *state;
    struct lookup_usage usage;
    lookup_put(f->lookup, 5, STR("ours"));
    for (int32_t id = 100; id < 100 + LOOKUP_IDS_MAX + 50; id++)
        assert_int_equal(ask_until_told(f, id), OK);
    lookup_usage(f->lookup, &usage);
    assert_int_equal(usage.known, LOOKUP_IDS_MAX);
    assert_int_equal(usage.absent + usage.wanted, 0);
    int asked = atomic_load(&f->server.requests);
    assert_int_equal(ask(f, 5), OK);
    assert_true(str_equal(f->text, STR("ours")));
    assert_int_equal(ask(f, 100 + LOOKUP_IDS_MAX + 49), OK);
    assert_int_equal(atomic_load(&f->server.requests), asked);
    assert_int_equal(ask_until_told(f, 100), OK); /* the oldest gave way */
    assert_int_equal(atomic_load(&f->server.requests), asked + 1);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    struct fixture *f = *state;
    struct registry *registry = NULL;
    f->options.user = "me";
    f->options.password_file = "/nowhere/password";
    assert_int_equal(registry_open(&f->options, NULL, &registry, &f->err), E_CONFIG);
    assert_non_null(strstr(f->err.text, "/nowhere/password"));
    f->options.password_file = NULL;
    f->options.ca_file = "/nowhere/ca";
    assert_int_equal(registry_open(&f->options, NULL, &registry, &f->err), E_CONFIG);
    assert_non_null(strstr(f->err.text, "/nowhere/ca"));
    assert_null(registry);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_id_is_asked_for_once),
        T(that_there_is_none_must_come_from_a_registry),
        T(wrong_answers_are_none),
        T(what_may_pass_is_tried_again_until_the_deadline),
        T(a_registry_that_is_away_costs_no_time_and_what_is_known_stays),
        T(who_asks_waits_for_a_small_share_of_the_time),
        T(the_cache_is_bounded_and_our_own_stay),
        T(a_file_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
