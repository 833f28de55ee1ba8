//! Types of settings, and how their values are written.

use std::time::Duration;

use weir_connectors::options::parse_duration;

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Count {
        /// Least.
        minimum: usize,
        /// Greatest.
        maximum: usize,
    },
    /// A number, or `auto`.
    CountOrAuto {
        /// Least.
        minimum: usize,
        /// Greatest.
        maximum: usize,
    },
    /// A part of a whole, as in `0.7` or `70 %`; whole percents.
    Share,
    /// A duration as Flink writes it.
    Duration {
        /// What zero means; empty if zero is refused.
        zero: &'static str,
    },
    /// A number of bytes as Flink writes it.
    Size,
    /// `true` or `false`.
    Flag,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
}

/// A value that its setting's [`Kind`] has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of [`Kind::Count`] and [`Kind::CountOrAuto`], and of [`Kind::Share`] in percent.
    Count(usize),
    /// Of [`Kind::CountOrAuto`].
    Auto,
    /// Of [`Kind::Duration`].
    Duration(Duration),
    /// Of [`Kind::Size`], in bytes.
    Size(u64),
    /// Of [`Kind::Flag`].
    Flag(bool),
    /// Of [`Kind::Choice`] (in the registry's spelling) and [`Kind::Text`].
    Text(String),
}

impl Kind {
    /// The value that `text` stands for; `None` if it stands for none.
    pub fn parse(&self, text: &str) -> Option<Value> {
        let text = text.trim();
        match self {
            Kind::CountOrAuto { .. } if text.eq_ignore_ascii_case("auto") => Some(Value::Auto),
            Kind::Count { minimum, maximum } | Kind::CountOrAuto { minimum, maximum } => {
                let count = text.replace('_', "").parse().ok()?;
                (*minimum..=*maximum).contains(&count).then_some(Value::Count(count))
            }
            Kind::Share => {
                let percent = match text.strip_suffix('%') {
                    Some(percent) => percent.trim().parse().ok()?,
                    None => text.parse::<f64>().ok()? * 100.0,
                };
                // From 5 to 100 percent, so that nothing is cut off.
                (5.0..=100.0).contains(&percent).then_some(Value::Count(percent.round() as usize))
            }
            Kind::Duration { zero } => {
                let duration = parse_duration(text)?;
                (!duration.is_zero() || !zero.is_empty()).then_some(Value::Duration(duration))
            }
            Kind::Size => parse_size(text).map(Value::Size),
            Kind::Flag => text.to_ascii_lowercase().parse().ok().map(Value::Flag),
            Kind::Choice(words) => {
                words.iter().find(|word| word.eq_ignore_ascii_case(text)).map(|word| Value::Text((*word).to_owned()))
            }
            Kind::Text => Some(Value::Text(text.to_owned())),
        }
    }

    /// What is accepted, for error messages and documentation.
    pub fn expected(&self) -> String {
        match self {
            Kind::Count { minimum, maximum } => format!("a number from {minimum} to {maximum}"),
            Kind::CountOrAuto { minimum, maximum } => format!("a number from {minimum} to {maximum}, or 'auto'"),
            Kind::Share => "a share from '0.05' to '1', or from '5 %' to '100 %'".into(),
            Kind::Duration { zero: "" } => "a duration such as '500 ms', '10 s' or '1 min'".into(),
            Kind::Duration { zero } => format!("a duration such as '500 ms', '10 s' or '1 min', or 0 ({zero})"),
            Kind::Size => "a size such as '64 mb', '1 gb' or '4096' bytes".into(),
            Kind::Flag => "'true' or 'false'".into(),
            Kind::Choice(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
                match quoted.split_last() {
                    Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                    _ => quoted.concat(),
                }
            }
            Kind::Text => "text".into(),
        }
    }
}

impl Value {
    /// The number of a setting that is declared as one.
    pub fn count(self) -> usize {
        match self {
            Value::Count(count) => count,
            other => unreachable!("the registry declares this setting as a number, not {other:?}"),
        }
    }

    /// The duration of a setting that is declared as one.
    pub fn duration(self) -> Duration {
        match self {
            Value::Duration(duration) => duration,
            other => unreachable!("the registry declares this setting as a duration, not {other:?}"),
        }
    }

    /// The bytes of a setting that is declared as a size.
    pub fn size(self) -> u64 {
        match self {
            Value::Size(bytes) => bytes,
            other => unreachable!("the registry declares this setting as a size, not {other:?}"),
        }
    }

    /// The truth value of a setting that is declared as one.
    pub fn flag(self) -> bool {
        match self {
            Value::Flag(flag) => flag,
            other => unreachable!("the registry declares this setting as a flag, not {other:?}"),
        }
    }

    /// The text of a setting that is declared as text or a choice.
    pub fn text(self) -> String {
        match self {
            Value::Text(text) => text,
            other => unreachable!("the registry declares this setting as text, not {other:?}"),
        }
    }
}

/// A number and a unit of 1024, as Flink's `MemorySize` has them; bytes without one.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 1,
        "k" | "kb" | "kibibytes" => 1 << 10,
        "m" | "mb" | "mebibytes" => 1 << 20,
        "g" | "gb" | "gibibytes" => 1 << 30,
        "t" | "tb" | "tebibytes" => 1 << 40,
        _ => return None,
    };
    number.replace('_', "").parse::<u64>().ok()?.checked_mul(unit)
}
