//! etcd: whether each member is reached, there is a majority, and its bounds are as Sextant's guide has them.

use super::clocks;
use crate::clock;
use crate::config::{Config, StoreKind};
use crate::control::Finding;
use crate::store::{ClusterCheckup, MemberCheckup, check_up};
use std::time::Duration;

const CHECK: &str = "etcd";
/// The bound of operations in a transaction that the guide names.
const OPERATIONS: usize = 10_000;
/// How long a member may take to tell the time.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is to say of etcd, where it is the store.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    if config.store.kind != StoreKind::Etcd {
        return vec![];
    }
    let settings = config.store.etcd();
    let checkup = match check_up(&settings, OPERATIONS).await {
        Ok(checkup) => checkup,
        Err(error) => {
            return vec![Finding::bad(
                CHECK,
                format!("{error}."),
                "the files in [store]",
            )];
        }
    };
    let mut findings = of_cluster(&checkup);
    let client = clocks::client(&settings.ca, &settings.certificate, &settings.private_key);
    if let Some(client) = client {
        for url in &settings.endpoints {
            let theirs = clocks::of(&client, &format!("{url}/version"), PATIENCE).await;
            findings.extend(theirs.map(|theirs| clocks::compared(url, theirs, clock::now())));
        }
    }
    findings
}

fn of_cluster(checkup: &ClusterCheckup) -> Vec<Finding> {
    let mut findings: Vec<Finding> = checkup.members.iter().map(of_member).collect();
    match &checkup.contents {
        Ok(None) => findings.push(Finding::good(
            CHECK,
            "The cluster has a majority, and no store under store.prefix: the first start makes one.",
        )),
        Ok(Some(format)) if *format == checkup.known_format => findings.push(Finding::good(
            CHECK,
            "The cluster has a majority, and a store that this version reads.",
        )),
        Ok(Some(format)) => findings.push(Finding::bad(
            CHECK,
            format!("The store has format {format:?}, and this version knows {:?}.", checkup.known_format),
            "the version of Sextant that wrote it; or another store.prefix",
        )),
        Err(why) => findings.push(Finding::bad(
            CHECK,
            format!("The store cannot be read: {why}."),
            "a majority of members has to run: etcdctl endpoint status --cluster; the login in [store]",
        )),
    }
    findings.extend(checkup.alarms.iter().map(|alarm| {
        Finding::bad(
            CHECK,
            format!("The alarm {alarm} is raised: etcd takes no writes."),
            "etcdctl compact, defrag and alarm disarm; --quota-backend-bytes",
        )
    }));
    findings.extend(checkup.operations.map(of_operations));
    findings
}

fn of_member(member: &MemberCheckup) -> Finding {
    let url = &member.url;
    match &member.status {
        Ok(status) if status.has_leader => Finding::good(
            CHECK,
            format!(
                "{url} answers: etcd {}, {} MiB.",
                status.version,
                status.size >> 20
            ),
        ),
        Ok(status) => Finding::bad(
            CHECK,
            format!(
                "{url} answers (etcd {}), and knows of no leader.",
                status.version
            ),
            "are most of the other members there? etcdctl endpoint status --cluster",
        ),
        Err(why) => Finding::bad(
            CHECK,
            format!("{url} does not answer: {why}."),
            "systemctl status etcd there; store.endpoints, store.ca, and what is between",
        ),
    }
}

/// How many operations of one transaction etcd takes, at most as many as were tried.
fn of_operations(operations: usize) -> Finding {
    if operations >= OPERATIONS {
        return Finding::good(
            CHECK,
            format!("It takes {operations} operations in a transaction."),
        );
    }
    // A port is three.
    let ports = operations / 3;
    Finding::hint(
        CHECK,
        format!(
            "It takes {operations} operations in a transaction: a request for more than some {ports} ports is refused (413)."
        ),
        "--max-txn-ops=10000 for each member, and restart it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::FindingState;
    use crate::store::MemberStatus;

    fn state_of(findings: &[Finding]) -> Vec<FindingState> {
        findings.iter().map(|finding| finding.state).collect()
    }

    fn healthy() -> ClusterCheckup {
        let status = MemberStatus {
            version: "3.4.23".to_owned(),
            has_leader: true,
            size: 1 << 20,
        };
        ClusterCheckup {
            members: vec![MemberCheckup {
                url: "http://e1:2379".to_owned(),
                status: Ok(status),
            }],
            contents: Ok(Some("7".to_owned())),
            known_format: "7".to_owned(),
            alarms: vec![],
            operations: Some(10_000),
        }
    }

    #[test]
    fn a_healthy_cluster_has_nothing_wrong() {
        assert_eq!(state_of(&of_cluster(&healthy())), [FindingState::Good; 3]);
    }

    #[test]
    fn each_thing_that_is_wrong_is_told_by_itself() {
        use FindingState::{Bad, Good, Note};
        let mut checkup = healthy();
        checkup.members[0].status = Err("connection refused".to_owned());
        checkup.operations = Some(128);
        assert_eq!(state_of(&of_cluster(&checkup)), [Bad, Good, Note]);
        let mut checkup = healthy();
        checkup.contents = Ok(Some("8".to_owned()));
        checkup.alarms = vec!["NOSPACE".to_owned()];
        assert_eq!(state_of(&of_cluster(&checkup)), [Good, Bad, Bad, Good]);
        let mut checkup = healthy();
        checkup.contents = Err("no leader".to_owned());
        checkup.operations = None;
        if let Ok(status) = &mut checkup.members[0].status {
            status.has_leader = false;
        }
        assert_eq!(state_of(&of_cluster(&checkup)), [Bad, Bad]);
    }
}
