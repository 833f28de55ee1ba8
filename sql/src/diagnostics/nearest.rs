//! What the user may have meant.

/// The candidate that `name` is most likely a slip of: the same but for case, or a few keystrokes away.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    // A name of one or two letters is near to everything.
    let limit = (lower.chars().count() / 3).min(4);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = candidate.to_lowercase();
            let distance = strsim::damerau_levenshtein(&lower, &other);
            // Separators are what people get wrong first: `idle_timeout`, `idletimeout`, `idle-timeout`.
            let same_letters = letters(&lower) == letters(&other) && !letters(&lower).is_empty();
            (distance <= limit || same_letters).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

fn letters(name: &str) -> String {
    name.chars().filter(|character| character.is_alphanumeric()).collect()
}

/// `did you mean …?` if there is a near name, else `fallback` and the whole list.
pub fn did_you_mean(name: &str, candidates: &[&str], fallback: &str) -> String {
    match nearest(name, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if candidates.is_empty() => format!("{fallback} none"),
        None => format!("{fallback} {}", one_of(candidates)),
    }
}

/// The names, quoted and separated; a long list is cut.
pub fn one_of(names: &[&str]) -> String {
    const SHOWN: usize = 30;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
