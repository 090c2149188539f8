#include "ingest/reply.h"

#include <stdio.h>
#include <string.h>

#define LOOK_MAX 16384      /* octets of a text that are looked at */
#define STAGE_LOOK_MAX 4096 /* likewise, for words that tell the stage */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    char lower = ascii_lower(c);
    return is_digit(c) || (lower >= 'a' && lower <= 'z') || (c & 0x80);
}

/* --- codes --- */

/* Words and marks after which a three-digit number is a reply code. */
static const char *const introductions[] = {
    "said:",      "said",     "<<<",          "<--",          "returned", "reason:", "reason",
    "response:",  "replied:", "error_code :", "responsecode", "->",       "after",   "was:",
    "following:", "with",     "code",         "code:",        "server:",  "out:",
};

/* `text` ends where the number begins. Blanks, quotes and brackets do not count. */
static bool introduced(struct str text)
{
    while (text.len && strchr(" \t\r\n'\"([<#", text.data[text.len - 1]) && text.data[text.len - 1])
        text.len--;
    if (text.len == 0 || strchr(":;>]", text.data[text.len - 1]))
        return true;
    for (size_t i = 0; i < sizeof(introductions) / sizeof(introductions[0]); i++) {
        size_t len = strlen(introductions[i]);
        if (text.len >= len &&
            strncasecmp(text.data + text.len - len, introductions[i], len) == 0 &&
            (text.len == len || !is_alnum(text.data[text.len - len - 1]) ||
             !is_alnum(introductions[i][0])))
            return true;
    }
    return false;
}

static bool starts_line(struct str text, size_t at)
{
    while (at && (text.data[at - 1] == ' ' || text.data[at - 1] == '\t'))
        at--;
    return at == 0 || text.data[at - 1] == '\n' || text.data[at - 1] == '\r';
}

/* The enhanced code right behind a reply code that ends at `at`: "550 5.1.1", "550-5.1.1",
 * "550-'5.1.1", "550: 5.1.1", "550, ERROR_CODE :5.1.1", "550 #5.1.0". */
static struct status_code status_behind(struct str text, size_t at)
{
    static const char between[] = "-: ,'\"#(\t\r\n";
    struct status_code code = {0};
    size_t end = at;
    while (end < text.len && end - at < 24 && text.data[end] && strchr(between, text.data[end]))
        end++;
    struct str rest = {text.data + end, text.len - end};
    if (ingest_starts_caseless(rest, "error_code :"))
        rest.data += 12, rest.len -= 12;
    size_t len = 0;
    while (len < rest.len && (is_digit(rest.data[len]) || rest.data[len] == '.'))
        len++;
    while (len && rest.data[len - 1] == '.')
        len--;
    if (len < 5 || (len < rest.len && is_alnum(rest.data[len])) ||
        !status_parse((struct str){rest.data, len}, &code))
        code.cls = 0;
    return code;
}

/* A reply code at `at`: 4xx or 5xx as a word of its own. `ret_score`: how sure that is, 0 to 3. */
static struct reply candidate_at(struct str text, size_t at, int *ret_score)
{
    struct reply reply = {0};
    char first = text.data[at];
    *ret_score = 0;
    if ((first != '4' && first != '5') || text.len - at < 3 || !is_digit(text.data[at + 1]) ||
        !is_digit(text.data[at + 2]))
        return reply;
    if (at && (is_alnum(text.data[at - 1]) || strchr("._=@/", text.data[at - 1])))
        return reply;
    char next = at + 3 < text.len ? text.data[at + 3] : ' ';
    if (is_alnum(next) || strchr("._@/%", next))
        return reply;
    reply.code = (first - '0') * 100 + (text.data[at + 1] - '0') * 10 + (text.data[at + 2] - '0');
    reply.at = at;
    reply.status = status_behind(text, at + 3);
    bool said = introduced((struct str){text.data, at});
    if (reply.status.cls == first - '0')
        *ret_score = 3;
    else if (said || starts_line(text, at))
        *ret_score = text.data[at + 1] <= '5' ? 2 : 1;
    else if (next == '-' && at + 4 < text.len && !is_digit(text.data[at + 4]))
        *ret_score = 1; /* the first line of several */
    reply.introduced = said;
    return reply;
}

