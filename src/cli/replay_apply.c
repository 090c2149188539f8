#include "cli/replay_command.h"
int replay_apply(const struct replay_command *command)
{
    (void)command;
    return EXIT_CODE_BUG;
}
