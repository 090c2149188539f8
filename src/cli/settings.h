/* The configuration as the other layers want it: policies and rules of the domain, made of struct
 * config. */
#pragma once
#include <argp.h>

#include "base/err.h"
#include "domain/classify.h"
#include "domain/policy.h"
#include "ops/config.h"
#include "ops/rules_yaml.h"

#define SETTINGS_SETS_MAX 256

/* What -c and --set gave. Zero-initialise. */
struct settings_options {
    const char *file;
    const char *sets[SETTINGS_SETS_MAX];
    int set_count;
    const char *overlay; /* a file above everything else; NULL: none */
};

/* `-c FILE`, `--set KEY=VALUE`; input: struct settings_options *. A child parser, see cli/cli.h. */
extern const struct argp settings_argp;

struct settings {
    struct config *config;
    struct policy_set policies; /* checked */
    struct rule_set *rules;     /* samples checked */
};

/* Loads the configuration (flags, environment, file, defaults) and the rules. E_CONFIG, E_RULES,
 * E_IO. */
enum rcode settings_load(const struct settings_options *options, struct settings *ret_settings,
                         struct err *err) WARN_UNUSED;
void settings_deinit(struct settings *settings); /* of a loaded or zeroed one */

/* Of everything that decides about recipients: other decisions, another number. */
uint64_t settings_fingerprint(const struct settings *settings);

/* E_CONFIG when the two differ in a key that decides nothing about recipients. */
enum rcode settings_check_overlay(const struct settings *base, const struct settings *overlaid,
                                  struct err *err) WARN_UNUSED;

/* The policies of a configuration, checked. E_CONFIG with the position of the key at fault. */
enum rcode settings_policies(const struct config *config, struct policy_set *ret_policies,
                             struct err *err) WARN_UNUSED;

/* The rules of `file`, NULL: those compiled in. E_RULES or E_IO; the text starts with FILE:LINE. */
enum rcode settings_rules(const char *file, struct rule_set **ret_rules,
                          struct err *err) WARN_UNUSED;

/* The same for rules that have been read; `name` stands for the file in messages. */
enum rcode settings_compile_rules(const char *name, const struct rules_text *text,
                                  struct rule_set **ret_rules, struct err *err) WARN_UNUSED;

/* Applies log.format and log.level. Once, before threads start. */
void settings_log(const struct settings *settings);
