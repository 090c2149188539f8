#include "ingest/mail.h"

#include <gmime/gmime.h>
#include <pthread.h>

#include "domain/types.h"
#include "ingest/html.h"
#include "ingest/ingest_internal.h"

#define MESSAGES_MAX 64 /* mails that are looked at, and mails within one */
#define PARTS_MAX 512   /* parts of one of them */
#define DEPTH_MAX 32
#define TEXT_SIZE_MAX ((size_t)1024 * 1024) /* of one part */

/* Messages, a reference each. */
struct messages {
    GMimeMessage *items[MESSAGES_MAX];
    int count;
};

struct mail_reader {
    struct messages queue;
    int next;
    struct messages within; /* the last mail */
};

/* --- reading --- */

bool mail_is_bounded(struct str octets)
{
    size_t parts = 0, fields = 0;
    bool header = true;
    for (size_t at = 0; at < octets.len && parts <= MAIL_PARTS_MAX && fields <= MAIL_FIELDS_MAX;) {
        const char *line = octets.data + at;
        const char *end = memchr(line, '\n', octets.len - at);
        size_t len = end ? (size_t)(end - line) : octets.len - at;
        header = header && len > 0 && *line != '\r';
        fields += header;
        parts += len >= 2 && line[0] == '-' && line[1] == '-';
        at += len + 1;
    }
    return parts <= MAIL_PARTS_MAX && fields <= MAIL_FIELDS_MAX;
}

static void init_gmime(void)
{
    g_mime_init();
}

struct mail_reader *mail_open(struct str octets)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_gmime);
    struct mail_reader *reader = mem_zalloc(sizeof(*reader));
    GMimeStream *stream =
        g_mime_stream_mem_new_with_buffer(octets.len ? octets.data : "", octets.len);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
    if (message)
        reader->queue.items[reader->queue.count++] = message;
    g_object_unref(parser);
    g_object_unref(stream);
    return reader;
}

static void clear(struct messages *messages)
{
    while (messages->count)
        g_object_unref(messages->items[--messages->count]);
}

void mail_close(struct mail_reader *reader)
{
    clear(&reader->queue);
    clear(&reader->within);
    mem_free(reader);
}

void mail_descend(struct mail_reader *reader)
{
    struct messages *queue = &reader->queue, *within = &reader->within;
    for (int i = 0; i < within->count && queue->count < MESSAGES_MAX; i++) {
        g_object_ref(within->items[i]);
        queue->items[queue->count++] = within->items[i];
    }
}

/* --- content --- */

static struct str header_of(GMimeObject *object, struct arena *arena, const char *name)
{
    return arena_str(arena, str_of(g_mime_object_get_header(object, name)));
}

/* A part's octets without its transfer encoding. */
static struct str content_of(GMimeObject *object, struct arena *arena)
{
    GMimeDataWrapper *content =
        GMIME_IS_PART(object) ? g_mime_part_get_content(GMIME_PART(object)) : NULL;
    if (!content)
        return STR_NULL;
    GMimeStream *memory = g_mime_stream_mem_new();
    g_mime_data_wrapper_write_to_stream(content, memory);
    GByteArray *octets = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(memory));
    struct str text = {(const char *)octets->data, octets->len};
    text.len = text.len < TEXT_SIZE_MAX ? text.len : TEXT_SIZE_MAX;
    text = text.len ? arena_str(arena, text) : STR("");
    g_object_unref(memory);
    return text;
}

/* The same in UTF-8. */
static struct str text_of(GMimeObject *object, struct arena *arena)
{
    char *decoded =
        GMIME_IS_TEXT_PART(object) ? g_mime_text_part_get_text(GMIME_TEXT_PART(object)) : NULL;
    struct str text = str_of(decoded);
    text.len = text.len < TEXT_SIZE_MAX ? text.len : TEXT_SIZE_MAX;
    text = text.len ? arena_str(arena, text) : content_of(object, arena);
    g_free(decoded);
    return text;
}

static struct str headers_of(GMimeMessage *message, struct arena *arena)
{
    char *headers = g_mime_object_get_headers(GMIME_OBJECT(message), NULL);
    struct str text = arena_str(arena, str_of(headers));
    g_free(headers);
    return text;
}

/* --- parts --- */

struct walk {
    struct mail_reader *reader;
    struct arena *arena;
    struct mail *mail;
    struct str html;
};

static void add_text(struct mail *mail, struct str text)
{
    if (mail->text_count < MAIL_TEXTS_MAX && ingest_trim(text).len)
        mail->texts[mail->text_count++] = text;
}

static void add_status(struct walk *walk, struct str fields)
{
    struct mail *mail = walk->mail;
    mail->status = mail->status.data ? arena_printf(walk->arena, "%.*s\n\n%.*s",
                                                    STR_ARG(mail->status), STR_ARG(fields))
                                     : fields;
}

static void take_message(struct walk *walk, GMimeMessagePart *part)
{
    struct messages *within = &walk->reader->within;
    GMimeMessage *message = g_mime_message_part_get_message(part);
    if (!message)
        return;
    if (!walk->mail->returned.len)
        walk->mail->returned = headers_of(message, walk->arena);
    if (within->count < MESSAGES_MAX) {
        g_object_ref(message);
        within->items[within->count++] = message;
    }
}

static bool is_type(GMimeObject *part, const char *type, const char *subtype)
{
    GMimeContentType *content_type = g_mime_object_get_content_type(part);
    return content_type && g_mime_content_type_is_type(content_type, type, subtype);
}

