/* Every bound of the program in one place. */
#pragma once

#define LOCAL_PART_MAX 64 /* octets, RFC 5321 4.5.3.1.1 */
#define DOMAIN_MAX 255    /* octets, RFC 5321 4.5.3.1.2 */
#define RECIPIENT_MAX (LOCAL_PART_MAX + 1 + DOMAIN_MAX)
#define TENANT_MAX 64
#define RECORD_KEY_MAX (TENANT_MAX + 1 + RECIPIENT_MAX)
#define POLICY_NAME_MAX 63
#define RULE_ID_MAX 63

#define TEXT_FIELD_MAX 16384 /* octets of event_id, message_id, retry_of; longer: invalid_field */
#define STATUS_FIELD_MAX 255 /* octets of a record's status; longer: invalid_field */

#define POLICIES_MAX 32
#define DELAYS_MAX 32
#define OPENINGS_MAX 8
#define RECENT_MAX 8

#define TIME_MIN_MS 0LL               /* 1970-01-01T00:00:00.000Z */
#define TIME_MAX_MS 253402300799999LL /* 9999-12-31T23:59:59.999Z */

#define PARTITIONS_MAX 4096
