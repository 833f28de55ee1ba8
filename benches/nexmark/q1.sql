-- Currency conversion: a projection with decimal arithmetic.
CREATE TABLE result (auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), dateTime TIMESTAMP(3), extra STRING)
WITH (${sink});

INSERT INTO result SELECT auction, bidder, CAST(CAST(0.908 AS DECIMAL(4, 3)) * price AS DECIMAL(23, 3)) AS price, dateTime, extra FROM bid;
