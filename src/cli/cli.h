/*
 * What the subcommands share: exit codes, errors on stderr, output formats. Every subcommand is one
 * file src/cli/cmd_<name>.c with one function `int cmd_<name>(int argc, char **argv)` that returns
 * the exit code; argv[0] is "rimbalzo <name>". The table of src/main.c lists them.
 *
 * Options are parsed by argp, which prints --help (exit 0) and usage errors (exit 64). Commands
 * that need the configuration take the options of cli/settings.h as a child parser, those with `-o`
 * the one below:
 *
 *     static const struct argp_child children[] = {
 *         {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
 *
 * and in their parser at ARGP_KEY_INIT: state->child_inputs[0] = &options->settings;
 *                                       state->child_inputs[1] = &options->output;
 */
#pragma once
#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_NEGATIVE = 1, /* the answer is no */
    EXIT_CODE_USAGE = 64,
    EXIT_CODE_DATA = 65,        /* bad data */
    EXIT_CODE_UNREACHABLE = 69, /* broker */
    EXIT_CODE_BUG = 70,
    EXIT_CODE_CREATE = 73, /* cannot create */
    EXIT_CODE_IO = 74,
    EXIT_CODE_AGAIN = 75, /* try again */
    EXIT_CODE_AUTH = 77,
    EXIT_CODE_CONFIG = 78,
    EXIT_CODE_SIGNAL = 128, /* plus the signal's number: 130, 143 */
};

/* The exit code that fits an error. */
int cli_exit_code(enum rcode code);

/* "rimbalzo: <text>" on stderr; returns the exit code that fits. */
int cli_fail(const struct err *err);

/* The argument of --NAME as a number, `least` or more, or as a share of 1, given in percent. A
 * usage error ends the process. */
int64_t cli_number_arg(struct argp_state *state, const char *name, const char *arg, int64_t least);
double cli_share_arg(struct argp_state *state, const char *name, const char *arg);

/* Asks "QUESTION [y/N]" on the terminal; without one says that nothing was changed, and is false.
 */
bool cli_confirmed(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* True if `stream` is a terminal that wants colours (NO_COLOR is not set). */
bool cli_colours(FILE *stream);

/* Flushes stdout; EXIT_CODE_IO with a message if anything written to it got lost, else `code`. */
int cli_finish(int code);

/* --- output: rows in one of a few formats
 * ---------------------------------------------------------------- */

enum output_format {
    OUTPUT_TABLE, /* aligned columns, upper-case header */
    OUTPUT_JSON,  /* an array of objects */
    OUTPUT_JSONL, /* an object per line */
    OUTPUT_TSV,   /* header, then rows; tab, newline, CR and backslash escaped */
    OUTPUT_CSV,   /* RFC 4180, with a header */
};

/* `-o table|json|jsonl|tsv|csv`; input: enum output_format *, the default as it is before. */
extern const struct argp output_argp;

enum cell_kind { CELL_NULL, CELL_TEXT, CELL_NUMBER, CELL_MILLI, CELL_BOOL };

struct cell {
    enum cell_kind kind;
    struct str text; /* UTF-8; other octets are shown as U+FFFD in JSON */
    int64_t number;
};

static inline struct cell cell_text(struct str text)
{
    return (struct cell){.kind = text.data ? CELL_TEXT : CELL_NULL, .text = text};
}

static inline struct cell cell_number(int64_t number)
{
    return (struct cell){.kind = CELL_NUMBER, .number = number};
}

/* A number in thousandths, not negative; shown with three decimals. */
static inline struct cell cell_milli(int64_t number)
{
    return (struct cell){.kind = CELL_MILLI, .number = number};
}

static inline struct cell cell_bool(bool value)
{
    return (struct cell){.kind = CELL_BOOL, .number = value};
}

#define OUTPUT_COLUMNS_MAX 32

struct output {
    enum output_format format;
    FILE *stream;
    const char *const *columns; /* stable names, lower_case_with_underscores */
    int column_count;
    int64_t row_count;
    struct buf cells; /* of a table: its cells as text, until the widths are known */
    int piece_count;  /* of a table: pieces that have gone out */
    size_t widths[OUTPUT_COLUMNS_MAX];
    bool numbers[OUTPUT_COLUMNS_MAX]; /* all are numbers or null: they stand to the right */
};

void output_begin(struct output *output, enum output_format format, FILE *stream,
                  const char *const *columns, int column_count);
/* `cells` has column_count entries; JSONL and TSV rows are written at once. */
void output_row(struct output *output, const struct cell *cells);
void output_end(struct output *output);

/* Appends `text` as a JSON string, quotes included. */
void output_json_string(struct buf *out, struct str text);

/* --- the subcommands
 * ------------------------------------------------------------------------------------- */

int cmd_classify(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_decode(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_dispatcher(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_dlq(int argc, char **argv);
int cmd_forget(int argc, char **argv);
int cmd_ingest(int argc, char **argv);
int cmd_lag(int argc, char **argv);
int cmd_log_hash(int argc, char **argv);
int cmd_offsets(int argc, char **argv);
int cmd_produce_sample(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_reinstate(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_reshard(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_schema(int argc, char **argv);
int cmd_state(int argc, char **argv);
int cmd_suppress(int argc, char **argv);
int cmd_topics(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_worker(int argc, char **argv);
