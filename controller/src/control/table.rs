//! Tables of text for people.

/// A table with a head. Every row has as many cells as the head.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:width$}"))
        .collect();
    format!("{}\n", padded.join("  ").trim_end())
}

/// A number of things: `1 port`, `2 ports`.
pub(super) fn count_of(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    }
}

/// A dash stands for what is not known.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A text that people gave, or a dash.
pub(super) fn given_or_dash(text: &str) -> String {
    or_dash(Some(text).filter(|text| !text.is_empty()))
}

/// Several with commas between them, or a dash.
pub(super) fn all_or_dash(all: impl IntoIterator<Item = impl ToString>) -> String {
    let all: Vec<String> = all.into_iter().map(|one| one.to_string()).collect();
    given_or_dash(&all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [("h1", Some(7)), ("compute-2", None)];
        let rows = rows.map(|(name, port)| [name.to_owned(), or_dash(port)]);
        let expected = "HYPERVISOR  PORT\nh1          7\ncompute-2   -\n";
        assert_eq!(table(["HYPERVISOR", "PORT"], rows), expected);
    }

    #[test]
    fn one_is_not_several() {
        let counted = [0, 1, 2].map(|count| count_of(count, "port"));
        assert_eq!(counted, ["0 ports", "1 port", "2 ports"]);
    }
}
