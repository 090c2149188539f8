#include "kafka/statistics.h"

#include <jansson.h>
#include <string.h>

static bool is(const json_t *object, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value && strcmp(value, text) == 0;
}

/* Without those that stand for another one (the group's coordinator) or have no id yet. */
static int count_up(json_t *brokers)
{
    const char *name;
    json_t *broker;
    int up = 0;
    json_object_foreach(brokers, name, broker) up +=
        is(broker, "state", "UP") && !is(broker, "source", "logical") &&
        json_integer_value(json_object_get(broker, "nodeid")) >= 0;
    return up;
}

/* A consumer's partitions share one queue, and each of them tells all of it (fetchq_cnt): the
 * handle's own queue (replyq) is that queue. */
bool statistics_parse(const char *json, size_t len, struct statistics *ret_statistics)
{
    json_t *all = json_loadb(json, len, 0, NULL);
    json_t *brokers = json_object_get(all, "brokers");
    json_t *waiting = json_object_get(all, is(all, "type", "consumer") ? "replyq" : "msg_cnt");
    bool found = json_is_object(brokers) && json_is_integer(waiting);
    if (found)
        *ret_statistics = (struct statistics){.brokers_up = count_up(brokers),
                                              .waiting = json_integer_value(waiting)};
    json_decref(all);
    return found;
}
