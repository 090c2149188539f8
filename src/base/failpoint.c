#include "base/failpoint.h"

#ifdef RIMBALZO_FAILPOINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char armed[64];
static atomic_long countdown;

static const char *const names[] = {
#define X(name) name,
    FAILPOINTS(X)
#undef X
};

bool failpoint_init(void)
{
    const char *text = getenv("RIMBALZO_FAILPOINT");
    if (!text || !*text)
        return true;
    const char *colon = strchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    char *end = NULL;
    long count = colon ? strtol(colon + 1, &end, 10) : 1;
    if (len >= sizeof(armed) || count < 1 || (end && *end))
        return false;
    memcpy(armed, text, len);
    atomic_store(&countdown, count);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(names[i], armed))
            return true;
    return false;
}

bool failpoint_armed(const char *name)
{
    return armed[0] && !strcmp(name, armed);
}

void failpoint(const char *name)
{
    if (failpoint_armed(name) && atomic_fetch_sub(&countdown, 1) == 1)
        kill(getpid(), SIGKILL);
}
#else
typedef int failpoint_is_compiled_out;
#endif
