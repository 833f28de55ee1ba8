-- Bids per auction in windows of ten seconds, written to files; it runs until it is stopped. For a cluster:
--
--     weir submit examples/auctions.sql

CREATE TABLE bid (
  auction   BIGINT,
  price     BIGINT,
  dateTime  TIMESTAMP(3),
  WATERMARK FOR dateTime AS dateTime - INTERVAL '1' SECOND
) WITH (
  'connector' = 'nexmark',
  'nexmark.table' = 'bid',
  'rate' = '1000',                      -- events a second
  'realtime' = 'true'
);

CREATE TABLE auctions (
  window_start  TIMESTAMP(3),
  auction       BIGINT,
  bids          BIGINT,
  highest       BIGINT
) WITH (
  'connector' = 'filesystem',
  'path' = '/tmp/weir-auctions',
  'format' = 'csv'
);

INSERT INTO auctions
SELECT window_start, auction, COUNT(*), MAX(price)
FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
GROUP BY window_start, window_end, auction;
