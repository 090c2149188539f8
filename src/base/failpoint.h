/*
 * Named crash points for tests: RIMBALZO_FAILPOINT=after-produce:3 kills the process (SIGKILL) when
 * it passes that point for the third time. Compiled in with -DRIMBALZO_FAILPOINTS=ON only.
 */
#pragma once

#define FAILPOINTS(X)                                                                              \
    X("after-begin")                                                                               \
    X("after-stage")                                                                               \
    X("after-produce")                                                                             \
    X("before-offsets")                                                                            \
    X("after-offsets")                                                                             \
    X("during-commit")                                                                             \
    X("after-kafka-commit")                                                                        \
    X("between-lmdb-commits")                                                                      \
    X("mid-restore")                                                                               \
    X("on-revoke")                                                                                 \
    X("reshard-begun")                                                                             \
    X("reshard-copied")                                                                            \
    X("reshard-proven")

#ifdef RIMBALZO_FAILPOINTS
/* Reads RIMBALZO_FAILPOINT; call once before threads start. False: unknown name or bad count. */
_Bool failpoint_init(void);
void failpoint(const char *name);
_Bool failpoint_armed(const char *name);
#else
static inline _Bool failpoint_init(void)
{
    return 1;
}
static inline void failpoint(const char *name)
{
    (void)name;
}
static inline _Bool failpoint_armed(const char *name)
{
    (void)name;
    return 0;
}
#endif
