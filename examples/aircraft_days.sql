-- The working days of aircraft: flights of one plane that follow each other within six hours.
--
--     weir run examples/aircraft_days.sql

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

SELECT tailnum,
       window_start AS first_departure,
       COUNT(*) AS flights,
       SUM(distance) AS miles,
       MAX(dep_delay) AS worst_delay
FROM TABLE(SESSION(TABLE flights PARTITION BY tailnum, DESCRIPTOR(time_hour), INTERVAL '6' HOUR))
WHERE tailnum IS NOT NULL
GROUP BY window_start, window_end, tailnum
HAVING COUNT(*) >= 4;
