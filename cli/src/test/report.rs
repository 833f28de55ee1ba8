//! Results for people and for machines.

use std::path::Path;

use super::suite::{Case, FileReport};

/// The failures of a file.
pub fn failures(path: &Path, report: &FileReport) -> String {
    let mut text = String::new();
    for failure in report.cases.iter().filter_map(|case| case.failure.as_ref()) {
        let mut lines = failure.text.trim_end().lines();
        let first = lines.next().unwrap_or_default();
        text.push_str(&format!("{}:{}: {first}\n", path.display(), failure.line));
        lines.for_each(|line| text.push_str(&format!("  {line}\n")));
        text.push('\n');
    }
    text
}

/// All results as JUnit's XML: a suite for each file, a case for each record.
pub fn junit<'a>(files: impl Iterator<Item = (&'a Path, &'a FileReport)>) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (path, report) in files {
        let name = escaped(&path.display().to_string());
        let failed = report.cases.iter().filter(|case| case.failure.is_some()).count();
        let seconds: f64 = report.cases.iter().map(|case| case.took.as_secs_f64()).sum();
        xml.push_str(&format!(
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{seconds:.3}\">\n",
            report.cases.len()
        ));
        report.cases.iter().for_each(|case| xml.push_str(&junit_case(&name, case)));
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn junit_case(file: &str, case: &Case) -> String {
    let Case { name, took, failure } = case;
    let head =
        format!("    <testcase classname=\"{file}\" name=\"{}\" time=\"{:.3}\"", escaped(name), took.as_secs_f64());
    match failure {
        None => format!("{head}/>\n"),
        Some(failure) => {
            let message = escaped(failure.text.lines().next().unwrap_or_default());
            let text = escaped(failure.text.trim_end());
            format!(
                "{head}>\n      <failure message=\"{message}\">{file}:{}: {text}</failure>\n    </testcase>\n",
                failure.line
            )
        }
    }
}

/// Text that is no markup. Characters that XML has no way to write become question marks.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            control if control.is_control() => escaped.push('?'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::suite::Failure;
    use super::*;

    #[test]
    fn xml_has_a_case_for_each_record_and_no_markup_of_messages() {
        let case = |failure| Case { name: "query, line 3".into(), took: Duration::from_millis(12), failure };
        let failure = Failure::new(4, "a < b\n+ \u{1b}x");
        let report = FileReport { cases: vec![case(None), case(Some(failure))], updates: Vec::new() };
        assert_eq!(
            junit(std::iter::once((Path::new("a.test"), &report))),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  \
             <testsuite name=\"a.test\" tests=\"2\" failures=\"1\" errors=\"0\" time=\"0.024\">\n    \
             <testcase classname=\"a.test\" name=\"query, line 3\" time=\"0.012\"/>\n    \
             <testcase classname=\"a.test\" name=\"query, line 3\" time=\"0.012\">\n      \
             <failure message=\"a &lt; b\">a.test:4: a &lt; b\n+ ?x</failure>\n    </testcase>\n  </testsuite>\n</testsuites>\n"
        );
        assert_eq!(failures(Path::new("a.test"), &report), "a.test:4: a < b\n  + \u{1b}x\n\n");
    }
}
