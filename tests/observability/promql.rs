//! What a PromQL expression names: a scan that knows words, strings and comments, and no more
//! of the grammar than where labels may stand.

/// A metric's name and what its braces ask of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    pub(crate) matchers: Vec<Matcher>,
}

/// `label op "value"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) operator: String,
    pub(crate) value: String,
}

/// `by (…)`, `without (…)`, `on (…)` and the like, with the selectors whose labels it means:
/// those of the argument that follows, else all of the expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grouping {
    pub(crate) labels: Vec<String>,
    pub(crate) of: Vec<Selector>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

const GROUPING: &[&str] = &[
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// What metrics begin with: Sextant's, and those of node_exporter.
const EXPORTERS: [&str; 2] = ["sextant_", "node_"];

/// Every metric that begins so, and every name, known or not, before braces.
pub(crate) fn selectors(expr: &str) -> Result<Vec<Selector>, String> {
    selectors_of(&tokens(expr)?)
}

/// Every list of labels that is not in braces.
pub(crate) fn groupings(expr: &str) -> Result<Vec<Grouping>, String> {
    let tokens = tokens(expr)?;
    let clauses = tokens.iter().enumerate().filter(
        |(_, token)| matches!(token, Token::Word(word) if GROUPING.contains(&word.as_str())),
    );
    clauses
        .filter(|(at, _)| is_sign(tokens.get(at + 1), "("))
        .map(|(at, _)| grouping(&tokens, at + 1))
        .collect()
}

fn grouping(tokens: &[Token], open: usize) -> Result<Grouping, String> {
    let close = closing(tokens, open)?;
    let words = tokens[open..close].iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.clone()),
        Token::Text(_) | Token::Sign(_) => None,
    });
    let argument = match is_sign(tokens.get(close + 1), "(") {
        true => &tokens[close + 1..closing(tokens, close + 1)?],
        false => tokens,
    };
    let of = selectors_of(argument)?;
    Ok(Grouping {
        labels: words.collect(),
        of,
    })
}

fn closing(tokens: &[Token], open: usize) -> Result<usize, String> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        depth += usize::from(is_sign(Some(token), "("));
        if is_sign(Some(token), ")") {
            depth -= 1;
            if depth == 0 {
                return Ok(at);
            }
        }
    }
    Err("a parenthesis is not closed".to_owned())
}

fn selectors_of(tokens: &[Token]) -> Result<Vec<Selector>, String> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let braces = is_sign(tokens.get(at + 1), "{");
        match token {
            Token::Word(word) if braces => found.push(Selector {
                metric: word.clone(),
                matchers: matchers(&tokens[at + 2..])?,
            }),
            Token::Word(word) if is_exported(word) => found.push(Selector {
                metric: word.clone(),
                matchers: Vec::new(),
            }),
            Token::Sign(sign) if sign == "{" && !follows_name(tokens, at) => {
                return Err("braces without a metric's name".to_owned());
            }
            Token::Word(_) | Token::Text(_) | Token::Sign(_) => {}
        }
    }
    Ok(found)
}

fn is_exported(word: &str) -> bool {
    EXPORTERS.iter().any(|exporter| word.starts_with(exporter))
}

/// What stands between an opening brace, which is taken already, and its end.
fn matchers(tokens: &[Token]) -> Result<Vec<Matcher>, String> {
    let end = tokens.iter().position(|token| is_sign(Some(token), "}"));
    let inside = &tokens[..end.ok_or("a brace is not closed")?];
    let parts = inside.split(|token| is_sign(Some(token), ","));
    parts
        .filter(|part| !part.is_empty())
        .map(|part| match part {
            [
                Token::Word(label),
                Token::Sign(operator),
                Token::Text(value),
            ] => Ok(Matcher {
                label: label.clone(),
                operator: operator.clone(),
                value: value.clone(),
            }),
            other => Err(format!("{other:?} is no matcher")),
        })
        .collect()
}

fn follows_name(tokens: &[Token], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    matches!(before, Some(Token::Word(_)))
}

fn is_sign(token: Option<&Token>, sign: &str) -> bool {
    matches!(token, Some(Token::Sign(found)) if found == sign)
}

fn tokens(expr: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = expr.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '#' => (None, rest.find('\n').unwrap_or(rest.len())),
            '"' | '\'' | '`' => text(rest, first)?,
            _ if is_word(first) => word(rest),
            _ => sign(rest),
        };
        tokens.extend(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '.'
}

fn word(rest: &str) -> (Option<Token>, usize) {
    let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    (Some(Token::Word(rest[..length].to_owned())), length)
}

fn sign(rest: &str) -> (Option<Token>, usize) {
    let pair = ["=~", "!~", "!=", "==", ">=", "<="]
        .into_iter()
        .find(|pair| rest.starts_with(pair));
    let one = rest.chars().next().map_or(0, char::len_utf8);
    let length = pair.map_or(one, str::len);
    (Some(Token::Sign(rest[..length].to_owned())), length)
}

/// A string with its escapes as they are; a raw one (in backquotes) has none.
fn text(rest: &str, quote: char) -> Result<(Option<Token>, usize), String> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return Ok((Some(Token::Text(rest[1..at].to_owned())), at + 1));
        }
        escaped = c == '\\' && !escaped && quote != '`';
    }
    Err(format!("a string is not closed: {rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(expr: &str) -> Vec<String> {
        let found = selectors(expr).unwrap().into_iter();
        found.map(|selector| selector.metric).collect()
    }

    #[test]
    fn metrics_are_found_with_and_without_braces_and_not_in_strings_and_comments() {
        let expr = "rate(sextant_a[5m]) / up{job=\"sextant_b\"} # sextant_c\n - sextant_d{}";
        assert_eq!(metrics(expr), ["sextant_a", "up", "sextant_d"]);
        assert_eq!(metrics("my_sextant_a + vector(1)"), Vec::<String>::new());
    }

    #[test]
    fn matchers_keep_operator_and_value() {
        let found = selectors(r#"sextant_a { x=~"5..|\"}", y != 'z' , }"#).unwrap();
        let read: Vec<_> = found[0]
            .matchers
            .iter()
            .map(|m| format!("{} {} {}", m.label, m.operator, m.value))
            .collect();
        assert_eq!(read, [r#"x =~ 5..|\"}"#, "y != z"]);
    }

    #[test]
    fn a_grouping_is_of_what_follows_it() {
        let expr = "sum by (a, b) (rate(sextant_x[1m])) / on (c) sextant_y";
        let found = groupings(expr).unwrap();
        assert_eq!(
            (&found[0].labels[..], found[0].of.len()),
            (&["a".to_owned(), "b".to_owned()][..], 1)
        );
        assert_eq!(
            (&found[1].labels[..], found[1].of.len()),
            (&["c".to_owned()][..], 2)
        );
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for broken in [
            "{job=\"x\"}",
            "sum({__name__=~\"x\"})",
            "a{b",
            "a{b=c}",
            "a{b=\"c}",
            "sum by (a",
        ] {
            assert!(
                selectors(broken).and(groupings(broken)).is_err(),
                "{broken}"
            );
        }
    }
}
