-- Usage per customer. The median is exact, not an estimate.
SELECT
    window_start,
    window_end,
    customer_id,
    count(*) AS requests,
    count(*) FILTER (WHERE status >= 500) AS errors,
    sum(bytes) AS bytes,
    median(latency_ms) AS median_latency_ms
FROM api_usage_events
GROUP BY window_start, window_end, customer_id
