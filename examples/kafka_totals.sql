-- From Kafka to Kafka, each result once: orders and their value per product, every ten seconds of event time. It goes on until ^C.
--   tests/services/kafka up /tmp/weir-kafka
--   tests/services/kafka fill examples/data/orders.jsonl orders
--   tests/services/kafka make product-totals

CREATE TABLE orders (
  id        BIGINT,
  product   STRING,
  quantity  INT,
  price     DECIMAL(10, 2),
  ts        TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'orders',
  'properties.bootstrap.servers' = '127.0.0.1:19092',
  'scan.startup.mode' = 'earliest-offset',
  'scan.watermark.idle-timeout' = '1s',
  'format' = 'json'
);

CREATE TABLE product_totals (
  product       STRING,
  window_start  TIMESTAMP(3),
  orders        BIGINT,
  total         DECIMAL(38, 2)
) WITH (
  'connector' = 'kafka',
  'topic' = 'product-totals',
  'properties.bootstrap.servers' = '127.0.0.1:19092',
  'key.format' = 'raw',
  'key.fields' = 'product',
  'value.format' = 'json'
);

INSERT INTO product_totals
SELECT product, window_start, COUNT(*), SUM(quantity * price)
FROM TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND)
GROUP BY window_start, window_end, product;
