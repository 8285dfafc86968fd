-- Open, high, low and close per symbol. Ticks of one instant are ordered by their place in the log, so that every
-- computation, streamed or in batch, gives the same first and last price.
SELECT
    window_start,
    window_end,
    symbol,
    first_value(price ORDER BY _event_time, _kafka_partition, _kafka_offset) AS open,
    max(price) AS high,
    min(price) AS low,
    last_value(price ORDER BY _event_time, _kafka_partition, _kafka_offset) AS close,
    sum(volume) AS volume,
    count(*) AS trades
FROM stock_ticks
GROUP BY window_start, window_end, symbol
