/*
 * The configuration: one struct, filled from four layers, a later one overriding an earlier one key
 * by key:
 *
 *   defaults (config_defaults_yaml) < file < RIMBALZO_* environment < --set
 *
 * A map `policies` given as a whole replaces the one before it; `policies.NAME.KEY` changes one key
 * of it. An environment variable's name is the key in upper case with `_` for `.` and `-`:
 * RIMBALZO_STATE_DIR, RIMBALZO_KAFKA_BOOTSTRAP_SERVERS. Not configuration and passed over:
 * RIMBALZO_FAILPOINT, RIMBALZO_TEST_*, RIMBALZO_CORPUS (tests), and what Kubernetes injects for a
 * service of our name (RIMBALZO_SERVICE_*, RIMBALZO_PORT, RIMBALZO_PORT_*).
 *
 * The values are those of the keys; what they mean for the domain (names of reasons, class of
 * unknown bounces) is for cli/settings.h to translate.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"

enum config_origin { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG };

/* Where a value was given, for messages. */
struct config_place {
    enum config_origin origin;
    const char *name; /* file, or variable; "--set" for a flag; "" for a default */
    int line, column; /* from 1; 0 unless it was a file */
};

/* A property for librdkafka, given as `kafka.NAME` or, the value in a file, as `kafka.NAME_file`.
 */
struct config_property {
    const char *name; /* without `_file` */
    const char *value;
    const char *file; /* NULL unless the value came from a file: then never show it */
    struct config_place place;
};

struct config_delays {
    int64_t delay_ms[DELAYS_MAX];
    int count;
};

#define CONFIG_REASONS_MAX 64 /* more than there are reasons */

struct config_reason {
    const char *name; /* not checked here: ops does not know the domain's names */
    struct config_place place;
};

struct config_reasons {
    struct config_reason reasons[CONFIG_REASONS_MAX];
    int count;
};

/* The keys of a policy, in the order they are shown. */
enum config_policy_key {
    POLICY_KEY_REASONS,
    POLICY_KEY_DELAYS,
    POLICY_KEY_MAX_ATTEMPTS,
    POLICY_KEY_CONTACT_AFTER,
    POLICY_KEY_COUNT
};

struct config_policy {
    const char *name;
    struct config_place place;
    struct config_reasons reasons; /* none for `default`, at least one for any other */
    struct config_delays
        delays; /* at least one; what is not given is as the built-in default policy has it */
    int32_t max_attempts;  /* >= 1 */
    int32_t contact_after; /* 0: never */
    struct config_place places[POLICY_KEY_COUNT];
    bool given[POLICY_KEY_COUNT];
};

enum config_durability { DURABILITY_REBUILD, DURABILITY_DISK };
enum config_unknown_as {
    UNKNOWN_AS_UNKNOWN,
    UNKNOWN_AS_SOFT,
    UNKNOWN_AS_TRANSIENT,
    UNKNOWN_AS_POLICY
};
enum config_local_part { LOCAL_PART_LOWER, LOCAL_PART_PRESERVE };

/* Immutable once loaded; every string lives as long as the config. NULL is said where it can
 * happen. */
struct config {
    const char *app;
    const char *instance; /* the host's name unless given */
    struct {
        struct config_property *properties; /* in the order given, each name once */
        int property_count;
    } kafka;
    struct {
        const char *prefix;
        int32_t partitions;  /* for `topics apply` */
        int32_t replication; /* for `topics apply` */
        const char *bounces, *recipients, *delayed, *due, *suppressions, *notices, *dead_letters;
    } topics;
    const char *state_dir;
    struct {
        int32_t threads;
        int64_t commit_interval_ms;
        int32_t batch_records_max;
        int64_t batch_bytes_max;
        int64_t certificate_refresh_ms;
        int32_t rebuilds_max;
    } worker;
    struct {
        int32_t threads;
        int64_t delay_max_ms;
        int64_t commit_interval_ms;
    } dispatcher;
    struct {
        enum config_durability durability;
        int64_t map_size_initial; /* octets */
    } store;
    struct config_policy *policies; /* in the order given; one of them is `default` */
    int policy_count;
    struct {
        enum config_unknown_as as;
    } unknown;
    struct {
        struct config_delays delays; /* may be empty: no retries of TRANSIENT bounces */
    } transient;
    int64_t stale_after_ms;
    struct {
        int64_t tolerance_ms;
    } answer;
    struct {
        int64_t window_ms;
    } frequent;
    struct {
        int64_t retention_ms;
        enum config_local_part local_part;
    } recipient;
    struct {
        bool lift_on_delivery;
    } suppression;
    struct {
        int64_t max_ahead_ms;
    } event;
    struct {
        const char *dir; /* NULL: only the schemas compiled in */
        struct {
            const char *url;                  /* NULL: no registry, and the rest means nothing */
            bool write;                       /* its frames are written */
            const char *user, *password_file; /* NULL: none */
            const char *ca_file;              /* NULL: the system's */
            const char *cert_file, *key_file, *key_password_file; /* NULL: none */
            int64_t timeout_ms;
        } registry;
    } schemas;
    struct {
        const char *file; /* NULL: the rules compiled in */
    } rules;
    struct {
        const char *listen; /* "host:port", "[::1]:port"; "" for no HTTP */
    } http;
    struct {
        enum log_format format;
        enum log_level level;
        bool addresses;
        const char *address_key_file; /* NULL: one in state_dir */
    } log;

    struct config_private *private;
};

struct config_options {
    const char *file;        /* NULL: none */
    const char *const *sets; /* arguments of --set, "KEY=VALUE", in order */
    int set_count;
    const char *const *environment; /* "NAME=value", NULL-terminated (environ); NULL: none */
    const char *overlay;            /* a file that overrides all of these; NULL: none */
    struct buf *faults; /* every error, a line each, not only the first; NULL: not wanted */
};

/*
 * E_CONFIG with the first error: "FILE:LINE:COLUMN: key: what is wrong, what to do" (no position
 * for a file that cannot be opened), "--set key: …", "RIMBALZO_NAME: key: …". Reads the file, the
 * `kafka.*_file`s and nothing else.
 */
enum rcode config_load(const struct config_options *options, struct config **ret_config,
                       struct err *err) WARN_UNUSED;
void config_free(struct config *config);

/* The commented defaults, in YAML. */
extern const char config_defaults_yaml[];

/* A duration as in a file: 250ms, 5m, 24h, 30d. False: it is none. */
bool config_duration(const char *text, int64_t *ret_ms);

/* A property's value, NULL if it is not given. */
const char *config_kafka(const struct config *config, const char *name);

/* Where the key has its value from, e.g. "topics.prefix", "kafka.client.id",
 * "policies.default.delays". */
struct config_place config_place(const struct config *config, const char *key);

/* E_CONFIG with the place and the key before the text: for callers that understand more of a value
 * than ops. */
enum rcode config_fault(struct err *err, struct config_place place, const char *key,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* One line of the effective configuration. */
struct config_row {
    char key[192];      /* "policies.default.delays" */
    int levels;         /* 1 to 3: how many parts the key has as nested maps in YAML */
    char parts[3][192]; /* "policies", "default", "delays"; "kafka", "bootstrap.servers" */
    struct config_place place;
};

/* Row `index` of the effective configuration; false past the end. The value as YAML is appended to
 * `value`. */
bool config_row(const struct config *config, int index, struct config_row *ret_row,
                struct buf *value);

/* The effective configuration as YAML that loads into the same configuration; with `places` every
 * line says in a comment where its value is from. */
void config_show(const struct config *config, bool places, struct buf *out);
