//! Secrets in a line of a script that an error shows, and in a whole statement.

/// Parts of the names of options whose values are not for every eye.
const SENSITIVE: [&str; 10] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "access-key",
    "apikey",
    "jaas",
    "key.pem",
    "oauthbearer.config",
];

/// The characters of a line. Of an option with a sensitive name, as in `'password' = '…'`, the value is masked, each
/// character by one, so that what is underlined stays in its place.
pub(super) fn masked(line: &str) -> Vec<char> {
    let mut characters: Vec<char> = line.chars().collect();
    // The last word, and whether it has ended.
    let (mut name, mut ended) = (String::new(), false);
    let mut sensitive = false;
    let mut index = 0;
    while index < characters.len() {
        match characters[index] {
            '\'' => {
                let closing = characters[index + 1..].iter().position(|character| *character == '\'');
                let end = closing.map_or(characters.len(), |length| index + 1 + length);
                if sensitive {
                    characters[index + 1..end].fill('*');
                } else {
                    name = characters[index + 1..end].iter().collect();
                    ended = true;
                }
                index = end;
            }
            '-' if characters[index..].starts_with(&['-', '-']) => {
                index += characters[index..].iter().take_while(|character| **character != '\n').count() - 1;
            }
            '/' if characters[index..].starts_with(&['/', '*']) => {
                let end = characters[index + 2..].windows(2).position(|pair| pair == ['*', '/']);
                index = end.map_or(characters.len(), |length| index + 2 + length + 1);
            }
            quote @ ('"' | '`') => {
                let closing = characters[index + 1..].iter().position(|character| *character == quote);
                let end = closing.map_or(characters.len(), |length| index + 1 + length);
                name = characters[index + 1..end].iter().collect();
                ended = true;
                index = end;
            }
            '=' => sensitive = is_sensitive(&name),
            ',' | '(' | ')' | ';' => {
                sensitive = false;
                name.clear();
            }
            space if space.is_whitespace() => ended = true,
            other => {
                if std::mem::take(&mut ended) {
                    name.clear();
                }
                name.push(other);
            }
        }
        index += 1;
    }
    characters
}

fn is_sensitive(name: &str) -> bool {
    let name = name.to_lowercase();
    SENSITIVE.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_of_sensitive_options_are_masked() {
        for (line, expected) in [
            ("'a' = 'b', 'db.password' = 'hunter2', 'c' = 'd'", "'a' = 'b', 'db.password' = '*******', 'c' = 'd'"),
            ("WITH (secret.key='x y', path = 'z')", "WITH (secret.key='***', path = 'z')"),
            ("SELECT 'it''s', b FROM t", "SELECT 'it''s', b FROM t"),
            ("'token' = 'open", "'token' = '****"),
            ("'password' =\'a\'", "'password' =\'*\'"),
            ("'properties.ssl.key.pem' = '-----'", "'properties.ssl.key.pem' = '*****'"),
            ("SET 's3.access-key' = 'AKIA'", "SET 's3.access-key' = '****'"),
            (
                "x INT -- the customer's\n) WITH ('password' = 'a')",
                "x INT -- the customer's\n) WITH ('password' = '*')",
            ),
            ("'password' = -- prod, new\n 'a'", "'password' = -- prod, new\n 'a'".replace("'a'", "'*'").as_str()),
            ("'password' = /* it's, old */ 'a'", "'password' = /* it's, old */ '*'"),
            ("`it's` INT) WITH ('password' = 'a')", "`it's` INT) WITH ('password' = '*')"),
            ("'password' = 'it''s'", "'password' = '**''*'"),
        ] {
            assert_eq!(masked(line).into_iter().collect::<String>(), expected);
        }
    }
}
