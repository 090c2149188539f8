/* The HTTP server over real sockets. */
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

#include "http_client.h"
#include "ops/http.h"

/* --- the server --- */

static unsigned answer_hello(void *context, struct http_exchange *exchange)
{
    int *asked = context;
    buf_printf(&exchange->body, "hello %d\n", ++*asked);
    return 200;
}

static unsigned answer_unwell(void *context, struct http_exchange *exchange)
{
    (void)context, (void)exchange;
    return 503;
}

/* What the client accepts, as the type and the text of the answer. */
static unsigned answer_accepted(void *context, struct http_exchange *exchange)
{
    (void)context;
    buf_printf(&exchange->body, "[%s]", exchange->accept);
    if (*exchange->accept)
        exchange->content_type = "text/x-chosen";
    return 200;
}

static unsigned answer_below(void *context, struct http_exchange *exchange)
{
    (void)context;
    const char *colour = http_argument(exchange, "colour");
    buf_printf(&exchange->body, "[%s] [%s]\n", exchange->rest, colour ? colour : "none");
    return 200;
}

static const struct http_route test_routes[] = {
    {"/", "text/plain", answer_unwell},
    {"/below/", "text/plain", answer_below},
    {"/hello", "text/plain", answer_hello},
    {"/unwell", "application/json", answer_unwell},
    {"/accepted", "text/x-usual", answer_accepted},
};

static struct http *serve(const char *address, int *asked)
{
    struct http_options options = {
        .listen = address, .routes = test_routes, .route_count = 5, .context = asked};
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
    http_assert_answer(port, "/hello", 200, "\r\n\r\nhello 1\n");
    http_assert_answer(port, "/hello?a=b", 200, "\r\n\r\nhello 2\n");
    http_assert_answer(port, "/hello", 200, "Content-Type: text/plain\r\n");
    http_assert_answer(port, "/unwell", 503, "Content-Length: 0\r\n");
    http_close(http);
    assert_int_equal(http_dial(port, false), -1);
}

static void a_path_that_ends_in_a_slash_stands_for_all_below_it(void **unused)
{
    (void)unused;
    int asked = 0;
    struct http *http = serve("127.0.0.1:0", &asked);
    int port = http_port(http);
    http_assert_answer(port, "/below/a/b", 200, "\r\n\r\n[a/b] [none]\n");
    http_assert_answer(port, "/below/a%2Bb%40c%2f%25", 200, "[a+b@c/%] [none]\n");
    http_assert_answer(port, "/below/a+b?colour=sky%20blue&x=1", 200, "[a+b] [sky blue]\n");
    http_assert_answer(port, "/below/", 404, "not found");
    http_assert_answer(port, "/below", 404, "not found");
    http_assert_answer(port, "/", 503, "Content-Length: 0\r\n");
    http_close(http);
}

static void pages_may_load_nothing_from_elsewhere(void **unused)
{
    (void)unused;
    int asked = 0;
    struct http *http = serve("127.0.0.1:0", &asked);
    http_assert_answer(http_port(http), "/hello", 200,
                       "Content-Security-Policy: default-src 'none'; ");
    http_assert_answer(http_port(http), "/hello", 200, "X-Content-Type-Options: nosniff\r\n");
    http_close(http);
}

static void a_path_that_is_not_listed_is_404_and_says_which_are(void **unused)
{
    (void)unused;
    int asked = 0;
    struct http *http = serve("127.0.0.1:0", &asked);
    http_assert_answer(http_port(http), "/nothing", 404,
                       "there are: / /below/ /hello /unwell /accepted\n");
    http_assert_answer(http_port(http), "/hello/", 404, "not found");
    assert_int_equal(http_status_of(http_port(http), "POST", "/nothing"), 404);
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
        assert_int_equal(http_request(http_port(http), methods[i], "/hello", "", &text), 405);
        assert_non_null(strstr(text.data, "Allow: GET\r\n"));
        buf_deinit(&text);
    }
    assert_int_equal(asked, 0);
    http_close(http);
}

static void an_answer_may_follow_what_the_client_accepts(void **unused)
{
    (void)unused;
    int asked = 0;
    struct buf text;
    struct http *http = serve("127.0.0.1:0", &asked);
    http_assert_answer(http_port(http), "/accepted", 200, "\r\n\r\n[]");
    http_assert_answer(http_port(http), "/accepted", 200, "Content-Type: text/x-usual\r\n");
    assert_int_equal(
        http_request(http_port(http), "GET", "/accepted", "accept: a/b;q=0.5, */*\r\n", &text),
        200);
    assert_non_null(strstr(text.data, "\r\n\r\n[a/b;q=0.5, */*]"));
    assert_non_null(strstr(text.data, "Content-Type: text/x-chosen\r\n"));
    buf_deinit(&text);
    http_close(http);
}

static void a_body_is_refused_before_it_is_sent(void **unused)
{
    (void)unused;
    int asked = 0;
    struct http *http = serve("127.0.0.1:0", &asked);
    struct buf text;
    assert_int_equal(http_request_over(http_dial(http_port(http), false),
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
        silent[i] = http_dial(http_port(http), false);
        assert_int_equal(send(silent[i], "GET /hel", 8, MSG_NOSIGNAL), 8);
    }
    http_assert_answer(http_port(http), "/hello", 200, "hello 1");
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
    int fd = http_dial(http_port(http), true);
    assert_int_equal(
        http_request_over(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &text),
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listed_path_is_answered_by_its_function),
        cmocka_unit_test(a_path_that_ends_in_a_slash_stands_for_all_below_it),
        cmocka_unit_test(pages_may_load_nothing_from_elsewhere),
        cmocka_unit_test(a_path_that_is_not_listed_is_404_and_says_which_are),
        cmocka_unit_test(only_get_is_allowed),
        cmocka_unit_test(an_answer_may_follow_what_the_client_accepts),
        cmocka_unit_test(a_body_is_refused_before_it_is_sent),
        cmocka_unit_test(a_client_that_says_nothing_holds_up_nobody),
        cmocka_unit_test(names_and_ipv6_are_listened_on),
        cmocka_unit_test(an_address_that_cannot_be_had_says_why_and_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
