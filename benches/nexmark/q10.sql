-- All bids, in a folder for each minute.
CREATE TABLE result (
  auction BIGINT, bidder BIGINT, price BIGINT, dateTime TIMESTAMP(3), extra STRING, day STRING, time_of_day STRING
) PARTITIONED BY (day, time_of_day) WITH (${sink});

INSERT INTO result
SELECT auction, bidder, price, dateTime, extra,
       DATE_FORMAT(dateTime, 'yyyy-MM-dd'), DATE_FORMAT(dateTime, 'HH:mm')
FROM bid;
