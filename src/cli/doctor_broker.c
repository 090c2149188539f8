/* The cluster: who answers, transactions, groups, and whether the clocks agree. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/doctor.h"
#include "kafka/lag.h"

#define ANSWER_MS 15000
#define AHEAD_MS 5000 /* of a record to this clock, before it is worth a word */

static enum rcode reach(struct doctor *doctor)
{
    const char *servers = config_kafka(doctor->settings->config, "bootstrap.servers");
    int brokers = 0;
    struct err err = {0};
    enum rcode rc = kafka_checkup_reach(doctor->checkup, &brokers, &err);
    if (rc == OK)
        doctor_report(doctor, "broker", DOCTOR_OK, servers, NULL, "%d broker%s", brokers,
                      brokers == 1 ? "" : "s");
    else if (rc == E_AUTH)
        doctor_report(doctor, "broker", DOCTOR_FAIL, servers,
                      "see kafka.security.protocol, kafka.sasl.* and kafka.ssl.*", "%s", err.text);
    else
        doctor_report(doctor, "broker", DOCTOR_FAIL, servers,
                      "see kafka.bootstrap.servers and kafka.security.protocol, and whether a "
                      "broker runs there",
                      "%s", err.text);
    return rc;
}

/* No request tells a broker's version; a setting does that Kafka 4.0 has done away with. */
static void check_version(struct doctor *doctor)
{
    char protocol[64];
    struct err err = {0};
    if (kafka_checkup_setting(doctor->checkup, NULL, "inter.broker.protocol.version", protocol,
                              &err) != OK)
        doctor_report(doctor, "broker.version", DOCTOR_UNKNOWN, NULL, NULL,
                      "only a user who may describe the cluster's configs learns it (%s)",
                      err.text);
    else if (!*protocol)
        doctor_report(doctor, "broker.version", DOCTOR_OK, NULL, NULL,
                      "the brokers are of Kafka 4.0 or newer");
    else if (strtod(protocol, NULL) >= 3)
        doctor_report(doctor, "broker.version", DOCTOR_OK, NULL, NULL,
                      "the brokers speak as Kafka %s does", protocol);
    else
        doctor_report(doctor, "broker.version", DOCTOR_WARN, NULL, "update the brokers",
                      "the brokers speak as Kafka %s does; rimbalzo is tested with 4.1", protocol);
}

static void check_cluster(struct doctor *doctor)
{
    struct kafka_checkup_cluster cluster;
    struct err err = {0};
    if (kafka_checkup_cluster(doctor->checkup, &cluster, &err) != OK)
        doctor_report(doctor, "rights.cluster", DOCTOR_UNKNOWN, NULL, NULL, "%s", err.text);
    else if (cluster.rights & (KAFKA_RIGHTS_UNKNOWN | KAFKA_MAY_DESCRIBE))
        doctor_report(doctor, "rights.cluster", DOCTOR_OK, cluster.id, NULL,
                      "the user may describe the cluster");
    else
        doctor_report(doctor, "rights.cluster", DOCTOR_WARN, cluster.id,
                      "kafka-acls --add --cluster --operation Describe",
                      "the user may not describe the cluster");
}

/* The transactional id lies beside those of the role, so a rule for their prefix holds for it. */
static void check_transactions(struct doctor *doctor, enum role role)
{
    const char *group = deployment_group(&doctor->deployment, role);
    struct buf id;
    struct err err = {0};
    buf_init(&id);
    buf_printf(&id, "%s-doctor%c", group, 0);
    enum rcode rc = kafka_checkup_transactions(doctor->deployment.properties, id.data, &err);
    if (rc == OK)
        doctor_report(doctor, "transactions", DOCTOR_OK, role_names[role], NULL,
                      "a producer of transactions was admitted as %s", id.data);
    else if (rc == E_AUTH)
        doctor_report(doctor, "transactions", DOCTOR_FAIL, role_names[role],
                      "kafka-acls --add --transactional-id GROUP- --resource-pattern-type prefixed "
                      "--operation Write --operation Describe",
                      "the user may not use the transactional id %s: %s", id.data, err.text);
    else if (rc == E_CONFIG)
        doctor_report(doctor, "transactions", DOCTOR_FAIL, role_names[role],
                      "lower kafka.transaction.timeout.ms, or raise transaction.max.timeout.ms of "
                      "the brokers",
                      "%s", err.text);
    else
        doctor_report(doctor, "transactions", DOCTOR_FAIL, role_names[role],
                      "see the brokers' logs: __transaction_state may lack replicas "
                      "(transaction.state.log.replication.factor, .min.isr)",
                      "%s: %s", id.data, err.text);
    buf_deinit(&id);
}

