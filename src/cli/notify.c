#include "cli/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define STATUS_MAX 512
#define WAITING_S 120 /* more than one look at the broker and its topics takes */

/* False: it names no socket. A leading @ stands for the NUL of the abstract name space. */
static bool address_of(const char *path, struct sockaddr_un *ret_address, socklen_t *ret_len)
{
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof(ret_address->sun_path) || (path[0] != '/' && path[0] != '@'))
        return false;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, path, len);
    bool abstract = path[0] == '@';
    if (abstract)
        ret_address->sun_path[0] = '\0';
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !abstract);
    return true;
}

/* Twice within the watchdog's patience. */
static int64_t ping_interval_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtoll(pid, NULL, 10) != (long long)getpid()))
        return 0;
    long long patience_us = strtoll(usec, NULL, 10);
    return patience_us < 2000 ? 0 : patience_us / 2000;
}

void notify_open(struct notify *notify)
{
    *notify = (struct notify){.fd = -1};
    if (!address_of(getenv("NOTIFY_SOCKET"), &notify->address, &notify->address_len))
        return;
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify->fd >= 0)
        notify->ping_interval_ms = ping_interval_ms();
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

static void tell(const struct notify *notify, const char *text)
{
    if (notify->fd >= 0)
        (void)sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                     (const struct sockaddr *)&notify->address, notify->address_len);
}

void notify_waiting(const struct notify *notify, const char *why)
{
    char text[STATUS_MAX];
    snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%d000000\nSTATUS=Waiting: %s", WAITING_S,
             why);
    /* A line ends a variable. */
    for (char *at = strstr(text, "STATUS="); *at; at++)
        if (*at == '\n')
            *at = ' ';
    tell(notify, text);
}

void notify_ready(const struct notify *notify)
{
    tell(notify, "READY=1\nSTATUS=Running");
}

void notify_stopping(const struct notify *notify)
{
    tell(notify, "STOPPING=1\nSTATUS=Ending the transaction in hand");
}

void notify_alive(struct notify *notify, bool live)
{
    int64_t now_ms = clock_monotonic_ms();
    if (!live || !notify->ping_interval_ms ||
        (notify->pinged_ms && now_ms - notify->pinged_ms < notify->ping_interval_ms))
        return;
    notify->pinged_ms = now_ms;
    tell(notify, "WATCHDOG=1");
}
