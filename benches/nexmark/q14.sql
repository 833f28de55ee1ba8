-- Calculation: a projection with a CASE, a date part, a string function, and a filter.
CREATE TABLE result (
  auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), bidTimeType STRING, dateTime TIMESTAMP(3), extra STRING,
  c_counts BIGINT
) WITH (${sink});

INSERT INTO result
SELECT auction,
       bidder,
       CAST(CAST(0.908 AS DECIMAL(4, 3)) * price AS DECIMAL(23, 3)) AS price,
       CASE
         WHEN HOUR(dateTime) >= 8 AND HOUR(dateTime) <= 18 THEN 'dayTime'
         WHEN HOUR(dateTime) <= 6 OR HOUR(dateTime) >= 20 THEN 'nightTime'
         ELSE 'otherTime'
       END AS bidTimeType,
       dateTime,
       extra,
       COUNT_CHAR(extra, 'c') AS c_counts
FROM bid
WHERE CAST(0.908 AS DECIMAL(4, 3)) * price > 1000000 AND CAST(0.908 AS DECIMAL(4, 3)) * price < 50000000;
