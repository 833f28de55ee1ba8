-- Records that cannot be decoded: here dep_delay is declared as a number that is always there, and cancelled flights
-- say NA. They go to a table of their own, with their bytes, their place and the reason, and the job goes on.
--
--     weir run examples/bad_records.sql

CREATE TABLE flights (
  origin     STRING,
  dep_delay  DOUBLE NOT NULL,
  time_hour  TIMESTAMP_LTZ(3),
  WATERMARK FOR time_hour AS time_hour - INTERVAL '1' DAY
) WITH (
  'connector' = 'filesystem',
  'path' = 'examples/data/flights-2013-01.csv.gz',
  'format' = 'csv',
  'csv.header' = 'true',
  'error-policy' = 'dead-letter',
  'dead-letter.table' = 'undecodable'
);

CREATE TABLE undecodable (
  table_name     STRING,
  origin         STRING,
  record_offset  BIGINT,
  raw            BYTES,
  reason         STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '/tmp/weir-undecodable',
  'format' = 'json'
);

SELECT window_start AS day, origin, COUNT(*) AS flights, AVG(dep_delay) AS mean_delay
FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' DAY))
GROUP BY window_start, window_end, origin;
