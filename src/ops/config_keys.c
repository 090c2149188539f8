#include <stdio.h>

#include "ops/config_private.h"

#define MINUTE_MS (60 * 1000LL)
#define DAY_MS (24 * 60 * MINUTE_MS)
#define DURATION_MAX_MS (36500 * DAY_MS)
#define KIB 1024LL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static const char *const durabilities[] = {"rebuild", "disk", NULL};
static const char *const unknown_classes[] = {"unknown", "soft", "transient", "policy", NULL};
static const char *const local_parts[] = {"lower", "preserve", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};

#define AT(member) .offset = offsetof(struct config, member)
#define TOPIC(name)                                                                                \
    {                                                                                              \
        "topics." #name, KEY_NAME, AT(topics.name), .max = 249                                     \
    }

const struct key config_keys[] = {
    {"app", KEY_NAME, AT(app), .max = 100},
    {"instance", KEY_NAME, AT(instance), .max = 200},
    {.name = "kafka", .type = KEY_KAFKA},
    {"topics.prefix", KEY_TEXT, AT(topics.prefix), .max = 200},
    {"topics.partitions", KEY_NUMBER, AT(topics.partitions), 1, PARTITIONS_MAX},
    {"topics.replication", KEY_NUMBER, AT(topics.replication), 1, INT16_MAX},
    TOPIC(bounces),
    TOPIC(recipients),
    TOPIC(delayed),
    TOPIC(due),
    TOPIC(suppressions),
    TOPIC(notices),
    TOPIC(dead_letters),
    {"state_dir", KEY_TEXT, AT(state_dir), 1, 4000},
    {"worker.threads", KEY_NUMBER, AT(worker.threads), 1, 256},
    {"worker.commit_interval", KEY_DURATION, AT(worker.commit_interval_ms), 1, 10 * 1000},
    {"worker.batch_records_max", KEY_NUMBER, AT(worker.batch_records_max), 1, 1 << 20},
    {"worker.batch_bytes_max", KEY_SIZE, AT(worker.batch_bytes_max), 64 * KIB, GIB},
    {"worker.certificate_refresh", KEY_DURATION, AT(worker.certificate_refresh_ms), 100,
     6 * DAY_MS},
    {"worker.rebuilds_max", KEY_NUMBER, AT(worker.rebuilds_max), 1, 1000},
    {"dispatcher.threads", KEY_NUMBER, AT(dispatcher.threads), 1, 256},
    {"dispatcher.commit_interval", KEY_DURATION, AT(dispatcher.commit_interval_ms), 1, 10 * 1000},
    {"dispatcher.delay_max", KEY_DURATION, AT(dispatcher.delay_max_ms), 1, DURATION_MAX_MS},
    {"store.durability", KEY_CHOICE, AT(store.durability), .choices = durabilities},
    {"store.map_size_initial", KEY_SIZE, AT(store.map_size_initial), MIB, 1024 * GIB},
    {.name = "policies", .type = KEY_POLICIES},
    {"unknown.as", KEY_CHOICE, AT(unknown.as), .choices = unknown_classes},
    {"transient.delays", KEY_DELAYS, AT(transient.delays), .min = 0},
    {"stale_after", KEY_DURATION, AT(stale_after_ms), 1, DURATION_MAX_MS},
    {"answer.tolerance", KEY_DURATION, AT(answer.tolerance_ms), 0, DURATION_MAX_MS},
    {"frequent.window", KEY_DURATION, AT(frequent.window_ms), 1, DURATION_MAX_MS},
    {"recipient.retention", KEY_DURATION, AT(recipient.retention_ms), 1, DURATION_MAX_MS},
    {"recipient.local_part", KEY_CHOICE, AT(recipient.local_part), .choices = local_parts},
    {"suppression.lift_on_delivery", KEY_BOOL, AT(suppression.lift_on_delivery)},
    {"event.max_ahead", KEY_DURATION, AT(event.max_ahead_ms), 0, DURATION_MAX_MS},
    {"schemas.dir", KEY_TEXT, AT(schemas.dir), 1, 4000},
    {"schemas.registry.url", KEY_TEXT, AT(schemas.registry.url), 1, 2000},
    {"schemas.registry.write", KEY_BOOL, AT(schemas.registry.write)},
    {"schemas.registry.user", KEY_TEXT, AT(schemas.registry.user), 1, 1000},
    {"schemas.registry.password_file", KEY_TEXT, AT(schemas.registry.password_file), 1, 4000},
    {"schemas.registry.ca_file", KEY_TEXT, AT(schemas.registry.ca_file), 1, 4000},
    {"schemas.registry.cert_file", KEY_TEXT, AT(schemas.registry.cert_file), 1, 4000},
    {"schemas.registry.key_file", KEY_TEXT, AT(schemas.registry.key_file), 1, 4000},
    {"schemas.registry.key_password_file", KEY_TEXT, AT(schemas.registry.key_password_file), 1,
     4000},
    {"schemas.registry.timeout", KEY_DURATION, AT(schemas.registry.timeout_ms), 100, 60 * 1000},
    {"rules.file", KEY_TEXT, AT(rules.file), 1, 4000},
    {"http.listen", KEY_LISTEN, AT(http.listen)},
    {"log.format", KEY_CHOICE, AT(log.format), .choices = log_formats},
    {"log.level", KEY_CHOICE, AT(log.level), .choices = log_levels},
    {"log.addresses", KEY_BOOL, AT(log.addresses)},
    {"log.address_key_file", KEY_TEXT, AT(log.address_key_file), 1, 4000},
    {NULL},
};
_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= CONFIG_KEYS_MAX, "room for places");

