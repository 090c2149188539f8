/* rimbalzo doctor: is everything as worker and dispatcher need it? */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"

struct options {
    struct settings_options settings;
    enum output_format output;
    bool roles[ROLES_CONFIGURED];
    bool role_given;
};

static const char *const columns[] = {"check", "result", "about", "finding", "remedy"};
static const char *const result_names[DOCTOR_RESULT_COUNT] = {
#define X(constant, string) [constant] = string,
    DOCTOR_RESULTS(X)
#undef X
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->settings;
        state->child_inputs[1] = &options->output;
        return 0;
    case ARGP_KEY_ARG: {
        int role = 0;
        while (role < ROLES_CONFIGURED && strcmp(arg, role_names[role]) != 0)
            role++;
        if (role == ROLES_CONFIGURED)
            argp_error(state, "\"%s\" is neither worker nor dispatcher", arg);
        else
            options->roles[role] = options->role_given = true;
        return 0;
    }
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* For people: a line as soon as it is known, and below it what to do. */
static void tell(const char *check, const char *result, const char *about, const char *finding,
                 const char *remedy)
{
    printf("%-8s%-21s %s%s%s\n", result, check, about ? about : "", about ? ": " : "", finding);
    if (remedy)
        printf("%30s-> %s\n", "", remedy);
    fflush(stdout);
}

void doctor_report(struct doctor *doctor, const char *check, enum doctor_result result,
                   const char *about, const char *remedy, const char *format, ...)
{
    char finding[ERR_TEXT_MAX + 256];
    va_list args;
    va_start(args, format);
    vsnprintf(finding, sizeof(finding), format, args);
    va_end(args);
    doctor->counts[result]++;
    if (doctor->output.format == OUTPUT_TABLE) {
        tell(check, result_names[result], about, finding, remedy);
        return;
    }
    struct cell cells[] = {
        cell_text(str_of(check)),
        cell_text(str_of(result_names[result])),
        cell_text(about ? str_of(about) : STR_NULL),
        cell_text(str_of(finding)),
        cell_text(remedy ? str_of(remedy) : STR_NULL),
    };
    output_row(&doctor->output, cells);
}

/* What it found, in one line of stderr, and the exit code. */
static int judge(const struct doctor *doctor, enum rcode reached)
{
    const int *counts = doctor->counts;
    fprintf(stderr, "rimbalzo: %d ok, %d to be warned of, %d wrong, %d not known%s\n",
            counts[DOCTOR_OK], counts[DOCTOR_WARN], counts[DOCTOR_FAIL], counts[DOCTOR_UNKNOWN],
            reached == OK ? "" : "; what only the brokers know was not looked at");
    if (reached != OK)
        return cli_exit_code(reached);
    return counts[DOCTOR_FAIL] ? EXIT_CODE_NEGATIVE : EXIT_CODE_OK;
}

static int examine(struct doctor *doctor)
{
    struct err err = {0};
    if (deployment_init(&doctor->deployment, doctor->settings->config, &err) != OK ||
        kafka_checkup_open(doctor->deployment.properties, &doctor->checkup, &err) != OK) {
        doctor_report(doctor, "config", DOCTOR_FAIL, NULL, "`rimbalzo config check` tells more",
                      "%s", err.text);
        return EXIT_CODE_CONFIG;
    }
    doctor_report(doctor, "config", DOCTOR_OK, NULL, NULL, "the configuration is valid");
    doctor_check_local(doctor);
    enum rcode reached = doctor_check_broker(doctor);
    if (reached == OK) {
        doctor_check_topics(doctor);
        doctor_check_groups(doctor);
        doctor_check_clock(doctor);
    }
    doctor_check_state(doctor);
    kafka_checkup_close(doctor->checkup);
    return judge(doctor, reached);
}

int cmd_doctor(int argc, char **argv)
{
    static const struct argp_child children[] = {
        {&settings_argp, 0, "Configuration:", 1}, {&output_argp, 0, "", 2}, {0}};
    static const struct argp argp = {
        NULL,
        parse,
        "[worker] [dispatcher]",
        "Looks whether everything is as worker and dispatcher need it.\v"
        "Checks configuration, state_dir, clock and limits of this machine, then brokers, topics, "
        "rights of the user, transactions and groups. Nothing is changed and no record is written; "
        "a transactional id of its own (GROUP-doctor) is taken and given up. Run it where the role "
        "runs, as its user; name the role if it has a user of its own. Exits with 1 when a check "
        "fails, with 69 when no broker answers and 77 when they refuse the user (what needs none "
        "is checked all the same), and with 78 when the configuration is at fault.",
        children,
        NULL,
        NULL};
    struct options options = {.output = OUTPUT_TABLE};
    struct settings settings = {0};
    struct doctor doctor = {.settings = &settings};
    struct err err = {0};
    int code = EXIT_CODE_CONFIG;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    for (int role = 0; role < ROLES_CONFIGURED; role++)
        doctor.roles[role] = options.roles[role] || !options.role_given;
    log_configure(LOG_ERROR, LOG_LOGFMT); /* what librdkafka has to say is among the findings */
    doctor.output.format = options.output;
    if (options.output != OUTPUT_TABLE)
        output_begin(&doctor.output, options.output, stdout, columns,
                     sizeof(columns) / sizeof(columns[0]));
    if (settings_load(&options.settings, &settings, &err) == OK)
        code = examine(&doctor);
    else
        doctor_report(&doctor, "config", DOCTOR_FAIL, NULL, "`rimbalzo config check` tells more",
                      "%s", err.text);
    if (options.output != OUTPUT_TABLE)
        output_end(&doctor.output);
    deployment_deinit(&doctor.deployment);
    settings_deinit(&settings);
    return cli_finish(code);
}
