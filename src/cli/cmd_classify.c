/* rimbalzo classify: class, reason and rule of a bounce, or of one per line of stdin. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/settings.h"

#define LINE_SIZE_MAX (1u << 20)
#define READ_SIZE 65536
#define REPLY_MIN 200
#define REPLY_MAX 599
#define OUTPUT_UNSET ((enum output_format) - 1)

enum { KEY_TEXT = 't', KEY_REPLY = 'r', KEY_MX = 'm', KEY_STAGE = 's', KEY_EXPLAIN = 'e' };

struct options {
    struct settings_options settings;
    enum output_format output;
    struct bounce_facts facts;
    bool given;   /* any of the facts */
    bool explain; /* --explain */
};

static error_t parse_fact(int key, char *arg, struct argp_state *state)
{
    struct bounce_facts *facts = &((struct options *)state->input)->facts;
    struct status_code code;
    char *end;
    switch (key) {
    case KEY_TEXT:
        facts->diagnostic = str_of(arg);
        return 0;
    case KEY_MX:
        facts->remote_mta = str_of(arg);
        return 0;
    case KEY_STAGE:
        facts->stage = str_of(arg);
        return 0;
    case KEY_REPLY: {
        long reply = strtol(arg, &end, 10);
        if (*end || reply < REPLY_MIN || reply > REPLY_MAX)
            argp_error(state, "--reply takes a code from 200 to 599, not \"%s\"", arg);
        facts->reply_code = (int32_t)reply;
        return 0;
    }
    case ARGP_KEY_ARG:
        if (facts->status.data)
            argp_error(state, "\"%s\" is one argument too many", arg);
        if (!status_parse((struct str){arg, strlen(arg)}, &code))
            argp_error(state, "\"%s\" is no status code as 4.2.1; a reply's text is for --text",
                       arg);
        facts->status = str_of(arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = &options->settings;
        state->child_inputs[1] = &options->output;
        return 0;
    }
    if (key == KEY_EXPLAIN) {
        options->explain = true;
        return 0;
    }
    if (key == ARGP_KEY_END && options->explain && !options->given)
        argp_error(state, "--explain is for one bounce: give a STATUS or --text");
    error_t error = parse_fact(key, arg, state);
    options->given |= error == 0;
    return error;
}

/* --- one bounce --- */

static const char *const columns[] = {"class", "reason", "rule", "status"};

static void show(struct classifier *classifier, const struct bounce_facts *facts,
                 struct output *output)
{
    struct verdict verdict;
    struct status_code code;
    char status[32];
    bool coded = (facts->status.data && status_parse(facts->status, &code)) ||
                 (facts->diagnostic.data && status_find(facts->diagnostic, &code));
    if (coded)
        snprintf(status, sizeof(status), "%d.%d.%d", code.cls, code.subject, code.detail);
    classify(classifier, facts, &verdict);
    const struct cell cells[] = {
        cell_text(str_of(bounce_class_names[verdict.bounce_class])),
        cell_text(str_of(reason_names[verdict.reason])),
        cell_text(verdict.rule),
        cell_text(coded ? str_of(status) : STR_NULL),
    };
    output_row(output, cells);
}

/* --- one bounce, explained --- */

static const char *const trial_columns[] = {"rule", "line", "class", "reason", "match", "because"};

/* `because`: the conditions that do not hold. */
static void show_trial(void *context, const struct rule_trial *trial)
{
    struct output *output = context;
    char because[64];
    size_t len = 0;
    for (int i = 0; i < CONDITION_COUNT; i++)
        if (trial->mismatch & 1u << i)
            len += (size_t)snprintf(because + len, sizeof(because) - len, "%s%s", len ? " " : "no ",
                                    rule_condition_names[i]);
    const struct cell cells[] = {
        cell_text(trial->verdict->rule),
        trial->line ? cell_number(trial->line) : cell_text(STR_NULL),
        cell_text(str_of(bounce_class_names[trial->verdict->bounce_class])),
        cell_text(str_of(reason_names[trial->verdict->reason])),
        cell_bool(trial->mismatch == 0),
        cell_text(len ? (struct str){because, len} : STR_NULL),
    };
    output_row(output, cells);
}

static void show_subject(const struct bounce_facts *facts, const struct explanation *explanation)
{
    const struct status_code *code = &explanation->status;
    struct str text = {explanation->text, explanation->text_len};
    char status[32] = "-", reply[32] = "-";
    if (code->cls)
        snprintf(status, sizeof(status), "%d.%d.%d", code->cls, code->subject, code->detail);
    if (facts->reply_code || reply_find(text))
        snprintf(reply, sizeof(reply), "%d", explanation->reply);
    else if (explanation->reply)
        snprintf(reply, sizeof(reply), "%dxx", explanation->reply / 100);
    printf("status %s, reply %s, mx %.*s, stage %.*s\ntext   %.*s\n\n", status, reply,
           STR_ARG(explanation->mx.data ? explanation->mx : STR("-")),
           STR_ARG(explanation->stage.data ? explanation->stage : STR("-")),
           STR_ARG(text.len ? text : STR("-")));
}

/* Every rule up to the one that decides; the last row is the decision, by a code if need be. */
static void explain(struct classifier *classifier, const struct bounce_facts *facts,
                    enum output_format format)
{
    struct explanation explanation;
    struct output output;
    output_begin(&output, format, stdout, trial_columns,
                 sizeof(trial_columns) / sizeof(trial_columns[0]));
    classify_explained(classifier, facts, show_trial, &output, &explanation);
    if (!explanation.by_rule)
        show_trial(&output, &(struct rule_trial){.verdict = &explanation.verdict});
    if (format == OUTPUT_TABLE)
        show_subject(facts, &explanation);
    output_end(&output);
}

/* --- lines --- */

struct lines {
    struct buf buf;
    size_t start;    /* of the next line */
    size_t searched; /* no line feed before */
    int64_t number;  /* of the last line, from 1 */
    bool too_long;   /* the last line, of which nothing is kept */
    bool end;
};

/* What has been classified is shown before it waits for more. */
static enum rcode read_more(struct lines *lines, struct err *err)
{
    struct buf *buf = &lines->buf;
    memmove(buf->data, buf->data + lines->start, buf->len - lines->start);
    buf->len -= lines->start;
    lines->start = 0;
    if (buf->len > LINE_SIZE_MAX) {
        lines->too_long = true;
        buf->len = 0;
    }
    lines->searched = buf->len;
    buf_reserve(buf, READ_SIZE);
    fflush(stdout);
    ssize_t len;
    do
        len = read(STDIN_FILENO, buf->data + buf->len, READ_SIZE);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        return err_errno(err, E_IO, "stdin cannot be read");
    buf->len += (size_t)len;
    lines->end = len == 0;
    return OK;
}

/* The next line without its line feed, null data after the last. Valid until the next call. */
static enum rcode lines_next(struct lines *lines, struct str *ret_line, struct err *err)
{
    struct buf *buf = &lines->buf;
    const char *feed;
    lines->too_long = false;
    buf_reserve(buf, 1);
    while (!(feed = memchr(buf->data + lines->searched, '\n', buf->len - lines->searched)) &&
           !lines->end) {
        enum rcode rc = read_more(lines, err);
        if (rc != OK)
            return rc;
    }
    size_t len = (feed ? (size_t)(feed - buf->data) : buf->len) - lines->start;
    *ret_line = (struct str){buf->data + lines->start, len};
    if (!feed && !len && !lines->too_long)
        *ret_line = STR_NULL;
    lines->number++;
    lines->start += len + (feed != NULL);
    lines->searched = lines->start;
    lines->too_long |= len > LINE_SIZE_MAX;
    return OK;
}

/* --- JSON --- */

static enum rcode text_field(const json_t *object, const char *name, struct str *ret_text,
                             struct err *err)
{
    const json_t *value = json_object_get(object, name);
    *ret_text = STR_NULL;
    if (!value || json_is_null(value))
        return OK;
    if (!json_is_string(value))
        return err_set(err, E_INVALID_FIELD, "\"%s\" is not a string", name);
    *ret_text = (struct str){json_string_value(value), json_string_length(value)};
    return OK;
}

/* The spans point into `object`. */
static enum rcode facts_of(const json_t *object, struct bounce_facts *ret_facts, struct err *err)
{
    struct bounce_facts facts = {0};
    const json_t *reply = json_object_get(object, "reply_code");
    if (!json_is_object(object))
        return err_set(err, E_INVALID_FIELD, "is not an object");
    if (reply && !json_is_null(reply)) {
        json_int_t code = json_integer_value(reply); /* 0 of anything else */
        if (code < REPLY_MIN || code > REPLY_MAX)
            return err_set(err, E_INVALID_FIELD, "\"reply_code\" is no number from 200 to 599");
        facts.reply_code = (int32_t)code;
    }
    enum rcode rc = text_field(object, "text", &facts.diagnostic, err);
    if (rc == OK)
        rc = text_field(object, "status", &facts.status, err);
    if (rc == OK)
        rc = text_field(object, "mx", &facts.remote_mta, err);
    if (rc == OK)
        rc = text_field(object, "stage", &facts.stage, err);
    if (rc == OK)
        *ret_facts = facts;
    return rc;
}

static bool is_blank(struct str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (!memchr(" \t\r", line.data[i], 3))
            return false;
    return true;
}

static enum rcode classify_line(struct classifier *classifier, struct str line,
                                struct output *output, struct err *err)
{
    struct bounce_facts facts = {0};
    json_error_t error;
    json_t *object = json_loadb(line.data, line.len, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (!object)
        return err_set(err, E_MALFORMED, "not JSON: column %d: %s", error.column, error.text);
    enum rcode rc = facts_of(object, &facts, err);
    if (rc == OK)
        show(classifier, &facts, output);
    json_decref(object);
    return rc;
}

static int classify_lines(struct classifier *classifier, struct output *output)
{
    struct lines lines = {0};
    struct str line;
    struct err err;
    int64_t bad = 0;
    enum rcode rc;
    while ((rc = lines_next(&lines, &line, &err)) == OK && line.data) {
        enum rcode of_line = OK;
        if (lines.too_long)
            of_line = err_set(&err, E_MALFORMED, "longer than %u octets", LINE_SIZE_MAX);
        else if (!is_blank(line))
            of_line = classify_line(classifier, line, output, &err);
        if (of_line != OK) {
            fprintf(stderr, "rimbalzo: line %lld: %s\n", (long long)lines.number, err.text);
            bad++;
        }
    }
    buf_deinit(&lines.buf);
    if (rc != OK)
        return cli_fail(&err);
    return bad ? EXIT_CODE_DATA : EXIT_CODE_OK;
}

/* --- the command --- */

static int run(const struct options *options, const struct rule_set *rules)
{
    struct classifier *classifier = classifier_new(rules);
    struct output output;
    enum output_format format = options->output;
    int code = EXIT_CODE_OK;
    if (format == OUTPUT_UNSET)
        format = options->given ? OUTPUT_TABLE : OUTPUT_JSONL;
    if (!options->given && isatty(STDIN_FILENO))
        fputs("rimbalzo: a JSON object per line, as {\"text\": \"550 5.1.1 unknown\"}; `rimbalzo "
              "classify --help` tells of the flags\n",
              stderr);
    if (options->explain) {
        explain(classifier, &options->facts, format);
    } else {
        output_begin(&output, format, stdout, columns, sizeof(columns) / sizeof(columns[0]));
        if (options->given)
            show(classifier, &options->facts, &output);
        else
            code = classify_lines(classifier, &output);
        output_end(&output);
    }
    classifier_free(classifier);
    return cli_finish(code);
}

int cmd_classify(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"text", KEY_TEXT, "TEXT", 0, "what the remote server said", 0},
        {"reply", KEY_REPLY, "CODE", 0, "SMTP reply code, when the text does not have it", 0},
        {"mx", KEY_MX, "HOST", 0, "name of the remote server", 0},
        {"stage", KEY_STAGE, "STAGE", 0, "connect, ehlo, mail, rcpt or data", 0},
        {"explain", KEY_EXPLAIN, NULL, 0, "show what each rule says to it, and why", 0},
        {0}};
    static const struct argp_child children[] = {
        {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "[STATUS]",
        "Tells class and reason of a bounce, and the rule that decided.\v"
        "Without STATUS and facts it reads JSON lines from stdin, {\"text\", \"reply_code\", "
        "\"status\", \"mx\", \"stage\"}, each of them optional, and writes {\"class\", \"reason\", "
        "\"rule\", \"status\"} for each; lines it cannot read are reported, the others go on, and "
        "it ends with 65. The status shown is the one given, else the one found in the text.",
        children,
        NULL,
        NULL};
    struct options options = {.output = OUTPUT_UNSET};
    struct settings settings = {0};
    struct err err = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    int code = run(&options, settings.rules);
    settings_deinit(&settings);
    return code;
}