#define POLICY_AT(member) .offset = offsetof(struct config_policy, member)

const struct key config_policy_keys[POLICY_KEY_COUNT] = {
    [POLICY_KEY_REASONS] = {"reasons", KEY_REASONS, POLICY_AT(reasons)},
    [POLICY_KEY_DELAYS] = {"delays", KEY_DELAYS, POLICY_AT(delays), .min = 1},
    [POLICY_KEY_MAX_ATTEMPTS] = {"max_attempts", KEY_NUMBER, POLICY_AT(max_attempts), 1, 1000},
    [POLICY_KEY_CONTACT_AFTER] = {"contact_after", KEY_NUMBER, POLICY_AT(contact_after), 0, 1000},
};

const char config_defaults_yaml[] =
    "# The defaults of rimbalzo. Every key is optional; durations are 250ms, 5m, 24h, 30d, sizes "
    "64MiB.\n"
    "# Order of precedence: flags (--set), RIMBALZO_* variables, this file, defaults.\n"
    "\n"
    "# Prefix of the consumer groups (<app>-worker, <app>-dispatcher) and of the transactional "
    "ids.\n"
    "app: rimbalzo\n"
    "\n"
    "# Static member id, with the thread's number; unique per process. Default: the host's name.\n"
    "# instance: mail-1\n"
    "\n"
    "# Any property of librdkafka. Secrets only from files: sasl.password_file: "
    "/run/secrets/kafka\n"
    "kafka:\n"
    "  bootstrap.servers: \"127.0.0.1:9092\"\n"
    "\n"
    "topics:\n"
    "  prefix: \"rimbalzo.\"\n"
    "  # For `rimbalzo topics apply`.\n"
    "  partitions: 12\n"
    "  replication: 3\n"
    "  # Each by name; without one it is the prefix and the name shown here.\n"
    "  # bounces: rimbalzo.bounces\n"
    "  # recipients: rimbalzo.recipients\n"
    "  # delayed: rimbalzo.retries.delayed\n"
    "  # due: rimbalzo.retries.due\n"
    "  # suppressions: rimbalzo.suppressions\n"
    "  # notices: rimbalzo.notices\n"
    "  # dead_letters: rimbalzo.dead-letters\n"
    "\n"
    "# Local state, a folder per partition: <state_dir>/<app>/<topic>-<partition>/.\n"
    "state_dir: /var/lib/rimbalzo\n"
    "\n"
    "worker:\n"
    "  threads: 1\n"
    "  # The longest a record waits for its transaction at low load.\n"
    "  commit_interval: 100ms\n"
    "  # A batch ends at whichever comes first.\n"
    "  batch_records_max: 65536\n"
    "  batch_bytes_max: 64MiB\n"
    "  # How often an idle partition renews its certificate, so that Kafka does not expire it.\n"
    "  certificate_refresh: 1h\n"
    "  # Producers lost to errors one after the other before the process gives up.\n"
    "  rebuilds_max: 10\n"
    "\n"
    "dispatcher:\n"
    "  threads: 1\n"
    "  # The least time between two transactions, and so what a due command waits at most.\n"
    "  commit_interval: 50ms\n"
    "  # The longest delay it accepts; not shorter than any delay below.\n"
    "  delay_max: 400d\n"
    "\n"
    "store:\n"
    "  # rebuild: no fsync, the state is rebuilt from Kafka after a machine crash; disk: fsync at "
    "every commit.\n"
    "  durability: rebuild\n"
    "  # Of each partition's file; it grows by itself.\n"
    "  map_size_initial: 64MiB\n"
    "\n"
    "# First match by reason; `default` takes every reason that no other policy names. Given as a "
    "whole, the map\n"
    "# replaces this one. delays: before each attempt, the last one repeats; max_attempts: then "
    "the recipient is\n"
    "# suppressed; contact_after: the attempt after which to try another channel, 0 for never.\n"
    "policies:\n"
    "  default:\n"
    "    delays: [24h, 48h, 72h, 168h]\n"
    "    max_attempts: 4\n"
    "    contact_after: 2\n"
    "  disabled-permanent:\n"
    "    reasons: [mailbox_disabled_permanent]\n"
    "    delays: [168h, 336h]\n"
    "    max_attempts: 2\n"
    "    contact_after: 1\n"
    "\n"
    "# What a bounce that nothing matched is taken for: unknown (only counted), soft, transient or "
    "policy.\n"
    "unknown:\n"
    "  as: unknown\n"
    "\n"
    "# Retries of a message after TRANSIENT bounces; [] for none.\n"
    "transient:\n"
    "  delays: [1h, 4h, 12h]\n"
    "\n"
    "# A suspension with no news for this long after its due time lapses; longer than the longest "
    "delay.\n"
    "stale_after: 30d\n"
    "\n"
    "# How much earlier than its due time a bounce may answer a retry (slow clocks).\n"
    "answer:\n"
    "  tolerance: 5m\n"
    "\n"
    "# Episodes within this time count towards a lower frequency.\n"
    "frequent:\n"
    "  window: 180d\n"
    "\n"
    "recipient:\n"
    "  # Forgotten after this long without an event; longer than the input topic's retention.\n"
    "  retention: 400d\n"
    "  # A-Z of the local part: lower or preserve.\n"
    "  local_part: lower\n"
    "\n"
    "# A delivery reinstates a recipient that was suppressed because its attempts were used up.\n"
    "suppression:\n"
    "  lift_on_delivery: true\n"
    "\n"
    "# An event stamped further ahead of its record in Kafka takes the record's time.\n"
    "event:\n"
    "  max_ahead: 5m\n"
    "\n"
    "schemas:\n"
    "  # Further writer schemas (*.avsc).\n"
    "  # dir: /etc/rimbalzo/schemas\n"
    "  # A schema registry with Confluent's interface. With a url, values that carry a schema's id "
    "can be read.\n"
    "  registry:\n"
    "    # url: https://registry:8081\n"
    "    # Records are written with ids too; `rimbalzo schema register` puts the schemas there "
    "first.\n"
    "    write: true\n"
    "    # user: rimbalzo\n"
    "    # password_file: /run/secrets/registry\n"
    "    # TLS: who may sign the registry's certificate, and a certificate of our own.\n"
    "    # ca_file: /etc/ssl/certs/internal.pem\n"
    "    # cert_file: /etc/rimbalzo/tls.crt\n"
    "    # key_file: /etc/rimbalzo/tls.key\n"
    "    # key_password_file: /run/secrets/tls-key\n"
    "    # Of a request, with all its attempts.\n"
    "    timeout: 5s\n"
    "\n"
    "# Classification rules instead of those compiled in.\n"
    "# rules:\n"
    "#   file: /etc/rimbalzo/rules.yaml\n"
    "\n"
    "# Metrics, health and status page; \"\" for none.\n"
    "http:\n"
    "  listen: \"127.0.0.1:9464\"\n"
    "\n"
    "log:\n"
    "  # logfmt or json; debug, info, warn or error.\n"
    "  format: logfmt\n"
    "  level: info\n"
    "  # Addresses in log lines; otherwise hashes, see `rimbalzo log-hash`.\n"
    "  addresses: false\n"
    "  # Their key; the same file on every host makes the same hashes. Without one, each state_dir "
    "has its own.\n"
    "  # address_key_file: /etc/rimbalzo/log-address.key\n";

