/* What can be told without a broker: state_dir, clock and limits of this machine. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/log_address.h"
#include "cli/doctor.h"
#include "cli/log_key.h"
#include "cli/schemas.h"
#include "codec/record.h"

#define MIB (1024.0 * 1024)
#define FILES_OF_A_THREAD 64     /* connections to brokers, pipes, mappings */
#define FILES_OF_A_PARTITION 4   /* of a store */
#define FILES_OF_THE_PROCESS 128 /* HTTP, logs, libraries */
#define PARTITIONS_UNKNOWN 12    /* taken for the number when no broker tells it */

/* --- schemas, keys --- */

/* Schemas compiled in and those of schemas.dir. */
static void check_schemas(struct doctor *doctor)
{
    const char *folder = doctor->settings->config->schemas.dir;
    struct codec_options options = {.schemas_dir = folder};
    struct codec *codec;
    struct err err = {0};
    if (codec_new(&options, &codec, &err) == OK) {
        codec_free(codec);
        doctor_report(doctor, "schemas", DOCTOR_OK, folder, NULL, "the schemas can be read");
    } else {
        doctor_report(doctor, "schemas", DOCTOR_FAIL, folder, "mend or remove that file", "%s",
                      err.text);
    }
}

/* That the registry answers, and has the schemas of what is written. Reading needs none. */
static void check_registry(struct doctor *doctor)
{
    const struct config *config = doctor->settings->config;
    const char *url = config->schemas.registry.url;
    bool writes = config->schemas.registry.write && doctor->roles[ROLE_WORKER];
    struct schemas_finding findings[RECORD_KIND_COUNT];
    struct err err = {0};
    int missing = 0;
    if (!url)
        return;
    enum rcode rc = schemas_probe(config, SCHEMAS_ALL, findings, &err);
    if (rc != OK) {
        doctor_report(doctor, "registry", DOCTOR_FAIL, url,
                      "see to the registry and to schemas.registry.*", "%s", err.text);
        return;
    }
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        if (findings[kind].rc == OK)
            continue;
        missing++;
        doctor_report(doctor, "registry",
                      writes && SCHEMAS_OF_OUTPUT & 1u << kind ? DOCTOR_FAIL : DOCTOR_WARN,
                      record_kind_names[kind], "rimbalzo schema register",
                      "the schema is not registered as it is: %.900s", findings[kind].why.text);
    }
    if (!missing)
        doctor_report(doctor, "registry", DOCTOR_OK, url, NULL,
                      "it answers, and has all our schemas");
}

static void check_log_key(struct doctor *doctor)
{
    struct buf key;
    struct err err = {0};
    if (doctor->settings->config->log.addresses)
        return;
    buf_init(&key);
    enum rcode rc = log_key_read(doctor->settings->config, &key, &err);
    if (rc == OK)
        doctor_report(doctor, "log.key", DOCTOR_OK, NULL, NULL,
                      "the key that hides addresses in log lines can be read");
    else if (rc == E_CONFIG)
        doctor_report(
            doctor, "log.key", DOCTOR_FAIL, NULL,
            "write 40 random hexadecimal digits into it and let the service's user read it", "%s",
            err.text);
    else
        doctor_report(doctor, "log.key", DOCTOR_OK, NULL, NULL,
                      "none yet; the first service that starts here makes one (%s)", err.text);
    buf_deinit(&key);
}

/* --- limits --- */

static int threads_of(const struct doctor *doctor)
{
    const struct config *config = doctor->settings->config;
    return (doctor->roles[ROLE_WORKER] ? config->worker.threads : 0) +
           (doctor->roles[ROLE_DISPATCHER] ? config->dispatcher.threads : 0);
}

/* Stores that one process may have to hold: those of all partitions, while it is alone. */
static int stores_of(const struct doctor *doctor)
{
    int count = 0;
    for (int role = 0; role < ROLES_CONFIGURED; role++) {
        int partitions = doctor->partitions[role_inputs[role]];
        if (doctor->roles[role])
            count += partitions ? partitions : PARTITIONS_UNKNOWN;
    }
    return count;
}

