/* rimbalzo run: worker and dispatcher in one process. */
#include "cli/cli.h"
#include "cli/service.h"

int cmd_run(int argc, char **argv)
{
    static const struct service_command command = {
        "Worker and dispatcher in one process, with worker.threads and dispatcher.threads "
        "threads.\v"
        "Runs until SIGTERM or SIGINT, then commits, closes its state and ends with 0. When one "
        "role cannot go on, both end.",
        {[ROLE_WORKER] = 1, [ROLE_DISPATCHER] = 1}};
    return service_main(argc, argv, &command);
}
