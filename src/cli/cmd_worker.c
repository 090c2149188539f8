/* rimbalzo worker: consumes the input topic. */
#include "cli/cli.h"
#include "cli/service.h"

int cmd_worker(int argc, char **argv)
{
    static const struct service_command command = {
        "Consumes the input topic and decides: state, retry commands, suppressions, notices.\v"
        "Runs until SIGTERM or SIGINT, then commits, closes its state and ends with 0.",
        {[ROLE_WORKER] = 1}};
    return service_main(argc, argv, &command);
}
