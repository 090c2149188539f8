/*
 * Records a second on one core: decoding, encoding, JSON, and the same by avro-c's generic values.
 *
 * usage: bench_codec [SECONDS-PER-FIGURE]
 *
 * "full" is a recipient whose three arrays hold eight items each, sixteen of them hashes of ten
 * octets.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "codec/reference.h"
#include "embedded.h"

#define ROUND 10000

struct bench {
    struct codec *codec;
    struct reference *state;
    struct reference *bounce;
    struct input_record input;
    struct recipient recipient;
    struct recipient full;
    struct buf framed_input, framed_recipient, framed_full;
    struct buf out;
};

static void must(enum rcode rc, const struct err *err)
{
    if (rc != OK) {
        fprintf(stderr, "bench_codec: %s\n", err->text);
        exit(70);
    }
}

static void must_be(bool fine)
{
    if (!fine) {
        fprintf(stderr, "bench_codec: avro-c refuses what this codec wrote\n");
        exit(70);
    }
}

static struct str embedded(const char *name)
{
    for (const struct embedded_file *file = embedded_files; file->name; file++)
        if (strcmp(file->name, name) == 0)
            return (struct str){file->data, file->size};
    return STR_NULL;
}

static void decode_input(struct bench *bench)
{
    struct input_record record;
    struct err err;
    must(codec_decode_input(bench->codec, buf_view(&bench->framed_input), &record, &err), &err);
}

static void decode_recipient(struct bench *bench)
{
    struct recipient state;
    struct err err;
    must(codec_decode_recipient(bench->codec, buf_view(&bench->framed_recipient), &state, &err),
         &err);
}

static void decode_full(struct bench *bench)
{
    struct recipient state;
    struct err err;
    must(codec_decode_recipient(bench->codec, buf_view(&bench->framed_full), &state, &err), &err);
}

static void encode_input(struct bench *bench)
{
    buf_clear(&bench->out);
    codec_encode_input(bench->codec, &bench->input, &bench->out);
}

static void encode_recipient(struct bench *bench)
{
    buf_clear(&bench->out);
    codec_encode_recipient(bench->codec, &bench->recipient, &bench->out);
}

static void encode_full(struct bench *bench)
{
    buf_clear(&bench->out);
    codec_encode_recipient(bench->codec, &bench->full, &bench->out);
}

static void json_recipient(struct bench *bench)
{
    struct err err;
    buf_clear(&bench->out);
    must(codec_to_json(bench->codec, buf_view(&bench->framed_recipient), &bench->out, &err), &err);
}

static struct str body(const struct buf *framed)
{
    return (struct str){framed->data + 10, framed->len - 10};
}

static void reference_decode_input(struct bench *bench)
{
    must_be(reference_read(bench->bounce, body(&bench->framed_input)));
}

static void reference_decode_recipient(struct bench *bench)
{
    must_be(reference_read(bench->state, body(&bench->framed_recipient)));
}

static void reference_decode_full(struct bench *bench)
{
    must_be(reference_read(bench->state, body(&bench->framed_full)));
}

static void reference_encode_input(struct bench *bench)
{
    buf_clear(&bench->out);
    reference_set(bench->bounce, RECORD_BOUNCE, &bench->input);
    reference_write(bench->bounce, &bench->out);
}

static void reference_encode_recipient(struct bench *bench)
{
    buf_clear(&bench->out);
    reference_set(bench->state, RECORD_RECIPIENT_STATE, &bench->recipient);
    reference_write(bench->state, &bench->out);
}

static void reference_encode_full(struct bench *bench)
{
    buf_clear(&bench->out);
    reference_set(bench->state, RECORD_RECIPIENT_STATE, &bench->full);
    reference_write(bench->state, &bench->out);
}

/* avro-c's writing alone, the value being set already. */
static void reference_write_full(struct bench *bench)
{
    buf_clear(&bench->out);
    reference_write(bench->state, &bench->out);
}

static void measure(struct bench *bench, const char *what, size_t octets, double seconds,
                    void (*once)(struct bench *))
{
    int64_t start = clock_monotonic_us(), elapsed = 0;
    double rounds = 0;
    while ((double)elapsed < seconds * 1e6) {
        for (int i = 0; i < ROUND; i++)
            once(bench);
        rounds++;
        elapsed = clock_monotonic_us() - start;
    }
    double rate = rounds * ROUND / ((double)elapsed / 1e6);
    printf("%-42s %5zu octets %8.2f M/s %8.0f ns\n", what, octets, rate / 1e6, 1e9 / rate);
}

