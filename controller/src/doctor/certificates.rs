//! Certificates: whether they can be used, and until when.

use crate::clock;
use crate::config::Config;
use crate::control::Finding;
use crate::tls;

const CHECK: &str = "certificates";
const DAY: i64 = 24 * 3600;
/// A certificate that ends within this time is to be replaced.
const NEAR: i64 = 30 * DAY;

/// What is to say of the certificates.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let hypervisors = config.hypervisor_tls.files();
    let mut findings = vec![];
    for (section, files) in [("tls", &config.tls), ("hypervisor_tls", &hypervisors)] {
        match files.open() {
            Ok(None) => {}
            Ok(Some(tls)) => findings.extend(
                tls.expiries()
                    .iter()
                    .map(|(key, ends)| until(&format!("{section}.{key}"), *ends, clock::now())),
            ),
            Err(error) => {
                let advice = format!("correct the keys of [{section}], or the files");
                findings.push(Finding::bad(CHECK, format!("{section}.{error}."), advice));
            }
        }
    }
    let store = [
        ("store.ca", &config.store.ca),
        ("store.certificate", &config.store.certificate),
    ];
    for (key, path) in store {
        let ends = tls::first_expiry(path);
        findings.extend(ends.map(|ends| until(key, ends, clock::now())));
    }
    findings
}

fn until(key: &str, ends: i64, now: i64) -> Finding {
    let (date, days) = (clock::rfc3339(ends), (ends - now).div_euclid(DAY));
    if ends <= now {
        let says = format!("{key} ended on {date}: nobody believes it.");
        return Finding::bad(
            CHECK,
            says,
            "replace the file, and systemctl reload sextant",
        );
    }
    if ends - now <= NEAR {
        let says = format!("{key} ends on {date}, in {days} days.");
        return Finding::hint(
            CHECK,
            says,
            "replace the file, and systemctl reload sextant",
        );
    }
    Finding::good(
        CHECK,
        format!("{key} can be used, and ends on {date}, in {days} days."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::FindingState;

    #[test]
    fn what_ended_is_wrong_and_what_ends_soon_is_worth_knowing() {
        let ends = 1_893_456_000;
        let state = |now| until("tls.certificate", ends, now).state;
        assert_eq!(state(ends - 31 * DAY), FindingState::Good);
        assert_eq!(state(ends - 30 * DAY), FindingState::Note);
        assert_eq!(state(ends), FindingState::Bad);
        let says = until("tls.client_ca", ends, ends - 2 * DAY).says;
        assert_eq!(
            says,
            "tls.client_ca ends on 2030-01-01T00:00:00Z, in 2 days."
        );
    }
}