static bool is_expired(const struct status_code *code)
{
    return code->subject == 4 && code->detail == 7;
}

static bool says_nothing(const struct status_code *code)
{
    return code->cls == 0 || (code->subject == 0 && code->detail == 0);
}

/* The first status of class 4 or 5 in the text, however it stands there ("(#5.1.1)"). */
static struct status_code any_status(struct str text)
{
    struct status_code code;
    while (status_find(text, &code)) {
        char digits[16];
        if (code.cls != 2)
            return code;
        int len = snprintf(digits, sizeof(digits), "%d.%d.%d", code.cls, code.subject, code.detail);
        const char *found = memmem(text.data, text.len, digits, (size_t)len);
        if (!found) /* written with zeros in front */
            break;
        size_t skip = (size_t)(found - text.data) + (size_t)len;
        text.data += skip, text.len -= skip;
    }
    return (struct status_code){0};
}

struct reply reply_read(struct str text)
{
    struct reply best = {0};
    int best_score = 0;
    if (text.len > LOOK_MAX)
        text.len = LOOK_MAX;
    for (size_t at = 0; at + 3 <= text.len; at++) {
        int score;
        struct reply reply = candidate_at(text, at, &score);
        if (!score)
            continue;
        /* After "expired", what the remote said at last decides. */
        bool later = best_score == 3 && is_expired(&best.status) && score == 3 &&
                     !is_expired(&reply.status) && !says_nothing(&reply.status);
        if (score > best_score || later) {
            best = reply;
            best_score = score;
        }
    }
    if (best.status.cls == 0)
        best.status = any_status(text);
    return best;
}

/* --- stages --- */

struct str reply_stage(struct str text)
{
    static const struct {
        const char *words, *stage;
    } cues[] = {
        {"in reply to rcpt to", "rcpt"},
        {"in reply to mail from", "mail"},
        {"in reply to end of data", "data"},
        {"in reply to data", "data"},
        {"in reply to helo", "ehlo"},
        {"in reply to ehlo", "ehlo"},
        {"refused to talk to me", "connect"},
        {"after rcpt", "rcpt"},
        {"after mail", "mail"},
        {"after end of data", "data"},
        {"after data", "data"},
        {"after pipelined", "data"},
        {"after ehlo", "ehlo"},
        {"after helo", "ehlo"},
        {"after initial connection", "connect"},
        {"following rcpt command", "rcpt"},
        {"following mail command", "mail"},
        {"following data command", "data"},
        {"for rcpt command", "rcpt"},
        {"for mail command", "mail"},
        {"for text command", "data"},
        {"did not like our rcpt", "rcpt"},
        {"did not like our mail", "mail"},
        {"did not like our final data", "data"},
        {"did not like our data", "data"},
        {"did not like our ehlo", "ehlo"},
        {"did not like our helo", "ehlo"},
        {"does not like recipient", "rcpt"},
        {"but recipient was rejected", "rcpt"},
        {"but sender was rejected", "mail"},
        {"but my name was rejected", "ehlo"},
        {"but greeting failed", "connect"},
        {"failed after i sent the message", "data"},
        {"failed on data command", "data"},
        {"rcpt to response", "rcpt"},
        {"[rcpt_to]", "rcpt"},
        {"[mail_from]", "mail"},
        {"smtp:rcpt", "rcpt"},
        {"smtp:mail", "mail"},
        {"smtp:data", "data"},
        {"step: data", "data"},
        {"step: rcpt", "rcpt"},
        {"step: mail", "mail"},
        {"sent: rcpt", "rcpt"},
        {"sent: mail", "mail"},
        {"sent: data", "data"},
        {"rejected mail from address", "mail"},
        {"server has rejected address", "rcpt"},
    };
    char folded[STAGE_LOOK_MAX];
    size_t len = 0;
    for (size_t i = 0; i < text.len && len < sizeof(folded); i++) {
        bool blank = (unsigned char)text.data[i] <= 0x20;
        if (!blank || (len && folded[len - 1] != ' '))
            folded[len++] = blank ? ' ' : ascii_lower(text.data[i]);
    }
    for (size_t i = 0; i < sizeof(cues) / sizeof(cues[0]); i++)
        if (memmem(folded, len, cues[i].words, strlen(cues[i].words)))
            return str_of(cues[i].stage);
    return STR_NULL;
}

