/* A client of the HTTP server under test: one request a connection, over real sockets. */
#pragma once
#include <stdbool.h>

#include "base/buf.h"

/* -1: nobody listens. */
int http_dial(int port, bool ipv6);

/* Sends `head` as it is, reads to the end and closes. The status; all that was received, with a
 * NUL, is in `ret_text`. */
int http_request_over(int fd, const char *head, struct buf *ret_text);

/* `headers`: lines that end in \r\n, "" for none. */
int http_request(int port, const char *method, const char *path, const char *headers,
                 struct buf *ret_text);
int http_status_of(int port, const char *method, const char *path);

/* GETs `path` and checks the status and that the answer has the line or part of one. */
void http_assert_answer(int port, const char *path, int status, const char *part);
/* The same of an answer that must not have it. */
void http_assert_no_answer(int port, const char *path, int status, const char *part);
