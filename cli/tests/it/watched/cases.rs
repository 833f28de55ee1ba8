//! What is moved into folders, and what has to come of it.

use super::{Inbox, PER_TEN_SECONDS, files, seconds, windows_of};
use std::collections::BTreeMap;
use std::time::Duration;

/// Eight files with the same minute, three times.
pub fn files_together(parallelism: u32) {
    let mut watching = Inbox::new().watch("60s", PER_TEN_SECONDS, parallelism);
    watching.wait_for_checkpoint();
    for minute in 0..3 {
        watching.inbox.put(&files::<8>(&format!("{minute}-"), |_| seconds("k", minute * 60, 60)));
        let expected = windows_of(minute);
        assert_eq!(watching.sorted_rows(expected.len()), expected, "parallelism {parallelism}, minute {minute}");
    }
}

/// The same, and nothing for so long that all subtasks are idle.
pub fn files_after_a_silence(parallelism: u32) {
    let mut watching = Inbox::new().watch("300ms", PER_TEN_SECONDS, parallelism);
    watching.wait_for_checkpoint();
    for minute in 0..3 {
        #[allow(clippy::disallowed_methods, reason = "so long is nothing to happen")]
        std::thread::sleep(Duration::from_secs(1));
        watching.inbox.put(&files::<8>(&format!("{minute}-"), |_| seconds("k", minute * 60, 60)));
        let expected = windows_of(minute);
        assert_eq!(watching.sorted_rows(expected.len()), expected, "parallelism {parallelism}, minute {minute}");
    }
}

/// Two stages that wait for time, both sides from one folder.
pub fn views_of_one_folder(parallelism: u32) {
    let query = "
        CREATE VIEW a AS SELECT window_start, window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts),
          INTERVAL '1' HOUR)) WHERE kind = 'a' GROUP BY window_start, window_end;
        CREATE VIEW b AS SELECT window_start, window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts),
          INTERVAL '1' HOUR)) WHERE kind = 'b' GROUP BY window_start, window_end;
        SELECT a.window_start, a.n, b.n AS m FROM a LEFT JOIN b
          ON a.window_start = b.window_start AND a.window_end = b.window_end;";
    let mut watching = Inbox::new().watch("60s", query, parallelism);
    watching.wait_for_checkpoint();
    let (mut shown, mut expected) = (Vec::new(), Vec::new());
    for hour in 0..6 {
        // Each file has an hour of its kind, and every third hour has none of b.
        let mut arriving = files::<3>(&format!("{hour}-a-"), |_| seconds("a", hour * 3600, 3600));
        if hour % 3 != 2 {
            arriving.extend(files::<2>(&format!("{hour}-b-"), |_| seconds("b", hour * 3600, 3600)));
        }
        watching.inbox.put(&arriving);
        let seen = if hour % 3 == 2 { "" } else { "7200" };
        expected.push(format!("2026-01-01 {hour:02}:00:00.000,10800,{seen}"));
        // An hour is over when the next one has begun.
        shown.extend(watching.rows(usize::from(hour > 0)));
    }
    expected.pop();
    assert_eq!(shown, expected, "parallelism {parallelism}");
}

/// Windows of ten seconds in windows of a minute.
pub fn windows_over_windows(parallelism: u32) {
    let query = "
        CREATE VIEW ten AS SELECT window_time AS wt, COUNT(*) AS n
          FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, window_time;
        SELECT window_start, SUM(n) AS n, COUNT(*) AS windows
          FROM TABLE(TUMBLE(TABLE ten, DESCRIPTOR(wt), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;";
    let mut watching = Inbox::new().watch("60s", query, parallelism);
    watching.wait_for_checkpoint();
    for minute in 0..4 {
        watching.inbox.put(&files::<6>(&format!("{minute}-"), |_| seconds("k", minute * 60, 60)));
        let expected: Vec<String> =
            minute.checked_sub(1).map(|before| format!("2026-01-01 00:{before:02}:00.000,360,6")).into_iter().collect();
        assert_eq!(watching.rows(expected.len()), expected, "parallelism {parallelism}, minute {minute}");
    }
}

/// Files of one folder come a while before those of the other, which have the partners of their rows.
pub fn partners_that_come_later(parallelism: u32) {
    let query = "
        SELECT CAST(MINUTE(a.ts) AS INT) AS of, CAST(SECOND(b.ts) AS INT) AS later FROM t a LEFT JOIN other b
          ON a.kind = b.kind AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '5' SECOND;";
    let mut watching = Inbox::new().watch("60s", query, parallelism);
    let file = |name: &str, lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|line| format!("k,2026-01-01 {line}\n")).collect();
        BTreeMap::from([(format!("{name}.csv"), lines.concat())])
    };
    watching.inbox.put(&file("a-0", &["00:00:00"]));
    watching.inbox.put_into("other", &file("b-0", &["00:00:01"]));
    assert_eq!(watching.rows(1), ["0,1"], "parallelism {parallelism}");
    watching.inbox.put(&file("a-1", &["00:01:00", "00:02:00"]));
    #[allow(clippy::disallowed_methods, reason = "so long later the partners come")]
    std::thread::sleep(Duration::from_millis(600));
    watching.inbox.put_into("other", &file("b-1", &["00:01:02", "00:02:03"]));
    assert_eq!(watching.sorted_rows(2), ["1,2", "2,3"], "parallelism {parallelism}");
}
