#include "ingest/notice.h"

#include <string.h>

#include "ingest/address.h"
#include "ingest/notice_lines.h"
#include "ingest/reply.h"

#define TEXT_MAX ((size_t)256 * 1024)
#define LINES_MAX 20000
#define SAID_MAX 2048  /* octets of all that is said, where no part of it is the reply */
#define REPLY_MAX 4096 /* octets of one reply */
#define SESSION_MAX 64 /* recipients of one session */

/* What is being read. */
struct reading {
    struct arena *arena;
    struct lines lines; /* up to the returned message */
    const struct notice_structure *structure;
    struct notice *notice;
    size_t capacity;
    size_t open; /* recipients from here on have no reply yet */
};

/* --- recipients --- */

static struct notice_recipient *find_recipient(struct notice *notice, struct str address)
{
    for (size_t i = 0; i < notice->count; i++)
        if (ingest_equal_caseless(notice->recipients[i].address, address))
            return &notice->recipients[i];
    return NULL;
}

/* How much a text has of a reply: 2 with a reply code, 1 with an enhanced code. */
static int weight(struct str text)
{
    struct reply reply = reply_read(text);
    return reply.code ? 2 : reply.status.cls ? 1 : 0;
}

/* A recipient that comes twice keeps the reply that has more. */
static void add_recipient(struct reading *reading, struct str address, struct str reply)
{
    struct notice *notice = reading->notice;
    struct notice_recipient *known = find_recipient(notice, address);
    if (known) {
        if (!known->reply.len || weight(reply) > weight(known->reply))
            known->reply = reply;
        return;
    }
    if (notice->count > NOTICE_RECIPIENTS_MAX)
        return;
    if (notice->count == reading->capacity) {
        size_t capacity = reading->capacity ? 4 * reading->capacity : 8;
        struct notice_recipient *grown = arena_alloc(reading->arena, capacity * sizeof(*grown));
        if (notice->count)
            memcpy(grown, notice->recipients, notice->count * sizeof(*grown));
        notice->recipients = grown;
        reading->capacity = capacity;
    }
    notice->recipients[notice->count++] = (struct notice_recipient){address, reply};
}

/* The forms that a line of its own has. `ret_rest`: what stands behind the address. */
static bool recipient_in_line(enum notice_form form, struct str line, struct str *ret_address,
                              struct str *ret_rest)
{
    switch (form) {
    case NOTICE_ANGLED:
        return line_angled(line, ret_address, ret_rest);
    case NOTICE_LEADING:
        return line_leading(line, ret_address, ret_rest);
    case NOTICE_WITHIN:
        return line_within(line, ret_address, ret_rest);
    case NOTICE_FIELD:
        return line_field(line, ret_address, ret_rest);
    case NOTICE_CODED:
    case NOTICE_DIALOGUE:
        break;
    }
    return false;
}

/* --- replies --- */

/* The lines from `first` to before `end` in one text. */
static struct str join(struct reading *reading, struct str head, size_t first, size_t end)
{
    return lines_join(reading->arena, &reading->lines, head, first, end, REPLY_MAX);
}

/* Lines that belong to the block of `address`: up to an empty one or the next recipient. Behind a
 * sentence all that follows does. */
static size_t block_end(const struct reading *reading, enum notice_form form, struct str address,
                        size_t at)
{
    struct str other, rest;
    for (; at < reading->lines.count; at++) {
        struct str line = reading->lines.items[at];
        if (form != NOTICE_WITHIN && line_is_empty(line))
            break;
        if (recipient_in_line(form, line, &other, &rest) && !ingest_equal_caseless(other, address))
            break;
    }
    return at;
}

/* A line that only announces a reply, or a heading. */
static bool announces(const struct reading *reading, struct str line)
{
    const char *const *cues = reading->structure->replies;
    for (int i = 0; i < NOTICE_CUES_MAX && cues[i]; i++)
        if (ingest_find_caseless(line, cues[i]))
            return true;
    return line_is_rule(line) || ingest_starts_caseless(line, "---");
}

