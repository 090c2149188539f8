/* rimbalzo schema check|register|diff: our schemas, or files, and those of the registry. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/schema_diff.h"
#include "cli/schemas.h"
#include "cli/settings.h"
#include "codec/schema.h"
#include "ops/text_file.h"

#define FILES_MAX 64
#define LEVEL "FULL_TRANSITIVE"

enum action { ACTION_CHECK, ACTION_REGISTER, ACTION_DIFF, ACTION_NONE };
enum { KEY_YES = 'y', KEY_KEEP_LEVEL = 0x2000 };

struct options {
    struct settings_options settings;
    enum output_format output;
    enum action action;
    bool yes, keep_level;
    const char *files[FILES_MAX];
    int file_count;
};

/* A schema and its subject: the full name of what it describes. */
struct item {
    struct str subject, text;
};

struct session {
    const struct options *options;
    struct registry *registry;
    struct output output;
    struct arena arena;
    struct item items[FILES_MAX];
    int count;
    int bad; /* items that are not as they should be */
};

static const char *const action_names[] = {"check", "register", "diff"};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        state->child_inputs[1] = &options->output;
        return 0;
    case KEY_YES:
        options->yes = true;
        return 0;
    case KEY_KEEP_LEVEL:
        options->keep_level = true;
        return 0;
    case ARGP_KEY_ARG:
        for (int i = 0; options->action == ACTION_NONE && i < ACTION_NONE; i++)
            if (strcmp(arg, action_names[i]) == 0) {
                options->action = (enum action)i;
                return 0;
            }
        if (options->action == ACTION_NONE)
            argp_error(state, "\"%s\" is not check, register or diff", arg);
        if (options->file_count == FILES_MAX)
            argp_error(state, "more than %d files", FILES_MAX);
        options->files[options->file_count++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (options->action == ACTION_NONE)
            argp_error(state, "say check, register or diff");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- what it is about --- */

static enum rcode take_file(struct session *session, const char *path, struct err *err)
{
    struct buf text = {0};
    struct schema schema;
    enum rcode rc = text_file_read(path, SCHEMA_TEXT_MAX, &text, err);
    struct item *item = &session->items[session->count];
    if (rc == OK) {
        item->text = arena_str(&session->arena, buf_view(&text));
        rc = schema_parse(item->text, &session->arena, &schema, err);
    }
    if (rc == OK && !schema.nodes[schema.root].name.data)
        rc = err_set(err, E_SCHEMA, "it has no name, and so no subject");
    if (rc == OK) {
        item->subject = schema.nodes[schema.root].name;
        session->count++;
    } else {
        err_prefix(err, "%s", path);
    }
    buf_deinit(&text);
    return rc;
}

static enum rcode take_items(struct session *session, struct err *err)
{
    const struct options *options = session->options;
    enum rcode rc = OK;
    for (int i = 0; rc == OK && i < options->file_count; i++)
        rc = take_file(session, options->files[i], err);
    for (int kind = 0; !options->file_count && kind < RECORD_KIND_COUNT; kind++) {
        char subject[SCHEMAS_SUBJECT_MAX];
        session->items[session->count++] = (struct item){
            arena_str(&session->arena, schemas_subject((enum record_kind)kind, subject)),
            record_schema_text((enum record_kind)kind)};
    }
    return rc;
}

/* --- check --- */

/* What the registry says of one item. */
struct answer {
    bool registered;
    int32_t id;
    int version;
    struct buf why; /* not */
};

/* E_UNKNOWN_SCHEMA is no error here, but an answer. */
static enum rcode find(struct session *session, const struct item *item, struct answer *answer,
                       struct err *err)
{
    enum rcode rc = registry_find(session->registry, item->subject, item->text, &answer->id,
                                  &answer->version, err);
    answer->registered = rc == OK;
    return rc == E_UNKNOWN_SCHEMA ? OK : rc;
}

static void show(struct session *session, const struct item *item, const char *action,
                 const struct answer *answer)
{
    struct cell cells[] = {
        cell_text(item->subject),
        cell_text(str_of(action)),
        answer->registered ? cell_number(answer->id) : cell_text(STR_NULL),
        answer->registered && answer->version ? cell_number(answer->version) : cell_text(STR_NULL),
        cell_text(answer->why.len ? buf_view(&answer->why) : STR_NULL),
    };
    output_row(&session->output, cells);
}

static enum rcode check_item(struct session *session, const struct item *item, struct err *err)
{
    struct answer answer = {0};
    bool compatible = true;
    enum rcode rc = find(session, item, &answer, err);
    if (rc == OK && !answer.registered)
        rc = registry_check(session->registry, item->subject, item->text, &compatible, &answer.why,
                            err);
    if (rc == OK) {
        session->bad += !answer.registered;
        show(session, item,
             answer.registered ? "registered"
             : compatible      ? "not registered"
                               : "incompatible",
             &answer);
    }
    buf_deinit(&answer.why);
    return rc;
}

/* --- register --- */

/* A new subject gets the level that our schemas are made for. */
static enum rcode put(struct session *session, const struct item *item, struct answer *answer,
                      struct err *err)
{
    struct str latest;
    int32_t id;
    int version;
    enum rcode rc = registry_latest(session->registry, item->subject, &session->arena, &latest, &id,
                                    &version, err);
    bool new = rc == E_UNKNOWN_SCHEMA;
    if (rc == OK || new)
        rc = registry_register(session->registry, item->subject, item->text, &answer->id, err);
    answer->registered = rc == OK;
    if (rc == OK && new && !session->options->keep_level)
        rc = registry_set_level(session->registry, item->subject, LEVEL, err);
    return rc;
}

static enum rcode register_item(struct session *session, const struct item *item, struct err *err)
{
    struct answer answer = {0};
    const char *action = "registered already";
    enum rcode rc = find(session, item, &answer, err);
    if (rc == OK && !answer.registered) {
        action = "registered";
        rc = put(session, item, &answer, err);
        if (rc == E_SCHEMA) {
            buf_str(&answer.why, str_of(err->text));
            rc = OK;
        }
    }
    if (rc == OK) {
        session->bad += !answer.registered;
        show(session, item, answer.registered ? action : "refused", &answer);
    }
    buf_deinit(&answer.why);
    return rc;
}

static bool confirmed(const struct session *session, const char *url)
{
    char answer[16];
    if (session->options->yes)
        return true;
    if (!isatty(STDIN_FILENO)) {
        fputs("rimbalzo: nothing was registered: add --yes, or run it on a terminal\n", stderr);
        return false;
    }
    fprintf(stderr, "Register what is missing of %d schema%s at %s? [y/N] ", session->count,
            session->count == 1 ? "" : "s", url);
    return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

/* --- diff --- */

static enum rcode diff_item(struct session *session, const struct item *item, struct err *err)
{
    struct schema_difference *differences = NULL;
    int32_t id;
    int version, count = 0;
    struct str latest = STR_NULL;
    enum rcode rc = registry_latest(session->registry, item->subject, &session->arena, &latest, &id,
                                    &version, err);
    if (rc == E_UNKNOWN_SCHEMA)
        latest = STR("{}");
    else if (rc != OK)
        return rc;
    rc = schema_diff(latest, item->text, &session->arena, &differences, &count, err);
    if (rc != OK)
        return err_prefix(err, "%.*s", STR_ARG(item->subject));
    session->bad += count > 0;
    for (int i = 0; i < count; i++) {
        struct cell cells[] = {
            cell_text(item->subject),
            cell_text(differences[i].place),
            cell_text(differences[i].left),
            cell_text(differences[i].right),
        };
        output_row(&session->output, cells);
    }
    return OK;
}

/* --- the command --- */

static void begin_output(struct session *session)
{
    static const char *const columns[] = {"subject", "action", "id", "version", "why"};
    static const char *const diff_columns[] = {"subject", "place", "registry", "ours"};
    bool diff = session->options->action == ACTION_DIFF;
    output_begin(&session->output, session->options->output, stdout, diff ? diff_columns : columns,
                 diff ? 4 : 5);
}

static int judge(const struct session *session)
{
    if (session->bad && session->options->action == ACTION_CHECK)
        fputs("`rimbalzo schema register` registers what is missing and compatible\n", stderr);
    if (!session->bad && session->options->action == ACTION_DIFF)
        fputs("the newest versions in the registry are these\n", stderr);
    return cli_finish(session->bad ? EXIT_CODE_NEGATIVE : EXIT_CODE_OK);
}

static enum rcode walk(struct session *session, struct err *err)
{
    typedef enum rcode step(struct session *, const struct item *, struct err *);
    static step *const steps[] = {check_item, register_item, diff_item};
    enum rcode rc = OK;
    begin_output(session);
    for (int i = 0; rc == OK && i < session->count; i++)
        rc = steps[session->options->action](session, &session->items[i], err);
    output_end(&session->output);
    return rc;
}

static int run(const struct options *options, const struct config *config)
{
    struct err err = {0};
    struct registry_options registry = schemas_registry(config);
    struct session session = {.options = options};
    int code = EXIT_CODE_NEGATIVE;
    enum rcode rc = OK;
    arena_init(&session.arena);
    if (!registry.url)
        rc =
            err_set(&err, E_CONFIG, "schemas.registry.url is not set: there is no registry to ask");
    if (rc == OK)
        rc = take_items(&session, &err);
    if (rc == OK)
        rc = registry_open(&registry, NULL, &session.registry, &err);
    if (rc == OK && (options->action != ACTION_REGISTER || confirmed(&session, registry.url))) {
        rc = walk(&session, &err);
        code = judge(&session);
    }
    registry_close(session.registry);
    arena_deinit(&session.arena);
    return rc == OK ? code : cli_fail(&err);
}

int cmd_schema(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"yes", KEY_YES, NULL, 0, "register without asking", 0},
        {"keep-level", KEY_KEEP_LEVEL, NULL, 0,
         "register: new subjects get no compatibility level of their own", 0},
        {0}};
    static const struct argp_child children[] = {
        {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
    static const struct argp argp = {
        argp_options,
        parse,
        "check|register|diff [FILE.avsc...]",
        "Schemas in the registry: are they there, put them there, where do they differ.\v"
        "Without files it is about the seven schemas that are compiled in. Each has its own "
        "subject, the record's full name: rimbalzo.BounceRecord. check exits with 1 unless all are "
        "registered, and says which of the others the registry would take; diff compares with the "
        "newest version and exits with 1 if there is a difference. register asks first, sends the "
        "files octet for octet, and sets the level FULL_TRANSITIVE on subjects that are new; "
        "worker and dispatcher never register anything. The registry is "
        "schemas.registry.url of the configuration.",
        children,
        NULL,
        NULL};
    struct options options = {.action = ACTION_NONE, .output = OUTPUT_TABLE};
    struct settings settings = {0};
    struct err err = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (settings_load(&options.settings, &settings, &err) != OK)
        return cli_fail(&err);
    settings_log(&settings);
    int code = run(&options, settings.config);
    settings_deinit(&settings);
    return code;
}
