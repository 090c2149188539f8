#include "store/timer_layout.h"

#include "base/hash.h"
#include "domain/address.h"

static uint64_t hash_of(int64_t offset, const unsigned char *value, size_t size)
{
    const size_t hashed = offsetof(struct timer_header, due_ms);
    uint64_t content = hash_xxh3(value + hashed, size - hashed);
    unsigned char both[16];
    put_le64(both, (uint64_t)offset);
    put_le64(both + 8, content);
    return hash_xxh3(both, sizeof(both));
}

static uint64_t check_of(const unsigned char *value)
{
    return hash_xxh3(value, offsetof(struct timer_header, check));
}

static void put_le(unsigned char *ret_octets, int size, uint64_t number)
{
    for (int i = 0; i < size; i++)
        ret_octets[i] = (unsigned char)(number >> (8 * i));
}

static size_t get_le(const unsigned char *octets, int size)
{
    size_t number = 0;
    for (int i = 0; i < size; i++)
        number |= (size_t)octets[i] << (8 * i);
    return number;
}

static enum timer_key_kind kind_of_key(const struct timer *timer)
{
    char text[RECORD_KEY_MAX];
    if (!timer->key.data)
        return TIMER_KEY_NULL;
    struct str own = {text, identity_key(timer->who, text)};
    return str_equal(own, timer->key) ? TIMER_KEY_OF_RECIPIENT : TIMER_KEY_OTHER;
}

void timer_encode(const struct timer *timer, struct buf *out)
{
    struct timer_header header = {.version = TIMER_VERSION,
                                  .state = (unsigned char)timer->state,
                                  .key_kind = (unsigned char)kind_of_key(timer),
                                  .tenant_len = (unsigned char)timer->who.tenant.len};
    struct str key = header.key_kind == TIMER_KEY_OTHER ? timer->key : STR_NULL;
    put_le64(header.log_time_ms, (uint64_t)timer->log_time_ms);
    put_le64(header.until_due_ms, (uint64_t)timer->until.due_ms);
    put_le64(header.until_offset, (uint64_t)timer->until.offset);
    put_le64(header.due_ms, (uint64_t)timer->due_ms);
    memcpy(header.id, timer->id.octets, TIMER_ID_SIZE);
    put_le(header.recipient_len, 2, timer->who.recipient.len);
    put_le(header.key_len, 4, key.len);
    put_le(header.value_len, 4, timer->value.len);
    size_t start = out->len;
    buf_append(out, &header, sizeof(header));
    buf_str(out, timer->who.tenant);
    buf_str(out, timer->who.recipient);
    buf_str(out, key);
    buf_str(out, timer->value);
    buf_str(out, timer->headers);
    unsigned char *value = (unsigned char *)out->data + start;
    put_le64(value + offsetof(struct timer_header, hash),
             hash_of(timer->offset, value, out->len - start));
    put_le64(value + offsetof(struct timer_header, check), check_of(value));
}

static struct str take(struct str *inout_rest, size_t len)
{
    struct str taken = {inout_rest->data, len};
    inout_rest->data += len;
    inout_rest->len -= len;
    return taken;
}