/* What stands behind a line with one of the structure's words for it; null if there is none. */
static struct str announced_reply(struct reading *reading)
{
    const char *const *cues = reading->structure->replies;
    for (int i = 0; i < NOTICE_CUES_MAX && cues[i]; i++) {
        size_t at = lines_find(&reading->lines, 0, cues[i]);
        if (at == reading->lines.count)
            continue;
        const struct str line = reading->lines.items[at];
        const char *behind = ingest_find_caseless(line, cues[i]) + strlen(cues[i]);
        struct str head =
            line_undecorated((struct str){behind, (size_t)(line.data + line.len - behind)});
        size_t first = at + 1;
        while (!head.len && first < reading->lines.count &&
               line_is_rule(reading->lines.items[first]))
            first++;
        size_t end = first;
        while (end < reading->lines.count && !line_is_empty(reading->lines.items[end]))
            end++;
        struct str reply = join(reading, head, first, end);
        if (reply.len)
            return line_unbulleted(reply);
    }
    return STR_NULL;
}

/* The paragraph behind the recipients that have no reply yet goes to all of them. */
static size_t reply_to_open(struct reading *reading, enum notice_form form, size_t at)
{
    size_t end = block_end(reading, form, STR_NULL, at);
    struct str reply = join(reading, STR_NULL, at, end);
    for (size_t i = reading->open; i < reading->notice->count; i++)
        reading->notice->recipients[i].reply = reply;
    reading->open = reading->notice->count;
    return end;
}

/* Reads blocks that begin with a recipient, from line `at` on. */
static void read_blocks(struct reading *reading, enum notice_form form, size_t at)
{
    struct notice *notice = reading->notice;
    reading->open = notice->count;
    while (at < reading->lines.count) {
        struct str address, rest;
        if (recipient_in_line(form, reading->lines.items[at], &address, &rest)) {
            size_t count = notice->count, end = block_end(reading, form, address, at + 1);
            struct str reply = join(reading, rest, at + 1, end);
            add_recipient(reading, address, reply);
            /* Recipients right below each other share what follows the last one. */
            if (reply.len) {
                for (size_t i = reading->open; i < count; i++)
                    notice->recipients[i].reply = reply;
                reading->open = notice->count;
            }
            at = end;
        } else if (reading->open < notice->count && !announces(reading, reading->lines.items[at])) {
            at = reply_to_open(reading, form, at);
        } else {
            at++;
        }
    }
}

/* Reads blocks that end with recipients, from line `at` on. */
static void read_blocks_before(struct reading *reading, size_t at)
{
    struct str address, rest, reply = STR("");
    for (size_t first = at; at < reading->lines.count; at++) {
        if (!recipient_in_line(reading->structure->form, reading->lines.items[at], &address, &rest))
            continue;
        struct str said = join(reading, STR_NULL, first, at);
        reply = said.len ? said : reply;
        add_recipient(reading, address, reply);
        first = at + 1;
    }
}

/* --- transcripts --- */

/* What the server refused last, its lines joined. */
static struct str add_refusal(struct reading *reading, struct str refused, struct str said)
{
    bool more = refused.len >= 3 && said.len >= 3 && memcmp(refused.data, said.data, 3) == 0;
    return more ? arena_printf(reading->arena, "%.*s\n%.*s", STR_ARG(refused), STR_ARG(said))
                : said;
}

static bool is_refusal(struct str said)
{
    return said.len >= 3 && (said.data[0] == '4' || said.data[0] == '5') && reply_read(said).code;
}

/* What is refused concerns the recipient just named, or all of the session. */
static void refuse(struct reading *reading, struct str command, const struct str *recipients,
                   size_t count, struct str refused)
{
    size_t from = ingest_starts_caseless(command, "rcpt") && count ? count - 1 : 0;
    for (size_t i = from; refused.len && i < count; i++)
        add_recipient(reading, recipients[i], refused);
}

static void read_dialogue(struct reading *reading)
{
    struct str recipients[SESSION_MAX], command = STR(""), refused = STR(""), said, address;
    size_t count = 0, begin, end;
    for (size_t at = 0; at < reading->lines.count; at++) {
        enum line_speaker speaker = line_speaker(reading->lines.items[at], &said);
        if (speaker == LINE_SERVER && is_refusal(said))
            refused = add_refusal(reading, refused, said);
        if (speaker != LINE_CLIENT)
            continue;
        refuse(reading, command, recipients, count, refused);
        refused = STR("");
        command = said;
        if (ingest_starts_caseless(said, "rcpt") && count < SESSION_MAX &&
            address_in_text(said, &address, &begin, &end))
            recipients[count++] = address;
    }
    refuse(reading, command, recipients, count, refused);
}

