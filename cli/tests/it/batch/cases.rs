//! The questions.

use super::Case;

/// Each in Weir's SQL and in batch SQL.
pub const CASES: &[Case] = &[
    Case {
        name: "filter and projection",
        streaming: "SELECT origin, dest, dep_delay * 2, UPPER(carrier), tailnum IS NULL,
                           CASE WHEN dep_delay > 60 THEN 'very late' WHEN dep_delay > 0 THEN 'late' ELSE 'fine' END
                    FROM flights WHERE distance > 2000 AND NOT (origin = 'JFK' AND carrier LIKE 'A%')",
        batch: "SELECT origin, dest, dep_delay * 2, UPPER(carrier), tailnum IS NULL,
                       CASE WHEN dep_delay > 60 THEN 'very late' WHEN dep_delay > 0 THEN 'late' ELSE 'fine' END
                FROM flights WHERE distance > 2000 AND NOT (origin = 'JFK' AND carrier LIKE 'A%')",
    },
    Case {
        name: "tumbling windows",
        streaming: "SELECT window_start, window_end, origin, COUNT(*), COUNT(dep_delay), SUM(distance), AVG(dep_delay),
                           MIN(dep_delay), MAX(tailnum), MIN(dest)
                    FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR))
                    GROUP BY window_start, window_end, origin",
        batch: "SELECT date_bin(INTERVAL '1 hour', time_hour), date_bin(INTERVAL '1 hour', time_hour) + INTERVAL '1 hour',
                       origin, COUNT(*), COUNT(dep_delay), SUM(distance), AVG(dep_delay), MIN(dep_delay), MAX(tailnum), MIN(dest)
                FROM flights GROUP BY 1, 2, 3",
    },
    Case {
        name: "aggregates that need every row",
        streaming: "SELECT window_start, carrier, COUNT(DISTINCT tailnum), STDDEV(dep_delay), VAR_POP(distance),
                           COUNT(*) FILTER (WHERE dep_delay > 30), MEDIAN(distance), SUM(DISTINCT distance),
                           BOOL_OR(dep_delay > 100)
                    FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' DAY))
                    GROUP BY window_start, window_end, carrier",
        batch: "SELECT date_bin(INTERVAL '1 day', time_hour), carrier, COUNT(DISTINCT tailnum), STDDEV(dep_delay),
                       VAR_POP(distance), COUNT(*) FILTER (WHERE dep_delay > 30), MEDIAN(distance),
                       SUM(DISTINCT distance), BOOL_OR(dep_delay > 100)
                FROM flights GROUP BY 1, 2",
    },
    Case {
        name: "windows without a key",
        streaming: "SELECT window_start, COUNT(*), MAX(dep_delay)
                    FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '15' MINUTE))
                    GROUP BY window_start, window_end",
        batch: "SELECT date_bin(INTERVAL '15 minutes', time_hour), COUNT(*), MAX(dep_delay) FROM flights GROUP BY 1",
    },
    Case {
        name: "a window with an offset",
        streaming: "SELECT window_start, COUNT(*)
                    FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' DAY, INTERVAL '5' HOUR))
                    GROUP BY window_start, window_end",
        batch: "SELECT date_bin(INTERVAL '1 day', time_hour, TIMESTAMP '1970-01-01 05:00:00'), COUNT(*)
                FROM flights GROUP BY 1",
    },
    Case {
        name: "hopping windows",
        streaming: "SELECT window_start, window_end, origin, COUNT(*), AVG(dep_delay), MIN(dep_delay)
                    FROM TABLE(HOP(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR, INTERVAL '6' HOUR))
                    GROUP BY window_start, window_end, origin",
        batch: "SELECT date_bin(INTERVAL '1 hour', time_hour) - i,
                       date_bin(INTERVAL '1 hour', time_hour) - i + INTERVAL '6 hours',
                       origin, COUNT(*), AVG(dep_delay), MIN(dep_delay)
                FROM flights CROSS JOIN (VALUES (INTERVAL '0 hours'), (INTERVAL '1 hours'), (INTERVAL '2 hours'), (INTERVAL '3 hours'), (INTERVAL '4 hours'), (INTERVAL '5 hours')) AS back(i) GROUP BY 1, 2, 3",
    },
    Case {
        name: "cumulating windows",
        streaming: "SELECT window_start, window_end, carrier, COUNT(*), SUM(distance)
                    FROM TABLE(CUMULATE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '6' HOUR, INTERVAL '1' DAY))
                    GROUP BY window_start, window_end, carrier",
        batch: "SELECT date_bin(INTERVAL '1 day', time_hour),
                       date_bin(INTERVAL '1 day', time_hour) + i, carrier, COUNT(*), SUM(distance)
                FROM flights CROSS JOIN (VALUES (INTERVAL '6 hours'), (INTERVAL '12 hours'), (INTERVAL '18 hours'), (INTERVAL '24 hours')) AS step(i)
                WHERE time_hour < date_bin(INTERVAL '1 day', time_hour) + i GROUP BY 1, 2, 3",
    },
    Case {
        name: "sessions",
        streaming: "SELECT tailnum, window_start, window_end, COUNT(*), SUM(distance), MAX(dep_delay)
                    FROM TABLE(SESSION(TABLE flights PARTITION BY tailnum, DESCRIPTOR(time_hour), INTERVAL '6' HOUR))
                    GROUP BY tailnum, window_start, window_end",
        batch: "SELECT tailnum, MIN(time_hour), MAX(time_hour) + INTERVAL '6 hours', COUNT(*), SUM(distance), MAX(dep_delay)
                FROM (SELECT *, SUM(begins) OVER (PARTITION BY tailnum ORDER BY time_hour) AS session
                      FROM (SELECT *, CASE WHEN time_hour - LAG(time_hour) OVER (PARTITION BY tailnum ORDER BY time_hour)
                                                <= INTERVAL '6 hours' THEN 0 ELSE 1 END AS begins FROM flights))
                GROUP BY tailnum, session",
    },
    Case {
        name: "having and a view",
        streaming: "CREATE VIEW hourly AS
                      SELECT window_start AS hour, origin, COUNT(*) AS departures
                      FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR))
                      GROUP BY window_start, window_end, origin HAVING COUNT(*) > 15;
                    SELECT hour, departures FROM hourly WHERE origin <> 'EWR'",
        batch: "SELECT date_bin(INTERVAL '1 hour', time_hour), COUNT(*) FROM flights
                WHERE origin <> 'EWR' GROUP BY 1, origin HAVING COUNT(*) > 15",
    },
    Case {
        name: "grouping sets",
        streaming: "SELECT window_start, origin, carrier, COUNT(*)
                    FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' DAY))
                    GROUP BY window_start, window_end, GROUPING SETS ((origin, carrier), (origin), ())",
        batch: "SELECT starts, origin, carrier, COUNT(*)
                FROM (SELECT *, date_bin(INTERVAL '1 day', time_hour) AS starts FROM flights)
                GROUP BY GROUPING SETS ((starts, origin, carrier), (starts, origin), (starts))",
    },
    Case {
        name: "grouping sets of what follows from the window",
        streaming: "SELECT window_start, departures, COUNT(*) FROM (
                      SELECT window_start, window_end, COUNT(*) AS departures
                      FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '6' HOUR))
                      GROUP BY window_start, window_end)
                    GROUP BY window_start, window_end, GROUPING SETS ((departures), ())",
        batch: "WITH six AS (SELECT date_bin(INTERVAL '6 hours', time_hour) AS starts, COUNT(*) AS departures FROM flights GROUP BY 1)
                SELECT starts, departures, 1 FROM six UNION ALL SELECT starts, NULL, 1 FROM six",
    },
    Case {
        name: "grouping sets with keys that are computed",
        streaming: "SELECT window_start, CAST(time_hour AS DATE), COUNT(*)
                    FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '6' HOUR))
                    GROUP BY window_start, window_end, GROUPING SETS ((CAST(time_hour AS DATE)), ())",
        batch: "WITH timed AS (SELECT date_bin(INTERVAL '6 hours', time_hour) AS starts, CAST(time_hour AS DATE) AS day FROM flights)
                SELECT starts, day, COUNT(*) FROM timed GROUP BY 1, 2 UNION ALL SELECT starts, NULL, COUNT(*) FROM timed GROUP BY 1",
    },
    Case {
        name: "distinct rows of a window",
        streaming: "SELECT DISTINCT window_start, window_end, carrier
                    FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR))",
        batch: "SELECT DISTINCT date_bin(INTERVAL '1 hour', time_hour),
                       date_bin(INTERVAL '1 hour', time_hour) + INTERVAL '1 hour', carrier FROM flights",
    },
    Case {
        name: "window over window",
        streaming: "WITH hourly AS (
                      SELECT window_time AS hour_time, origin, COUNT(*) AS departures
                      FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR))
                      GROUP BY window_start, window_end, window_time, origin)
                    SELECT window_start, origin, MAX(departures), COUNT(*)
                    FROM TABLE(TUMBLE(TABLE hourly, DESCRIPTOR(hour_time), INTERVAL '1' DAY))
                    GROUP BY window_start, window_end, origin",
        batch: "SELECT date_bin(INTERVAL '1 day', hour), origin, MAX(departures), COUNT(*)
                FROM (SELECT date_bin(INTERVAL '1 hour', time_hour) AS hour, origin, COUNT(*) AS departures
                      FROM flights GROUP BY 1, 2) GROUP BY 1, 2",
    },
    Case {
        name: "an aggregate of a window's aggregates",
        streaming: "SELECT window_start, MAX(departures), SUM(departures) FROM (
                      SELECT window_start, window_end, dest, COUNT(*) AS departures
                      FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '6' HOUR))
                      GROUP BY window_start, window_end, dest)
                    GROUP BY window_start, window_end",
        batch: "SELECT hour, MAX(departures), SUM(departures)
                FROM (SELECT date_bin(INTERVAL '6 hours', time_hour) AS hour, dest, COUNT(*) AS departures
                      FROM flights GROUP BY 1, 2) GROUP BY 1",
    },
    Case {
        name: "the three worst delays of each day and airport",
        streaming: "SELECT window_start, origin, carrier, flight, dep_delay, rank FROM (
                      SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, origin
                                                   ORDER BY dep_delay DESC NULLS LAST, carrier, flight, dest) AS rank
                      FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' DAY)))
                    WHERE rank <= 3",
        batch: "SELECT starts, origin, carrier, flight, dep_delay, rank FROM (
                  SELECT *, ROW_NUMBER() OVER (PARTITION BY starts, origin
                                               ORDER BY dep_delay DESC NULLS LAST, carrier, flight, dest) AS rank
                  FROM (SELECT *, date_bin(INTERVAL '1 day', time_hour) AS starts FROM flights))
                WHERE rank <= 3",
    },
    Case {
        name: "window join, inner",
        streaming: "SELECT a.window_start, a.carrier, b.carrier, a.departures + b.departures
                    FROM (SELECT window_start, window_end, carrier, COUNT(*) AS departures
                          FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR))
                          WHERE origin = 'JFK' GROUP BY window_start, window_end, carrier) a
                    JOIN (SELECT window_start, window_end, carrier, COUNT(*) AS departures
                          FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR))
                          WHERE origin = 'LGA' GROUP BY window_start, window_end, carrier) b
                    ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.departures < b.departures",
        batch: "WITH counts AS (SELECT date_bin(INTERVAL '1 hour', time_hour) AS hour, origin, carrier, COUNT(*) AS departures
                                FROM flights GROUP BY 1, 2, 3)
                SELECT a.hour, a.carrier, b.carrier, a.departures + b.departures FROM counts a JOIN counts b
                ON a.hour = b.hour AND a.origin = 'JFK' AND b.origin = 'LGA' AND a.departures < b.departures",
    },
    Case {
        name: "window join, full",
        streaming: "SELECT a.window_start, b.window_start, a.dest, b.dest, a.departures, b.departures
                    FROM (SELECT window_start, window_end, dest, COUNT(*) AS departures
                          FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR))
                          WHERE origin = 'JFK' GROUP BY window_start, window_end, dest) a
                    FULL JOIN (SELECT window_start, window_end, dest, COUNT(*) AS departures
                          FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR))
                          WHERE origin = 'EWR' GROUP BY window_start, window_end, dest) b
                    ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.dest = b.dest",
        batch: "WITH counts AS (SELECT date_bin(INTERVAL '1 hour', time_hour) AS hour, origin, dest, COUNT(*) AS departures
                                FROM flights GROUP BY 1, 2, 3)
                SELECT a.hour, b.hour, a.dest, b.dest, a.departures, b.departures
                FROM (SELECT * FROM counts WHERE origin = 'JFK') a FULL JOIN (SELECT * FROM counts WHERE origin = 'EWR') b
                ON a.hour = b.hour AND a.dest = b.dest",
    },
    Case {
        name: "window join, left and right",
        streaming: "CREATE VIEW jfk AS SELECT window_start, window_end, dest, COUNT(*) AS departures
                          FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' DAY))
                          WHERE origin = 'JFK' GROUP BY window_start, window_end, dest;
                    CREATE VIEW lga AS SELECT window_start, window_end, dest, COUNT(*) AS departures
                          FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' DAY))
                          WHERE origin = 'LGA' GROUP BY window_start, window_end, dest;
                    SELECT 'left', jfk.window_start, jfk.dest, lga.departures FROM jfk LEFT JOIN lga
                      ON jfk.window_start = lga.window_start AND jfk.window_end = lga.window_end AND jfk.dest = lga.dest
                    UNION ALL
                    SELECT 'right', lga.window_start, lga.dest, jfk.departures FROM jfk RIGHT JOIN lga
                      ON jfk.window_start = lga.window_start AND jfk.window_end = lga.window_end AND jfk.dest = lga.dest",
        batch: "WITH counts AS (SELECT date_bin(INTERVAL '1 day', time_hour) AS day, origin, dest, COUNT(*) AS departures
                                FROM flights GROUP BY 1, 2, 3),
                jfk AS (SELECT * FROM counts WHERE origin = 'JFK'), lga AS (SELECT * FROM counts WHERE origin = 'LGA')
                SELECT 'left', jfk.day, jfk.dest, lga.departures FROM jfk LEFT JOIN lga ON jfk.day = lga.day AND jfk.dest = lga.dest
                UNION ALL
                SELECT 'right', lga.day, lga.dest, jfk.departures FROM jfk RIGHT JOIN lga ON jfk.day = lga.day AND jfk.dest = lga.dest",
    },
    Case {
        name: "window join, semi and anti",
        streaming: "CREATE VIEW jfk AS SELECT window_start, window_end, dest, COUNT(*) AS departures
                          FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' DAY))
                          WHERE origin = 'JFK' GROUP BY window_start, window_end, dest;
                    CREATE VIEW lga AS SELECT window_start, window_end, dest, COUNT(*) AS departures
                          FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' DAY))
                          WHERE origin = 'LGA' GROUP BY window_start, window_end, dest;
                    SELECT 'semi', window_start, dest FROM jfk WHERE EXISTS (SELECT 1 FROM lga
                      WHERE jfk.window_start = lga.window_start AND jfk.window_end = lga.window_end AND jfk.dest = lga.dest)
                    UNION ALL
                    SELECT 'anti', window_start, dest FROM jfk WHERE NOT EXISTS (SELECT 1 FROM lga
                      WHERE jfk.window_start = lga.window_start AND jfk.window_end = lga.window_end AND jfk.dest = lga.dest)",
        batch: "WITH jfk AS (SELECT DISTINCT date_bin(INTERVAL '1 day', time_hour) AS day, dest FROM flights WHERE origin = 'JFK'),
                     lga AS (SELECT DISTINCT date_bin(INTERVAL '1 day', time_hour) AS day, dest FROM flights WHERE origin = 'LGA')
                SELECT 'semi', day, dest FROM jfk WHERE EXISTS (SELECT 1 FROM lga WHERE jfk.day = lga.day AND jfk.dest = lga.dest)
                UNION ALL
                SELECT 'anti', day, dest FROM jfk WHERE NOT EXISTS (SELECT 1 FROM lga WHERE jfk.day = lga.day AND jfk.dest = lga.dest)",
    },
    Case {
        name: "interval join",
        streaming: "SELECT a.tailnum, a.flight, b.flight, a.time_hour, b.time_hour
                    FROM flights a JOIN flights b
                    ON a.tailnum = b.tailnum AND a.dest = b.dest
                       AND b.time_hour BETWEEN a.time_hour + INTERVAL '1' HOUR AND a.time_hour + INTERVAL '5' HOUR",
        batch: "SELECT a.tailnum, a.flight, b.flight, a.time_hour, b.time_hour FROM flights a JOIN flights b
                ON a.tailnum = b.tailnum AND a.dest = b.dest
                   AND b.time_hour >= a.time_hour + INTERVAL '1 hour' AND b.time_hour <= a.time_hour + INTERVAL '5 hours'",
    },
    Case {
        name: "interval join, left",
        streaming: "SELECT a.tailnum, a.flight, a.time_hour, b.flight
                    FROM flights a LEFT JOIN flights b
                    ON a.tailnum = b.tailnum AND a.origin = b.origin AND a.flight <> b.flight
                       AND b.time_hour BETWEEN a.time_hour - INTERVAL '3' HOUR AND a.time_hour + INTERVAL '3' HOUR",
        batch: "SELECT a.tailnum, a.flight, a.time_hour, b.flight FROM flights a LEFT JOIN flights b
                ON a.tailnum = b.tailnum AND a.origin = b.origin AND a.flight <> b.flight
                   AND b.time_hour >= a.time_hour - INTERVAL '3 hours' AND b.time_hour <= a.time_hour + INTERVAL '3 hours'",
    },
    Case {
        name: "union all and unnest",
        streaming: "SELECT carrier, part FROM (
                      SELECT carrier, UNNEST(STRING_TO_ARRAY(dest, 'A')) AS part FROM flights WHERE flight < 10)
                    UNION ALL SELECT dest, origin FROM flights WHERE flight > 6000",
        batch: "SELECT carrier, UNNEST(STRING_TO_ARRAY(dest, 'A')) AS part FROM flights WHERE flight < 10
                UNION ALL SELECT dest, origin FROM flights WHERE flight > 6000",
    },
];
