//! What DataFusion says in words of its own, or says at length, as a user would want to hear it.

use super::nearest;

/// An error in other words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reworded {
    pub message: String,
    pub help: Option<String>,
    /// A word of the statement that it is about, for where nothing more exact is known.
    pub word: Option<String>,
}

/// The message in other words, if there are any. `named`: what stands at the place of the error.
pub(super) fn reworded(message: &str, named: Option<&str>) -> Option<Reworded> {
    ungrouped(message, named)
        .or_else(|| unfit(message))
        .or_else(|| no_number(message))
        .or_else(|| no_common_type(message))
        .or_else(|| miscounted(message))
        .or_else(|| unknown(message))
        .or_else(|| unsupported(message))
}

/// A column that is no key, next to an aggregate.
fn ungrouped(message: &str, named: Option<&str>) -> Option<Reworded> {
    let (clause, rest) =
        message.strip_prefix("Column in ")?.split_once(" must be in GROUP BY or an aggregate function")?;
    let column = rest.split_once("column \"")?.1.split_once("\" must appear")?.0;
    let short = column.rsplit_once('.').map_or(column, |(_, name)| name);
    let name = named.unwrap_or(short);
    let help = match short {
        "window_start" | "window_end" | "window_time" => format!(
            "aggregate per window: `GROUP BY window_start, window_end{}`",
            if short == "window_time" { ", window_time" } else { "" }
        ),
        _ => format!("name it in GROUP BY, or say which of its values is meant, as in `MAX({name})`"),
    };
    Some(Reworded {
        message: format!("`{name}` in {clause} is neither a key of GROUP BY nor within an aggregate"),
        help: Some(help),
        word: Some(short.to_owned()),
    })
}

/// Arguments of types that a function does not take.
fn unfit(message: &str) -> Option<Reworded> {
    let (function, rest) = message.strip_prefix("Function '")?.split_once("' failed to match any signature")?;
    let given = rest.split_once("(DataType: ")?.1.split_once(")")?.0;
    let mut taken: Vec<&str> = Vec::new();
    for part in rest.split(" requires ").skip(1) {
        let wanted = match part.split(", but received").next().unwrap_or_default() {
            "Decimal" => "DECIMAL",
            "Interval" => "INTERVAL",
            // No column has these.
            "Duration" | "UInt8" | "UInt16" | "UInt32" | "UInt64" => continue,
            other => other,
        };
        if !taken.contains(&wanted) {
            taken.push(wanted);
        }
    }
    let function = function.to_uppercase();
    Some(Reworded {
        message: format!("{function} does not take {given}"),
        help: Some(format!("CAST the argument to a type that it takes: {}", taken.join(", "))),
        word: Some(function),
    })
}

/// Something else where a function takes numbers.
fn no_number(message: &str) -> Option<Reworded> {
    let (before, rest) = message.split_once("' expects ")?;
    let function = before.rsplit_once("Function '")?.1;
    let given = rest.strip_prefix("NativeType::").unwrap_or(rest).strip_prefix("Numeric but received ")?;
    let given = given.strip_prefix("NativeType::").unwrap_or(given);
    let given: String = given.chars().take_while(char::is_ascii_alphanumeric).collect();
    let function = function.to_uppercase();
    Some(Reworded {
        message: format!("{function} takes a number, and not {}", given.to_uppercase()),
        help: Some("CAST the argument to a number, such as `CAST(x AS DOUBLE)`".to_owned()),
        word: Some(function),
    })
}

/// Arguments of which one is returned, and which have no type in common.
fn no_common_type(message: &str) -> Option<Reworded> {
    let (_, call) = message.split_once("Fail to find the coerced type")?.1.split_once("argument types '")?;
    let (function, given) = call.split_once(")'")?.0.split_once('(')?;
    let function = function.to_uppercase();
    Some(Reworded {
        message: format!("the arguments of {function} have no type in common: {given}"),
        help: Some("CAST them to one type, as in `CAST(x AS STRING)`".to_owned()),
        word: Some(function),
    })
}

/// A call with too few or too many arguments, or with others than the function takes.
fn miscounted(message: &str) -> Option<Reworded> {
    let of_count = message.strip_prefix("Function '").and_then(|rest| rest.split_once("' expects "));
    let is_name = |text: &str| text.chars().all(|character| character.is_alphanumeric() || character == '_');
    if let Some((function, counts)) = of_count.filter(|(function, _)| is_name(function)) {
        let said = counts.split(". No function").next().unwrap_or_default();
        let help = match function {
            "percentile_cont" | "approx_percentile_cont" => {
                Some(format!("write `{}(0.9) WITHIN GROUP (ORDER BY x)`", function.to_uppercase()))
            }
            _ => None,
        };
        let message = format!("Function '{function}' expects {said}");
        return Some(Reworded { message, help, word: Some(function.to_uppercase()) });
    }
    let (before, rest) = message.split_once("user-defined coercion failed with: Error during planning: ")?;
    let function = before.split_once("Function '")?.1.split_once('\'')?.0.to_uppercase();
    let said = rest.split(" No function matches the given name").next()?.trim_end_matches('.');
    let message = said.strip_suffix(", found 1 arguments").map(|form| format!("{form}, found 1 argument"));
    Some(Reworded { message: message.unwrap_or_else(|| said.to_owned()), help: None, word: Some(function) })
}

/// What is refused with a dump of what was parsed.
fn unsupported(message: &str) -> Option<Reworded> {
    let (said, help) = if message.starts_with("Dot access not supported for non-string expr") {
        (
            "a field is taken of columns only",
            "give the value a name in a subquery: `SELECT v.c0 FROM (SELECT ROW(1, 'x') AS v FROM t)`",
        )
    } else if message.starts_with("ANY in LIKE expression") {
        ("LIKE ANY and LIKE ALL are not supported", "write a LIKE for each pattern, with OR or AND between them")
    } else if message.starts_with("Unsupported interval argument") {
        ("an INTERVAL is a constant", "`TIMESTAMPADD(DAY, n, ts)` moves a time by a column")
    } else {
        return None;
    };
    Some(Reworded { message: said.to_owned(), help: Some(help.to_owned()), word: None })
}

/// A function that there is not. DataFusion guesses one in any case.
fn unknown(message: &str) -> Option<Reworded> {
    let (function, guess) = message.strip_prefix("Invalid function '")?.split_once('\'')?;
    let guess = guess.split_once("Did you mean '").and_then(|(_, guess)| guess.split('\'').next());
    let guess = guess.filter(|guess| nearest(function, [*guess]).is_some());
    Some(Reworded {
        message: format!("there is no function `{function}`"),
        help: guess.map(|guess| format!("did you mean `{guess}`?")),
        word: Some(function.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_that_is_further_than_a_slip_is_none() {
        let help = |message| reworded(message, None).unwrap().help;
        assert_eq!(help("Invalid function 'crc32'.\nDid you mean 'acos'?"), None);
        assert_eq!(help("Invalid function 'json_length'.\nDid you mean 'bit_length'?"), None);
        assert_eq!(help("Invalid function 'uper'.\nDid you mean 'upper'?").unwrap(), "did you mean `upper`?");
    }

    #[test]
    fn what_is_said_otherwise_stays_as_it_is() {
        for message in ["Column in a bad mood", "Function 'f' is broken", "there is nothing"] {
            assert_eq!(reworded(message, None), None);
        }
    }
}