/* Sendmail's own verdict stands on the recipient's line, what the remote said in front of it. */
static void read_coded(struct reading *reading, size_t at)
{
    struct str refused = STR(""), said, address, rest;
    for (; at < reading->lines.count; at++) {
        struct str line = reading->lines.items[at];
        if (line_speaker(line, &said) == LINE_SERVER && is_refusal(said))
            refused = add_refusal(reading, refused, said);
        if (!line_coded(line, &address, &rest))
            continue;
        add_recipient(reading, address, refused.len ? refused : rest);
        refused = STR("");
    }
}

/* --- the whole --- */

/* `text`: subject, mailer and lines, in lower case with single blanks. */
static bool has_cue(const struct notice_structure *structure, struct str text)
{
    for (int i = 0; i < NOTICE_CUES_MAX && structure->cues[i]; i++)
        if (memmem(text.data, text.len, structure->cues[i], strlen(structure->cues[i])))
            return true;
    return false;
}

static bool is_delay(struct str text)
{
    for (int i = 0; notice_delay_cues[i]; i++)
        if (memmem(text.data, text.len, notice_delay_cues[i], strlen(notice_delay_cues[i])))
            return true;
    return false;
}

static void read_structure(struct reading *reading)
{
    const struct notice_structure *structure = reading->structure;
    size_t at = 0;
    if (structure->list) {
        at = lines_find(&reading->lines, 0, structure->list);
        at = at < reading->lines.count ? at + 1 : 0;
    }
    if (structure->form == NOTICE_DIALOGUE)
        read_dialogue(reading);
    else if (structure->form == NOTICE_CODED)
        read_coded(reading, at);
    else if (structure->behind)
        read_blocks_before(reading, at);
    else
        read_blocks(reading, structure->form, at);
    /* Some put the address into a sentence now and then. */
    if (!reading->notice->count && structure->form == NOTICE_LEADING)
        read_blocks(reading, NOTICE_WITHIN, at);
    if (reading->notice->count) {
        reading->notice->structure = structure->name;
        reading->notice->whole = structure->whole;
    }
}

static void read_failed_recipients(struct reading *reading, struct str list)
{
    struct str address;
    size_t begin, end;
    while (address_in_text(list, &address, &begin, &end)) {
        add_recipient(reading, arena_str(reading->arena, address), STR(""));
        list.data += end, list.len -= end;
    }
    if (reading->notice->count)
        reading->notice->structure = "X-Failed-Recipients";
}

/* Recipients that have no reply of their own, or one without any code, get the announced one, else
 * all that was said. */
static void complete_replies(struct reading *reading)
{
    struct notice *notice = reading->notice;
    struct str announced = announced_reply(reading);
    for (size_t i = 0; i < notice->count; i++) {
        struct str *reply = &notice->recipients[i].reply;
        bool better = !reply->len || weight(announced) > weight(*reply);
        if (notice->whole || (!reply->len && !announced.len))
            *reply = notice->said;
        else if (announced.len && better)
            *reply = announced;
    }
}

void notice_read(struct arena *arena, const struct notice_input *input, struct notice *ret_notice)
{
    struct notice notice = {0};
    struct reading reading = {.arena = arena, .notice = &notice};
    struct str text = input->text;
    text.len = text.len < TEXT_MAX ? text.len : TEXT_MAX;
    lines_split(arena, notice_unquote(arena, text), LINES_MAX, &reading.lines);
    notice.returned = lines_cut(arena, &reading.lines);
    text = lines_fold(arena, &reading.lines, input->subject, input->mailer);
    notice.said = lines_said(arena, &reading.lines, SAID_MAX);
    for (size_t i = 0; i < notice_structure_count && !notice.count; i++) {
        reading.structure = &notice_structures[i];
        bool any = !reading.structure->cues[0];
        /* A header that names them is better than what a structure without cues finds. */
        if (any)
            read_failed_recipients(&reading, input->failed_recipients);
        if (!notice.count && (any ? input->trusted : has_cue(reading.structure, text)))
            read_structure(&reading);
    }
    if (notice.count)
        complete_replies(&reading);
    notice.delayed = is_delay(text);
    *ret_notice = notice;
}

struct str notice_returned(struct arena *arena, struct str text)
{
    struct lines lines;
    lines_split(arena, text, LINES_MAX, &lines);
    return lines_cut(arena, &lines);
}