enum rcode doctor_check_broker(struct doctor *doctor)
{
    doctor_report(doctor, "librdkafka", DOCTOR_OK, NULL, NULL, "librdkafka %s", kafka_version());
    enum rcode rc = reach(doctor);
    if (rc != OK)
        return rc;
    check_version(doctor);
    check_cluster(doctor);
    for (int role = 0; role < ROLES_CONFIGURED; role++)
        if (doctor->roles[role])
            check_transactions(doctor, (enum role)role);
    return OK;
}

/* --- groups --- */

static void check_rights(struct doctor *doctor, const char *group)
{
    unsigned rights = KAFKA_RIGHTS_UNKNOWN;
    struct err err = {0};
    enum rcode rc = kafka_checkup_group(doctor->checkup, group, &rights, &err);
    if (rc == E_AUTH || (rc == OK && !(rights & (KAFKA_RIGHTS_UNKNOWN | KAFKA_MAY_READ))))
        doctor_report(doctor, "rights.groups", DOCTOR_FAIL, group,
                      "kafka-acls --add --group GROUP --operation Read --operation Describe",
                      "the user may not join the group");
    else if (rc != OK)
        doctor_report(doctor, "rights.groups", DOCTOR_UNKNOWN, group, NULL, "%s", err.text);
    else if (rights & KAFKA_RIGHTS_UNKNOWN)
        doctor_report(doctor, "rights.groups", DOCTOR_UNKNOWN, group, NULL,
                      "the brokers do not tell of a group that was never joined");
    else
        doctor_report(doctor, "rights.groups", DOCTOR_OK, group, NULL,
                      "the user may join the group");
}

struct behind {
    int64_t records, waiting_ms;
    int unknown;
};

static enum rcode ask_lag(struct kafka_lag *lag, int input, int partitions,
                          struct behind *ret_behind, struct err *err)
{
    struct kafka_lag_question question = {.input = input, .timeout_ms = ANSWER_MS};
    struct kafka_lag_partition *found = mem_zalloc((size_t)partitions * sizeof(*found));
    struct behind behind = {0};
    for (int i = 0; i < partitions; i++)
        found[i].partition = i;
    enum rcode rc = kafka_lag_ask(lag, &question, found, partitions, err);
    for (int i = 0; rc == OK && i < partitions; i++) {
        behind.unknown += !found[i].known;
        behind.records += found[i].known ? kafka_lag_records(&found[i]) : 0;
        if (found[i].waiting_known && found[i].waiting_ms > behind.waiting_ms)
            behind.waiting_ms = found[i].waiting_ms;
    }
    mem_free(found);
    if (rc == OK)
        *ret_behind = behind;
    return rc;
}

