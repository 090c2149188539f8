/* rimbalzo version */
#include "cli/cli.h"
#include "kafka/property.h"

int cmd_version(int argc, char **argv)
{
    static const struct argp argp = {0, 0, NULL, "Prints the version, and that of librdkafka.",
                                     0, 0, 0};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    printf("rimbalzo %s (librdkafka %s)\n", RIMBALZO_VERSION, kafka_version());
    return cli_finish(EXIT_CODE_OK);
}
