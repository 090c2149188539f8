/*
 * Rows in one of five formats. JSON lines, TSV and CSV go out row by row; a table is held back
 * until the widths are known, each cell as its kind, its text and a NUL. A long table goes out in
 * pieces, which are as wide as those before or wider.
 */
#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "cli/cli.h"

static const char *const format_names[] = {[OUTPUT_TABLE] = "table",
                                           [OUTPUT_JSON] = "json",
                                           [OUTPUT_JSONL] = "jsonl",
                                           [OUTPUT_TSV] = "tsv",
                                           [OUTPUT_CSV] = "csv"};
#define FORMAT_COUNT ((int)(sizeof(format_names) / sizeof(format_names[0])))

static error_t parse(int key, char *arg, struct argp_state *state)
{
    if (key != 'o')
        return ARGP_ERR_UNKNOWN;
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (strcmp(arg, format_names[i]) == 0) {
            *(enum output_format *)state->input = (enum output_format)i;
            return 0;
        }
    argp_error(state, "-o takes table, json, jsonl, tsv or csv, not \"%s\"", arg);
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option argp_options[] = {
    {"output", 'o', "FORMAT", 0, "table, json, jsonl, tsv or csv", 0}, {0}};
const struct argp output_argp = {argp_options, parse, NULL, NULL, NULL, NULL, NULL};

/* --- texts --- */

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* The escape JSON has for an octet, or NULL: it stands for itself. */
static const char *json_escape(unsigned char c, char storage[8])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    }
    if (c >= 0x20)
        return NULL;
    snprintf(storage, 8, "\\u%04x", c);
    return storage;
}

void output_json_string(struct buf *out, struct str text)
{
    size_t done = 0, at = 0; /* text[done..at) is to be written as it is */
    buf_append(out, "\"", 1);
    while (at < text.len) {
        char storage[8];
        size_t len = utf8_len(text, at);
        const char *instead = len == 0   ? REPLACEMENT
                              : len == 1 ? json_escape((unsigned char)text.data[at], storage)
                                         : NULL;
        if (instead) {
            buf_append(out, text.data + done, at - done);
            buf_str(out, str_of(instead));
            done = at + 1;
        }
        at += len ? len : 1;
    }
    if (at > done)
        buf_append(out, text.data + done, at - done);
    buf_append(out, "\"", 1);
}

static void tsv_text(struct buf *out, struct str text)
{
    static const char special[] = "\t\n\r\\", letters[] = "tnr\\";
    for (size_t i = 0; i < text.len; i++) {
        const char *found = memchr(special, text.data[i], sizeof(special) - 1);
        if (found)
            buf_printf(out, "\\%c", letters[found - special]);
        else
            buf_append(out, text.data + i, 1);
    }
}

/* RFC 4180: quoted when it must be. Null is nothing, an empty text is "". */
static void csv_text(struct buf *out, struct str text)
{
    bool quoted = !text.len;
    for (size_t i = 0; i < text.len; i++)
        quoted |= memchr("\",\r\n", text.data[i], 4) != NULL;
    if (quoted)
        buf_append(out, "\"", 1);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"')
            buf_append(out, "\"", 1);
        buf_append(out, text.data + i, 1);
    }
    if (quoted)
        buf_append(out, "\"", 1);
}

/* For a terminal: what a record holds must not move its cursor or change its colours. */
static void table_text(struct buf *out, struct str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_len(text, at);
        const unsigned char *p = (const unsigned char *)text.data + at;
        if (len == 0)
            buf_str(out, STR(REPLACEMENT));
        else if (*p == '\n')
            buf_str(out, STR("\\n"));
        else if (*p == '\t')
            buf_str(out, STR("\\t"));
        else if (*p < 0x20 || *p == 0x7f)
            buf_printf(out, "\\x%02x", *p);
        else if (*p == 0xc2 && p[1] < 0xa0) /* C1 */
            buf_printf(out, "\\x%02x", p[1]);
        else
            buf_append(out, p, len);
        at += len ? len : 1;
    }
}

static void cell_append(struct buf *out, const struct cell *cell, enum output_format format)
{
    switch (cell->kind) {
    case CELL_NULL:
        buf_str(out, format == OUTPUT_TABLE                         ? STR("-")
                     : format == OUTPUT_TSV || format == OUTPUT_CSV ? STR("")
                                                                    : STR("null"));
        return;
    case CELL_NUMBER:
        buf_printf(out, "%" PRId64, cell->number);
        return;
    case CELL_MILLI:
        buf_printf(out, "%" PRId64 ".%03d", cell->number / 1000, (int)(cell->number % 1000));
        return;
    case CELL_BOOL:
        buf_str(out, cell->number ? STR("true") : STR("false"));
        return;
    case CELL_TEXT:
        break;
    }
    switch (format) {
    case OUTPUT_TABLE:
        table_text(out, cell->text);
        return;
    case OUTPUT_TSV:
        tsv_text(out, cell->text);
        return;
    case OUTPUT_CSV:
        csv_text(out, cell->text);
        return;
    case OUTPUT_JSON:
    case OUTPUT_JSONL:
        output_json_string(out, cell->text);
        return;
    }
}

/* --- tables --- */

#define FLUSH_SIZE 65536
#define PIECE_SIZE ((size_t)1 << 20) /* octets of cells of one piece */

static size_t columns_of(struct str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += (text.data[i] & 0xc0) != 0x80;
    return count;
}

static void pad(struct buf *out, size_t count)
{
    while (count--)
        buf_append(out, " ", 1);
}

