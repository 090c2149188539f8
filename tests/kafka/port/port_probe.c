/*
 * port_probe BOOTSTRAP PREFIX SCENARIO: what stream/port.h promises, against a real broker.
 * test_port.py creates the topics (PREFIX and the default names, two partitions each) and runs
 * every scenario.
 */
#include "probe.h"

#include <string.h>

#include "scenarios.h"

static const struct {
    const char *name;
    void (*run)(void);
} scenarios[] = {
#define X(name) {#name, name},
    SCENARIOS(X)
#undef X
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 4) {
        bootstrap = argv[1];
        prefix = argv[2];
        for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
            if (strcmp(argv[3], scenarios[i].name) != 0)
                continue;
            scenarios[i].run();
            return 0;
        }
    }
    fputs("usage: port_probe BOOTSTRAP PREFIX SCENARIO\n", stderr);
    return 64;
}
