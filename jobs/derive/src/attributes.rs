//! What stands in `#[record(…)]` and `#[state(…)]`.

use syn::spanned::Spanned;
use syn::{Attribute, Error, Ident, LitStr, Result};

/// How names of fields or variants become names of columns or texts.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Snake,
    Camel,
    Pascal,
    ScreamingSnake,
    Kebab,
    Lower,
    Upper,
}

impl Case {
    fn parse(text: &LitStr) -> Result<Self> {
        Ok(match text.value().as_str() {
            "snake_case" => Self::Snake,
            "camelCase" => Self::Camel,
            "PascalCase" => Self::Pascal,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            other => {
                let known =
                    "snake_case, camelCase, PascalCase, SCREAMING_SNAKE_CASE, kebab-case, lowercase or UPPERCASE";
                return Err(Error::new(text.span(), format!("`{other}` is no case: write {known}")));
            }
        })
    }

    fn apply(self, name: &str) -> String {
        let words = words(name);
        let capital = |word: &String| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
        };
        match self {
            Self::Snake => words.join("_"),
            Self::Kebab => words.join("-"),
            Self::ScreamingSnake => words.join("_").to_uppercase(),
            Self::Lower => name.to_lowercase(),
            Self::Upper => name.to_uppercase(),
            Self::Pascal => words.iter().map(capital).collect(),
            Self::Camel => {
                let rest: String = words.iter().skip(1).map(capital).collect();
                words.first().cloned().unwrap_or_default() + &rest
            }
        }
    }
}

/// The words of a name in snake_case or PascalCase, in small letters.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut starts = true;
    for letter in name.chars() {
        if letter == '_' {
            starts = true;
            continue;
        }
        if starts || letter.is_uppercase() {
            words.push(String::new());
        }
        starts = false;
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    words
}

/// What stands on a struct or an enum.
#[derive(Default)]
pub(crate) struct OnType {
    rename_all: Option<Case>,
}

impl OnType {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("record")) {
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("rename_all") {
                    return Err(meta.error("a record has no such setting: only `rename_all = \"…\"`"));
                }
                found.rename_all = Some(Case::parse(&meta.value()?.parse()?)?);
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// The name of a field or variant that says nothing of its own.
    pub(crate) fn name(&self, ident: &Ident) -> String {
        let name = ident.to_string();
        let name = name.strip_prefix("r#").unwrap_or(&name);
        self.rename_all.map_or_else(|| name.to_owned(), |case| case.apply(name))
    }
}

/// The pieces of state that stand on a struct as dropped.
pub(crate) fn dropped(attributes: &[Attribute]) -> Result<Vec<LitStr>> {
    let mut dropped = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("state")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("dropped") {
                return Err(meta.error("a state has no such setting: only `dropped = \"…\"`"));
            }
            dropped.push(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(dropped)
}

/// What stands on a field or a variant.
#[derive(Default)]
pub(crate) struct OnField {
    pub(crate) name: Option<String>,
    pub(crate) event_time: bool,
    pub(crate) default: Option<String>,
    pub(crate) was: Option<String>,
}

impl OnField {
    /// `settings` are those that may stand there.
    pub(crate) fn parse(attributes: &[Attribute], of: &str, settings: &[&str]) -> Result<Self> {
        let mut found = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(of)) {
            attribute.parse_nested_meta(|meta| {
                let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
                if !settings.contains(&name.as_str()) {
                    return Err(Error::new(
                        meta.path.span(),
                        format!("there is no setting `{name}` here: only {}", settings.join(", ")),
                    ));
                }
                match name.as_str() {
                    "event_time" => found.event_time = true,
                    "name" => found.name = Some(meta.value()?.parse::<LitStr>()?.value()),
                    "default" => found.default = Some(meta.value()?.parse::<LitStr>()?.value()),
                    _ => found.was = Some(meta.value()?.parse::<LitStr>()?.value()),
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_any_case() {
        let all = |name: &str| {
            [Case::Snake, Case::Camel, Case::Pascal, Case::ScreamingSnake, Case::Kebab, Case::Lower, Case::Upper]
                .map(|case| case.apply(name))
        };
        let expected = ["page_view", "pageView", "PageView", "PAGE_VIEW", "page-view", "pageview", "PAGEVIEW"];
        assert_eq!(all("PageView"), expected);
        assert_eq!(all("page_view")[..5], expected[..5]);
    }
}
