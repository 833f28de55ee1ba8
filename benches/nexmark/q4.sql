-- Average price of each category: the mean of the highest bids, which change.
CREATE TABLE result (category BIGINT, price DOUBLE) WITH (${sink});

INSERT INTO result
SELECT category, AVG(final) AS price
FROM (
  SELECT a.id, a.category, MAX(b.price) AS final
  FROM auction AS a
  JOIN bid AS b ON a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.expires
  GROUP BY a.id, a.category
)
GROUP BY category;
