//! Java's regular expressions, as Flink takes them, in the words of the `regex` crate.
//!
//! | Java | here |
//! |---|---|
//! | `\d`, `\w`, `\s`, `\p{Lower}`, … | ASCII, so `[0-9]` and so on; `\b` goes by letters of all alphabets |
//! | `.` | everything but `\n` and `\r` |
//! | `\Q.*\E`, `\e`, `\h`, `\R`, `\v`, `\0101`, `\cA` | spelt out |
//! | `[[:alpha:]]`, `[a--b]`, `\<` | no class of POSIX, no difference, no edge of a word |
//! | `x*+` | `x*` where the pattern ends, refused elsewhere |
//! | look-around, back-references, `(?>…)`, `\G`, `\Z`, `(?U)`, `(?x)`, … | refused |
//!
//! What differs: `$` is the end of the text only, and not also the place before a line break that ends it; `(?i)` goes by letters
//! of all alphabets.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

/// Why a pattern cannot be translated.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no pattern in Java either.
    Invalid,
    /// Java has it.
    Unsupported(&'static str),
}

type Translated<T = ()> = Result<T, Refusal>;

const LOOK_AROUND: Refusal = Refusal::Unsupported("look-ahead and look-behind are not supported");
const BACK_REFERENCE: Refusal = Refusal::Unsupported("back-references are not supported");
const POSSESSIVE: Refusal =
    Refusal::Unsupported("`*+`, `++`, `?+` and `(?>…)`, which never give back, are not supported");
const ANCHOR: Refusal = Refusal::Unsupported("`\\G`, `\\Z` and `\\X` are not supported");
const FLAG: Refusal = Refusal::Unsupported("of the flags only i, m, s and u are supported");
const REPEATED: Refusal =
    Refusal::Unsupported("a repetition of a repetition is not supported; put the inner one in `(?:…)`");

/// `java` for the `regex` crate.
pub(super) fn translate(java: &str) -> Translated<String> {
    // With `R` the dot leaves `\r` out too.
    let mut scanner = Scanner { rest: java.chars().peekable(), out: String::from("(?R)"), depth: 0 };
    scanner.pattern()?;
    Ok(scanner.out)
}

struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// Groups that are open.
    depth: usize,
}

