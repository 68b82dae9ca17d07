//! Ranges of ports as masked matches.

/// The fewest values with masks that match exactly the numbers from `first` to `last`, in order. There are at most 30.
/// Empty if the range is empty.
pub(super) fn masks(first: u16, last: u16) -> Vec<(u16, u16)> {
    let (mut from, to) = (u32::from(first), u32::from(last));
    let mut masks = vec![];
    while from <= to {
        let size = largest_block(from, to + 1 - from);
        let value = u16::try_from(from).unwrap_or(u16::MAX);
        masks.push((value, u16::try_from(size - 1).map_or(0, |rest| !rest)));
        from += size;
    }
    masks
}

/// The largest power of two that divides `from` and is at most `left`.
fn largest_block(from: u32, left: u32) -> u32 {
    let aligned = from.trailing_zeros().min(16);
    1 << aligned.min(left.ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_few_masks() {
        assert_eq!(masks(22, 22), [(22, 0xffff)]);
        assert_eq!(masks(0, 65535), [(0, 0)]);
        assert_eq!(masks(1024, 65535).len(), 6);
        assert_eq!(
            masks(1000, 1003),
            [(1000, 0xfffc)],
            "an aligned block is one"
        );
        assert_eq!(masks(1, 65534).len(), 30);
        assert!(masks(2, 1).is_empty());
    }

    #[test]
    fn masks_match_the_range_and_nothing_else() {
        for (first, last) in [(0, 0), (1, 6), (80, 443), (5000, 5999), (65535, 65535)] {
            let masks = masks(first, last);
            for port in 0..=u16::MAX {
                let hits = masks.iter().filter(|(value, mask)| port & mask == *value);
                let wanted = usize::from((first..=last).contains(&port));
                assert_eq!(hits.count(), wanted, "{port} of {first}-{last}");
            }
        }
    }
}
