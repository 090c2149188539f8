/*
 * The adapters under octets from anywhere. The first octet chooses the format (RIMBALZO_FUZZ_FORMAT
 * names one for all), the rest is an item.
 *
 * What must hold: every item has an entry; an event has an id, a recipient whose canonical form is
 * one, a time of this world, texts in UTF-8, and a record that comes back from its encoding as it
 * was; the same item gives the same entries; a rejected entry says why and is a part of the item.
 * For JSON, cutting a stream gives the same pieces whatever the size of the window.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "domain/address.h"
#include "ingest/ingest.h"
#include "ingest/split.h"

#define RECEIVED_MS 1770000000000LL
#define SPLIT_LEN_MAX 4096 /* octets; beyond, windows of one octet take too long */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    struct ingest *ingests[INGEST_FORMAT_COUNT];
    struct codec *codec;
    struct buf first, again, framed, other;
    int only; /* a format, or -1: any */
} fuzz;

static void setup(void)
{
    struct err err;
    if (fuzz.codec)
        return;
    if (codec_new(&(struct codec_options){0}, &fuzz.codec, &err) != OK)
        abort();
    for (int i = 0; i < INGEST_FORMAT_COUNT; i++)
        fuzz.ingests[i] = ingest_new(&(struct ingest_options){.format = (enum ingest_format)i});
    fuzz.only = name_index(ingest_format_names, INGEST_FORMAT_COUNT,
                           str_of(getenv("RIMBALZO_FUZZ_FORMAT")));
}

static void check_utf8(struct str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_len(text, at);
        assert(len > 0 && text.data[at] != '\0');
        at += len;
    }
}

static void check_event(const struct ingest_entry *entry)
{
    const struct input_record *record = &entry->record;
    struct input_record decoded;
    char canonical[RECIPIENT_MAX + 1];
    size_t len;
    struct err err;
    assert(record->event_id.len == UUID_TEXT_SIZE);
    assert(address_canonical(record->recipient, false, canonical, &len, &err) == OK);
    assert(str_equal((struct str){canonical, len}, entry->canonical));
    assert(record->occurred_at_ms >= TIME_MIN_MS && record->occurred_at_ms <= TIME_MAX_MS);
    assert(record->message_id.data && record->message_id.len <= TEXT_FIELD_MAX);
    assert(record->message_attempt >= 0);
    assert(record->kind == (entry->outcome == INGEST_BOUNCE ? RECORD_BOUNCE : RECORD_DELIVERY));
    check_utf8(record->status);
    check_utf8(record->diagnostic);
    check_utf8(record->remote_mta);
    check_utf8(record->stage);
    buf_clear(&fuzz.framed);
    codec_encode_input(fuzz.codec, record, &fuzz.framed);
    assert(codec_decode_input(fuzz.codec, buf_view(&fuzz.framed), &decoded, &err) == OK);
    buf_clear(&fuzz.other);
    codec_encode_input(fuzz.codec, &decoded, &fuzz.other);
    if (record->kind == RECORD_DELIVERY)
        assert(str_equal(buf_view(&fuzz.framed), buf_view(&fuzz.other)));
    assert(str_equal(decoded.event_id, record->event_id));
    assert(str_equal(decoded.recipient, record->recipient));
    assert(codec_to_json(fuzz.codec, buf_view(&fuzz.framed), &fuzz.other, &err) == OK);
}

static void check_entry(const struct ingest_entry *entry, struct str item, struct buf *out)
{
    switch (entry->outcome) {
    case INGEST_BOUNCE:
    case INGEST_DELIVERY:
        check_event(entry);
        break;
    case INGEST_SKIPPED:
        assert(entry->skip > INGEST_SKIP_NONE && entry->skip < INGEST_SKIP_COUNT);
        break;
    case INGEST_REJECTED:
        assert(entry->code != OK && entry->why.len > 0);
        break;
    case INGEST_OUTCOME_COUNT:
        assert(false);
    }
    check_utf8(entry->why);
    check_utf8(entry->record.recipient);
    assert(entry->octets.data >= item.data &&
           entry->octets.data + entry->octets.len <= item.data + item.len);
    buf_printf(out, "%d %d %d %.*s %.*s %.*s %.*s\n", (int)entry->outcome, (int)entry->skip,
               (int)entry->code, STR_ARG(entry->record.event_id), STR_ARG(entry->record.recipient),
               STR_ARG(entry->record.diagnostic), STR_ARG(entry->why));
}

static void read_item(enum ingest_format format, struct str item, struct buf *out)
{
    struct ingest_result result;
    buf_clear(out);
    ingest_read(fuzz.ingests[format], &(struct ingest_item){item, RECEIVED_MS}, &result);
    assert(result.count > 0);
    for (size_t i = 0; i < result.count; i++)
        check_entry(&result.entries[i], item, out);
}

/* The pieces of a stream whose window grows by `step`. */
static void cut(enum split_kind kind, struct str item, size_t step, struct buf *out)
{
    struct split split;
    struct split_piece piece;
    size_t from = 0, until = 0, behind = 0;
    bool last = false;
    buf_clear(out);
    split_init(&split, kind);
    while (!last) {
        last = until == item.len;
        while (split_next(&split, (struct str){item.data + from, until - from}, last, &piece)) {
            size_t offset = (size_t)piece.offset;
            assert(piece.octets.data == item.data + offset && offset >= behind);
            behind = offset + piece.octets.len;
            assert(behind <= item.len);
            buf_printf(out, "%zu %zu %lld %s\n", offset, behind, (long long)piece.line,
                       piece.fault ? piece.fault : "");
        }
        assert(split.done <= until - from);
        from += split.done;
        split_shift(&split);
        until = item.len - until > step ? until + step : item.len;
    }
}

static void check_split(enum split_kind kind, struct str item)
{
    static const size_t steps[] = {1, 7, 64};
    cut(kind, item, item.len, &fuzz.first);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        cut(kind, item, steps[i], &fuzz.again);
        assert(str_equal(buf_view(&fuzz.first), buf_view(&fuzz.again)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    setup();
    if (size < 1)
        return 0;
    enum ingest_format format =
        (enum ingest_format)(fuzz.only >= 0 ? fuzz.only : data[0] % INGEST_FORMAT_COUNT);
    struct str item = {(const char *)data + 1, size - 1};
    read_item(format, item, &fuzz.first);
    read_item(format, item, &fuzz.again);
    assert(str_equal(buf_view(&fuzz.first), buf_view(&fuzz.again)));
    if (item.len <= SPLIT_LEN_MAX)
        check_split(ingest_is_json(format) ? SPLIT_JSON : SPLIT_MAIL, item);
    return 0;
}
