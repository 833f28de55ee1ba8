-- The visits of the job `sessions`, but for their paths.
INSERT INTO visits_by_sql
SELECT
  `user`,
  window_start AS began,
  window_end AS ended,
  COUNT(*) FILTER (WHERE kind = 'view') AS views,
  COUNT(*) FILTER (WHERE kind = 'click') AS clicks
FROM TABLE(SESSION(TABLE actions PARTITION BY `user`, DESCRIPTOR(`at`), INTERVAL '30' MINUTE))
GROUP BY `user`, window_start, window_end;
