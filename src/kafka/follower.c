#include "kafka/follower.h"

#include "base/clock.h"
#include "kafka/facts.h"
#include "kafka/scan.h"

#define ANSWER_MS 15000
#define POLL_RECORDS 10000

struct kafka_follower {
    struct scan scan;
    int32_t partition_count;
    struct port_position *committed; /* of each partition; where reading began, at first */
    struct port_record records[POLL_RECORDS];
};

/* What the group has committed, RD_KAFKA_OFFSET_INVALID where there is nothing. */
static enum rcode read_committed(struct kafka_follower *follower,
                                 rd_kafka_topic_partition_list_t *list, struct err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_committed(follower->scan.client->handle, list, ANSWER_MS);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
        code = list->elems[i].err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return OK;
    return client_fail(err, code, E_BROKER_UNREACHABLE, "committed offsets");
}

static enum rcode find_start(struct kafka_follower *follower, const char *topic, struct err *err)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(follower->partition_count);
    for (int32_t p = 0; p < follower->partition_count; p++)
        rd_kafka_topic_partition_list_add(list, topic, p);
    enum rcode rc = read_committed(follower, list, err);
    for (int32_t p = 0; rc == OK && p < follower->partition_count; p++) {
        struct port_watermarks marks;
        int64_t offset = list->elems[p].offset;
        rc = facts_watermarks_wait(follower->scan.client, topic, p,
                                   clock_monotonic_ms() + ANSWER_MS, &marks, err);
        if (rc == OK)
            follower->committed[p] =
                (struct port_position){p, offset > marks.log_start ? offset : marks.log_start};
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

enum rcode kafka_follower_open(struct kafka_properties properties, const char *group,
                               const char *topic, struct kafka_follower **ret_follower,
                               struct err *err)
{
    struct kafka_follower *follower = mem_zalloc(sizeof(*follower));
    enum rcode rc =
        scan_open(&follower->scan, "follower", properties, client_reader_defaults, group, err);
    if (rc == OK)
        rc = facts_partition_count_wait(follower->scan.client, topic,
                                        clock_monotonic_ms() + ANSWER_MS,
                                        &follower->partition_count, err);
    if (rc == OK) {
        size_t size = (size_t)follower->partition_count * sizeof(follower->committed[0]);
        follower->committed = mem_zalloc(size);
        rc = find_start(follower, topic, err);
    }
    if (rc == OK)
        rc = scan_assign(&follower->scan, topic, follower->committed, follower->partition_count,
                         err);
    if (rc != OK) {
        kafka_follower_close(follower);
        return rc;
    }
    *ret_follower = follower;
    return OK;
}

void kafka_follower_close(struct kafka_follower *follower)
{
    if (!follower)
        return;
    scan_close(&follower->scan);
    mem_free(follower->committed);
    mem_free(follower);
}

enum rcode kafka_follower_poll(struct kafka_follower *follower, int timeout_ms,
                               const struct port_record **ret_records, size_t *ret_count,
                               struct err *err)
{
    *ret_records = follower->records;
    return scan_poll(&follower->scan, timeout_ms, POLL_RECORDS, follower->records, ret_count, err);
}

enum rcode kafka_follower_commit(struct kafka_follower *follower, struct err *err)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(follower->partition_count);
    for (int32_t p = 0; p < follower->partition_count; p++) {
        int64_t next = scan_position(&follower->scan, p);
        if (next > follower->committed[p].offset)
            rd_kafka_topic_partition_list_add(list, follower->scan.topic, p)->offset = next;
    }
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (list->cnt)
        code = rd_kafka_commit(follower->scan.client->handle, list, 0);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        code = list->elems[i].err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            follower->committed[list->elems[i].partition].offset = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return OK;
    return client_fail(err, code, E_LOG_RETRIABLE, "committing offsets");
}
