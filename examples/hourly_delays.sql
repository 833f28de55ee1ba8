-- Departures and delays of each airport, hour by hour.
--
--     weir run examples/hourly_delays.sql

CREATE TABLE flights (
  carrier    STRING,
  flight     INT,
  tailnum    STRING,
  origin     STRING,
  dest       STRING,
  dep_delay  DOUBLE,                    -- minutes; null if the flight was cancelled
  distance   INT,                       -- miles
  time_hour  TIMESTAMP_LTZ(3),          -- scheduled hour of departure
  WATERMARK FOR time_hour AS time_hour - INTERVAL '1' DAY
) WITH (
  'connector' = 'filesystem',
  'path' = 'examples/data/flights-2013-01.csv.gz',
  'format' = 'csv',
  'csv.header' = 'true',
  'csv.null-literal' = 'NA'
);

SELECT window_start AS hour,
       origin,
       COUNT(*) AS departures,
       COUNT(*) FILTER (WHERE dep_delay IS NULL) AS cancelled,
       ROUND(AVG(dep_delay), 1) AS mean_delay,
       MAX(dep_delay) AS worst_delay
FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR))
GROUP BY window_start, window_end, origin;
