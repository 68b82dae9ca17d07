//! Keystone and Nova: whether they are reached with the login that the configuration has.

use super::clocks;
use crate::clock;
use crate::config::{Auth, Config};
use crate::control::Finding;
use crate::keystone::{KeystoneSettings, ServiceLogin};
use crate::metrics::Metrics;
use crate::nova;
use crate::outgoing::https_client;

/// What is to say of Keystone and Nova, as far as they are used.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = vec![];
    if config.auth == Auth::Keystone {
        findings.extend(of_keystone(&config.keystone.settings()).await);
    }
    if let Some(settings) = config.nova.settings(&config.keystone) {
        const CHECK: &str = "Nova";
        let section = settings.section;
        findings.push(match nova::reach(settings).await {
            Ok(url) => Finding::good(CHECK, format!("It answers at {url}.")),
            Err(why) => Finding::bad(
                CHECK,
                format!("It cannot be told of ports, and guests that boot wait for it: {why}."),
                format!("the login in [{section}], nova.endpoint_override, nova.cafile"),
            ),
        });
    }
    findings
}

async fn of_keystone(settings: &KeystoneSettings) -> Vec<Finding> {
    const CHECK: &str = "Keystone";
    let advice =
        "keystone.auth_url, keystone.cafile, and the login in [keystone]: openstack token issue";
    let Ok(metrics) = Metrics::new() else {
        return vec![];
    };
    let login = match ServiceLogin::new(settings, "keystone", metrics) {
        Ok(login) => login,
        Err(error) => return vec![Finding::bad(CHECK, format!("{error}."), "keystone.cafile")],
    };
    let mut findings = vec![match login.token(None).await {
        Ok(_) => Finding::good(
            CHECK,
            format!("It takes the login at {}.", settings.auth_url),
        ),
        Err(failure) => Finding::bad(
            CHECK,
            format!("{}: {failure}. Nobody can use the API.", settings.auth_url),
            advice,
        ),
    }];
    let client = https_client(&settings.cafile, settings.timeout).ok();
    if let Some(client) = client
        && let Some(theirs) = clocks::of(&client, &settings.auth_url, settings.timeout).await
    {
        findings.push(clocks::compared("Keystone", theirs, clock::now()));
    }
    findings
}
