/*
 * Is what this program writes what avro-c writes? One record of each kind, encoded by both and
 * compared octet by octet. Our own writer is used because it is many times faster (encode.c); this
 * is what lets one trust it on any machine, with any build of avro-c. Takes well under a
 * millisecond; the worker does it at its start.
 */
#pragma once
#include "codec/record.h"

/* E_BUG names the record whose octets differ; E_SCHEMA: avro-c refuses one of our schemas. */
enum rcode codec_selfcheck(struct codec *codec, struct err *err) WARN_UNUSED;
