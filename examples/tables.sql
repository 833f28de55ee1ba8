-- The flights of examples/data, for `weir sql -i examples/tables.sql`.

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
