#include "registry/transport.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "registry/answer.h"

#define RETRY_MS 100 /* before the second attempt; doubled each time */
#define RETRY_MS_MAX 2000
#define SECRET_MAX 4096
#define URL_MAX 4096
#define SHOWN_MAX 300 /* octets of a registry's message */

const char *const registry_outcome_names[REGISTRY_OUTCOME_COUNT] = {
#define X(constant, string) [constant] = string,
    REGISTRY_OUTCOMES(X)
#undef X
};

struct transport {
    struct registry_options options;
    struct registry_stats *stats;
    CURL *curl;
    struct curl_slist *headers;
    char detail[CURL_ERROR_SIZE];
};

/* --- secrets --- */

/* A secret's file, without its last line break. Read each time, so that it can be changed. */
static enum rcode read_secret(const char *path, char secret[SECRET_MAX], struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, secret, SECRET_MAX - 1);
    enum rcode rc = OK;
    if (len < 0) {
        rc = err_errno(err, E_CONFIG, path);
        len = 0;
    }
    if (fd >= 0)
        close(fd);
    if (len && secret[len - 1] == '\n')
        len--;
    if (len && secret[len - 1] == '\r')
        len--;
    secret[len] = '\0';
    return rc;
}

static void forget(char secret[SECRET_MAX])
{
    explicit_bzero(secret, SECRET_MAX);
}

/* curl keeps a copy of what it is given. */
static enum rcode set_secret(struct transport *transport, CURLoption option, const char *path,
                             struct err *err)
{
    char secret[SECRET_MAX];
    if (!path)
        return OK;
    enum rcode rc = read_secret(path, secret, err);
    if (rc == OK)
        curl_easy_setopt(transport->curl, option, secret);
    forget(secret);
    return rc;
}

static enum rcode check_file(const char *path, struct err *err)
{
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (path && fd < 0)
        return err_errno(err, E_CONFIG, path);
    if (fd >= 0)
        close(fd);
    return OK;
}

/* --- life --- */

static size_t take(char *data, size_t size, size_t count, void *context)
{
    struct buf *answer = context;
    if (answer->len + size * count > ANSWER_SIZE_MAX)
        return 0; /* ends the transfer: CURLE_WRITE_ERROR */
    buf_append(answer, data, size * count);
    return size * count;
}

static void configure(struct transport *transport)
{
    const struct registry_options *options = &transport->options;
    CURL *curl = transport->curl;
    transport->headers =
        curl_slist_append(NULL, "Accept: application/vnd.schemaregistry.v1+json, application/json");
    transport->headers = curl_slist_append(transport->headers,
                                           "Content-Type: application/vnd.schemaregistry.v1+json");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, transport->headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "rimbalzo/" RIMBALZO_VERSION);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)options->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transport->detail);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    if (options->user) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, options->user);
    }
    if (options->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file);
    if (options->cert_file)
        curl_easy_setopt(curl, CURLOPT_SSLCERT, options->cert_file);
    if (options->key_file)
        curl_easy_setopt(curl, CURLOPT_SSLKEY, options->key_file);
}

enum rcode transport_open(const struct registry_options *options, struct registry_stats *stats,
                          struct transport **ret_transport, struct err *err)
{
    struct transport *transport = mem_zalloc(sizeof(*transport));
    transport->options = *options;
    transport->stats = stats;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    transport->curl = curl_easy_init();
    enum rcode rc = transport->curl ? OK : err_set(err, E_MEMORY, "libcurl cannot begin");
    if (rc == OK) {
        configure(transport);
        rc = set_secret(transport, CURLOPT_PASSWORD, options->password_file, err);
    }
    if (rc == OK)
        rc = set_secret(transport, CURLOPT_KEYPASSWD, options->key_password_file, err);
    /* curl would name neither the file nor what is wrong with it. */
    if (rc == OK)
        rc = check_file(options->ca_file, err);
    if (rc == OK)
        rc = check_file(options->cert_file, err);
    if (rc == OK)
        rc = check_file(options->key_file, err);
    if (rc != OK) {
        transport_close(transport);
        return rc;
    }
    *ret_transport = transport;
    return OK;
}

void transport_close(struct transport *transport)
{
    if (!transport)
        return;
    curl_easy_cleanup(transport->curl);
    curl_slist_free_all(transport->headers);
    curl_global_cleanup();
    mem_free(transport);
}

void transport_escape(struct buf *path, struct str part)
{
    for (size_t i = 0; i < part.len; i++) {
        char c = part.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr("-._~", c));
        if (plain)
            buf_append(path, &c, 1);
        else
            buf_printf(path, "%%%02X", (unsigned char)c);
    }
}

/* --- one attempt --- */

static void count(struct transport *transport, enum registry_outcome outcome)
{
    if (transport->stats)
        atomic_fetch_add(&transport->stats->requests[outcome], 1);
}

void transport_disbelieve(struct transport *transport)
{
    if (!transport->stats)
        return;
    atomic_fetch_sub(&transport->stats->requests[REGISTRY_OK], 1);
    atomic_fetch_add(&transport->stats->requests[REGISTRY_INVALID], 1);
}

