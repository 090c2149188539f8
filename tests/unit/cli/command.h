/* Runs a subcommand in a process of its own, as argp exits on its own, and keeps what it wrote. */
#pragma once
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "tmpdir.h"

#define COMMAND_ARGS_MAX 12

struct command {
    int (*run)(int argc, char **argv);
    const char *args[COMMAND_ARGS_MAX]; /* after the name */
    struct str input;
    const char *variable; /* "NAME=value" */
};

struct result {
    int code;
    struct buf out, err; /* with a NUL, uncounted */
};

static char command_dir[TMPDIR_PATH_MAX];

static inline int enter_dir(void **state)
{
    (void)state;
    tmpdir_make(command_dir);
    return chdir(command_dir);
}

static inline int leave_dir(void **state)
{
    (void)state;
    int rc = chdir("/");
    tmpdir_remove(command_dir);
    return rc;
}

static inline void write_file(const char *name, struct str text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fwrite(text.data ? text.data : "", 1, text.len, file);
    assert_int_equal(fclose(file), 0);
}

static inline void read_file(const char *name, struct buf *out)
{
    FILE *file = fopen(name, "r");
    size_t len;
    assert_non_null(file);
    do {
        buf_reserve(out, 65536);
        len = fread(out->data + out->len, 1, 65535, file);
        out->len += len;
    } while (len);
    out->data[out->len] = '\0';
    fclose(file);
}

static inline void redirect(const char *name, int flags, int to)
{
    int fd = open(name, flags, 0600);
    if (fd < 0 || dup2(fd, to) < 0)
        _exit(125);
    close(fd);
}

static inline void run_child(const struct command *command)
{
    char name[] = "rimbalzo command", *argv[COMMAND_ARGS_MAX + 2] = {name};
    int argc = 1;
    for (; argc <= COMMAND_ARGS_MAX && command->args[argc - 1]; argc++)
        argv[argc] = mem_strdup(command->args[argc - 1]);
    redirect("stdin", O_RDONLY, 0);
    redirect("stdout", O_WRONLY | O_CREAT | O_TRUNC, 1);
    redirect("stderr", O_WRONLY | O_CREAT | O_TRUNC, 2);
    if (command->variable)
        putenv(mem_strdup(command->variable));
    int code = command->run(argc, argv);
    fflush(NULL);
    _exit(code);
}

static inline struct result run_command(struct command command)
{
    struct result result = {0};
    int status;
    write_file("stdin", command.input);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(&command);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    result.code = WEXITSTATUS(status);
    read_file("stdout", &result.out);
    read_file("stderr", &result.err);
    return result;
}

static inline void result_deinit(struct result *result)
{
    buf_deinit(&result->out);
    buf_deinit(&result->err);
}

/* Runs it and compares everything. */
static inline void assert_command(struct command command, int code, const char *out,
                                  const char *err)
{
    struct result result = run_command(command);
    assert_string_equal(result.err.data, err);
    assert_string_equal(result.out.data, out);
    assert_int_equal(result.code, code);
    result_deinit(&result);
}

/* A usage error whose message begins with `message`. */
static inline void assert_usage(struct command command, const char *message)
{
    struct result result = run_command(command);
    char expected[512];
    snprintf(expected, sizeof(expected), "rimbalzo command: %s\n", message);
    if (strncmp(result.err.data, expected, strlen(expected)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", result.err.data, expected);
    assert_int_equal(result.out.len, 0);
    assert_int_equal(result.code, EXIT_CODE_USAGE);
    result_deinit(&result);
}
