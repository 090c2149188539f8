#include "ops/rules_yaml.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "embedded.h"
#include "ops/text_file.h"
#include "ops/yaml_text.h"

#define FILE_SIZE_MAX (8u << 20)
#define RULES_MAX 10000
#define SAMPLES_MAX 1000

#define OPTIONAL (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER)
#define TEXT(key, flags, structure, member)                                                        \
    CYAML_FIELD_STRING_PTR(key, flags, structure, member, 0, CYAML_UNLIMITED)

static const cyaml_schema_field_t sample_fields[] = {
    TEXT("text", OPTIONAL, struct rule_text_sample, text),
    TEXT("status", OPTIONAL, struct rule_text_sample, status),
    TEXT("mx", OPTIONAL, struct rule_text_sample, mx),
    TEXT("stage", OPTIONAL, struct rule_text_sample, stage),
    CYAML_FIELD_INT("reply", CYAML_FLAG_OPTIONAL, struct rule_text_sample, reply),
    CYAML_FIELD_END};
static const cyaml_schema_value_t sample_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rule_text_sample, sample_fields)};

static const cyaml_schema_field_t rule_fields[] = {
    TEXT("id", CYAML_FLAG_POINTER, struct rule_text, id),
    TEXT("mx", OPTIONAL, struct rule_text, mx),
    TEXT("stage", OPTIONAL, struct rule_text, stage),
    TEXT("status", OPTIONAL, struct rule_text, status),
    TEXT("reply", OPTIONAL, struct rule_text, reply),
    TEXT("text", OPTIONAL, struct rule_text, text),
    TEXT("class", CYAML_FLAG_POINTER, struct rule_text, class_name),
    TEXT("reason", CYAML_FLAG_POINTER, struct rule_text, reason_name),
    CYAML_FIELD_SEQUENCE("positive", OPTIONAL, struct rule_text, positive, &sample_schema, 0,
                         SAMPLES_MAX),
    CYAML_FIELD_SEQUENCE("negative", OPTIONAL, struct rule_text, negative, &sample_schema, 0,
                         SAMPLES_MAX),
    CYAML_FIELD_END};
static const cyaml_schema_value_t rule_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rule_text, rule_fields)};
static const cyaml_schema_value_t rules_schema = {
    CYAML_VALUE_SEQUENCE(CYAML_FLAG_POINTER, struct rule_text, &rule_schema, 0, RULES_MAX)};

/* libcyaml tells what is wrong in its log only: the message first, then a backtrace whose first
 * line has the innermost position. */
struct complaint {
    char text[256];
    unsigned line, column;
};

/* "(line: 7, column: 3)" */
static void take_position(struct complaint *complaint, const char *text)
{
    const char *column = strstr(text, "column: ");
    complaint->line = (unsigned)strtoul(text + strlen("(line: "), NULL, 10);
    complaint->column = column ? (unsigned)strtoul(column + strlen("column: "), NULL, 10) : 1;
}

static void complain(cyaml_log_t level, void *context, const char *format, va_list args)
{
    struct complaint *complaint = context;
    char text[256];
    if (level != CYAML_LOG_ERROR)
        return;
    vsnprintf(text, sizeof(text), format, args);
    const char *position = strstr(text, "(line: ");
    if (position && !complaint->line)
        take_position(complaint, position);
    else if (!position && !complaint->text[0] && !strstr(text, "Backtrace"))
        snprintf(complaint->text, sizeof(complaint->text), "%.*s",
                 (int)strcspn(strncmp(text, "Load: ", 6) ? text : text + 6, "\n"),
                 strncmp(text, "Load: ", 6) ? text : text + 6);
}

static void *allocate(void *context, void *memory, size_t size)
{
    (void)context;
    if (size)
        return mem_realloc(memory, size);
    mem_free(memory);
    return NULL;
}

static cyaml_config_t settings(struct complaint *complaint)
{
    return (cyaml_config_t){.log_fn = complaint ? complain : NULL,
                            .log_ctx = complaint,
                            .mem_fn = allocate,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_DEFAULT};
}

/* --- lines --- */

static const yaml_node_t *entry(yaml_document_t *document, const yaml_node_t *list, uint32_t index)
{
    return yaml_document_get_node(document, list->data.sequence.items.start[index]);
}

/* The samples of one kind, in the order libcyaml has loaded them. */
static void sample_lines(yaml_document_t *document, const yaml_node_t *list,
                         struct rule_text_sample *samples, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        samples[i].line = yaml_text_line(entry(document, list, i));
}

