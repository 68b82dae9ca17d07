//! How long the sentences of documents are. Code, tables and headings are none.

use std::path::{Path, PathBuf};

/// The Markdown files below a folder.
pub(crate) fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of documents") {
            let path = entry.expect("an entry of a folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The sentences with more than `most` words.
pub(crate) fn long_sentences(document: &str, most: usize) -> Vec<String> {
    let mut found = Vec::new();
    for paragraph in paragraphs(document) {
        for sentence in sentences(&without_code(&paragraph)) {
            let words = sentence.split_whitespace().count();
            if words > most {
                found.push(format!("{words} words: {sentence}"));
            }
        }
    }
    found
}

/// The paragraphs of a document, where an item of a list is one.
fn paragraphs(document: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    let mut is_code = false;
    for line in document.lines().map(str::trim) {
        if line.starts_with("```") {
            is_code = !is_code;
        }
        let is_prose = !is_code && !line.starts_with("```") && !line.starts_with(['|', '#', '<']);
        if !is_prose || line.is_empty() || is_item(line) {
            paragraphs.push(String::new());
        }
        if is_prose && let Some(paragraph) = paragraphs.last_mut() {
            paragraph.push_str(line.strip_prefix("- ").unwrap_or(line));
            paragraph.push(' ');
        }
    }
    paragraphs
}

fn is_item(line: &str) -> bool {
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    line.starts_with("- ")
        || line
            .split_once(". ")
            .is_some_and(|(first, _)| is_number(first))
}

/// A span of code counts as one word, whatever is in it.
fn without_code(paragraph: &str) -> String {
    let parts = paragraph.split('`').enumerate();
    let parts = parts.map(|(place, part)| if place % 2 == 0 { part } else { "Code" });
    parts.collect()
}

/// A sentence ends with a mark behind which another begins.
fn sentences(paragraph: &str) -> Vec<String> {
    let mut sentences = vec![Vec::new()];
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    for (place, word) in words.iter().enumerate() {
        sentences.last_mut().expect("a sentence").push(*word);
        let ends = word
            .trim_end_matches(['"', ')', '*'])
            .ends_with(['.', '!', '?', ':']);
        let next = words
            .get(place + 1)
            .map(|next| next.trim_start_matches(['"', '(', '[', '*']));
        if ends && next.is_some_and(|next| next.starts_with(char::is_uppercase)) {
            sentences.push(Vec::new());
        }
    }
    sentences.iter().map(|words| words.join(" ")).collect()
}
