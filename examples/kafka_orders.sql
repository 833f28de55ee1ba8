-- Orders and their value per product, every ten seconds of event time, from a topic of Kafka. It goes on until ^C.
--   tests/services/kafka up /tmp/weir-kafka
--   tests/services/kafka fill examples/data/orders.jsonl orders

CREATE TABLE orders (
  id        BIGINT,
  product   STRING,
  quantity  INT,
  price     DECIMAL(10, 2),
  ts        TIMESTAMP(3),
  `partition` INT METADATA VIRTUAL,
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'orders',
  'properties.bootstrap.servers' = '127.0.0.1:19092',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.idle-timeout' = '1s',
  'format' = 'json'
);

SELECT window_start, product, COUNT(*) AS orders, SUM(quantity * price) AS total
FROM TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND)
GROUP BY window_start, window_end, product;
