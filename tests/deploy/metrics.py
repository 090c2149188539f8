"""The metrics that rules and dashboards may read."""

import re

from support import files_under

# What Prometheus itself adds.
OF_PROMETHEUS = {"up", "ALERTS"}

NAMES = """
rimbalzo_build_info rimbalzo_partitions rimbalzo_rebalances_total rimbalzo_committed_offset rimbalzo_end_offset
rimbalzo_lag_records rimbalzo_lag_seconds rimbalzo_last_progress_timestamp_seconds rimbalzo_records_total
rimbalzo_outcomes_total rimbalzo_produced_records_total rimbalzo_errors_total rimbalzo_transactions_total
rimbalzo_producer_rebuilds_total rimbalzo_dead_letters_total rimbalzo_bounces_total rimbalzo_suppressions_total
rimbalzo_commands_total rimbalzo_notices_total rimbalzo_dispatcher_commands_total rimbalzo_dispatcher_pending
rimbalzo_dispatcher_overdue_seconds rimbalzo_store_entries rimbalzo_store_used_bytes rimbalzo_store_map_bytes
rimbalzo_restore_remaining_records rimbalzo_restored_records_total rimbalzo_kafka_queued_messages
rimbalzo_kafka_brokers_up
""".split()
HISTOGRAMS = """
rimbalzo_transaction_duration_seconds rimbalzo_bounce_age_seconds rimbalzo_dispatcher_release_delay_seconds
rimbalzo_store_commit_duration_seconds
""".split()


def metric_names():
    """With what the program says of its process, and the series of histograms."""
    names = set(NAMES) | OF_PROMETHEUS
    for source in files_under("src", ".c"):
        with open(source, encoding="utf-8") as file:
            names |= set(re.findall(r'"(process_[a-z_]+)"', file.read()))
    return names | {name + suffix for name in HISTOGRAMS for suffix in ("_bucket", "_sum", "_count")}


def used_metrics(expression):
    """Names of series in an expression, recorded ones included."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', " ", expression)
    bare = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"(?<![\w:])((?:\w+:)?(?:rimbalzo|process)_\w+(?::\w+)?|up|ALERTS)(?![\w:(])", bare))