impl Scanner<'_> {
    fn pattern(&mut self) -> Translated {
        // Whether a repetition may come next, and whether one came before.
        let mut after_repetition = false;
        while let Some(character) = self.rest.next() {
            let repetition = matches!(character, '*' | '+' | '?' | '{');
            if repetition && after_repetition {
                return Err(if character == '{' { REPEATED } else { Refusal::Invalid });
            }
            match character {
                '*' | '+' | '?' => self.repetition(character.encode_utf8(&mut [0; 4]))?,
                '{' => {
                    let counts = self.counts()?;
                    self.repetition(&counts)?;
                }
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => {
                    self.depth += 1;
                    self.group()?;
                }
                ')' => {
                    self.depth = self.depth.checked_sub(1).ok_or(Refusal::Invalid)?;
                    self.out.push(')');
                }
                _ => self.out.push(character),
            }
            after_repetition = repetition;
        }
        Ok(())
    }

    fn repetition(&mut self, repetition: &str) -> Translated {
        self.out.push_str(repetition);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        } else if self.rest.next_if_eq(&'+').is_some() {
            // Where nothing follows there is nothing to give back for.
            let ends = matches!(self.rest.peek(), None | Some('|')) && self.depth == 0;
            return if ends { Ok(()) } else { Err(POSSESSIVE) };
        }
        Ok(())
    }

    /// The rest of `{2}`, `{2,}` or `{2,3}`.
    fn counts(&mut self) -> Translated<String> {
        let mut counts = String::from("{");
        loop {
            match self.rest.next() {
                Some(digit) if digit.is_ascii_digit() => counts.push(digit),
                Some(',') if counts.len() > 1 && !counts.contains(',') => counts.push(','),
                Some('}') if counts.len() > 1 => {
                    counts.push('}');
                    return Ok(counts);
                }
                _ => return Err(Refusal::Invalid),
            }
        }
    }

    /// Behind `(`.
    fn group(&mut self) -> Translated {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        match self.rest.next() {
            Some('=' | '!') => Err(LOOK_AROUND),
            Some('>') => Err(POSSESSIVE),
            Some('<') => match self.rest.peek() {
                Some('=' | '!') => Err(LOOK_AROUND),
                Some(letter) if letter.is_ascii_alphabetic() => {
                    self.out.push('<');
                    Ok(())
                }
                _ => Err(Refusal::Invalid),
            },
            Some(flag) => self.flags(flag),
            None => Err(Refusal::Invalid),
        }
    }

    fn flags(&mut self, first: char) -> Translated {
        let mut flag = first;
        let mut negated = false;
        loop {
            match flag {
                'i' | 'm' | 's' => self.out.push(flag),
                'u' if !negated => self.out.push('u'),
                '-' if !negated => {
                    negated = true;
                    self.out.push('-');
                }
                ':' => {
                    self.out.push(':');
                    return Ok(());
                }
                ')' => {
                    self.depth = self.depth.checked_sub(1).ok_or(Refusal::Invalid)?;
                    self.out.push(')');
                    return Ok(());
                }
                'd' | 'U' | 'u' | 'x' => return Err(FLAG),
                _ => return Err(Refusal::Invalid),
            }
            flag = self.rest.next().ok_or(Refusal::Invalid)?;
        }
    }

    /// A class, behind its `[`. Iterative: classes may be nested as deep as they like.
    fn class(&mut self) -> Translated {
        self.begin_class();
        let mut classes_around = 0_usize;
        let mut first = true;
        let mut before = None;
        loop {
            let Some(character) = self.rest.next() else { return Err(Refusal::Invalid) };
            match character {
                ']' if !first => {
                    self.out.push(']');
                    match classes_around.checked_sub(1) {
                        Some(left) => classes_around = left,
                        None => return Ok(()),
                    }
                }
                '[' => {
                    self.begin_class();
                    classes_around += 1;
                    (first, before) = (true, None);
                    continue;
                }
                '\\' => self.escape(true)?,
                // Two of them mean something to the crate, and so do `[:` and a leading `]`.
                '-' | '~' if before == Some(character) => {
                    self.out.push('\\');
                    self.out.push(character);
                }
                ':' | ']' if first => {
                    self.out.push('\\');
                    self.out.push(character);
                }
                _ => self.out.push(character),
            }
            before = Some(character);
            first = false;
        }
    }

    fn begin_class(&mut self) {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
    }

    /// An escape, behind its backslash.
    fn escape(&mut self, in_class: bool) -> Translated {
        let Some(character) = self.rest.next() else { return Err(Refusal::Invalid) };
        let class = match character {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            'w' => "[A-Za-z0-9_]",
            'W' => "[^A-Za-z0-9_]",
            's' => r"[ \t\n\x0B\f\r]",
            'S' => r"[^ \t\n\x0B\f\r]",
            'h' => r"[ \t\xA0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]",
            'H' => r"[^ \t\xA0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000]",
            'v' => r"[\n\x0B\f\r\x85\u2028\u2029]",
            'V' => r"[^\n\x0B\f\r\x85\u2028\u2029]",
            'R' if !in_class => r"(?:\r\n|[\n\x0B\f\r\x85\u2028\u2029])",
            't' => r"\t",
            'n' => r"\n",
            'r' => r"\r",
            'f' => r"\f",
            'a' => r"\a",
            'e' => r"\x1B",
            'A' if !in_class => r"\A",
            'z' if !in_class => r"\z",
            'B' if !in_class => r"\B",
            'b' if !in_class => {
                if self.rest.peek() == Some(&'{') {
                    return Err(ANCHOR);
                }
                r"\b"
            }
            'G' | 'Z' | 'X' if !in_class => return Err(ANCHOR),
            'k' | '1'..='9' if !in_class => return Err(BACK_REFERENCE),
            'Q' => return self.quoted(),
            'p' | 'P' => return self.property(character == 'P'),
            '0' => return self.octal(),
            'x' => return self.hexadecimal(2),
            'u' => return self.hexadecimal(4),
            'c' => {
                let control = self.rest.next().ok_or(Refusal::Invalid)?;
                return self.literal(char::from_u32(u32::from(control) ^ 64).ok_or(Refusal::Invalid)?);
            }
            'N' => return Err(Refusal::Unsupported("names of characters are not supported")),
            letter if letter.is_ascii_alphanumeric() => return Err(Refusal::Invalid),
            other => return self.literal(other),
        };
        self.out.push_str(class);
        Ok(())
    }

    fn literal(&mut self, character: char) -> Translated {
        write!(self.out, "\\x{{{:x}}}", u32::from(character)).map_err(|_| Refusal::Invalid)
    }

    /// Up to `\E`, or to the end.
    fn quoted(&mut self) -> Translated {
        while let Some(character) = self.rest.next() {
            if character == '\\' && self.rest.next_if_eq(&'E').is_some() {
                break;
            }
            self.literal(character)?;
        }
        Ok(())
    }

    fn octal(&mut self) -> Translated {
        let mut code = None;
        for _ in 0..3 {
            let Some(digit) = self.rest.peek().and_then(|digit| digit.to_digit(8)) else { break };
            let longer = code.unwrap_or(0) * 8 + digit;
            if longer > 0o377 {
                break;
            }
            code = Some(longer);
            self.rest.next();
        }
        self.literal(code.and_then(char::from_u32).ok_or(Refusal::Invalid)?)
    }

    fn hexadecimal(&mut self, digits: usize) -> Translated {
        let mut code = 0;
        if digits == 2 && self.rest.next_if_eq(&'{').is_some() {
            loop {
                match self.rest.next() {
                    Some('}') => break,
                    Some(digit) if code < 0x0011_0000 => {
                        code = code * 16 + digit.to_digit(16).ok_or(Refusal::Invalid)?
                    }
                    _ => return Err(Refusal::Invalid),
                }
            }
        } else {
            for _ in 0..digits {
                let digit = self.rest.next().and_then(|digit| digit.to_digit(16));
                code = code * 16 + digit.ok_or(Refusal::Invalid)?;
            }
        }
        // Half of a pair of UTF-16 units is no character.
        let halves =
            Refusal::Unsupported("half of a surrogate pair is not supported; write the character, or `\\x{…}`");
        self.literal(char::from_u32(code).ok_or(halves)?)
    }

    /// `\p{…}`: POSIX classes are ASCII; categories and scripts are Unicode's.
    fn property(&mut self, negated: bool) -> Translated {
        let mut name = String::new();
        match self.rest.next() {
            Some('{') => loop {
                match self.rest.next() {
                    Some('}') => break,
                    Some(character) => name.push(character),
                    None => return Err(Refusal::Invalid),
                }
            },
            Some(letter) => name.push(letter),
            None => return Err(Refusal::Invalid),
        }
        let ascii = match name.as_str() {
            "Lower" => "a-z",
            "Upper" => "A-Z",
            "ASCII" => r"\x00-\x7F",
            "Alpha" => "A-Za-z",
            "Digit" => "0-9",
            "Alnum" => "A-Za-z0-9",
            "Punct" => r"!-/:-@\[-`{-~",
            "Graph" => "!-~",
            "Print" => " -~",
            "Blank" => r" \t",
            "Cntrl" => r"\x00-\x1F\x7F",
            "XDigit" => "0-9A-Fa-f",
            "Space" => r" \t\n\x0B\f\r",
            _ => {
                let name = name.strip_prefix("Is").unwrap_or(&name);
                let _ = write!(self.out, r"\{}{{{name}}}", if negated { 'P' } else { 'p' });
                return Ok(());
            }
        };
        let _ = write!(self.out, "[{}{ascii}]", if negated { "^" } else { "" });
        Ok(())
    }
}
