//! How a metric is declared.

/// A metric. Declared once, as a `static`, in the file of its crate that declares all of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// As queries write it: `weir_rows_read_total`. A counter ends in `_total`, behind its unit.
    pub name: &'static str,
    /// What its value means.
    pub kind: Kind,
    /// What is counted or measured.
    pub unit: Unit,
    /// A sentence for people, without the full stop at its end.
    pub help: &'static str,
    /// What tells its series apart, in the order in which values are given.
    pub labels: &'static [&'static str],
}

/// What a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0, as long as what it counts is there.
    Counter,
    /// How things stand.
    Gauge,
    /// How often values were below certain bounds.
    Histogram,
}

/// What is counted or measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things, which the name says.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Kind {
    /// As OpenMetrics calls it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

impl Unit {
    /// As OpenMetrics calls it; empty for things.
    pub fn word(self) -> &'static str {
        match self {
            Unit::None => "",
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
        }
    }
}

impl Metric {
    /// What the name is without the endings that follow from kind and unit; `None` if it does not have them.
    pub(crate) fn stem(&self) -> Option<&'static str> {
        let name = match self.kind {
            Kind::Counter => self.name.strip_suffix("_total")?,
            Kind::Gauge | Kind::Histogram => self.name,
        };
        match self.unit {
            Unit::None => Some(name),
            unit => name.strip_suffix(unit.word())?.strip_suffix('_'),
        }
    }

    /// What is wrong with the declaration, if anything is. For the tests of those who declare.
    ///
    /// # Errors
    /// A sentence about the first thing that is wrong.
    pub fn check(&self) -> Result<(), String> {
        let Self { name, kind, help, labels, .. } = self;
        let plain = |text: &str| {
            text.starts_with(|letter: char| letter.is_ascii_lowercase())
                && text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        };
        if self.stem().is_none_or(str::is_empty) || !plain(name) {
            return Err(format!("{name}: the name has to be plain and to end in its unit, and _total for a counter"));
        }
        if *kind != Kind::Counter && name.ends_with("_total") {
            return Err(format!("{name}: only counters end in _total"));
        }
        if help.is_empty() || help.ends_with('.') || help.contains('\n') {
            return Err(format!("{name}: the help has to be one sentence without its full stop"));
        }
        // Histograms and scrapers have these for themselves.
        match labels.iter().find(|label| !plain(label) || ["le", "quantile", "instance", "job"].contains(label)) {
            Some(label) => Err(format!("{name}: '{label}' is no label")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &'static str, kind: Kind, unit: Unit) -> Metric {
        Metric { name, kind, unit, help: "Something", labels: &["subtask"] }
    }

    #[test]
    fn a_name_says_what_is_measured() {
        assert_eq!(metric("weir_waits_seconds_total", Kind::Counter, Unit::Seconds).stem(), Some("weir_waits"));
        assert_eq!(metric("weir_state_bytes", Kind::Gauge, Unit::Bytes).stem(), Some("weir_state"));
        for (name, kind, unit) in [
            ("weir_rows", Kind::Counter, Unit::None),
            ("weir_rows_total", Kind::Counter, Unit::Bytes),
            ("weir_rows_total", Kind::Gauge, Unit::None),
            ("weir-rows_total", Kind::Counter, Unit::None),
            ("_total", Kind::Counter, Unit::None),
            ("seconds", Kind::Gauge, Unit::Seconds),
        ] {
            assert!(metric(name, kind, unit).check().is_err(), "{name}");
        }
        metric("weir_rows_total", Kind::Counter, Unit::None).check().unwrap();
        let labelled = Metric { labels: &["le"], ..metric("weir_rows_total", Kind::Counter, Unit::None) };
        assert!(labelled.check().is_err());
    }
}