static void check_limits(struct doctor *doctor)
{
    struct rlimit files, memory, size;
    long needed = FILES_OF_THE_PROCESS + threads_of(doctor) * FILES_OF_A_THREAD +
                  stores_of(doctor) * FILES_OF_A_PARTITION;
    getrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_AS, &memory);
    getrlimit(RLIMIT_FSIZE, &size);
    if (files.rlim_cur != RLIM_INFINITY && (long)files.rlim_cur < needed)
        doctor_report(doctor, "limits.files", DOCTOR_WARN, NULL,
                      "raise it: LimitNOFILE= of the unit, or ulimit -n",
                      "%ld open files are allowed, %ld may be needed", (long)files.rlim_cur,
                      needed);
    else
        doctor_report(doctor, "limits.files", DOCTOR_OK, NULL, NULL,
                      "%ld open files are allowed, %ld may be needed", (long)files.rlim_cur,
                      needed);
    if (memory.rlim_cur != RLIM_INFINITY || size.rlim_cur != RLIM_INFINITY)
        doctor_report(
            doctor, "limits.memory", DOCTOR_WARN, NULL,
            "lift it (LimitAS=, LimitFSIZE=, ulimit -v, ulimit -f); limit resident memory "
            "instead",
            "address space or file size is limited, and state is files that are mapped");
    else
        doctor_report(doctor, "limits.memory", DOCTOR_OK, NULL, NULL,
                      "neither address space nor file size is limited");
}

/* The kernel knows whether anything keeps the clock right. */
static void check_synchronised(struct doctor *doctor)
{
    struct timex now = {0};
    int state = adjtimex(&now);
    if (state < 0)
        doctor_report(doctor, "clock.synchronised", DOCTOR_UNKNOWN, NULL, NULL,
                      "the kernel does not tell: %s", strerror(errno));
    else if (state == TIME_ERROR || now.status & STA_UNSYNC)
        doctor_report(doctor, "clock.synchronised", DOCTOR_WARN, NULL,
                      "run chronyd or systemd-timesyncd on the host",
                      "nothing keeps this machine's clock right; the dispatcher goes by it");
    else
        doctor_report(doctor, "clock.synchronised", DOCTOR_OK, NULL, NULL,
                      "this machine's clock is kept right, within %.1f ms",
                      (double)now.maxerror / 1000);
}

void doctor_check_local(struct doctor *doctor)
{
    check_schemas(doctor);
    check_registry(doctor);
    check_log_key(doctor);
    check_synchronised(doctor);
}

/* --- state_dir --- */

/* A file is made and removed: access(2) does not know of file systems mounted read-only. */
static bool check_writable(struct doctor *doctor, const char *path)
{
    static const char remedy[] =
        "make it and give it to the user of the service: install -d -m 0700 -o USER DIR";
    struct buf name;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        bool absent = errno == ENOENT;
        doctor_report(doctor, "state_dir", absent ? DOCTOR_WARN : DOCTOR_FAIL, path, remedy,
                      absent ? "does not exist; the service makes it if it may: %s"
                             : "cannot be opened: %s",
                      strerror(errno));
        return false;
    }
    close(fd);
    buf_init(&name);
    buf_printf(&name, "%s/.doctor-%ld%c", path, (long)getpid(), 0);
    fd = open(name.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        doctor_report(doctor, "state_dir", DOCTOR_FAIL, path, remedy,
                      "no file can be made in it: %s", strerror(errno));
    } else {
        close(fd);
        unlink(name.data);
        doctor_report(doctor, "state_dir", DOCTOR_OK, path, NULL, "exists and can be written to");
    }
    buf_deinit(&name);
    return true;
}