static void report_group(struct doctor *doctor, const char *name, const struct kafka_group *group,
                         const struct behind *behind)
{
    static const char run[] = "start the service, or see its log";
    long long records = (long long)behind->records;
    double waiting_s = (double)behind->waiting_ms / 1000;
    switch (group->state) {
    case KAFKA_GROUP_ABSENT:
        doctor_report(doctor, "group", DOCTOR_OK, name, NULL, "has never run");
        return;
    case KAFKA_GROUP_EMPTY:
        doctor_report(doctor, "group", DOCTOR_WARN, name, run,
                      "has no members; %lld records behind, the first for %.1f s", records,
                      waiting_s);
        return;
    case KAFKA_GROUP_REBALANCING:
        doctor_report(doctor, "group", DOCTOR_WARN, name,
                      "look again; if it stays so, a member does not answer", "is rebalancing");
        return;
    case KAFKA_GROUP_STABLE:
        doctor_report(doctor, "group", behind->unknown ? DOCTOR_WARN : DOCTOR_OK, name,
                      behind->unknown ? "`rimbalzo lag` shows which" : NULL,
                      "%d member%s; %lld records behind, the first for %.1f s%s",
                      group->member_count, group->member_count == 1 ? "" : "s", records, waiting_s,
                      behind->unknown ? "; of some partitions it is not known" : "");
        return;
    case KAFKA_GROUP_UNKNOWN:
    case KAFKA_GROUP_STATE_COUNT:
        break;
    }
    doctor_report(doctor, "group", DOCTOR_UNKNOWN, name, NULL, "its coordinator does not tell");
}

static void check_group(struct doctor *doctor, struct kafka_lag *lag, enum role role)
{
    const char *name = deployment_group(&doctor->deployment, role);
    int partitions = doctor->partitions[role_inputs[role]];
    struct kafka_group group;
    struct behind behind = {0};
    struct err err = {0};
    enum rcode rc = kafka_lag_group(lag, (int)role, ANSWER_MS, &group, &err);
    if (rc == OK && partitions)
        rc = ask_lag(lag, (int)role, partitions, &behind, &err);
    if (rc == OK)
        report_group(doctor, name, &group, &behind);
    else
        doctor_report(doctor, "group", DOCTOR_UNKNOWN, name, NULL, "%s", err.text);
    kafka_group_deinit(&group);
}

void doctor_check_groups(struct doctor *doctor)
{
    struct kafka_lag_input inputs[ROLES_CONFIGURED];
    struct kafka_lag *lag;
    struct err err = {0};
    for (int role = 0; role < ROLES_CONFIGURED; role++)
        inputs[role] =
            (struct kafka_lag_input){deployment_group(&doctor->deployment, (enum role)role),
                                     doctor->deployment.topics[role_inputs[role]]};
    if (kafka_lag_open(doctor->deployment.properties, inputs, ROLES_CONFIGURED, &lag, &err) != OK) {
        doctor_report(doctor, "group", DOCTOR_UNKNOWN, NULL, NULL, "%s", err.text);
        return;
    }
    for (int role = 0; role < ROLES_CONFIGURED; role++)
        if (doctor->roles[role]) {
            check_rights(doctor, inputs[role].group);
            check_group(doctor, lag, (enum role)role);
        }
    kafka_lag_close(lag);
}

/* --- clock --- */

/* No request tells a broker's time. A record that is from the future does: then this clock is
 * behind, or that of whoever stamped it is ahead. */
void doctor_check_clock(struct doctor *doctor)
{
    const char *about = NULL;
    int64_t newest_ms = -1;
    struct err err = {0};
    for (int i = 0; i < TOPIC_COUNT; i++) {
        int64_t found_ms = -1;
        const char *topic = doctor->deployment.topics[i];
        if (doctor->partitions[i] && doctor_needed_by(doctor, (enum topic)i) &&
            kafka_checkup_newest(doctor->checkup, topic, doctor->partitions[i], &found_ms, &err) ==
                OK &&
            found_ms > newest_ms) {
            newest_ms = found_ms;
            about = topic;
        }
    }
    int64_t ahead_ms = newest_ms - clock_wall_ms();
    if (newest_ms < 0)
        doctor_report(doctor, "clock.records", DOCTOR_UNKNOWN, NULL, NULL,
                      "there are no records to compare this machine's clock with");
    else if (ahead_ms > AHEAD_MS)
        doctor_report(doctor, "clock.records", DOCTOR_WARN, about,
                      "set this machine's clock, or that of whoever writes to the topic",
                      "the newest record is stamped %.1f s ahead of this machine's clock",
                      (double)ahead_ms / 1000);
    else
        doctor_report(doctor, "clock.records", DOCTOR_OK, about, NULL,
                      "no record is stamped ahead of this machine's clock");
}