static void rule_lines(yaml_document_t *document, const yaml_node_t *map, struct rule_text *rule)
{
    rule->line = yaml_text_line(map);
    for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
         pair < map->data.mapping.pairs.top; pair++) {
        struct str key = yaml_text_scalar(yaml_document_get_node(document, pair->key));
        const yaml_node_t *value = yaml_document_get_node(document, pair->value);
        if (str_equal(key, STR("text")))
            rule->text_line =
                yaml_text_line(value) + (value->data.scalar.style == YAML_LITERAL_SCALAR_STYLE);
        else if (str_equal(key, STR("positive")))
            sample_lines(document, value, rule->positive, rule->positive_count);
        else if (str_equal(key, STR("negative")))
            sample_lines(document, value, rule->negative, rule->negative_count);
    }
}

/* --- loading --- */

static bool is_known(struct str key)
{
    static const cyaml_schema_field_t *const schemas[] = {rule_fields, sample_fields};
    for (int i = 0; i < 2; i++)
        for (const cyaml_schema_field_t *field = schemas[i]; field->key; field++)
            if (str_equal(key, str_of(field->key)))
                return true;
    return false;
}

/* For what libcyaml gets wrong: it keeps the last of two equal keys and loses the first one's
 * memory, and gives the position of the pair before for a key it does not know. */
static enum rcode check_keys(const char *name, yaml_document_t *document, const yaml_node_t *map,
                             struct err *err)
{
    const yaml_node_pair_t *first = map->data.mapping.pairs.start;
    for (const yaml_node_pair_t *pair = first; pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(document, pair->key);
        struct str text = yaml_text_scalar(key);
        bool twice = false;
        for (const yaml_node_pair_t *other = first; other < pair; other++)
            twice |=
                str_equal(text, yaml_text_scalar(yaml_document_get_node(document, other->key)));
        if (twice || !is_known(text))
            return err_set(err, E_RULES, "%s:%d:%d: %.*s: %s", name, yaml_text_line(key),
                           yaml_text_column(key), STR_ARG(text),
                           twice ? "is given twice; keep one" : "unknown key");
    }
    return OK;
}

static enum rcode load(const char *name, struct str text, yaml_document_t *document,
                       struct rules_text *ret_rules, struct err *err)
{
    struct complaint complaint = {0};
    cyaml_config_t config = settings(&complaint);
    cyaml_data_t *data = NULL;
    unsigned count = 0;
    const yaml_node_t *root = yaml_document_get_root_node(document);
    for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; node++)
        if (node->type == YAML_MAPPING_NODE && check_keys(name, document, node, err) != OK)
            return E_RULES;
    cyaml_err_t code = cyaml_load_data((const uint8_t *)text.data, text.len, &config, &rules_schema,
                                       &data, &count);
    if (code != CYAML_OK)
        return err_set(err, E_RULES, "%s:%d:%d: %s", name,
                       complaint.line ? (int)complaint.line : yaml_text_line(root),
                       complaint.line ? (int)complaint.column : yaml_text_column(root),
                       complaint.text[0] ? complaint.text : cyaml_strerror(code));
    struct rules_text rules = {data, count};
    for (uint32_t i = 0; i < rules.rule_count; i++)
        rule_lines(document, entry(document, root, i), &rules.rules[i]);
    *ret_rules = rules;
    return OK;
}

enum rcode rules_text_parse(const char *name, struct str text, struct rules_text *ret_rules,
                            struct err *err)
{
    yaml_document_t document;
    int line, column;
    enum rcode rc = yaml_text_load(text, &document, &line, &column, err);
    if (rc != OK) {
        err_prefix(err, "%s:%d:%d", name, line, column);
        if (err)
            err->code = E_RULES;
        return E_RULES;
    }
    if (yaml_document_get_root_node(&document))
        rc = load(name, text, &document, ret_rules, err);
    else
        rc = err_set(err, E_RULES, "%s:1:1: holds no rules", name);
    yaml_document_delete(&document);
    return rc;
}

enum rcode rules_text_load(const char *path, struct rules_text *ret_rules, struct err *err)
{
    if (!path) {
        for (const struct embedded_file *file = embedded_files; file->name; file++)
            if (strcmp(file->name, RULES_TEXT_DEFAULT) == 0)
                return rules_text_parse(file->name, (struct str){file->data, file->size}, ret_rules,
                                        err);
        return err_set(err, E_BUG, "no rules are compiled in");
    }
    struct buf text = {0};
    enum rcode rc = text_file_read(path, FILE_SIZE_MAX, &text, err);
    if (rc != OK)
        err_prefix(err, "%s", path);
    else
        rc = rules_text_parse(path, buf_view(&text), ret_rules, err);
    buf_deinit(&text);
    return rc;
}

void rules_text_deinit(struct rules_text *rules)
{
    cyaml_config_t config = settings(NULL);
    if (rules->rules)
        cyaml_free(&config, &rules_schema, rules->rules, rules->rule_count);
    *rules = (struct rules_text){0};
}
