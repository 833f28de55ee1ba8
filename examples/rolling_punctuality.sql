-- The share of late departures over the last six hours, every hour, for airports with some traffic; written to files.
--
--     weir run examples/rolling_punctuality.sql --state-dir /tmp/weir-state

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

CREATE TABLE punctuality (
  window_end  TIMESTAMP(3),
  origin      STRING,
  departures  BIGINT,
  late_share  DOUBLE
) WITH (
  'connector' = 'filesystem',
  'path' = '/tmp/weir-punctuality',
  'format' = 'json'
);

INSERT INTO punctuality
SELECT window_end,
       origin,
       COUNT(*),
       AVG(CASE WHEN dep_delay > 15 THEN 1.0 ELSE 0.0 END)
FROM TABLE(HOP(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR, INTERVAL '6' HOUR))
GROUP BY window_start, window_end, origin
HAVING COUNT(*) >= 20;
