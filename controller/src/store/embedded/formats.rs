//! The formats of the file, and the steps from each to the next.
//!
//! A step works on rows as JSON, since the types that wrote them may have changed since. After the steps, [additions]
//! give old objects what they lack, as objects of today. Everything happens in the transaction that writes the new
//! format, so a file is never of two formats.

mod additions;

pub(in crate::store) use additions::Newness;

use serde_json::Value;
use std::collections::BTreeMap;

/// The format that this version writes. A file of a newer format is refused.
pub const FORMAT: u64 = 2;

/// Objects by their keys, as JSON of [`sextant_model::Object`] and [`sextant_model::Key`] in the step's format.
pub(in crate::store) type Rows = BTreeMap<Vec<u8>, Value>;

/// Makes rows of the next format, or says what it cannot read.
type Step = fn(Rows) -> Result<Rows, String>;

/// The first step leads from format 1 to 2, so there is one step less than formats.
const STEPS: [Step; FORMAT as usize - 1] = [to_2];

/// The first format with access policies and security groups.
const WITH_GROUPS: u64 = 2;

/// Rows of this format as rows of [`FORMAT`].
pub(in crate::store) fn migrate(rows: Rows, from: u64, newness: Newness) -> Result<Rows, String> {
    let done = from
        .checked_sub(1)
        .and_then(|done| usize::try_from(done).ok());
    let steps = done.and_then(|done| STEPS.get(done..));
    let steps = steps.ok_or_else(|| format!("there is no format {from}"))?;
    let rows = steps.iter().try_fold(rows, |rows, step| step(rows))?;
    match from < WITH_GROUPS {
        true => additions::complete(rows, newness).map_err(|error| error.to_string()),
        false => Ok(rows),
    }
}

/// Format 2 adds security groups, address scopes, access policies, quotas, gateways and routes. A file of format 1 has
/// none of them, and no row changes.
fn to_2(rows: Rows) -> Result<Rows, String> {
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_leads_to_the_latest_and_no_other_does() {
        let migrate = |format| migrate(Rows::new(), format, Newness::at(0));
        for format in 1..=FORMAT {
            assert_eq!(migrate(format), Ok(Rows::new()), "{format}");
        }
        for format in [0, FORMAT + 1, u64::MAX] {
            assert!(migrate(format).is_err(), "{format}");
        }
    }
}