static void check_filesystem(struct doctor *doctor, const char *path)
{
    static const struct {
        unsigned long magic;
        const char *name;
        enum doctor_result result;
        const char *why;
    } kinds[] = {
        {0x6969, "NFS", DOCTOR_FAIL, "over a network, maps and locks of files are not reliable"},
        {0xff534d42, "CIFS", DOCTOR_FAIL,
         "over a network, maps and locks of files are not reliable"},
        {0xfe534d42, "SMB2", DOCTOR_FAIL,
         "over a network, maps and locks of files are not reliable"},
        {0x00c36400, "CephFS", DOCTOR_FAIL,
         "over a network, maps and locks of files are not reliable"},
        {0x01021997, "9p", DOCTOR_FAIL, "over a network, maps and locks of files are not reliable"},
        {0x65735546, "FUSE", DOCTOR_WARN, "what is behind it may not map files reliably"},
        {0x01021994, "tmpfs", DOCTOR_WARN, "it is memory: state is rebuilt after each reboot"},
        {0x794c7630, "overlayfs", DOCTOR_WARN,
         "it is the container's own layer: state is rebuilt when that is gone"},
    };
    struct statfs found;
    if (statfs(path, &found)) {
        doctor_report(doctor, "state_dir.filesystem", DOCTOR_UNKNOWN, path, NULL, "%s",
                      strerror(errno));
        return;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (((unsigned long)found.f_type & 0xffffffff) == kinds[i].magic) {
            doctor_report(doctor, "state_dir.filesystem", kinds[i].result, path,
                          "put it on a local disk (ext4, xfs)", "lies on %s: %s", kinds[i].name,
                          kinds[i].why);
            return;
        }
    doctor_report(doctor, "state_dir.filesystem", DOCTOR_OK, path, NULL,
                  "lies on a local file system (type 0x%lx)", (unsigned long)found.f_type);
}

static void check_space(struct doctor *doctor, const char *path)
{
    struct statvfs found;
    double store = (double)doctor->settings->config->store.map_size_initial;
    double wanted = store * stores_of(doctor);
    if (statvfs(path, &found) || !found.f_blocks) {
        doctor_report(doctor, "state_dir.space", DOCTOR_UNKNOWN, path, NULL,
                      "its file system does not tell");
        return;
    }
    double room = (double)found.f_bavail * (double)found.f_frsize;
    enum doctor_result result = room < store    ? DOCTOR_FAIL
                                : room < wanted ? DOCTOR_WARN
                                                : DOCTOR_OK;
    doctor_report(doctor, "state_dir.space", result, path,
                  result == DOCTOR_OK ? NULL
                                      : "make room; state that is lost for want of it is rebuilt",
                  "%.0f MiB are free; new state of %d partitions begins with %.0f MiB", room / MIB,
                  stores_of(doctor), wanted / MIB);
}

/* --- stores --- */

struct stores {
    int ours, locked, foreign;
    char example[256]; /* a foreign one */
};

/* `<topic>-<partition>`, of an input that is configured. */
static bool is_ours(const struct doctor *doctor, const char *name)
{
    const char *dash = strrchr(name, '-');
    char *end;
    if (!dash || !dash[1])
        return false;
    long partition = strtol(dash + 1, &end, 10);
    for (int role = 0; role < ROLES_CONFIGURED; role++) {
        enum topic input = role_inputs[role];
        const char *topic = doctor->deployment.topics[input];
        int partitions = doctor->partitions[input];
        if (strlen(topic) == (size_t)(dash - name) && strncmp(topic, name, strlen(topic)) == 0 &&
            !*end)
            return !partitions || partition < partitions;
    }
    return false;
}

static bool is_locked(int folder, const char *name)
{
    struct buf path;
    buf_init(&path);
    buf_printf(&path, "%s/lock%c", name, 0);
    int fd = openat(folder, path.data, O_RDONLY | O_CLOEXEC);
    bool locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
    if (fd >= 0)
        close(fd);
    buf_deinit(&path);
    return locked;
}

static void count_stores(const struct doctor *doctor, DIR *folder, struct stores *ret_stores)
{
    struct stores stores = {0};
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        if (is_ours(doctor, entry->d_name)) {
            stores.ours++;
            stores.locked += is_locked(dirfd(folder), entry->d_name);
        } else {
            stores.foreign++;
            snprintf(stores.example, sizeof(stores.example), "%s", entry->d_name);
        }
    }
    *ret_stores = stores;
}

static void check_stores(struct doctor *doctor)
{
    struct buf path;
    struct stores stores;
    buf_init(&path);
    buf_printf(&path, "%s/%s%c", doctor->settings->config->state_dir, doctor->settings->config->app,
               0);
    DIR *folder = opendir(path.data);
    if (!folder) {
        bool absent = errno == ENOENT;
        doctor_report(doctor, "state_dir.stores", absent ? DOCTOR_OK : DOCTOR_FAIL, path.data,
                      absent ? NULL : "run it as the user of the service",
                      absent ? "no state yet (%s)" : "cannot be read: %s", strerror(errno));
        buf_deinit(&path);
        return;
    }
    count_stores(doctor, folder, &stores);
    closedir(folder);
    doctor_report(doctor, "state_dir.stores", stores.foreign ? DOCTOR_WARN : DOCTOR_OK, path.data,
                  stores.foreign ? "remove what no deployment uses any more; running services are "
                                   "not affected"
                                 : NULL,
                  "state of %d partitions, %d of them in use by a process%s%s", stores.ours,
                  stores.locked, stores.foreign ? "; of no configured topic or partition: " : "",
                  stores.example);
    buf_deinit(&path);
}

void doctor_check_state(struct doctor *doctor)
{
    const char *path = doctor->settings->config->state_dir;
    check_limits(doctor);
    if (check_writable(doctor, path)) {
        check_filesystem(doctor, path);
        check_space(doctor, path);
        check_stores(doctor);
    }
}
