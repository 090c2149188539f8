#include "ops/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"

#define BACKLOG 64
#define CONNECTIONS_MAX 64u
#define IDLE_SECONDS_MAX 10u
#define HOST_SIZE 256
#define PORT_SIZE 8

struct http {
    struct MHD_Daemon *daemon; /* owns the socket */
    const struct http_route *routes;
    int route_count;
    void *context;
    int port;
};

/* --- answers --- */

/* Of every answer. What a page may load is what came with it; it may ask this server, and be in
 * nobody's frame. */
static const char *const headers[][2] = {
    {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Content-Security-Policy",
     "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src "
     "'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status,
                             struct http_exchange *exchange)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        exchange->body.len, exchange->body.data, MHD_RESPMEM_MUST_COPY);
    buf_deinit(&exchange->body);
    if (!response)
        return MHD_NO;
    enum MHD_Result done =
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, exchange->content_type);
    for (size_t i = 0; done == MHD_YES && i < sizeof(headers) / sizeof(headers[0]); i++)
        done = MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (done == MHD_YES && status == MHD_HTTP_METHOD_NOT_ALLOWED)
        done = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, MHD_HTTP_METHOD_GET);
    if (done == MHD_YES)
        done = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return done;
}

static const struct http_route *find_route(const struct http *http, const char *path,
                                           const char **ret_rest)
{
    *ret_rest = "";
    for (int i = 0; i < http->route_count; i++) {
        const char *known = http->routes[i].path;
        size_t len = strlen(known);
        if (strcmp(known, path) == 0 && (len == 1 || known[len - 1] != '/'))
            return &http->routes[i];
        if (len > 1 && known[len - 1] == '/' && strncmp(known, path, len) == 0 && path[len]) {
            *ret_rest = path + len;
            return &http->routes[i];
        }
    }
    return NULL;
}

const char *http_argument(const struct http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* Called as soon as the headers are there: a body, which nothing here wants, is not waited for. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **request)
{
    (void)version, (void)upload, (void)upload_size, (void)request;
    const struct http *http = context;
    struct http_exchange exchange = {.content_type = "text/plain; charset=utf-8",
                                     .connection = connection};
    const struct http_route *route = find_route(http, path, &exchange.rest);
    buf_init(&exchange.body);
    if (!route) {
        buf_str(&exchange.body, STR("not found; there are:"));
        for (int i = 0; i < http->route_count; i++)
            buf_printf(&exchange.body, " %s", http->routes[i].path);
        buf_str(&exchange.body, STR("\n"));
        return reply(connection, MHD_HTTP_NOT_FOUND, &exchange);
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
        buf_str(&exchange.body, STR("only GET is allowed\n"));
        return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, &exchange);
    }
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    exchange.accept = accept ? accept : "";
    exchange.content_type = route->content_type;
    unsigned status = route->answer(http->context, &exchange);
    return reply(connection, status, &exchange);
}

/* --- the socket --- */

static int listen_on(const struct addrinfo *address)
{
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* Lets a restart have its port back at once; it does not let two processes share it. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* "host:port" or "[host]:port" in two; false if it is neither. */
static bool split_address(const char *text, char ret_host[HOST_SIZE], char ret_port[PORT_SIZE])
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (!len || !colon[1] || strlen(colon + 1) >= PORT_SIZE)
        return false;
    if (text[0] == '[') {
        if (len < 3 || text[len - 1] != ']')
            return false;
        text++;
        len -= 2;
    }
    if (len >= HOST_SIZE)
        return false;
    memcpy(ret_host, text, len);
    ret_host[len] = '\0';
    snprintf(ret_port, PORT_SIZE, "%s", colon + 1);
    return true;
}

static enum rcode cannot_listen(const char *address, int number, struct err *err)
{
    char text[128];
    const char *reason = strerror_r(number, text, sizeof(text));
    return err_set(
        err, E_IO, "http.listen: cannot listen on %s: %s; %s (\"\" for none)", address, reason,
        number == EADDRINUSE ? "end the process that has this port, or give another in http.listen"
                             : "give another address in http.listen");
}

static enum rcode open_socket(const char *address, int *ret_fd, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    char host[HOST_SIZE], port[PORT_SIZE];
    if (!split_address(address, host, port))
        return err_set(err, E_IO,
                       "http.listen: '%s' is no address to listen on; give host:port, as in "
                       "127.0.0.1:9464",
                       address);
    int problem = getaddrinfo(host, port, &hints, &found);
    if (problem)
        return err_set(err, E_IO,
                       "http.listen: cannot find the address of '%s': %s; give an address of this "
                       "machine, as in 127.0.0.1:9464",
                       host, gai_strerror(problem));
    int fd = -1;
    for (const struct addrinfo *each = found; each && fd < 0; each = each->ai_next)
        fd = listen_on(each);
    int number = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return cannot_listen(address, number, err);
    *ret_fd = fd;
    return OK;
}

static int port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    socklen_t len = sizeof(address);
    if (getsockname(fd, &address.any, &len) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

enum rcode http_open(const struct http_options *options, struct http **ret_http, struct err *err)
{
    int fd = -1;
    enum rcode rc = open_socket(options->listen, &fd, err);
    if (rc != OK)
        return rc;
    struct http *http = mem_zalloc(sizeof(*http));
    *http = (struct http){.routes = options->routes,
                          .route_count = options->route_count,
                          .context = options->context,
                          .port = port_of(fd)};
    http->daemon =
        MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, on_request, http,
                         MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS_MAX, MHD_OPTION_END);
    if (!http->daemon) {
        close(fd);
        mem_free(http);
        return err_set(err, E_IO,
                       "http.listen: cannot start the HTTP server on %s; is there a limit of "
                       "threads or open files? \"\" starts none",
                       options->listen);
    }
    *ret_http = http;
    return OK;
}

void http_close(struct http *http)
{
    if (!http)
        return;
    MHD_stop_daemon(http->daemon);
    mem_free(http);
}

int http_port(const struct http *http)
{
    return http->port;
}