bool timer_decode(int64_t offset, MDB_val data, char key_text[RECORD_KEY_MAX],
                  struct timer *ret_timer, uint64_t *ret_hash)
{
    struct timer_header header;
    if (data.mv_size < sizeof(header))
        return false;
    memcpy(&header, data.mv_data, sizeof(header));
    struct str rest = {(const char *)data.mv_data + sizeof(header), data.mv_size - sizeof(header)};
    size_t recipient_len = get_le(header.recipient_len, 2), key_len = get_le(header.key_len, 4),
           value_len = get_le(header.value_len, 4);
    *ret_hash = get_le64(header.hash);
    if (header.version != TIMER_VERSION || get_le64(header.check) != check_of(data.mv_data) ||
        *ret_hash != hash_of(offset, data.mv_data, data.mv_size) ||
        rest.len < (size_t)header.tenant_len + recipient_len + key_len + value_len)
        return false;
    struct timer *timer = ret_timer;
    *timer = (struct timer){
        .offset = offset,
        .due_ms = (int64_t)get_le64(header.due_ms),
        .log_time_ms = (int64_t)get_le64(header.log_time_ms),
        .until = {(int64_t)get_le64(header.until_due_ms), (int64_t)get_le64(header.until_offset)},
        .state = (enum timer_state)header.state};
    memcpy(timer->id.octets, header.id, TIMER_ID_SIZE);
    timer->who.tenant = take(&rest, header.tenant_len);
    timer->who.recipient = take(&rest, recipient_len);
    struct str key = take(&rest, key_len);
    if (header.key_kind == TIMER_KEY_OTHER)
        timer->key = key;
    else if (header.key_kind == TIMER_KEY_OF_RECIPIENT)
        timer->key = (struct str){key_text, identity_key(timer->who, key_text)};
    if (timer->state == TIMER_PENDING) {
        timer->value = take(&rest, value_len);
        timer->headers = rest;
    }
    return true;
}

bool timer_peek(MDB_val data, int64_t *ret_log_time_ms, enum timer_state *ret_state)
{
    struct timer_header header;
    if (data.mv_size < sizeof(header))
        return false;
    memcpy(&header, data.mv_data, sizeof(header));
    *ret_log_time_ms = (int64_t)get_le64(header.log_time_ms);
    *ret_state = (enum timer_state)header.state;
    return get_le64(header.check) == check_of(data.mv_data);
}

static size_t append(unsigned char *key, size_t len, struct str part)
{
    if (part.len)
        memcpy(key + len, part.data, part.len);
    return len + part.len;
}

size_t claim_prefix(struct identity who, unsigned char ret_key[CLAIM_KEY_MAX])
{
    if (who.tenant.len > TENANT_MAX || who.recipient.len > RECIPIENT_MAX || !who.recipient.len ||
        memchr(who.recipient.data, '\0', who.recipient.len) ||
        (who.tenant.len && memchr(who.tenant.data, '\0', who.tenant.len)))
        return 0;
    size_t len = append(ret_key, 0, who.tenant);
    ret_key[len++] = '\0';
    len = append(ret_key, len, who.recipient);
    ret_key[len++] = '\0';
    return len;
}

size_t claim_key(size_t prefix_len, const struct timer_id *id, int64_t offset,
                 unsigned char inout_key[CLAIM_KEY_MAX])
{
    memcpy(inout_key + prefix_len, id->octets, TIMER_ID_SIZE);
    put_be64(inout_key + prefix_len + TIMER_ID_SIZE, offset);
    return prefix_len + TIMER_ID_SIZE + OFFSET_KEY_SIZE;
}

/* XXH3's lower half. */
static size_t check_of_claim(MDB_val key, const struct claim_value *value)
{
    uint64_t hash =
        hash_record((struct str){key.mv_data, key.mv_size},
                    (struct str){(const char *)value, offsetof(struct claim_value, check)});
    return (size_t)(hash & UINT32_MAX);
}

void claim_encode(MDB_val key, int64_t due_ms, enum timer_state state,
                  struct claim_value *ret_value)
{
    *ret_value = (struct claim_value){.state = (unsigned char)state};
    put_le64(ret_value->due_ms, (uint64_t)due_ms);
    put_le(ret_value->check, 4, check_of_claim(key, ret_value));
}

bool claim_decode(MDB_val key, MDB_val data, struct timer_place *ret_place,
                  enum timer_state *ret_state)
{
    struct claim_value value;
    if (data.mv_size != sizeof(value) || key.mv_size <= OFFSET_KEY_SIZE)
        return false;
    memcpy(&value, data.mv_data, sizeof(value));
    const unsigned char *offset = (unsigned char *)key.mv_data + key.mv_size - OFFSET_KEY_SIZE;
    *ret_place = (struct timer_place){(int64_t)get_le64(value.due_ms), get_be64(offset)};
    *ret_state = (enum timer_state)value.state;
    return get_le(value.check, 4) == check_of_claim(key, &value);
}
