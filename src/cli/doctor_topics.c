/* The topics: as they must be, their replicas, and what the user may do with them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cli/doctor.h"
#include "cli/topics_setup.h"

#define LOOK (KAFKA_MAY_DESCRIBE | KAFKA_MAY_DESCRIBE_CONFIGS)

/* The worker writes to its input what lies in the wrong partition; whoever commits offsets of a
 * topic, certificates too, must be allowed to read it. */
static const unsigned needs[ROLES_CONFIGURED][TOPIC_COUNT] = {
    [ROLE_WORKER] = {[TOPIC_BOUNCES] = KAFKA_MAY_READ | KAFKA_MAY_WRITE | LOOK,
                     [TOPIC_RECIPIENTS] = KAFKA_MAY_READ | KAFKA_MAY_WRITE | LOOK,
                     [TOPIC_DELAYED] = KAFKA_MAY_WRITE | LOOK,
                     [TOPIC_DUE] = LOOK,
                     [TOPIC_SUPPRESSIONS] = KAFKA_MAY_WRITE | LOOK,
                     [TOPIC_NOTICES] = KAFKA_MAY_WRITE | LOOK,
                     [TOPIC_DEAD_LETTERS] = KAFKA_MAY_WRITE | LOOK},
    [ROLE_DISPATCHER] = {[TOPIC_DELAYED] = KAFKA_MAY_READ | LOOK,
                         [TOPIC_DUE] = KAFKA_MAY_READ | KAFKA_MAY_WRITE | LOOK,
                         [TOPIC_DEAD_LETTERS] = KAFKA_MAY_WRITE | LOOK},
};

unsigned doctor_needed_by(const struct doctor *doctor, enum topic topic)
{
    unsigned roles = 0;
    for (int role = 0; role < ROLES_CONFIGURED; role++)
        if (doctor->roles[role] && needs[role][topic])
            roles |= 1u << role;
    return roles;
}

/* --- as they must be --- */

static const char *check_of(const struct topics_change *change)
{
    switch (change->kind) {
    case TOPICS_CREATE:
        return "topics.exist";
    case TOPICS_PARTITIONS:
        return "topics.partitions";
    case TOPICS_CONFIG:
        return "topics.settings";
    case TOPICS_FAULT:
        break;
    }
    return change->advice ? "topics.settings" : "topics.partitions";
}

/* What `topics check` finds. */
static void check_plan(struct doctor *doctor)
{
    struct topics_options options = topics_setup(doctor->settings->config, &doctor->deployment);
    struct topics_plan *plan = mem_zalloc(sizeof(*plan));
    struct err err = {0};
    for (int i = 0; i < TOPIC_COUNT; i++)
        if (doctor_needed_by(doctor, (enum topic)i))
            options.wanted |= 1u << i;
    enum rcode rc = topics_plan(&options, plan, &err);
    if (rc != OK)
        doctor_report(doctor, "topics.settings", DOCTOR_FAIL, NULL,
                      rc == E_AUTH ? "see rights.topics" : "`rimbalzo topics plan` tells more",
                      "%s", err.text);
    for (int i = 0; rc == OK && i < plan->count; i++) {
        const struct topics_change *change = &plan->changes[i];
        doctor_report(doctor, check_of(change), change->advice ? DOCTOR_WARN : DOCTOR_FAIL,
                      options.topics[change->topic],
                      change->kind == TOPICS_FAULT ? "as it says"
                                                   : "`rimbalzo topics apply` mends it",
                      "%s", change->text);
    }
    if (rc == OK && !plan->count)
        doctor_report(doctor, "topics.settings", DOCTOR_OK, NULL, NULL,
                      "number of partitions, cleanup and retention are as they must be");
    mem_free(plan);
}

/* --- replicas --- */

static int in_sync_needed(struct doctor *doctor, const char *topic)
{
    char value[64];
    struct err err = {0};
    if (kafka_checkup_setting(doctor->checkup, topic, "min.insync.replicas", value, &err) != OK)
        return 0;
    return (int)strtol(value, NULL, 10);
}

