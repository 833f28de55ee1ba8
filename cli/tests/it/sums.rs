//! A job over a watched folder, whose script comes with one setting or another.

use std::fs;
use std::path::{Path, PathBuf};

/// Sums per key and hour of what is put into a folder.
pub struct Sums(PathBuf);

impl Sums {
    /// All its folders are in this one.
    pub fn new(folder: &Path) -> Self {
        fs::create_dir(folder.join("in")).unwrap();
        Self(folder.to_owned())
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// The script. `options`: of the table that is read; `more`: further statements.
    pub fn script(&self, options: &str, more: &str) -> String {
        self.script_into("out", options, more)
    }

    /// The script, with its results in another folder.
    pub fn script_into(&self, folder: &str, options: &str, more: &str) -> String {
        format!(
            "CREATE TABLE t (k STRING, n INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem',
               'path' = '{}', 'format' = 'csv', 'source.monitor-interval' = '50ms' {options});
             CREATE TABLE o (k STRING, n BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
             {more}
             INSERT INTO o SELECT k, SUM(n) FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR)
             GROUP BY window_start, window_end, k;",
            self.path("in"),
            self.path(folder)
        )
    }

    /// Statements that have late rows written to the folder `late`.
    pub fn late_table(&self) -> String {
        format!(
            "CREATE TABLE a_late (operator STRING, event_time TIMESTAMP(3), watermark TIMESTAMP(3), `row` STRING)
               WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
             SET 'pipeline.late-rows.table' = 'a_late';",
            self.path("late")
        )
    }

    /// A file comes, as a whole.
    pub fn put(&self, name: &str, text: &str) {
        fs::write(self.path("fresh"), text).unwrap();
        fs::rename(self.path("fresh"), self.0.join("in").join(name)).unwrap();
    }

    /// Lines of all visible results in a folder, sorted.
    pub fn shown(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().map(|entry| entry.unwrap().path());
        let visible = entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("part-"));
        let mut lines: Vec<String> = visible
            .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        lines.sort();
        lines
    }
}
