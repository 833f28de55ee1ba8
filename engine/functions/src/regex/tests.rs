#![allow(clippy::unwrap_used)]

use super::*;

fn extract(text: &str, java: &str) -> Option<String> {
    match &*pattern(java) {
        Pattern::Sound(sound) => sound.regex.find(text).map(|found| found.as_str().to_owned()),
        Pattern::Invalid => Some("invalid".to_owned()),
        Pattern::Unsupported(_) => Some("unsupported".to_owned()),
    }
}

#[test]
fn patterns_mean_what_they_mean_in_java() {
    for (text, java, expected) in [
        ("١٢3", r"\d+", Some("3")),
        ("aé b", r"\w+\b", Some("b")),
        ("Éab", r"\p{Lower}+", Some("ab")),
        ("Éab", r"\p{Lu}", Some("É")),
        ("Éab", r"\p{IsLatin}+", Some("Éab")),
        ("a.b", r"\Q.b\E", Some(".b")),
        ("abc", "[[:alpha:]]+", Some("a")),
        ("ab12", "[a-z&&[^b]]+", Some("a")),
        ("é", r"\u00e9", Some("é")),
        ("a-b", "[+--]+", Some("-")),
        ("a-b", "[a--]+", Some("invalid")),
        ("<b>", r"\<b\>", Some("<b>")),
        ("a\r\nb", "a.", None),
        ("a\nb", "(?s)a.b", Some("a\nb")),
        ("a]b", "[]]", Some("]")),
        ("aaa", "a++", Some("aaa")),
        ("A", r"\0101", Some("A")),
        ("a{2}", "a{", Some("invalid")),
        ("a", "a**", Some("invalid")),
        ("a", "(", Some("invalid")),
        ("a", "a)", Some("invalid")),
        ("a", "[", Some("invalid")),
        ("a", r"\", Some("invalid")),
        ("a", r"\y", Some("invalid")),
        ("a", "*a", Some("invalid")),
        ("a", "(?P<n>a)", Some("invalid")),
        ("a", "(?<=x)a", Some("unsupported")),
        ("aa", r"(a)\1", Some("unsupported")),
        ("a", "a++a", Some("unsupported")),
        ("a", r"a\Z", Some("unsupported")),
        ("a", "(?U)a", Some("unsupported")),
        ("a", r"\p{InGreek}", Some("unsupported")),
        ("a", "(?x)a # b", Some("unsupported")),
        ("a", "(?i-x:a)", Some("unsupported")),
    ] {
        assert_eq!(extract(text, java).as_deref(), expected, "{java} in {text:?}");
    }
}

#[test]
fn an_empty_match_may_follow_a_match() {
    let regex = Regex::new("a*").unwrap();
    let matches: Vec<_> = Matches::new(&regex, "baac").collect();
    assert_eq!(matches, [(0, 0), (1, 3), (3, 3), (4, 4)]);
}

#[test]
fn classes_within_classes_take_no_stack() {
    let nested = |depth: usize, end: &str| format!("{}a{}", "[".repeat(depth), end.repeat(depth));
    assert_eq!(extract("a", &nested(100, "]")).as_deref(), Some("a"));
    assert_eq!(extract("a", &nested(100_000, "]")).as_deref(), Some("unsupported"));
    assert_eq!(extract("a", &nested(100_000, "")).as_deref(), Some("invalid"));
    assert_eq!(extract("b-", "[^[a]-]+").as_deref(), Some("b"));
}