/* --- hosts --- */

static bool is_host_char(char c)
{
    return is_alnum(c) || c == '-' || c == '.' || c == '_';
}

/* A name with a dot and a letter at the start of `text`. */
static struct str host_at(struct str text)
{
    size_t len = 0;
    bool letter = false, dot = false;
    while (len < text.len && is_host_char(text.data[len])) {
        letter |= !is_digit(text.data[len]) && text.data[len] != '.';
        dot |= text.data[len++] == '.';
    }
    while (len && text.data[len - 1] == '.')
        len--;
    return letter && dot ? (struct str){text.data, len} : STR_NULL;
}

struct str reply_host(struct str text)
{
    static const char *const cues[] = {"host ",         "host: ",  "talking to ", "server at ",
                                       "connected to ", "domain ", " by ",        "server "};
    for (size_t i = 0; i < sizeof(cues) / sizeof(cues[0]); i++) {
        struct str rest = text;
        const char *found;
        while ((found = ingest_find_caseless(rest, cues[i]))) {
            size_t skip = (size_t)(found - rest.data) + strlen(cues[i]);
            rest.data += skip, rest.len -= skip;
            struct str host = host_at(rest);
            /* "… for the recipient domain example.org by mx.example.org": the second one. */
            if (host.data && strcmp(cues[i], "domain ") != 0)
                return host;
        }
    }
    return STR_NULL;
}

/* --- records --- */

struct str reply_untyped(struct str diagnostic)
{
    struct str text = ingest_trim(diagnostic);
    for (size_t i = 0; i < text.len && i < 40; i++) {
        char c = text.data[i];
        if (c == ';' && i)
            return ingest_trim((struct str){text.data + i + 1, text.len - i - 1});
        if ((!is_alnum(c) && c != '-' && c != ' ' && c != '/') || (i == 0 && is_digit(c)))
            break;
    }
    return text;
}

static void complete_status(struct arena *arena, const struct reply *reply,
                            struct input_record *record)
{
    struct status_code own = {0};
    bool known = record->status.data && status_parse(record->status, &own);
    if (says_nothing(&reply->status)
            ? known
            : known && !says_nothing(&own) && !(is_expired(&own) && !is_expired(&reply->status)))
        return;
    if (reply->status.cls)
        record->status = arena_printf(arena, "%d.%d.%d", reply->status.cls, reply->status.subject,
                                      reply->status.detail);
}

void reply_complete(struct arena *arena, struct input_record *record)
{
    if (!record->diagnostic.data)
        return;
    struct reply reply = reply_read(record->diagnostic);
    if (!record->reply_code)
        record->reply_code = reply.code;
    complete_status(arena, &reply, record);
    if (!record->stage.data)
        record->stage = reply_stage(record->diagnostic);
    if (!record->remote_mta.data)
        record->remote_mta = reply_host(record->diagnostic);
}

void reply_accepted(struct arena *arena, struct input_record *record)
{
    struct status_code code;
    record->reply_code = reply_find(record->diagnostic);
    if (!record->status.data && status_find(record->diagnostic, &code))
        record->status = arena_printf(arena, "%d.%d.%d", code.cls, code.subject, code.detail);
}
