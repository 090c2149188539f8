#include "ops/yaml_text.h"

/* The reader (encoding) knows the octet, everything behind it a mark. */
static enum rcode problem(const yaml_parser_t *parser, struct str text, int *ret_line,
                          int *ret_column, struct err *err)
{
    if (parser->error == YAML_READER_ERROR) {
        int line = 1, column = 1;
        for (size_t i = 0; i < parser->problem_offset && i < text.len; i++) {
            column = text.data[i] == '\n' ? 1 : column + 1;
            line += text.data[i] == '\n';
        }
        *ret_line = line;
        *ret_column = column;
    } else {
        *ret_line = (int)parser->problem_mark.line + 1;
        *ret_column = (int)parser->problem_mark.column + 1;
    }
    if (parser->context)
        return err_set(err, E_CONFIG, "not YAML: %s, %s", parser->context, parser->problem);
    return err_set(err, E_CONFIG, "not YAML: %s", parser->problem ? parser->problem : "unreadable");
}

enum rcode yaml_text_load(struct str text, yaml_document_t *ret_document, int *ret_line,
                          int *ret_column, struct err *err)
{
    yaml_parser_t parser;
    yaml_document_t document, extra;
    if (!yaml_parser_initialize(&parser))
        return err_set(err, E_MEMORY, "no memory for a YAML parser");
    enum rcode rc = OK;
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.data ? text.data : ""),
                                 text.len);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    if (!yaml_parser_load(&parser, &document)) {
        rc = problem(&parser, text, ret_line, ret_column, err);
        yaml_parser_delete(&parser);
        return rc;
    }
    if (!yaml_document_get_root_node(&document)) {
        yaml_parser_delete(&parser);
        *ret_document = document;
        return OK;
    }
    if (!yaml_parser_load(&parser, &extra)) {
        rc = problem(&parser, text, ret_line, ret_column, err);
    } else {
        if (yaml_document_get_root_node(&extra)) {
            *ret_line = (int)extra.start_mark.line + 1;
            *ret_column = (int)extra.start_mark.column + 1;
            rc = err_set(err, E_CONFIG, "a second document; keep one");
        }
        yaml_document_delete(&extra);
    }
    yaml_parser_delete(&parser);
    if (rc == OK)
        *ret_document = document;
    else
        yaml_document_delete(&document);
    return rc;
}

bool yaml_text_is_null(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    struct str text = yaml_text_scalar(node);
    return text.len == 0 || str_equal(text, STR("~")) || str_equal(text, STR("null"));
}

struct str yaml_text_scalar(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE)
        return STR_NULL;
    return (struct str){(const char *)node->data.scalar.value, node->data.scalar.length};
}