int key_index(const char *name)
{
    for (int i = 0; config_keys[i].name; i++)
        if (strcmp(config_keys[i].name, name) == 0)
            return i;
    return -1;
}

int key_policy_index(const char *name)
{
    for (int i = 0; i < POLICY_KEY_COUNT; i++)
        if (strcmp(config_policy_keys[i].name, name) == 0)
            return i;
    return -1;
}

bool key_is_section(const char *name)
{
    size_t len = strlen(name);
    for (int i = 0; config_keys[i].name; i++)
        if (strncmp(config_keys[i].name, name, len) == 0 && config_keys[i].name[len] == '.')
            return true;
    return false;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance. */
static int distance(const char *a, const char *b)
{
    int row[CONFIG_PATH_MAX + 1];
    int len = (int)strlen(b);
    if (len > CONFIG_PATH_MAX)
        return len;
    for (int j = 0; j <= len; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= len; j++) {
            int above = row[j];
            row[j] = least(least(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[len];
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

struct nearest {
    const char *path;
    int distance;
    char *storage;
};

static void nearest_try(struct nearest *nearest, const char *candidate, size_t len)
{
    char text[CONFIG_PATH_MAX];
    snprintf(text, sizeof(text), "%.*s", (int)len, candidate);
    int found = distance(nearest->path, text);
    /* Right name, wrong section: a better guess than a few letters changed. */
    if (strcmp(last_part(nearest->path), last_part(text)) == 0)
        found = least(found, 1);
    if (found < nearest->distance) {
        nearest->distance = found;
        memcpy(nearest->storage, text, strlen(text) + 1);
    }
}

const char *key_nearest(const char *path, char storage[CONFIG_PATH_MAX])
{
    int limit = ((int)strlen(last_part(path)) + 1) / 3;
    struct nearest nearest = {path, limit + 1, storage};
    for (int i = 0; config_keys[i].name; i++) {
        const char *name = config_keys[i].name;
        for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.'))
            nearest_try(&nearest, name, (size_t)(dot - name));
        nearest_try(&nearest, name, strlen(name));
    }
    if (strncmp(path, "policies.", 9) == 0 && last_part(path) > path + 9) {
        for (int i = 0; i < POLICY_KEY_COUNT; i++) {
            char text[CONFIG_PATH_MAX];
            int len = snprintf(text, sizeof(text), "%.*s%s", (int)(last_part(path) - path), path,
                               config_policy_keys[i].name);
            if (len > 0 && (size_t)len < sizeof(text))
                nearest_try(&nearest, text, (size_t)len);
        }
    }
    return nearest.distance <= limit ? storage : NULL;
}