static void prepare(struct bench *bench)
{
    struct codec_options options = {0};
    struct err err;
    must(codec_new(&options, &bench->codec, &err), &err);
    must(reference_new(embedded("RecipientState.avsc"), &bench->state, &err), &err);
    must(reference_new(embedded("BounceRecord.avsc"), &bench->bounce, &err), &err);
    bench->input = (struct input_record){
        .kind = RECORD_BOUNCE,
        .event_id = STR("0f8fad5b-d9cb-469f-a165-70867728950e"),
        .tenant = STR(""),
        .recipient = STR("maria.rossi@example.org"),
        .message_id = STR("<20260131120000.4711@sender.example.net>"),
        .occurred_at_ms = 1769860800000,
        .status = STR("4.2.1"),
        .reply_code = 450,
        .diagnostic = STR("450 4.2.1 The user you are trying to contact is disabled"),
        .remote_mta = STR("mx1.example.org"),
        .stage = STR("RCPT"),
        .source = STR("kumomta"),
    };
    bench->recipient = (struct recipient){
        .who = {STR(""), STR("maria.rossi@example.org")},
        .status = STATUS_SUSPENDED,
        .in_episode = true,
        .policy = STR("default"),
        .attempt = 2,
        .episode = 2,
        .episode_opened_at_ms = 1769860800000,
        .due_at_ms = 1770033600000,
        .last_bounce_at_ms = 1769947200000,
        .last_delivery_at_ms = 1767225600000,
        .reinstated_at_ms = TIME_NULL,
        .last_event_at_ms = 1769947200000,
        .last_status = STR("4.2.1"),
        .last_rule = STR("mailbox-disabled-421"),
        .soft = 5,
        .deliveries = 130,
        .opening_count = 2,
        .recent_event_count = 4,
        .recent_command_count = 4,
        .source_offset = 123456789,
    };
    for (int i = 0; i < OPENINGS_MAX; i++) {
        bench->recipient.openings_ms[i] = 1767225600000 + i;
        bench->recipient.recent_events[i] = 0x9e3779b97f4a7c15U * ((uint64_t)i + 1);
        bench->recipient.recent_commands[i] = 0xc2b2ae3d27d4eb4fU * ((uint64_t)i + 1);
    }
    bench->full = bench->recipient;
    bench->full.opening_count = OPENINGS_MAX;
    bench->full.recent_event_count = bench->full.recent_command_count = RECENT_MAX;
    codec_encode_input(bench->codec, &bench->input, &bench->framed_input);
    codec_encode_recipient(bench->codec, &bench->recipient, &bench->framed_recipient);
    codec_encode_recipient(bench->codec, &bench->full, &bench->framed_full);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1.0;
    prepare(&bench);
    size_t input = bench.framed_input.len, state = bench.framed_recipient.len;
    size_t full = bench.framed_full.len;
    measure(&bench, "decode BounceRecord", input, seconds, decode_input);
    measure(&bench, "decode RecipientState", state, seconds, decode_recipient);
    measure(&bench, "decode RecipientState, full", full, seconds, decode_full);
    measure(&bench, "encode BounceRecord", input, seconds, encode_input);
    measure(&bench, "encode RecipientState", state, seconds, encode_recipient);
    measure(&bench, "encode RecipientState, full", full, seconds, encode_full);
    measure(&bench, "JSON of RecipientState", state, seconds, json_recipient);
    measure(&bench, "avro-c: decode BounceRecord", input, seconds, reference_decode_input);
    measure(&bench, "avro-c: decode RecipientState", state, seconds, reference_decode_recipient);
    measure(&bench, "avro-c: decode RecipientState, full", full, seconds, reference_decode_full);
    measure(&bench, "avro-c: encode BounceRecord", input, seconds, reference_encode_input);
    measure(&bench, "avro-c: encode RecipientState", state, seconds, reference_encode_recipient);
    measure(&bench, "avro-c: encode RecipientState, full", full, seconds, reference_encode_full);
    measure(&bench, "avro-c: only write RecipientState, full", full, seconds, reference_write_full);
    reference_free(bench.state);
    reference_free(bench.bounce);
    codec_free(bench.codec);
    buf_deinit(&bench.framed_input);
    buf_deinit(&bench.framed_recipient);
    buf_deinit(&bench.framed_full);
    buf_deinit(&bench.out);
    return 0;
}
