//! Just enough of Rust's lexical structure (the Reference, chapter 2) to tell code from
//! comments, strings and character literals.

use std::iter::Peekable;
use std::str::Chars;

/// A word or one character of punctuation, and its line from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// The tokens of a source without comments and literals.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: source.chars().peekable(),
        line: 1,
    };
    std::iter::from_fn(|| lexer.next_token()).collect()
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Lexer<'_> {
    fn next_token(&mut self) -> Option<Token> {
        loop {
            let line = self.line;
            let first = self.bump()?;
            let text = match first {
                '/' if self.rest.peek() == Some(&'/') => {
                    self.skip_line();
                    continue;
                }
                '/' if self.rest.peek() == Some(&'*') => {
                    self.skip_block();
                    continue;
                }
                '"' => {
                    self.skip_string();
                    continue;
                }
                '\'' => {
                    self.skip_character();
                    continue;
                }
                space if space.is_whitespace() => continue,
                letter if is_word(letter) => self.word(letter),
                other => other.to_string(),
            };
            if matches!(text.as_str(), "r" | "br" | "cr") && self.skip_raw_string() {
                continue;
            }
            return Some(Token { text, line });
        }
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(next) = self.rest.next_if(|next| is_word(*next)) {
            word.push(next);
        }
        word
    }

    fn skip_line(&mut self) {
        while self.bump().is_some_and(|next| next != '\n') {}
    }

    /// Block comments nest.
    fn skip_block(&mut self) {
        let mut depth = 1;
        self.bump();
        while depth > 0 {
            match (self.bump(), self.rest.peek()) {
                (Some('*'), Some('/')) => depth -= 1,
                (Some('/'), Some('*')) => depth += 1,
                (None, _) => return,
                (Some(_), _) => continue,
            }
            self.bump();
        }
    }

    fn skip_string(&mut self) {
        while let Some(next) = self.bump() {
            match next {
                '\\' => drop(self.bump()),
                '"' => return,
                _ => {}
            }
        }
    }

    /// After `r`: `"…"` or `#"…"#` with any number of `#`. A raw identifier is none.
    fn skip_raw_string(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        let mut hashes = 0;
        while ahead.next_if_eq(&'#').is_some() {
            hashes += 1;
        }
        if ahead.next() != Some('"') {
            return false;
        }
        for _ in 0..=hashes {
            self.bump();
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let mut seen = String::new();
        while !seen.ends_with(&end) {
            match self.bump() {
                Some(next) => seen.push(next),
                None => break,
            }
        }
        true
    }

    /// After `'`: a character up to its closing `'`, or a lifetime, whose name is left.
    fn skip_character(&mut self) {
        let mut ahead = self.rest.clone();
        let escaped = ahead.next() == Some('\\');
        if escaped {
            self.bump();
            self.bump();
            while self.bump().is_some_and(|next| next != '\'') {}
        } else if ahead.next() == Some('\'') {
            self.bump();
            self.bump();
        }
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}
