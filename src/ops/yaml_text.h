/*
 * YAML with positions. libcyaml loads structs but does not say where a value stood, nor can it hold
 * maps with free keys (`kafka`, `policies`); libyaml, on which it is built, keeps a mark on every
 * node. So the configuration walks libyaml's document with a table of keys, and the rule file, a
 * plain list of structs, is loaded by libcyaml with its lines taken from the document.
 */
#pragma once
#include <stdbool.h>
#include <yaml.h>

#include "base/err.h"
#include "base/str.h"

/* Loads the single document of `text`; an empty text gives a document without a root. E_CONFIG:
 * `ret_line` and `ret_column` (from 1) say where, the error's text what. Delete the document with
 * yaml_document_delete. */
enum rcode yaml_text_load(struct str text, yaml_document_t *ret_document, int *ret_line,
                          int *ret_column, struct err *err) WARN_UNUSED;

/* True for `~`, `null` or nothing, unquoted. */
bool yaml_text_is_null(const yaml_node_t *node);

/* The text of a scalar; null of anything else. */
struct str yaml_text_scalar(const yaml_node_t *node);

static inline int yaml_text_line(const yaml_node_t *node)
{
    return (int)node->start_mark.line + 1;
}

static inline int yaml_text_column(const yaml_node_t *node)
{
    return (int)node->start_mark.column + 1;
}
