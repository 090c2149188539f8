#include "http_client.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

int http_dial(int port, bool ipv6)
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

int http_request_over(int fd, const char *head, struct buf *ret_text)
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

int http_request(int port, const char *method, const char *path, const char *headers,
                 struct buf *ret_text)
{
    char head[1024];
    snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: localhost\r\n%sConnection: close\r\n\r\n",
             method, path, headers);
    return http_request_over(http_dial(port, false), head, ret_text);
}

int http_status_of(int port, const char *method, const char *path)
{
    struct buf text;
    int status = http_request(port, method, path, "", &text);
    buf_deinit(&text);
    return status;
}

static void check_answer(int port, const char *path, int status, const char *part, bool wanted)
{
    struct buf text;
    int got = http_request(port, "GET", path, "", &text);
    if (got != status || (strstr(text.data, part) != NULL) != wanted)
        fail_msg("GET %s: no %d %s '%s' but: %s", path, status, wanted ? "with" : "without", part,
                 text.data);
    buf_deinit(&text);
}

void http_assert_answer(int port, const char *path, int status, const char *part)
{
    check_answer(port, path, status, part, true);
}

void http_assert_no_answer(int port, const char *path, int status, const char *part)
{
    check_answer(port, path, status, part, false);
}
