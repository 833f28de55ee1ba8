-- Average selling price of each seller's last auctions, at each of them: of the winning bids, as they change.
CREATE TABLE result (seller BIGINT, price DOUBLE) WITH (${sink});

INSERT INTO result
SELECT seller, AVG(final) OVER (PARTITION BY seller ORDER BY dateTime ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS price
FROM (
  SELECT a.seller, b.price AS final, b.dateTime,
         ROW_NUMBER() OVER (PARTITION BY a.id, a.seller ORDER BY b.price DESC, b.dateTime) AS place
  FROM auction AS a
  JOIN bid AS b ON a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.expires
)
WHERE place <= 1;
