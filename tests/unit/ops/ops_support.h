/* Helpers of the tests of ops: a directory of their own, files in it, configurations from them. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "ops/config.h"
#include "tmpdir.h"

static char support_dir[TMPDIR_PATH_MAX];

/* Group setup and teardown: the working directory is a new, empty one. */
static inline int enter_dir(void **state)
{
    (void)state;
    tmpdir_make(support_dir);
    return chdir(support_dir);
}

static inline int leave_dir(void **state)
{
    (void)state;
    int rc = chdir("/");
    tmpdir_remove(support_dir);
    return rc;
}

static inline void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* What a configuration is made of; NULL where there is none. */
struct layers {
    const char *file; /* the text of c.yaml */
    const char *environment[4];
    const char *sets[4];
};

static inline enum rcode load_layers(const struct layers *layers, struct config **ret_config,
                                     struct buf *faults, struct err *err)
{
    struct config_options options = {
        .sets = layers->sets, .environment = layers->environment, .faults = faults};
    while (options.set_count < 4 && layers->sets[options.set_count])
        options.set_count++;
    if (layers->file) {
        write_file("c.yaml", layers->file);
        options.file = "c.yaml";
    }
    return config_load(&options, ret_config, err);
}

static inline struct config *loaded(struct layers layers)
{
    struct config *config = NULL;
    struct err err;
    if (load_layers(&layers, &config, NULL, &err) != OK)
        fail_msg("%s", err.text);
    return config;
}

/* `faults`: all of them, a line each. */
static inline void assert_refused(struct layers layers, const char *faults)
{
    struct config *config = NULL;
    struct err err;
    struct buf all = {0};
    assert_int_equal(load_layers(&layers, &config, &all, &err), E_CONFIG);
    assert_null(config);
    buf_append(&all, "", 1);
    assert_string_equal(all.data, faults);
    assert_memory_equal(err.text, faults, strlen(err.text)); /* the first one */
    assert_int_equal(faults[strlen(err.text)], '\n');
    buf_deinit(&all);
}

#define refused_file(text, faults) assert_refused((struct layers){.file = (text)}, (faults))
#define refused_set(set, faults) assert_refused((struct layers){.sets = {(set)}}, (faults))
#define refused_variable(variable, faults)                                                         \
    assert_refused((struct layers){.environment = {(variable)}}, (faults))
