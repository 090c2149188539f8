/*
 * What a service manager is told (sd_notify's protocol: datagrams to $NOTIFY_SOCKET), for units
 * with Type=notify and WatchdogSec=. Without such a socket nothing happens. A manager that cannot
 * be reached is no error: it has its own timeouts.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* -1: nobody to tell */
    struct sockaddr_un address;
    socklen_t address_len;
    int64_t ping_interval_ms; /* 0: no watchdog */
    int64_t pinged_ms;
};

/* From $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/* Not started yet, and not at fault: the start's timeout begins anew. `why` is shown as the
 * status. */
void notify_waiting(const struct notify *notify, const char *why);
void notify_ready(const struct notify *notify);
/* The end has begun; from now on no watchdog counts. */
void notify_stopping(const struct notify *notify);

/* To be called often: keeps the watchdog quiet as long as `live`. */
void notify_alive(struct notify *notify, bool live);
