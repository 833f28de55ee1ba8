//! What is shipped for monitoring speaks of metrics that there are, and the reference of metrics is that of their declarations.

use std::path::PathBuf;

use regex::Regex;
use weir_monitoring::{Kind, Metric, reference};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

fn declared() -> Vec<&'static Metric> {
    [
        weir_coordinator::metrics::METRICS,
        weir_worker::METRICS,
        weir_monitoring::PROCESS_METRICS,
        weir_monitoring::TRACE_METRICS,
    ]
    .concat()
}

/// The names that a text uses, as they are scraped.
fn used(text: &str) -> Vec<String> {
    let names = Regex::new(r"\b(weir|process)_[a-z_]+\b").unwrap();
    let mut used: Vec<String> = names.find_iter(text).map(|name| name.as_str().to_owned()).collect();
    used.sort();
    used.dedup();
    used
}

/// The names under which a metric is scraped.
fn scraped(metric: &Metric) -> Vec<String> {
    match metric.kind {
        Kind::Counter | Kind::Gauge => vec![metric.name.to_owned()],
        Kind::Histogram => ["bucket", "sum", "count"].map(|end| format!("{}_{end}", metric.name)).into(),
    }
}

#[test]
fn dashboard_and_alerts_use_metrics_that_there_are() {
    let names: Vec<String> = declared().into_iter().flat_map(scraped).collect();
    for (path, least) in [("deploy/monitoring/alerts.yml", 15), ("deploy/monitoring/dashboard.json", 30)] {
        let used = used(&read(path));
        let unknown: Vec<&String> = used.iter().filter(|name| !names.contains(name)).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
        assert!(used.len() >= least, "{path} uses {} metrics", used.len());
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/monitoring/dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 20);
}

#[test]
fn labels_in_dashboard_and_alerts_are_those_of_the_metrics() {
    // A metric, its selectors; `by (…)` is checked by hand.
    let selectors = Regex::new(r"\b((?:weir|process)_[a-z_]+)\{([^}]*)\}").unwrap();
    let label = Regex::new(r"([a-z_]+)\s*(?:=~|!=|!~|=)").unwrap();
    let mut checked = 0;
    for path in ["deploy/monitoring/alerts.yml", "deploy/monitoring/dashboard.json"] {
        for selector in selectors.captures_iter(&read(path)) {
            let metric =
                declared().into_iter().find(|metric| scraped(metric).contains(&selector[1].to_owned())).unwrap();
            for name in label.captures_iter(&selector[2]) {
                assert!(metric.labels.contains(&&name[1]), "{path}: {} has no label {}", metric.name, &name[1]);
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "{checked}");
}

/// What the reference in docs/monitoring.md has to be.
fn tables() -> String {
    let of = |title: &str, metrics: &[&Metric]| format!("### {title}\n\n{}\n", reference(metrics));
    of("Coordinators", weir_coordinator::metrics::METRICS)
        + &of("Workers", weir_worker::METRICS)
        + &of("Every process", weir_monitoring::PROCESS_METRICS)
        + &of("With a collector of OpenTelemetry", weir_monitoring::TRACE_METRICS)
}

const BEGIN: &str =
    "<!-- From the declarations: `cargo test -p weir-cli --test it monitoring::write -- --ignored` writes it. -->\n\n";
const END: &str = "<!-- End of what is written. -->\n";

#[test]
fn the_reference_is_that_of_the_declarations() {
    let document = read("docs/monitoring.md");
    let (_, rest) = document.split_once(BEGIN).expect("docs/monitoring.md has no place for the reference");
    let (written, _) = rest.split_once(END).unwrap();
    assert_eq!(written, tables(), "run the ignored test `monitoring::write`");
}

#[test]
#[ignore = "writes the reference into docs/monitoring.md"]
fn write() {
    let document = read("docs/monitoring.md");
    let (head, rest) = document.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    std::fs::write(repository().join("docs/monitoring.md"), format!("{head}{BEGIN}{}{END}{tail}", tables())).unwrap();
}
