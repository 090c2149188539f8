#include "codec/codec.h"
#include "codec/walk.h"

enum rcode codec_to_json(struct codec *codec, struct str value, struct buf *out, struct err *err)
{
    const struct writer *writer = NULL;
    struct str body;
    size_t start = out->len;
    enum rcode rc = codec_unframe(codec, value, &writer, &body, err);
    if (rc != OK)
        return rc;
    struct wire in = {.next = (const unsigned char *)body.data};
    in.end = in.next + body.len;
    if (!walk_json(&writer->schema, writer->schema.root, &in, out))
        rc = err_set(err, E_MALFORMED,
                     "before octet %zu of %zu: the octets end, are no value, or give more than %d "
                     "octets of JSON",
                     (size_t)(in.next - (const unsigned char *)body.data), body.len, WALK_JSON_MAX);
    else if (in.next != in.end)
        rc = err_set(err, E_MALFORMED, "%zu octets follow the record", wire_left(&in));
    if (rc != OK)
        out->len = start;
    return rc;
}
