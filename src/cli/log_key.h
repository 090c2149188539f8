/*
 * The key that hides addresses in log lines (base/log_address.h): `log.address_key_file`, or else
 * `log-address.key` in state_dir, which the first service that runs there makes.
 */
#pragma once
#include "base/buf.h"
#include "ops/config.h"

/* Appends the key. E_CONFIG: log.address_key_file cannot be used; E_IO: there is none in
 * state_dir. The text says which file. */
enum rcode log_key_read(const struct config *config, struct buf *key, struct err *err) WARN_UNUSED;

/*
 * Tells the log how to show addresses: for a service, before its threads start. Makes the key if
 * there is none; if state_dir cannot hold one, that is logged, and a random one serves until the
 * process ends. E_CONFIG: log.address_key_file cannot be used.
 */
enum rcode log_key_apply(const struct config *config, struct err *err) WARN_UNUSED;
