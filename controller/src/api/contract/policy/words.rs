//! A check string as words: parentheses, `and`, `or`, `not`, and checks.

/// One word of a check string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    Open,
    Close,
    And,
    Or,
    Not,
    Check(&'a str),
}

impl Word<'_> {
    /// The word, as it is in the text.
    pub(super) fn text(self) -> String {
        let text = match self {
            Self::Open => "(",
            Self::Close => ")",
            Self::And => "and",
            Self::Or => "or",
            Self::Not => "not",
            Self::Check(text) => text,
        };
        text.to_owned()
    }
}

/// The words of a text. Parentheses need no space around them, all others do.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    for part in text.split_whitespace() {
        let inner = part.trim_start_matches('(');
        words.extend(std::iter::repeat_n(Word::Open, part.len() - inner.len()));
        let check = inner.trim_end_matches(')');
        match check.to_ascii_lowercase().as_str() {
            "" => {}
            "and" => words.push(Word::And),
            "or" => words.push(Word::Or),
            "not" => words.push(Word::Not),
            _ => words.push(Word::Check(check)),
        }
        words.extend(std::iter::repeat_n(Word::Close, inner.len() - check.len()));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parentheses_stand_by_themselves() {
        let found = words("not (role:a  AND\n((rule:b)) or @)");
        let [open, close] = [Word::Open, Word::Close];
        let expected = [
            Word::Not,
            open,
            Word::Check("role:a"),
            Word::And,
            open,
            open,
            Word::Check("rule:b"),
            close,
            close,
            Word::Or,
            Word::Check("@"),
            close,
        ];
        assert_eq!(found, expected);
    }
}
