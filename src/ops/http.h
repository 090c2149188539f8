/*
 * A small HTTP server: GET of a fixed list of paths, each answered by a function; a path that ends
 * in a slash, other than the root, stands for all that begin with it. It has one thread
 * of its own, so answers are made one at a time; they must be quick and ask nobody else. Paths not
 * listed are 404, methods other than GET are 405. There is no TLS and no authentication: listen on
 * the loopback, or on a network where everybody may read what the paths tell.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

struct http;

/* One request and its answer. */
struct http_exchange {
    const char *accept;       /* the request's header, "" without */
    const char *rest;         /* what follows a path that ends in a slash, decoded; not "" then */
    void *connection;         /* for http_argument */
    const char *content_type; /* of the answer: the route's, or what is put here */
    struct buf body;          /* of the answer, to be appended to */
};

struct http_route {
    const char *path; /* "/metrics"; a query is not looked at */
    const char *content_type;
    /* Makes the body and returns the status. Called on the server's thread. */
    unsigned (*answer)(void *context, struct http_exchange *exchange);
};

struct http_options {
    const char *listen;              /* "host:port" or "[::1]:port"; port 0: any free one */
    const struct http_route *routes; /* not owned, as context; both outlive the server */
    int route_count;
    void *context;
};

/* An argument of the query, decoded; NULL: it has none of that name. Lives as long as the exchange.
 */
const char *http_argument(const struct http_exchange *exchange, const char *name);

/* Listens and answers from now on. E_IO with what to do when the address is taken, not allowed, or
 * not of this machine. Signals that the caller has blocked stay blocked in the server's thread. */
enum rcode http_open(const struct http_options *options, struct http **ret_http,
                     struct err *err) WARN_UNUSED;

/* Ends connections and the thread: no answer is running or will run afterwards. NULL allowed. */
void http_close(struct http *http);

/* The port listened on: the real one where port 0 was asked for. */
int http_port(const struct http *http);