static void table_cell(struct buf *out, const struct output *output, int column, struct str text)
{
    size_t gap = output->widths[column] - columns_of(text);
    if (column)
        buf_str(out, STR("  "));
    if (output->numbers[column])
        pad(out, gap);
    buf_str(out, text);
    if (column == output->column_count - 1)
        buf_append(out, "\n", 1);
    else if (!output->numbers[column])
        pad(out, gap);
}

static struct str upper_case(const char *name, char storage[64])
{
    size_t len = 0;
    for (; name[len] && len < 64; len++)
        storage[len] =
            name[len] >= 'a' && name[len] <= 'z' ? (char)(name[len] - 'a' + 'A') : name[len];
    return (struct str){storage, len};
}

/* Widths and kinds of what is held back, beside those of pieces before. */
static void table_measure(struct output *output)
{
    const char *end = output->cells.data + output->cells.len;
    int column = 0;
    for (int c = 0; c < output->column_count && !output->piece_count; c++) {
        output->widths[c] = strlen(output->columns[c]);
        output->numbers[c] = output->row_count > 0;
    }
    for (const char *cell = output->cells.data; cell < end; cell += strlen(cell) + 1) {
        size_t width = columns_of(str_of(cell + 1));
        if (width > output->widths[column])
            output->widths[column] = width;
        output->numbers[column] &=
            *cell == 'a' + CELL_NUMBER || *cell == 'a' + CELL_MILLI || *cell == 'a' + CELL_NULL;
        column = (column + 1) % output->column_count;
    }
}

static void table_piece(struct output *output)
{
    struct buf lines = {0};
    char storage[64];
    int column = 0;
    table_measure(output);
    for (int c = 0; c < output->column_count && !output->piece_count; c++)
        table_cell(&lines, output, c, upper_case(output->columns[c], storage));
    const char *end = output->cells.data + output->cells.len;
    for (const char *cell = output->cells.data; cell < end; cell += strlen(cell) + 1) {
        table_cell(&lines, output, column, str_of(cell + 1));
        column = (column + 1) % output->column_count;
        if (lines.len > FLUSH_SIZE) {
            fwrite(lines.data, 1, lines.len, output->stream);
            buf_clear(&lines);
        }
    }
    fwrite(lines.data, 1, lines.len, output->stream);
    buf_deinit(&lines);
    buf_clear(&output->cells);
    output->piece_count++;
}

/* --- the formats --- */

static const char *separator_of(enum output_format format)
{
    return format == OUTPUT_CSV ? "," : "\t";
}

static const char *line_end_of(enum output_format format)
{
    return format == OUTPUT_CSV ? "\r\n" : "\n"; /* RFC 4180 */
}

void output_begin(struct output *output, enum output_format format, FILE *stream,
                  const char *const *columns, int column_count)
{
    *output = (struct output){
        .format = format, .stream = stream, .columns = columns, .column_count = column_count};
    if (format == OUTPUT_TSV || format == OUTPUT_CSV)
        for (int c = 0; c < column_count; c++)
            fprintf(stream, "%s%s", c ? separator_of(format) : "", columns[c]);
    if (format == OUTPUT_TSV || format == OUTPUT_CSV)
        fputs(line_end_of(format), stream);
}

static void table_row(struct output *output, const struct cell *cells)
{
    for (int c = 0; c < output->column_count; c++) {
        char kind = (char)('a' + (int)cells[c].kind);
        buf_append(&output->cells, &kind, 1);
        cell_append(&output->cells, &cells[c], OUTPUT_TABLE);
        buf_append(&output->cells, "", 1);
    }
}

static void separated_row(struct output *output, const struct cell *cells)
{
    for (int c = 0; c < output->column_count; c++) {
        if (c)
            buf_str(&output->cells, str_of(separator_of(output->format)));
        cell_append(&output->cells, &cells[c], output->format);
    }
    buf_str(&output->cells, str_of(line_end_of(output->format)));
}

static void json_row(struct output *output, const struct cell *cells)
{
    struct buf *out = &output->cells;
    if (output->format == OUTPUT_JSON)
        buf_str(out, output->row_count ? STR(",\n  ") : STR("[\n  "));
    for (int c = 0; c < output->column_count; c++) {
        buf_append(out, c ? "," : "{", 1);
        output_json_string(out, str_of(output->columns[c]));
        buf_append(out, ":", 1);
        cell_append(out, &cells[c], output->format);
    }
    buf_append(out, "}\n", output->format == OUTPUT_JSON ? 1 : 2);
}

void output_row(struct output *output, const struct cell *cells)
{
    switch (output->format) {
    case OUTPUT_TABLE:
        table_row(output, cells);
        break;
    case OUTPUT_TSV:
    case OUTPUT_CSV:
        separated_row(output, cells);
        break;
    case OUTPUT_JSON:
    case OUTPUT_JSONL:
        json_row(output, cells);
        break;
    }
    output->row_count++;
    if (output->format != OUTPUT_TABLE) {
        fwrite(output->cells.data, 1, output->cells.len, output->stream);
        buf_clear(&output->cells);
    } else if (output->cells.len > PIECE_SIZE) {
        table_piece(output);
    }
}

void output_end(struct output *output)
{
    switch (output->format) {
    case OUTPUT_TABLE:
        table_piece(output);
        break;
    case OUTPUT_JSON:
        fputs(output->row_count ? "\n]\n" : "[]\n", output->stream);
        break;
    case OUTPUT_JSONL:
    case OUTPUT_TSV:
    case OUTPUT_CSV:
        break;
    }
    buf_deinit(&output->cells);
}
