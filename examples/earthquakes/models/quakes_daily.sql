SELECT
    window_start,
    window_end,
    count(*) AS quakes,
    max(mag) AS max_magnitude
FROM earthquakes
GROUP BY window_start, window_end
