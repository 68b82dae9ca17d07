//! Text that others have chosen, shown on an operator's terminal. Tenants name their ports and networks, so what a terminal
//! would take for a command, a new line or another direction of writing is shown as its escape.

/// The text in one line.
pub(super) fn in_one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), add)
}

/// The text, which may have lines.
pub(super) fn in_lines(text: &str) -> String {
    let lines = text.split('\n').map(in_one_line);
    lines.collect::<Vec<_>>().join("\n")
}

fn add(mut shown: String, letter: char) -> String {
    if letter.is_control() || turns(letter) {
        shown.extend(letter.escape_unicode());
    } else {
        shown.push(letter);
    }
    shown
}

/// Marks, embeddings, overrides and isolates of a direction (Unicode Standard Annex #9, §2).
fn turns(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_neither_commands_the_terminal_nor_forges_a_line() {
        let name = "web\u{1b}[2J\n=> all is well\r\u{202e}\u{9b}";
        let shown = "web\\u{1b}[2J\\u{a}=> all is well\\u{d}\\u{202e}\\u{9b}";
        assert_eq!(in_one_line(name), shown);
        assert_eq!(in_lines("a\nb\u{7}\n"), "a\nb\\u{7}\n");
        assert_eq!(in_one_line("Küche 台 'ok'"), "Küche 台 'ok'");
    }
}
