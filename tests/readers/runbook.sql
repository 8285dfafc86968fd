SELECT _kafka_partition, MIN(_kafka_offset) AS min_offset, MAX(_kafka_offset) AS max_offset,
       MAX(_kafka_offset) - MIN(_kafka_offset) + 1 AS expected_count, COUNT(*) AS actual_count
FROM bronze.api_usage_events WHERE _event_date = '2026-01-28' GROUP BY _kafka_partition;
SELECT event_id, COUNT(*) AS dup_count FROM silver.api_usage_events
WHERE _event_date = '2026-01-28' GROUP BY event_id HAVING COUNT(*) > 1;
SELECT COUNT(*) AS late_event_count, AVG(_arrival_delay_seconds) AS avg_delay_sec FROM silver.api_usage_events
WHERE _is_late_arriving = true AND _event_date = '2026-01-28';
SELECT _quality_flags FROM bronze.api_usage_events_dlq WHERE _dlq_date = CURRENT_DATE LIMIT 10;
