/* rimbalzo dispatcher: lets commands wait until they are due. */
#include "cli/cli.h"
#include "cli/service.h"

int cmd_dispatcher(int argc, char **argv)
{
    static const struct service_command command = {
        "Consumes the delayed topic and sends each retry command to the due topic when its time "
        "has come, unless it was cancelled.\v"
        "Runs until SIGTERM or SIGINT, then commits, closes its state and ends with 0.",
        {[ROLE_DISPATCHER] = 1}};
    return service_main(argc, argv, &command);
}
