#include "codec/codec.h"

/* Into a struct of the caller's stack, which reaches the caller's result only when all went well.
 */
static enum rcode decode(struct codec *codec, struct str value, enum record_kind wanted,
                         void *ret_struct, struct err *err)
{
    const struct writer *writer = NULL;
    struct str body;
    enum rcode rc = codec_unframe(codec, value, &writer, &body, err);
    if (rc != OK)
        return rc;
    if (writer->kind != (int)wanted)
        return err_set(err, E_UNEXPECTED_SCHEMA, "%.*s where %s is expected",
                       STR_ARG(writer->schema.nodes[writer->schema.root].name),
                       record_kind_names[wanted]);
    return plan_run(&writer->plan, body, ret_struct, err);
}

enum rcode codec_decode_input(struct codec *codec, struct str value,
                              struct input_record *ret_record, struct err *err)
{
    const struct writer *writer = NULL;
    struct input_record record;
    struct str body;
    enum rcode rc = codec_unframe(codec, value, &writer, &body, err);
    if (rc != OK)
        return rc;
    if (writer->kind != RECORD_BOUNCE && writer->kind != RECORD_DELIVERY &&
        writer->kind != RECORD_OVERRIDE)
        return err_set(err, E_UNEXPECTED_SCHEMA, "%.*s is no record of the input",
                       STR_ARG(writer->schema.nodes[writer->schema.root].name));
    rc = plan_run(&writer->plan, body, &record, err);
    if (rc != OK)
        return rc;
    record.kind = (enum record_kind)writer->kind;
    *ret_record = record;
    return OK;
}

enum rcode codec_decode_command(struct codec *codec, struct str value,
                                struct retry_command *ret_command, struct err *err)
{
    struct retry_command command;
    enum rcode rc = decode(codec, value, RECORD_RETRY_COMMAND, &command, err);
    if (rc == OK)
        *ret_command = command;
    return rc;
}

enum rcode codec_decode_suppression(struct codec *codec, struct str value,
                                    struct suppression_event *ret_event, struct err *err)
{
    struct suppression_event event;
    enum rcode rc = decode(codec, value, RECORD_SUPPRESSION_EVENT, &event, err);
    if (rc == OK)
        *ret_event = event;
    return rc;
}

enum rcode codec_decode_notice(struct codec *codec, struct str value,
                               struct recipient_notice *ret_notice, struct err *err)
{
    struct recipient_notice notice;
    enum rcode rc = decode(codec, value, RECORD_RECIPIENT_NOTICE, &notice, err);
    if (rc == OK)
        *ret_notice = notice;
    return rc;
}

enum rcode codec_decode_recipient(struct codec *codec, struct str value,
                                  struct recipient *ret_state, struct err *err)
{
    struct recipient state;
    enum rcode rc = decode(codec, value, RECORD_RECIPIENT_STATE, &state, err);
    if (rc == OK)
        *ret_state = state;
    return rc;
}
