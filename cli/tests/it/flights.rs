//! The example data, and queries over it through the built binary.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_weir");

/// The repository's root: examples name their files from there.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in a folder of the repository")
}

/// Unpacks the example's flights, so that several subtasks can read parts of the file.
pub fn unpack(to: &Path) {
    let packed = std::fs::File::open(root().join("examples/data/flights-2013-01.csv.gz")).unwrap();
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut text).unwrap();
    std::fs::write(to, text).unwrap();
}

/// `weir run` of a script that is written into `folder`. `Ok` is what it printed.
pub fn run(folder: &Path, script: &str, arguments: &[&str]) -> Result<String, String> {
    let output = run_output(folder, script, arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("weir prints UTF-8");
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(format!("{}: {}", output.status, text(output.stderr))),
    }
}

/// As [`run`], with all that came out.
fn run_output(folder: &Path, script: &str, arguments: &[&str]) -> Output {
    let file = folder.join("query.sql");
    std::fs::write(&file, script).unwrap();
    Command::new(BINARY).current_dir(root()).arg("run").arg(&file).args(arguments).output().unwrap()
}

/// The example's month of flights, declared for Weir.
pub fn table(path: &Path, split_size: &str) -> String {
    format!(
        "CREATE TABLE flights (
           carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING, dep_delay DOUBLE, distance INT,
           time_hour TIMESTAMP(3),
           WATERMARK FOR time_hour AS time_hour - INTERVAL '1' DAY
         ) WITH (
           'connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'csv.header' = 'true',
           'csv.null-literal' = 'NA', 'source.split-size' = '{split_size}'
         );\n",
        path.display()
    )
}