/* What the status of an answer other than 2xx means. */
static enum rcode judge(long status, struct str body, const char *what, const char *url,
                        enum registry_outcome *ret_outcome, struct err *err)
{
    struct arena arena;
    struct str message;
    arena_init(&arena);
    int code = answer_error(body, &arena, &message);
    int shown = message.len < SHOWN_MAX ? (int)message.len : SHOWN_MAX;
    const char *text = message.data ? message.data : "no reason given";
    shown = message.data ? shown : (int)strlen(text);
    enum rcode rc;
    if (status == 404 && code > 40400 && code < 40500) {
        *ret_outcome = REGISTRY_NOT_FOUND;
        rc = err_set(err, E_UNKNOWN_SCHEMA, "%s: the registry at %s has none: %.*s", what, url,
                     shown, text);
    } else if (status == 401 || status == 403) {
        *ret_outcome = REGISTRY_REFUSED;
        rc = err_set(err, E_AUTH,
                     "%s: the registry at %s answers %ld: see schemas.registry.user, "
                     "password_file and cert_file",
                     what, url, status);
    } else if (status >= 300 && status < 400) {
        *ret_outcome = REGISTRY_INVALID;
        rc = err_set(err, E_REGISTRY_UNAVAILABLE,
                     "%s: %s redirects (%ld), and redirects are not followed: set "
                     "schemas.registry.url to where the registry is",
                     what, url, status);
    } else if (status == 409 || status == 422) {
        *ret_outcome = REGISTRY_REFUSED;
        rc = err_set(err, E_SCHEMA, "%s: the registry at %s refuses it (%d): %.*s", what, url,
                     code ? code : (int)status, shown, text);
    } else if (status >= 500 || status == 429 || status == 408) {
        *ret_outcome = REGISTRY_UNAVAILABLE;
        rc = err_set(err, E_REGISTRY_UNAVAILABLE, "%s: the registry at %s answers %ld: %.*s", what,
                     url, status, shown, text);
    } else {
        *ret_outcome = status == 404 ? REGISTRY_INVALID : REGISTRY_REFUSED;
        rc = err_set(err, E_REGISTRY_UNAVAILABLE,
                     "%s: %s answers %ld as no registry does: is schemas.registry.url right, with "
                     "its path?",
                     what, url, status);
    }
    arena_deinit(&arena);
    return rc;
}

static enum rcode attempt(struct transport *transport, const char *what, int64_t timeout_ms,
                          struct buf *answer, bool *ret_again, struct err *err)
{
    const char *url = transport->options.url;
    enum registry_outcome outcome = REGISTRY_OK;
    enum rcode rc = set_secret(transport, CURLOPT_PASSWORD, transport->options.password_file, err);
    long status = 0;
    *ret_again = false;
    if (rc != OK)
        return rc;
    buf_clear(answer);
    transport->detail[0] = '\0';
    curl_easy_setopt(transport->curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(transport->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    CURLcode done = curl_easy_perform(transport->curl);
    curl_easy_getinfo(transport->curl, CURLINFO_RESPONSE_CODE, &status);
    if (done == CURLE_WRITE_ERROR) {
        outcome = REGISTRY_INVALID;
        rc = err_set(err, E_REGISTRY_UNAVAILABLE, "%s: %s answers with more than %zu octets", what,
                     url, ANSWER_SIZE_MAX);
    } else if (done != CURLE_OK) {
        outcome = REGISTRY_UNAVAILABLE;
        *ret_again = done != CURLE_PEER_FAILED_VERIFICATION && done != CURLE_SSL_CERTPROBLEM &&
                     done != CURLE_SSL_CACERT_BADFILE;
        rc = err_set(err, E_REGISTRY_UNAVAILABLE, "%s: no answer from the registry at %s: %s", what,
                     url, transport->detail[0] ? transport->detail : curl_easy_strerror(done));
    } else if (status < 200 || status > 299) {
        rc = judge(status, buf_view(answer), what, url, &outcome, err);
        *ret_again = outcome == REGISTRY_UNAVAILABLE;
    }
    count(transport, outcome);
    return rc;
}

enum rcode transport_call(struct transport *transport, const char *method, struct str path,
                          struct str body, const char *what, struct buf *answer, struct err *err)
{
    char url[URL_MAX];
    const char *base = transport->options.url;
    int len = (int)strlen(base);
    while (len && base[len - 1] == '/')
        len--;
    if ((size_t)snprintf(url, sizeof(url), "%.*s%.*s", len, base, STR_ARG(path)) >= sizeof(url))
        return err_set(err, E_CONFIG, "%s: an address of more than %d octets", what, URL_MAX - 1);
    CURL *curl = transport->curl;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    if (body.data) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body.len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data);
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    int64_t timeout = transport->options.timeout_ms, wait = RETRY_MS;
    int64_t deadline = clock_monotonic_ms() + timeout;
    for (;;) {
        bool again;
        int64_t left = deadline - clock_monotonic_ms();
        enum rcode rc = attempt(transport, what, left > 1 ? left : 1, answer, &again, err);
        /* One with hardly any time left would fail for that, and hide what is really wrong. */
        if (rc == OK || !again || clock_monotonic_ms() + wait + timeout / 4 >= deadline)
            return rc;
        poll(NULL, 0, (int)wait);
        wait = 2 * wait < RETRY_MS_MAX ? 2 * wait : RETRY_MS_MAX;
    }
}
