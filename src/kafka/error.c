#include "base/str.h"
#include "kafka/client.h"

/* What a code means wherever it comes from; what is not listed depends on the call. */
static const struct {
    rd_kafka_resp_err_t code;
    enum rcode rcode;
} meanings[] = {
    {RD_KAFKA_RESP_ERR__TRANSPORT, E_BROKER_UNREACHABLE},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, E_BROKER_UNREACHABLE},
    {RD_KAFKA_RESP_ERR__RESOLVE, E_BROKER_UNREACHABLE},
    {RD_KAFKA_RESP_ERR__SSL, E_BROKER_UNREACHABLE},
    {RD_KAFKA_RESP_ERR__NODE_UPDATE, E_BROKER_UNREACHABLE},
    {RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, E_BROKER_UNREACHABLE},
    {RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, E_BROKER_UNREACHABLE},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, E_TIMEOUT},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, E_TIMEOUT},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, E_TIMEOUT},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, E_TIMEOUT},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, E_AUTH},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, E_AUTH},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, E_AUTH},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, E_AUTH},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, E_AUTH},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, E_AUTH},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, E_AUTH},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, E_TOPICS},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID, E_TOPICS},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, E_TOPICS},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, E_TOPICS},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, E_TOPICS},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, E_TOPICS},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, E_TOPICS},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, E_TOPICS},
    {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, E_TOPICS},
    {RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, E_CONFIG},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, E_CONFIG},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, E_CONFIG},
    {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, E_INSTANCE_FENCED},
    {RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, E_UNSTABLE_OFFSETS},
    {RD_KAFKA_RESP_ERR__FENCED, E_PRODUCER_FENCED},
    {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, E_PRODUCER_FENCED},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, E_PRODUCER_FENCED},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_NOT_CONTROLLER, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR__WAIT_COORD, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR__WAIT_CACHE, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR__IN_PROGRESS, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS, E_LOG_RETRIABLE},
    {RD_KAFKA_RESP_ERR__RETRY, E_LOG_RETRIABLE},
};

enum rcode client_rcode(rd_kafka_resp_err_t code, enum rcode otherwise)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (meanings[i].code == code)
            return meanings[i].rcode;
    return otherwise;
}

enum rcode client_fail(struct err *err, rd_kafka_resp_err_t code, enum rcode otherwise,
                       const char *what)
{
    return err_set(err, client_rcode(code, otherwise), "%s: %s (%s)", what, rd_kafka_err2str(code),
                   rd_kafka_err2name(code));
}

enum rcode client_fail_transaction(struct err *err, rd_kafka_error_t *error, enum rcode otherwise,
                                   const char *what)
{
    if (!error)
        return OK;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    enum rcode meaning = client_rcode(code, OK);
    enum rcode rcode = otherwise;
    if (meaning == E_AUTH || meaning == E_CONFIG)
        rcode = meaning;
    else if (rd_kafka_error_is_fatal(error))
        rcode = meaning == E_PRODUCER_FENCED ? E_PRODUCER_FENCED : E_LOG_FATAL;
    else if (rd_kafka_error_txn_requires_abort(error))
        rcode = E_LOG_ABORTABLE;
    else if (rd_kafka_error_is_retriable(error))
        rcode = meaning == E_TIMEOUT || meaning == E_BROKER_UNREACHABLE ? meaning : E_LOG_RETRIABLE;
    else if (meaning == E_PRODUCER_FENCED)
        rcode = meaning;
    err_set(err, rcode, "%s: %s (%s)", what, rd_kafka_error_string(error),
            rd_kafka_error_name(error));
    rd_kafka_error_destroy(error);
    return rcode;
}
