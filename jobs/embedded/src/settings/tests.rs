#![allow(clippy::unwrap_used)]
use super::file::{Entry, entries};
use super::*;
use std::io::Write;
use std::path::Path;

fn resolve(layers: &Layers) -> Settings {
    Settings::resolve(layers, 6)
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn every_default_is_a_value_of_its_setting() {
    for setting in registry::SETTINGS {
        if let registry::Default::Value(text) = setting.default {
            assert!(setting.kind.parse(text).is_some(), "{}", setting.key);
        }
        assert!(setting.doc.ends_with('.'), "{}", setting.key);
    }
    assert!(registry::SETTINGS.is_sorted_by_key(|setting| setting.key));
}

#[test]
fn without_a_word_the_documented_defaults_hold() {
    let settings = resolve(&Layers::default());
    assert_eq!(settings.parallelism, 6);
    assert_eq!(settings.checkpoint_interval, Some(Duration::from_secs(10)));
    assert_eq!(settings.checkpoint_timeout, Duration::from_secs(600));
    assert_eq!(settings.idle_timeout, Some(Duration::from_secs(60)));
    assert_eq!(settings.state_dir, None);
    assert_eq!(settings.output, None);
    assert!(!settings.quiet);
}

#[test]
fn the_command_line_beats_the_script_and_the_script_beats_the_file() {
    let mut layers = Layers::default();
    layers
        .add_file(file("parallelism.default = 2\npipeline.name = 'file'\nexecution.batch-rows = 100").path())
        .unwrap();
    layers.set_in_script("parallelism.default", "3").unwrap();
    layers.set_in_script("pipeline.name", "script").unwrap();
    layers.set_on_command_line("parallelism.default", "4", Origin::Define).unwrap();
    let settings = resolve(&layers);
    assert_eq!(settings.parallelism, 4);
    assert_eq!(settings.name.as_deref(), Some("script"));
    assert_eq!(settings.batch_rows, 100);
}

#[test]
fn sizes_are_written_as_in_flink() {
    let budget = |text: &str| {
        let mut layers = Layers::default();
        layers.set_in_script("state.memory-budget", text).ok()?;
        resolve(&layers).memory_budget
    };
    assert_eq!(resolve(&Layers::default()).memory_budget, None);
    for (text, bytes) in [("0", 0), ("4096", 4096), ("64 mb", 64 << 20), ("1GB", 1 << 30), ("2 KibiBytes", 2048)] {
        assert_eq!(budget(text), Some(bytes), "{text}");
    }
    for text in ["", "mb", "-1", "1 mbit", "1.5 gb", "99999999 tb"] {
        assert_eq!(budget(text), None, "{text}");
    }
}

#[test]
fn slots_may_be_left_to_the_cluster_or_to_the_load() {
    let mut layers = Layers::default();
    let plain = resolve(&layers);
    assert!(!plain.parallelism_is_given && !plain.autoscaler.takes_what_there_is && !plain.autoscaler.enabled);
    assert_eq!((plain.autoscaler.least, plain.autoscaler.most, plain.autoscaler.target_percent), (1, 1024, 70));
    layers.set_in_script("parallelism.default", "AUTO").unwrap();
    layers.set_in_script("job.autoscaler.vertex.max-parallelism", "8").unwrap();
    layers.set_in_script("job.autoscaler.target.utilization", "55 %").unwrap();
    let auto = resolve(&layers);
    assert!(auto.parallelism_is_given && auto.autoscaler.takes_what_there_is);
    assert_eq!((auto.parallelism, auto.autoscaler.most, auto.autoscaler.target_percent), (6, 8, 55));
    layers.set_in_script("parallelism.default", "3").unwrap();
    let three = resolve(&layers);
    assert!(three.parallelism_is_given && !three.autoscaler.takes_what_there_is);
    for share in ["0.04", "1.01", "-1", "half", "101%", "NaN"] {
        assert!(layers.set_in_script("job.autoscaler.utilization.target", share).is_err(), "{share}");
    }
}

#[test]
fn reset_goes_back_to_what_held_before_the_script() {
    let mut layers = Layers::default();
    layers.add_file(file("parallelism.default = 2").path()).unwrap();
    layers.set_in_script("parallelism.default", "3").unwrap();
    layers.reset_in_script(Some("parallelism.default")).unwrap();
    assert_eq!(resolve(&layers).parallelism, 2);
    layers.set_in_script("pipeline.name", "x").unwrap();
    layers.reset_in_script(None).unwrap();
    assert_eq!(resolve(&layers).name, None);
    assert!(layers.reset_in_script(Some("paralelism")).is_err());
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let error =
        Layers::default().set_on_command_line("execution.checkpoint.interval", "1s", Origin::Define).unwrap_err();
    assert_eq!(error.to_string(), "-D: there is no setting 'execution.checkpoint.interval'");
    assert!(error.help().unwrap().contains("'execution.checkpointing.interval'"), "{error:?}");
}

#[test]
fn a_slip_in_the_last_part_of_a_key_finds_the_setting_wherever_it_is() {
    let error = Layers::default().set_on_command_line("execution.paralelism", "2", Origin::Define).unwrap_err();
    assert_eq!(error.help().unwrap(), "did you mean 'parallelism.default'? `weir options` lists them all");
    let error = Layers::default().set_on_command_line("paralelism", "2", Origin::Define).unwrap_err();
    assert_eq!(error.help().unwrap(), "did you mean 'parallelism.default'? `weir options` lists them all");
}

#[test]
fn a_wrong_value_says_what_was_expected_and_where_it_stands() {
    let mut layers = Layers::default();
    let error = layers.set_in_script("parallelism.default", "many").unwrap_err();
    assert_eq!(error.message, "parallelism.default cannot be 'many': expected a number from 1 to 1024, or 'auto'");
    assert!(error.in_value);
    assert!(layers.set_in_script("parallelism.default", "0").is_err());
    assert!(layers.set_in_script("execution.checkpointing.timeout", "0").is_err(), "no deadline at all");
    let file = file("\n[client]\noutput = 'xml'\n");
    let error = layers.add_file(file.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("line 3: client.output cannot be 'xml': expected 'auto', 'table', 'json' or 'csv'"),
        "{error}"
    );
}

#[test]
fn durations_are_written_as_in_flink_and_zero_turns_things_off() {
    for (text, expected) in
        [("1s", Some(1000)), ("500 ms", Some(500)), ("1 min", Some(60_000)), ("250", Some(250)), ("0", None)]
    {
        let mut layers = Layers::default();
        layers.set_on_command_line("execution.checkpointing.interval", text, Origin::Define).unwrap();
        assert_eq!(resolve(&layers).checkpoint_interval, expected.map(Duration::from_millis), "{text}");
    }
}

#[test]
fn flinks_older_keys_mean_the_same_setting() {
    let mut layers = Layers::default();
    layers.set_on_command_line("state.checkpoints.num-retained", "5", Origin::Define).unwrap();
    assert_eq!(resolve(&layers).retained_checkpoints, 5);
}

#[test]
fn two_different_values_on_the_command_line_are_an_error() {
    let mut layers = Layers::default();
    layers.set_on_command_line("parallelism.default", "2", Origin::Flag("--parallelism")).unwrap();
    layers.set_on_command_line("parallelism.default", "2", Origin::Define).unwrap();
    let error = layers.set_on_command_line("parallelism.default", "4", Origin::Define).unwrap_err().to_string();
    assert!(error.contains("two different values"), "{error}");
}

#[test]
fn a_toml_key_may_be_dotted_quoted_or_in_tables() {
    let text =
        "parallelism.default = 2\n\"execution.batch-rows\" = 1_000\n[execution.checkpointing]\ninterval = \"1s\"\n";
    let mut found = entries(Path::new("weir.toml"), text).unwrap();
    found.sort_by_key(|entry| entry.line);
    let entry = |key: &str, value: &str, line| Entry { key: key.into(), value: value.into(), line };
    assert_eq!(
        found,
        [
            entry("parallelism.default", "2", 1),
            entry("execution.batch-rows", "1_000", 2),
            entry("execution.checkpointing.interval", "1s", 4),
        ]
    );
}

#[test]
fn broken_toml_is_reported_with_its_line() {
    let error = entries(Path::new("weir.toml"), "a.b = 1\nc = = 2\n").unwrap_err();
    assert!(error.to_string().starts_with("weir.toml, line 2: "), "{error}");
    let error = entries(Path::new("weir.toml"), "a.b = [1, 2]").unwrap_err();
    assert_eq!(error.to_string(), "weir.toml, line 1: a.b cannot be a list");
}

#[test]
fn a_missing_settings_file_is_the_callers_mistake() {
    let error = Layers::default().add_file(Path::new("/nonexistent/weir.toml")).unwrap_err();
    assert_eq!(error.kind(), weir_core::ErrorKind::User);
    assert!(error.to_string().contains("/nonexistent/weir.toml"));
}
