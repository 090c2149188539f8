/* rimbalzo replay diff: what another policy, or other rules, would have made of the same input. */
#include "cli/replay_command.h"
#include "cli/replay_show.h"

int replay_diff(const struct replay_command *command)
{
    struct err err = {0};
    struct replay_job job = {0};
    struct replay_show show;
    struct replay_job_options options = {.live = &command->live,
                                         .wanted = &command->wanted,
                                         .threads = command->threads,
                                         .dir = command->dir,
                                         .context = &show,
                                         .differs = replay_show_difference};
    int number = 0;
    int64_t differences = 0;
    enum rcode rc = replay_job_open(&job, &options, &err);
    replay_show_begin(&show, command->output, command->examples);
    if (rc == OK)
        rc = replay_job_run(&job, &number, &err);
    if (rc == OK && !number)
        differences = replay_show_end(&show, &job);
    int code = number        ? EXIT_CODE_SIGNAL + number
               : rc != OK    ? cli_fail(&err)
               : differences ? EXIT_CODE_NEGATIVE
                             : EXIT_CODE_OK;
    replay_job_close(&job);
    return cli_finish(code);
}