static void take_part(struct walk *walk, GMimeObject *part)
{
    struct mail *mail = walk->mail;
    if (GMIME_IS_MESSAGE_PART(part))
        take_message(walk, GMIME_MESSAGE_PART(part));
    else if (is_type(part, "message", "delivery-status") ||
             is_type(part, "message", "global-delivery-status"))
        add_status(walk, content_of(part, walk->arena));
    else if (is_type(part, "message", "feedback-report"))
        mail->feedback = true;
    else if (is_type(part, "text", "rfc822-headers") || is_type(part, "text", "rfc822-header") ||
             is_type(part, "message", "global-headers") || is_type(part, "message", "partial"))
        mail->returned = mail->returned.len ? mail->returned : content_of(part, walk->arena);
    else if (is_type(part, "text", "html"))
        walk->html = walk->html.len ? walk->html : text_of(part, walk->arena);
    else if (is_type(part, "text", "*"))
        add_text(mail, text_of(part, walk->arena));
}

/* Multiparts that are open, innermost last. */
struct level {
    GMimeMultipart *multipart;
    int next, count;
};

static bool enter(struct walk *walk, GMimeObject *part, struct level *levels, int *depth)
{
    if (!GMIME_IS_MULTIPART(part) || *depth == DEPTH_MAX)
        return false;
    GMimeMultipart *multipart = GMIME_MULTIPART(part);
    int count = g_mime_multipart_get_count(multipart);
    /* Where the boundary is not the one announced, all is in front of the first one. */
    if (count == 0)
        add_text(walk->mail,
                 arena_str(walk->arena, str_of(g_mime_multipart_get_prologue(multipart))));
    levels[(*depth)++] = (struct level){multipart, 0, count};
    return true;
}

static void walk_parts(struct walk *walk, GMimeObject *top)
{
    struct level levels[DEPTH_MAX];
    int depth = 0, seen = 0;
    if (!enter(walk, top, levels, &depth))
        take_part(walk, top);
    while (depth && seen < PARTS_MAX) {
        struct level *level = &levels[depth - 1];
        if (level->next == level->count) {
            depth--;
            continue;
        }
        GMimeObject *part = g_mime_multipart_get_part(level->multipart, level->next++);
        seen++;
        if (part && !enter(walk, part, levels, &depth))
            take_part(walk, part);
    }
}

/* The Date field, else when the last server received it. */
static int64_t date_of(GMimeObject *object, struct arena *arena)
{
    int64_t date_ms = mail_date(arena, str_of(g_mime_object_get_header(object, "Date")));
    struct str received = str_of(g_mime_object_get_header(object, "Received"));
    const char *semicolon = received.len ? memrchr(received.data, ';', received.len) : NULL;
    if (date_ms != TIME_NULL || !semicolon)
        return date_ms;
    return mail_date(arena, str_of(semicolon + 1));
}

bool mail_next(struct mail_reader *reader, struct arena *arena, struct mail *ret_mail)
{
    clear(&reader->within);
    if (reader->next == reader->queue.count)
        return false;
    GMimeMessage *message = reader->queue.items[reader->next++];
    GMimeObject *object = GMIME_OBJECT(message), *top = g_mime_message_get_mime_part(message);
    struct mail mail = {
        .from = header_of(object, arena, "From"),
        .subject = header_of(object, arena, "Subject"),
        .message_id = header_of(object, arena, "Message-ID"),
        .auto_submitted = header_of(object, arena, "Auto-Submitted"),
        .mailer = header_of(object, arena, "X-Mailer"),
        .failed_recipients = header_of(object, arena, "X-Failed-Recipients"),
        .date_ms = date_of(object, arena),
    };
    struct walk walk = {reader, arena, &mail, STR_NULL};
    if (top) {
        const char *type = g_mime_object_get_content_type_parameter(top, "report-type");
        mail.feedback = type && strcasecmp(type, "feedback-report") == 0;
        mail.disposition = type && strcasecmp(type, "disposition-notification") == 0;
        mail.report = is_type(top, "multipart", "report") &&
                      (!type || strcasecmp(type, "delivery-status") == 0);
        walk_parts(&walk, top);
    }
    if (!mail.text_count && walk.html.len)
        add_text(&mail, html_text(arena, walk.html));
    *ret_mail = mail;
    return true;
}

/* --- dates and headers --- */

int64_t mail_date(struct arena *arena, struct str text)
{
    text = ingest_trim(text);
    if (!text.len || text.len > 256)
        return TIME_NULL;
    GDateTime *date = g_mime_utils_header_decode_date(arena_str(arena, text).data);
    if (!date)
        return TIME_NULL;
    int64_t seconds = g_date_time_to_unix(date);
    g_date_time_unref(date);
    return seconds > 0 && seconds <= TIME_MAX_MS / 1000 ? seconds * 1000 : TIME_NULL;
}

struct str mail_header(struct arena *arena, struct str block, const char *name)
{
    size_t name_len = strlen(name);
    for (size_t at = 0; at < block.len;) {
        const char *end = memchr(block.data + at, '\n', block.len - at);
        size_t next = end ? (size_t)(end - block.data) + 1 : block.len;
        if (block.len - at > name_len && block.data[at + name_len] == ':' &&
            strncasecmp(block.data + at, name, name_len) == 0) {
            /* Lines that begin with a blank go on with it. */
            while (next < block.len && (block.data[next] == ' ' || block.data[next] == '\t')) {
                end = memchr(block.data + next, '\n', block.len - next);
                next = end ? (size_t)(end - block.data) + 1 : block.len;
            }
            struct str value = {block.data + at + name_len + 1, next - at - name_len - 1};
            struct str copy = arena_str(arena, ingest_trim(value));
            for (size_t i = 0; i < copy.len; i++)
                if (copy.data[i] == '\n' || copy.data[i] == '\r')
                    ((char *)copy.data)[i] = ' ';
            return copy;
        }
        at = next;
    }
    return STR_NULL;
}
