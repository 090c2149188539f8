/* What the files of the configuration share: the table of keys, values, faults. For ops/config_*.c
 * only. */
#pragma once
#include <stddef.h>

#include "base/arena.h"
#include "ops/config.h"
#include "ops/yaml_text.h"

#define CONFIG_KEYS_MAX 96
#define CONFIG_PATH_MAX 192 /* of a key, its NUL included */

enum key_type {
    KEY_KAFKA,    /* free map */
    KEY_POLICIES, /* map of policies */
    KEY_TEXT,     /* const char *; min: 1 if it may not be empty */
    KEY_NAME,     /* const char *, [A-Za-z0-9._-], not "." or "..", at most max octets */
    KEY_LISTEN,   /* const char *, host:port */
    KEY_NUMBER,   /* int32_t, min to max */
    KEY_DURATION, /* int64_t, ms, min to max */
    KEY_SIZE,     /* int64_t, octets, min to max */
    KEY_BOOL,     /* bool */
    KEY_CHOICE,   /* an enum, 4 octets, index of choices */
    KEY_DELAYS,   /* struct config_delays, at least min entries */
    KEY_REASONS,  /* struct config_reasons */
};

struct key {
    const char *name; /* "topics.prefix"; of a policy's key "delays" */
    enum key_type type;
    size_t offset; /* in struct config or struct config_policy */
    int64_t min, max;
    const char *const *choices; /* NULL-terminated */
};

extern const struct key config_keys[]; /* the last one has no name */
extern const struct key config_policy_keys[POLICY_KEY_COUNT];

/* Index of a key, or -1. */
int key_index(const char *name);
int key_policy_index(const char *name);
/* True if keys start with `name` and a dot. */
bool key_is_section(const char *name);
/* The key, section or policy's key most like `path`; NULL if none is close. `storage` may hold the
 * answer. */
const char *key_nearest(const char *path, char storage[CONFIG_PATH_MAX]);

struct config_private {
    struct arena arena;
    struct config_place places[CONFIG_KEYS_MAX]; /* by index of config_keys */
    int property_cap, policy_cap;
};

#define CONFIG_FAULTS_MAX 100 /* a file that is no configuration */

struct faults {
    struct err first;
    int count;
    struct buf *all; /* a line each; NULL: not wanted */
};

void fault_record(struct faults *faults, const struct err *err);
void fault_add(struct faults *faults, struct config_place place, const char *key,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A value on its way into the configuration. */
struct given {
    struct config_place place; /* of `node` */
    const char *path;          /* the whole key, for messages */
    yaml_document_t *document;
    const yaml_node_t *node;
};

/* The place of a node: `layer` with the node's position if that is a file's. */
struct config_place place_of(struct config_place layer, const yaml_node_t *node);

/* Parses by the key's type and stores into `base` + offset; a fault leaves it untouched. */
bool value_store(const struct key *key, const struct given *given, struct arena *arena, void *base,
                 struct faults *faults);
/* The same from the struct to YAML (flow style). */
void value_show(const struct key *key, const void *base, struct buf *out);
/* A text as a YAML scalar, quoted where needed. */
void value_show_text(const char *text, struct buf *out);

/* A key, with its full path, that waits to be applied. */
struct entry {
    char path[CONFIG_PATH_MAX];
    struct config_place key_place;
    const yaml_node_t *node;
};

struct loader {
    struct config *config;
    struct faults faults;
    struct config_place layer; /* position aside */
    yaml_document_t *document;
    struct entry *waiting; /* the last one is next */
    int waiting_len, waiting_cap;
};

/* Applies a document's root, or one key with its node; then everything inside it. */
void apply_root(struct loader *loader, struct config_place layer, yaml_document_t *document);
void apply_single(struct loader *loader, struct config_place layer, yaml_document_t *document,
                  const char *path);

/* One key with its value as text, as --set and the environment give it. */
void load_single(struct loader *loader, struct config_place layer, const char *path,
                 const char *value);
/* "NAME=value"; passes over what is not ours. */
void load_variable(struct loader *loader, const char *variable);

/* Contradictions between values; every value by itself is right already. */
void config_check(const struct config *config, struct faults *faults);