/* Returns whether anything was reported. */
static bool check_replicas(struct doctor *doctor, const struct kafka_checkup_topic *topic)
{
    static const char check[] = "topics.replication";
    int needed = in_sync_needed(doctor, topic->name);
    if (topic->leaderless)
        doctor_report(doctor, check, DOCTOR_FAIL, topic->name, "start the brokers that are down",
                      "%d of %d partitions have no leader", topic->leaderless, topic->partitions);
    else if (needed > topic->replicas_min)
        doctor_report(
            doctor, check, DOCTOR_FAIL, topic->name, "lower min.insync.replicas, or add replicas",
            "min.insync.replicas is %d, and there are %d replicas: nothing can be written", needed,
            topic->replicas_min);
    else if (needed > topic->in_sync_min)
        doctor_report(doctor, check, DOCTOR_FAIL, topic->name, "start the brokers that are down",
                      "%d replicas are in sync, and %d must be: nothing can be written",
                      topic->in_sync_min, needed);
    else if (topic->replicas_min < 2)
        doctor_report(
            doctor, check, DOCTOR_WARN, topic->name,
            "topics.replication: 3 for new topics; kafka-reassign-partitions for this one",
            "there is one replica: with its broker all is lost");
    else if (needed == 1)
        doctor_report(doctor, check, DOCTOR_WARN, topic->name,
                      "kafka-configs --alter --add-config min.insync.replicas=2",
                      "min.insync.replicas is 1: what is acknowledged may be on one broker only");
    else if (topic->in_sync_min < topic->replicas_min)
        doctor_report(doctor, check, DOCTOR_WARN, topic->name, "look at the brokers",
                      "%d of %d replicas are in sync", topic->in_sync_min, topic->replicas_min);
    else
        return false;
    return true;
}

/* --- rights --- */

/* "READ, WRITE" */
static void name_rights(unsigned rights, char ret_text[64])
{
    static const char *const names[] = {"READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"};
    size_t used = 0;
    *ret_text = '\0';
    for (int i = 0; i < 4; i++)
        if (rights & 1u << i)
            used +=
                (size_t)snprintf(ret_text + used, 64 - used, "%s%s", used ? ", " : "", names[i]);
}

static bool check_rights(struct doctor *doctor, enum topic topic,
                         const struct kafka_checkup_topic *found)
{
    bool reported = false;
    if (found->code == E_TOPICS || (found->code == OK && found->rights & KAFKA_RIGHTS_UNKNOWN))
        return false;
    for (int role = 0; role < ROLES_CONFIGURED; role++) {
        unsigned has = found->code == OK ? found->rights : 0;
        unsigned lacks = doctor->roles[role] ? needs[role][topic] & ~has : 0;
        char names[64];
        if (!lacks)
            continue;
        name_rights(lacks, names);
        doctor_report(doctor, "rights.topics", DOCTOR_FAIL, found->name,
                      "kafka-acls --add --allow-principal User:NAME --topic TOPIC --operation …",
                      "the user lacks %s, which the %s needs", names, role_names[role]);
        reported = true;
    }
    return reported;
}

/* --- all --- */

void doctor_check_topics(struct doctor *doctor)
{
    struct kafka_checkup_topic topics[TOPIC_COUNT];
    enum topic which[TOPIC_COUNT];
    int count = 0, exist = 0;
    bool rights = false, replicas = false;
    struct err err = {0};
    for (int i = 0; i < TOPIC_COUNT; i++)
        if (doctor_needed_by(doctor, (enum topic)i)) {
            topics[count] = (struct kafka_checkup_topic){.name = doctor->deployment.topics[i]};
            which[count++] = (enum topic)i;
        }
    check_plan(doctor);
    if (kafka_checkup_topics(doctor->checkup, topics, count, &err) != OK) {
        doctor_report(doctor, "rights.topics", DOCTOR_UNKNOWN, NULL, NULL, "%s", err.text);
        return;
    }
    for (int i = 0; i < count; i++) {
        rights |= check_rights(doctor, which[i], &topics[i]);
        if (topics[i].code != OK)
            continue;
        doctor->partitions[which[i]] = topics[i].partitions;
        replicas |= check_replicas(doctor, &topics[i]);
        exist++;
    }
    if (exist && !replicas)
        doctor_report(doctor, "topics.replication", DOCTOR_OK, NULL, NULL,
                      "replicas are in sync, and enough of them");
    if (exist && !rights)
        doctor_report(doctor, "rights.topics", DOCTOR_OK, NULL, NULL,
                      "the user may do with the topics what is needed");
}
