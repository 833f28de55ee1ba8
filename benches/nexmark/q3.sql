-- Local items: a join of all rows, filtered on both sides.
CREATE TABLE result (name STRING, city STRING, state STRING, id BIGINT) WITH (${sink});

INSERT INTO result
SELECT p.name, p.city, p.state, a.id
FROM auction AS a
JOIN person AS p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA');
